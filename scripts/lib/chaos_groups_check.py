"""Judges groups by what their members were told, and by what the ledger says when all of them are over. Pure."""

import collections
import typing

from chaos_check import nothing_forgotten, such_as

JOINED, LEFT, WAITING, CONFIRMED = "joined", "left", "GROUP_WAITING", "CONFIRMED"
SEATED = (WAITING, CONFIRMED)
# The payment is recorded, and its refund was asked for.
REFUNDED = ("PAID_UNFULFILLED", "RESERVATION_STATE")
LIVE = ("PENDING", "CONFIRMED")
# Seats of a large group; and so many payments of one are many to refund at once.
LARGE, MANY_REFUNDS = 100, 20


class Told(typing.NamedTuple):
    """The answer to one call."""

    what: str  # open, join, pay or leave
    user: str
    group_id: str
    reservation_id: str
    payment: str
    outcome: str
    began: float
    ended: float


def parse(line):
    """A line of tranche-group-load --answers."""
    *texts, began_us, ended_us = line.rstrip("\n").split("\t")
    return Told(*texts, int(began_us) / 1e6, int(ended_us) / 1e6)


class Member(typing.NamedTuple):
    """A reservation that was made for a group."""

    reservation_id: str
    group_id: str
    user: str
    quantity: int
    state: str
    payment: str
    seat_payment: str  # that has its seat; "": none
    group_state: str
    seats: int
    seats_taken: int
    partial: bool

    @classmethod
    def of(cls, row):
        reservation_id, group_id, user, quantity, state, payment, seat_payment, group_state, seats, taken, partial = row
        return cls(reservation_id, group_id, user, int(quantity), state, payment, seat_payment, group_state, int(seats),
                   int(taken), partial == "1")


def ended_by(rows, due_by):
    """When the last of the groups was over that were due at this time, but not before it.

    None: some is not over, or not settled. When it is settled the ledger does not say: that may be later.
    `rows`: (deadline, end or "", whether it is unsettled), as of chaos_groups_ended.sql.
    """
    last = due_by
    for deadline, finished, unsettled in rows:
        if float(deadline) > due_by:
            continue
        if not finished or unsettled == "1":
            return None
        last = max(last, float(finished))
    return last


def check_groups(members):
    """Each group counts those who have paid, has no more of them than seats, and is over."""
    of_group = collections.defaultdict(list)
    for member in members:
        of_group[member.group_id].append(member)
    wrong, unfilled, forming = [], [], []
    for group_id, ones in of_group.items():
        one, seated = ones[0], sum(bool(member.seat_payment) for member in ones)
        if seated != one.seats_taken or seated > one.seats:
            wrong.append(f"{group_id} ({seated} of {one.seats}, counts {one.seats_taken})")
        if one.group_state == "FILLED" and seated < one.seats and not one.partial:
            unfilled.append(f"{group_id} ({seated} of {one.seats})")
        if one.group_state not in ("FILLED", "FAILED", "CANCELLED"):
            forming.append(group_id)
    return (such_as("groups do not have as many seats taken as members have paid, or too many", wrong)
            + such_as("groups were filled without being full", unfilled) + such_as("groups are not over", forming))


def check_members(members, refunds):
    """Who has paid is CONFIRMED by that payment if their group is filled, and otherwise CANCELLED and refunded.

    Nobody else is CONFIRMED, or holds units any more.
    `refunds`: (reservation, payment).
    """
    unsold, unrefunded, sold, both = [], [], [], []
    for one in members:
        filled, seated = one.group_state == "FILLED", bool(one.seat_payment)
        asked = (one.reservation_id, one.seat_payment) in refunds
        if seated and filled and (one.state != "CONFIRMED" or one.payment != one.seat_payment):
            unsold.append(one.reservation_id)
        if seated and not filled and (one.state != "CANCELLED" or not asked):
            unrefunded.append(one.reservation_id)
        if one.state == "CONFIRMED" and not (filled and seated):
            sold.append(one.reservation_id)
        if one.state == "CONFIRMED" and (one.reservation_id, one.payment) in refunds:
            both.append(one.reservation_id)
    return (such_as("members have paid, and are not CONFIRMED although their group is filled", unsold)
            + such_as("members have paid, their group is not filled, and they are not refunded", unrefunded)
            + such_as("members are CONFIRMED without a seat of a filled group", sold)
            + such_as("payments confirm a member and are refunded", both)
            + such_as("members hold units although all groups are over",
                       [one.reservation_id for one in members if one.state == "PENDING"])
            + such_as("buyers are in a group twice", _twice((one.group_id, one.user) for one in members
                                                            if one.state in LIVE)))


def _twice(values):
    return sorted(value for value, count in collections.Counter(values).items() if count > 1)


def check_told(told, members, refunds, forgotten=nothing_forgotten):
    """What was acknowledged is in the ledger: memberships, a seat or a refund of each payment, and the end of who left.

    What was acknowledged in a forgotten time may be missing.
    """
    rows = {one.reservation_id: one for one in members}
    lost, unpaid, back, still = [], [], [], []
    for one in told:
        if forgotten(one.began) or forgotten(one.ended):
            continue
        row = rows.get(one.reservation_id)
        asked = (one.reservation_id, one.payment) in refunds
        if one.outcome == JOINED and (row is None or (row.group_id, row.user) != (one.group_id, one.user)):
            lost.append(one.reservation_id)
        if one.what == "pay" and one.outcome in SEATED and not asked and (row is None or row.payment != one.payment):
            unpaid.append(f"{one.reservation_id} ({one.payment})")
        if one.what == "pay" and one.outcome in REFUNDED and not asked:
            back.append(f"{one.reservation_id} ({one.payment})")
        if one.outcome == LEFT and row is not None and row.state in LIVE:
            still.append(one.reservation_id)
    return (such_as("acknowledged memberships are not in the ledger", lost)
            + such_as("payments were taken, and have neither a sale nor a refund", unpaid)
            + such_as("payments were refused, and are not refunded", back)
            + such_as("members have left, and still have their reservation", still))


def check_large(members):
    """Groups of many were filled, and failed with many refunds.

    Otherwise the crowd that pays together proves nothing.
    """
    large = {(one.group_state, one.seats_taken) for one in members if one.seats == LARGE}
    found = []
    if ("FILLED", LARGE) not in large:
        found.append(f"no group of {LARGE} was filled")
    if not any(state == "FAILED" and taken >= MANY_REFUNDS for state, taken in large):
        found.append(f"no group of {LARGE} has failed with {MANY_REFUNDS} payments")
    return found


def check_crowd(told, members):
    """All of this has to happen: otherwise it proves nothing."""
    outcomes = {one.outcome for one in told}
    states = {(one.group_state, one.partial) for one in members}
    wanted = (JOINED, LEFT, WAITING, CONFIRMED)
    found = [f"nobody was told \"{outcome}\"" for outcome in wanted if outcome not in outcomes]
    if not outcomes & set(REFUNDED):
        found.append("no payment was refused")
    return found + [f"no group was {what}" for what, state in (
        ("filled", ("FILLED", False)), ("filled in part", ("FILLED", True)), ("failed", ("FAILED", False)))
        if state not in states]
