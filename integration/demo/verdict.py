"""The end of the demo: every reader's figures beside those of the CSV, and the one line that says it all."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import oracle
from commands import run
from failure import Failure

HERE = Path(__file__).resolve().parent


@dataclass
class Reading:
    """What one reader of the result found."""

    reader: str
    files: int
    differences: list  # of its figures from those of the CSV
    audit: object = None  # oracle.Audit, if the reader looked at the order of the events too
    figures: dict = None


def scan_parquet(python, tool, folder, work_folder, truth):
    """Counts, sums and every single event of the Parquet files in `folder`, as DuckDB or pyarrow sees them."""
    events = Path(work_folder) / f"events-{tool}.csv"
    answer = json.loads(
        run([python, HERE / "scan.py", tool, folder, events], f"scanning the Parquet files with {tool}")
    )
    figures = {carrier: oracle.Figures(*values) for carrier, values in answer["figures"].items()}
    found = oracle.audit(truth, events)
    name = {"duckdb": "DuckDB"}.get(tool, tool)
    return Reading(name, answer["files"], oracle.differences(truth, figures), found, figures)


def read_report(folder, truth):
    """The figures that Flink's batch query wrote."""
    parts = sorted(Path(folder).glob("**/part-*"))
    if not parts:
        raise Failure(f"Flink's batch query left no result in {folder}")
    figures = {}
    for part in parts:
        with open(part, newline="") as lines:
            for carrier, *values in csv.reader(lines):
                if carrier in figures:
                    raise Failure(f"Flink's batch query answered twice for carrier {carrier}")
                figures[carrier] = oracle.Figures(*(int(value or 0) for value in values))
    return Reading("Flink batch", 0, oracle.differences(truth, figures), None, figures)


def damaged_copy(python, kind, folder, work_folder):
    """A copy of the Parquet files with one fault in it, and what the fault is."""
    copy = Path(work_folder) / "damaged"
    shutil.copytree(folder, copy)
    return copy, run([python, HERE / "damage.py", kind, copy], "damaging the copy").strip()


def table(truth, readings):
    """One line per carrier: what the CSV says and who agrees."""
    names = [reading.reader for reading in readings]
    lines = [f"{'carrier':28} {'events':>8} {'distance':>12} {'air_time':>10} {'dep_delay':>10}  " + "  ".join(names)]
    lines.append("-" * len(lines[0]))
    total = oracle.Figures()
    for carrier in sorted(truth.figures):
        one = truth.figures[carrier]
        marks = []
        for reading in readings:
            same = reading.figures.get(carrier) == one
            marks.append(("agrees" if same else "DIFFERS").ljust(len(reading.reader)))
        name = f"{carrier} {truth.airlines[carrier]}"[:28]
        lines.append(
            f"{name:28} {one.events:>8,} {one.distance:>12,} {one.air_time:>10,} {one.dep_delay:>10,}  "
            + "  ".join(marks)
        )
        for part in ("events", "distance", "air_time", "dep_delay"):
            setattr(total, part, getattr(total, part) + getattr(one, part))
    lines.append(lines[1])
    lines.append(
        f"{'all, by the CSV':28} {total.events:>8,} {total.distance:>12,} {total.air_time:>10,} {total.dep_delay:>10,}"
    )
    return lines


def judge(truth, readings, kills_made, kills_planned):
    """(whether all is well, the last line, sentences about what is wrong)."""
    audits = [reading.audit for reading in readings if reading.audit]
    faults = []
    for reading in readings:
        faults += [f"{reading.reader}: {text}" for text in (reading.audit.faults(truth) if reading.audit else [])]
        faults += [f"{reading.reader}: {text}" for text in reading.differences]
    if kills_made != kills_planned:
        faults.append(f"only {kills_made} of {kills_planned} kills were made")
    worst = next((found for found in audits if not found.faultless()), audits[0])
    well = not faults and all(found.faultless() for found in audits)
    word = "exactly once" if well else "NOT exactly once"
    return well, f"{word}: {worst.line()}; {kills_made} kills survived", faults
