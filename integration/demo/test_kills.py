"""Shows that a Flink job survives what the demo does to TaskManagers and the JobManager, without Sluice in the picture.

A stand-in for job 2 on a real cluster: generated events in place of nyc/flights, Flink's own file sink in place of
nyc/flights_enriched, the same temporal join. It takes about two minutes and downloads Flink when the cache folder has
none:

    SLUICE_CLUSTER_TESTS=1 python3 -m unittest discover -s integration/demo -p 'test_kills.py'
"""

import csv
import os
import string
import sys
import unittest
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import data  # noqa: E402
import flink_distribution  # noqa: E402
import kills  # noqa: E402
from cache import Cache  # noqa: E402
from console import Console  # noqa: E402
from flink import Cluster  # noqa: E402
from processes import Processes  # noqa: E402

EVENTS = 100_000
EVENTS_PER_SECOND = 2_000  # of each of the two source tasks

# The generator's task number is row_id modulo 2, so each carrier comes from one task, in order.
SQL = string.Template("""
SET 'pipeline.name' = 'stand-in';
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '1s';
SET 'parallelism.default' = '2';
CREATE TABLE flights (
  row_id BIGINT,
  carrier AS CASE MOD(row_id, 16) $carriers END,
  line_clock AS TO_TIMESTAMP_LTZ(row_id, 3),
  WATERMARK FOR line_clock AS line_clock
) WITH (
  'connector' = 'datagen', 'rows-per-second' = '$rate',
  'fields.row_id.kind' = 'sequence', 'fields.row_id.start' = '0', 'fields.row_id.end' = '$last'
);
CREATE TABLE airlines (
  carrier STRING, name STRING,
  valid_from AS TO_TIMESTAMP_LTZ(0, 3),
  WATERMARK FOR valid_from AS valid_from,
  PRIMARY KEY (carrier) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '$airlines', 'format' = 'csv');
CREATE TABLE enriched (row_id BIGINT, carrier STRING, airline STRING)
WITH ('connector' = 'filesystem', 'path' = '$target', 'format' = 'csv');
INSERT INTO enriched
SELECT f.row_id, f.carrier, a.name
FROM flights AS f JOIN airlines FOR SYSTEM_TIME AS OF f.line_clock AS a ON f.carrier = a.carrier;
""")


@unittest.skipUnless(os.environ.get("SLUICE_CLUSTER_TESTS"), "SLUICE_CLUSTER_TESTS is not set")
class KillsTest(unittest.TestCase):
    def test_the_join_keeps_order_and_count_while_task_managers_and_the_job_manager_die(self):
        cache = Cache()
        folder = cache.new_run()
        processes = Processes(folder)
        self.addCleanup(processes.stop_all)
        with Console(0).step("stand-in job") as step:
            cluster = Cluster(flink_distribution.distribution(cache, step), folder, processes)
            airlines = data.flights(cache, step).airlines_for_flink
            cluster.start()
            target = folder / "enriched"
            carriers = [line.split(",")[0] for line in airlines.read_text().splitlines()]
            cases = " ".join(f"WHEN {i} THEN '{carrier}'" for i, carrier in enumerate(carriers))
            values = {"rate": EVENTS_PER_SECOND, "last": EVENTS - 1, "airlines": airlines, "target": target}
            job_id = cluster.submit("stand-in", SQL.substitute(carriers=cases, **values))
            killer = kills.Killer(cluster, None, job_id, EVENTS, lambda: sum(1 for _ in read(target)))
            killer.carry_out(step, [entry for entry in kills.PLAN if entry[1] != "gateway"])
            cluster.wait_for_end(job_id, step, lambda: "", 300)
        self.assertEqual([kill.victim for kill in killer.kills], ["TaskManager", "TaskManager", "JobManager"])
        by_carrier = defaultdict(list)
        names = dict(line.split(",", 1) for line in airlines.read_text().splitlines())
        for row_id, carrier, airline in read(target):
            by_carrier[carrier].append(int(row_id))
            self.assertEqual(airline, names[carrier])
        for carrier, row_ids in by_carrier.items():
            self.assertEqual(row_ids, sorted(set(row_ids)), f"order of {carrier}")
        self.assertEqual(sum(map(len, by_carrier.values())), EVENTS)


def read(folder):
    """The committed rows, each task's files in the order in which they were begun."""

    def place(path):
        *_, task, number = path.name.split("-")
        return int(task), int(number)

    for path in sorted(Path(folder).glob("part-*"), key=place):
        with open(path, newline="") as lines:
            yield from csv.reader(lines)


if __name__ == "__main__":
    unittest.main()
