#!/usr/bin/env python3
"""`make verify`: searches for a counterexample to what Sluice promises, at the sizes of CI (docs/testing.md tells what each layer does).

    python3 integration/verify/verify.py                       every layer
    python3 integration/verify/verify.py --layers model,kill   some
    python3 integration/verify/verify.py --hours 8             `make soak`: larger sizes, the simulation with new seeds each time, until the time is over

Prints what the layers print, and ends with a table: layer, runs, operations, faults fired, violations. Fails when a layer does, or when one did
not say how much it ran.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
# a soak runs each layer with so many times its size, in turn
SOAK_TIMES = 4


class Layer(NamedTuple):
    name: str
    # what it runs, and the environment that sets its size; `{seed}`, `{size}` and `{every}` are filled in
    command: tuple
    environment: dict
    size: int
    # finds the figures in what it prints: groups `runs`, `operations`, `faults`
    figures: str


LAYERS = (
    Layer(
        "model",
        ("cargo", "run", "--release", "--locked", "-q", "-p", "sluice-model", "--", "check", "--states", "{size}"),
        {},
        600_000,
        r"(?P<operations>\d+) unique states over (?P<runs>\d+) configuration",
    ),
    Layer(
        "simulation",
        ("cargo", "run", "--release", "--locked", "-q", "-p", "sluice-model", "--", "simulate", "--seeds", "{size}", "--seed", "{seed}"),
        {},
        20_000,
        r"(?P<runs>\d+) seeds, (?P<operations>\d+) steps, (?P<faults>\d+) faults",
    ),
    Layer(
        "crash images",
        ("cargo", "test", "--locked", "-p", "sluice-segment", "--lib", "--", "--nocapture", "store::tests::images"),
        {"CRASH_IMAGES": "{size}"},
        20_000,
        r"images (?P<runs>\d+), distinct (?P<operations>\d+)",
    ),
    Layer(
        "faults at every call",
        ("cargo", "test", "--locked", "-p", "sluice-segment", "--lib", "--", "--nocapture", "whichever_call"),
        # every fourth call of the script goes wrong, in each way; in a soak every call
        {"CRASH_FAULTS_EVERY": "{every}"},
        1,
        r"(?P<runs>\d+) calls, faults (?P<faults>\[[\d, ]+\])",
    ),
    Layer(
        "kill -9",
        ("cargo", "test", "--locked", "-p", "sluice-integration", "--test", "kill", "--", "--nocapture"),
        {"KILL_CYCLES": "{size}"},
        400,
        r"(?P<runs>\d+) cycles, (?P<operations>\d+) operations",
    ),
)


class Result(NamedTuple):
    layer: str
    runs: str
    operations: str
    faults: str
    violations: str
    seconds: float
    passed: bool


def run(layer, seed, times=1):
    """Runs a layer once with so many times its size; what it prints goes on to the terminal."""
    fill = {"seed": seed, "size": times * layer.size, "every": max(1, 4 // times)}
    command = [word.format(**fill) for word in layer.command]
    environment = os.environ | {key: value.format(**fill) for key, value in layer.environment.items()}
    print(f"\n== {layer.name}: {' '.join(command)}", flush=True)
    began = time.monotonic()
    found = None
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            found = re.search(layer.figures, line) or found
    seconds = time.monotonic() - began
    figures = found.groupdict() if found else {}
    passed = process.returncode == 0 and found is not None
    violations = "0" if passed else ("not run" if found is None else "see above")
    told = [figures.get(key) or "-" for key in ("runs", "operations", "faults")]
    return Result(layer.name, *told, violations, seconds, passed)


def table(results):
    heads = ("layer", "runs", "operations", "faults", "violations", "seconds")
    rows = [(r.layer, r.runs, r.operations, r.faults, r.violations, f"{r.seconds:.0f}") for r in results]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    # a format such as "{:<12}  {:>9}": words to the left, figures to the right
    form = "  ".join(f"{{:{'>' if column else '<'}{width}}}" for column, width in enumerate(widths))
    return "\n".join(form.format(*row) for row in (heads, *rows))


def parse(arguments):
    names = [layer.name for layer in LAYERS]

    def layers(text):
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(names)}")
        return [layer for layer in LAYERS if layer.name in chosen]

    parser = argparse.ArgumentParser(description="Searches for a counterexample to what Sluice promises")
    parser.add_argument("--layers", type=layers, default=list(LAYERS), help=f"of {', '.join(names)}; all if not given")
    parser.add_argument("--hours", type=float, help="goes on for so long with larger sizes, the simulation with new seeds each time")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    until = time.monotonic() + 3600 * (options.hours or 0)
    results, seed, times = [], 1, SOAK_TIMES if options.hours else 1
    while True:
        for layer in options.layers:
            results.append(run(layer, seed, times))
            seed += times * layer.size
        if time.monotonic() >= until or not all(result.passed for result in results):
            break
    print(f"\n{table(results)}")
    failed = [result.layer for result in results if not result.passed]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
