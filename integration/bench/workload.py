"""What all workloads share: running a job of the Java module, and what is compared."""

import itertools
from pathlib import Path

from commands import run
from flink_jvm import MAIN, FlinkJvm
from systems import reset_peak_memory

# what Flink's own configuration opens to it
OPENED = ("lang", "lang.reflect", "util", "util.concurrent", "util.concurrent.atomic", "io", "nio", "net", "time", "text")
JOB_OPTIONS = ("-Xms2g", "-Xmx2g", *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED))
JOB_TIMEOUT_S = 300
FILL_TIMEOUT_S = 1800
# what the JVMs of all jobs would otherwise each load and check anew: three CPU seconds of a start
CLASSES = Path(__file__).resolve().parent / "jobs" / "target" / "classes.jsa"
_numbers = itertools.count(1)


def java(tools, system, job, timeout_s=JOB_TIMEOUT_S, **arguments):
    """The figures of one job, run in the system's JVM."""
    if system.jvm is None:
        archive = [f"-XX:SharedArchiveFile={CLASSES}"] if CLASSES.exists() else []
        system.jvm = FlinkJvm([*JOB_OPTIONS, *archive], tools.jobs_classpath, system.folder / "flink.log")
    for pid in filter(None, (system.pid, system.jvm.pid)):
        reset_peak_memory(pid)
    named = {"server_pid": system.pid or 0, **arguments}
    words = [job, *system.job_arguments(), *(f"{key}={value}" for key, value in named.items())]
    return system.jvm.run(words, f"the job {job} on {system.name}", timeout_s)


def archive_classes(classpath, jar):
    """Has Java archive the classes of a small job in SQL, unless that was done since the jar was built."""
    if CLASSES.exists() and CLASSES.stat().st_mtime > jar.stat().st_mtime:
        return
    CLASSES.unlink(missing_ok=True)
    job = ("sql", "system=blackhole", "stream=none", "rows=bids", "action=insert", "seconds=1")
    command = ["java", *JOB_OPTIONS, f"-XX:ArchiveClassesAtExit={CLASSES}", "-cp", classpath, MAIN, *job]
    run(command, "archiving Flink's classes", timeout_s=JOB_TIMEOUT_S)


def new_name(workload):
    """A name for the stream of one run."""
    return f"{workload.name.lower()}-{next(_numbers)}"


class Metric:
    """A figure of which systems are compared; `suffix` names it in a RATIO line, "" for the main one."""

    def __init__(self, key, suffix="", better="more"):
        self.key = key
        self.suffix = suffix
        self.better = better


RATE = Metric("records_per_s")
CPU = Metric("cpu_us_per_record", "-cpu", "less")


class Workload:
    """Runs in turn on all systems; between `prepare` and `clean` a system is measured several times."""

    name = ""
    title = ""
    variants = ()
    # those that show that it works
    quick_variants = ()
    systems = ()
    metrics = (RATE, CPU)
    # variants for which the systems start from nothing; the others follow one another on the same ones
    alone = ()
    # workloads of the same `data` that follow one another share the started systems and what is in them
    data = None
    warmups_at_most = 2
    # whether its runs are Flink jobs
    in_flink = True

    def __init__(self, tools, options):
        self.tools = tools
        self.options = options

    def applies(self, system, variant):
        """Whether a system takes part in a variant; asked of its class, too, before there is one."""
        return True

    def fixed_s(self, system, variant):
        """How long a run lasts however fast the system is; 0 where its speed alone decides."""
        return 0.0

    def check_s(self, system, variant):
        """What `finish` takes, as the plan expects it."""
        return 0.0

    def rounds(self, variant):
        """How often servers in a JVM warm up and how often all are measured."""
        return min(self.options.warmups, self.warmups_at_most), self.options.rounds

    def prepare(self, system, variant):
        """What is needed once, before the first run of a variant."""

    def measure(self, system, variant):
        """One run; returns its figures."""
        raise NotImplementedError

    def counts_for(self, system, variant):
        """Other variants for which a run of this one counts, too."""
        return ()

    def finish(self, system, variant):
        """What is left to say after the last run of a variant."""


SIZES = {"100B": 100, "1KiB": 1024}


def write_bytes(tools, system, stream, size, timeout_s=JOB_TIMEOUT_S, **limits):
    """W1's job, with the backlog it leaves behind; checks that all of it was committed."""
    if system.only_tables:
        return sql(tools, system, stream, "payloads", "insert", timeout_s, size=size, **limits)
    return checked_write(system, stream, java(tools, system, "write-bytes", timeout_s, stream=system.stream(stream), size=size, **limits))


def sql(tools, system, stream, rows, action, timeout_s=JOB_TIMEOUT_S, before=0, **arguments):
    """One SQL statement over a table of a system, with `before` rows in it."""
    named = {"stream": system.stream(stream), "rows": rows, "action": action}
    figures = java(tools, system, "sql", timeout_s, **named, **arguments)
    return checked_write(system, stream, figures, before) if action == "insert" else figures


def checked_write(system, stream, figures, before=0):
    backlog = system.backlog(stream)
    if backlog is not None:
        figures["backlog_end"] = backlog
    committed = system.committed(stream)
    if committed is not None and committed - before != figures["records"]:
        raise Failure(f"the job wrote {figures['records']:,} records, but {committed - before:,} are committed")
    return figures
