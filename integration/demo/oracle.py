"""The judge: what must be there, computed from the CSV alone, against what is there.

It knows nothing of Sluice, Flink or Parquet and uses none of their code: it reads `flights.csv` and `airlines.csv` as
downloaded, with Python's csv module, and compares them with the plain rows and figures that the scanners hand over.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import lru_cache

MISSING = "NA"


@dataclass
class Figures:
    """Counts and sums of the events of one carrier. Sums leave missing values out."""

    events: int = 0
    distance: int = 0
    air_time: int = 0
    air_time_known: int = 0
    dep_delay: int = 0
    row_ids: int = 0


@dataclass
class Truth:
    """What the CSV says: the rows by row_id, each as its texts with the airline's name at the end."""

    columns: list
    rows: list
    figures: dict
    airlines: dict

    def __post_init__(self):
        self.carrier_at = self.columns.index("carrier")

    def carrier(self, row_id):
        return self.rows[row_id][self.carrier_at]


def read_truth(flights_csv, airlines_csv):
    with open(airlines_csv, newline="") as lines:
        airlines = {row["carrier"]: row["name"] for row in csv.DictReader(lines)}
    figures = defaultdict(Figures)
    rows = []
    with open(flights_csv, newline="") as lines:
        reader = csv.reader(lines)
        columns = next(reader)
        at = {name: columns.index(name) for name in columns}
        for row_id, row in enumerate(reader):
            row = [value or MISSING for value in row]
            one = figures[row[at["carrier"]]]
            one.events += 1
            one.row_ids += row_id
            one.distance += _known(row[at["distance"]])
            one.air_time += _known(row[at["air_time"]])
            one.air_time_known += row[at["air_time"]] != MISSING
            one.dep_delay += _known(row[at["dep_delay"]])
            row[at["time_hour"]] = _epoch_ms(row[at["time_hour"]])
            rows.append((*row, airlines[row[at["carrier"]]]))
    return Truth([*columns, "airline"], rows, dict(figures), airlines)


def _known(text):
    return 0 if text == MISSING else int(text)


@lru_cache(maxsize=None)  # a year has few hours
def _epoch_ms(text):
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return str(int(moment.timestamp() * 1000))


@dataclass
class Audit:
    """What an examination of every single event found."""

    expected: int
    present: int = 0  # of the expected events, those found at least once
    missing: list = field(default_factory=list)  # row ids
    duplicated: list = field(default_factory=list)  # row ids, once per extra copy
    reordered: list = field(default_factory=list)  # row ids that come behind a later one of their carrier
    altered: list = field(default_factory=list)  # row ids of which a column differs from the CSV
    unknown: list = field(default_factory=list)  # row ids that the CSV does not have
    split: list = field(default_factory=list)  # carriers whose events lie in several segments
    offset_gaps: list = field(default_factory=list)  # (segment, expected offset, found offset)

    def faultless(self):
        return self.present == self.expected and not any(
            getattr(self, part.name) for part in fields(self) if part.name not in ("expected", "present")
        )

    def line(self):
        return (
            f"{self.present} of {self.expected} events, {len(self.missing)} missing, "
            f"{len(self.duplicated)} duplicated, {len(self.reordered)} reordered"
        )

    def faults(self, truth):
        """One sentence per kind of fault, with the first few places."""

        def events(row_ids):
            shown = ", ".join(f"row_id {i} ({truth.carrier(i)})" for i in row_ids[:3])
            return shown + (" ..." if len(row_ids) > 3 else "")

        said = []
        for word, found in (
            ("missing", self.missing),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("altered", self.altered),
        ):
            if found:
                said.append(f"{len(found)} {word}: {events(found)}")
        if self.unknown:
            said.append(
                f"{len(self.unknown)} events that the CSV does not have, the first with row_id {self.unknown[0]}"
            )
        if self.split:
            said.append(f"carriers in more than one segment: {', '.join(self.split)}")
        for segment, expected, found in self.offset_gaps[:3]:
            said.append(f"segment {segment}: offset {expected} should follow, {found} does")
        return said


def audit(truth, events_csv):
    """Examines every event of a scan.

    `events_csv` holds one line per event, ordered by segment and offset: _segment, _offset, row_id, then the columns of
    `truth.columns`; missing values as NA, time_hour in milliseconds since 1970.
    """
    result = Audit(expected=len(truth.rows))
    copies = [0] * len(truth.rows)
    newest = {}  # carrier -> largest row_id seen
    segments = defaultdict(set)  # carrier -> segments
    next_offset = defaultdict(int)
    with open(events_csv, newline="") as lines:
        reader = csv.reader(lines)
        heading = next(reader)
        if heading != ["_segment", "_offset", "row_id", *truth.columns]:
            raise ValueError(f"{events_csv} has the columns {heading}")
        for line in reader:
            segment, offset, row_id = int(line[0]), int(line[1]), _row_id(line[2])
            if offset != next_offset[segment]:
                result.offset_gaps.append((segment, next_offset[segment], offset))
            next_offset[segment] = offset + 1
            if not 0 <= row_id < len(truth.rows):
                result.unknown.append(row_id)
                continue
            carrier = line[3 + truth.carrier_at]
            segments[carrier].add(segment)
            copies[row_id] += 1
            if tuple(line[3:]) != truth.rows[row_id]:
                result.altered.append(row_id)
            if copies[row_id] > 1:
                result.duplicated.append(row_id)
            elif row_id < newest.get(carrier, -1):
                result.reordered.append(row_id)
            newest[carrier] = max(row_id, newest.get(carrier, -1))
    result.missing = [row_id for row_id, count in enumerate(copies) if count == 0]
    result.present = len(truth.rows) - len(result.missing)
    result.split = sorted(carrier for carrier, found in segments.items() if len(found) > 1)
    return result


def _row_id(text):
    return -1 if text == MISSING else int(text)


def differences(truth, figures):
    """Where a scanner's figures per carrier differ from the truth: sentences, none if all agree."""
    said = []
    for carrier in sorted(set(truth.figures) | set(figures)):
        expected, found = truth.figures.get(carrier, Figures()), figures.get(carrier, Figures())
        for part in fields(Figures):
            right, seen = getattr(expected, part.name), getattr(found, part.name)
            if right != seen:
                said.append(f"{carrier}: {part.name} is {seen}, the CSV says {right}")
    return said
