"""The front door in chaos: who may have got in, and whether those get in who should."""

import base64
import hashlib
import random
import unittest

import lib_path  # noqa: F401
import chaos_check
import chaos_faults
import chaos_front_door
from chaos_answers import Answer
from chaos_check import Row
from chaos_front_door import (ALLOWED, BOT, DENIED, GUARDED, REFUSALS, SOMETIMES_DENIED, WELL_ENTRIES, EntryTally,
                              FrontDoor, Lottery, LotteryRound)

# test_verify_rank.py has this key, and alice's rank with it in round 1 of "tv": 1.7 % of all are below.
KEY = bytes(range(32))
COMMITMENT = bytes.fromhex("630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd")
ROUND = LotteryRound(1, COMMITMENT, KEY, "tv")


def answer(user="honest-1", outcome="created", began=10.0, sku=GUARDED):
    return Answer(f"{user} {began}", sku, user, 1, outcome, 0, began, began + 0.5)


def row(user, sku=GUARDED, state="PENDING"):
    return Row(f"of {user}", sku, user, 1, 999, state, 1)


class Buyers(unittest.TestCase):
    def check(self, *buyers, lucky=("honest-1",)):
        return chaos_check.check_buyers(buyers, DENIED, ALLOWED, BOT, lambda user: user in lucky)

    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])

    def test_luck_and_an_entry_let_in(self):
        self.assertEqual(self.check("honest-1", ALLOWED[0]), [])

    def test_somebody_without_luck(self):
        self.assert_found(self.check("honest-1", "honest-2"), "1 buyers got in whom the lottery does not admit, "
                                                              "such as honest-2")
        self.assert_found(self.check(SOMETIMES_DENIED[0]), "the lottery does not admit")

    def test_somebody_denied_luck_or_not(self):
        for lucky in ((), DENIED):
            self.assert_found(self.check(DENIED[0], lucky=lucky), f"1 denied buyers got in, such as {DENIED[0]}")

    def test_a_bot_luck_or_not(self):
        for lucky in ((), ("bot-7",)):
            self.assert_found(self.check("bot-7", lucky=lucky), "1 bots got in")

    def test_are_those_of_the_guarded_sku_in_any_state(self):
        rows = [row("b", state="CANCELLED"), row("a"), row("a"), row("c", sku="tv")]
        self.assertEqual(chaos_front_door.bought_by(rows), ["a", "b"])


class Refusals(unittest.TestCase):
    def check(self, *answers):
        return chaos_check.check_refusals(chaos_check.collect(answers), GUARDED, REFUSALS)

    def test_each_must_have_been_said(self):
        said = [answer(outcome=refusal, began=at) for at, refusal in enumerate(REFUSALS)]
        self.assertEqual(self.check(*said), [])
        for missing in range(len(said)):
            found = self.check(*said[:missing], *said[missing + 1:])
            self.assertEqual(found, [f"the front door of {GUARDED} never said {REFUSALS[missing]}"])

    def test_of_another_sku_they_do_not_count(self):
        said = [answer(outcome=refusal, began=at, sku="tv") for at, refusal in enumerate(REFUSALS)]
        self.assertEqual(len(self.check(*said)), len(REFUSALS))


class Lotteries(unittest.TestCase):
    def test_ranks_are_those_of_the_nodes(self):
        self.assertTrue(ROUND.admits("alice", 20_000))
        self.assertFalse(ROUND.admits("alice", 10_000))
        self.assertFalse(ROUND.admits("bob", 20_000))
        self.assertTrue(ROUND.admits("bob", 1_000_000))

    def test_what_counts_is_the_most_that_was_asked_for(self):
        self.assertTrue(Lottery(ROUND, 20_000, []).admits("alice"))
        self.assertFalse(Lottery(ROUND, 10_000, []).admits("alice"))

    def test_the_key_must_be_the_promised_one(self):
        begun = ROUND._replace(key=b"")
        another = bytes(32)
        promised = hashlib.sha256(another).digest()
        self.assertEqual(chaos_front_door.check_rounds([ROUND], begun), [])
        for told in (ROUND._replace(key=another), ROUND._replace(commitment=promised),
                     ROUND._replace(key=another, commitment=promised)):
            self.assertIn("not the one that was promised", chaos_front_door.check_rounds([told], begun)[0])

    def test_there_is_one_round(self):
        begun, next_one = ROUND._replace(key=b""), ROUND._replace(number=2)
        self.assertIn("the rounds [2, 1]", chaos_front_door.check_rounds([next_one, ROUND], begun)[0])
        self.assertIn("the rounds [2]", chaos_front_door.check_rounds([next_one], begun)[0])

    def test_is_read_from_json(self):
        message = {"round": "1", "commitment": base64.b64encode(COMMITMENT).decode(), "policy_sku_id": "tv",
                   "key": base64.b64encode(KEY).decode(), "admitted_per_million": 5}
        self.assertEqual(chaos_front_door.to_round(message), ROUND)
        for runs in ({**message, "key": ""}, {name: value for name, value in message.items() if name != "key"}):
            self.assertEqual(chaos_front_door.to_round(runs), ROUND._replace(key=b""))


class Entries(unittest.TestCase):
    def well(self, *answers, began=10.0):
        tally = EntryTally()
        for one in answers:
            tally.add(one)
        return tally.well_since(began)

    @staticmethod
    def entries(count=WELL_ENTRIES, user="honest-1", first=10.0, outcome="created"):
        return [answer(user, outcome, first + at) for at in range(count)]

    def test_enough_in_a_row(self):
        self.assertTrue(self.well(*self.entries()))
        self.assertTrue(self.well(*self.entries(user=ALLOWED[0])))
        self.assertFalse(self.well(*self.entries(WELL_ENTRIES - 1)))

    def test_who_came_before_does_not_count(self):
        self.assertFalse(self.well(*self.entries(), began=10.5))

    def test_a_failure_in_between(self):
        for outcome in ("RATE_LIMITED", "PURCHASE_TOKEN_INVALID", "UNKNOWN"):
            failed = answer(outcome=outcome, began=12.0)
            self.assertFalse(self.well(*self.entries(), failed))
            self.assertTrue(self.well(failed, *self.entries(first=13.0)))

    def test_bad_luck_is_no_failure(self):
        self.assertTrue(self.well(*self.entries(), answer(outcome="NOT_ADMITTED", began=20.0)))
        self.assertFalse(self.well(*self.entries(outcome="NOT_ADMITTED")))

    def test_bots_and_who_may_be_denied_tell_nothing(self):
        for user in ("bot-1", DENIED[0], SOMETIMES_DENIED[0]):
            self.assertFalse(self.well(*self.entries(user=user)))
            self.assertTrue(self.well(*self.entries(), answer(user, "DENIED", 20.0)))


class Operator:
    """Remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def do(self, *words, role):
        self.asked.append((role, " ".join(map(str, words))))
        return ""


class Cluster:
    class options:
        nodes = 5

    class ledger:
        files = []

        @classmethod
        def execute_file(cls, name):
            cls.files.append(name)


class Operators(unittest.TestCase):
    def setUp(self):
        self.operator = Operator()
        self.door = FrontDoor(Cluster, self.operator)

    def change(self):
        self.door.change(random.Random(7))

    def test_each_change_admits_more_but_never_everybody(self):
        most = []
        for _ in range(30):
            self.change()
            most.append(self.door.admitted_per_million)
        self.assertEqual(most, sorted(most))
        self.assertLess(most[0], most[1])
        self.assertLess(most[-1], 1_000_000)

    def test_a_change_and_what_takes_it_back(self):
        self.change()
        self.door.change_back()
        admins = [words for role, words in self.operator.asked if role == "admin"]
        self.assertEqual(admins, ["door key rotate --yes", "door key rotate --replace-all --yes"])
        operators = [words for role, words in self.operator.asked if role == "operator"]
        self.assertIn(f"--lottery {self.door.admitted_per_million}/1000000", operators[0])
        named = "".join(f" --user {user}" for user in SOMETIMES_DENIED)
        self.assertEqual(operators[1:], [f"door list add deny{named} --yes", f"door list remove{named} --yes"])

    def test_the_fault_strikes_alone_and_must_not_be_noticed(self):
        self.assertFalse(chaos_faults.may_join("door"))
        self.assertTrue(chaos_faults.FAULTS["door"].graceful)


if __name__ == "__main__":
    unittest.main()
