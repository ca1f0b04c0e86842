"""The page of scripts/load-report."""

import copy
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import lib_path  # noqa: F401
import compare_plot
import load_report
from test_compare_report import Structure as Tags

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "load-report"


class Structure(Tags):
    EMPTY = (*Tags.EMPTY, "polyline")


def latency(p50=0.0, count=0):
    return {"count": count, "mean": p50, "p50": p50, "p90": 2 * p50, "p99": 3 * p50, "p99_9": 4 * p50, "max": 5 * p50,
            "values": [[p50, count]]}


def step(kind, name, accepted=latency(), refused=latency(), **outcomes):
    return {"kind": kind, "step": name, "outcomes": outcomes, "latency_ms": {"accepted": accepted, "refused": refused}}


def result(*steps, **members):
    seconds = {"arrivals": [5, 9, 1], "not_begun": [0, 0, 0], "ended": [0, 7, 8], "sold": [1, 4, 0],
               "refused": [0, 3, 0], "under_way": [5, 7, 0]}
    return {"format": load_report.FORMAT, "scenario": "a <fast> sale", "seed": 7, "version": "1.2.3",
            "began": "2026-01-01T00:00:00+00:00", "users": "buyer-1", "complete": True, "stopped": False,
            "generators": [{"name": "", "failure": ""}],
            "phases": [{"name": "spike", "began_s": 0, "length_s": 1, "from": 0, "to": 9}],
            "totals": {"arrivals": 15, "not_begun": 0, "ended": 15, "sold": 5, "refused": 3},
            "lag_ms": latency(0.1, 15), "seconds": seconds, "steps": list(steps)} | members


class Differences(unittest.TestCase):
    def differs(self, before, after, count=1000):
        return load_report.differs(latency(before, count), latency(after, count), "p50")

    def test_times(self):
        self.assertEqual(self.differs(10, 13), 1)
        self.assertEqual(self.differs(13, 10), -1)
        self.assertEqual(self.differs(10, 11), 0, "within what two runs differ by")
        self.assertEqual(self.differs(0.1, 0.5), 0, "less than a millisecond")
        self.assertEqual(self.differs(10, 20, count=99), 0, "too few")

    def test_shares(self):
        self.assertTrue(load_report.share_differs(500, 1000, 600, 1000))
        self.assertFalse(load_report.share_differs(5, 10, 6, 10), "so few may be chance")
        self.assertFalse(load_report.share_differs(500_000, 1_000_000, 505_000, 1_000_000), "half a percentage point")
        self.assertFalse(load_report.share_differs(0, 0, 1, 10))
        self.assertFalse(load_report.share_differs(10, 10, 10, 10))


class Curves(unittest.TestCase):
    def test_no_peak_is_lost(self):
        values = [0] * 5000
        values[4321] = 77
        thinned = compare_plot.thinned(values)
        self.assertLessEqual(len(thinned), compare_plot.MOST_POINTS)
        self.assertEqual(max(value for _, value in thinned), 77)

    def test_all_is_within_the_picture(self):
        plot = compare_plot.curves([("a", [0, 1234, 17], False), ("b", [3], True)], "a plot", [(1, "x"), (99, "later")])
        for points in re.findall(r'points="([^"]*)"', plot):
            for x, y in (point.split(",") for point in points.split()):
                self.assertTrue(compare_plot.LEFT <= float(x) <= compare_plot.WIDTH)
                self.assertTrue(10 <= float(y) <= 10 + compare_plot.HEIGHT)
        self.assertNotIn("later", plot)

    def test_ticks_reach_the_largest(self):
        for most in (1, 3, 9, 10, 11, 49, 51, 99, 100, 101, 4999, 123456):
            plot = compare_plot.curves([("a", [most], False)], "a plot")
            self.assertNotIn("nothing", plot)
            (y,) = re.findall(r'points="[^,]*,([0-9.-]+)"', plot)
            self.assertGreaterEqual(float(y), 10, most)

    def test_nothing(self):
        self.assertIn("nothing happened", compare_plot.curves([("a", [], False)], "a plot"))


class Page(unittest.TestCase):
    def page(self, *results):
        page = load_report.html(list(results))
        structure = Structure(page)
        self.assertEqual((structure.unbalanced, structure.open), ([], []))
        self.assertNotRegex(page, r"<script|<link|<img|https?://")
        return page

    def test_one(self):
        page = self.page(result(step("buyer", "claim", latency(12.3, 5), latency(1, 3), SOLD=5, SOLD_OUT=3)))
        for text in ("a &lt;fast&gt; sale", "buyer: claim", "12.3", "5 (62.5%)", "SOLD_OUT", "spike"):
            self.assertIn(text, page)
        self.assertNotIn('class="bad"', page)
        self.assertNotIn("Incomplete", page)

    def test_who_did_not_begin_is_marked(self):
        one = result()
        one["totals"]["not_begun"] = 4
        self.assertIn('<td class="bad">4</td>', self.page(one))

    def test_a_lost_generator_is_told(self):
        page = self.page(result(complete=False, generators=[
            {"name": "h:1", "failure": "", "clock_ahead_ms": 1, "clock_error_ms": 0.25},
            {"name": "h:2", "failure": "it <died>", "clock_ahead_ms": 1, "clock_error_ms": 0.5}]))
        self.assertIn("Incomplete: h:2: it &lt;died&gt;", page)
        self.assertIn("2 generators, whose clocks are known to 0.5 ms", page)

    def test_two_are_beside_each_other(self):
        first = result(step("buyer", "claim", latency(10, 1000), SOLD=1000), step("buyer", "pay", latency(8, 500), OK=1))
        second = copy.deepcopy(first)
        second["steps"][0] = step("buyer", "claim", latency(20, 1000), SOLD=900, SOLD_OUT=100)
        second["steps"].append(step("bot", "claim", latency(), latency(1, 5), DENIED=5))
        page = self.page(first, second)
        self.assertIn('<td class="bad">x 2.00</td>', page)
        self.assertIn('<td class="weak">900 (90.0%)</td>', page)
        self.assertIn("bot: claim", page)
        self.assertIn("x 1.00", page)
        self.assertIn('<td class="good">x 0.50</td>', self.page(second, first))
        self.assertIn("stroke-dasharray=\"6 4\"", page)

    def test_other_files_are_refused(self):
        for wrong in ([], {}, {"format": 1}, result(format=99)):
            with self.assertRaises(ValueError):
                load_report.check_format(wrong)


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "a.json").write_text(json.dumps(result()))

    def run_script(self, *arguments):
        return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, cwd=self.folder, timeout=60,
                              check=False)

    def test_files_are_named_from_where_it_is_called(self):
        ended = self.run_script("a.json")
        self.assertEqual((ended.returncode, ended.stdout), (0, "a.html\n"), ended.stderr)
        self.assertIn("</html>", (self.folder / "a.html").read_text())
        self.assertEqual(self.run_script("a.json", "a.json", "--out", "b.html").stdout, "b.html\n")

    def test_wrong_usage(self):
        (self.folder / "other.json").write_text("{}")
        for arguments, words in (((), "the following arguments"), (("none.json",), "none.json: "),
                                 (("other.json",), "not the result of a scenario"),
                                 (("a.json", "a.json", "a.json"), "at most two")):
            ended = self.run_script(*arguments)
            self.assertEqual(ended.returncode, 1, ended)
            self.assertIn(words, ended.stderr)
            self.assertTrue(ended.stderr.endswith("; see scripts/load-report --help\n"), ended.stderr)


if __name__ == "__main__":
    unittest.main()
