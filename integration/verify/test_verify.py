"""The runner of `make verify`: a layer that fails, or does not say how much it ran, fails the whole."""

import sys
import unittest

import verify


def layer(script, figures=r"(?P<runs>\d+) runs, (?P<operations>\d+) operations"):
    return verify.Layer("a layer", (sys.executable, "-c", script), {"SIZE": "{size}"}, 7, figures)


class Running(unittest.TestCase):
    def test_figures_are_read_from_what_it_prints(self):
        script = "import os; print('before'); print(os.environ['SIZE'], 'runs, 12 operations'); print('after')"
        result = verify.run(layer(script), 1, times=3)
        self.assertEqual((result.runs, result.operations, result.faults), ("21", "12", "-"))
        self.assertTrue(result.passed)
        self.assertEqual(result.violations, "0")

    def test_the_last_figures_count(self):
        result = verify.run(layer("print('1 runs, 2 operations'); print('3 runs, 4 operations')"), 1)
        self.assertEqual((result.runs, result.operations), ("3", "4"))

    def test_a_layer_that_fails_is_no_pass(self):
        result = verify.run(layer("print('1 runs, 2 operations'); raise SystemExit(1)"), 1)
        self.assertFalse(result.passed)
        self.assertEqual(result.violations, "see above")

    def test_a_layer_that_says_nothing_is_no_pass(self):
        result = verify.run(layer("print('all is well')"), 1)
        self.assertFalse(result.passed)
        self.assertEqual(result.violations, "not run")

    def test_every_layer_takes_its_size_from_here(self):
        for each in verify.LAYERS:
            words = [*each.command, *each.environment.values()]
            self.assertTrue(any("{size}" in word or "{every}" in word for word in words), each.name)


class Table(unittest.TestCase):
    def test_columns_line_up(self):
        results = [verify.Result("short", "1", "22", "-", "0", 1.0, True), verify.Result("a long name", "333", "4", "5", "0", 70.4, True)]
        lines = verify.table(results).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)
        self.assertEqual(lines[2].split(), ["a", "long", "name", "333", "4", "5", "0", "70"])


if __name__ == "__main__":
    unittest.main()
