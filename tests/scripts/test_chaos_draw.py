"""The verdict on a draw in chaos, and in which order it is carried through."""

import pathlib
import random
import tempfile
import types
import unittest
import unittest.mock

import lib_path  # noqa: F401
import chaos_draw
import chaos_draw_check
from chaos_check import Row
from chaos_draw_check import Entered, LedgerEntry


def answer(user="alice", outcome="entered", entry_id="id-alice", began=10.0, number=1):
    return Entered(user, outcome, number, entry_id, began, began + 0.1)


def in_ledger(user="alice", entry_id=None, reservation_id=""):
    return LedgerEntry(user, entry_id or f"id-{user}", reservation_id)


def row(user="alice", reservation_id=None, state="PENDING", quantity=1):
    return Row(reservation_id or f"of-{user}", "sneaker", user, quantity, 999, state, 1)


class Finds(unittest.TestCase):
    def assert_found(self, violations, text):
        self.assertEqual(len(violations), 1, violations)
        self.assertIn(text, violations[0])


class Lines(unittest.TestCase):
    def test_are_those_of_the_crowd(self):
        self.assertEqual(chaos_draw_check.parse("entrant-1\tentered\t1\tid-1\t1500000\t2500000\n"),
                         Entered("entrant-1", "entered", 1, "id-1", 1.5, 2.5))
        self.assertFalse(chaos_draw_check.parse("entrant-1\tUNKNOWN\t0\t\t1\t2\n").success())


class Entries(Finds):
    def check(self, answers, entries, listed=None, **more):
        listed = [entry.entry_id for entry in entries] if listed is None else listed
        return chaos_draw_check.check_entries(answers, entries, listed, **more)

    def test_acknowledged_and_there(self):
        told = [answer(), answer(outcome="replayed"), answer("bob", "UNKNOWN", ""),
                answer("carol", "DRAW_NOT_OPEN", "")]
        self.assertEqual(self.check(told, [in_ledger()]), [])

    def test_in_doubt_and_there(self):
        self.assertEqual(self.check([answer(outcome="UNKNOWN", entry_id="")], [in_ledger()]), [])

    def test_acknowledged_and_lost(self):
        told = [answer(), answer("bob", entry_id="id-bob")]
        self.assert_found(self.check(told, [in_ledger("bob")]), "acknowledged entries are not in the ledger")

    def test_there_with_another_id(self):
        self.assert_found(self.check([answer()], [in_ledger(entry_id="other")]), "are not in the ledger")

    def test_told_of_two(self):
        found = self.check([answer(), answer(entry_id="other")], [in_ledger()])
        self.assertEqual(len(found), 2)
        self.assertIn("told of several entries, such as alice", found[1])

    def test_asked_for_by_nobody(self):
        self.assert_found(self.check([answer()], [in_ledger(), in_ledger("mallory")]), "made by nobody")

    def test_two_entries_of_one_buyer(self):
        found = self.check([answer()], [in_ledger(entry_id="other"), in_ledger()])
        self.assert_found(found, "have several entries")

    def test_left_out_of_the_list(self):
        self.assert_found(self.check([answer()], [in_ledger()], listed=[]), "not in the published list")

    def test_only_in_the_list(self):
        self.assert_found(self.check([answer()], [in_ledger()], listed=["id-alice", "other"]), "not in the ledger")

    def test_twice_in_the_list(self):
        self.assert_found(self.check([answer()], [in_ledger()], listed=["id-alice"] * 2), "twice in the published")

    def test_what_the_ledger_has_forgotten(self):
        self.assertEqual(self.check([answer()], [], forgotten=lambda at: at > 10.05), [])
        self.assertEqual(self.check([answer()], [in_ledger(entry_id="new")], forgotten=lambda at: at < 10.05), [])
        self.assertEqual(len(self.check([answer()], [], forgotten=lambda at: at > 11)), 1)


class Awards(Finds):
    def check(self, entries, *rows, winners=2, stock=2):
        return chaos_draw_check.check_awards(entries, rows, winners, stock)

    def won(self, *users):
        return [in_ledger(user, reservation_id=f"of-{user}") for user in users]

    def test_as_many_as_may(self):
        three = [*self.won("alice", "bob"), in_ledger("carol")]
        self.assertEqual(self.check(three, row(), row("bob", state="CONFIRMED")), [])
        self.assertEqual(self.check(three, row(), row("bob"), stock=5), [])
        self.assertEqual(self.check(three, row(), row("bob"), winners=5), [])
        self.assertEqual(self.check(three[:2], row(), row("bob"), winners=5, stock=5), [])

    def test_too_few(self):
        two = [*self.won("alice"), in_ledger("bob")]
        self.assert_found(self.check(two, row()), "1 entries have won, of 2; 2 may win, and there are 2 units")

    def test_too_many(self):
        found = self.check(self.won("alice", "bob"), row(), row("bob"), stock=1)
        self.assertEqual(len(found), 2)
        self.assertIn("1 units were given twice", found[1])

    def test_a_reservation_of_somebody_who_has_not_won(self):
        found = self.check([*self.won("alice"), in_ledger("bob")], row(), row("bob"))
        self.assert_found(found, "given to nobody who had entered, such as of-bob")

    def test_a_reservation_of_somebody_else_than_the_winner(self):
        found = self.check(self.won("alice", "bob"), row(), row("mallory", "of-bob"))
        self.assert_found(found, "given to nobody who had entered, such as of-bob")

    def test_an_award_without_its_reservation(self):
        found = self.check(self.won("alice", "bob"), row(), stock=1)
        self.assert_found(found, "awards have no reservation, such as of-bob")

    def test_somebody_who_has_won_twice(self):
        twice = [*self.won("alice"), LedgerEntry("alice", "other", "second")]
        self.assert_found(self.check(twice, row(), row(reservation_id="second")), "have won twice, such as alice")


class WhatIsPublished(Finds):
    def test_the_sealed_list_is_the_drawn_one(self):
        self.assertEqual(chaos_draw_check.check_seal(("root", ["a"]), ("root", ["a"])), [])
        self.assert_found(chaos_draw_check.check_seal(("root", ["a"]), ("other", ["a"])), "sealed root was root")
        self.assert_found(chaos_draw_check.check_seal(("root", ["a"]), ("root", ["b"])), "list changed")

    def test_the_verifier_must_accept_it(self):
        self.assertEqual(chaos_draw_check.check_verifier("drawn", 0, "OK"), [])
        self.assert_found(chaos_draw_check.check_verifier("drawn", 1, "DOES NOT FIT: x\n"), "DOES NOT FIT: x")

    def test_the_crowd_must_have_entered(self):
        told = [answer(), answer(outcome="replayed")]
        self.assertEqual(chaos_draw_check.check_crowd(told), [])
        for one in told:
            self.assertEqual(len(chaos_draw_check.check_crowd([one])), 1)


class Servers:
    """A cluster of which every step is remembered, in one list."""

    def __init__(self, folder):
        self.steps, self.folder, self.states = [], folder, iter(())
        self.network, self.options = None, types.SimpleNamespace(nodes=5)
        self.workers = [self.process("worker")]
        self.postgres = self.process("postgres")
        self.ledger = types.SimpleNamespace(execute_file=lambda name: [next(self.states)])

    def process(self, name):
        def step(what):
            return lambda *args: self.steps.append(f"{name} {what}")

        return types.SimpleNamespace(kill=step("dies"), kill_with_children=step("dies"), start=step("starts"),
                                     terminate=lambda timeout_s: self.steps.append(f"{name} ends") or 0)

    def await_postgres(self):
        self.steps.append("postgres answers")

    def run(self, *words):
        """As an Operator. The first time, no node can do it."""
        self.steps.append(" ".join(map(str, words[:2])))
        failed = self.steps.count(self.steps[-1]) == 1
        return types.SimpleNamespace(returncode=int(failed), stdout="", stderr="UNAVAILABLE")


class CarriedThrough(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for what in ("sealed", "drawn"):
            (self.folder / f"draw-{what}").mkdir()
            (self.folder / f"draw-{what}" / "draw.json").write_text('{"merkle_root": "root"}')
            (self.folder / f"draw-{what}" / "entries.txt").write_text("a\nb\n")
        self.servers = Servers(self.folder)
        self.draw = chaos_draw.Draw(self.servers, self.servers, random.Random(1))
        self.draw._process = self.servers.process("crowd")

    def stop(self):
        with unittest.mock.patch.object(chaos_draw.time, "sleep"):
            self.draw.stop()

    def test_worker_and_ledger_die_in_each_step(self):
        self.servers.states = iter([("CLOSING", "0"), ("CLOSED", "0"), ("SEEDED", "0"), ("DRAWN", "0"), ("DRAWN", "1"),
                                    ("DRAWN", "2")])
        self.stop()
        died = ["worker starts", "postgres dies", "postgres starts", "postgres answers", "worker dies", "worker starts"]
        self.assertEqual(self.servers.steps, [
            "worker dies", "draw close", "draw close", *died, "crowd ends", "draw export", "draw export",
            "worker dies", "draw seed", "draw seed", *died, "worker dies", "worker starts", "draw export"])
        self.assertIsNone(next(self.servers.states, None))
        self.assertEqual(self.draw._sealed, ("root", ["a", "b"]))
        self.assertEqual(self.draw._drawn, self.draw._sealed)

    def test_what_the_verifier_refuses_is_a_violation(self):
        self.servers.states = iter([("CLOSED", "0"), ("DRAWN", "2"), ("DRAWN", "2")])
        self.stop()
        # draw.json of this test has nothing but a root.
        self.assertEqual(len(self.draw._unfit), 2)
        self.assertIn("does not accept the draw when it is sealed: DOES NOT FIT", self.draw._unfit[0])


if __name__ == "__main__":
    unittest.main()
