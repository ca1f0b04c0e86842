"""The verdict on a chaos run: it finds every broken rule, and nothing else."""

import unittest

import lib_path  # noqa: F401
import chaos_check
from chaos_answers import Answer
from chaos_changes import ANY_NODE, SUCCESSES, Change
from chaos_check import Row
from chaos_round import Round
from chaos_units import Sample


def answer(key="a", sku="tv", user="alice", quantity=1, outcome="created", amount=999, began=10.0, ended=10.1):
    return Answer(key, sku, user, quantity, outcome, amount, began, ended)


def refusal(outcome, **changed):
    return answer(outcome=outcome, amount=0, **changed)


def row(key="a", sku="tv", user="alice", quantity=1, amount=999, state="PENDING", incarnation=1, **changed):
    return Row(key, sku, user, quantity, amount, state, incarnation, **changed)


def change(kind="confirm", key="a", outcome=None, value=None, node="n1:7400", began=10.0, ended=10.1):
    value = {"confirm": "pay-a", "cancel": "why", "extend": "1"}[kind] if value is None else value
    return Change(key, kind, node, value, SUCCESSES[kind] if outcome is None else outcome, began, ended)


def sample(at, **unsold):
    return Sample(at, {sku: 10 for sku in unsold}, unsold, {})


class Finds(unittest.TestCase):
    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])


class Answers(Finds):
    def check(self, *answers):
        return chaos_check.check_answers(chaos_check.collect(answers))

    def test_one_answer_each_is_right(self):
        self.assertEqual(self.check(answer("a"), refusal("SOLD_OUT", key="b")), [])

    def test_an_unknown_outcome_may_be_settled_later(self):
        self.assertEqual(self.check(refusal("UNKNOWN"), refusal("UNKNOWN"), answer(outcome="replayed")), [])

    def test_two_answers(self):
        self.assert_found(self.check(answer(), answer(outcome="replayed")), "answered twice")
        self.assert_found(self.check(refusal("SOLD_OUT"), answer()), "answered twice")

    def test_counts_requests_by_their_last_answer(self):
        told = chaos_check.collect([refusal("UNKNOWN"), answer(), refusal("SOLD_OUT", key="b")])
        self.assertEqual(chaos_check.outcomes(told), {"created": 1, "SOLD_OUT": 1})


class Rows(Finds):
    def check(self, answers, rows):
        return chaos_check.check_rows(chaos_check.collect(answers), rows)

    def test_answer_and_row_agree(self):
        self.assertEqual(self.check([answer(), refusal("SOLD_OUT", key="b")], [row()]), [])

    def test_a_success_without_row(self):
        for outcome in ("created", "replayed"):
            self.assert_found(self.check([answer(outcome=outcome)], []), "have no row, such as a")

    def test_a_success_that_was_unknown_at_first_needs_its_row_too(self):
        self.assert_found(self.check([refusal("UNKNOWN"), answer()], []), "have no row")

    def test_an_unknown_outcome_may_have_a_row_or_none(self):
        self.assertEqual(self.check([refusal("UNKNOWN"), refusal("UNKNOWN", key="b")], [row()]), [])

    def test_a_row_nobody_asked_for(self):
        self.assert_found(self.check([answer()], [row(), row("b")]), "asked for by nobody, such as b")

    def test_a_refusal_with_a_row(self):
        self.assert_found(self.check([refusal("SOLD_OUT")], [row()]), "refused and yet are in the ledger, such as a")

    def test_each_column_counts(self):
        for changed in (row(sku="radio"), row(user="bob"), row(quantity=2), row(amount=998)):
            self.assert_found(self.check([answer()], [changed]), "differ")

    def test_the_amount_of_an_unknown_outcome_was_never_told(self):
        self.assertEqual(self.check([refusal("UNKNOWN")], [row()]), [])

    def test_an_id_twice(self):
        self.assert_found(self.check([answer()], [row(), row()]), "same id")


class Changes(Finds):
    PAID, GONE, LONGER = row(state="CONFIRMED", payment="pay-a"), row(state="CANCELLED"), row(extensions=1)

    def check(self, changes, *rows):
        return chaos_check.check_changes(changes, rows)

    def test_done_and_in_the_ledger(self):
        self.assertEqual(self.check([change()], self.PAID), [])
        self.assertEqual(self.check([change("cancel")], self.GONE), [])
        self.assertEqual(self.check([change("extend"), change()], self.PAID._replace(extensions=1)), [])

    def test_done_and_not_in_the_ledger(self):
        self.assert_found(self.check([change()], row()), "such as a (CONFIRMED, in the ledger PENDING)")
        self.assert_found(self.check([change("extend")], row()), "not in the ledger")
        self.assert_found(self.check([change()]), "in the ledger missing")
        self.assertEqual(len(self.check([change("cancel"), change()], self.PAID)), 1)

    def test_confirmed_by_another_payment(self):
        self.assert_found(self.check([change()], self.PAID._replace(payment="pay-b")), "not in the ledger")

    def test_an_unknown_outcome_may_be_both(self):
        for kind, done in (("confirm", self.PAID), ("cancel", self.GONE), ("extend", self.LONGER)):
            self.assertEqual(self.check([change(kind, outcome="UNKNOWN")], done), [])
            self.assertEqual(self.check([change(kind, outcome="UNKNOWN")], row()), [])

    def test_a_refusal_changes_nothing(self):
        for kind, done in (("confirm", self.PAID), ("cancel", self.GONE), ("extend", self.LONGER)):
            self.assertEqual(self.check([change(kind, outcome="OVERLOADED")], row()), [])
            self.assert_found(self.check([change(kind, outcome="DEADLINE_PASSED")], done), "that was refused")
            self.assert_found(self.check([], done), "asked for by nobody")

    def test_extended_more_often_than_asked(self):
        self.assert_found(self.check([change("extend")], row(extensions=2)), "a (PENDING, 2 times extended)")

    def test_a_held_reservation_can_be_changed(self):
        self.assert_found(self.check([change(outcome="RESERVATION_STATE")], row()), "a (confirm: RESERVATION_STATE)")
        self.assertEqual(len(self.check([change(outcome="REBOOKED")], row())), 1)


class AnOlderLedger(Finds):
    """It has forgotten what was acknowledged from second 10 to 20, and nothing else."""

    FORGOTTEN = staticmethod(chaos_check.forgotten_by([Round("postgres-restore", forgotten=(10.0, 20.0)), Round("other")]))
    LATER = {"began": 21.0, "ended": 21.1}

    def rows(self, *answers):
        return chaos_check.check_rows(chaos_check.collect(answers), [], self.FORGOTTEN)

    def changes(self, changes, *rows, claimed=5.0):
        told = chaos_check.collect([answer(began=claimed, ended=claimed)])
        return chaos_check.check_changes(changes, rows, told, self.FORGOTTEN)

    def test_may_lack_what_was_acknowledged_then(self):
        self.assertEqual(self.rows(answer(ended=10.1), answer("b", ended=20.0)), [])

    def test_lacks_nothing_of_before_and_after(self):
        for ended in (9.9, 20.1):
            self.assert_found(self.rows(answer(ended=ended)), "have no row")

    def test_may_lack_changes_of_then(self):
        self.assertEqual(self.changes([change()], row()), [])
        self.assertEqual(self.changes([change()]), [])
        self.assert_found(self.changes([change(began=8.0, ended=8.1)], row()), "not in the ledger")
        self.assert_found(self.changes([change(**self.LATER)], row()), "not in the ledger")

    def test_says_later_that_it_does_not_know_what_was_of_then(self):
        unknown = change(outcome="RESERVATION_NOT_FOUND", **self.LATER)
        self.assertEqual(self.changes([unknown], claimed=12.0), [])
        self.assert_found(self.changes([unknown], claimed=5.0), "as if these were not held")

    def test_counts_extensions_without_those_of_then(self):
        again = change("extend", outcome="EXTENSION_OUT_OF_ORDER", value="2", **self.LATER)
        self.assertEqual(self.changes([change("extend"), again], row()), [])
        self.assert_found(self.changes([again], row()), "as if these were not held")

    def test_keeps_to_refusals_all_the_same(self):
        self.assert_found(self.changes([change(outcome="OVERLOADED")], row(state="CONFIRMED", payment="pay-a")),
                          "that was refused")


class Promptness(Finds):
    NAMES = {"n1:7400": "node-1"}

    def quiet(self, *changes, quiet_from=lambda at: 0):
        return chaos_check.check_quiet_changes(changes, quiet_from, self.NAMES)

    def test_an_answer_in_time(self):
        self.assertEqual(chaos_check.check_overdue([answer(began=0, ended=7.9)], lambda one: 5), [])
        self.assert_found(chaos_check.check_overdue([answer(began=0, ended=8.1)], lambda one: 5), "a (8.1 s)")

    def test_a_node_that_hangs_while_nothing_is_at_fault(self):
        late = [change(outcome=outcome) for outcome in ("UNKNOWN", "DEADLINE_PASSED", "UNKNOWN")]
        self.assert_found(self.quiet(*late, change()), "node-1: 3 of 4 changes were not answered in time")

    def test_a_few_or_a_small_share_are_a_busy_machine(self):
        late = change(outcome="UNKNOWN")
        self.assertEqual(self.quiet(late, late), [])
        self.assertEqual(self.quiet(*[late] * 4, *[change()] * 21), [])
        self.assertEqual(self.quiet(*[late] * 5, *[change()] * 95), [])
        self.assertEqual(len(self.quiet(*[late] * 6, *[change()] * 94)), 1)

    def test_refusals_are_answers(self):
        self.assertEqual(self.quiet(*[change(outcome="UNAVAILABLE")] * 9), [])

    def test_the_time_of_a_fault_does_not_count(self):
        class Fault:
            began, ended = 10.05, 13

        quiet_from = chaos_check.quiet_times([Fault])
        self.assertEqual(self.quiet(*[change(outcome="UNKNOWN")] * 9, quiet_from=quiet_from), [])
        after = change(outcome="UNKNOWN", began=14, ended=15)
        self.assertEqual(len(self.quiet(*[after] * 9, quiet_from=quiet_from)), 1)

    def test_settling_at_the_end_is_at_no_node(self):
        self.assertEqual(self.quiet(*[change(outcome="UNKNOWN", node=ANY_NODE)] * 9), [])


class Limits(Finds):
    def check(self, *rows):
        return chaos_check.check_limits(rows, {"tv": 2, "radio": 1})

    def test_up_to_the_limit(self):
        self.assertEqual(self.check(row(), row("b"), row("c", user="bob", quantity=2), row("d", sku="radio")), [])

    def test_above_it(self):
        self.assert_found(self.check(row(), row("b", quantity=2)), "more than their limit, such as ('tv', 'alice')")

    def test_what_has_lapsed_does_not_count(self):
        self.assertEqual(self.check(row(quantity=2), row("b", state="EXPIRED"), row("c", state="CANCELLED")), [])


class Stock(Finds):
    def test_all_sold(self):
        self.assertEqual(chaos_check.check_stock([row(), row("b")], {"tv": 2}, {"tv": 0}), [])

    def test_a_unit_that_is_nowhere(self):
        violations = chaos_check.check_stock([row()], {"tv": 2}, {"tv": 0})
        self.assert_found(violations, "1 sold + 0 unsold is not the stock, 2")

    def test_a_unit_sold_twice(self):
        violations = chaos_check.check_stock([row(), row("b")], {"tv": 1}, {"tv": 0})
        self.assertIn("tv: 1 units sold twice", violations)

    def test_a_stranded_unit(self):
        self.assert_found(chaos_check.check_stock([row()], {"tv": 2}, {"tv": 1}), "1 units stranded")

    def test_a_lapsed_reservation_is_not_sold(self):
        self.assert_found(chaos_check.check_stock([row(state="EXPIRED")], {"tv": 1}, {"tv": 0}), "not the stock")


class Verify(unittest.TestCase):
    def test_passes_on_what_the_ledger_itself_finds(self):
        self.assertEqual(chaos_check.check_verify({"skus_checked": 1}), [])
        violation = {"rule": "conservation", "sku_id": "tv", "detail": "1 missing"}
        found = chaos_check.check_verify({"violations": [violation]})
        self.assertEqual(found, ["verify: conservation tv: 1 missing"])


class SoldOut(Finds):
    """Units there from second 10 to 20, and never before or after."""

    SAMPLES = [sample(at, tv=5 if 10 <= at <= 20 else 0) for at in range(0, 30)]

    def stale(self, began, ended, quiet_from=lambda at: 0, sku="tv"):
        answers = [refusal("SOLD_OUT", sku=sku, began=began, ended=ended)]
        return [seconds for _, seconds in chaos_check.stale_sold_outs(answers, self.SAMPLES, quiet_from)]

    def test_right_while_there_is_nothing(self):
        self.assertEqual(self.stale(5, 5.1), [])
        self.assertEqual(self.stale(25, 25.1), [])
        self.assertEqual(self.stale(15, 15.1, sku="radio"), [])

    def test_may_have_been_right_at_the_edges(self):
        self.assertEqual(self.stale(9.9, 10.5), [])
        self.assertEqual(self.stale(19.9, 21.5), [])

    def test_wrong_in_the_middle_by_the_time_since_the_units_came(self):
        self.assertEqual(self.stale(15, 15.1), [5])

    def test_only_sold_out_is_about_the_stock(self):
        answers = [refusal("EXHAUSTED_HERE", began=15, ended=15.1)]
        self.assertEqual(chaos_check.stale_sold_outs(answers, self.SAMPLES, lambda at: 0), [])

    def test_the_time_of_a_fault_does_not_count(self):
        class Fault:
            began, ended = 9, 13

        quiet_from = chaos_check.quiet_times([Fault])
        self.assertEqual(self.stale(12, 12.1, quiet_from), [])
        self.assertEqual(self.stale(16, 16.1, quiet_from), [3])

    def test_is_broken_past_the_bound_only(self):
        late = [(refusal("SOLD_OUT"), 1.9), (refusal("SOLD_OUT", key="b"), 2.1)]
        self.assertEqual(chaos_check.check_sold_out(late[:1]), [])
        self.assert_found(chaos_check.check_sold_out(late), "1 requests were told \"sold out\" more than 2 s after")


if __name__ == "__main__":
    unittest.main()
