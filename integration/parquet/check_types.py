"""Reads the file of the example `parquet_types` with pyarrow and DuckDB and compares every value with those written down here.

Run:  python3 integration/parquet/check_types.py            (builds and runs the example itself)
      python3 integration/parquet/check_types.py <file>     (checks a file that the example has written)

pyarrow and DuckDB are installed into ~/.cache/sluice/venv if they are missing there. Exit code 0: all agree.
"""

import datetime as dt
import decimal
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = pathlib.Path.home() / ".cache" / "sluice" / "venv"
PACKAGES = ["pyarrow==26.0.1", "duckdb==1.5.5", "pytz"]
FIRST = 4_000_000_000
NAN32, NAN64 = "nan:ffc00123", "nan:7ff80000deadbeef"


def reexec_in_venv():
    """Goes on under the interpreter that has the packages, made if need be."""
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix) != VENV:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        os.execv(python, [str(python), *sys.argv])
    try:
        import duckdb, pyarrow, pytz  # noqa: F401, E401
    except ImportError:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)


def since(unit, *values):
    """Timestamps as the exact count of units since 1970: Python's own type ends at microseconds."""
    return [(unit, value) if value is not None else None for value in values]


def expected():
    """Column -> (Arrow type, four values)."""
    n5, n18, n38 = 10**5 - 1, 10**18 - 1, 10**38 - 1
    dec = lambda scale, *values: [v if v is None else decimal.Decimal(v).scaleb(-scale, decimal.Context(prec=50)) for v in values]
    ms = [-62_135_596_800_000, 253_402_300_799_999, None, 1_001]
    us = [-62_135_596_800_000_000, 253_402_300_799_999_999, None, 1_000_001]
    ns = [-9_000_000_000_000_000_001, 9_000_000_000_000_000_007, None, 1_000_000_001]
    ints = lambda bits: [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, None, 5]
    return {
        "id": ("int64", [0, 1, 2, 3]),
        "boolean": ("bool", [False, True, None, True]),
        "tinyint": ("int8", ints(8)),
        "smallint": ("int16", ints(16)),
        "integer": ("int32", ints(32)),
        "bigint": ("int64", ints(64)),
        "float": ("float", [NAN32, "-0.0", None, "1.5"]),
        "double": ("double", [NAN64, "-0.0", None, "1.5"]),
        "decimal5_2": ("decimal128(5, 2)", dec(2, -n5, n5, None, 12345)),
        "decimal18_3": ("decimal128(18, 3)", dec(3, -n18, n18, None, 12345)),
        "decimal38_10": ("decimal128(38, 10)", dec(10, -n38, n38, None, 12345)),
        "char3": ("string", ["a  ", "漢字é", None, "abc"]),
        "varchar9": ("string", ["", "🦀" * 9, None, "abc"]),
        "string": ("string", ["", "\0\U0010ffff", "x", "abc"]),
        "binary2": ("binary", [b"\0\0", b"\xff\xff", None, b"ab"]),
        "bytes": ("binary", [b"", b"\0\xff\x80", None, b"abc"]),
        "date": ("date32[day]", [dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(1970, 1, 1)]),
        "time": ("time32[ms]", [dt.time(0), dt.time(23, 59, 59, 999000), None, dt.time(1, 2, 3, 4000)]),
        "timestamp0": ("timestamp[ms]", since("ms", ms[0], 253_402_300_799_000, None, 1_000)),
        "timestamp3": ("timestamp[ms]", since("ms", *ms)),
        "timestamp6": ("timestamp[us]", since("us", *us)),
        "timestamp9": ("timestamp[ns]", since("ns", *ns)),
        "timestamp_ltz3": ("timestamp[ms, tz=UTC]", since("ms", *ms)),
        "timestamp_ltz6": ("timestamp[us, tz=UTC]", since("us", *us)),
        "timestamp_ltz9": ("timestamp[ns, tz=UTC]", since("ns", *ns)),
        "array_double": ("list<item: double>", [[None, "-0.0"], [], None, ["1.5"]]),
        "array_array": ("list<item: list<item: int32>>", [[[], [1, None], None], [], None, [[3]]]),
        "map": ("map<string, binary>", [[("k", b"\0\xff"), ("", None)], [], None, [("a", b"")]]),
        "row": (
            "struct<a: float, b: string not null>",
            [{"a": None, "b": ""}, {"a": "-0.0", "b": "é"}, None, {"a": "1.5", "b": "abc"}],
        ),
        "row_deep": (
            "struct<items: list<item: struct<x: int64 not null>>>",
            [{"items": [{"x": 1}, None]}, {"items": []}, None, {"items": None}],
        ),
        "_offset": ("int64", [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]),
        "_segment": ("int32", [2, 2, 2, 2]),
        "_commit_seq": ("int64", [41, 41, 41, 42]),
        "_commit_time": ("timestamp[ms, tz=UTC]", since("ms", *[1_700_000_000_123] * 3, 1_700_000_001_000)),
    }


NOT_NULL = {"id", "string", "_offset", "_segment", "_commit_seq", "_commit_time"}
FOOTER = {
    "sluice.stream": "types/all",
    "sluice.segment": "2",
    "sluice.first_offset": str(FIRST),
    "sluice.end_offset": str(FIRST + 4),
    "sluice.first_commit_seq": "41",
    "sluice.last_commit_seq": "42",
    "sluice.schema_id": "17",
}


def plain(scalar, arrow_type):
    """A pyarrow scalar in the words of `expected`; floats by their bits."""
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if pa.types.is_floating(arrow_type):
        value = scalar.as_py()
        if value == value:
            return repr(value)
        return "nan:" + pa.array([scalar], type=arrow_type).buffers()[1].to_pybytes()[: arrow_type.bit_width // 8][::-1].hex()
    if pa.types.is_timestamp(arrow_type):
        return (arrow_type.unit, scalar.value)
    if pa.types.is_map(arrow_type):
        entry = lambda item: (plain(item["key"], arrow_type.key_type), plain(item["value"], arrow_type.item_type))
        return [entry(item) for item in scalar.values]
    if pa.types.is_list(arrow_type):
        return [plain(item, arrow_type.value_type) for item in scalar.values]
    if pa.types.is_struct(arrow_type):
        return {arrow_type.field(i).name: plain(scalar[i], arrow_type.field(i).type) for i in range(arrow_type.num_fields)}
    return scalar.as_py()


class Check:
    def __init__(self):
        self.compared, self.failures = 0, []

    def equal(self, what, found, wanted):
        self.compared += 1
        if found != wanted:
            self.failures.append(f"{what}: found {found!r}, expected {wanted!r}")


def check_pyarrow(check, path):
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    footer = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
    for key, value in FOOTER.items():
        check.equal(f"pyarrow footer {key}", footer.get(key), value)
    table = file.read()
    check.equal("pyarrow columns", table.column_names, list(expected()))
    for name, (arrow_type, values) in expected().items():
        field = table.schema.field(name)
        # The name of a map's entries, which pyarrow takes from elsewhere, is nobody's business.
        found = f"map<{field.type.key_type}, {field.type.item_type}>" if name == "map" else str(field.type)
        check.equal(f"pyarrow type of {name}", found, arrow_type)
        check.equal(f"pyarrow nullability of {name}", field.nullable, name not in NOT_NULL)
        for row, wanted in enumerate(values):
            check.equal(f"pyarrow {name} row {row}", plain(table[name][row], field.type), wanted)


DUCKDB_TYPES = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "float": "FLOAT", "double": "DOUBLE",
    "decimal5_2": "DECIMAL(5,2)", "decimal18_3": "DECIMAL(18,3)", "decimal38_10": "DECIMAL(38,10)", "char3": "VARCHAR", "string": "VARCHAR",
    "bytes": "BLOB", "date": "DATE", "time": "TIME", "timestamp3": "TIMESTAMP", "timestamp6": "TIMESTAMP", "timestamp9": "TIMESTAMP_NS",
    "timestamp_ltz3": "TIMESTAMP WITH TIME ZONE", "timestamp_ltz6": "TIMESTAMP WITH TIME ZONE", "array_array": "INTEGER[][]",
    "map": "MAP(VARCHAR, BLOB)", "row": "STRUCT(a FLOAT, b VARCHAR)", "row_deep": "STRUCT(items STRUCT(x BIGINT)[])", "_offset": "BIGINT", "_segment": "INTEGER",
    "_commit_seq": "BIGINT", "_commit_time": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip
PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def check_duckdb(check, path):
    import duckdb

    # A file under publication, damaged on top, beside it: no pattern may see it.
    hidden = path.parent / f".{path.stem}.00000000-0000-0000-0000-000000000007.publishing"
    hidden.write_bytes(b"not a Parquet file")
    pattern = str(path.parent.parent / "**" / "*.parquet")
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    check.equal("DuckDB rows of the folder", database.execute("SELECT count(*) FROM read_parquet(?)", [pattern]).fetchone(), (4,))
    types = {row[0]: row[1] for row in database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern]).fetchall()}
    for name, wanted in DUCKDB_TYPES.items():
        check.equal(f"DuckDB type of {name}", types.get(name), wanted)
    table = database.execute("SELECT * FROM read_parquet(?) ORDER BY _offset", [pattern]).to_arrow_table()
    for name, (_, values) in expected().items():
        for row, wanted in enumerate(values):
            found = plain(table[name][row], table.schema.field(name).type)
            if isinstance(wanted, tuple) and isinstance(found, tuple):
                # DuckDB keeps milliseconds as microseconds, and zoned nanoseconds as microseconds, cut towards zero.
                scale = PER_SECOND[found[0]]
                sign = -1 if wanted[1] < 0 else 1
                wanted = (found[0], sign * (abs(wanted[1]) * scale // PER_SECOND[wanted[0]]))
            check.equal(f"DuckDB {name} row {row}", found, wanted)
    filters = [
        ("_offset = 4000000001", 1), ("_commit_seq < 42", 3), ("bigint > 0", 2), ("string >= 'x'", 1), ("decimal38_10 < 0", 1), ("date < DATE '1970-01-01'", 1),
        ("double = 0", 1), ("isnan(double)", 1), ("bytes = 'abc'::BLOB", 1), ("timestamp9 > TIMESTAMP '2200-01-01'", 1), ("boolean IS NULL", 1),
    ]  # fmt: skip
    for where, wanted in filters:
        found = database.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {where}", [pattern]).fetchone()[0]
        check.equal(f"DuckDB rows where {where}", found, wanted)
    hidden.unlink()


def main():
    reexec_in_venv()
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            path = pathlib.Path(sys.argv[1])
        else:
            command = ["cargo", "run", "--quiet", "-p", "sluice-segment", "--example", "parquet_types", "--", folder]
            path = pathlib.Path(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
        check = Check()
        check_pyarrow(check, path)
        check_duckdb(check, path)
    for failure in check.failures:
        print(failure)
    print(f"{check.compared - len(check.failures)} of {check.compared} comparisons agree in pyarrow and DuckDB")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
