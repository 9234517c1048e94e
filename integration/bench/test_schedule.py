"""`python3 -m unittest test_schedule`: the order of the runs, the plan's sums, and that what fails does not end the others."""

import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import mock

import paths  # noqa: F401
import bench
import plan
import runner
import schedule
from deadline import TimeUp, limit
from failure import Failure
from systems import SYSTEMS
from workload import Workload
from workloads import WORKLOADS


def workloads(*arguments):
    options = bench.parse(list(arguments))
    return options, [WORKLOADS[name](None, options) for name in options.workloads]


def steps(*arguments):
    options, chosen = workloads(*arguments)
    return list(plan.steps(chosen, options, SYSTEMS))


class Order(unittest.TestCase):
    def turns(self, variant, *arguments):
        options, (workload,) = workloads("--workloads", "W1", *arguments)
        chosen = {name: SYSTEMS[name] for name in options.systems}
        return [(turn.number, turn.system) for turn in schedule.turns(workload, ["100B", "1KiB"], variant, chosen)]

    def test_systems_take_turns_and_what_is_a_jvm_warms_up(self):
        found = self.turns("100B", "--systems", "sluice,kafka,discard", "--rounds", "2", "--warmups", "1")
        turn = ["sluice", "kafka", "kafka-fsync"]
        expected = [*((-1, name) for name in turn), *((0, name) for name in turn), (0, "discard"), *((1, name) for name in turn)]
        self.assertEqual(found, expected)

    def test_a_client_that_is_compiled_does_not_warm_up(self):
        options, (workload,) = workloads("--workloads", "W6")
        turns = schedule.turns(workload, ["100B"], "100B", {name: SYSTEMS[name] for name in ("sluice", "kafka")})
        self.assertEqual({turn.system for turn in turns if turn.number < 0}, {"kafka"})

    def test_later_variants_find_the_same_servers_warm(self):
        self.assertEqual(min(number for number, _ in self.turns("1KiB", "--warmups", "2")), 0)
        self.assertEqual(min(number for number, _ in self.turns("100B", "--warmups", "2")), -2)


class Plan(unittest.TestCase):
    def test_the_whole_run_is_planned_below_ninety_minutes_and_the_quick_one_below_ten(self):
        self.assertLess(sum(step.expected_s for step in steps()), 90 * 60)
        self.assertLess(sum(step.expected_s for step in steps("--quick")), 10 * 60)

    def test_sizes_are_those_that_were_asked_for(self):
        fixed = {(step.workload, step.variant, step.system): step.fixed_s for step in steps() if step.what == "round 1"}
        self.assertEqual(fixed["W1", "100B", "kafka"], 20)
        self.assertEqual(fixed["W1", "100B-sustained", "sluice"], 600)
        self.assertEqual(fixed["W3", "insert", "iceberg"], 20)
        self.assertEqual(sum(step.what == "warm-up" for step in steps("--workloads", "W1", "--systems", "kafka")), 4)
        self.assertEqual(sum(step.what.startswith("round") for step in steps("--workloads", "W4", "--systems", "sluice")), 6)

    def test_bids_are_written_once_for_both_workloads_that_read_them(self):
        def filled(*arguments):
            options, chosen = workloads(*arguments, "--systems", "paimon")
            fills = [step for step in plan.steps(chosen, options, SYSTEMS) if step.what == "fill"]
            return len(fills), sum(step.expected_s - plan.AROUND_A_JOB_S for step in fills) * plan.WRITTEN["bids"]["paimon"]

        self.assertEqual(filled("--workloads", "W8")[0], 1)
        self.assertAlmostEqual(filled("--workloads", "W8")[1], 20e6, delta=1)
        both = filled("--workloads", "W3,W8")
        self.assertEqual(both[0], 2)
        self.assertAlmostEqual(both[1], 20e6, delta=1)

    def test_the_sums_are_of_all_lines(self):
        planned = [
            plan.Step("W1", "100B", "sluice", "round 1", 60, 90),
            plan.Step("W1", "100B", "sluice", "round 2", 60, 90),
            plan.Step("W4", "1s", "kafka", "round 1", 30, 30),
        ]
        last = list(plan.lines(planned))[-3:]
        self.assertIn("2 steps, at least   2.0 min by the clock alone, about   3.0 min", last[0])
        self.assertIn("3 steps, at least   2.5 min by the clock alone, about   3.5 min", last[2])
        self.assertEqual(plan.limit_s(WORKLOADS["W1"], planned), plan.LIMIT_MORE_S + plan.LIMIT_TIMES * 180)


class Stands:
    """A system that does nothing, or dies or stands still when it is measured."""

    warms_up = False
    rounds_at_most = None
    pid = None
    stopped = ()

    def __init__(self, tools, folder):
        pass

    def start(self):
        pass

    def ready(self):
        pass

    def logs(self):
        return []

    def stop(self):
        Stands.stopped = (*Stands.stopped, self.name)


class Fails(unittest.TestCase):
    def run_all(self, action, limit_s):
        """Two workloads on two systems; `action(workload, system)` may fail."""
        kinds = {name: type(name, (Stands,), {"name": name}) for name in ("a", "b")}

        def workload(named):
            class Simple(Workload):
                name = named
                variants = ("v",)
                systems = tuple(kinds)

                def measure(self, system, variant):
                    action(named, system.name)
                    return {"records_per_s": 1.0}

            return Simple

        options = SimpleNamespace(systems=list(kinds), quick=False, warmups=0, rounds=2)
        tools = SimpleNamespace(say=lambda text: None)
        Stands.stopped = ()
        # the disk's own pace is no part of it
        quiet = mock.patch.multiple(runner, explain=lambda what, failure, logs=(): None, settle=lambda systems: None)
        with quiet, TemporaryDirectory() as folder:
            ran = runner.Bench(options, tools, folder, Path(folder) / "results", kinds, {"X": limit_s, "Y": limit_s})
            for name in ("X", "Y"):
                ran.run(workload(name)(tools, options))
            ran.stop_all()
        return ran.failed, [(result["workload"], result["system"]) for result in ran.results]

    def test_a_system_that_fails_is_left_out_and_the_others_go_on(self):
        def action(workload, system):
            if (workload, system) == ("X", "a"):
                raise Failure("no")

        failed, results = self.run_all(action, 60)
        self.assertEqual(failed, ["X v a"])
        self.assertEqual(results, [("X", "b"), ("X", "b"), ("Y", "a"), ("Y", "b"), ("Y", "a"), ("Y", "b")])
        self.assertEqual(sorted(Stands.stopped), ["a", "a", "b", "b"])

    def test_a_workload_that_stands_still_is_given_up_and_the_next_has_its_turn(self):
        failed, results = self.run_all(lambda workload, system: time.sleep(30 if (workload, system) == ("X", "b") else 0), 1.0)
        self.assertEqual(failed, ["X (the rest of it)"])
        self.assertEqual(results, [("X", "a"), ("Y", "a"), ("Y", "b"), ("Y", "a"), ("Y", "b")])

    def test_a_time_limit_ends_with_what_it_is_for(self):
        with limit(0.05):
            pass
        time.sleep(0.1)
        with self.assertRaises(TimeUp), limit(0.05):
            time.sleep(5)


if __name__ == "__main__":
    unittest.main()
