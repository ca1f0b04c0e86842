"""The verdict on queued claims in chaos, and what their faults do."""

import pathlib
import random
import tempfile
import types
import unittest
from unittest import mock

import lib_path  # noqa: F401
import chaos_brokers
import chaos_goals
import chaos_queue_check
from chaos_faults import FAULTS, Victims
from chaos_goals import DECIDED, QUEUED, Times
from chaos_queue_check import Line, QueueRow, QueueTally
from chaos_round import Round, Rounds


def line(key="a", outcome="queued", call="claim", began=10.0, lasts=0.1, user=None):
    return Line(key, user or f"buyer-{key}", "node", call, outcome, began, began + lasts)


def asked(key="a", outcome="created", at=12.0):
    return line(key, outcome, "ask", at)


def row(key="a", state="PENDING", reason="", user=None):
    return QueueRow(key, user or f"buyer-{key}", 1, state, reason)


def refused_row(key="a"):
    return row(key, "CANCELLED", "REFUSED USER_LIMIT_REACHED")


REFUSED = "refused:USER_LIMIT_REACHED"


class Finds(unittest.TestCase):
    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])


class Lines(unittest.TestCase):
    def test_are_those_of_the_crowd(self):
        parsed = chaos_queue_check.parse("id\tqueued-1\t10.0.0.1:7400\task\tcreated\t1500000\t2500000\n")
        self.assertEqual(parsed, Line("id", "queued-1", "10.0.0.1:7400", "ask", "created", 1.5, 2.5))

    def test_what_they_say_of_a_decision(self):
        for outcome, decision in (("created", "created"), ("replayed", "created"), (REFUSED, REFUSED), ("queued", None),
                                  ("QUEUE_UNAVAILABLE", None), ("UNKNOWN", None), ("LEDGER_UNAVAILABLE", None)):
            self.assertEqual(line(outcome=outcome).decision(), decision, outcome)

    def test_what_was_not_sent_is_no_claim(self):
        self.assertEqual(chaos_queue_check.collect([line(outcome="NOT_SENT", call="skip")]), {})


class Decisions(Finds):
    def check(self, *lines, spans=()):
        return chaos_queue_check.check_decisions(chaos_queue_check.collect(lines), spans)

    def test_queued_and_decided(self):
        self.assertEqual(self.check(line(), asked(outcome="queued"), asked(), asked(at=17.0)), [])
        self.assertEqual(self.check(line(), asked(outcome="LEDGER_UNAVAILABLE"), asked(outcome=REFUSED)), [])

    def test_queued_and_forgotten(self):
        self.assert_found(self.check(line(), asked(outcome="queued")), "never decided, such as a")

    def test_what_was_never_queued_need_not_be_decided(self):
        self.assertEqual(self.check(line(outcome="QUEUE_UNAVAILABLE"), line("b", "UNKNOWN")), [])

    def test_refused_and_then_sold(self):
        found = self.check(line(), asked(outcome=REFUSED), asked(at=17.0))
        self.assert_found(found, f"decided in two ways, such as a (created, {REFUSED})")

    def test_refused_for_another_reason_than_before(self):
        self.assert_found(self.check(line(), asked(outcome=REFUSED), asked(outcome="refused:SOLD_OUT")), "in two ways")

    def test_sold_and_the_claim_itself_says_refused(self):
        self.assert_found(self.check(line(), asked(), line(outcome=REFUSED, began=20.0)), "in two ways")

    def test_what_an_older_ledger_has_forgotten(self):
        self.assertEqual(self.check(line(), spans=[(11, 12)]), [])
        self.assertEqual(self.check(line(), asked(outcome=REFUSED), asked(at=17.0), spans=[(12, 13)]), [])
        # It came when that was over.
        self.assertEqual(len(self.check(line(began=14.0), spans=[(11, 12)])), 1)


class Rows(Finds):
    def check(self, lines, *rows, spans=()):
        return chaos_queue_check.check_rows(chaos_queue_check.collect(lines), rows, spans)

    def test_the_same_as_was_told(self):
        self.assertEqual(self.check([line(), asked()], row()), [])
        self.assertEqual(self.check([line(), asked(outcome=REFUSED)], refused_row()), [])

    def test_told_and_lost(self):
        self.assert_found(self.check([line(), asked()]), "are not in the ledger, such as a (created)")
        self.assertEqual(self.check([line(), asked()], spans=[(11, 13)]), [])

    def test_sold_and_told_refused(self):
        found = self.check([line(), asked(outcome=REFUSED)], row())
        self.assert_found(found, f"such as a ({REFUSED}, in the ledger PENDING of buyer-a)")

    def test_refused_and_told_sold(self):
        self.assert_found(self.check([line(), asked()], refused_row()), "are not those that buyers were told")

    def test_cancelled_by_somebody_is_not_refused(self):
        self.assertEqual(len(self.check([line(), asked(outcome=REFUSED)], row(state="CANCELLED", reason="a cat"))), 1)

    def test_sold_to_somebody_else(self):
        self.assert_found(self.check([line(), asked()], row(user="mallory")), "PENDING of mallory")

    def test_in_doubt_and_there(self):
        self.assertEqual(self.check([line(outcome="UNKNOWN")], row()), [])
        self.assertEqual(self.check([line(outcome="UNKNOWN"), line(outcome="QUEUE_UNAVAILABLE")], row()), [])

    def test_refused_at_once_and_there(self):
        self.assert_found(self.check([line(outcome="QUEUE_UNAVAILABLE")], row()), "refused at once, such as a")

    def test_sent_by_nobody(self):
        self.assert_found(self.check([line(), asked()], row(), row("b")), "nobody sent them")


class StockAndCrowd(Finds):
    def test_no_more_than_there_is(self):
        rows = [row("a"), row("b"), refused_row("c")]
        self.assertEqual(chaos_queue_check.check_stock(rows, 2, 1), [])
        self.assert_found(chaos_queue_check.check_stock(rows, 1, 1), "1 units were sold twice")

    def test_no_more_than_one_may_have(self):
        rows = [row("a", user="alice"), row("b", user="alice")]
        self.assert_found(chaos_queue_check.check_stock(rows, 9, 1), "more than their limit, such as alice")

    def test_the_queue_had_something_to_do(self):
        lines = [line(), asked(), line("b"), asked("b", REFUSED)]
        self.assertEqual(chaos_queue_check.check_crowd(chaos_queue_check.collect(lines)), [])
        self.assert_found(chaos_queue_check.check_crowd(chaos_queue_check.collect(lines[:2])), "was refused")
        self.assertEqual(len(chaos_queue_check.check_crowd({})), 3)


class Tally(unittest.TestCase):
    def tally(self, decided=0, queued=6):
        tally = QueueTally()
        for nth in range(queued):
            tally.add(line(str(nth), began=10.0 + nth))
        for nth in range(decided):
            tally.add(asked(str(nth), at=20.0 + nth))
        return tally

    def test_five_are_enough(self):
        self.assertAlmostEqual(self.tally().queued_since(10.0), 14.1)
        self.assertAlmostEqual(self.tally().queued_since(11.0), 15.1)
        self.assertIsNone(self.tally().queued_since(12.0))

    def test_decided_are_those_that_came_then(self):
        self.assertIsNone(self.tally(decided=4).decided_since(10.0))
        self.assertAlmostEqual(self.tally(decided=6).decided_since(10.0), 24.1)
        self.assertAlmostEqual(self.tally(decided=6).decided_since(11.0), 25.1)

    def test_the_first_decision_counts(self):
        tally = self.tally(decided=5)
        tally.add(asked("4", at=30.0))
        self.assertAlmostEqual(tally.decided_since(10.0), 24.1)

    def test_refusals_are_no_queueing(self):
        tally = self.tally(queued=4)
        tally.add(line("x", "QUEUE_UNAVAILABLE", began=15.0))
        self.assertIsNone(tally.queued_since(10.0))

    def test_it_does_not_grow_for_ever(self):
        tally = QueueTally()
        for nth in range(QueueTally.MOST + 10):
            tally.add(line(str(nth), began=float(nth)))
        self.assertLessEqual(len(tally._claims), QueueTally.MOST)


class Goals(unittest.TestCase):
    TIMES = Times(session_s=4.0, stock_s=2.5)

    def missed(self, **seen):
        one = Round("broker-kill", healed_s=8.0, has_queue=True, delivered_s=0.0, holders_s=0.0, pool_s=0.0,
                    claims_s=0.0, empty_s=1.0, **seen)
        return {outcome.measure for outcome in chaos_goals.judge(one, self.TIMES) if not outcome.met}

    def test_they_count_from_the_end(self):
        self.assertEqual(self.missed(queued_s=8.0 + 16.0, decided_s=8.0 + 36.0), set())
        self.assertEqual(self.missed(queued_s=8.0 + 16.1, decided_s=8.0 + 36.1), {QUEUED, DECIDED})

    def test_never_is_missed(self):
        self.assertEqual(self.missed(queued_s=9.0), {DECIDED})

    def test_without_a_queue_there_are_none(self):
        outcomes = chaos_goals.judge(Round("node-kill"), self.TIMES)
        self.assertFalse({QUEUED, DECIDED} & {outcome.measure for outcome in outcomes})


class RoundsWait(unittest.TestCase):
    def wait(self, queued, decided):
        queue = types.SimpleNamespace(queued_since=lambda since: queued, decided_since=lambda since: decided)
        result = Round("broker-kill", began=100.0, healed_s=8.0, has_queue=True)
        rounds = Rounds(None, None, None, None, None, None, None, queue=queue)
        with mock.patch("chaos_round.QUEUE_TIMEOUT_S", 0):
            rounds._await_queue(result)
        return result

    def test_for_claims_that_came_after_the_fault(self):
        result = self.wait(109.0, 112.5)
        self.assertEqual((result.queued_s, result.decided_s, result.violations), (9.0, 12.5, []))

    def test_not_for_ever(self):
        self.assertIn("queued claims are not decided", self.wait(109.0, None).violations[0])
        self.assertIn("claims are not queued", self.wait(None, None).violations[0])


class Strikes(unittest.TestCase):
    """What each fault does, in its order."""

    def strike(self, name):
        done = []

        def process(name):
            one = mock.Mock(host=name)
            one.name = name
            for verb in ("kill", "start", "pause", "resume"):
                getattr(one, verb).side_effect = lambda verb=verb: done.append(f"{verb} {name}")
            return one

        brokers = types.SimpleNamespace(
            processes=[process(f"broker-{n}") for n in (1, 2, 3)],
            await_serving=lambda processes=None: done.append("await"),
            raise_alarm=lambda process: done.append(f"alarm {process.name}"),
            clear_alarm=lambda: done.append("no alarm"))
        network = types.SimpleNamespace(drop=lambda one, other: done.append(f"{one} -> {other}"),
                                        carry_all=lambda: done.append("carry"))
        options = types.SimpleNamespace(session_timeout_ms=4000, statement_timeout_ms=2000,
                                        node_statement_timeout_ms=5000)
        cluster = types.SimpleNamespace(options=options, brokers=brokers, network=network, unable=set(),
                                        consumers=[process("consumer-1"), process("consumer-2")])
        steps = FAULTS[name].run(Victims(cluster, None, None, random.Random(7)))
        blow = next(steps)
        done.append("struck")
        self.assertIsNone(next(steps, None))
        self.assertEqual(blow.unable, set(), "nobody who sells directly is hit")
        return blow.target, done

    def test_kill(self):
        target, done = self.strike("broker-kill")
        self.assertEqual(done, [f"kill {target}", "struck", f"start {target}", "await"])
        target, done = self.strike("consumer-kill")
        self.assertEqual(done, [f"kill {target}", "struck", f"start {target}"])

    def test_all_brokers_start_before_one_is_waited_for(self):
        _, done = self.strike("brokers-restart")
        self.assertEqual(done[3:], ["struck", "start broker-1", "start broker-2", "start broker-3", "await"])

    def test_stop(self):
        target, done = self.strike("broker-stop")
        self.assertEqual(done, [f"pause {target}", "struck", f"resume {target}", "await"])
        target, done = self.strike("consumer-stop")
        self.assertEqual(done, [f"pause {target}", "struck", f"resume {target}"])

    def test_cut_from_the_others_only(self):
        target, done = self.strike("broker-cut")
        cuts = done[: done.index("struck")]
        self.assertEqual(len(cuts), 4)
        self.assertTrue(all(target in cut and cut.count("broker") == 2 for cut in cuts), cuts)
        self.assertEqual(done[-2:], ["carry", "await"])

    def test_alarm(self):
        target, done = self.strike("broker-alarm")
        self.assertEqual(done, [f"alarm {target}", "struck", "no alarm"])


class Brokers(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        network = types.SimpleNamespace(add=lambda host, last_byte: f"10.77.0.{last_byte}",
                                        namespace=lambda host: f"space-{host}")
        with mock.patch("chaos_brokers.require"):
            self.brokers = chaos_brokers.Brokers(network, pathlib.Path(scratch.name), "client")

    def test_each_has_its_host_and_knows_the_others(self):
        self.assertEqual([one.host for one in self.brokers.processes], ["broker-1", "broker-2", "broker-3"])
        self.assertEqual(self.brokers.flags()[1], "10.77.0.211:5672,10.77.0.212:5672,10.77.0.213:5672")
        self.assertIn("RABBITMQ_NODENAME=tranche@10.77.0.212", self.brokers.processes[1].command)

    def test_an_alarm_is_taken_back_where_it_was_raised(self):
        with (mock.patch("rabbitmq.Rabbitmq.ctl") as ctl, mock.patch.object(self.brokers, "await_serving")):
            self.brokers.clear_alarm()
            self.assertEqual(ctl.call_count, 0)
            self.brokers.raise_alarm(self.brokers.processes[1])
            self.brokers.clear_alarm()
        self.assertEqual([call.args[1] for call in ctl.call_args_list], ["0", "0.4"])
        wrapped = ctl.call_args.kwargs["wrap"](["true"])
        self.assertIn("--net=/run/netns/space-broker-2", wrapped)


if __name__ == "__main__":
    unittest.main()
