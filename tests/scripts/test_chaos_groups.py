"""The verdict on groups in chaos."""

import unittest

import lib_path  # noqa: F401
import chaos_groups_check
from chaos_groups_check import Member, Told

TRIO = "trio-1"


def member(user="alice", state="CONFIRMED", payment=None, seat=None, group="FILLED", taken=3, partial=False):
    """Of a group of three. Who has a seat has paid for it with their own payment."""
    seat = f"of-{user}" if seat is None else seat
    payment = (seat if state == "CONFIRMED" else "") if payment is None else payment
    return Member(f"id-{user}", TRIO, user, 1, state, payment, seat, group, 3, taken, partial)


def filled(**more):
    return [member(user, **more) for user in ("alice", "bob", "carol")]


def failed(**more):
    return [member(user, state="CANCELLED", group="FAILED", taken=2, **more) for user in ("alice", "bob")]


def refunds_of(members):
    return {(one.reservation_id, one.seat_payment) for one in members}


def told(outcome, user="alice", what="pay", payment=None, began=10.0):
    payment = (f"of-{user}" if what == "pay" else "") if payment is None else payment
    return Told(what, user, TRIO, f"id-{user}", payment, outcome, began, began + 0.1)


class Finds(unittest.TestCase):
    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])


class Lines(unittest.TestCase):
    def test_are_those_of_the_crowd(self):
        line = "pay\tmember-1\tg\tr\tpayment-0\tGROUP_WAITING\t1500000\t2500000\n"
        self.assertEqual(chaos_groups_check.parse(line),
                         Told("pay", "member-1", "g", "r", "payment-0", "GROUP_WAITING", 1.5, 2.5))

    def test_of_the_ledger(self):
        row = ("r", "g", "u", "2", "CONFIRMED", "p", "p", "FILLED", "3", "2", "1")
        self.assertEqual(Member.of(row), Member("r", "g", "u", 2, "CONFIRMED", "p", "p", "FILLED", 3, 2, True))


class GroupsOfTheLedger(Finds):
    def check(self, members):
        return chaos_groups_check.check_groups(members)

    def test_well(self):
        self.assertEqual(self.check(filled()), [])
        self.assertEqual(self.check(failed()), [])
        self.assertEqual(self.check(filled() + [member("dora", state="CANCELLED", seat="")]), [])
        self.assertEqual(self.check([member(taken=1, partial=True)]), [])

    def test_a_seat_too_many(self):
        self.assert_found(self.check([*filled(taken=4), member("dora", taken=4)]), "as many seats taken")

    def test_a_count_that_is_wrong(self):
        self.assert_found(self.check(failed()[:1]), "as many seats taken")

    def test_filled_and_not_full(self):
        self.assert_found(self.check(filled(taken=2)[:2]), "without being full")

    def test_not_over(self):
        self.assert_found(self.check([member(state="PENDING", group="FORMING", taken=1)]), "not over")


class MembersOfTheLedger(Finds):
    def check(self, members, refunds=()):
        return chaos_groups_check.check_members(members, set(refunds))

    def test_well(self):
        self.assertEqual(self.check(filled()), [])
        self.assertEqual(self.check(failed(), refunds_of(failed())), [])
        self.assertEqual(self.check([*filled(), member("dora", state="EXPIRED", seat="")]), [])

    def test_one_is_not_confirmed(self):
        members = [*filled()[:2], member("carol", state="CANCELLED")]
        self.assert_found(self.check(members), "although their group is filled")

    def test_confirmed_by_anothers_payment(self):
        self.assert_found(self.check([member(payment="of-bob")]), "although their group is filled")

    def test_no_refund(self):
        self.assert_found(self.check(failed(), refunds_of(failed()[:1])), "not refunded")

    def test_refunded_and_sold(self):
        self.assert_found(self.check(filled(), refunds_of(filled()[:1])), "and are refunded")

    def test_sold_without_a_group(self):
        (one, other) = failed()
        found = self.check([one, member("bob", group="FAILED", taken=2)], refunds_of([one, other]))
        self.assertEqual(len(found), 3, found)
        self.assertTrue(any("without a seat of a filled group" in text for text in found))

    def test_held_for_ever(self):
        self.assert_found(self.check([member(state="PENDING", seat="")]), "hold units")

    def test_twice_in_a_group(self):
        again = member()._replace(reservation_id="id-again")
        self.assert_found(self.check([member(), again]), "in a group twice")


class WhatTheyWereTold(Finds):
    def check(self, answers, members, refunds=(), **more):
        return chaos_groups_check.check_told(answers, members, set(refunds), **more)

    def test_well(self):
        answers = [told("joined", what="join"), told("GROUP_WAITING"), told("CONFIRMED", "carol")]
        self.assertEqual(self.check(answers, filled()), [])
        self.assertEqual(self.check([told("GROUP_WAITING")], failed(), refunds_of(failed())), [])
        again = [told("RESERVATION_STATE", payment="again")]
        self.assertEqual(self.check(again, filled(), {("id-alice", "again")}), [])
        self.assertEqual(self.check([told("left", what="leave")], [member(state="CANCELLED", seat="")]), [])
        answers = [told("UNKNOWN", payment="again"), told("GROUP_FULL", "dora", "join")]
        self.assertEqual(self.check(answers, filled()), [])

    def test_a_membership_is_lost(self):
        self.assert_found(self.check([told("joined", "dora", "join")], filled()), "memberships are not in the ledger")

    def test_forgotten_in_a_restore(self):
        answers = [told("joined", "dora", "join"), told("GROUP_WAITING", "dora")]
        self.assertEqual(self.check(answers, filled(), forgotten=lambda at: at < 20), [])

    def test_neither_seat_nor_refund(self):
        self.assert_found(self.check([told("GROUP_WAITING", payment="other")], filled()), "neither a sale nor a refund")

    def test_refused_and_not_refunded(self):
        self.assert_found(self.check([told("PAID_UNFULFILLED", payment="late")], filled()), "are not refunded")

    def test_left_and_still_there(self):
        self.assert_found(self.check([told("left", what="leave")], filled()), "still have their reservation")


class Large(Finds):
    FILLED = member(taken=100)._replace(seats=100)
    FAILED = member(group="FAILED", taken=60)._replace(seats=100)

    def check(self, *members):
        return chaos_groups_check.check_large(members)

    def test_have_to_be_filled_and_to_fail(self):
        self.assertEqual(self.check(self.FILLED, self.FAILED), [])
        self.assert_found(self.check(self.FAILED, *filled()), "was filled")
        self.assert_found(self.check(self.FILLED, *failed()), "payments")
        self.assert_found(self.check(self.FILLED, self.FAILED._replace(seats_taken=19)), "payments")


class Ends(unittest.TestCase):
    """Of groups that were due at second 100."""

    def ended(self, *rows):
        return chaos_groups_check.ended_by(rows, 100.0)

    def test_the_last_one_counts(self):
        self.assertEqual(self.ended(("90.5", "101.5", "0"), ("100.0", "103.25", "0"), ("80", "80.1", "0")), 103.25)

    def test_those_of_before_need_no_time(self):
        self.assertEqual(self.ended(("90", "91", "0")), 100.0)
        self.assertEqual(self.ended(), 100.0)

    def test_some_is_not_over(self):
        self.assertIsNone(self.ended(("90", "101", "0"), ("95", "", "0")))
        self.assertIsNone(self.ended(("90", "91", "1")))

    def test_later_ones_do_not_count(self):
        self.assertEqual(self.ended(("100.1", "", "0"), ("120", "107", "1")), 100.0)


class Crowds(Finds):
    ALL = [told("joined", what="open"), told("left", what="leave"), told("GROUP_WAITING"), told("CONFIRMED"),
           told("PAID_UNFULFILLED")]
    GROUPS = [member(), member(partial=True), *failed()]

    def test_has_to_do_everything(self):
        self.assertEqual(chaos_groups_check.check_crowd(self.ALL, self.GROUPS), [])
        for left_out in self.ALL:
            rest = [one for one in self.ALL if one is not left_out]
            self.assertEqual(len(chaos_groups_check.check_crowd(rest, self.GROUPS)), 1, left_out)
        self.assert_found(chaos_groups_check.check_crowd(self.ALL, self.GROUPS[1:]), "no group was filled")


if __name__ == "__main__":
    unittest.main()
