"""W8 by DuckDB: duckdb_query.py <glob of Parquet files>; prints the figures as JSON. Runs in the demo's virtual environment."""

import json
import sys
import time

import duckdb

began = time.perf_counter()
found = duckdb.execute(
    "SELECT SUM(n)::BIGINT FROM (SELECT COUNT(*) AS n, SUM(price) FROM read_parquet(?) GROUP BY channel)", [sys.argv[1]]
).fetchone()
seconds = time.perf_counter() - began
print(json.dumps({"records": found[0], "seconds": seconds, "records_per_s": found[0] / seconds}))
