"""W1, W2, W3 and W8: Flink jobs that write or read as fast as they can."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import run
from disk import sequential_mb_per_s
from failure import Failure
from workload import FILL_TIMEOUT_S, JOB_TIMEOUT_S, SIZES, Metric, Workload, java, new_name, sql, write_bytes

DUCKDB = Path(__file__).resolve().parent / "duckdb_query.py"
# bytes of a payload
SUSTAINED = {"100B-sustained": 100, "1KiB-sustained": 1024}
# seconds of the sustained variants: the whole time only where a backlog could make a difference late (docs/benchmarks.md)
SUSTAINED_1KIB_S = 90.0
SUSTAINED_PEER_S = 60.0
SAMPLE_S = 1
DISK_BYTES = 1 << 30


class Write(Workload):
    name = "W1"
    title = "Flink -> exactly-once sink"
    variants = (*SIZES, *SUSTAINED)
    quick_variants = ("100B", "1KiB", "100B-sustained")
    systems = ("sluice", "kafka", "kafka-fsync", "paimon", "iceberg", "discard")
    alone = tuple(SUSTAINED)

    def applies(self, system, variant):
        # a broker has no second copy to write: what it reaches in a burst it reaches for long
        if variant in SUSTAINED:
            return system.name == "sluice" or (system.name, variant) == ("paimon", "100B-sustained")
        # making payloads costs next to nothing, whatever their size
        return variant == "100B" or not (system.only_tables or system.name == "discard")

    def rounds(self, variant):
        return (0, 1) if variant in SUSTAINED else super().rounds(variant)

    def fixed_s(self, system, variant):
        return self.sustained_seconds(system, variant) if variant in SUSTAINED else self.options.seconds

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
        longest = self.options.sustained_seconds
        if system.name != "sluice":
            return min(longest, SUSTAINED_PEER_S)
        return longest if variant == "100B-sustained" else min(longest, SUSTAINED_1KIB_S)

    def sustained(self, system, stream, size, seconds):
        """Minutes of it, with the older events removed meanwhile; how the backlog grew tells whether it would go on like this."""
        disk = self.disk(system)
        slice_seconds = max(5, int(seconds / 30))
        arguments = {"stream": system.stream(stream), "size": size, "seconds": seconds, "slice_s": slice_seconds}
        ended = threading.Event()
        with ThreadPoolExecutor(1) as thread:
            sampling = thread.submit(self.sample, system, stream, ended)
            try:
                figures = java(self.tools, system, "write-bytes", seconds + JOB_TIMEOUT_S, **arguments)
            finally:
                ended.set()
        backlogs = sampling.result()
        system.drop_slices(stream)
        return figures | {
            "disk_mb_per_s": disk,
            "backlog_half": backlogs[len(backlogs) // 2],
            "backlog_end": backlogs[-1],
            "backlog_max": max(backlogs),
        }

    @staticmethod
    def sample(system, stream, ended):
        """The backlog, again and again until the job has ended and once after it."""
        backlogs = []
        last = False
        while not last:
            last = ended.wait(SAMPLE_S)
            backlogs.append(system.expire(stream))
        return backlogs


class Filled(Workload):
    """Reads what is written once, and checks that all of it was read."""

    def filled_records(self, system, variant):
        """How many records are read of a system, or of its class, in a variant."""
        raise NotImplementedError

    def fill(self, system, stream, records, write):
        """Writes what is not there yet: another workload may have left some."""
        there = system.rows.get(stream, 0)
        missing = records - there
        # each of two generators writes half of them
        if missing < 2:
            return
        self.tools.say(f"{self.name}: {system.name} is filled with {missing:,} records")
        # the time is no limit here
        written = write(seconds=1e9, records=missing, timeout_s=FILL_TIMEOUT_S, **({"before": there} if there else {}))
        system.rows[stream] = there + written["records"]

    def checked(self, system, stream, figures):
        written = system.rows[stream]
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

    def filled_records(self, system, variant):
        return int(self.options.read_gigabytes * 1e9 / SIZES[variant])

    def prepare(self, system, variant):
        stream, records = self.stream(variant), self.filled_records(system, variant)
        system.create(stream)
        self.fill(system, stream, records, lambda **limits: write_bytes(self.tools, system, stream, SIZES[variant], **limits))

    def measure(self, system, variant):
        stream = self.stream(variant)
        if system.only_tables:
            figures = sql(self.tools, system, stream, "payloads", "read", mode="batch")
        else:
            figures = java(self.tools, system, "read-bytes", stream=system.stream(stream))
        return self.checked(system, stream, figures)

    def finish(self, system, variant):
        system.drop(self.stream(variant))

    @staticmethod
    def stream(variant):
        return f"w2-{variant.lower()}"


BID_BYTES = 140
# the stream of bids that is read
BIDS = "bids"


def fill_bids(workload, system, records):
    if BIDS not in system.rows:
        system.create(BIDS, of_bytes=False)
    workload.fill(system, BIDS, records, lambda **limits: sql(workload.tools, system, BIDS, "bids", "insert", **limits))


class Bids(Filled):
    name = "W3"
    title = "Flink SQL over Nexmark bids"
    variants = ("insert", "count-sum", "all-columns")
    quick_variants = variants
    systems = ("sluice", "kafka-avro", "kafka-json", "paimon", "iceberg", "blackhole")
    actions = {"count-sum": "sum", "all-columns": "read"}
    data = BIDS
    # the filling is one of full size
    warmups_at_most = 0

    def applies(self, system, variant):
        if system.name == "blackhole":
            return variant == "insert"
        # reading JSON costs the same, whatever is then done with the columns
        return (system.name, variant) != ("kafka-json", "count-sum")

    def filled_records(self, system, variant):
        # JSON is read at a third of the others' rates: as long as they
        share = 6 if system.name == "kafka-json" else 2
        return int(self.options.read_gigabytes / share * 1e9 / BID_BYTES)

    def fixed_s(self, system, variant):
        return self.options.seconds if variant == "insert" else 0.0

    def prepare(self, system, variant):
        if system.name != "blackhole":
            fill_bids(self, system, self.filled_records(system, variant))

    def measure(self, system, variant):
        if variant == "insert":
            stream = new_name(self)
            system.create(stream, of_bytes=False)
            figures = sql(self.tools, system, stream, "bids", "insert", seconds=self.options.seconds)
            if system.name != "blackhole":
                system.drop(stream)
            return figures
        mode = "batch" if system.only_tables else "streaming"
        return self.checked(system, BIDS, sql(self.tools, system, BIDS, "bids", self.actions[variant], mode=mode))


class Batch(Filled):
    name = "W8"
    title = "COUNT and SUM by channel over bids, as a batch"
    variants = ("flink", "duckdb")
    quick_variants = variants
    systems = ("sluice", "kafka-avro", "paimon", "iceberg")
    metrics = (Metric("seconds", better="less"),)
    data = BIDS
    warmups_at_most = 1

    def applies(self, system, variant):
        return variant == "flink" or system.name == "sluice"

    def counts_for(self, system, variant):
        # what DuckDB is compared with: the same job over Kafka need not be run once more
        return ("duckdb",) if (system.name, variant) == ("kafka-avro", "flink") else ()

    def filled_records(self, system, variant):
        return self.options.batch_records

    def prepare(self, system, variant):
        fill_bids(self, system, self.filled_records(system, variant))
        system.publish(BIDS)

    def measure(self, system, variant):
        if variant == "duckdb":
            figures = json.loads(run([self.tools.python(), DUCKDB, system.parquet(BIDS)], "DuckDB", timeout_s=JOB_TIMEOUT_S))
        else:
            figures = sql(self.tools, system, BIDS, "bids", "group", mode="batch")
        return self.checked(system, BIDS, figures)
