"""W1, W2, W3 and W8: Flink jobs that write or read as fast as they can."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import run
from disk import sequential_mb_per_s
from failure import Failure
from workload import FILL_TIMEOUT_S, JOB_TIMEOUT_S, SIZES, Metric, Workload, java, new_name, sql, write_bytes

DUCKDB = Path(__file__).resolve().parent / "duckdb_query.py"
# bytes of a payload
SUSTAINED = {"100B-sustained": 100, "1KiB-sustained": 1024}
SAMPLE_S = 1
DISK_BYTES = 1 << 30


class Write(Workload):
    name = "W1"
    title = "Flink -> exactly-once sink"
    variants = (*SIZES, *SUSTAINED)
    quick_variants = ("100B", "1KiB", "100B-sustained")
    systems = ("sluice", "kafka", "kafka-fsync", "paimon", "iceberg", "discard")

    def applies(self, system, variant):
        # a broker has no second copy to write: what it reaches in a burst it reaches for long
        if variant in SUSTAINED:
            return system.name == "sluice" or (system.name, variant) == ("paimon", "100B-sustained")
        return variant == "100B" or not system.only_tables

    def rounds(self, variant):
        return (0, 1) if variant in SUSTAINED else super().rounds(variant)

    def measure(self, system, variant):
        stream = new_name(self)
        if variant in SUSTAINED:
            seconds = self.sustained_seconds(system, variant)
            if system.name == "sluice":
                return self.sustained(system, stream, SUSTAINED[variant], seconds)
            timeout_s = seconds + JOB_TIMEOUT_S
            figures = write_bytes(self.tools, system, stream, SUSTAINED[variant], timeout_s, seconds=seconds)
            system.drop(stream)
            return figures
        # before the job: after it the gateway publishes, and the disk is not idle
        disk = {"disk_mb_per_s": self.disk(system)} if system.name == "sluice" and variant == "1KiB" else {}
        system.create(stream)
        figures = write_bytes(self.tools, system, stream, SIZES[variant], seconds=self.options.seconds)
        if system.family != "discard":
            system.drop(stream)
        return figures | disk

    def disk(self, system):
        return sequential_mb_per_s(system.folder, DISK_BYTES // (8 if self.options.quick else 1))

    def sustained_seconds(self, system, variant):
        """The whole time only where the backlog could make a difference late; a peer has none."""
        longest = self.options.sustained_seconds
        if system.name != "sluice":
            return min(longest, 120.0)
        return longest if variant == "100B-sustained" else min(longest, 180.0)

    def sustained(self, system, stream, size, seconds):
        """Minutes of it, with the older events removed meanwhile; how the backlog grew tells whether it would go on like this."""
        disk = self.disk(system)
        slice_seconds = max(5, int(seconds / 30))
        backlogs = []
        arguments = {"stream": system.stream(stream), "size": size, "seconds": seconds, "slice_s": slice_seconds}
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(java, self.tools, system, "write-bytes", seconds + JOB_TIMEOUT_S, **arguments)
            while not running.done():
                time.sleep(SAMPLE_S)
                backlogs.append(system.expire(stream))
        figures = running.result()
        system.drop_slices(stream)
        return figures | {
            "disk_mb_per_s": disk,
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
    # what is read was written to the same servers before
    warmups_at_most = 1

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
    # the filling is one of full size
    warmups_at_most = 0

    def applies(self, system, variant):
        if system.name == "blackhole":
            return variant == "insert"
        # reading JSON costs the same, whatever is then done with the columns
        return (system.name, variant) != ("kafka-json", "count-sum")

    def prepare(self, system, variant):
        if system.name == "blackhole":
            return
        records = int(self.options.read_gigabytes / 2 * 1e9 / BID_BYTES)
        system.create("w3", of_bytes=False)
        self.fill(system, "w3", records, lambda **limits: sql(self.tools, system, "w3", "bids", "insert", **limits))

    def measure(self, system, variant):
        if variant == "insert":
            stream = new_name(self)
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

    def applies(self, system, variant):
        # the others' Flink jobs would only be run once more
        return variant == "flink" or system.name in ("sluice", "kafka-avro")

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
