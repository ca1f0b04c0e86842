"""Faults that strike while groups are decided: they strike in the midst, and what was due is over soon afterwards."""

import contextlib
import random
import types
import unittest
from unittest import mock

import lib_path  # noqa: F401
import chaos_goals
import chaos_group_faults  # noqa: F401
from chaos_faults import FAULTS, Victims
from chaos_goals import ENDED
from chaos_groups import BACKLOG, Groups
from chaos_round import Round, Rounds
from chaos_units import INTERVAL_S
from cluster import ClusterError

DUE = frozenset(f"group-{number}" for number in range(BACKLOG))


def process(name, done):
    one = mock.Mock(host=name)
    one.name = name
    for verb in ("kill", "start", "kill_with_children"):
        getattr(one, verb).side_effect = lambda verb=verb: done.append(f"{verb} {name}")
    return one


class Settling(unittest.TestCase):
    """`looks`: how many of the groups are due, one look after the other; the last one stays."""

    def setUp(self):
        self.done = []
        pause = mock.patch("chaos_cluster.time.sleep")
        pause.start()
        self.addCleanup(pause.stop)

    def groups(self, *looks):
        counts = list(looks)

        def execute_file(name):
            self.assertEqual(name, "chaos_groups_due.sql")
            count = counts.pop(0) if len(counts) > 1 else counts[0]
            return [[group] for group in sorted(DUE)[:count]]

        cluster = mock.Mock(workers=[process("worker-1", self.done)])
        cluster.folder.__truediv__ = lambda self, name: name
        cluster.ledger.execute_file.side_effect = execute_file
        return Groups(cluster, None)

    def test_begins_when_many_are_due_and_some_are_over(self):
        groups = self.groups(3, BACKLOG - 1, BACKLOG, BACKLOG, BACKLOG, BACKLOG - 5, BACKLOG - 7)
        due, left = groups.begin_settling()
        self.assertEqual((due, len(left)), (DUE, BACKLOG - 7))
        self.assertLess(left, due)
        self.assertEqual(self.done, ["kill worker-1", "start worker-1"])

    def test_is_tried_again_if_it_was_too_fast(self):
        groups = self.groups(BACKLOG, BACKLOG, 0, 0, BACKLOG, BACKLOG, 7)
        due, left = groups.begin_settling()
        self.assertEqual((due, len(left)), (DUE, 7))
        self.assertEqual(self.done, ["kill worker-1", "start worker-1"] * 2)

    def test_strikes_in_the_midst(self):
        groups = self.groups(BACKLOG, BACKLOG, BACKLOG - 1, BACKLOG - 2)
        _, left = groups.begin_settling(lambda: self.done.append("strike"))
        self.assertEqual(len(left), BACKLOG - 2)
        self.assertEqual(self.done, ["kill worker-1", "start worker-1", "strike"])

    def test_strikes_again_if_it_was_too_late(self):
        groups = self.groups(BACKLOG, BACKLOG, BACKLOG - 5, 0, BACKLOG, BACKLOG, 7)
        _, left = groups.begin_settling(lambda: self.done.append("strike"))
        self.assertEqual(len(left), 7)
        self.assertEqual(self.done, ["kill worker-1", "start worker-1", "strike"] * 2)

    def test_is_given_up_if_it_is_always_too_fast(self):
        with self.assertRaises(ClusterError):
            self.groups(*[BACKLOG, BACKLOG, 0, 0] * 3).begin_settling()


class Paying(unittest.TestCase):
    """`looks`: the paid seats of the groups, one look after the other; the last one stays."""

    def seats(self, *looks):
        looks = list(looks)

        def execute_file(name):
            self.assertEqual(name, "chaos_groups_paying.sql")
            look = looks.pop(0) if len(looks) > 1 else looks[0]
            return [[group, str(seats)] for group, seats in look.items()]

        cluster = mock.Mock()
        cluster.folder.__truediv__ = lambda self, name: name
        cluster.ledger.execute_file.side_effect = execute_file
        clock = types.SimpleNamespace(now=0.0)

        def sleep(seconds):
            clock.now += seconds

        stopped = types.SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
        with mock.patch("chaos_cluster.time", stopped), mock.patch("chaos_groups.BACKLOG_WITHIN_S", 0.5):
            seats = Groups(cluster, None).await_payments()
        self.assertEqual(len(looks), 1, "it has not looked so often")
        return seats

    def test_until_there_are_more(self):
        self.assertEqual(self.seats({}, {}, {"new": 40}), 40)
        self.assertEqual(self.seats({"new": 40}, {"new": 40}, {"new": 41}), 41)

    def test_not_for_a_group_that_a_fault_has_hit(self):
        self.assertEqual(self.seats({"old": 60}, {"old": 60}, {"old": 60}, {"old": 60, "new": 3}), 3)
        with self.assertRaises(ClusterError):
            self.seats({"old": 60})

    def test_not_for_one_that_has_fewer(self):
        with self.assertRaises(ClusterError):
            self.seats({"old": 60, "other": 2}, {"old": 59}, {"old": 59})


class Strikes(unittest.TestCase):
    def strike(self, name):
        """What it does, in its order; and what it says."""
        done = []
        network = types.SimpleNamespace()
        options = types.SimpleNamespace(session_timeout_ms=4000, statement_timeout_ms=2000,
                                        node_statement_timeout_ms=5000)
        node = process("node-1", done)
        ledger = types.SimpleNamespace(incarnations_of=lambda name: set())
        cluster = types.SimpleNamespace(
            options=options, network=network, unable=set(), workers=[process("worker-1", done)], nodes=[node],
            able_nodes=lambda: [node], postgres=process("postgres", done), ledger=ledger,
            await_postgres=lambda: done.append("await"), await_serving=lambda node: done.append("await"))

        def begin_settling(strike=lambda: None):
            done.append("settling")
            strike()
            return DUE, frozenset({"group-1"})

        groups = types.SimpleNamespace(begin_settling=begin_settling,
                                       await_payments=lambda: done.append("paying") or 40)
        steps = FAULTS[name].run(Victims(cluster, None, None, random.Random(7), groups=groups))
        blow = next(steps)
        done.append("struck")
        self.assertIsNone(next(steps, None))
        return done, blow.notes

    def test_the_worker(self):
        done, notes = self.strike("settling-worker-kill")
        self.assertEqual(done, ["settling", "kill worker-1", "struck", "start worker-1"])
        self.assertEqual(notes, [f"1 of {BACKLOG} groups were not settled"])

    def test_the_ledger(self):
        done, notes = self.strike("settling-postgres-kill")
        self.assertEqual(done, ["settling", "kill_with_children postgres", "struck", "start postgres", "await"])
        self.assertEqual(notes, [f"at most 1 of {BACKLOG} groups were not settled"])
        done, notes = self.strike("paying-postgres-kill")
        self.assertEqual(done, ["paying", "kill_with_children postgres", "struck", "start postgres", "await"])
        self.assertEqual(notes, ["40 seats were paid"])

    def test_a_node(self):
        done, notes = self.strike("paying-node-kill")
        self.assertEqual(done, ["paying", "kill node-1", "struck", "start node-1", "await"])
        self.assertEqual(notes, ["40 seats were paid"])

    def test_the_worker_counts_from_its_last_kill(self):
        def begin_settling(strike):
            clock.return_value = 100.0
            strike()
            clock.return_value = 200.0
            strike()
            clock.return_value = 300.0
            return DUE, DUE

        cluster = types.SimpleNamespace(options=mock.MagicMock(), workers=[process("worker-1", [])])
        groups = types.SimpleNamespace(begin_settling=begin_settling)
        victims = Victims(cluster, None, None, random.Random(7), groups=groups)
        with mock.patch("time.time", return_value=1.0) as clock:
            blow = next(FAULTS["settling-worker-kill"].run(victims))
        self.assertEqual(blow.began, 200.0)


class RoundsWait(unittest.TestCase):
    FIRST_LOOK = 112.0

    def wait(self, *looks):
        """`looks`: when all is over, as it is seen one time after the other; the last one stays."""
        result = Round("settling-worker-kill", began=100.0, healed_s=8.0, has_groups=True)
        looks, clock = list(looks), types.SimpleNamespace(now=self.FIRST_LOOK)

        def sleep(seconds):
            clock.now += seconds

        groups = types.SimpleNamespace(ended_since=lambda healed: looks.pop(0) if len(looks) > 1 else looks[0])
        rounds = Rounds(None, None, None, None, None, None, None, groups=groups)
        with mock.patch("chaos_round.time", types.SimpleNamespace(time=lambda: clock.now, sleep=sleep)):
            rounds._await_groups(result)
        return result

    def test_for_groups_that_were_due(self):
        result = self.wait(111.5)
        self.assertEqual((result.groups_s, result.violations), (11.5, []))

    def test_until_they_are_settled(self):
        seen_s = self.FIRST_LOOK - 100.0 + 2 * INTERVAL_S
        self.assertAlmostEqual(self.wait(None, None, 109.0).groups_s, seen_s)
        self.assertAlmostEqual(self.wait(None, None, 100.0 + seen_s + 1).groups_s, seen_s + 1, msg="another clock")

    def test_not_for_ever(self):
        result = self.wait(None)
        self.assertIn("are not over", result.violations[0])
        self.assertIsNone(result.groups_s)

    def test_before_they_wait_for_what_takes_long(self):
        done = []
        steps = ("supply", "strike", "sell_out", "await_entries", "await_room", "await_queue", "await_groups",
                 "unasked_ends")
        with contextlib.ExitStack() as patches:
            for step in steps:
                patches.enter_context(mock.patch.object(
                    Rounds, f"_{step}", lambda *args, step=step: done.append(step) or []))
            callers = types.SimpleNamespace(running=lambda: True)
            Rounds(None, None, callers, callers, callers, None, None).run("node-kill")
        self.assertEqual(done[:4], ["supply", "strike", "sell_out", "await_groups"])
        self.assertCountEqual(done, steps)


class Goals(unittest.TestCase):
    def missed(self, groups_s, has_groups=True):
        one = Round("settling-worker-kill", healed_s=8.0, has_groups=has_groups, groups_s=groups_s)
        outcomes = chaos_goals.judge(one, chaos_goals.Times(session_s=4.0, stock_s=2.5))
        return ENDED in {outcome.measure for outcome in outcomes if not outcome.met}

    def test_groups_that_are_due_are_over_soon_after_the_end(self):
        limit = 8.0 + chaos_goals.GROUPS_S + chaos_goals.MARGIN_S
        self.assertFalse(self.missed(limit))
        self.assertTrue(self.missed(limit + 0.5))
        self.assertTrue(self.missed(None))
        self.assertFalse(self.missed(None, has_groups=False))


if __name__ == "__main__":
    unittest.main()
