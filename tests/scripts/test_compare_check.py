"""What scripts/compare says of a seller: by its buyers' answers and by its store."""

import unittest

import lib_path  # noqa: F401
import compare_check
from chaos_answers import Answer
from compare_check import Stored, Told


def answer(key="a", outcome="created", began=10.0, lasts=0.1):
    return Answer(key, "sku-0", f"buyer-{key}", 1, outcome, 0, began, began + lasts)


def told(acknowledged=(), unknown=()):
    return Told(frozenset(acknowledged), frozenset(unknown), {})


def stored(*orders, left=0, sold=None):
    return Stored(left, len(orders) if sold is None else sold, frozenset(orders))


class WhatBuyersWereTold(unittest.TestCase):
    def test_the_last_answer_counts(self):
        found = compare_check.tell([answer("a", "UNKNOWN"), answer("b"), answer("c", "SOLD_OUT"),
                                    answer("a", "replayed"),
                                    answer("d", "UNKNOWN"), answer("e", "UNKNOWN"), answer("e", "SOLD_OUT")])
        self.assertEqual((found.acknowledged, found.unknown), ({"a", "b"}, {"d"}))
        self.assertEqual(found.refused, {"SOLD_OUT": 2})

    def test_of_several_loads(self):
        first = compare_check.tell([answer("a"), answer("b", "SOLD_OUT")])
        found = first | compare_check.tell([answer("c", "SOLD_OUT")])
        self.assertEqual((found.acknowledged, found.refused), ({"a"}, {"SOLD_OUT": 2}))


class Check(unittest.TestCase):
    def faults(self, stock, told_, stored_, sold_out=True):
        found = compare_check.check(stock, told_, stored_, sold_out)
        return {name: found[name] for name in compare_check.faults(found)}

    def test_right(self):
        self.assertEqual(self.faults(2, told("ab"), stored("a", "b")), {})

    def test_more_orders_than_units(self):
        self.assertEqual(self.faults(2, told("abc"), stored("a", "b", "c")), {"oversold": 1})

    def test_promises_without_orders_are_oversold_and_lost(self):
        self.assertEqual(self.faults(2, told("abc"), stored("a", "b")), {"oversold": 1, "lost": 1})

    def test_an_order_of_several_units_counts_them(self):
        self.assertEqual(self.faults(2, told("ab"), stored("a", "b", sold=3)), {"oversold": 1})

    def test_lost(self):
        self.assertEqual(self.faults(2, told("ab"), stored("a", left=1)), {"lost": 1, "unsold": 1})

    def test_who_was_told_that_it_is_unknown_may_have_an_order(self):
        self.assertEqual(self.faults(2, told("a", "bc"), stored("a", "b")), {})

    def test_an_order_that_nobody_was_told_of(self):
        self.assertEqual(self.faults(2, told("a"), stored("a", "b")), {"phantom": 1})

    def test_what_is_left_counts_only_if_there_was_demand(self):
        self.assertEqual(self.faults(3, told("a"), stored("a", left=2), sold_out=False), {})
        self.assertEqual(self.faults(3, told("a"), stored("a", left=2)), {"unsold": 2})

    def test_a_stock_that_its_orders_do_not_leave(self):
        self.assertEqual(self.faults(5, told("ab"), stored("a", "b", left=4), sold_out=False), {"miscounted": 1})
        self.assertEqual(self.faults(5, told("ab"), stored("a", "b", left=2), sold_out=False), {"miscounted": -1})

    def test_buyers_who_got_a_second_unit(self):
        self.assertEqual(compare_check.doubled(compare_check.tell([answer("x"), answer("y", "USER_LIMIT_REACHED")])), 1)
        self.assertEqual(compare_check.faults({"doubled": 1}), ["doubled"])


class Latency(unittest.TestCase):
    def test_nearest_rank(self):
        found = compare_check.percentiles(range(1, 1001))
        self.assertEqual((found["p50"], found["p99"], found["p99_9"], found["max"]), (500, 990, 999, 1000))
        self.assertEqual(compare_check.percentiles([]),
                         {"count": 0, "p50": None, "p99": None, "p99_9": None, "max": None})

    def test_by_what_came_of_it(self):
        found = compare_check.latency([answer("a", lasts=0.002), answer("b", "SOLD_OUT", lasts=0.001),
                                       answer("c", "OVERLOADED", lasts=9), answer("d", "UNKNOWN", lasts=2)])
        self.assertAlmostEqual(found["accepted"]["p99"], 2, places=6)
        self.assertAlmostEqual(found["refused"]["p99"], 1, places=6)
        self.assertEqual((found["accepted"]["count"], found["refused"]["count"], found["failed"]), (1, 1, 0.5))

    def test_a_claim_that_was_sent_again_is_not_counted_twice_nor_as_quick(self):
        found = compare_check.latency([answer("a", "UNKNOWN", lasts=2), answer("a", "replayed", lasts=0.001)])
        self.assertEqual((found["accepted"]["count"], found["failed"]), (0, 1))


class Recovery(unittest.TestCase):
    def found(self, *answers):
        found = compare_check.recovery(answers, struck=10.0)
        return tuple(None if value is None else round(value, 6) for value in found.values())

    def test_what_was_sent_before_says_nothing(self):
        self.assertEqual(self.found(answer("a", began=9.9, lasts=0.3), answer("b", began=11.0, lasts=0.5)), (1.5, 1.5))

    def test_never(self):
        self.assertEqual(self.found(answer("a", began=9), answer("b", "UNKNOWN", began=11.0)), (None, None))

    def test_until_nobody_more_is_turned_away(self):
        self.assertEqual(self.found(answer("a", began=11.0), answer("b", "SOLD_OUT", began=14.0),
                                    answer("c", began=18.0)), (1.1, 4.0))

    def test_who_comes_when_all_is_sold_was_not_turned_away(self):
        self.assertEqual(self.found(answer("a", began=11.0), answer("b", began=12.0),
                                    answer("c", "SOLD_OUT", began=11.8), answer("d", "SOLD_OUT", began=13.0)),
                         (1.1, 1.1))

    def test_neither_was_who_met_other_claims(self):
        self.assertEqual(self.found(answer("a", began=11.0), answer("b", "OVERLOADED", began=13.0),
                                    answer("c", began=15.0)), (1.1, 1.1))


if __name__ == "__main__":
    unittest.main()
