"""Judges a SKU whose claims are queued, by what its buyers were told and by the ledger. Pure, so that it can be tested.

A queued claim is decided in the end, once, whatever happens; what was said of it stays true at every node.
"""

import collections
import typing

from chaos_check import such_as

QUEUED, CREATED, UNKNOWN, NOT_SENT = "queued", "created", "UNKNOWN", "NOT_SENT"
REFUSED = "refused:"
CLAIM, ASK = "claim", "ask"
HELD = ("PENDING", "CONFIRMED")
# How a row begins its reason that says that a claim was refused.
ROW_REFUSED = "REFUSED "


class Line(typing.NamedTuple):
    """One answer."""

    reservation_id: str
    user: str
    node: str
    call: str
    outcome: str
    began: float
    ended: float

    def decision(self):
        """"created", "refused:" and why, or None: it says of none."""
        if self.outcome in (CREATED, "replayed"):
            return CREATED
        return self.outcome if self.outcome.startswith(REFUSED) else None


def parse(line):
    """A line of tranche-queue-load --answers."""
    reservation_id, user, node, call, outcome, began_us, ended_us = line.rstrip("\n").split("\t")
    return Line(reservation_id, user, node, call, outcome, int(began_us) / 1e6, int(ended_us) / 1e6)


class QueueRow(typing.NamedTuple):
    reservation_id: str
    user: str
    quantity: int
    state: str
    reason: str

    def decision(self):
        """Without why it was refused."""
        if self.state == "CANCELLED" and self.reason.startswith(ROW_REFUSED):
            return REFUSED
        return CREATED if self.state in HELD else self.state


def to_row(columns):
    reservation_id, user, quantity, state, reason = columns
    return QueueRow(reservation_id, user, int(quantity), state, reason)


class Told:
    """All answers about one claim."""

    def __init__(self, line):
        self.user, self.began = line.user, line.began
        self.queued = self.unknown = False
        self.decisions = []  # (what, when), each answer that says of one

    def add(self, line):
        self.queued |= line.outcome == QUEUED
        self.unknown |= line.call == CLAIM and line.outcome == UNKNOWN
        if decision := line.decision():
            self.decisions.append((decision, line.ended))

    def may_have_a_row(self):
        return self.queued or self.unknown or bool(self.decisions)


def collect(lines):
    """Told by reservation id."""
    told = {}
    for line in lines:
        if line.outcome != NOT_SENT:
            told.setdefault(line.reservation_id, Told(line)).add(line)
    return told


def touches(one, spans):
    """Whether something of this claim may have been in the ledger in one of the spans, which it has forgotten."""
    last = max((at for _, at in one.decisions), default=float("inf"))
    return any(one.began <= end and begin <= last for begin, end in spans)


def check_decisions(told, spans=()):
    """Each queued claim is decided, and no decision becomes another one. `spans`: forgotten by the ledger."""
    open_ones, changed = [], []
    for key, one in told.items():
        if touches(one, spans):
            continue
        if one.queued and not one.decisions:
            open_ones.append(key)
        if len(said := {what for what, _ in one.decisions}) > 1:
            changed.append(f"{key} ({', '.join(sorted(said))})")
    return (such_as("queued claims were never decided", open_ones)
            + such_as("claims were decided in two ways", changed))


def check_rows(told, rows, spans=()):
    """The ledger says of each claim what its buyer was told, and has no other."""
    by_id = {row.reservation_id: row for row in rows}
    lost, other, unasked = [], [], []
    for key, one in told.items():
        if not one.decisions or touches(one, spans):
            continue
        said, row = one.decisions[-1][0], by_id.get(key)
        if row is None:
            lost.append(f"{key} ({said})")
        elif row.user != one.user or row.decision() != (CREATED if said == CREATED else REFUSED):
            other.append(f"{key} ({said}, in the ledger {row.state} of {row.user})")
    for key in by_id:
        if key not in told or not told[key].may_have_a_row():
            unasked.append(key)
    return (such_as("decisions that buyers were told are not in the ledger", lost)
            + such_as("decisions in the ledger are not those that buyers were told", other)
            + such_as("claims are in the ledger although nobody sent them, or they were refused at once", unasked))


def check_stock(rows, stock, limit):
    """No unit is sold twice, and nobody has more than they may."""
    held = [row for row in rows if row.state in HELD]
    sold, bought = sum(row.quantity for row in held), collections.Counter()
    for row in held:
        bought[row.user] += row.quantity
    found = [f"{sold - stock} units were sold twice"] if sold > stock else []
    return found + such_as("buyers have more than their limit", [user for user, n in bought.items() if n > limit])


def check_crowd(told):
    """The queue had to do something: otherwise it proves nothing."""
    seen = {
        "queued": any(one.queued for one in told.values()),
        "sold": any(what == CREATED for one in told.values() if one.queued for what, _ in one.decisions),
        "refused": any(what != CREATED for one in told.values() if one.queued for what, _ in one.decisions),
    }
    return [f"no queued claim was {what}" if what != "queued" else "no claim was queued"
            for what, was in seen.items() if not was]


class QueueTally:
    """Since when claims are queued, and decided, again."""

    ENOUGH = 5
    MOST = 10_000

    def __init__(self):
        self._claims = collections.OrderedDict()  # by id: when it was sent, queued and decided

    def add(self, line):
        if line.call == CLAIM and line.outcome == QUEUED:
            self._claims.setdefault(line.reservation_id, [line.began, line.ended, None])
            if len(self._claims) > self.MOST:
                self._claims.popitem(last=False)
        elif line.decision() and line.reservation_id in self._claims:
            claim = self._claims[line.reservation_id]
            claim[2] = claim[2] or line.ended

    def queued_since(self, since):
        """When enough of those who claimed from then on were queued; None: they are not yet."""
        return self._enough([queued for began, queued, _ in self._claims.values() if began >= since])

    def decided_since(self, since):
        """When enough of those were decided."""
        return self._enough([decided for began, _, decided in self._claims.values() if began >= since and decided])

    def _enough(self, times):
        return sorted(times)[self.ENOUGH - 1] if len(times) >= self.ENOUGH else None
