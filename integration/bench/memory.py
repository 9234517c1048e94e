#!/usr/bin/env python3
"""`make bench-memory`: the memory of a gateway with default settings under half an hour of mixed work.

    python3 integration/bench/memory.py [--seconds 1800] [--binary target/release/sluice]

Transactions of 100-byte and 1-KiB events are written and read back, one run after another, while 1,000 producers send small
events. Prints the least, the median and the most of each sixth of the time, and fails when 512 MB were passed.
"""

import argparse
import itertools
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from statistics import median

import paths  # noqa: F401, I001
import gateway as gateway_module
from bench import Quiet, explain
from cache import Cache
from failure import Failure
from processes import Processes

SLICES = 6
SAMPLE_S = 1
LIMIT_MB = 512
TRANSACTIONS = (("--events", "5000000", "--event-bytes", "100"), ("--events", "500000", "--event-bytes", "1024"))
PRODUCERS = ("fan-in", "--rate", "20000", "--duration", "20s")


def slices(samples, count):
    """Least, median and most of each of so many equal parts of the samples."""
    bounds = [len(samples) * part // count for part in range(count + 1)]
    parts = [samples[begin:end] for begin, end in itertools.pairwise(bounds)]
    return [(min(part), median(part), max(part)) for part in parts if part]


def resident_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024 / 1e6


class Load:
    """Commands run again and again, each kind in a thread of its own, until they are told to stop."""

    def __init__(self, gateway, *kinds):
        self.gateway = gateway
        self.ended = threading.Event()
        self.failure = None
        self.runs = 0
        self.threads = [threading.Thread(target=self._repeat, args=(kind,)) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def _repeat(self, kind):
        for words in itertools.cycle(kind):
            if self.ended.is_set():
                return
            try:
                self.gateway.command("bench", *words)
                self.runs += 1
            except Failure as failure:
                self.failure = failure
                self.ended.set()

    def stop(self):
        """Waits for the commands under way."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


def measure(gateway, seconds):
    """Resident megabytes of each second under load."""
    load = Load(gateway, TRANSACTIONS, (PRODUCERS,))
    samples = []
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and not load.ended.is_set():
            samples.append(resident_mb(gateway.process.pid))
            time.sleep(SAMPLE_S)
    finally:
        load.stop()
    return samples, load.runs


def main(arguments):
    parser = argparse.ArgumentParser(description="The gateway's memory over time")
    parser.add_argument("--seconds", type=float, default=1800, help="how long (1800)")
    parser.add_argument("--binary", help="a release binary `sluice`; by default it is built from this clone")
    options = parser.parse_args(arguments)
    cache = Cache()
    # the gateway takes every SLUICE_ variable for one of its own settings
    os.environ.pop("SLUICE_CACHE", None)
    folder = cache.new_run()
    processes = Processes(folder)
    try:
        binary = Path(options.binary).resolve() if options.binary else gateway_module.build(cache, Quiet())
        gateway = gateway_module.Gateway(binary, folder, processes)
        gateway.start()
        samples, runs = measure(gateway, options.seconds)
    except Failure as failure:
        explain("the memory run", failure)
        return 1
    finally:
        processes.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"resident memory of the gateway, MB, over {options.seconds:,.0f} s and {runs} runs of `sluice bench`")
    for number, (least, middle, most) in enumerate(slices(samples, SLICES), 1):
        print(f"  {number}/{SLICES}  least {least:6.1f}  median {middle:6.1f}  most {most:6.1f}")
    if max(samples) >= LIMIT_MB:
        print(f"failed: {max(samples):.1f} MB are over the limit of {LIMIT_MB} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
