"""The figure `draw` of scripts/benchmark, as far as it is computed in Python."""

import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

import lib_path  # noqa: F401
import benchmark
import benchmark_draw
from benchmark_draw import DrawNow
from chaos_answers import Answer

USAGE = (pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark").read_text()


class Options(unittest.TestCase):
    def test_the_entries_that_the_help_promises(self):
        self.assertIn(f"--entries, default {benchmark.parse([]).entries:,}", USAGE)
        self.assertEqual(benchmark.parse(["draw", "--entries", "5000"]).entries, 5000)

    def test_what_is_called_is_built(self):
        self.assertIn(" bench_draw ", USAGE)


class Windows(unittest.TestCase):
    def answer(self, name, began, ms, outcome="created"):
        return Answer(name, "stock", "u", 1, outcome, 100, began, began + ms / 1e3)

    def test_only_claims_of_the_windows(self):
        answers = [self.answer("before", 9.9, 900), *(self.answer(f"a{i}", 10 + i / 100, i + 1) for i in range(50)),
                   self.answer("between", 15, 900), *(self.answer(f"b{i}", 20 + i / 100, i + 51) for i in range(50)),
                   self.answer("after", 21, 900)]
        found = benchmark_draw.latency_within(answers, {"one": (10, 11), "two": (20, 21)}.values())
        self.assertEqual((found["sales"], found["failed"]), (100, 0))
        self.assertAlmostEqual(found["p50_ms"], 50)
        self.assertAlmostEqual(found["p99_ms"], 99)
        self.assertAlmostEqual(found["max_ms"], 100)

    def test_the_last_answer_to_a_claim_counts(self):
        answers = [self.answer("a", 10, 1, "UNKNOWN"), self.answer("a", 10, 7, "replayed"),
                   self.answer("b", 10, 1, "OVERLOADED")]
        found = benchmark_draw.latency_within(answers, [(10, 11)])
        self.assertEqual((found["sales"], found["failed"]), (1, 1))
        self.assertAlmostEqual(found["p99_ms"], 7)

    def test_without_a_sale_there_is_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "nobody got a unit; 1 tried"):
            benchmark_draw.latency_within([self.answer("a", 10, 1, "OVERLOADED")], [(10, 11)])


class Waiting(unittest.TestCase):
    def wait(self, states, patience_s=60):
        looks = [DrawNow(state, 10, 0) for state in states]
        with mock.patch("time.sleep"), contextlib.redirect_stdout(io.StringIO()):
            benchmark_draw.wait_until("sealed", lambda draw: draw.state == "CLOSED", lambda: looks.pop(0), patience_s)
        return len(looks)

    def test_until_it_is_seen(self):
        self.assertEqual(self.wait(["CLOSING", "CLOSING", "CLOSED", "CLOSED"]), 1)

    def test_not_for_ever(self):
        with self.assertRaisesRegex(RuntimeError, "not sealed within -1 s: .*CLOSING"):
            self.wait(["CLOSING", "CLOSED"], patience_s=-1)

    def test_the_draw_of_another_sku_is_another(self):
        rows = [["guarded", "OPEN", "7", "0"], ["sneaker", "DRAWN", "12", "3"]]
        with mock.patch("benchmark_draw.query", return_value=rows):
            self.assertEqual(benchmark_draw.draw_now({}), DrawNow("DRAWN", 12, 3))
        with (mock.patch("benchmark_draw.query", return_value=rows[:1]),
              self.assertRaisesRegex(RuntimeError, "sneaker has no draw")):
            benchmark_draw.draw_now({})


class Script(unittest.TestCase):
    def run_script(self, text):
        with tempfile.TemporaryDirectory() as name:
            script = pathlib.Path(name) / "one.py"
            script.write_text(text)
            return benchmark_draw.run_script(pathlib.Path(name) / "log", script, "argument")

    def test_its_time_and_memory(self):
        seconds, small = self.run_script("import sys; assert sys.argv[1] == 'argument'")
        _, large = self.run_script("b = bytearray(200 << 20)")
        self.assertGreater(seconds, 0)
        self.assertGreater(large, 190)
        self.assertLess(small, large)

    def test_one_that_fails_is_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "one.py ended with 1: DOES NOT FIT"):
            self.run_script("raise SystemExit('DOES NOT FIT')")


class Order(unittest.TestCase):
    def test_each_is_first_in_turn(self):
        place = mock.Mock()
        place.calls.return_value = {"per_second": 1, "p50_ms": 1, "p99_ms": 1, "cpu_us": 1}
        firsts = []
        for number in range(3):
            place.calls.reset_mock()
            with contextlib.redirect_stdout(io.StringIO()):
                found = benchmark_draw.enter(place, number)
            self.assertEqual(list(found), ["claims", "entries", "token_entries"])
            firsts.append(place.calls.call_args_list[0].args[1])
        self.assertEqual(firsts, ["stock", "sneaker", "guarded"])


class Table(unittest.TestCase):
    def round(self, seal_s, check_s, p99_ratio, entries=50):
        rates = {"claims": 100, "entries": entries, "token_entries": 40, "looks": 700}
        return {"calls": {name: {"per_second": rate, "p99_ms": 9} for name, rate in rates.items()},
                "times": {"seal_s": seal_s, "rank_s": 20, "award_s": 3, "export_s": 4, "check_s": check_s,
                          "check_mib": 400},
                "seal_and_rank_s": seal_s + 20, "p99_ratio": p99_ratio}

    def lines(self, *rounds):
        return benchmark_draw.table(benchmark_draw.summarize(rounds))

    def test_medians_decide_and_the_worst_is_told(self):
        lines = self.lines(self.round(10, 9, 1.5, 60), self.round(30, 11, 1.9, 80), self.round(70, 20, 7, 20))
        self.assertRegex(lines[1], r"^sealed and ranked +< 60 s +50.0 s +90.0 s$")
        self.assertRegex(lines[2], r"< 15 s +11.0 s +20.0 s$")
        self.assertRegex(lines[3], r"< 2 +1.90 +7.00$")
        self.assertTrue(any(line.startswith("entries, of the claims' rate") and line.endswith("60 %       20 %")
                            for line in lines), lines)

    def test_a_goal_that_is_missed_is_marked(self):
        for line in self.lines(self.round(40, 15, 2))[1:4]:
            self.assertTrue(line.endswith(" missed"), line)

    def test_all_figures_are_in_it(self):
        one = self.round(10, 9, 1)
        lines = self.lines(one)
        self.assertEqual(len(lines), 1 + len(benchmark_draw.figures_of(one)))


if __name__ == "__main__":
    unittest.main()
