"""The verdict on a sale: it finds every broken rule, and nothing else."""

import unittest

import lib_path  # noqa: F401
import sale
import sale_check
import sale_report
import tranchectl


def totals(**changed):
    row = {"sku": "tv", "stock": 10, "reserved": 10, "pending": 7, "confirmed": 3, "unsold": 0, "oversold": 0}
    return [row | {"amount_minor": 500, "amount_due_minor": 500} | changed]


VERIFIED = {"skus_checked": "1", "reservations_checked": "2"}


def broken(totals=totals(), verify=VERIFIED, acknowledged=("a", "b"), unknown=(), rows=("a", "b"), demand={"tv": 99}):
    findings = sale_check.judge(totals, verify, list(acknowledged), list(unknown), list(rows), demand)
    return [finding["text"] for finding in findings if not finding["ok"]]


class Judge(unittest.TestCase):
    def assert_broken(self, text, **changed):
        found = broken(**changed)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_a_right_sale_has_nothing_broken(self):
        self.assertEqual(broken(), [])

    def test_an_acknowledgement_without_row(self):
        self.assert_broken("1 have none, such as c", acknowledged=("a", "b", "c"))

    def test_an_acknowledgement_given_twice(self):
        self.assert_broken("1 were acknowledged twice", acknowledged=("a", "b", "b"))

    def test_a_row_without_acknowledgement(self):
        self.assert_broken("1 have none, such as c", rows=("a", "b", "c"))

    def test_a_row_whose_caller_was_told_unknown_is_honest(self):
        self.assertEqual(broken(rows=("a", "b", "c"), unknown=("c", "d")), [])

    def test_conservation(self):
        self.assert_broken("broken for tv", totals=totals(reserved=9))

    def test_oversold(self):
        found = broken(totals=totals(reserved=11, unsold=-1, oversold=1))
        self.assertEqual(found, ["no unit sold twice"])

    def test_money(self):
        self.assert_broken("money", totals=totals(amount_minor=499))

    def test_units_left_over_in_spite_of_demand(self):
        self.assert_broken("left over", totals=totals(reserved=9, unsold=1))

    def test_units_left_over_for_want_of_buyers_are_fine(self):
        self.assertEqual(broken(totals=totals(reserved=9, unsold=1), demand={"tv": 9}), [])

    def test_the_ledgers_own_findings(self):
        violation = {"rule": "user_limit", "sku_id": "tv", "detail": "user u has 2"}
        self.assert_broken("user_limit tv: user u has 2", verify=VERIFIED | {"violations": [violation]})


class Announced(unittest.TestCase):
    def quota(self, *slices):
        return {"slices": [dict(zip(("incarnation", "remaining", "version", "announced_version"), s)) for s in slices]}

    def test_waits_for_the_pool_to_be_handed_out(self):
        self.assertFalse(tranchectl.slices_announced(self.quota(("0", "5", "1", "0"), ("1", "5", "2", "2"))))

    def test_waits_for_each_announcement(self):
        self.assertFalse(tranchectl.slices_announced(self.quota(("0", "0"), ("1", "5", "2", "2"), ("2", "5", "3", "2"))))

    def test_waits_for_a_first_slice(self):
        self.assertFalse(tranchectl.slices_announced(self.quota(("0", "0"))))

    def test_is_done_when_all_is_announced(self):
        self.assertTrue(tranchectl.slices_announced(self.quota(("0",), ("1", "5", "2", "2"), ("2", "5", "3", "3"))))


class Outcomes(unittest.TestCase):
    def test_names_what_happened_and_leaves_out_what_did_not(self):
        totals = {"created": 3, "replayed": 0, "unknown": 1, "refused": {"SOLD_OUT": 5}}
        self.assertEqual(sale.outcomes(totals), {"reserved": 3, "UNKNOWN": 1, "SOLD_OUT": 5})


class Report(unittest.TestCase):
    def test_shows_every_figure(self):
        result = {
            "skus": totals(stock=1000, reserved=1000),
            "outcomes": {"RESERVED": 1000, "SOLD_OUT": 999000},
            "requests_per_second": 12345.6,
            "latency_ms": {
                "all": {"p50": 1.5, "p99": 22.25, "p99_9": 333.125, "count": 1_000_000},
                "created": {"p50": 2.5, "p99": 33.25, "p99_9": 444.125, "count": 1000},
            },
            "load_seconds": 81.0,
            "verification": [{"ok": True, "text": "fine"}, {"ok": False, "text": "wrong"}],
        }
        text = "\n".join(sale_report.lines(result))
        for shown in ("1,000", "RESERVED", "999,000", "12,346", "1.50", "22.25", "333.12", "444.12", "ok  fine", "BROKEN wrong"):
            self.assertIn(shown, text)


if __name__ == "__main__":
    unittest.main()
