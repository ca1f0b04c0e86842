"""Judges what one seller did, by what its buyers were told and by what its store holds. Pure, so that it can be tested.

A sale is all claims of one stock: `told` of its buyers, `stored` when it was over.
"""

import collections
import dataclasses
import math

# Claims that were refused so shortly before the last unit went may have found nothing but units that were promised.
LAST_MOMENTS_S = 0.5
# Refusals that say nothing about units.
NOT_ABOUT_UNITS = ("OVERLOADED", "USER_LIMIT_REACHED")
SOLD_OUT, UNKNOWN = "SOLD_OUT", "UNKNOWN"
# What makes a seller wrong, in the order of the report.
FAULTS = ("oversold", "lost", "phantom", "doubled", "unsold", "miscounted")


def is_away(answer):
    """Does it say that the seller could not decide, such as without its store?"""
    return not answer.success() and answer.outcome not in (SOLD_OUT, *NOT_ABOUT_UNITS)


@dataclasses.dataclass(frozen=True)
class Told:
    """What buyers know when all answers are in; of a claim that was sent again, the last answer counts."""
    acknowledged: frozenset
    unknown: frozenset
    refused: dict  # how many, by reason

    def __or__(self, other):
        refused = collections.Counter(self.refused) + collections.Counter(other.refused)
        return Told(self.acknowledged | other.acknowledged, self.unknown | other.unknown, dict(refused))


@dataclasses.dataclass(frozen=True)
class Stored:
    """What the store holds, of all SKUs."""
    units_left: int
    units_sold: int
    order_ids: frozenset


NOBODY = Told(frozenset(), frozenset(), {})


def tell(answers):
    """`answers`: chaos_answers.Answer, in the order of the file."""
    last = {answer.reservation_id: answer.outcome if not answer.success() else None for answer in answers}
    acknowledged = frozenset(key for key, outcome in last.items() if outcome is None)
    unknown = frozenset(key for key, outcome in last.items() if outcome == UNKNOWN)
    refused = collections.Counter(outcome for outcome in last.values() if outcome not in (None, UNKNOWN))
    return Told(acknowledged, unknown, dict(refused))


def check(stock, told, stored, sold_out):
    """`stock`: of all SKUs. `sold_out`: whether there was demand for all of it, so that nothing may be left."""
    orders = len(stored.order_ids)
    found = {
        "acknowledged": len(told.acknowledged),
        "orders": orders,
        "unknown": len(told.unknown),
        # More orders than units, or more promises.
        "oversold": max(0, max(orders, stored.units_sold, len(told.acknowledged)) - stock),
        # Whoever was told to have a unit has an order.
        "lost": len(told.acknowledged - stored.order_ids),
        # Nobody was told that they have it, or that they may.
        "phantom": len(stored.order_ids - told.acknowledged - told.unknown),
        # By how much the stock that the store shows differs from what its orders leave.
        "miscounted": stored.units_left - max(0, stock - stored.units_sold),
    }
    return found | {"unsold": max(0, stock - orders) if sold_out else 0}


def doubled(again):
    """Units that buyers got who had one already; `again`: what they were told when all of them claimed once more."""
    return len(again.acknowledged)


def percentiles(values_ms):
    """By the nearest rank. Without values: None each."""
    ordered = sorted(values_ms)

    def at(share):
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "p99_9": at(0.999), "max": at(1)}


def latency(answers):
    """Milliseconds from the planned arrival to the first answer: of claims that got a unit, and of those that were told
    that nothing is left. `failed`: the share of claims that got neither."""
    seen, accepted, refused, failed = set(), [], [], 0
    for answer in answers:
        if answer.reservation_id in seen:  # it is sent again because its first answer said nothing
            continue
        seen.add(answer.reservation_id)
        took_ms = 1e3 * (answer.ended - answer.began)
        if answer.success():
            accepted.append(took_ms)
        elif answer.outcome == SOLD_OUT:
            refused.append(took_ms)
        else:
            failed += 1
    return {"accepted": percentiles(accepted), "refused": percentiles(refused),
            "failed": failed / len(seen) if seen else None}


def recovery(answers, struck):
    """Seconds from the blow until a claim that was sent after it got a unit, and until no claim more was turned away
    although there was a unit left. None: never."""
    after = [answer for answer in answers if answer.began > struck]
    sold = [answer for answer in after if answer.success()]
    if not sold:
        return {"again_s": None, "all_again_s": None}
    again_s = min(answer.ended for answer in sold) - struck
    last = max(answer.began for answer in sold) - LAST_MOMENTS_S
    turned_away = [answer.began - struck for answer in after
                   if not answer.success() and answer.outcome not in NOT_ABOUT_UNITS and answer.began < last]
    return {"again_s": again_s, "all_again_s": max([again_s, *turned_away])}


def faults(sale):
    """The names of what is wrong with a sale, as `check` has found it."""
    return [name for name in FAULTS if sale.get(name)]
