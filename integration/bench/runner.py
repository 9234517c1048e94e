"""Runs workloads in turn on all systems and notes the figures. What fails is named and left out, and the others get their turn."""

import json
import sys
import time
import traceback

import schedule
from deadline import TimeUp, limit
from failure import Failure
from processes import tail
from systems import settle


class Bench:
    """`kinds` are the classes of all systems by name; `limits` the seconds after which a workload is given up."""

    def __init__(self, options, tools, run_folder, results_file, kinds, limits):
        self.options = options
        self.tools = tools
        self.run_folder = run_folder
        self.results_file = results_file
        self.kinds = {name: kinds[name] for name in options.systems}
        self.limits = limits
        self.results = []
        self.failed = []
        self.started = {}
        # minutes of each workload
        self.took = {}
        self._data = None

    def run(self, workload):
        """All its variants; its time limit is for all of them together."""
        began = time.monotonic()
        try:
            with limit(self.limits[workload.name]):
                for group in schedule.groups(workload, self.options.quick):
                    self._run_group(workload, group)
        except TimeUp as up:
            self._fail(f"{workload.name} (the rest of it)", up)
            self.stop_all()
        self.took[workload.name] = (time.monotonic() - began) / 60

    def _run_group(self, workload, group):
        wanted = schedule.systems(workload, group, self.kinds)
        if workload.data is None or workload.data != self._data:
            self.stop_all()
        self._data = workload.data
        for name in [name for name in self.started if name not in wanted]:
            self._stop(name)
        self._start([name for name in wanted if name not in self.started], workload)
        for variant in group:
            self._run_variant(workload, group, variant)

    def _start(self, names, workload):
        for name in names:
            with self._failing(f"{workload.name} {name}", name):
                self.started[name] = self.kinds[name](self.tools, self.run_folder)
                self.started[name].start()
        # several come up at the same time
        for name in [name for name in names if name in self.started]:
            with self._failing(f"{workload.name} {name}", name):
                self.started[name].ready()

    def _run_variant(self, workload, group, variant):
        taking_part = schedule.systems(workload, [variant], self.kinds)
        for name in taking_part:
            self._do(workload, variant, name, lambda system: workload.prepare(system, variant))
        for turn in schedule.turns(workload, group, variant, self.kinds):
            self._do(workload, variant, turn.system, lambda system, turn=turn: self._measure(workload, variant, system, turn))
        for name in taking_part:
            self._do(workload, variant, name, lambda system: workload.finish(system, variant))

    def _do(self, workload, variant, name, action):
        """Something with a system, unless it has failed before."""
        if name in self.started:
            with self._failing(f"{workload.name} {variant} {name}", name):
                action(self.started[name])

    def _measure(self, workload, variant, system, turn):
        began = time.monotonic()
        settle(self.started.values())
        settled = time.monotonic()
        figures = complete(workload.measure(system, variant))
        figures |= {"settle_s": settled - began, "run_s": time.monotonic() - settled}
        self._note(workload, variant, system, turn.number, figures)

    def _note(self, workload, variant, system, number, figures):
        counted = number >= 0
        main = ", ".join(f"{m.key} {figures[m.key]:,.3f}" for m in workload.metrics if m.key in figures)
        self.tools.say(f"{workload.name} {variant:<14} {system.name:<12} {'' if counted else 'warm-up  '}{main}")
        if not counted:
            return
        for counts in (variant, *workload.counts_for(system, variant)):
            result = {"workload": workload.name, "variant": counts, "system": system.name, "round": number, **figures}
            self.results.append(result)
            with open(self.results_file, "a") as file:
                file.write(json.dumps(result) + "\n")

    def _failing(self, what, name):
        return _Failing(self, what, name)

    def _fail(self, what, failure, logs=()):
        explain(what, failure, logs)
        self.failed.append(what)

    def _stop(self, name):
        self.started.pop(name).stop()

    def stop_all(self):
        while self.started:
            self._stop(next(reversed(self.started)))


class _Failing:
    """What fails inside is told and noted, and its system stopped; only the end of this program and of the time go on."""

    def __init__(self, bench, what, system):
        self.bench = bench
        self.what = what
        self.system = system

    def __enter__(self):
        return self

    def __exit__(self, kind, failure, trace):
        if kind is None or issubclass(kind, TimeUp) or not issubclass(kind, Exception):
            return False
        started = self.bench.started.get(self.system)
        # what it wrote is gone after its stop
        self.bench._fail(self.what, failure, started.logs() if started else ())
        if started:
            self.bench._stop(self.system)
        return True


def explain(what, failure, logs=()):
    print(f"\n{what} failed: {failure}", file=sys.stderr)
    if not isinstance(failure, (Failure, TimeUp)):
        traceback.print_exception(failure)
    for log in dict.fromkeys((*getattr(failure, "logs", ()), *logs)):
        print(f"\n  the last lines of {log}:", *tail(log), sep="\n    ", file=sys.stderr)
        if named := causes(log):
            print("\n  what they name as causes:", *named, sep="\n    ", file=sys.stderr)
    sys.stderr.flush()


def causes(log):
    """Java's own, each once: they may stand hundreds of lines above the last ones."""
    lines = (line.strip() for line in tail(log, lines=5_000))
    return list(dict.fromkeys(line[:500] for line in lines if line.startswith("Caused by:")))


def complete(figures):
    """With what follows from the others."""
    if "cpu_flink_s" in figures and figures.get("records"):
        server = figures.get("cpu_server_s", 0.0)
        figures["cpu_server_us_per_record"] = server * 1e6 / figures["records"]
        figures["cpu_us_per_record"] = (figures["cpu_flink_s"] + server) * 1e6 / figures["records"]
    return figures
