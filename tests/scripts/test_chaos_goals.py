"""How soon everything must go on after a fault, and that a missed goal fails the run."""

import unittest

import lib_path  # noqa: F401
import chaos
import chaos_goals
from chaos_answers import Answer
from chaos_faults import FAULTS, may_join
from chaos_goals import CALLERS, CHANGES, END, FREED, MARGIN_S, POOL, SOLD, STRIKE, TABLE, Times
from chaos_round import Round

TIMES = Times(session_s=4.0, stock_s=2.5)


def perfect(fault, **changed):
    """A round in which everything was well at once."""
    at_once = {"healed_s": 8.0, "delivered_s": 0.5, "stuck_units": 9, "holders_s": 0.1, "pool_s": 0.6, "claims_s": 1.0,
               "changes_s": 8.1, "empty_s": 2.0}
    return Round(fault, **{**at_once, **changed})


def missed(fault, **changed):
    """By measure, what the goals that were missed have seen."""
    outcomes = chaos_goals.judge(perfect(fault, **changed), TIMES)
    return {one.measure: one.seen_s for one in outcomes if not one.met}


class TheTable(unittest.TestCase):
    def test_has_every_fault_once(self):
        self.assertEqual(sorted(fault for faults, _, _ in TABLE for fault in faults), sorted(FAULTS))

    def test_demands_units_and_callers_of_every_fault(self):
        for fault in FAULTS:
            self.assertLessEqual({FREED, POOL, CALLERS, SOLD}, set(chaos_goals.goals(fault)), fault)

    def test_stalls_end_at_once_for_everybody(self):
        for fault in FAULTS.values():
            if fault.stall:
                for measure in (FREED, POOL, CALLERS, CHANGES):
                    limit = chaos_goals.goals(fault.name)[measure]
                    self.assertEqual((limit.promised(TIMES), limit.since, limit.margin_s), (3, END, 0), fault.name)

    def test_is_shown_with_its_times(self):
        text = "\n".join(chaos_goals.lines(TIMES))
        self.assertIn("5.0 s after the strike, with a margin of 2 s (docs/quota.md, 7)", text)
        for fault in FAULTS:
            self.assertIn(fault, text)


class OneFault(unittest.TestCase):
    def test_nothing_is_missed_when_all_is_well_at_once(self):
        for fault in FAULTS:
            self.assertEqual(missed(fault), {}, fault)

    def test_counts_from_the_strike(self):
        limit = TIMES.session_s + chaos_goals.ROUND_S + MARGIN_S
        self.assertEqual(missed("node-stop", holders_s=limit), {})
        self.assertEqual(missed("node-stop", holders_s=limit + 0.5), {FREED: limit + 0.5})

    def test_a_dead_process_is_noticed_before_its_session_ends(self):
        for fault in ("node-kill", "node-crash"):
            self.assertEqual(missed(fault, holders_s=0.5 + MARGIN_S), {})
            self.assertEqual(missed(fault, holders_s=TIMES.session_s), {FREED: TIMES.session_s})

    def test_counts_from_the_end(self):
        self.assertEqual(missed("postgres-stop", claims_s=11.0, changes_s=11.0), {})
        self.assertEqual(missed("postgres-stop", claims_s=11.5, changes_s=11.5), {CALLERS: 3.5, CHANGES: 3.5})
        self.assertEqual(missed("postgres-kill", holders_s=60.0), {FREED: 52.0})
        self.assertEqual(missed("postgres-promote", pool_s=20.0), {})
        self.assertEqual(missed("postgres-promote", pool_s=20.5), {POOL: 12.5})

    def test_new_stock_counts_from_its_delivery_if_that_was_late(self):
        self.assertEqual(missed("leader-kill", delivered_s=4.0, pool_s=7.0), {})
        self.assertEqual(missed("leader-kill", delivered_s=4.0, pool_s=7.5), {POOL: 7.5})
        self.assertEqual(missed("node-cut-clients", delivered_s=30.0, pool_s=33.0), {})
        self.assertEqual(missed("node-cut-clients", delivered_s=20.0, pool_s=33.0), {POOL: 13.0})
        self.assertEqual(missed("postgres-kill", delivered_s=1.0, pool_s=11.5), {POOL: 3.5})
        self.assertEqual(missed("postgres-kill", delivered_s=9.0, pool_s=11.5), {})

    def test_the_last_unit_counts_from_the_last_supply(self):
        self.assertEqual(missed("leader-kill", empty_s=12.0), {})
        self.assertEqual(missed("leader-kill", empty_s=12.5), {SOLD: 12.5})

    def test_what_never_was_is_missed(self):
        for measure in (FREED, POOL, CALLERS, CHANGES, SOLD):
            self.assertEqual(missed("ledger-lock", **{measure: None}), {measure: None})
        self.assertEqual(len(chaos_goals.judge(Round("ledger-lock"), TIMES)), 5)

    def test_where_nothing_was_stuck_nothing_is_freed(self):
        outcomes = chaos_goals.judge(perfect("leader-kill", stuck_units=0), TIMES)
        self.assertNotIn(FREED, [one.measure for one in outcomes])

    def test_a_patient_run_fails_for_what_takes_many_times_as_long(self):
        limit = 3 * (0.5 + MARGIN_S)
        outcomes = chaos_goals.judge(perfect("node-kill", holders_s=limit, pool_s=limit + 0.5), TIMES)
        self.assertEqual({one.measure for one in outcomes if not one.met}, {FREED, POOL})
        self.assertEqual({one.measure for one in outcomes if one.fails(patience=3)}, {POOL})

    def test_a_patient_run_fails_for_what_never_was(self):
        outcomes = chaos_goals.judge(perfect("node-kill", pool_s=None), TIMES)
        self.assertEqual(len(chaos_goals.missed(outcomes, patience=100)), 1)

    def test_is_said_in_words(self):
        outcomes = chaos_goals.judge(perfect("node-kill", holders_s=9.5, pool_s=None), TIMES)
        self.assertEqual(chaos_goals.missed(outcomes),
                         ["stuck units are sellable: 9.5 s after the strike, promised 0.5 s (+ 2 s)",
                          "new stock has left the pool: never, promised 0.5 s (+ 2 s)"])


class Claims(unittest.TestCase):
    """20 in a second, sent from second 100 on."""

    def served_since(self, *failures_by_second, begin=100.0, end=200.0):
        claims = [self.claim(100 + second + nth / 20, nth >= failures)
                  for second, failures in enumerate(failures_by_second) for nth in range(20)]
        return chaos_goals.served_since(claims, begin, end)

    def claim(self, began, success):
        # Those that fail do so at their deadline.
        outcome, lasts = ("created", 0.1) if success else ("UNKNOWN", 5)
        return Answer("id", "book", "user", 1, outcome, 0, began, began + lasts)

    def test_all_are_served(self):
        self.assertEqual(self.served_since(0, 0, 0), 0)

    def test_one_of_a_second_may_fail(self):
        self.assertEqual(self.served_since(0, 1, 1), 0)

    def test_they_count_when_they_were_sent(self):
        self.assertEqual(self.served_since(0, 2, 0, 20, 1), 4)

    def test_those_of_other_rounds_do_not_count(self):
        self.assertEqual(self.served_since(20, 0, 5, begin=101.0), 2)
        self.assertEqual(self.served_since(20, 0, 5, end=106.0), 1)

    def test_what_is_under_way_when_the_next_fault_strikes_does_not_count(self):
        self.assertEqual(self.served_since(0, 0, 5, end=103.0), 0)

    def test_each_round_has_its_own(self):
        rounds = [Round("node-kill", began=100.0), Round("node-kill", began=110.0)]
        claims = [self.claim(at, False) for at in (101.1, 101.2, 112.1, 112.2)]
        chaos_goals.fill_in_claims(rounds, claims)
        self.assertEqual([one.claims_s for one in rounds], [2, 3])


class TwoFaults(unittest.TestCase):
    def test_their_times_add_up(self):
        limit = chaos_goals.goals("node-kill+tree-delete")[FREED]
        self.assertEqual((limit.promised(TIMES), limit.margin_s, limit.since), (0.5 + 2.0, 2 * MARGIN_S, STRIKE))

    def test_they_count_from_the_end_if_one_does(self):
        limit = chaos_goals.goals("node-kill+zookeeper-kill")[CALLERS]
        self.assertEqual((limit.promised(TIMES), limit.since), (0.5 + 5.0, END))

    def test_every_pair_has_all_goals(self):
        joining = [name for name in FAULTS if may_join(name)]
        for one in joining:
            for other in joining:
                self.assertEqual(missed(f"{one}+{other}"), {})


class TheVerdict(unittest.TestCase):
    def test_a_missed_goal_fails_the_run(self):
        self.assertEqual(chaos.exit_status({"violations": [], "failed_goals": []}), 0)
        self.assertEqual(chaos.exit_status({"violations": [], "failed_goals": ["late"]}), 1)
        self.assertEqual(chaos.exit_status({"violations": ["broken"], "failed_goals": []}), 1)


if __name__ == "__main__":
    unittest.main()
