"""W6, W7 and W9: clients without Flink."""

import json
import random
import re

from disk import fdatasync_ms_p99
from failure import Failure
from systems import reset_peak_memory
from workload import CPU, JOB_TIMEOUT_S, RATE, SIZES, Metric, Workload, java, new_name

# of W6 and W9: no Flink job whose last checkpoint would have to be small beside the whole
SECONDS_AT_MOST = 10.0
# what `sluice bench` writes to tell how much lasts long enough
PROBE_BYTES = 1_000_000_000
# lines that kafka-producer-perf-test chooses from; few enough to stay in the processor's cache
PERF_TEST_PAYLOADS = 2_000


class Client(Workload):
    name = "W6"
    title = "client without Flink, transactions of one second"
    variants = tuple(SIZES)
    quick_variants = ("100B",)
    systems = ("sluice", "kafka", "kafka-fsync")
    metrics = (RATE, CPU, Metric("commit_ms_p50", "-commit", "less"))
    warmups_at_most = 1
    in_flink = False

    def __init__(self, tools, options):
        super().__init__(tools, options)
        self.rate = {}
        self.last = {}

    def fixed_s(self, system, variant):
        return min(self.options.seconds, SECONDS_AT_MOST)

    def check_s(self, system, variant):
        return 2 * self.fixed_s(system, variant) if system.name == "kafka" else 0.0

    def prepare(self, system, variant):
        if system.name == "sluice":
            # `sluice bench` wants a number of events; this tells how many last long enough
            self.rate[variant] = self.sluice(system, variant, PROBE_BYTES // SIZES[variant])["records_per_s"]

    def measure(self, system, variant):
        if system.name == "sluice":
            return self.sluice(system, variant, int(self.rate[variant] * self.fixed_s(system, variant)))
        size = SIZES[variant]
        stream = new_name(self)
        system.create(stream)
        figures = java(self.tools, system, "kafka-client", stream=stream, size=size, seconds=self.fixed_s(system, variant), commit_ms=1000)
        system.drop(stream)
        self.last[system.name] = figures
        return figures

    def finish(self, system, variant):
        """Tells how near this suite's client comes to Kafka's own measuring tool on the same broker."""
        if system.name == "kafka":
            topic = new_name(self)
            system.create(topic)
            last = self.last[system.name]
            tool = self.perf_test(system, topic, SIZES[variant], last["records"])
            system.drop(topic)
            share = last["records_per_s"] / tool
            self.tools.say(f"{self.name} {variant} kafka-producer-perf-test reaches {tool:,.0f} records/s; our client {share:.2f} of it")

    @staticmethod
    def sluice(system, variant, events):
        return sluice_bench(system, ("--events", events, "--event-bytes", SIZES[variant], "--segments", 2))

    @staticmethod
    def perf_test(system, topic, size, records):
        """What Kafka's own measuring tool reaches on the same broker with the same settings."""
        settings = ("batch.size=262144", "linger.ms=5", "buffer.memory=67108864")
        # its own --record-size draws every byte by itself, which costs more than sending them
        payloads = system.folder / "payloads.txt"
        payloads.write_text("\n".join(perf_test_payloads(size)))
        printed = system.tool(
            "org.apache.kafka.tools.ProducerPerformance",
            *("--topic", topic, "--payload-file", payloads, "--throughput", "-1"),
            # our client's JVM is warm, too; the last line is of what comes after
            *("--num-records", str(2 * records), "--warmup-records", str(records)),
            *("--transactional-id", "perf-test", "--transaction-duration-ms", "1000"),
            *("--bootstrap-server", system.endpoint, "--command-property", *settings),
            timeout_s=JOB_TIMEOUT_S,
        )
        return float(re.findall(r"records sent, ([\d.]+) records/sec", printed)[-1])


def perf_test_payloads(size):
    """Lines of so many pseudo-random letters."""
    letters = random.Random(0)
    return [letters.randbytes(size // 2 + 1).hex()[:size] for _ in range(PERF_TEST_PAYLOADS)]


RECOVERY = "recovery"


class TransactionSize(Workload):
    name = "W7"
    title = "prepare and commit of a transaction, by its size"
    # megabytes of a transaction, and how many: enough of the smallest for a 99th percentile
    transactions = {"1MB": (1, 200), "100MB": (100, 5), "1GB": (1000, 1)}
    variants = (*transactions, RECOVERY)
    quick_variants = ("1MB", RECOVERY)
    systems = ("sluice", "kafka", "kafka-fsync")
    metrics = (
        Metric("commit_ms_p50", better="less"),
        Metric("commit_ms_p99", "-p99", "less"),
        Metric("prepare_ms_p50", "-prepare", "less"),
        Metric("recovery_s", better="less"),
    )
    event_bytes = 1000
    warmups_at_most = 1
    in_flink = False
    # what earlier transactions left would be found again, too
    alone = (RECOVERY,)

    def applies(self, system, variant):
        # Kafka keeps one prepared transaction for each producer
        if variant == RECOVERY:
            return system.name == "sluice"
        # with an fsync for every append a gigabyte takes minutes, and the commit itself stays the same
        return variant == "1MB" or system.name != "kafka-fsync"

    def measure(self, system, variant):
        if variant == RECOVERY:
            return self.recovery(system)
        megabytes, count = self.transactions[variant]
        figures = self.commits(system, megabytes * 1_000_000, count)
        return figures | {"fdatasync_ms_p99": fdatasync_ms_p99(system.folder)}

    def commits(self, system, size, count):
        """Transactions of so many bytes, one after another."""
        if system.name == "sluice":
            events = size // self.event_bytes
            words = ("--events", count * events, "--transaction-events", events, "--event-bytes", self.event_bytes)
            return sluice_bench(system, (*words, "--commit-interval", "1d", "--segments", 2))
        stream = new_name(self)
        system.create(stream)
        limits = {"transaction_bytes": size, "transactions": count}
        figures = java(self.tools, system, "kafka-client", stream=stream, size=self.event_bytes, **limits)
        system.drop(stream)
        return figures

    def recovery(self, system):
        """From the start after kill -9 until the gateway is ready, with many prepared transactions to find again."""
        stream = new_name(self)
        system.create(stream)
        arguments = {"stream": system.stream(stream), "transactions": self.options.prepared}
        prepared = java(self.tools, system, "prepare-many", **arguments)["records"]
        seconds = system.recover()
        found = system.transactions(stream)
        if found != prepared:
            raise Failure(f"{prepared:,} transactions were prepared, but after kill -9 there are {found:,}")
        return {"records": prepared, "recovery_s": seconds}


class FanIn(Workload):
    name = "W9"
    title = "1,000 producers of small events on 8 connections"
    variants = ("150k/s", "unpaced")
    quick_variants = ("150k/s",)
    systems = ("sluice", "kafka", "kafka-fsync")
    metrics = (RATE, CPU, Metric("latency_ms_p50", "-p50", "less"), Metric("latency_ms_p99", "-p99", "less"))
    # 0: as many as they can
    rates = {"150k/s": 150_000, "unpaced": 0}

    warmups_at_most = 1
    in_flink = False

    def applies(self, system, variant):
        # without a schedule only the most that this server takes is asked
        return variant != "unpaced" or system.name == "sluice"

    def fixed_s(self, system, variant):
        return min(self.options.seconds, SECONDS_AT_MOST)

    def measure(self, system, variant):
        figures = self.sluice(system, variant) if system.name == "sluice" else self.kafka(system, variant)
        return figures | {"fdatasync_ms_p99": fdatasync_ms_p99(system.folder)}

    def kafka(self, system, variant):
        stream = new_name(self)
        system.create(stream)
        limits = {"rate": self.rates[variant], "seconds": self.fixed_s(system, variant)}
        figures = java(self.tools, system, "kafka-fan-in", stream=stream, **limits)
        system.drop(stream)
        return figures

    def sluice(self, system, variant):
        words = ("bench", "fan-in", "--rate", self.rates[variant], "--duration", f"{self.fixed_s(system, variant):.0f}s")
        answer = sluice_answer(system, words)
        figures = {
            "records": answer["events"],
            "bytes": answer["bytes"],
            "seconds": answer["seconds"],
            "records_per_s": answer["events_per_second"],
            "mb_per_s": answer["bytes_per_second"] / 1e6,
            "latency_ms_p50": answer["acknowledged_ms_median"],
            "latency_ms_p99": answer["acknowledged_ms_p99"],
            "latency_ms_max": answer["acknowledged_ms_max"],
        }
        return figures | usage(answer)


def sluice_bench(system, words):
    """The figures of `sluice bench`, the Rust client, under the names that the other systems' have."""
    answer = sluice_answer(system, ("bench", "--write-only", *words))
    write = answer["write"]
    return {
        "records": answer["events"],
        "bytes": answer["events"] * answer["event_bytes"],
        "seconds": write["seconds"],
        "records_per_s": write["events_per_second"],
        "mb_per_s": write["bytes_per_second"] / 1e6,
        "commit_count": write["commits"],
        "prepare_ms_p50": write["prepare_ms_median"],
        "prepare_ms_p99": write["prepare_ms_p99"],
        "prepare_ms_max": write["prepare_ms_max"],
        "commit_ms_p50": write["commit_ms_median"],
        "commit_ms_p99": write["commit_ms_p99"],
        "commit_ms_max": write["commit_ms_max"],
    } | usage(answer)


def sluice_answer(system, words):
    """What a command of `sluice bench` answers."""
    reset_peak_memory(system.pid)
    printed = system.gateway.command(*map(str, words))
    # before the answer it says what it is doing
    return json.JSONDecoder().raw_decode(printed, printed.index("{"))[0]


def usage(answer):
    """CPU and memory of the Rust client and of the gateway, under the names that Flink's have."""
    return {
        "cpu_flink_s": answer["client"]["cpu_seconds"],
        "rss_flink_mb": answer["client"]["peak_bytes"] / 1e6,
        "cpu_server_s": answer["gateway"]["cpu_seconds"],
        "rss_server_mb": answer["gateway"]["peak_bytes"] / 1e6,
    }
