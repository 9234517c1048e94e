"""Damages a copy of the result on purpose, to show that the judge notices: `make demo BREAK=drop|dup|swap`.

Run by the Python of the demo's virtual environment: `damage.py drop|dup|swap FOLDER`. Rewrites the last Parquet file of
one segment of FOLDER, with dense offsets from the file's first one, so that nothing but the events themselves tells of
the damage.
"""

import random
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet


def drop(order, _carriers, place):
    del order[place]
    return "one event dropped"


def dup(order, _carriers, place):
    order.insert(place, order[place])
    return "one event doubled"


def swap(order, carriers, place):
    """The event at `place` changes places with the next one of the same carrier."""
    other = next(i for i in range(place + 1, len(carriers)) if carriers[i] == carriers[place])
    order[place], order[other] = order[other], order[place]
    return "two events of one carrier swapped"


def largest_last_file(folder):
    """Of the files that end a segment, the one with the most events."""
    last = {}  # segment -> (first offset, path, table)
    for path in folder.glob("**/*.parquet"):
        table = parquet.read_table(path)
        segment, first = table["_segment"][0].as_py(), table["_offset"][0].as_py()
        if segment not in last or first > last[segment][0]:
            last[segment] = (first, path, table)
    _, path, table = max(last.values(), key=lambda found: found[2].num_rows)
    return path, table


def main():
    kind, folder = sys.argv[1], Path(sys.argv[2])
    path, table = largest_last_file(folder)
    first = table["_offset"][0].as_py()
    carriers = table["carrier"].to_pylist()
    repeated = [i for i, carrier in enumerate(carriers) if carrier in carriers[i + 1 : i + 1000]]
    place = random.choice(repeated)
    row_id = table["row_id"][place].as_py()
    order = list(range(table.num_rows))
    what = {"drop": drop, "dup": dup, "swap": swap}[kind](order, carriers, place)
    damaged = table.take(order)
    offsets = pyarrow.array(range(first, first + damaged.num_rows), type=table.schema.field("_offset").type)
    damaged = damaged.set_column(table.schema.get_field_index("_offset"), table.schema.field("_offset"), offsets)
    parquet.write_table(damaged, path)
    print(f"{what}: row_id {row_id} ({carriers[place]}), in {path.relative_to(folder)}")


if __name__ == "__main__":
    main()
