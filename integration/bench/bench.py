#!/usr/bin/env python3
"""`make bench`: Sluice beside its peers, on this machine, in turn, with the same jobs (docs/benchmarks.md explains each workload).

    python3 integration/bench/bench.py                                       everything
    python3 integration/bench/bench.py --workloads W1,W4 --systems sluice,kafka --rounds 3
    python3 integration/bench/bench.py --quick                               the same, small: it shows that all works
    python3 integration/bench/bench.py --plan                                what would run, and for how long

Prints a table of medians and a RATIO line for each comparison; every measured run becomes a JSON line below target/bench/.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))

import paths  # noqa: E402, F401, I001
import gateway as gateway_module  # noqa: E402
import plan  # noqa: E402
import report  # noqa: E402
from cache import Cache  # noqa: E402
from commands import run  # noqa: E402
from failure import Failure  # noqa: E402
from flink_distribution import check_java, check_maven  # noqa: E402
from runner import Bench, explain  # noqa: E402
from systems import SYSTEMS  # noqa: E402
from workload import archive_classes  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

FULL = {"rounds": 3, "warmups": 2, "seconds": 20.0, "sustained_seconds": 600.0, "read_gigabytes": 5.0}
FULL |= {"batch_records": 20_000_000, "prepared": 10_000}
QUICK = {"rounds": 1, "warmups": 0, "seconds": 4.0, "sustained_seconds": 10.0, "read_gigabytes": 0.2}
QUICK |= {"batch_records": 1_000_000, "prepared": 1_000}
QUICK_SYSTEMS = ("sluice", "kafka", "kafka-avro", "paimon", "iceberg")


class Tools:
    """What the workloads run."""

    def __init__(self, cache, binary):
        self.cache = cache
        maven = check_maven()
        check_java()
        self.say("building")
        self.sluice = Path(binary).resolve() if binary else gateway_module.build(cache, Quiet())
        shim = REPOSITORY / "java-shim" / "pom.xml"
        build = ("-Dmaven.test.skip=true", "package")
        run([maven, "-q", "-B", "-f", shim, "-Pbench", "-pl", ":sluice-bench-jobs", "-am", *build], "building the jobs")
        run([maven, "-q", "-B", "-f", HERE / "broker", "package"], "fetching Kafka from Maven Central")
        jar = next((HERE / "jobs" / "target").glob("sluice-bench-jobs-*.jar"))
        self.jobs_classpath = f"{jar}:{(HERE / 'jobs' / 'target' / 'classpath').read_text().strip()}"
        archive_classes(self.jobs_classpath, jar)
        self.broker_classpath = (HERE / "broker" / "target" / "classpath").read_text().strip()

    def python(self):
        """A Python that has DuckDB."""
        return self.cache.tools(Quiet())

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Quiet:
    """Stands in for the demo's progress lines."""

    def update(self, text):
        pass


def parse(arguments):
    def names(allowed):
        def split(text):
            chosen = [name.strip() for name in text.split(",") if name.strip()]
            unknown = [name for name in chosen if name not in allowed]
            if unknown:
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(allowed)}")
            return chosen

        return split

    parser = argparse.ArgumentParser(description="Sluice beside its peers")
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS), help="such as W1,W4; all if not given")
    systems = list(dict.fromkeys([*(system.family for system in SYSTEMS.values()), *SYSTEMS]))
    parser.add_argument("--systems", type=names(systems), help="such as sluice,kafka or sluice,kafka-fsync; all if not given")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: shows that everything works")
    parser.add_argument("--plan", action="store_true", help="run nothing; print every run in order and how long it takes")
    parser.add_argument("--rounds", type=int, help="measured runs of each system (3; quick: 1)")
    parser.add_argument("--warmups", type=int, help="full-size runs before them that do not count (2; quick: 0)")
    parser.add_argument("--seconds", type=float, help="how long a job writes (20; quick: 4)")
    parser.add_argument("--sustained-seconds", type=float, help="how long W1 writes in its longest variant (600; quick: 10)")
    parser.add_argument("--prepared", type=int, help="prepared transactions that W7 recovers (10,000; quick: 1,000)")
    parser.add_argument("--read-gigabytes", type=float, help="how much a job reads (5; quick: 0.2)")
    parser.add_argument("--batch-records", type=int, help="rows of the batch query (20 million; quick: 1 million)")
    parser.add_argument("--binary", help="a release binary `sluice` to measure; by default it is built from this clone")
    options = parser.parse_args(arguments)
    if options.systems is None:
        options.systems = list(QUICK_SYSTEMS if options.quick else SYSTEMS)
    else:
        chosen = set(options.systems)
        options.systems = [name for name, system in SYSTEMS.items() if {name, system.family} & chosen]
    for key, value in (QUICK if options.quick else FULL).items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def main(arguments):
    options = parse(arguments)
    if options.plan:
        workloads = [WORKLOADS[name](None, options) for name in options.workloads]
        print("expected of each step: by the clock alone, and in all", *plan.lines(plan.steps(workloads, options, SYSTEMS)), sep="\n")
        return 0
    cache = Cache()
    # the gateway takes every SLUICE_ variable for one of its own settings
    os.environ.pop("SLUICE_CACHE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results_folder = REPOSITORY / "target" / "bench"
    results_folder.mkdir(parents=True, exist_ok=True)
    run_folder = cache.new_run()
    results_file = results_folder / f"{run_folder.name}.jsonl"
    bench = None
    try:
        tools = Tools(cache, options.binary)
        workloads = [WORKLOADS[name](tools, options) for name in options.workloads]
        planned = list(plan.steps(workloads, options, SYSTEMS))
        limits = {workload.name: plan.limit_s(workload, planned) for workload in workloads}
        bench = Bench(options, tools, run_folder, results_file, SYSTEMS, limits)
        for workload in workloads:
            bench.run(workload)
        bench.stop_all()
        return conclude(bench, workloads, planned)
    except Failure as failure:
        explain("the benchmark", failure)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if bench:
            bench.stop_all()
        shutil.rmtree(run_folder, ignore_errors=True)


def conclude(bench, workloads, planned):
    """The table, how long it took, and what failed."""
    print(report.summarize(workloads, bench.results))
    minutes = [f"{name} {took:.1f} (plan: {plan.minutes(name, planned):.1f})" for name, took in bench.took.items()]
    print(f"\n{len(bench.results)} runs in {bench.results_file}; minutes: {', '.join(minutes)}; in all {sum(bench.took.values()):.1f}")
    if bench.failed:
        print(f"FAILED, see above: {'; '.join(bench.failed)}")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
