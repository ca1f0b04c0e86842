"""The figures of scripts/benchmark that are computed in Python."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

import lib_path  # noqa: F401
import benchmark
import benchmark_answers
import benchmark_door
import benchmark_generators
import benchmark_overload
import benchmark_verify
import chaos_changes
from benchmark_cluster import memory_mib

USAGE = (pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark").read_text()


class Options(unittest.TestCase):
    def test_the_help_names_every_figure(self):
        for name in benchmark.FIGURES:
            self.assertRegex(USAGE, rf"\n  {name}\s")

    def test_the_rows_that_the_help_promises(self):
        self.assertIn(f"--rows, default {benchmark.parse([]).rows:,}", USAGE)
        self.assertEqual(benchmark.parse(["verify", "--rows", "1000"]).rows, 1000)


class Summary(unittest.TestCase):
    def test_what_never_happened_is_null(self):
        found = {"p99_ms": float("inf"), "rounds": [(1.5, float("-inf"))], "count": 3, "name": "x", "none": None}
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            file = pathlib.Path(folder) / "summary.json"
            with mock.patch.dict(benchmark.FIGURES, {"counter": lambda _: found}):
                benchmark.main(["counter", "--summary", str(file)])

            def no_constant(text):
                raise ValueError(text)

            self.assertEqual(json.loads(file.read_text(), parse_constant=no_constant), {
                "counter": {"p99_ms": None, "rounds": [[1.5, None]], "count": 3, "name": "x", "none": None}})


class Compare(unittest.TestCase):
    def compare(self, figures, rounds=1):
        """`figures`: of each door, its (answers per second, microseconds) in turns."""
        left = {name: list(measured) for name, measured in figures.items()}
        order = []

        def measure(name):
            order.append(name)
            return {"status": left[name].pop(0)}

        with contextlib.redirect_stdout(io.StringIO()) as out:
            found = benchmark_answers.compare({name: name for name in figures}, "plain", rounds, measure)
        return found, order, out.getvalue()

    def test_ratios_of_the_same_turn(self):
        # The first of each is not counted; in the last turn the machine is half as fast.
        found, _, text = self.compare({"closed": [(1, 1), (80, 12), (40, 24)], "plain": [(9, 9), (100, 10), (50, 20)]})
        self.assertEqual(found, {"closed": {"status": {"rate": 0.8, "cpu": 1.2, "rates": [0.8, 0.8], "cpus": [1.2, 1.2],
                                                       "per_second": 60, "cpu_us": 18}}})
        self.assertIn("80.0 % of the rate plain", text)
        self.assertIn("60/s, 18.0 us", text)

    def test_each_is_first_as_often(self):
        _, order, _ = self.compare({"closed": [(1, 1)] * 5, "plain": [(1, 1)] * 5}, rounds=2)
        self.assertEqual(order[:2], ["closed", "plain"])
        self.assertEqual(order[2:], ["closed", "plain", "plain", "closed"] * 2)


class FollowedDoor(unittest.TestCase):
    """The node of a benchmark goes by the stored policies before it is measured."""

    def wait(self, told, patience_s=60):
        """`told`: the node's versions, one at each look; 7 is stored."""
        stored = json.dumps({"policies": [{"version": "7"}]})
        # `door test` ends with 1 where somebody would not be let in.
        looks = [subprocess.CompletedProcess([], 1, json.dumps({"policy_version": str(seen)}), "") for seen in told]
        with (mock.patch("tranchectl.ctl", return_value=stored), mock.patch("tranchectl.run", side_effect=looks) as run,
              mock.patch("time.sleep"), mock.patch("benchmark_door.PATIENCE_S", patience_s)):
            benchmark_door.wait_until_followed({}, ["tv"])
        return run.call_count

    def test_it_looks_until_the_node_follows(self):
        self.assertEqual(self.wait([0, 6, 7, 7]), 3)

    def test_not_for_ever(self):
        with self.assertRaisesRegex(RuntimeError, "does not follow the policy of tv"):
            self.wait([6, 6], patience_s=-1)


class Memory(unittest.TestCase):
    def test_of_a_process(self):
        self.assertGreaterEqual(memory_mib(os.getpid(), "VmHWM"), memory_mib(os.getpid(), "VmRSS") / 2)
        self.assertGreater(memory_mib(os.getpid(), "VmRSS"), memory_mib(os.getpid(), "RssAnon"))

    def test_an_unknown_field_is_an_error(self):
        with self.assertRaises(OSError):
            memory_mib(os.getpid(), "VmHW")


class Usage(unittest.TestCase):
    def usage(self, *looks):
        """Each look: the pages that run, and the memory by process and field."""
        usage = benchmark_verify.Usage()
        for pages, memory in looks:
            def of(pid, field, memory=memory):
                if (pid, field) not in memory:
                    raise FileNotFoundError
                return memory[pid, field]
            usage.look(1, pages, of)
        return usage.tranchectl_mib, usage.backend_mib, usage.longest_page_s

    def test_the_most_counts(self):
        self.assertEqual(self.usage(([["7", "1.5"]], {(1, "VmHWM"): 10, (7, "RssAnon"): 30}),
                                    ([["7", "2.5"]], {(1, "VmHWM"): 12, (7, "RssAnon"): 50}),
                                    ([["8", "0.5"]], {(1, "VmHWM"): 12, (8, "RssAnon"): 20})), (12, 50, 2.5))

    def test_between_two_pages(self):
        self.assertEqual(self.usage(([], {(1, "VmHWM"): 10})), (10, 0, 0))

    def test_a_process_that_has_ended_counts_as_it_was_seen(self):
        self.assertEqual(self.usage(([["7", "1"]], {(1, "VmHWM"): 10, (7, "RssAnon"): 30}), ([["7", "2"]], {})),
                         (10, 30, 2))


class Verdict(unittest.TestCase):
    ANSWER = '{"skus_checked": "3", "reservations_checked": "1200"}'

    def test_all_well(self):
        self.assertEqual(benchmark_verify.checked_reservations(0, self.ANSWER, 1000), 1200)

    def test_a_broken_rule_is_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "ended with 2"):
            benchmark_verify.checked_reservations(2, self.ANSWER, 1000)

    def test_neither_is_a_part_of_the_ledger(self):
        with self.assertRaisesRegex(RuntimeError, "1,200 of 1,201"):
            benchmark_verify.checked_reservations(0, self.ANSWER, 1201)


class Sales(unittest.TestCase):
    def summary(self, created, refused=0, unknown=0):
        return {"totals": {"created": created, "refused_total": refused, "unknown": unknown},
                "latency_ms": {"created": {"p50": 2, "p90": 3, "p99": 8, "max": 20}}}

    def test_latency(self):
        self.assertEqual(benchmark_verify.latency_of(self.summary(100, refused=2, unknown=1)),
                         {"sales": 100, "failed": 3, "p50_ms": 2, "p99_ms": 8, "max_ms": 20})

    def test_without_a_sale_there_is_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "nobody got a unit"):
            benchmark_verify.latency_of(self.summary(0, refused=5))


class Summary(unittest.TestCase):
    def round(self, seconds, mib, alone, beside):
        run = {"seconds": seconds, "exit_status": 0, "reservations": 1, "tranchectl_mib": 1, "backend_mib": mib,
               "longest_page_s": seconds / 2}
        return {"verify": [run], "alone": dict(zip(("p50_ms", "p99_ms"), alone)),
                "beside": dict(zip(("p50_ms", "p99_ms"), beside))}

    def test_medians_and_the_most(self):
        rounds = [self.round(60, 40, (2, 10), (3, 20)), self.round(50, 70, (2, 12), (4, 24)),
                  self.round(90, 50, (1, 8), (5, 90))]
        self.assertEqual(benchmark_verify.summarize(rounds),
                         {"verify_s": 60, "most_tranchectl_mib": 1, "most_backend_mib": 70, "most_longest_page_s": 45,
                          "p50_ratio": 2, "p99_ratio": 2.4})


class Processors(unittest.TestCase):
    def test_the_generators_have_their_own(self):
        self.assertEqual(benchmark_generators.split({3, 1}), ({1}, {3}))
        self.assertEqual(benchmark_generators.split({0, 1, 2}), ({0, 1}, {2}))

    def test_unless_there_is_only_one(self):
        self.assertEqual(benchmark_generators.split({5}), ({5}, {5}))

    def test_what_ran_here_before_runs_there_again(self):
        before = os.sched_getaffinity(0)
        with benchmark_generators.pinned({min(before)}):
            self.assertEqual(os.sched_getaffinity(0), {min(before)})
        self.assertEqual(os.sched_getaffinity(0), before)


class Goodput(unittest.TestCase):
    def test_as_shares_of_what_saturates(self):
        one = {"saturation": 100, "seconds": 10, "due": 10_000, "sent": 4_000, "in_time": 900, "p50_ms": 6, "p99_ms": 60,
               "others": {"OVERLOADED": 3_000, "": 7, "sold late": 0}}
        self.assertEqual(benchmark_overload.open_loop(one), {
            "saturation": 100, "goodput": 0.9, "factor": 4, "offered": 10, "p50_ms": 6, "p99_ms": 60,
            "others": {"OVERLOADED": 3_000, "no answer": 7}})

    def test_enough_in_flight(self):
        self.assertEqual(benchmark_overload.in_flight(10), 1024)
        self.assertEqual(benchmark_overload.in_flight(1e5), 250_000)


class Payments(unittest.TestCase):
    def change(self, began, ms, outcome="CONFIRMED", node="n:1"):
        return chaos_changes.Change("id", "confirm", node, "pay", outcome, began, began + ms / 1e3)

    def test_of_the_window_only(self):
        changes = [self.change(9, 900), *(self.change(10 + i / 100, i + 1) for i in range(98)),
                   self.change(15, 1, "OVERLOADED"), self.change(16, 2000, "UNKNOWN"), self.change(17, 5000, node="-"),
                   self.change(20, 900)]
        found = benchmark_overload.payments_between(changes, 10, 20)
        self.assertEqual((found["payments"], found["paid"]), (100, 0.98))
        self.assertEqual(found["failed"], {"OVERLOADED": 1, "UNKNOWN": 1})
        self.assertAlmostEqual(found["p50_ms"], 49, places=3)
        self.assertAlmostEqual(found["p99_ms"], 98, places=3)

    def test_if_none_succeeds_that_is_the_figure(self):
        found = benchmark_overload.payments_between([self.change(1, 1, "OVERLOADED")], 0, 2)
        self.assertEqual((found["paid"], found["p99_ms"]), (0, float("inf")))

    def test_none_at_all_is_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "no payment was sent"):
            benchmark_overload.payments_between([], 0, 1)


class OverloadTable(unittest.TestCase):
    def round(self, goodput, paid, p99_ratio):
        form = {"saturation": 100, "goodput": goodput, "factor": 9, "p50_ms": 1, "p99_ms": 2}
        return {"streams": form, "calls": form, "payments": {"paid": paid, "p99_ratio": p99_ratio, "factor": 11}}

    def lines(self, *rounds):
        return benchmark_overload.table(benchmark_overload.summarize([self.round(*one) for one in rounds]))

    def test_medians_decide_and_the_worst_is_told(self):
        lines = self.lines((0.95, 1, 1.5), (0.91, 0.9995, 1.9), (0.2, 0.5, 7))
        self.assertRegex(lines[1], r"sold in time at 9.0 times, streams +>= 90 % +91.0 % +20.0 %$")
        self.assertRegex(lines[3], r">= 99.9 % +99.95 % +50.00 %$")
        self.assertRegex(lines[4], r"< 2 +1.90 +7.00$")

    def test_a_goal_that_is_missed_is_marked(self):
        for line in self.lines((0.89, 0.998, 2))[1:]:
            self.assertTrue(line.endswith(" missed"), line)


class GeneratorProcesses(unittest.TestCase):
    def test_none_is_left(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "tranche-load").write_text("#!/bin/sh\nexec sleep 1000\n")
            (folder / "tranche-load").chmod(0o755)
            with mock.patch("cluster.BIN", folder), self.assertRaisesRegex(RuntimeError, "the round failed"):
                with benchmark_generators.Generators(folder, ["n:1"], os.sched_getaffinity(0)) as generators:
                    generators.start("load")
                    generators.check("load")
                    process = generators._running["load"][0]
                    raise RuntimeError("the round failed")
            self.assertIsNotNone(process.returncode)

    def test_one_that_fails_tells_why(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "tranche-load").write_text("#!/bin/sh\necho no node >&2\nexit 2\n")
            (folder / "tranche-load").chmod(0o755)
            with mock.patch("cluster.BIN", folder):
                with benchmark_generators.Generators(folder, ["n:1"], os.sched_getaffinity(0)) as generators:
                    generators.start("load")
                    with self.assertRaisesRegex(RuntimeError, "ended with 2: no node"):
                        generators.finish("load")


if __name__ == "__main__":
    unittest.main()
