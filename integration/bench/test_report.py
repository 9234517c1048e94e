"""`python3 -m unittest test_report`: ratios point the right way and medians are medians."""

import unittest
from xml.etree import ElementTree

import paths  # noqa: F401
import memory
import plot
import report
from workloads import WORKLOADS


def rows(workload, variant, system, key, *values):
    return [{"workload": workload, "variant": variant, "system": system, key: value} for value in values]


class Report(unittest.TestCase):
    def lines(self, *results):
        results = [row for some in results for row in some]
        return report.summarize([WORKLOADS[name] for name in ("W1", "W4")], results).splitlines()

    def test_more_throughput_is_better(self):
        lines = self.lines(
            rows("W1", "100B", "sluice", "records_per_s", 3e6, 4e6, 1e3), rows("W1", "100B", "kafka", "records_per_s", 1e6)
        )
        self.assertEqual([line for line in lines if line.startswith("RATIO")], ["RATIO W1 100B sluice/kafka 3.00"])

    def test_less_latency_and_less_cpu_are_better(self):
        lines = self.lines(
            rows("W4", "1s", "sluice", "latency_ms_p99", 500),
            rows("W4", "1s", "kafka", "latency_ms_p99", 1000),
            rows("W1", "100B", "sluice", "cpu_us_per_record", 2),
            rows("W1", "100B", "kafka", "cpu_us_per_record", 1),
        )
        ratios = [line for line in lines if line.startswith("RATIO")]
        self.assertEqual(ratios, ["RATIO W1 100B-cpu sluice/kafka 0.50", "RATIO W4 1s-p99 sluice/kafka 2.00"])

    def test_generating_alone_is_no_peer(self):
        lines = self.lines(rows("W1", "100B", "sluice", "records_per_s", 1), rows("W1", "100B", "discard", "records_per_s", 2))
        self.assertFalse([line for line in lines if line.startswith("RATIO")])
        self.assertTrue([line for line in lines if line.strip().startswith("discard")])

    def test_writing_is_compared_with_the_disk_of_the_same_runs(self):
        runs = [{"mb_per_s": 300, "disk_mb_per_s": 500}, {"mb_per_s": 400, "disk_mb_per_s": 500}, {"mb_per_s": 500, "disk_mb_per_s": 9}]
        same = {"workload": "W1", "variant": "1KiB", "system": "sluice"}
        lines = self.lines([{**same, **run} for run in runs], rows("W1", "1KiB", "kafka", "mb_per_s", 100))
        self.assertIn("W1 1KiB sluice writes 400 MB/s, 0.80 of the disk's 500 MB/s", lines)
        self.assertFalse([line for line in lines if line.startswith("W1 1KiB kafka")])

    def test_memory_is_summed_up_by_parts_of_the_time(self):
        self.assertEqual(memory.slices([3, 1, 2, 9, 7, 8, 100], 2), [(1, 2, 3), (7, 8.5, 100)])
        self.assertEqual(memory.slices([5], 6), [(5, 5, 5)])

    def test_the_picture_has_a_bar_for_each_median(self):
        results = rows("W1", "100B", "sluice", "records_per_s", 3e6, 4e6, 5e6) + rows("W1", "100B", "kafka", "records_per_s", 1e6)
        picture = ElementTree.fromstring(plot.draw(results))
        bars = [float(bar.get("width")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")][1:]
        self.assertEqual(len(bars), 2)
        self.assertAlmostEqual(bars[0], 4 * bars[1], delta=0.2)


if __name__ == "__main__":
    unittest.main()
