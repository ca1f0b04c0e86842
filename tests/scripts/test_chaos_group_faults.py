"""Faults that strike while groups are being decided: they strike in the midst, and what was due is over soon afterwards."""

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
        groups = self.groups(3, BACKLOG - 1, BACKLOG, BACKLOG, BACKLOG, BACKLOG - 5)
        self.assertEqual(groups.begin_settling(), DUE)
        self.assertEqual(self.done, ["kill worker-1", "start worker-1"])

    def test_is_tried_again_if_it_was_too_fast(self):
        groups = self.groups(BACKLOG, BACKLOG, 0, 0, BACKLOG, BACKLOG, 7)
        self.assertEqual(groups.begin_settling(), DUE)
        self.assertEqual(self.done, ["kill worker-1", "start worker-1"] * 2)

    def test_is_given_up_if_it_is_always_too_fast(self):
        with self.assertRaises(ClusterError):
            self.groups(*[BACKLOG, BACKLOG, 0, 0] * 3).begin_settling()


class Strikes(unittest.TestCase):
    def strike(self, name, left=frozenset({"group-1"})):
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
        groups = types.SimpleNamespace(begin_settling=lambda: done.append("settling") or DUE, left_of=lambda due: left,
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
        self.assertEqual(len(notes), 1)
        done, notes = self.strike("paying-postgres-kill")
        self.assertEqual(done, ["paying", "kill_with_children postgres", "struck", "start postgres", "await"])
        self.assertEqual(notes, ["40 seats were paid"])

    def test_a_node(self):
        done, notes = self.strike("paying-node-kill")
        self.assertEqual(done, ["paying", "kill node-1", "struck", "start node-1", "await"])
        self.assertEqual(notes, ["40 seats were paid"])

    def test_too_late_is_an_error(self):
        for name in ("settling-worker-kill", "settling-postgres-kill"):
            with self.assertRaises(ClusterError):
                self.strike(name, left=frozenset())


class RoundsWait(unittest.TestCase):
    def wait(self, ended):
        result = Round("settling-worker-kill", began=100.0, healed_s=8.0, has_groups=True)
        groups = types.SimpleNamespace(ended_since=lambda healed: ended)
        rounds = Rounds(None, None, None, None, None, None, None, groups=groups)
        with mock.patch("chaos_round.GROUPS_TIMEOUT_S", -1000):
            rounds._await_groups(result)
        return result

    def test_for_groups_that_were_due(self):
        result = self.wait(111.5)
        self.assertEqual((result.groups_s, result.violations), (11.5, []))

    def test_not_for_ever(self):
        self.assertIn("are not over", self.wait(None).violations[0])


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
