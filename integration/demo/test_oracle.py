"""Shows that the judge of the demo says "exactly once" of a faultless result and of no other.

The events lie in hand-made Parquet files as the gateway publishes them, are scanned by the demo's own scanners and
damaged by the demo's own damage. Needs DuckDB and pyarrow, either in this Python or in the demo's cache folder.

    python3 -m unittest discover -s integration/demo -p 'test_oracle.py'
"""

import csv
import json
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import data  # noqa: E402
import oracle  # noqa: E402
from cache import Cache  # noqa: E402

FLIGHTS = 3000
AIRLINES = {"AA": "American Airlines Inc.", "B6": "JetBlue Airways", "UA": "United Air Lines Inc.", "YV": "Mesa, Inc."}
SEGMENT_OF = {"AA": 0, "B6": 1, "UA": 1, "YV": 3}


def python_with_pyarrow():
    for python in (sys.executable, str(Cache().folder / "tools" / "bin" / "python")):
        try:
            if (
                subprocess.run([python, "-c", "import duckdb, pyarrow"], capture_output=True, check=False).returncode
                == 0
            ):
                return python
        except OSError:
            continue
    return None


PYTHON = python_with_pyarrow()


def flight(dice):
    row = []
    cancelled = dice.random() < 0.05
    carrier = dice.choice(list(AIRLINES))
    for name, kind in data.COLUMNS:
        if name == "carrier":
            row.append(carrier)
        elif name == "time_hour":
            row.append(f"2013-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}T{dice.randint(0, 23):02}:00:00Z")
        elif cancelled and name in ("dep_delay", "air_time", "tailnum"):
            row.append("NA")
        elif kind == "STRING":
            row.append("".join(dice.choices("ABCDEFGH", k=3)))
        else:
            row.append(dice.randint(-30, 2400))
    return row


@unittest.skipUnless(PYTHON, "neither this Python nor the demo's cache folder has duckdb and pyarrow")
class JudgeTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        dice = random.Random(20130101)
        with open(self.folder / "flights.csv", "w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([name for name, _ in data.COLUMNS])
            writer.writerows(flight(dice) for _ in range(FLIGHTS))
        with open(self.folder / "airlines.csv", "w", newline="") as out:
            csv.writer(out).writerows([("carrier", "name"), *AIRLINES.items()])
        self.truth = oracle.read_truth(self.folder / "flights.csv", self.folder / "airlines.csv")
        self.publish(self.segments())

    def segments(self):
        """segment -> the row ids in it, in order."""
        found = {segment: [] for segment in set(SEGMENT_OF.values())}
        for row_id in range(FLIGHTS):
            found[SEGMENT_OF[self.truth.carrier(row_id)]].append(row_id)
        return found

    def publish(self, segments, rows=None):
        """Writes Parquet files as the gateway does, several per segment."""
        job = {
            "folder": str(self.folder / "parquet"),
            "columns": [("row_id", "BIGINT"), *data.COLUMNS, ("airline", "STRING")],
            "segments": {
                str(segment): [(row_id, *(rows or self.truth.rows)[row_id]) for row_id in row_ids]
                for segment, row_ids in segments.items()
            },
        }
        self.run_tool("make_parquet_for_tests.py", stdin=json.dumps(job))

    def run_tool(self, script, *arguments, stdin=""):
        command = [PYTHON, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def scan(self, tool):
        events = self.folder / f"{tool}.csv"
        answer = json.loads(self.run_tool("scan.py", tool, self.folder / "parquet", events))
        figures = {carrier: oracle.Figures(*values) for carrier, values in answer["figures"].items()}
        return oracle.differences(self.truth, figures), oracle.audit(self.truth, events)

    def scans(self):
        return [self.scan("duckdb"), self.scan("pyarrow")]

    def test_a_faultless_result_is_called_so(self):
        for differences, audit in self.scans():
            self.assertEqual(differences, [])
            self.assertEqual(audit.faults(self.truth), [])
            self.assertTrue(audit.faultless())
            self.assertEqual(audit.line(), f"{FLIGHTS} of {FLIGHTS} events, 0 missing, 0 duplicated, 0 reordered")

    def test_a_dropped_event_is_missing(self):
        self.run_tool("damage.py", "drop", self.folder / "parquet")
        for differences, audit in self.scans():
            self.assertTrue(differences)
            self.assertFalse(audit.faultless())
            self.assertEqual(len(audit.missing), 1)
            self.assertIn(f"{FLIGHTS - 1} of {FLIGHTS} events, 1 missing, 0 duplicated, 0 reordered", audit.line())

    def test_a_doubled_event_is_duplicated(self):
        self.run_tool("damage.py", "dup", self.folder / "parquet")
        for differences, audit in self.scans():
            self.assertTrue(differences)
            self.assertFalse(audit.faultless())
            self.assertIn(f"{FLIGHTS} of {FLIGHTS} events, 0 missing, 1 duplicated, 0 reordered", audit.line())

    def test_swapped_events_are_reordered_though_all_sums_agree(self):
        self.run_tool("damage.py", "swap", self.folder / "parquet")
        for differences, audit in self.scans():
            self.assertEqual(differences, [])
            self.assertFalse(audit.faultless())
            self.assertEqual((audit.missing, audit.duplicated), ([], []))
            self.assertEqual(len(audit.reordered), 1)

    def test_a_replayed_run_of_events_is_told(self):
        segments = self.segments()
        segments[1] = segments[1][:100] + segments[1][50:]
        self.publish(segments)
        for _, audit in self.scans():
            self.assertEqual(len(audit.duplicated), 50)
            self.assertEqual(audit.reordered, [])

    def test_an_altered_value_and_a_lost_null_are_told(self):
        rows = list(self.truth.rows)
        cancelled = next(i for i, row in enumerate(rows) if row[self.truth.columns.index("air_time")] == "NA")
        rows[cancelled] = tuple("0" if value == "NA" else value for value in rows[cancelled])
        other = cancelled + 1
        rows[other] = (*rows[other][:-1], "Nobody's Airline")
        self.publish(self.segments(), rows)
        for differences, audit in self.scans():
            self.assertIn("air_time_known", " ".join(differences))
            self.assertCountEqual(audit.altered, [cancelled, other])

    def test_a_carrier_in_two_segments_is_told(self):
        segments = self.segments()
        segments[2] = [i for i in segments[0] if i > FLIGHTS // 2]
        segments[0] = [i for i in segments[0] if i <= FLIGHTS // 2]
        self.publish(segments)
        for differences, audit in self.scans():
            self.assertEqual(differences, [])
            self.assertEqual(audit.split, ["AA"])
            self.assertFalse(audit.faultless())

    def test_an_unknown_event_is_told(self):
        rows = [*self.truth.rows, self.truth.rows[3]]
        segments = self.segments()
        segments[3].append(FLIGHTS)
        self.publish(segments, rows)
        for _, audit in self.scans():
            self.assertEqual(audit.unknown, [FLIGHTS])
            self.assertFalse(audit.faultless())


if __name__ == "__main__":
    unittest.main()
