"""The figures of scripts/benchmark that are computed in Python."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import unittest
from unittest import mock

import lib_path  # noqa: F401
import benchmark
import benchmark_answers
import benchmark_door
import benchmark_verify
from benchmark_cluster import memory_mib

USAGE = (pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark").read_text()


class Options(unittest.TestCase):
    def test_the_help_names_every_figure(self):
        for name in benchmark.FIGURES:
            self.assertRegex(USAGE, rf"\n  {name} ")

    def test_the_rows_that_the_help_promises(self):
        self.assertIn(f"--rows, default {benchmark.parse([]).rows:,}", USAGE)
        self.assertEqual(benchmark.parse(["verify", "--rows", "1000"]).rows, 1000)


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


if __name__ == "__main__":
    unittest.main()
