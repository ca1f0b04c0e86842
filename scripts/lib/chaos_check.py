"""Judges a finished run: compares every caller's answers with the ledger. Pure, so that it can be tested."""

import bisect
import collections
import dataclasses
import typing

from chaos_answers import SOLD_OUT, UNKNOWN
from chaos_changes import ANY_NODE

# How long nodes may answer "sold out" after units have come (back) while nothing is at fault: the news needs time.
STALE_SOLD_OUT_S = 2.0
# A caller's own clock ends every request at its deadline, or this much later on a busy machine.
OVERDUE_S = 3.0
# While nothing is at fault, a node may still be late with a few of the changes: the machine may be busy. With two at any
# rate; with more only if they are few beside the others.
TWO_LATE, FEW_LATE, LATE_SHARE = 2, 5, 0.05
# Answers that a held reservation without another change under way must not get.
ODD = ("REBOOKED", "PAID_UNFULFILLED", "RESERVATION_STATE", "RESERVATION_NOT_FOUND", "PAYMENT_MISMATCH",
       "EXTENSION_OUT_OF_ORDER")
SHOWN = 5


class Row(typing.NamedTuple):
    """A reservation in the ledger."""

    reservation_id: str
    sku: str
    user: str
    quantity: int
    amount_minor: int
    state: str
    incarnation: int
    payment: str = ""
    extensions: int = 0


def to_row(columns):
    reservation_id, sku, user, quantity, amount, state, incarnation, payment, extensions = columns
    return Row(reservation_id, sku, user, int(quantity), int(amount), state, int(incarnation), payment,
               int(extensions))


@dataclasses.dataclass
class Told:
    """All answers about one id."""

    last: object
    outcomes: list


def collect(answers):
    """Told by reservation id."""
    told = {}
    for answer in answers:
        before = told.get(answer.reservation_id)
        if before is None:
            told[answer.reservation_id] = Told(answer, [answer.outcome])
        else:
            before.last = answer
            before.outcomes.append(answer.outcome)
    return told


def outcomes(told):
    """Requests by their last answer."""
    return dict(collections.Counter(one.last.outcome for one in told.values()))


def such_as(what, broken):
    """One violation for all ids that break a rule in the same way."""
    if not broken:
        return []
    examples = ", ".join(str(one) for one in list(broken)[:SHOWN])
    return [f"{len(broken):,} {what}, such as {examples}"]


def check_answers(told):
    """A request has one answer; only "unknown" may be followed by another, and only one of them is "created"."""
    again = [key for key, one in told.items() if any(outcome != UNKNOWN for outcome in one.outcomes[:-1])]
    return such_as("requests were answered twice", again)


def forgotten_by(rounds):
    """Whether the ledger may have forgotten what was acknowledged at a time: it was replaced by an older one."""
    spans = [one.forgotten for one in rounds if one.forgotten]
    return lambda at: any(begin <= at <= end for begin, end in spans)


def nothing_forgotten(at):
    return False


def check_rows(told, rows, forgotten=nothing_forgotten):
    """Every success has its row, every row its request, and both say the same."""
    by_id = {row.reservation_id: row for row in rows}
    lost, altered, refused = [], [], []
    for key, one in told.items():
        row, last = by_id.get(key), one.last
        if row is None:
            if last.success() and not forgotten(last.ended):
                lost.append(key)
            continue
        if (row.sku, row.user, row.quantity) != (last.sku, last.user, last.quantity):
            altered.append(key)
        elif last.success() and row.amount_minor != last.amount_minor:
            altered.append(key)
        if not last.success() and last.outcome != UNKNOWN:
            refused.append(f"{key} ({last.outcome})")
    return (
        such_as("acknowledged reservations have no row", lost)
        + such_as("rows differ from what was asked for or answered", altered)
        + such_as("requests were refused and yet are in the ledger", refused)
        + such_as("rows were asked for by nobody", [key for key in by_id if key not in told])
        + such_as("rows have the same id", [key for key, count in _counted(rows).items() if count > 1])
    )


def _counted(rows):
    return collections.Counter(row.reservation_id for row in rows)


def check_limits(rows, limits):
    """Nobody has more than the SKU's limit. `limits`: by SKU."""
    bought = collections.Counter()
    for row in rows:
        if row.state in ("PENDING", "CONFIRMED"):
            bought[row.sku, row.user] += row.quantity
    return such_as("buyers have more than their limit", [buyer for buyer, units in bought.items()
                                                          if units > limits[buyer[0]]])


def check_stock(rows, stock, unsold):
    """Sold and unsold units are the stock, and nothing is unsold: there was demand to the end."""
    sold = collections.Counter()
    for row in rows:
        if row.state in ("PENDING", "CONFIRMED"):
            sold[row.sku] += row.quantity
    violations = []
    for sku, units in sorted(stock.items()):
        if sold[sku] + unsold[sku] != units:
            violations.append(f"{sku}: {sold[sku]} sold + {unsold[sku]} unsold is not the stock, {units}")
        if sold[sku] > units:
            violations.append(f"{sku}: {sold[sku] - units} units sold twice")
        if unsold[sku] > 0:
            violations.append(f"{sku}: {unsold[sku]} units stranded")
    return violations


def available_spans(samples, sku):
    """(begin, end) of every span of samples in a row in all of which the SKU had unsold units."""
    spans, begin, last = [], None, None
    for sample in samples:
        if sample.unsold.get(sku, 0) > 0:
            begin = sample.at if begin is None else begin
            last = sample.at
        elif begin is not None:
            spans.append((begin, last))
            begin = None
    return spans + ([(begin, last)] if begin is not None else [])


def stale_sold_outs(answers, samples, quiet_from):
    """How long each wrong "sold out" was behind: [(answer, seconds)].

    Wrong is one that was asked for and answered while units were unsold all the time; behind, by the time since the
    units had come. `quiet_from(at)`: since when nothing has been at fault at that time, or None; spans before that do
    not count.
    """
    spans, found = {}, []
    for answer in answers:
        if answer.outcome != SOLD_OUT:
            continue
        if answer.sku not in spans:
            spans[answer.sku] = available_spans(samples, answer.sku)
        of_sku = spans[answer.sku]
        nth = bisect.bisect_right(of_sku, (answer.began, float("inf"))) - 1
        if nth < 0 or answer.ended > of_sku[nth][1]:
            continue
        quiet = quiet_from(answer.began)
        if quiet is not None:
            found.append((answer, answer.began - max(of_sku[nth][0], quiet)))
    return found


def quiet_times(rounds):
    """A function for stale_sold_outs: something is at fault only from a fault's beginning to its recovery."""
    faults = sorted((one.began, one.ended) for one in rounds)

    def quiet_from(at):
        nth = bisect.bisect_right(faults, (at, float("inf"))) - 1
        if nth < 0:
            return 0
        ended = max(end for _, end in faults[: nth + 1])
        return None if at <= ended else ended

    return quiet_from


def check_overdue(answers, timeout_s):
    """Every caller gets an answer in time, at least from its own clock. `timeout_s`: for an answer."""
    overdue = [f"{one.reservation_id} ({one.ended - one.began:.1f} s)" for one in answers
               if one.ended - one.began > timeout_s(one) + OVERDUE_S]
    return such_as(f"answers came more than {OVERDUE_S:.0f} s after their deadlines", overdue)


def _done(change, row):
    """Whether the ledger has the change."""
    if row is None:
        return False
    if change.kind == "confirm":
        return (row.state, row.payment) == ("CONFIRMED", change.value)
    return row.state == "CANCELLED" if change.kind == "cancel" else row.extensions >= int(change.value)


def check_changes(changes, rows, told=None, forgotten=nothing_forgotten):
    """Changes answered as done are in the ledger, refused ones are not, and a held reservation can be changed.

    `told`: the answers to the claims. A change of a forgotten time may be missing, and what was claimed or changed then
    may not be there, or be extended less, for the changes that follow.
    """
    def may_be_gone(change):
        return forgotten(change.began) or forgotten(change.ended)

    by_id = {row.reservation_id: row for row in rows}
    excused = {change.reservation_id for change in changes if may_be_gone(change)}
    excused |= {key for key, one in (told or {}).items() if forgotten(one.last.ended)}
    undone, odd = [], []
    # Changes that may have been made: (id, kind), and by id how often it may have been extended.
    asked, extended = set(), collections.Counter()
    for change in changes:
        key, row = change.reservation_id, by_id.get(change.reservation_id)
        if change.success() and not _done(change, row):
            if not may_be_gone(change):
                undone.append(f"{key} ({change.outcome}, in the ledger {row.state if row else 'missing'})")
        elif change.outcome in ODD and key not in excused:
            odd.append(f"{key} ({change.kind}: {change.outcome})")
        if change.success() or change.outcome == UNKNOWN:
            asked.add((key, change.kind))
            if change.kind == "extend":
                extended[key] = max(extended[key], int(change.value))
    kinds = {"CONFIRMED": "confirm", "CANCELLED": "cancel"}
    unasked = [f"{row.reservation_id} ({row.state}, {row.extensions} times extended)" for row in rows
               if row.extensions > extended[row.reservation_id]
               or (row.state in kinds and (row.reservation_id, kinds[row.state]) not in asked)]
    return (
        such_as("changes were answered and are not in the ledger", undone)
        + such_as("changes of held reservations were answered as if these were not held", odd)
        + such_as("reservations were changed although that was refused or asked for by nobody", unasked)
    )


def check_quiet_changes(changes, quiet_from, names):
    """Nodes answer in time while nothing is at fault. `quiet_from`: see stale_sold_outs; `names`: by address."""
    spans = collections.defaultdict(collections.Counter)
    for change in changes:
        quiet = quiet_from(change.began)
        if change.node != ANY_NODE and quiet is not None and quiet_from(change.ended) == quiet:
            spans[change.node, quiet][change.late()] += 1
    return [f"{names[node]}: {late[True]} of {late.total()} changes were not answered in time, with nothing at fault"
            for (node, _), late in sorted(spans.items())
            if late[True] > _most_late(late.total())]


def _most_late(changes):
    return max(TWO_LATE, min(changes / 2, max(FEW_LATE, LATE_SHARE * changes)))


def check_sold_out(stale):
    """`stale`: what stale_sold_outs found."""
    late = [f"{answer.reservation_id} ({behind:.1f} s)" for answer, behind in stale if behind > STALE_SOLD_OUT_S]
    return such_as(f"requests were told \"sold out\" more than {STALE_SOLD_OUT_S:.0f} s after units had come", late)


def check_buyers(buyers, denied, allowed, bots, admits):
    """Who bought the guarded SKU: nobody who was denied all the time, and no bot; others by luck or an entry only.

    `admits(user)`: whether the lottery does. `bots`: how their names begin.
    """
    others = [user for user in buyers if user not in denied and user not in allowed]
    unlucky = [user for user in others if not user.startswith(bots) and not admits(user)]
    return (
        such_as("denied buyers got in", [user for user in buyers if user in denied])
        + such_as("bots got in, which had no token of their own", [user for user in buyers if user.startswith(bots)])
        + such_as("buyers got in whom the lottery does not admit", unlucky)
    )


def check_refusals(told, sku, refusals):
    """The front door has said each of these: a crowd that is never refused proves nothing."""
    said = {outcome for one in told.values() if one.last.sku == sku for outcome in one.outcomes}
    return [f"the front door of {sku} never said {refusal}" for refusal in refusals if refusal not in said]


def check_verify(verify):
    """What `tranchectl verify -o json` found."""
    return [f"verify: {one.get('rule')} {one.get('sku_id', '')}: {one.get('detail', '')}"
            for one in verify.get("violations", [])]
