#!/usr/bin/env python3
"""`make bench`: Sluice beside its peers, on this machine, in turn, with the same jobs (docs/benchmarks.md explains each workload).

    python3 integration/bench/bench.py                                       everything
    python3 integration/bench/bench.py --workloads W1,W4 --systems sluice,kafka --rounds 3
    python3 integration/bench/bench.py --quick                               the same, small: it shows that all works

Prints a table of medians and a RATIO line for each comparison; every measured run becomes a JSON line below target/bench/.
"""

import argparse
import json
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
import report  # noqa: E402
from cache import Cache  # noqa: E402
from commands import run  # noqa: E402
from failure import Failure  # noqa: E402
from flink_distribution import check_java, check_maven  # noqa: E402
from processes import tail  # noqa: E402
from systems import SYSTEMS  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

FULL = {"rounds": 3, "warmups": 2, "seconds": 20.0, "sustained_seconds": 600.0, "read_gigabytes": 4.0}
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
        classes = HERE / "jobs" / "target" / "classes"
        self.jobs_classpath = f"{classes}:{(HERE / 'jobs' / 'target' / 'classpath').read_text().strip()}"
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


class Bench:
    def __init__(self, options, tools, run_folder, results_file):
        self.options = options
        self.tools = tools
        self.run_folder = run_folder
        self.results_file = results_file
        self.results = []
        self.failed = []
        self.started = []

    def run(self, workload):
        """Every group of variants with systems started from nothing."""
        variants = workload.quick_variants if self.options.quick else workload.variants
        for group in [variants] if workload.shares_data else [[variant] for variant in variants]:
            try:
                for name in workload.systems:
                    if name in self.options.systems:
                        self.start(name)
                self.run_group(workload, group)
            except Failure as failure:
                # the others still get their turn
                explain(failure)
                self.failed.append(f"{workload.name} {', '.join(group)}")
            finally:
                self.stop_all()

    def start(self, name):
        system = SYSTEMS[name](self.tools, self.run_folder)
        self.started.append(system)
        system.start()

    def run_group(self, workload, group):
        for system in self.started:
            workload.prepare(system, group[0])
        for variant in group:
            self.run_variant(workload, variant)

    def run_variant(self, workload, variant):
        """All systems in turn, round after round; the first rounds of those with a JVM for a server only warm it up."""
        warmups, rounds = workload.rounds(variant)
        for number in range(-warmups, rounds):
            for system in self.started:
                if not workload.applies(system, variant) or (number < 0 and not system.warms_up):
                    continue
                if system.rounds_at_most is not None and number >= system.rounds_at_most:
                    continue
                for waiting in self.started:
                    waiting.settle()
                self.note(workload, variant, system, number, workload.measure(system, variant))
        for system in self.started:
            workload.finish(system, variant)

    def note(self, workload, variant, system, number, figures):
        counted = number >= 0
        figures = complete(figures)
        result = {"workload": workload.name, "variant": variant, "system": system.name, "round": number, **figures}
        main = ", ".join(f"{m.key} {figures[m.key]:,.3f}" for m in workload.metrics if m.key in figures)
        self.tools.say(f"{workload.name} {variant:<14} {system.name:<12} {'' if counted else 'warm-up  '}{main}")
        if counted:
            self.results.append(result)
            with open(self.results_file, "a") as file:
                file.write(json.dumps(result) + "\n")

    def stop_all(self):
        while self.started:
            self.started.pop().stop()


def complete(figures):
    """With what follows from the others."""
    if "cpu_flink_s" in figures and figures.get("records"):
        server = figures.get("cpu_server_s", 0.0)
        figures["cpu_server_us_per_record"] = server * 1e6 / figures["records"]
        figures["cpu_us_per_record"] = (figures["cpu_flink_s"] + server) * 1e6 / figures["records"]
    return figures


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
    parser.add_argument("--rounds", type=int, help="measured runs of each system (3; quick: 1)")
    parser.add_argument("--warmups", type=int, help="full-size runs before them that do not count (2; quick: 0)")
    parser.add_argument("--seconds", type=float, help="how long a job writes (20; quick: 4)")
    parser.add_argument("--sustained-seconds", type=float, help="how long W1 writes in its longest variant (600; quick: 10)")
    parser.add_argument("--prepared", type=int, help="prepared transactions that W7 recovers (10,000; quick: 1,000)")
    parser.add_argument("--read-gigabytes", type=float, help="how much a job reads (4; quick: 0.2)")
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


def explain(failure):
    print(f"\nThe benchmark failed: {failure}", file=sys.stderr)
    for log in failure.logs:
        print(f"\n  the last lines of {log}:", *tail(log), sep="\n    ", file=sys.stderr)


def main(arguments):
    options = parse(arguments)
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
        bench = Bench(options, tools, run_folder, results_file)
        workloads = [WORKLOADS[name](tools, options) for name in options.workloads]
        for workload in workloads:
            bench.run(workload)
        print(report.summarize(workloads, bench.results))
        print(f"\n{len(bench.results)} runs in {results_file}")
        if bench.failed:
            print(f"failed, see above: {'; '.join(bench.failed)}")
        return 1 if bench.failed else 0
    except Failure as failure:
        explain(failure)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if bench:
            bench.stop_all()
        shutil.rmtree(run_folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
