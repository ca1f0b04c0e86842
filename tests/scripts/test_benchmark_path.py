"""The figure `path` of scripts/benchmark, as far as it is computed in Python."""

import contextlib
import io
import math
import pathlib
import unittest
from unittest import mock

import lib_path  # noqa: F401
import benchmark
import benchmark_path
import benchmark_path_figures as figures

USAGE = (pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark").read_text()


class Options(unittest.TestCase):
    def refused(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            benchmark.parse(arguments)
        return said.getvalue()

    def test_the_help_names_every_part(self):
        for part in benchmark_path.PARTS:
            self.assertRegex(USAGE, rf"\n {{16}}{part} ")

    def test_only_some_parts(self):
        self.assertEqual(benchmark.parse(["path", "--only", "cost,half"]).only, ["cost", "half"])
        self.assertIn("no part nope of path", self.refused("path", "--only", "cost,nope"))
        self.assertIn("--only is for path", self.refused("--only", "cost"))
        self.assertIn("--only is for path", self.refused("path", "durable", "--only", "cost"))

    def test_what_is_called_is_built_and_what_is_read_is_there(self):
        for program in ("bench_durable", "bench_overload", "many_skus"):
            self.assertIn(f" {program} ", USAGE)
        for file in (benchmark_path.SAMPLE, benchmark_path.NODE, benchmark_path.WAITS, benchmark_path.COMMIT,
                     benchmark_path.LOG_ON, benchmark_path.LOG_OFF, benchmark_path.COUNT_ON, benchmark_path.COUNT_OFF,
                     benchmark_path.OPEN_SKUS):
            self.assertTrue(file.is_file(), file)


class Cost(unittest.TestCase):
    def test_for_each_claim(self):
        first = figures.to_sample(["100.5", "1000", "10", "1", "5", "20", "8192", "4096", "50"])
        last = figures.to_sample(["110.5", "601000", "4010", "3", "15", "25", "168192", "164096", "1050"])
        self.assertEqual(figures.between(first, last), {
            "claims": 1000, "per_second": 100, "wal_bytes": 600, "wal_records": 4, "row_bytes": 160, "index_bytes": 160,
            "full_pages_per_1000": 2, "flushes_per_second": 1, "claims_per_flush": 100, "claims_per_commit": 200})

    def test_nothing_sold_is_no_measurement(self):
        one = figures.to_sample(["1"] * 8 + ["7"])
        with self.assertRaises(RuntimeError):
            figures.between(one, one._replace(at=2.0))

    def test_processes_by_their_titles(self):
        for title, kind in (("postgres: postgres tranche 127.0.0.1(50413) SELECT", "PostgreSQL, others"),
                            ("postgres: walwriter", "PostgreSQL, WAL writer"),
                            ("postgres: autovacuum worker tranche", "PostgreSQL, others"),
                            ("postgres: checkpointer", "PostgreSQL, others"),
                            ("/usr/lib/postgresql/15/bin/postgres", "PostgreSQL, others")):
            self.assertEqual(figures.kind_of(title), kind, title)

    def test_the_workers_connections_are_not_the_nodes(self):
        titles = {11: "postgres: tranche_node tranche 127.0.0.1(50412) idle",
                  12: "postgres: tranche_node tranche 127.0.0.1(50414) idle", 13: "postgres: walwriter"}
        state = {"nodes": [{"pid": 1}], "balancers": [{"pid": 2}], "workers": [{"pid": 3}]}
        place = benchmark_path.Place(state, pathlib.Path("/nowhere"), 1)
        with (mock.patch.object(benchmark_path, "postgres_processes", lambda _: titles),
              mock.patch.object(benchmark_path, "query", lambda *_: [["11"]])):
            self.assertEqual(benchmark_path.processes(place, 4), {
                "front node": [1], "PostgreSQL, SQL": [11], "PostgreSQL, WAL writer": [13], "PostgreSQL, others": [12],
                "generator": [4], "balancer and worker": [2, 3]})

    def test_statements_of_the_node_alone(self):
        head = "2026-11-27 09:00:00.123 UTC "
        log = "\n".join([
            head + "[11] tranche_node@tranche LOG:  execute commit_reservations: SELECT * FROM commit_reservations($1)",
            head + "[12] tranche_node@tranche LOG:  execute commit_reservations: SELECT * FROM commit_reservations($1)",
            head + "[12] tranche_node@tranche LOG:  statement: SET statement_timeout = 1",
            head + "[13] tranche_node@tranche LOG:  execute expire_reservations: SELECT 1",
            head + "[14] postgres@tranche LOG:  statement: SELECT 1",
            head + "[11] tranche_node@tranche ERROR:  execute commit_reservations: not a statement",
            head + "[7] @ LOG:  checkpoint starting: time",
            "\tthe second line of a statement"])
        self.assertEqual(figures.statements(log, {11, 12}), {"commit_reservations": 2, "SET": 1})


class Measure(unittest.TestCase):
    """What runs while the shared cluster does."""

    def measured(self, only):
        events = []

        @contextlib.contextmanager
        def running_cluster(nodes):
            events.append("up")
            yield [], {}, pathlib.Path("/nowhere")
            events.append("down")

        def stand_in(part):
            def asked(_):
                events.append(part)
                return {"ratios": [1.0], "ratio": figures.spread([1.0]), "p99_ms": figures.spread([1.0])}
            asked.__doc__ = part
            return asked

        parts = {part: stand_in(part) for part in benchmark_path.PARTS}
        options = benchmark.parse(["path", "--only", ",".join(only)])
        with (mock.patch.object(benchmark_path, "running_cluster", running_cluster),
              mock.patch.dict(benchmark_path.PARTS, parts), contextlib.redirect_stdout(io.StringIO())):
            benchmark_path.measure(options)
        return events

    def test_what_needs_the_machine_for_itself_runs_without_the_shared_cluster(self):
        self.assertEqual(self.measured(["ledger", "cost", "half", "share"]),
                         ["up", "share", "cost", "down", "half", "ledger"])
        self.assertEqual(self.measured(["catalogue"]), ["catalogue"])


class Many(unittest.TestCase):
    """The parts about many SKUs, without servers."""

    def test_both_sides_of_the_ledger_are_one_run(self):
        asked = []

        def bench_durable(folder, seconds, rounds, *args):
            asked.append(args)
            return {"bare_per_second": [100.0, 50.0, 80.0], "beside_per_second": [95.0, 45.0, 60.0],
                    "ratios": [0.95, 0.9, 0.75]}

        with (mock.patch.object(benchmark_path, "bench_durable", bench_durable),
              contextlib.redirect_stdout(io.StringIO())):
            found = benchmark_path.ledger(3)
        self.assertEqual(asked, [("--only", "bare", "--skus", 1_000, "--beside-skus", 100_000)])
        self.assertEqual(found["ratio"], {"median": 0.9, "least": 0.75, "most": 0.95})

    def test_a_thousand_skus_are_measured_before_and_after_a_hundred_thousand(self):
        size, measured, rates = {}, [], {1_000: [[100.0], [80.0]], 100_000: [[81.0]]}

        @contextlib.contextmanager
        def running_cluster(nodes):
            size["skus"] = 0
            yield [], {}, pathlib.Path("/nowhere")

        def fill(_, first, last):
            self.assertEqual(first, size["skus"])
            size["skus"] = last + 1

        def active_per_second(_):
            measured.append(size["skus"])
            return rates[size["skus"]].pop(0)

        with (mock.patch.multiple(benchmark_path, running_cluster=running_cluster, fill_catalogue=fill,
                                  active_per_second=active_per_second),
              mock.patch.object(benchmark_path.Place, "open_many"), contextlib.redirect_stdout(io.StringIO()) as out):
            found = benchmark_path.catalogue(1)
        self.assertEqual(measured, [1_000, 100_000, 1_000])
        self.assertEqual((found["few_per_second"], found["few_again_per_second"]), ([100.0], [80.0]))
        self.assertEqual(found["ratio"]["median"], 0.9)
        self.assertIn("100/s before and 80/s after", out.getvalue())


class Ratios(unittest.TestCase):
    def test_of_medians_with_the_widest_range(self):
        self.assertEqual(figures.ratio([80, 90, 100], [100, 100, 200]), {"median": 0.9, "least": 0.4, "most": 1.0})

    def test_half_load(self):
        one = {"due": 1000, "seconds": 2, "in_time": 990, "p50_ms": 1.5, "p99_ms": 9.0,
               "others": {"": 4, "OVERLOADED": 0}}
        self.assertEqual(figures.half_load(one), {"per_second": 500, "sold": 0.99, "p50_ms": 1.5, "p99_ms": 9.0,
                                                  "others": {"no answer": 4}})
        self.assertEqual(figures.half_load(one | {"in_time": 989})["p99_ms"], math.inf)


class Table(unittest.TestCase):
    FOUND = {"share": {"ratios": [0.95, 0.91, 0.89]}, "half": {"p99_ms": {"median": 15.0, "least": 9.0, "most": 20.0}},
             "catalogue": {"ratio": {"median": 0.899, "least": 0.8, "most": 1.0}}}

    def test_goals_that_are_missed_are_named(self):
        lines = figures.table(benchmark_path.goals_of(self.FOUND))
        self.assertEqual(len(lines), 4)
        self.assertIn("91.0 %", lines[1])
        self.assertFalse(lines[1].endswith("missed"), lines[1])
        self.assertTrue(lines[2].endswith("missed"), lines[2])
        self.assertTrue(lines[3].endswith("missed"), lines[3])

    def test_every_goal_is_shown(self):
        self.assertEqual(set(figures.ROWS), set(figures.GOALS))
        all_parts = self.FOUND | {"ledger": self.FOUND["catalogue"]}
        self.assertEqual(set(benchmark_path.goals_of(all_parts)), set(figures.GOALS))


if __name__ == "__main__":
    unittest.main()
