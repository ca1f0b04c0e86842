"""What scripts/compare limiters asks, and what it makes of the answers."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import lib_path  # noqa: F401
import compare_limiter_http
import compare_limiter_kinds as kinds
import compare_limiter_nginx as nginx
import compare_limiter_programs as programs
import compare_limiter_report as report
import compare_limiters
from cluster import ClusterError
from test_compare_report import Structure

PLAN = dataclasses.replace(kinds.QUICK, keys=5000, victims=2)


class Kinds(unittest.TestCase):
    def test_all_unless_some_are_named(self):
        self.assertEqual([kind.name for kind in kinds.chosen("")], list(kinds.KINDS))
        self.assertEqual([kind.name for kind in kinds.chosen("redis-gcra,nginx")], ["nginx", "redis-gcra"])
        with self.assertRaisesRegex(ValueError, "no limiter ngin;"):
            kinds.chosen("ngin")

    def test_every_question_has_its_terms(self):
        for question in kinds.QUESTIONS:
            self.assertLessEqual({"burst", "interval-ms"}, kinds.terms(question, PLAN).keys(), question)

    def test_the_table_has_room_for_the_keys_and_is_as_large_as_the_others_when_it_is_filled(self):
        plan = dataclasses.replace(PLAN, keys=1_000_000, store_mib=16)
        self.assertEqual(kinds.table_bytes("memory", plan), 20_000_000)
        self.assertEqual(kinds.table_bytes("evicted", plan), 16 << 20)


class Commands(unittest.TestCase):
    def flags(self, name, question, redis=None):
        words = programs.command(kinds.KINDS[name], question, PLAN, redis)
        return words[0], {flag: value for flag, value in zip(words, words[1:]) if flag.startswith("--")}

    def test_only_speed_is_asked_in_batches(self):
        self.assertEqual(self.flags("redis-gcra-pipelined", "speed", "h:1")[1]["--batch"], "64")
        self.assertEqual(self.flags("redis-gcra", "speed", "h:1")[1]["--batch"], "1")
        self.assertNotIn("--batch", self.flags("redis-gcra", "exact", "h:1")[1])

    def test_homes_are_looked_up_where_a_check_is_timed(self):
        self.assertEqual(self.flags("tranche", "speed")[1]["--homes"], str(PLAN.nodes))
        self.assertNotIn("--homes", self.flags("tranche", "memory")[1])
        self.assertNotIn("--homes", self.flags("redis-gcra", "speed", "h:1")[1])

    def test_a_key_that_another_one_is_taken_for_is_refused(self):
        flags = self.flags("tranche", "memory")[1]
        self.assertEqual((flags["--burst"], flags["--interval-ms"]), ("1", "3600000"))

    def test_who_uses_all_of_their_processors_is_what_ends_first(self):
        answer = {"seconds": 2.0, "cpu_seconds": 1.9}
        self.assertTrue(kinds.with_bound(answer, 1)["bound_by_caller"])
        self.assertFalse(kinds.with_bound(answer, 2)["bound_by_caller"])
        self.assertFalse(kinds.with_bound(answer | {"cpu_seconds": 1.8}, 1)["bound_by_caller"])

    def test_the_caller_is_no_bound_of_a_limiter_in_its_own_process(self):
        place = programs.Place(pathlib.Path("/nowhere"), {0}, {1})
        answer = {"seconds": 1.0, "cpu_seconds": 1.0, "per_s": 1.0}
        for name, bound in (("redis-gcra", True), ("flexible-redis", True), ("flexible-memory", None),
                            ("tranche", None)):
            with (mock.patch.object(programs, "require", lambda _: None),
                  mock.patch.object(programs, "running", contextlib.nullcontext),
                  mock.patch.object(programs, "answer_of", lambda *_: answer)):
                found = programs.Questions(kinds.KINDS[name], PLAN, place).ask("speed")
            self.assertEqual([one.get("bound_by_caller") for one in found.values()], [bound, bound], name)

    def test_each_program_is_told_its_limiter(self):
        program, flags = self.flags("flexible-memory", "speed")
        self.assertEqual((program, flags["--limiter"]), ("node", "memory"))
        program, flags = self.flags("tranche", "evicted")
        self.assertEqual((pathlib.Path(program).name, flags["--limiter"]), ("tranche-limiter", "table"))
        self.assertEqual(flags["--table-bytes"], str(PLAN.store_mib << 20))
        self.assertNotIn("--redis", flags)

    def test_redis_forgets_only_where_it_is_asked_what_it_forgets(self):
        place = programs.Place(pathlib.Path("/nowhere"), {0}, {0})
        questions = programs.Questions(kinds.KINDS["redis-gcra"], PLAN, place)
        stores = {}
        for question in ("speed", "evicted"):
            with mock.patch.object(programs, "running", contextlib.nullcontext):
                with questions._store(question) as store:
                    stores[question] = store.settings()
        self.assertNotIn("maxmemory", stores["speed"])
        self.assertEqual(stores["evicted"]["maxmemory"], "5mb")
        self.assertEqual(stores["evicted"]["maxmemory-policy"], "allkeys-lru")
        self.assertEqual(stores["evicted"]["appendonly"], "no")


class Http(unittest.TestCase):
    ANSWERS = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nGI" b"HTTP/1.1 429 Too Many Requests\r\n\r\n<html>"
               b"HTTP/1.1 200 OK\r\n\r\n")

    def test_statuses_however_the_stream_is_cut(self):
        for size in range(1, len(self.ANSWERS) + 1):
            statuses = compare_limiter_http.Statuses()
            found = []
            for begin in range(0, len(self.ANSWERS), size):
                found += statuses.feed(self.ANSWERS[begin:begin + size])
            self.assertEqual(found, [200, 429, 200], size)

    def test_a_status_is_told_once(self):
        statuses = compare_limiter_http.Statuses()
        self.assertEqual(statuses.feed(b"HTTP/1.1 200 "), [200])
        self.assertEqual(statuses.feed(b""), [])


class Bucket:
    """Stands for a caller of nginx: remembers the `states` keys that were used last, and gives each one try."""

    def __init__(self, states):
        self._states, self._known = states, {}

    def tries(self, keys):
        taken = []
        for key in keys:
            taken.append(key not in self._known)
            self._known.pop(key, None)
            self._known[key] = True
            if len(self._known) > self._states:
                del self._known[next(iter(self._known))]
        return taken


class Nginx(unittest.TestCase):
    def test_rates(self):
        self.assertEqual([nginx.rate_of(ms) for ms in (100, 1000, 60_000)], ["10r/s", "1r/s", "1r/m"])
        with self.assertRaises(ValueError):
            nginx.rate_of(70_000)

    def config(self, burst):
        with tempfile.TemporaryDirectory() as folder:
            server = nginx.Nginx(pathlib.Path(folder), burst, 100, 3)
            server.folder.mkdir()
            server.make_data()
            return (server.folder / "nginx.conf").read_text()

    def test_the_first_try_is_no_excess(self):
        self.assertIn("limit_req zone=keys burst=19 nodelay;", self.config(20))
        self.assertIn("limit_req zone=keys;", self.config(1))  # nginx refuses burst=0
        self.assertIn("zone=keys:3m rate=10r/s;", self.config(20))

    def test_how_many_states_are_known_is_found_within_what_the_search_pushes_out(self):
        for states in (1, 100, 777, 999):
            caller = Bucket(states)
            nginx.fill(caller, 0, 1000)
            self.assertAlmostEqual(nginx.known_states(caller, 1000), states, delta=11)

    def test_one_that_has_forgotten_nothing_has_all(self):
        caller = Bucket(2000)
        nginx.fill(caller, 0, 1000)
        self.assertEqual(nginx.known_states(caller, 1000), 1000)

    def test_what_is_refused_while_a_zone_is_filled_is_told(self):
        refusing = {3, 17}

        class Caller(Bucket):
            def __init__(self, _):
                super().__init__(8000)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def tries(self, keys):
                return [taken and key not in refusing for key, taken in zip(keys, super().tries(keys))]

        @contextlib.contextmanager
        def start(*_):
            yield mock.Mock(address=1)

        with mock.patch.object(nginx, "Caller", Caller):
            states, tried, refused = nginx.capacity(start, 1)
        self.assertAlmostEqual(states, 8000, delta=15)
        self.assertEqual((tried, refused), (10240, 2))

    def test_the_cpu_of_programs_that_have_ended(self):
        before_s = nginx.cpu_of_children_s()
        subprocess.run([sys.executable, "-c", "for _ in range(10**6): pass"], check=True)
        self.assertGreater(nginx.cpu_of_children_s(), before_s)

    def test_a_flood_counts_what_was_taken_at_all_callers(self):
        times = itertools.count(0, 0.05)
        terms = {"burst": 20, "interval-ms": 100}
        found = nginx.flood([Bucket(9), Bucket(9)], 1, terms, 0.2, clock=lambda: next(times))
        self.assertEqual(found, {"tries": 8, "taken": 2, "seconds": 0.2, "allowed": 22})

    def test_what_wrk_prints(self):
        found = nginx.read_wrk('Running 1s test\n{"checks": 30, "refused": 10, "failed": 0, "seconds": 2.0}\n', 5, 64)
        self.assertEqual((found["taken"], found["per_s"], found["callers"]), (20, 15.0, 64))
        with self.assertRaisesRegex(ClusterError, "3 of 30 requests failed"):
            nginx.read_wrk('{"checks": 30, "refused": 0, "failed": 3, "seconds": 1}', 5, 64)


def flood(taken, allowed):
    return {"tries": 100, "taken": taken, "allowed": allowed, "seconds": 1}


def answers(edge=22, above=0, sprayed=59, per_s=1000.0):
    return {"exact": {"stream": flood(50, 50), "edge": flood(edge, 22)},
            "speed": {"one": {"per_s": per_s}, "many": {"per_s": 2 * per_s}},
            "memory": {"keys": 100, "used_bytes": 2000, "resident_bytes": 2500, "refused": 0},
            "evicted": {"fit": 50, "came": 500, "came_refused": 450, "victims": 10, "burst": 10, "above": above,
                        "seconds": 1},
            "sprayed": flood(sprayed, 30) | {"nodes": 8}}


def run(**rounds):
    return {"format": report.FORMAT, "mode": "full", "commit": "abc", "began": "2026-01-01T00:00:00+00:00",
            "plan": dataclasses.asdict(PLAN), "versions": {"nginx": "1.22"},
            "machine": {"processor": "a <fast> one", "processors": 2, "of_the_system": 1, "of_the_generator": 1,
                        "shared": False, "kernel": "6", "memory_gib": 8},
            "limiters": [{"name": name, "design": "a design", "reach": "a call", "rounds": list(ones)}
                         for name, ones in rounds.items()]}


class Report(unittest.TestCase):
    def row(self, *rounds):
        return report.table(run(tranche=rounds))[2].strip("| ").split(" | ")

    def test_a_row(self):
        self.assertEqual(self.row(answers(above=25)),
                         ["`tranche`", "1,000", "2,000", "25.0", "0.0 %", "1.00", "1.00", "25.0 %", "90.0 %", "1.97"])

    def test_medians(self):
        self.assertEqual(self.row(answers(per_s=1.0), answers(per_s=9.0), answers(per_s=5.0))[1], "5")

    def test_what_is_shared_memory_has_its_size(self):
        one = answers()
        one["memory"]["resident_bytes"] = None
        self.assertEqual(self.row(one)[3], "20.0")

    def test_what_is_refused_is_a_share_of_all_that_tried(self):
        one = answers()
        one["memory"]["refused"] = 10
        self.assertEqual(self.row(one)[4], "10.0 %")
        one["memory"]["tried"] = 200
        self.assertEqual(self.row(one)[4], "5.0 %")

    def test_a_rate_of_a_busy_caller_is_marked(self):
        one = answers()
        one["speed"]["many"]["bound_by_caller"] = True
        one["speed"]["one"]["bound_by_caller"] = False
        self.assertEqual(self.row(answers(), one)[1:3], ["1,000", "2,000 (bound by the caller)"])
        page = report.html(run(a=[one]))
        self.assertIn("which could have answered more", page)

    def test_what_was_not_asked_is_no_zero(self):
        one = answers() | {"evicted": {"why_not": "it has <no> bound"}, "speed": {"failure": "OSError: gone"}}
        self.assertEqual([self.row(one)[at] for at in (1, 7, 8)], ["-", "-", "-"])
        page = report.html(run(tranche=[one]))
        self.assertIn("evicted: it has &lt;no&gt; bound", page)
        self.assertIn("speed, round 1: OSError: gone", page)

    def test_who_lets_too_much_through_is_red(self):
        self.assertEqual(report.above(run(a=[answers(sprayed=30)])["limiters"][0]), set())
        wrong = run(a=[answers(sprayed=30), answers(edge=39, above=1, sprayed=240)])
        self.assertEqual(report.above(wrong["limiters"][0]), {"edge", "forgotten", "sprayed"})
        self.assertIn('class="bad"', report.html(wrong))
        self.assertNotIn('class="bad"', report.html(run(a=[answers(sprayed=31)])))  # one try off is the clocks'

    def test_the_page_needs_nothing_from_outside(self):
        page = report.html(run(tranche=[answers()]))
        self.assertNotRegex(page, r"<script|<link|<img|https?://")
        self.assertIn("a &lt;fast&gt; one", page)
        structure = Structure(page)
        self.assertEqual((structure.unbalanced, structure.open), ([], []))


class Measure(unittest.TestCase):
    def test_a_failure_is_a_finding_and_the_rest_is_asked(self):
        asked = []

        class Questions:
            def ask(self, question):
                asked.append(question)
                if question == "speed":
                    raise RuntimeError("not built")
                return answers()[question]

        lines = []
        with mock.patch.object(compare_limiters, "questions_of", lambda *_: Questions()):
            found = compare_limiters.measure_limiter(kinds.KINDS["flexible-memory"], PLAN, None, lines.append)
        self.assertEqual(asked, ["exact", "speed", "memory", "sprayed"])
        self.assertEqual(found["speed"], {"failure": "RuntimeError: not built"})
        self.assertIn("no bound", found["evicted"]["why_not"])
        self.assertEqual(len(lines), 4)

    def test_the_files(self):
        with tempfile.TemporaryDirectory() as folder:
            page, figures = compare_limiters.write(run(tranche=[answers()]), pathlib.Path(folder) / "new")
            self.assertIn("Rate limiters", page.read_text())
            self.assertEqual(json.loads(figures.read_text())["limiters"][0]["rounds"], [answers()])


if __name__ == "__main__":
    unittest.main()
