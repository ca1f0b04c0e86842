"""What chaos measures: when units are sellable again, and when callers are well."""

import contextlib
import io
import random
import unittest

import lib_path  # noqa: F401
import chaos
import chaos_changes
import chaos_goals
import chaos_load
import chaos_report
from chaos_answers import Tally, parse
from chaos_faults import FAULTS, Victims, may_join, parts
from chaos_round import Round
from chaos_units import POOL, Recovery, to_sample


def sample(at, **held):
    """held: pool, or i<incarnation>."""
    return to_sample(at, [["tv", "100", str(POOL if name == "pool" else name[1:]), str(units)]
                          for name, units in held.items()])


class Samples(unittest.TestCase):
    def test_sums_up_slots(self):
        rows = [["tv", "9", "0", "1"], ["tv", "9", "7", "2"], ["tv", "9", "7", "3"], ["pen", "5", "7", "4"]]
        found = to_sample(1.0, rows)
        self.assertEqual(found.unsold, {"tv": 6, "pen": 4})
        self.assertEqual(found.stock, {"tv": 9, "pen": 5})
        self.assertEqual((found.units_of(7), found.units_of(POOL), found.total()), (9, 1, 10))

    def test_only_of_the_skus_that_are_watched(self):
        rows = [["tv", "9", "0", "1"], ["book", "5", "7", "4"]]
        found = to_sample(1.0, rows, skus=["tv"])
        self.assertEqual((found.unsold, found.stock, found.units_of(7)), ({"tv": 1}, {"tv": 9}, 0))


class Recovering(unittest.TestCase):
    def recovery(self, *samples, delivered=0, healed=None):
        recovery = Recovery({7}, began=0)
        if delivered is not None:
            recovery.deliver(delivered)
        if healed is not None:
            recovery.heal(healed)
        for one in samples:
            recovery.see(one)
        return recovery

    def test_units_taken_from_the_dead(self):
        recovery = self.recovery(sample(1, pool=0, i7=5), sample(2, pool=5, i7=0), sample(3, pool=0, i8=5))
        self.assertEqual((recovery.stuck_units, recovery.holders_done, recovery.done()), (5, 2, 1 + 1))
        self.assertEqual(recovery.pool_done, 1)

    def test_units_left_with_the_dead(self):
        recovery = self.recovery(sample(1, pool=0, i7=5), sample(99, pool=0, i7=5))
        self.assertIsNone(recovery.done())
        self.assertEqual(recovery.waits_for(), ["the units of incarnation 7"])

    def test_a_holder_that_sells_again_once_the_fault_is_over(self):
        recovery = self.recovery(sample(1, pool=0, i7=5), sample(3, pool=0, i7=5), sample(4, pool=0, i7=4), healed=2)
        self.assertEqual(recovery.done(), 4)

    def test_a_sale_during_the_fault_proves_nothing(self):
        recovery = self.recovery(sample(1, pool=0, i7=5), sample(2, pool=0, i7=4), sample(9, pool=0, i7=4), healed=2.5)
        self.assertIsNone(recovery.done())

    def test_units_that_stay_in_the_pool(self):
        recovery = self.recovery(sample(1, pool=3, i7=0), sample(99, pool=3, i7=0))
        self.assertIsNone(recovery.done())
        self.assertEqual(recovery.waits_for(), ["the units in the pool"])

    def test_a_pool_that_was_empty_before_anything_came_proves_nothing(self):
        self.assertIsNone(self.recovery(sample(1, pool=0, i7=0), delivered=None).done())
        self.assertEqual(self.recovery(sample(1, pool=0, i7=0), sample(5, pool=0, i7=0), delivered=4).done(), 5)

    def test_what_was_before_the_fault_does_not_count(self):
        recovery = Recovery({7}, began=10)
        recovery.deliver(0)
        recovery.see(sample(9, pool=0, i7=0))
        self.assertIsNone(recovery.done())


class Callers(unittest.TestCase):
    """10 answers per bucket of 0.25 s at 40/s."""

    def tally(self, outcomes, first_second=100):
        tally = Tally(rate=40)
        for nth, (outcome, count) in enumerate(outcomes):
            for _ in range(count):
                at_us = int((first_second + 0.25 * nth + 0.1) * 1e6)
                tally.add(parse(f"id\ttv\tuser\t1\t{outcome}\t0\t{at_us}\t{at_us}\n"))
        return tally

    GOOD, BAD = ("created", 10), ("UNKNOWN", 10)

    def test_never_ill(self):
        self.assertEqual(self.tally([self.GOOD] * 8).well_since(100, 100), 100)

    def test_well_after_the_last_bad_moment(self):
        outcomes = [self.GOOD] * 4 + [self.BAD] * 4 + [self.GOOD] * 6
        self.assertEqual(self.tally(outcomes).well_since(100, 101), 100)
        self.assertEqual(self.tally(outcomes).well_since(100, 102), 102)

    def test_not_well_yet(self):
        self.assertIsNone(self.tally([self.BAD] * 4 + [self.GOOD] * 3).well_since(100, 100))

    def test_few_answers_are_not_well(self):
        self.assertIsNone(self.tally([("created", 4)] * 20).well_since(100, 100))

    def test_some_failures_are_not_well(self):
        tally = self.tally([self.GOOD] * 8)
        for nth in range(8):
            at_us = int((100 + 0.25 * nth + 0.1) * 1e6)
            tally.add(parse(f"id\ttv\tuser\t1\tUNKNOWN\t0\t{at_us}\t{at_us}\n"))
        self.assertIsNone(tally.well_since(100, 100))

    def test_counts_failures_of_a_time(self):
        outcomes = [self.BAD, ("EXHAUSTED_HERE", 3), ("SOLD_OUT", 5), self.GOOD, self.BAD]
        self.assertEqual(self.tally(outcomes).failed_between(100.25, 100.9), {"EXHAUSTED_HERE": 3})


class Changing(unittest.TestCase):
    """A change each second from second 1 on."""

    def tally(self, *outcomes, lasts=0.1):
        tally = chaos_changes.ChangeTally()
        for second, outcome in enumerate(outcomes, start=1):
            line = f"id\tconfirm\tn1\tpay-1\t{outcome}\t{second * 10**6}\t{int((second + lasts) * 1e6)}\n"
            tally.add(chaos_changes.parse(line))
        return tally

    def well_since(self, *outcomes, began=0.0):
        return self.tally(*outcomes).well_since("n1", began)

    DONE = ["CONFIRMED"] * chaos_changes.WELL_CHANGES

    def test_never_ill(self):
        self.assertEqual(self.well_since(*self.DONE), 0)

    def test_well_since_the_last_failure(self):
        for failure in ("UNKNOWN", "OVERLOADED", "REBOOKED"):
            self.assertEqual(self.well_since("CONFIRMED", failure, *self.DONE), 2.1)

    def test_a_node_may_say_that_it_knows_no_such_reservation(self):
        for answer in chaos_changes.FORGOTTEN:
            self.assertEqual(self.well_since("UNKNOWN", answer, *self.DONE[1:]), 1.1)

    def test_failures_of_before_do_not_count(self):
        self.assertEqual(self.well_since("UNKNOWN", "CONFIRMED", *self.DONE, began=2), 2)

    def test_few_are_not_well(self):
        self.assertIsNone(self.well_since(*self.DONE[1:]))
        self.assertIsNone(self.well_since("UNKNOWN", *self.DONE[1:]))
        self.assertIsNone(self.well_since(*self.DONE, began=1.5))
        self.assertIsNone(self.well_since(*self.DONE, "UNKNOWN"))

    def test_a_node_that_was_never_asked(self):
        self.assertIsNone(self.tally(*self.DONE).well_since("n2", 0))


class Stalls(unittest.TestCase):
    def test_on_both_sides_of_the_statement_timeout_and_longer_than_a_change_may_take(self):
        class Cluster:
            options = chaos.parse_options(["--node-statement-timeout-ms", "4000"])

        victims = Victims(Cluster, None, None, random.Random(7))
        for _ in range(100):
            self.assertTrue(chaos_load.CHANGE_TIMEOUT_MS / 1000 < victims.within_statement() < 4)

    def test_strike_alone(self):
        for fault in FAULTS.values():
            self.assertFalse(fault.stall and may_join(fault.name), fault.name)


class Schedule(unittest.TestCase):
    def first(self, count, *args):
        names = chaos.schedule(chaos.parse_options(list(args)))
        return [name for name, _ in zip(names, range(count))]

    def test_a_seed_says_it_all(self):
        self.assertEqual(self.first(50, "--seed", "7"), self.first(50, "--seed", "7"))
        self.assertNotEqual(self.first(50, "--seed", "7"), self.first(50, "--seed", "8"))

    def test_every_fault_comes_before_one_comes_again(self):
        names = [name for name in self.first(len(FAULTS) * 4 // 3, "--queue", "--groups", "--seed", "7")
                 if "+" not in name]
        self.assertEqual(sorted(names), sorted(FAULTS))

    def test_what_an_option_adds_is_struck_only_with_it(self):
        self.assertFalse([name for name in chaos.parse_options([]).faults if FAULTS[name].needs])
        for option, count in (("queue", 7), ("groups", 4)):
            needing = [FAULTS[name].needs for name in chaos.parse_options([f"--{option}"]).faults if FAULTS[name].needs]
            self.assertEqual(needing, [option] * count)
        for fault, option in (("broker-kill", "queue"), ("paying-node-kill", "groups")):
            with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
                chaos.parse_options(["--faults", f"node-kill,{fault}"])
            self.assertIn(f"{fault} needs --{option}", said.getvalue())

    def test_some_strike_together_others_never(self):
        pairs = [name.split("+") for name in self.first(200, "--seed", "7") if "+" in name]
        self.assertGreater(len(pairs), 40)
        for one, other in pairs:
            self.assertNotEqual(one, other)
            self.assertFalse({one, other} & {"postgres-kill", "rolling-restart", "node-drain", "node-add"})

    def test_zookeeper_is_struck_last(self):
        self.assertEqual([one.name for one in parts("zookeeper-kill+leader-stop")], ["leader-stop", "zookeeper-kill"])
        self.assertEqual([one.name for one in parts("postgres-kill")], ["postgres-kill"])

    def test_once(self):
        self.assertEqual(self.first(9, "--once", "--faults", "node-kill,tree-delete"), ["node-kill", "tree-delete"])


class Report(unittest.TestCase):
    def result(self, **changed):
        kill = Round("node-stop", "node-1", stuck_units=9, holders_s=4.2, pool_s=1.3, recovered_s=4.3, callers_s=0.1,
                     changes_s=0.6, empty_s=2.0, failed={"UNKNOWN": 3})
        slow = Round("node-stop", "node-2", stuck_units=9, holders_s=7.7, pool_s=1.4, recovered_s=8.8, callers_s=0.2,
                     changes_s=0.7, empty_s=2.5)
        for one in (kill, slow):
            one.goals = chaos_goals.judge(one, chaos_goals.Times(session_s=4.0, stock_s=2.5))
        return {"seed": 7, "duration_s": 60, "nodes": 5, "balancers": 2, "session_s": 4.0, "rate": 600,
                "rounds": [chaos_report.as_dict(one) for one in (kill, slow)], "outcomes": {"created": 12345},
                "changes": 1234, "changes_failed": 56,
                "in_doubt": 2, "stock": {"tv": 12345}, "unsold": {"tv": 0}, "stale_sold_out": 1,
                "stale_sold_out_max_s": 0.25, "violations": [], "missed_goals": [], "failed_goals": [], "patience": 1} | changed

    def test_shows_every_figure(self):
        text = "\n".join(chaos_report.lines(self.result()))
        for shown in ("seed 7", "node-stop", "4.2 / 7.7", "4.3 / 8.8", "0.1 / 0.2", "0.6 / 0.7", "1,234 changes",
                      "created: 12,345", "0 violations", "0 missed goals"):
            self.assertIn(shown, text)

    def test_shows_goal_and_seen_and_met_for_each_fault(self):
        rows = [line for line in chaos_report.lines(self.result()) if "stuck units are sellable" in line]
        (cells,) = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        self.assertEqual(cells[:3], ["node-stop", "stuck units are sellable", "5.0 s + 2 s"])
        self.assertEqual(cells[3:], ["strike", "4.2 / 7.7", "1 of 2"])

    def test_shows_missed_goals(self):
        text = "\n".join(chaos_report.lines(self.result(missed_goals=["node-stop node-2: late"])))
        self.assertIn("1 missed goals\n- node-stop node-2: late", text)

    def test_shows_which_of_them_fail_a_patient_run(self):
        text = "\n".join(chaos_report.lines(self.result(missed_goals=["a", "b"], failed_goals=["b"], patience=4)))
        self.assertIn("2 missed goals\n- a\n- b\n\n1 of them took over 4 times as long as they may", text)

    def test_shows_what_never_recovered(self):
        never = chaos_report.as_dict(Round("node-stop", stuck_units=1))
        text = "\n".join(chaos_report.lines(self.result(rounds=[never], violations=["units are stranded"])))
        self.assertIn("1 violations\n- units are stranded", text)
        self.assertIn("1 never", text)


if __name__ == "__main__":
    unittest.main()
