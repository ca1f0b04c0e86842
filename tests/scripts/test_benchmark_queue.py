"""The arithmetic of scripts/benchmark queue."""

import math
import unittest

import lib_path  # noqa: F401
import benchmark_queue_figures as figures
from benchmark_queue_figures import Claimed, Decision
from chaos_queue_check import Line


def line(key="a", outcome="queued", began=10.0, lasts=0.1):
    return Line(key, f"buyer-{key}", "node", "claim", outcome, began, began + lasts)


def claim(key="a", outcome="queued", began=10.0, lasts=0.1):
    return Claimed(key, outcome, began, began + lasts)


def decision(key="a", at=12.0, sold=True, user=None):
    return Decision("queued-x", key, user or f"buyer-{key}", sold, at)


class Claims(unittest.TestCase):
    def test_the_first_answer_counts_that_says_something(self):
        lines = [line("a", "UNKNOWN", 10.0, 5.0), line("b"), line("a", "queued", 16.0), line("a", "replayed", 18.0)]
        self.assertEqual(figures.claimed(lines), [Claimed("a", "queued", 10.0, 16.1), claim("b")])

    def test_what_stays_unknown(self):
        self.assertEqual(figures.claimed([line("a", "UNKNOWN"), line("a", "UNKNOWN", 12.0)])[0].outcome, "UNKNOWN")

    def test_what_was_not_sent_was_not_served(self):
        claims = figures.claimed([line("a", "NOT_SENT", lasts=0.0), *(line(str(n)) for n in range(9))])
        self.assertEqual(len(figures.of(claims, "queued")) / len(claims), 0.9)
        found = figures.latency(claims, "queued")
        self.assertEqual((found["count"], found["p99_ms"]), (9, math.inf))
        self.assertAlmostEqual(found["p50_ms"], 100)
        self.assertEqual(len(figures.sent(claims)), 9)

    def test_latency_of_some(self):
        claims = [claim(str(n), lasts=n / 1e3) for n in range(1, 101)] + [claim("x", "QUEUE_FULL", lasts=9)]
        found = figures.latency(claims, "queued")
        self.assertEqual(found["count"], 100)
        self.assertAlmostEqual(found["p50_ms"], 50, 3)
        self.assertAlmostEqual(found["p99_ms"], 99, 3)
        self.assertEqual(figures.latency(claims, "created"), {"count": 0, "p50_ms": math.inf, "p99_ms": math.inf})


class Rates(unittest.TestCase):
    def test_direct_until_the_last_reservation(self):
        claims = [claim(str(n), "created", 10.0 + n, 1.0) for n in range(4)] + [claim("x", "OVERLOADED", 10.0)]
        self.assertAlmostEqual(figures.answered_per_s(claims, "created"), 4 / 4.0)
        self.assertEqual(figures.answered_per_s(claims, "queued"), 0)

    def test_queued_until_the_last_decision(self):
        claims = [claim(str(n), began=10.0 + n) for n in range(4)] + [claim("x", "QUEUE_FULL")]
        decisions = [decision(str(n), 13.0 + n) for n in range(4)]
        self.assertAlmostEqual(figures.decided_per_s(claims, decisions), 4 / 6.0)

    def test_sent(self):
        claims = [claim(str(n), began=10 + n / 4) for n in range(5)]
        self.assertAlmostEqual(figures.sent_per_s(claims), 5.0)
        self.assertAlmostEqual(figures.sent_per_s([*claims, claim("x", "NOT_SENT")]), 5.0)

    def test_wait_for_the_decision(self):
        found = figures.wait([claim("a"), claim("b"), claim("c", "UNKNOWN")], [decision("a", 10.5), decision("c")])
        self.assertEqual((found["count"], found["undecided"], found["p50_ms"]), (1, 1, 500))
        # The transaction may have begun before the confirm was heard of, and even before a rounding.
        self.assertEqual(figures.wait([claim("a")], [decision("a", 9.999)])["p50_ms"], 0)

    def test_cpu_of_a_claim(self):
        before, after = {"node": {7: 10.0}, "db": {8: 1.0, 9: 5.0}}, {"node": {7: 30.0}, "db": {9: 6.0, 10: 100.0}}
        self.assertEqual(figures.cpu_us_per_claim(before, after, 1000), {"node": 20.0, "db": 101.0})


class Outage(unittest.TestCase):
    def test_the_backlog_is_gone_with_the_last_late_decision(self):
        claims = [claim("a", began=10.0), claim("b", began=50.0), claim("c", began=71.0), claim("d", "UNKNOWN")]
        decisions = [decision("a", 70.5), decision("b", 73.0), decision("c", 71.3)]
        found = figures.outage(claims, decisions, opened=70.0)
        self.assertEqual((found["queued"], found["lost"], found["doubled"], found["backlog_s"]), (3, 0, 0, 3.0))

    def test_without_a_backlog(self):
        self.assertEqual(figures.outage([claim("a")], [decision("a", 10.3)], opened=10.0)["backlog_s"], 0)

    def test_lost_and_doubled(self):
        decisions = [decision("a", user="alice"), decision("x", user="alice"), decision("y", user="bob"),
                     decision("z", sold=False, user="bob")]
        found = figures.outage([claim("a"), claim("b")], decisions, opened=10.0)
        self.assertEqual((found["lost"], found["doubled"]), (1, 1))


class BrokerLoss(unittest.TestCase):
    def found(self, *queued, direct_lasts=0.1):
        direct = [claim("1", "created", 9.0), claim("2", "created", 12.0, direct_lasts), claim("3", "created", 30.0, 9)]
        return figures.broker_loss(list(queued), direct, killed=10.0, back=20.0)

    def test_refused_while_it_is_away(self):
        found = self.found(claim("a", began=9.0, lasts=5), claim("b", "QUEUE_UNAVAILABLE", 12.0, 0.05),
                           claim("c", "UNKNOWN", 10.1, 5.0), claim("d", "QUEUE_UNAVAILABLE", 21.0, 3.0),
                           claim("e", began=24.0))
        self.assertAlmostEqual(found["refused_p99_ms"], 50)
        self.assertEqual((found["refused"], found["others"]), (1, {"QUEUE_UNAVAILABLE": 1, "UNKNOWN": 1}))
        self.assertAlmostEqual(found["again_s"], 4.1)

    def test_direct_claims_before_and_meanwhile(self):
        self.assertAlmostEqual(self.found(direct_lasts=0.3)["direct_p99_ratio"], 3)
        self.assertEqual(self.found()["direct_failed"], 0)

    def test_direct_claims_that_were_not_sent_have_failed(self):
        direct = [claim("1", "created", 9.0), claim("2", "NOT_SENT", 12.0, 0.0)]
        found = figures.broker_loss([claim("a")], direct, killed=10.0, back=20.0)
        self.assertEqual((found["direct_failed"], found["direct_p99_ratio"]), (1, math.inf))
        self.assertEqual(figures.broker_loss([], direct, killed=5.0, back=20.0)["direct_p99_ratio"], math.inf)

    def test_never_refused_is_no_success(self):
        self.assertEqual(self.found()["refused_p99_ms"], math.inf)
        self.assertFalse(figures.reached("refused_p99_ms", math.inf))


class Verdict(unittest.TestCase):
    def round(self, share, p99_ms=10.0, lost=0):
        return {"queued path": {"share": share}, "half load": {"queued": {"p50_ms": 2.0, "p99_ms": p99_ms}},
                "outage": {"lost": lost, "doubled": 0, "backlog_s": 12.0},
                "broker": {"refused_p99_ms": 3.0, "direct_p99_ratio": 1.1, "direct_failed": 0}}

    def test_medians_and_the_worst(self):
        found = figures.summarize([self.round(0.7), self.round(0.5, 30.0), self.round(0.65, lost=2)])
        self.assertEqual(found["share"], {"median": 0.65, "worst": 0.5})
        self.assertEqual(found["queued_p99_ms"], {"median": 10.0, "worst": 30.0})
        self.assertEqual(found["lost"], {"median": 0, "worst": 2})

    def test_missed_goals_are_said(self):
        lines = figures.table(figures.summarize([self.round(0.59, 24.9)]))
        self.assertEqual([line.endswith("missed") for line in lines[1:]], [True] + [False] * 8)
        self.assertFalse(any(line.endswith("missed") for line in figures.table(figures.summarize([self.round(0.6)]))))

    def test_each_goal_is_in_the_table(self):
        self.assertEqual(set(figures.TABLE), set(figures.GOALS))


if __name__ == "__main__":
    unittest.main()
