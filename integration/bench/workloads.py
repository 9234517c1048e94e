"""The workloads: what is run against each system, and which figures are compared."""

import itertools
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import run
from failure import Failure
from systems import reset_peak_memory

# what Flink's own configuration opens to it
OPENED = ("lang", "lang.reflect", "util", "util.concurrent", "util.concurrent.atomic", "io", "nio", "net", "time", "text")
JOB_OPTIONS = ("-Xms2g", "-Xmx2g", *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED))
JOB_TIMEOUT_S = 300
FILL_TIMEOUT_S = 1800
EVENTS_PER_SECOND = 10_000
# of this time, the first of a latency run, the figures are not counted (Latency.java)
SETTLING_S = 5
DUCKDB = Path(__file__).resolve().parent / "duckdb_query.py"
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
        """How often it warms up and how often it is measured."""
        return min(self.options.warmups, self.warmups_at_most), self.options.rounds

    def prepare(self, system, variant):
        """What is needed once, before the first run."""

    def measure(self, system, variant):
        """One run; returns its figures."""
        raise NotImplementedError

    def finish(self, system, variant):
        """What is left to say after the last run of a variant."""


SIZES = {"100B": 100, "1KiB": 1024}
SUSTAINED = "100B-sustained"
SAMPLE_S = 1


class Write(Workload):
    name = "W1"
    title = "Flink -> exactly-once sink"
    variants = (*SIZES, SUSTAINED)
    quick_variants = ("100B", SUSTAINED)
    systems = ("sluice", "kafka", "kafka-fsync", "paimon", "iceberg", "discard")

    def applies(self, system, variant):
        # a broker has no second copy to write: what it reaches in a burst it reaches for long
        return variant != SUSTAINED or system.name == "sluice"

    def rounds(self, variant):
        return (0, 1) if variant == SUSTAINED else super().rounds(variant)

    def measure(self, system, variant):
        stream = f"w1-{next(_numbers)}"
        if variant == SUSTAINED:
            return self.sustained(system, stream)
        system.create(stream)
        figures = write_bytes(self.tools, system, stream, SIZES[variant], seconds=self.options.seconds)
        if system.family != "discard":
            system.drop(stream)
        return figures


    def sustained(self, system, stream):
        """Ten minutes, with the older events removed meanwhile; how the backlog grew tells whether it would go on like this."""
        seconds = self.options.sustained_seconds
        slice_seconds = max(5, int(seconds / 30))
        backlogs = []
        arguments = {"stream": system.stream(stream), "size": 100, "seconds": seconds, "slice_s": slice_seconds}
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(java, self.tools, system, "write-bytes", seconds + JOB_TIMEOUT_S, **arguments)
            while not running.done():
                time.sleep(SAMPLE_S)
                backlogs.append(system.expire(stream))
        figures = running.result()
        system.drop_slices(stream)
        return figures | {
            "backlog_half": backlogs[len(backlogs) // 2],
            "backlog_end": backlogs[-1],
            "backlog_max": max(backlogs),
        }


class Filled(Workload):
    """Reads what is written once, and checks that all of it was read."""

    def __init__(self, tools, options):
        super().__init__(tools, options)
        self.written = {}

    def fill(self, system, stream, records, write):
        self.tools.say(f"{self.name}: {system.name} is filled with {records:,} records")
        # the time is no limit here
        self.written[system.name] = write(seconds=1e9, records=records, timeout_s=FILL_TIMEOUT_S)["records"]

    def checked(self, system, figures):
        written = self.written[system.name]
        if figures["records"] != written:
            raise Failure(f"{written:,} records are in {system.name}, but {figures['records']:,} were read")
        return figures


class Read(Filled):
    name = "W2"
    title = "bounded Flink read"
    variants = tuple(SIZES)
    quick_variants = ("100B",)
    systems = ("sluice", "kafka", "paimon", "iceberg")

    def prepare(self, system, variant):
        size = SIZES[variant]
        records = int(self.options.read_gigabytes * 1e9 / size)
        system.create("w2")
        self.fill(system, "w2", records, lambda **limits: write_bytes(self.tools, system, "w2", size, **limits))

    def measure(self, system, variant):
        if system.only_tables:
            figures = sql(self.tools, system, "w2", "payloads", "read", mode="batch")
        else:
            figures = java(self.tools, system, "read-bytes", stream=system.stream("w2"))
        return self.checked(system, figures)


BID_BYTES = 140


class Bids(Filled):
    name = "W3"
    title = "Flink SQL over Nexmark bids"
    variants = ("insert", "count-sum", "all-columns")
    quick_variants = variants
    systems = ("sluice", "kafka-avro", "kafka-json", "paimon", "iceberg", "blackhole")
    actions = {"count-sum": "sum", "all-columns": "read"}
    shares_data = True
    warmups_at_most = 1

    def applies(self, system, variant):
        return variant == "insert" or system.name != "blackhole"

    def prepare(self, system, variant):
        if system.name == "blackhole":
            return
        records = int(self.options.read_gigabytes / 2 * 1e9 / BID_BYTES)
        system.create("w3", of_bytes=False)
        self.fill(system, "w3", records, lambda **limits: sql(self.tools, system, "w3", "bids", "insert", **limits))

    def measure(self, system, variant):
        if variant == "insert":
            stream = f"w3-{next(_numbers)}"
            system.create(stream, of_bytes=False)
            figures = sql(self.tools, system, stream, "bids", "insert", seconds=self.options.seconds)
            if system.name != "blackhole":
                system.drop(stream)
            return figures
        mode = "batch" if system.only_tables else "streaming"
        return self.checked(system, sql(self.tools, system, "w3", "bids", self.actions[variant], mode=mode))


class Batch(Filled):
    name = "W8"
    title = "COUNT and SUM by channel over bids, as a batch"
    variants = ("flink", "duckdb")
    quick_variants = variants
    systems = ("sluice", "kafka-avro", "paimon", "iceberg")
    metrics = (Metric("seconds", better="less"),)
    shares_data = True
    warmups_at_most = 1

    def prepare(self, system, variant):
        records = self.options.batch_records
        system.create("w8", of_bytes=False)
        self.fill(system, "w8", records, lambda **limits: sql(self.tools, system, "w8", "bids", "insert", **limits))
        system.publish("w8")

    def measure(self, system, variant):
        if variant == "duckdb" and system.name == "sluice":
            figures = json.loads(run([self.tools.python(), DUCKDB, system.parquet("w8")], "DuckDB", timeout_s=JOB_TIMEOUT_S))
        else:
            figures = sql(self.tools, system, "w8", "bids", "group", mode="batch")
        return self.checked(system, figures)


class Latency(Workload):
    name = "W4"
    title = "10,000 events/s through Flink: from an event to a reader of committed data"
    variants = ("100ms", "1s")
    quick_variants = ("100ms",)
    systems = ("sluice", "kafka")
    metrics = (Metric("latency_ms_p50", "-p50", "less"), Metric("latency_ms_p99", "-p99", "less"))
    checkpoint_ms = {"100ms": 100, "1s": 1000}
    hold_ms = 0
    # each run leaves its own first seconds out
    warmups_at_most = 0

    def measure(self, system, variant):
        stream = f"{self.name.lower()}-{next(_numbers)}"
        system.create(stream)
        limits = {"rate": EVENTS_PER_SECOND, "seconds": self.options.seconds + SETTLING_S, "hold_ms": self.hold_ms}
        interval = self.checkpoint_ms[variant]
        figures = java(self.tools, system, "latency", stream=system.stream(stream), checkpoint_ms=interval, **limits)
        figures["fdatasync_ms_p99"] = fdatasync_ms_p99(system.folder)
        system.drop(stream)
        return figures


class OpenTransaction(Latency):
    name = "W5"
    title = "the same, while another transaction stays open for 10 s"
    variants = ("held-10s",)
    quick_variants = variants
    metrics = (Metric("latency_ms_max", better="less"),)
    checkpoint_ms = {"held-10s": 200}
    hold_ms = 10_000


class Client(Workload):
    name = "W6"
    title = "client without Flink, transactions of one second"
    variants = tuple(SIZES)
    quick_variants = ("100B",)
    systems = ("sluice", "kafka", "kafka-fsync")
    metrics = (RATE, Metric("commit_ms_p50", "-commit", "less"))

    def __init__(self, tools, options):
        super().__init__(tools, options)
        self.rate = {}
        self.last = {}

    def prepare(self, system, variant):
        if system.name == "sluice":
            # `sluice bench` wants a number of events; this tells how many last long enough
            self.rate[variant] = self.sluice(system, variant, 1_000_000)["records_per_s"]

    def measure(self, system, variant):
        if system.name == "sluice":
            return self.sluice(system, variant, int(self.rate[variant] * self.options.seconds))
        size = SIZES[variant]
        stream = f"w6-{next(_numbers)}"
        system.create(stream)
        figures = java(self.tools, system, "kafka-client", stream=stream, size=size, seconds=self.options.seconds, commit_ms=1000)
        system.drop(stream)
        self.last[system.name] = figures
        return figures

    def finish(self, system, variant):
        """Tells how near this suite's client comes to Kafka's own measuring tool on the same broker."""
        if system.name == "kafka":
            system.create("perf-test")
            last = self.last[system.name]
            tool = self.perf_test(system, "perf-test", SIZES[variant], last["records"])
            share = last["records_per_s"] / tool
            self.tools.say(f"{self.name} {variant} kafka-producer-perf-test reaches {tool:,.0f} records/s; our client {share:.2f} of it")

    @staticmethod
    def sluice(system, variant, events):
        words = ("bench", "--events", events, "--event-bytes", SIZES[variant], "--segments", 2)
        return sluice_bench(system, words)

    @staticmethod
    def perf_test(system, topic, size, records):
        """What Kafka's own measuring tool reaches on the same broker with the same settings."""
        settings = ("batch.size=262144", "linger.ms=5", "buffer.memory=67108864")
        printed = system.tool(
            "org.apache.kafka.tools.ProducerPerformance",
            *("--topic", topic, "--num-records", str(records), "--record-size", str(size), "--throughput", "-1"),
            *("--transactional-id", "perf-test", "--transaction-duration-ms", "1000"),
            *("--bootstrap-server", system.endpoint, "--command-property", *settings),
            timeout_s=JOB_TIMEOUT_S,
        )
        return float(re.findall(r"records sent, ([\d.]+) records/sec", printed)[-1])


RECOVERY = "recovery"


class TransactionSize(Workload):
    name = "W7"
    title = "prepare and commit of a transaction, by its size"
    variants = ("1MB", "100MB", "1GB", RECOVERY)
    quick_variants = ("1MB", RECOVERY)
    systems = ("sluice", "kafka", "kafka-fsync")
    metrics = (Metric("commit_ms_p50", better="less"), Metric("recovery_s", better="less"))
    megabytes = {"1MB": 1, "100MB": 100, "1GB": 1000}
    size = 1000
    warmups_at_most = 1

    def applies(self, system, variant):
        # Kafka keeps one prepared transaction for each producer
        return variant != RECOVERY or system.name == "sluice"

    def measure(self, system, variant):
        if variant == RECOVERY:
            return self.recovery(system)
        size = self.megabytes[variant] * 1_000_000
        if system.name == "sluice":
            words = ("bench", "--events", size // self.size, "--event-bytes", self.size, "--commit-interval", "1d")
            return sluice_bench(system, (*words, "--segments", 2))
        stream = f"w7-{next(_numbers)}"
        system.create(stream)
        limits = {"transaction_bytes": size, "transactions": 1}
        figures = java(self.tools, system, "kafka-client", stream=stream, size=self.size, **limits)
        system.drop(stream)
        return figures

    def recovery(self, system):
        """From the start after kill -9 until the gateway is ready, with many prepared transactions to find again."""
        stream = f"w7-{next(_numbers)}"
        system.create(stream)
        arguments = {"stream": system.stream(stream), "transactions": self.options.prepared}
        prepared = java(self.tools, system, "prepare-many", **arguments)["records"]
        seconds = system.recover()
        found = system.transactions(stream)
        if found != prepared:
            raise Failure(f"{prepared:,} transactions were prepared, but after kill -9 there are {found:,}")
        return {"records": prepared, "recovery_s": seconds}


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


def sluice_bench(system, words):
    """The figures of `sluice bench`, the Rust client, under the names that the other systems' have."""
    printed = system.gateway.command(*map(str, words))
    # before the answer it says what it is doing
    answer, _ = json.JSONDecoder().raw_decode(printed, printed.index("{"))
    write = answer["write"]
    return {
        "records": answer["events"],
        "bytes": answer["events"] * answer["event_bytes"],
        "seconds": write["seconds"],
        "records_per_s": write["events_per_second"],
        "mb_per_s": write["bytes_per_second"] / 1e6,
        "commit_count": write["commits"],
        "commit_ms_p50": write["commit_ms_median"],
        "commit_ms_max": write["commit_ms_max"],
        "read_records_per_s": answer["read"]["events_per_second"],
        "disk_mb_per_s": answer["disk"]["bytes_per_second"] / 1e6,
        "rss_server_mb": answer["gateway"]["peak_bytes"] / 1e6,
    }


def fdatasync_ms_p99(folder):
    """How long an append of 4 KiB with its fdatasync takes on the disk of these runs."""
    path = folder / "fdatasync.tmp"
    times = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(200):
            began = time.perf_counter()
            os.write(file, bytes(4096))
            os.fdatasync(file)
            times.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return sorted(times)[int(len(times) * 0.99)]


ALL = (Write, Read, Bids, Latency, OpenTransaction, Client, TransactionSize, Batch)
WORKLOADS = {workload.name: workload for workload in ALL}
