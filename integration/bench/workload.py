"""What all workloads share: running a job of the Java module, and what is compared."""

import itertools
import json

from commands import run
from failure import Failure
from systems import reset_peak_memory

# what Flink's own configuration opens to it
OPENED = ("lang", "lang.reflect", "util", "util.concurrent", "util.concurrent.atomic", "io", "nio", "net", "time", "text")
JOB_OPTIONS = ("-Xms2g", "-Xmx2g", *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED))
JOB_TIMEOUT_S = 300
FILL_TIMEOUT_S = 1800
_numbers = itertools.count(1)


def java(tools, system, job, timeout_s=JOB_TIMEOUT_S, **arguments):
    """The figures of one job, run in a JVM of its own."""
    server = [f"-Dbench.server.pid={system.pid}"] if system.pid else []
    if system.pid:
        reset_peak_memory(system.pid)
    words = [*system.job_arguments(), *(f"{key}={value}" for key, value in arguments.items())]
    command = ["java", *JOB_OPTIONS, *server, "-cp", tools.jobs_classpath, "io.sluice.bench.Main", job, *words]
    printed = run(command, f"the job {job} on {system.name}", timeout_s=timeout_s)
    figures = [line for line in printed.splitlines() if line.startswith("{")]
    if not figures:
        raise Failure(f"the job {job} on {system.name} printed no figures:\n{printed[-2000:]}")
    return json.loads(figures[-1])


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
    # whether all variants work on what is prepared for the first; else the systems start from nothing for each
    shares_data = False
    warmups_at_most = 2

    def __init__(self, tools, options):
        self.tools = tools
        self.options = options

    def applies(self, system, variant):
        """Whether a system takes part in a variant."""
        return True

    def rounds(self, variant):
        """How often servers in a JVM warm up and how often all are measured."""
        return min(self.options.warmups, self.warmups_at_most), self.options.rounds

    def prepare(self, system, variant):
        """What is needed once, before the first run."""

    def measure(self, system, variant):
        """One run; returns its figures."""
        raise NotImplementedError

    def finish(self, system, variant):
        """What is left to say after the last run of a variant."""


SIZES = {"100B": 100, "1KiB": 1024}


def write_bytes(tools, system, stream, size, timeout_s=JOB_TIMEOUT_S, **limits):
    """W1's job, with the backlog it leaves behind; checks that all of it was committed."""
    if system.only_tables:
        return sql(tools, system, stream, "payloads", "insert", timeout_s, size=size, **limits)
    return checked_write(system, stream, java(tools, system, "write-bytes", timeout_s, stream=system.stream(stream), size=size, **limits))


def sql(tools, system, stream, rows, action, timeout_s=JOB_TIMEOUT_S, **arguments):
    """One SQL statement over a table of a system."""
    named = {"stream": system.stream(stream), "rows": rows, "action": action}
    figures = java(tools, system, "sql", timeout_s, **named, **arguments)
    return checked_write(system, stream, figures) if action == "insert" else figures


def checked_write(system, stream, figures):
    backlog = system.backlog(stream)
    if backlog is not None:
        figures["backlog_end"] = backlog
    committed = system.committed(stream)
    if committed is not None and committed != figures["records"]:
        raise Failure(f"the job wrote {figures['records']:,} records, but {committed:,} are committed")
    return figures
