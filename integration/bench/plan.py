"""`--plan`: every run in order with the seconds it takes at least, without running anything; and the time after which a workload is
given up, which follows from it."""

from typing import NamedTuple

import schedule
from flink_jobs import Filled

# Around each run: a MiniCluster comes up, a statement is planned, the stream is made and removed, servers come to rest.
AROUND_A_JOB_S = 3.0
AROUND_A_CLIENT_S = 4.0
# Kafka is formatted and started; the others take a fraction of it
START_S = 6.0
START_OTHERS_S = 1.0
# of a workload: nothing takes that long if it goes on at all
LIMIT_TIMES = 2.0
LIMIT_MORE_S = 600.0

# Records per second seen on two cores (docs/benchmarks.md), of what ends with its size and not with the clock. They only tell how long
# the plan takes; no figure of a system comes from here.
WRITTEN = {
    "W2 100B": {"sluice": 4.0e6, "kafka": 0.6e6, "paimon": 1.4e6, "iceberg": 1.3e6},
    "W2 1KiB": {"sluice": 510e3, "kafka": 120e3, "paimon": 250e3, "iceberg": 250e3},
    "bids": {"sluice": 1.9e6, "kafka-avro": 0.62e6, "kafka-json": 0.34e6, "paimon": 0.46e6, "iceberg": 0.68e6},
}
READ = {
    "W2 100B": {"sluice": 2.8e6, "kafka": 2.8e6, "paimon": 3.8e6, "iceberg": 2.2e6},
    "W2 1KiB": {"sluice": 310e3, "kafka": 330e3, "paimon": 450e3, "iceberg": 420e3},
    "W3 count-sum": {"sluice": 5.5e6, "kafka-avro": 1.05e6, "paimon": 4.0e6, "iceberg": 1.24e6},
    "W3 all-columns": {"sluice": 1.67e6, "kafka-avro": 0.97e6, "kafka-json": 0.63e6, "paimon": 1.73e6, "iceberg": 0.88e6},
    "W8 flink": {"sluice": 2.35e6, "kafka-avro": 0.94e6, "paimon": 2.2e6, "iceberg": 1.2e6},
}
# seconds of W7, whose transactions are few
TRANSACTIONS_S = {"1MB": 6.0, "100MB": 6.0, "1GB": 9.0, "recovery": 10.0}


class Step(NamedTuple):
    workload: str
    variant: str
    system: str
    what: str
    # what the clock alone makes it last
    fixed_s: float
    # with everything around, at the speeds above
    expected_s: float


def steps(workloads, options, kinds):
    """All of it; `kinds` are the classes of all systems by name."""
    chosen = {name: kinds[name] for name in options.systems}
    running, data, rows = [], None, {}
    for workload in workloads:
        for group in schedule.groups(workload, options.quick):
            wanted = schedule.systems(workload, group, chosen)
            if workload.data is None or workload.data != data:
                running, rows = [], {}
            for name in wanted:
                if name not in running:
                    cost = START_S if kinds[name].warms_up else START_OTHERS_S
                    yield Step(workload.name, ", ".join(group), name, "start", 0.0, cost)
            running, data = wanted, workload.data
            for variant in group:
                yield from _variant(workload, group, variant, chosen, rows)


def _variant(workload, group, variant, chosen, rows):
    label = f"{workload.name} {variant}"
    if isinstance(workload, Filled):
        for name in schedule.systems(workload, [variant], chosen):
            key = (workload.data or label, name)
            missing = workload.filled_records(chosen[name], variant) - rows.get(key, 0)
            rate = WRITTEN[workload.data or label].get(name)
            if rate and missing > 1:
                rows[key] = rows.get(key, 0) + missing
                yield Step(workload.name, variant, name, "fill", 0.0, missing / rate + AROUND_A_JOB_S)
    for turn in schedule.turns(workload, group, variant, chosen):
        fixed = workload.fixed_s(chosen[turn.system], variant)
        yield Step(workload.name, variant, turn.system, turn.name, fixed, _expected(workload, variant, chosen[turn.system], fixed))
    for name in schedule.systems(workload, [variant], chosen):
        seconds = workload.check_s(chosen[name], variant)
        if seconds:
            yield Step(workload.name, variant, name, "check", 0.0, seconds + AROUND_A_CLIENT_S)


def _expected(workload, variant, system, fixed):
    label = f"{workload.name} {variant}"
    if isinstance(workload, Filled) and not fixed:
        rate = READ.get(label, {}).get(system.name)
        # DuckDB is done within a second
        return workload.filled_records(system, variant) / rate + AROUND_A_JOB_S if rate else AROUND_A_CLIENT_S
    if workload.name == "W7":
        return TRANSACTIONS_S[variant] + AROUND_A_CLIENT_S
    return fixed + (AROUND_A_JOB_S if workload.in_flink else AROUND_A_CLIENT_S)


def minutes(workload, planned):
    """Of a workload, named."""
    return sum(step.expected_s for step in planned if step.workload == workload) / 60


def limit_s(workload, planned):
    """After which a workload is given up, so that one that stands still does not keep the others from their turn."""
    return LIMIT_MORE_S + LIMIT_TIMES * 60 * minutes(workload.name, planned)


def lines(planned):
    """The plan as text, with the sums."""
    planned = list(planned)
    for step in planned:
        yield f"{step.workload} {step.variant:<18} {step.system:<12} {step.what:<8} {step.fixed_s:5.0f} s  {step.expected_s:6.0f} s"
    yield ""
    for name in dict.fromkeys(step.workload for step in planned):
        yield _sum(name, [step for step in planned if step.workload == name])
    yield _sum("all", planned)


def _sum(name, planned):
    fixed, expected = sum(step.fixed_s for step in planned), sum(step.expected_s for step in planned)
    return f"{name:<4} {len(planned):>4} steps, at least {fixed / 60:5.1f} min by the clock alone, about {expected / 60:5.1f} min in all"
