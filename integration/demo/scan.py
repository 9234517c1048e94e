"""Reads the Parquet files of a stream as any data scientist would, with DuckDB or with pyarrow.

Run by the Python of the demo's virtual environment: `scan.py duckdb|pyarrow FOLDER EVENTS_CSV`. Prints the figures per
carrier as JSON and writes every event to EVENTS_CSV, ordered by segment and offset.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "common"))

import data  # noqa: E402

COLUMNS = [name for name, _ in data.COLUMNS] + ["airline"]


def with_duckdb(folder, events_csv):
    import duckdb

    files = str(folder / "**" / "*.parquet").replace("'", "''")
    target = str(events_csv).replace("'", "''")
    stream = f"read_parquet('{files}', hive_partitioning = false)"
    columns = ", ".join("epoch_ms(time_hour) AS time_hour" if name == "time_hour" else name for name in COLUMNS)
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT _segment, _offset, row_id, {columns} FROM {stream} ORDER BY _segment, _offset) "
        f"TO '{target}' (HEADER, NULLSTR 'NA')"
    )
    rows = connection.execute(
        "SELECT carrier, count(*), sum(distance), sum(air_time), count(air_time), sum(dep_delay), sum(row_id) "
        f"FROM {stream} GROUP BY carrier"
    ).fetchall()
    return rows, len(list(folder.glob("**/*.parquet")))


def with_pyarrow(folder, events_csv):
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.csv
    import pyarrow.dataset

    files = sorted(str(path) for path in folder.glob("**/*.parquet"))
    table = pyarrow.dataset.dataset(files, format="parquet").to_table(
        columns=["_segment", "_offset", "row_id", *COLUMNS]
    )
    table = table.sort_by([("_segment", "ascending"), ("_offset", "ascending")])
    grouped = table.group_by("carrier").aggregate(
        [
            ([], "count_all"),
            ("distance", "sum"),
            ("air_time", "sum"),
            ("air_time", "count"),
            ("dep_delay", "sum"),
            ("row_id", "sum"),
        ]
    )
    names = ("count_all", "distance_sum", "air_time_sum", "air_time_count", "dep_delay_sum", "row_id_sum")
    rows = [[row["carrier"], *(row[name] for name in names)] for row in grouped.to_pylist()]
    texts = {}
    for name in table.column_names:
        column = table[name]
        if name == "time_hour":
            column = column.cast(pyarrow.timestamp("ms", tz="UTC")).cast(pyarrow.int64())
        texts[name] = compute.fill_null(column.cast(pyarrow.string()), data.MISSING)
    pyarrow.csv.write_csv(pyarrow.table(texts), events_csv)
    return rows, len(files)


def main():
    tool, folder, events_csv = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    rows, files = {"duckdb": with_duckdb, "pyarrow": with_pyarrow}[tool](folder, events_csv)
    # a sum of nothing but missing values is NULL in SQL
    figures = {str(carrier): [int(value or 0) for value in values] for carrier, *values in rows}
    json.dump({"files": files, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
