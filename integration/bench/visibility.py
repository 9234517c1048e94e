"""W4 and W5: how long from an event's making to a reader of committed data."""

from disk import fdatasync_ms_p99
from workload import Metric, Workload, java, new_name

EVENTS_PER_SECOND = 10_000
# of this time, the first of a run, the figures are not counted (Latency.java)
SETTLING_S = 5
# 100,000 events are enough for a 99th percentile; W5 needs time for what is held to end
SECONDS_AT_MOST = {"W4": 10.0, "W5": 15.0}
# the other transaction is opened three seconds later: something must still be written then
SECONDS_AT_LEAST = {"W4": 0.0, "W5": 8.0}


class Latency(Workload):
    name = "W4"
    title = "10,000 events/s through Flink: from an event to a reader of committed data"
    variants = ("100ms", "1s")
    quick_variants = ("100ms",)
    # `discard`: a sink that commits nothing, and no reader
    systems = ("sluice", "kafka", "discard")
    # W4 and W5 need the same servers, and each of their runs a stream of its own
    data = "latency"
    metrics = (Metric("latency_ms_p50", "-p50", "less"), Metric("latency_ms_p99", "-p99", "less"))
    checkpoint_ms = {"100ms": 100, "1s": 1000}
    # how another transaction stays open meanwhile
    others = {}
    # each run leaves its own first seconds out, but a JVM's first run is slow for longer
    warmups_at_most = 1

    def fixed_s(self, system, variant):
        seconds = min(self.options.seconds, SECONDS_AT_MOST[self.name])
        return max(seconds, SECONDS_AT_LEAST[self.name]) + SETTLING_S

    def measure(self, system, variant):
        stream = new_name(self)
        system.create(stream)
        limits = {"rate": EVENTS_PER_SECOND, "seconds": self.fixed_s(system, variant), **self.others.get(variant, {})}
        interval = self.checkpoint_ms[variant]
        figures = java(self.tools, system, "latency", stream=system.stream(stream), checkpoint_ms=interval, **limits)
        figures["fdatasync_ms_p99"] = fdatasync_ms_p99(system.folder)
        system.drop(stream)
        return figures


class OpenTransaction(Latency):
    name = "W5"
    title = "the same, while another transaction is open: none, held for 10 s, or left by a killed writer"
    systems = ("sluice", "kafka")
    # the time limit is that of Kafka's transactions; `none` is the normal latency, which the others are held against
    variants = ("none", "held-10s", "killed-10s-timeout")
    quick_variants = variants
    # W4, the same JVMs, went before
    warmups_at_most = 0
    metrics = (Metric("latency_ms_max", better="less"),)
    checkpoint_ms = dict.fromkeys(variants, 200)
    others = {"held-10s": {"hold_ms": 10_000}, "killed-10s-timeout": {"killed": 1}}
