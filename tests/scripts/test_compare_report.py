"""The figures and the page of scripts/compare."""

import copy
import html.parser
import re
import unittest

import lib_path  # noqa: F401
import compare_figures
import compare_kinds
import compare_plot
import compare_report
from compare_figures import Spread

LATENCY = {"count": 9, "p50": 1.0, "p99": 2.0, "p99_9": 3.0, "max": 4.0}


def sale(**faults):
    return {"acknowledged": 5, "orders": 5, "unknown": 0, "oversold": 0, "lost": 0, "phantom": 0, "miscounted": 0,
            "unsold": 0} | faults


def measured(created=100.0, refused=50.0, again_s=1.0, sales=None, struck=None):
    return {"saturation": {"window": 128, "created_per_s": created},
            "open": {"accepted": LATENCY, "refused": LATENCY, "failed": 0.0, "cpu_s_per_1000": 0.5},
            "tail": {"accepted": LATENCY, "refused": LATENCY, "failed": 0.0}, "refused_per_s": refused,
            "kills": {"server": {"again_s": again_s, "all_again_s": again_s}},
            "sales": {"rates": sale(doubled=0), "sold out": sale(**sales or {}), "kill server": sale(**struck or {})}}


def run(**rounds):
    """`rounds`: of each seller, with _ for -."""
    return {
        "format": compare_report.FORMAT, "mode": "full", "commit": "abc", "began": "2026-01-01T00:00:00+00:00",
        "plan": {"rounds": 2}, "versions": {"postgresql-15": "15.1"},
        "machine": {"processor": "a <fast> one", "processors": 2, "of_the_system": 1, "of_the_generator": 1,
                    "shared": False, "kernel": "6", "memory_gib": 8},
        "limits": [{"echo_per_s": 100.0, "fsync_per_s": 900.0}, {"echo_per_s": 200.0, "fsync_per_s": 800.0}],
        "peers": [{"name": name.replace("_", "-"), "design": "a design", "durable": not name.startswith("redis"),
                   "why": "because", "rounds": list(ones)} for name, ones in rounds.items()]}


class Figures(unittest.TestCase):
    def one(self, *rounds):
        return compare_figures.summaries(run(tranche=rounds))[0]

    def test_medians_and_the_range(self):
        found = self.one(measured(100.0), measured(300.0), measured(120.0))
        self.assertEqual(found["created"], Spread(120, 100, 300))
        self.assertTrue(found["right"])

    def test_refusals_are_held_against_the_echo_of_their_round(self):
        self.assertEqual(self.one(measured(refused=50.0), measured(refused=180.0))["of_echo"], Spread(0.7, 0.5, 0.9))

    def test_limits_that_were_not_measured(self):
        one = run(tranche=[measured()])
        one["limits"] = [{"failure": "no echo"}]
        self.assertIsNone(compare_figures.summaries(one)[0]["of_echo"])
        self.assertIn("A bare gRPC echo: -/s", compare_report.html([one]))

    def test_one_bad_round_makes_it_wrong(self):
        found = self.one(measured(), measured(sales={"oversold": 3}), measured(struck={"lost": 2}))
        self.assertEqual((found["calm"]["oversold"], found["struck"]["oversold"], found["struck"]["lost"]), (3, 0, 2))
        self.assertEqual((found["wrong"], found["right"]), (["oversold", "lost"], False))

    def test_what_was_not_looked_for_is_not_zero(self):
        self.assertIsNone(self.one(measured())["struck"]["doubled"])

    def test_never_in_one_round_is_never(self):
        found = self.one(measured(), measured(again_s=None))
        self.assertIsNone(found["kills"]["server"]["again_s"])

    def test_a_failure_is_told_with_what_was_seen(self):
        failed = {"saturation": {"created_per_s": 70.0}, "sales": {}, "kills": {}, "failure": "OSError: gone"}
        found = self.one(measured(90.0), failed)
        self.assertEqual((found["failures"], found["right"]), (["round 2: OSError: gone"], False))
        self.assertEqual(found["created"], Spread(80, 70, 90))

    def test_a_peer_that_never_started(self):
        found = self.one({"sales": {}, "kills": {}, "failure": "ClusterError: no port"})
        self.assertEqual((found["created"], found["right"], found["kills"]), (None, False, {}))


class First(unittest.TestCase):
    def first(self, **rounds):
        return compare_figures.first(compare_figures.summaries(run(**rounds)))

    def test_among_the_durable_and_right(self):
        self.assertEqual(self.first(tranche=[measured(200.0)], pg_naive=[measured(900.0, sales={"oversold": 1})],
                                    redis_everysec=[measured(950.0)], pg_atomic=[measured(100.0)]),
                         ("tranche", 2.0, "pg-atomic"))

    def test_the_same_design_is_no_rival(self):
        self.assertEqual(self.first(tranche=[measured(200.0)], tranche_streams=[measured(400.0)],
                                    pg_atomic=[measured(100.0)]), ("tranche-streams", 4.0, "pg-atomic"))

    def test_somebody_else_may_be_first(self):
        self.assertEqual(self.first(tranche=[measured(200.0)], pg_atomic=[measured(300.0)]),
                         ("pg-atomic", 1.5, "tranche"))

    def test_nobody(self):
        self.assertIsNone(self.first(tranche=[measured(200.0, sales={"unsold": 1})]))
        self.assertEqual(self.first(tranche=[measured(200.0)]), ("tranche", None, None))


class Structure(html.parser.HTMLParser):
    """Whether what is opened is closed."""

    EMPTY = ("meta", "rect", "line")

    def __init__(self, page):
        super().__init__()
        self.open, self.unbalanced = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)


class Page(unittest.TestCase):
    def page(self, *runs):
        page = compare_report.html(list(runs))
        structure = Structure(page)
        self.assertEqual((structure.unbalanced, structure.open), ([], []))
        return page

    def test_it_needs_nothing_from_outside(self):
        page = self.page(run(tranche=[measured()]))
        self.assertNotRegex(page, r"<script|<link|<img|https?://")
        self.assertIn("a &lt;fast&gt; one", page)

    def test_what_is_wrong_is_red(self):
        page = self.page(run(tranche=[measured()], pg_naive=[measured(sales={"oversold": 1234})]))
        self.assertIn('<td class="bad">1,234</td>', page)
        self.assertIn(compare_plot.COLOURS["wrong"][0], page)
        self.assertNotIn('class="bad"', self.page(run(tranche=[measured()])))

    def test_a_kill_after_which_nothing_is_sold(self):
        self.assertIn('<td class="bad">never</td>', self.page(run(tranche=[measured(again_s=None)])))

    def test_two_runs_are_beside_each_other(self):
        later = copy.deepcopy(run(tranche=[measured(150.0)], medusa=[measured(30.0)]))
        later["commit"] = "def"
        page = self.page(run(tranche=[measured(100.0)]), later)
        self.assertLess(page.index("tranche (A: abc)"), page.index("tranche (B: def)"))
        self.assertNotIn("medusa (A: abc)", page)
        self.assertIn("medusa (B: def)", page)

    def test_what_was_seen_of_a_failure(self):
        page = self.page(run(medusa=[{"sales": {}, "kills": {}, "failure": "RuntimeError: <none>"}]))
        self.assertIn("round 1: RuntimeError: &lt;none&gt;", page)
        self.assertIn("No seller was both durable and right.", page)

    def test_whiskers_only_of_several_rounds(self):
        self.assertNotIn("<line", compare_plot.bars([("a", Spread(5, 5, 5), "durable")], "rates"))
        self.assertEqual(compare_plot.bars([("a", Spread(5, 4, 6), "durable")], "rates").count("<line"), 3)

    def test_nothing_is_drawn_beyond_the_picture(self):
        plot = compare_plot.bars([("a", Spread(5, 4, 6000), "durable"), ("b", Spread(0, 0, 0), "wrong")], "rates")
        self.assertTrue(all(float(x) <= compare_plot.WIDTH for x in re.findall(r' x[12]?="([0-9.]+)"', plot)), plot)


class Table(unittest.TestCase):
    def test_markdown(self):
        lines = compare_report.table([run(tranche=[measured(1000.0), measured(3000.0)])])
        self.assertEqual(lines[2], "| tranche | 2,000 (1,000 to 3,000) | 1.0 / 2.0 / 3.0 | 1.0 / 2.0 / 3.0 | 50 | 0 "
                                   "| 0 | 0 | 1.00 | 0.50 | yes |")
        self.assertTrue(all(line.count("|") == lines[0].count("|") for line in lines))

    def test_without_figures(self):
        lines = compare_report.table([run(medusa=[{"sales": {}, "kills": {}, "failure": "x"}])])
        self.assertEqual(lines[2], "| medusa | - | - / - / - | - / - / - | - | - | - | - | - | - | yes |")

    def test_other_files_are_refused(self):
        for wrong in ([], {"rounds": []}, {"peers": [], "format": 0}):
            with self.assertRaises(ValueError):
                compare_report.check_format(wrong)


class Kinds(unittest.TestCase):
    def names(self, text, everything=False):
        return [kind.name for kind in compare_kinds.chosen(text, everything)]

    def test_the_short_run_needs_postgresql_and_redis_only(self):
        stores = {store for kind in compare_kinds.chosen("", False) for store in kind.stores}
        self.assertEqual(stores, {"postgres", "redis"})
        self.assertIn("tranche", self.names(""))

    def test_the_long_run_has_all(self):
        self.assertEqual(self.names("", True), list(compare_kinds.KINDS))

    def test_some_by_name_in_the_order_of_the_report(self):
        self.assertEqual(self.names("pg-atomic,tranche"), ["tranche", "pg-atomic"])
        with self.assertRaisesRegex(ValueError, "no peer pg-atom;"):
            self.names("pg-atom")


if __name__ == "__main__":
    unittest.main()
