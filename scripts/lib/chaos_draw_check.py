"""Judges a draw by what those who entered it were told, and by what the ledger and the export say. Pure."""

import collections
import typing

from chaos_check import nothing_forgotten, such_as

ENTERED = ("entered", "replayed")
HELD = ("PENDING", "CONFIRMED")


class Entered(typing.NamedTuple):
    """The answer to one EnterDraw."""

    user: str
    outcome: str
    draw_number: int
    entry_id: str  # "": refused, or not known
    began: float
    ended: float

    def success(self):
        return self.outcome in ENTERED


def parse(line):
    """A line of tranche-draw-load --entries."""
    user, outcome, number, entry_id, began_us, ended_us = line.rstrip("\n").split("\t")
    return Entered(user, outcome, int(number), entry_id, int(began_us) / 1e6, int(ended_us) / 1e6)


class LedgerEntry(typing.NamedTuple):
    user: str
    entry_id: str
    reservation_id: str  # "": none was given


def check_entries(answers, entries, listed, forgotten=nothing_forgotten):
    """Who was told that they have entered is in the ledger and in the list, once; and nobody else but those who tried.

    `entries`: LedgerEntries. `listed`: the ids that were published. What was acknowledged in a forgotten time may be
    missing, or have been made anew with another id.
    """
    of_user = {entry.user: entry.entry_id for entry in entries}
    told, lost = collections.defaultdict(set), set()
    for answer in answers:
        if not answer.success() or forgotten(answer.began) or forgotten(answer.ended):
            continue
        told[answer.user].add(answer.entry_id)
        if of_user.get(answer.user) != answer.entry_id:
            lost.add(f"{answer.user} ({answer.entry_id})")
    asked = {answer.user for answer in answers}
    return (such_as("acknowledged entries are not in the ledger", sorted(lost))
            + such_as("buyers were told of several entries", sorted(user for user, ids in told.items() if len(ids) > 1))
            + such_as("entries were made by nobody", sorted(set(of_user) - asked))
            + such_as("buyers have several entries", _twice(entry.user for entry in entries))
            + such_as("entries of the ledger are not in the published list",
                       sorted({entry.entry_id for entry in entries} - set(listed)))
            + such_as("entries of the published list are not in the ledger",
                       sorted(set(listed) - {entry.entry_id for entry in entries}))
            + such_as("entries are twice in the published list", _twice(listed)))


def _twice(values):
    return sorted(value for value, count in collections.Counter(values).items() if count > 1)


def check_awards(entries, rows, winners, stock):
    """As many have won as may, each of them has one reservation, and nobody else has any.

    `rows`: of the draw's SKU. One unit for each winner.
    """
    given = {entry.reservation_id: entry.user for entry in entries if entry.reservation_id}
    held = [row for row in rows if row.state in HELD]
    places, sold = min(winners, len(entries), stock), sum(row.quantity for row in held)
    found = []
    if len(held) != places:
        found.append(f"{len(held)} entries have won, of {len(entries)}; {winners} may win, and there are {stock} units")
    if sold > stock:
        found.append(f"{sold - stock} units were given twice")
    return (found
            + such_as("reservations were given to nobody who had entered",
                       sorted(row.reservation_id for row in rows if given.get(row.reservation_id) != row.user))
            + such_as("awards have no reservation",
                       sorted(set(given) - {row.reservation_id for row in rows}))
            + such_as("buyers have won twice", _twice(row.user for row in held)))


def check_seal(sealed, drawn):
    """What was sealed before the seed was known is what was drawn. Both: (Merkle root, ids of the list)."""
    if sealed[0] != drawn[0]:
        return [f"the sealed root was {sealed[0]}, and the draw was made with {drawn[0]}"]
    return [] if sealed[1] == drawn[1] else ["the list changed after it was sealed"]


def check_verifier(what, status, said):
    """verify_draw.py has to accept what was published."""
    return [] if status == 0 else [f"verify_draw.py does not accept the draw when it is {what}: {said.strip()}"]


def check_crowd(answers):
    """They had to enter, and some of them twice: otherwise it proves nothing."""
    return [f"nobody was told \"{outcome}\"" for outcome in ENTERED
            if not any(answer.outcome == outcome for answer in answers)]
