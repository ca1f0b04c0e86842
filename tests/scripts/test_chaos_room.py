"""The verdict on a waiting room in chaos: it finds every broken rule, and nothing else."""

import json
import pathlib
import unittest

import lib_path  # noqa: F401
import chaos_goals
import chaos_room
import chaos_room_check
from chaos_check import Row
from chaos_front_door import LotteryRound
from chaos_room_check import BEHIND_S, FIRST_LATE_RANK, LET_IN, LONG_S, PASSED, WAITS, Entry, LetInTally
from chaos_round import Round

OPENS = 100.0
ONE, OTHER = "n1:7400", "n2:7400"
NEVER = (lambda since, until: False)
ALWAYS_QUIET = (lambda at: 0)


def entry(user="alice", outcome=WAITS, rank=500, threshold=100, began=110.0, node=ONE, kept=True, **changed):
    fields = {"round": 1, "shuffled": rank < FIRST_LATE_RANK, "ended": began + 0.1, **changed}
    return Entry(user, node, kept, outcome, rank=rank, threshold=threshold, began=began, **fields)


def refused(outcome="RATE_LIMITED", **changed):
    return entry(outcome=outcome, rank=0, threshold=0, round=0, **changed)


def late_rank(at):
    return FIRST_LATE_RANK + round(at * 1e6)


class Finds(unittest.TestCase):
    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])


class Lines(unittest.TestCase):
    def test_are_those_of_the_crowd(self):
        line = "waiter-1\tn1:7400\t1\tLET_IN\t1\t18446744073709551615\t7\t0\t1500000\t2500000\n"
        self.assertEqual(chaos_room_check.parse(line),
                         Entry("waiter-1", "n1:7400", True, LET_IN, 1, 2**64 - 1, 7, False, 1.5, 2.5))
        self.assertFalse(chaos_room_check.parse("a\tb\t0\tUNKNOWN\t0\t0\t0\t0\t1\t2\n").has_place())


class Doors(Finds):
    def check(self, *entries):
        return chaos_room_check.check_doors(entries, OPENS)

    def test_below_the_threshold_in_and_above_it_not(self):
        self.assertEqual(self.check(entry(outcome=LET_IN, rank=99), entry(rank=100), refused()), [])

    def test_let_in_above_the_threshold(self):
        self.assert_found(self.check(entry(outcome=LET_IN, rank=100)), "above the threshold")

    def test_kept_waiting_below_it(self):
        self.assert_found(self.check(entry(rank=99)), "were kept waiting")

    def test_before_the_opening_everybody_waits(self):
        self.assertEqual(self.check(entry(rank=99, began=90.0)), [])
        self.assert_found(self.check(entry(outcome=LET_IN, rank=99, began=90.0)), "before the sale opened")

    def test_let_in_without_a_place(self):
        self.assert_found(self.check(refused(PASSED)), "past the waiting room")


class Places(Finds):
    def check(self, *entries, lost=NEVER):
        return chaos_room_check.check_places(entries, lost)

    def test_a_kept_ticket_keeps_them(self):
        self.assertEqual(self.check(entry(kept=False), entry(node=OTHER), refused(), entry(outcome=LET_IN)), [])

    def test_another_rank(self):
        self.assert_found(self.check(entry(kept=False), entry(rank=501)), "places were lost")
        self.assert_found(self.check(entry(kept=False, rank=late_rank(110)), entry(rank=late_rank(111))), "were lost")

    def test_another_round(self):
        self.assert_found(self.check(entry(kept=False), entry(round=2)), "places were lost")

    def test_whoever_loses_the_ticket_goes_to_the_end(self):
        self.assertEqual(self.check(entry(kept=False), entry(kept=False, rank=late_rank(111))), [])

    def test_a_better_place(self):
        for kept in (False, True):
            self.assert_found(self.check(entry(kept=False), entry(rank=499, kept=kept)), "better place")

    def test_of_each_buyer_by_themselves(self):
        self.assertEqual(self.check(entry(kept=False), entry("bob", rank=499, kept=False)), [])

    def test_keys_were_replaced(self):
        moved = entry(kept=False), entry(rank=late_rank(130), began=130.0)
        asked = []
        self.assertEqual(self.check(*moved, lost=lambda *span: asked.append(span) or True), [])
        self.assertEqual(asked, [(110.0, 130.1)])


class Thresholds(Finds):
    def check(self, *entries, **started):
        return chaos_room_check.check_thresholds(entries, started or {ONE: [1.0], OTHER: [1.0]})

    def test_may_rise_or_stand(self):
        self.assertEqual(self.check(entry(threshold=5), entry(threshold=5, began=111.0),
                                    entry(threshold=6, began=112.0)), [])

    def test_fell(self):
        self.assert_found(self.check(entry("bob", threshold=5), entry(threshold=4, began=111.0)), "fell at a node")

    def test_fell_between_calls_that_overlap(self):
        self.assertEqual(self.check(entry(threshold=5, began=110.0, ended=112.0), entry(threshold=4, began=111.0)), [])

    def test_another_node_may_be_behind(self):
        self.assertEqual(self.check(entry(threshold=5), entry(threshold=4, began=111.0, node=OTHER)), [])

    def test_a_new_process_knows_nothing_yet(self):
        fell = entry(threshold=5), entry(threshold=4, began=120.0)
        self.assertEqual(chaos_room_check.check_thresholds(fell, {ONE: [1.0, 115.0]}), [])
        self.assert_found(chaos_room_check.check_thresholds(fell, {ONE: [1.0, 105.0]}), "fell at a node")
        meanwhile = entry(threshold=5), entry(threshold=4, began=114.0, ended=116.0)
        self.assertEqual(chaos_room_check.check_thresholds(meanwhile, {ONE: [1.0, 115.0]}), [])

    def test_each_round_has_its_own(self):
        self.assertEqual(self.check(entry(threshold=5), entry(threshold=4, began=111.0, round=2)), [])

    def test_refusals_have_none(self):
        self.assertEqual(self.check(entry(threshold=5), refused(began=111.0)), [])


class Order(Finds):
    def check(self, *entries, quiet_from=ALWAYS_QUIET):
        return chaos_room_check.check_order(entries, quiet_from)

    def test_the_lower_rank_comes_first(self):
        self.assertEqual(self.check(entry("bob", LET_IN, rank=400), entry(rank=500, began=130.0)), [])

    def test_overtaken_by_somebody_who_came_later(self):
        late = entry("bob", LET_IN, rank=late_rank(105), began=110.0)
        self.assert_found(self.check(late, entry(rank=500, began=130.0, node=OTHER)), "were kept waiting")

    def test_out_again(self):
        self.assert_found(self.check(entry(outcome=LET_IN), entry(began=130.0, node=OTHER)), "were kept waiting")

    def test_the_lowest_rank_is_one_too(self):
        self.assert_found(self.check(entry(outcome=LET_IN, rank=0), entry(rank=0, began=130.0)), "were kept waiting")
        self.assertEqual(self.check(entry(rank=0, began=130.0)), [])

    def test_nodes_may_be_a_moment_behind(self):
        overtaken = entry("bob", LET_IN, rank=600, began=110.0), entry(began=110.0 + BEHIND_S)
        self.assertEqual(self.check(*overtaken), [])

    def test_who_was_let_in_afterwards_says_nothing(self):
        self.assertEqual(self.check(entry(began=130.0), entry("bob", LET_IN, rank=600, began=131.0)), [])

    def test_faults_are_an_excuse_and_so_is_a_moment_after_them(self):
        overtaken = entry("bob", LET_IN, rank=600, began=110.0), entry(began=130.0)
        self.assertEqual(self.check(*overtaken, quiet_from=lambda at: None), [])
        self.assertEqual(self.check(*overtaken, quiet_from=lambda at: 129.0), [])
        self.assertEqual(len(self.check(*overtaken, quiet_from=lambda at: 120.0)), 1)

    def test_of_another_round(self):
        self.assertEqual(self.check(entry("bob", LET_IN, rank=600), entry(began=130.0, round=2)), [])


class Ranks(Finds):
    def check(self, *entries):
        return chaos_room_check.check_ranks(entries, OPENS, lambda user: 500)

    def test_shuffled_before_and_in_order_after(self):
        self.assertEqual(self.check(entry(kept=False, began=90.0), entry(began=110.0), refused(kept=False),
                                    entry("bob", rank=late_rank(110.05), began=110.0, kept=False),
                                    entry("bob", rank=late_rank(110.05), began=150.0)), [])

    def test_shuffled_after_the_opening(self):
        self.assert_found(self.check(entry(kept=False, began=101.0)), "shuffled after the opening, or not before it")

    def test_not_shuffled_before_it(self):
        self.assert_found(self.check(entry(kept=False, rank=late_rank(90), began=90.0)), "or not before it")

    def test_not_by_the_key(self):
        self.assert_found(self.check(entry(rank=501)), "the round's key")

    def test_not_by_the_clock(self):
        for at in (109.0, 111.0):
            self.assert_found(self.check(entry(rank=late_rank(at), began=110.0, kept=False)), "the moment of joining")

    def test_the_key_gives_half_of_what_a_lottery_has(self):
        # test_verify_rank.py has this key, and alice's rank with it.
        ended = LotteryRound(1, b"", bytes(range(32)), "tv")
        rank = chaos_room.shuffled_rank(ended, "alice")
        self.assertEqual(rank, chaos_room.verify_rank.rank(ended.key, b"tv", 1, b"alice") // 2)
        self.assertLess(rank, FIRST_LATE_RANK)


class Sales(Finds):
    def check(self, *rows, stock=5):
        return chaos_room_check.check_sales([entry(outcome=LET_IN), entry("bob")], rows, stock)

    @staticmethod
    def row(user="alice", state="PENDING", quantity=1):
        return Row(f"of {user}", "seat", user, quantity, 999, state, 1)

    def test_who_was_let_in_may_buy(self):
        self.assertEqual(self.check(self.row()), [])
        self.assertEqual(self.check(self.row(), stock=1), [])

    def test_who_was_not(self):
        self.assert_found(self.check(self.row("bob", state="CANCELLED")), "who were not let in, such as bob")

    def test_too_many_units(self):
        self.assert_found(self.check(self.row(quantity=6)), "6 units were sold by the waiting room, and there were 5")
        self.assertEqual(self.check(self.row(quantity=6, state="CANCELLED")), [])


class TheCrowd(Finds):
    def check(self, *entries):
        return chaos_room_check.check_crowd(entries, OPENS)

    def test_must_have_waited_and_come_in(self):
        seen = [entry(began=90.0), entry(), entry("bob", LET_IN)]
        self.assertEqual(self.check(*seen), [])
        self.assert_found(self.check(seen[0], seen[2]), "nobody was kept waiting after the opening")
        self.assert_found(self.check(*seen[:2]), "nobody was let in")
        late = [one._replace(shuffled=False) for one in seen]
        self.assert_found(self.check(*late), "nobody was shuffled")

    def test_must_have_come_in_late_if_it_was_long(self):
        seen = [entry(), entry(outcome=LET_IN), entry(began=OPENS + LONG_S)]
        self.assert_found(self.check(*seen), "nobody was let in who had joined after the opening")
        self.assertEqual(self.check(*seen, entry("bob", LET_IN, rank=late_rank(110), began=OPENS + LONG_S)), [])


class LettingIn(unittest.TestCase):
    def let_in_since(self, since, *entries):
        tally = LetInTally()
        for one in entries:
            tally.add(one)
        return tally.let_in_since(since)

    @staticmethod
    def newcomers(count=LetInTally.ENOUGH, first=120.0, rank=200):
        return [entry(f"new-{nth}", LET_IN, rank=rank + nth, threshold=300, began=first + nth, ended=first + nth + 0.5)
                for nth in range(count)]

    def test_enough_of_them(self):
        self.assertEqual(self.let_in_since(115.0, entry(), *self.newcomers()), 124.5)
        self.assertIsNone(self.let_in_since(115.0, entry(), *self.newcomers(LetInTally.ENOUGH - 1)))

    def test_who_asked_before_does_not_count(self):
        self.assertIsNone(self.let_in_since(120.5, *self.newcomers()))

    def test_who_comes_back_does_not_count(self):
        self.assertIsNone(self.let_in_since(125.0, *self.newcomers(), *self.newcomers(first=130.0)))

    def test_whom_the_threshold_of_before_lets_in_does_not_count(self):
        before = entry(threshold=201)
        self.assertIsNone(self.let_in_since(115.0, before, *self.newcomers()))
        self.assertIsNone(self.let_in_since(115.0, before, entry(threshold=7, node=OTHER), *self.newcomers()))
        self.assertEqual(self.let_in_since(115.0, before, *self.newcomers(LetInTally.ENOUGH + 1)), 125.5)

    def test_who_waits_or_is_refused_is_not_in(self):
        self.assertEqual(self.let_in_since(115.0, refused(), *self.newcomers()), 124.5)
        waits = [one._replace(outcome=WAITS) for one in self.newcomers(1)]
        others = [one._replace(user=f"other-{one.user}") for one in self.newcomers(LetInTally.ENOUGH - 1)]
        self.assertIsNone(self.let_in_since(115.0, *waits, *others))

    def test_the_first_rank_that_was_not_let_in_before_counts(self):
        self.assertEqual(self.let_in_since(115.0, entry(threshold=200), *self.newcomers()), 124.5)


class Goals(unittest.TestCase):
    TIMES = chaos_goals.Times(session_s=4.0, stock_s=2.5)

    def room(self, **changed):
        one = Round("leader-kill", **{"healed_s": 8.0, "has_room": True, **changed})
        return [goal.met for goal in chaos_goals.judge(one, self.TIMES) if goal.measure == chaos_goals.ROOM]

    def test_buyers_are_let_in_again_in_time(self):
        self.assertEqual(self.room(room_s=24.0), [True])
        self.assertEqual(self.room(room_s=24.5), [False])
        self.assertEqual(self.room(room_s=None), [False])

    def test_without_a_room_there_is_none(self):
        self.assertEqual(self.room(has_room=False), [])

    def test_two_faults_have_the_same(self):
        goal = chaos_goals.goals("leader-kill+node-kill")[chaos_goals.ROOM]
        self.assertEqual((goal.promised(self.TIMES), goal.since), (14.0, chaos_goals.END))


class Operator:
    """Remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def do(self, *words):
        self.asked.append(" ".join(map(str, words)))
        told = {"round": "1", "commitment": "", "policy_sku_id": chaos_room.ROOM}
        return json.dumps({"policies": [{"round": told}]})


class FrontDoor:
    replaced = [(200.0, 210.0)]


class TheRoom(unittest.TestCase):
    def setUp(self):
        self.operator = Operator()
        self.room = chaos_room.Room(Cluster, self.operator, FrontDoor)

    def test_has_its_policy_before_it_is_sold(self):
        self.room.set_up()
        self.assertIn(f"door set {chaos_room.ROOM} --room 15/s,poll=2s --token=90s --limit user=25/1s",
                      self.operator.asked[0])
        self.assertIn(f"sku create {chaos_room.ROOM}", self.operator.asked[1])
        self.assertRegex(self.operator.asked[1], r"--opens-at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_tickets_of_replaced_keys_are_lost(self):
        for since, until in ((190.0, 200.0), (205.0, 206.0), (210.0, 220.0), (190.0, 220.0)):
            self.assertTrue(self.room._lost(since, until), (since, until))
        for since, until in ((190.0, 199.0), (210.5, 220.0)):
            self.assertFalse(self.room._lost(since, until), (since, until))


class Cluster:
    class options:
        nodes = 5

    folder = pathlib.Path("/nowhere")


if __name__ == "__main__":
    unittest.main()
