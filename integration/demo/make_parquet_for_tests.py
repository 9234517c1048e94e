"""Writes Parquet files as the gateway publishes a stream, for `test_oracle.py`, from a JSON description on stdin."""

import json
import shutil
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

ROWS_PER_FILE = 400
TYPES = {
    "BIGINT": pyarrow.int64(),
    "INT": pyarrow.int32(),
    "STRING": pyarrow.string(),
    "TIMESTAMP_LTZ(3)": pyarrow.timestamp("ms", tz="UTC"),
}


def value(text, kind):
    if text == "NA":
        return None
    return text if kind == "STRING" else int(text)


def main():
    job = json.load(sys.stdin)
    shutil.rmtree(job["folder"], ignore_errors=True)
    for segment, rows in job["segments"].items():
        folder = Path(job["folder"]) / f"segment-{segment}"
        folder.mkdir(parents=True)
        for first in range(0, len(rows), ROWS_PER_FILE):
            part = rows[first : first + ROWS_PER_FILE]
            columns = {
                name: pyarrow.array([value(row[i], kind) for row in part], type=TYPES[kind])
                for i, (name, kind) in enumerate(job["columns"])
            }
            columns["_offset"] = pyarrow.array(range(first, first + len(part)), type=pyarrow.int64())
            columns["_segment"] = pyarrow.array([int(segment)] * len(part), type=pyarrow.int32())
            parquet.write_table(pyarrow.table(columns), folder / f"{first}-{first + len(part) - 1}.parquet")


if __name__ == "__main__":
    main()
