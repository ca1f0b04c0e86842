"""The arithmetic of the figure `queue`: from what callers were told and what the ledger has decided. Pure."""

import collections
import math
import statistics
import typing

from chaos_queue_check import CREATED, NOT_SENT, QUEUED, UNKNOWN

# Of the medians; what is a share or a time must be on the right side of it.
GOALS = {
    "share": (">=", 0.60), "queued_p50_ms": ("<", 5), "queued_p99_ms": ("<", 25), "lost": ("<=", 0),
    "doubled": ("<=", 0), "backlog_s": ("<", 60), "refused_p99_ms": ("<", 200), "direct_p99_ratio": ("<", 2),
    "direct_failed": ("<=", 0),
}
# A claim whose decision comes so long after it was queued has waited in a backlog.
BACKLOG_S = 1.0


class Decision(typing.NamedTuple):
    sku: str
    reservation_id: str
    user: str
    sold: bool
    at: float


def to_decision(columns):
    sku, reservation_id, user, sold, at = columns
    return Decision(sku, reservation_id, user, sold == "t", float(at))


class Claimed(typing.NamedTuple):
    """What a caller was told of one claim: the first answer that is none of UNKNOWN."""

    reservation_id: str
    outcome: str  # UNKNOWN: there was none; NOT_SENT: the generator had too many under way
    began: float  # when it was to be sent
    ended: float

    def latency_ms(self):
        return 1e3 * (self.ended - self.began)


def claimed(lines):
    """Each claim, also those that the generator could not send. `lines`: of tranche-queue-load, in the order of the
    answers."""
    found = {}
    for line in lines:
        before = found.get(line.reservation_id)
        if before is None:
            found[line.reservation_id] = Claimed(line.reservation_id, line.outcome, line.began, line.ended)
        elif before.outcome == UNKNOWN:
            found[line.reservation_id] = before._replace(outcome=line.outcome, ended=line.ended)
    return list(found.values())


def quantile(values, share):
    """The nearest rank; infinite if there is no value."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.inf


def of(claims, *outcomes):
    return [one for one in claims if one.outcome in outcomes]


def sent(claims):
    return [one for one in claims if one.outcome != NOT_SENT]


def latency(claims, *outcomes):
    """Of claims with these outcomes, and of those that were not sent: these were not served, so they took for ever."""
    times = [one.latency_ms() for one in of(claims, *outcomes)]
    count = len(times)
    times += [math.inf] * len(of(claims, NOT_SENT))
    return {"count": count, "p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99)}


def outcomes(claims):
    return dict(collections.Counter(one.outcome for one in claims).most_common())


def sent_per_s(claims):
    """How many were sent in a second, of those that the generator could send."""
    began = [one.began for one in sent(claims)]
    span = max(began) - min(began) if began else 0
    return len(began) / span if span > 0 else math.inf


def answered_per_s(claims, outcome):
    """Claims with this outcome: from the first call until its last answer."""
    done = of(claims, outcome)
    return len(done) / (max(one.ended for one in done) - min(one.began for one in claims)) if done else 0


def decisions_of(claims, decisions):
    """Of those that were queued: (claim, its decision), and those that have none."""
    by_id = {one.reservation_id: one for one in decisions}
    queued = of(claims, QUEUED)
    return ([(one, by_id[one.reservation_id]) for one in queued if one.reservation_id in by_id],
            [one for one in queued if one.reservation_id not in by_id])


def decided_per_s(claims, decisions):
    """Of the queued path: from the first call until the last decision."""
    decided, _ = decisions_of(claims, decisions)
    return len(decided) / (max(decision.at for _, decision in decided) - min(one.began for one in claims))


def wait(claims, decisions):
    """From the call until the decision, whose time is when its transaction began: a few milliseconds too early."""
    decided, undecided = decisions_of(claims, decisions)
    times = [1e3 * max(0.0, decision.at - one.began) for one, decision in decided]
    return {"count": len(times), "undecided": len(undecided), "p50_ms": quantile(times, 0.5),
            "p99_ms": quantile(times, 0.99)}


def outage(claims, decisions, opened):
    """What became of claims that were queued while the ledger was away. `opened`: when it was back."""
    decided, lost = decisions_of(claims, decisions)
    sold = collections.Counter(decision.user for decision in decisions if decision.sold)
    late = [decision.at for one, decision in decided if decision.at - one.ended > BACKLOG_S]
    return {"queued": len(decided) + len(lost), "lost": len(lost), "doubled": sum(count > 1 for count in sold.values()),
            "backlog_s": max(0.0, max(late, default=opened) - opened), "others": outcomes(claims),
            "queued_p99_ms": latency(claims, QUEUED)["p99_ms"]}


def broker_loss(queued, direct, killed, back):
    """What callers were told while the broker was away, from `killed` to `back`: those whose claims would be queued,
    and those who buy directly."""
    away = [one for one in queued if killed <= one.began < back]
    meanwhile = [one for one in direct if killed <= one.began < back]
    before_p99_ms = latency([one for one in direct if one.began < killed], CREATED)["p99_ms"]
    meanwhile_p99_ms = latency(meanwhile, CREATED)["p99_ms"]
    refused = latency(away, "QUEUE_UNAVAILABLE")
    again = [one.ended for one in queued if one.began >= back and one.outcome == QUEUED]
    return {"refused_p99_ms": refused["p99_ms"], "refused": refused["count"], "others": outcomes(away),
            # Nothing to compare with is no success.
            "direct_p99_ratio": meanwhile_p99_ms / before_p99_ms if math.isfinite(before_p99_ms) else math.inf,
            "direct_failed": len(meanwhile) - len(of(meanwhile, CREATED)),
            "again_s": min(again) - back if again else math.inf}


def cpu_us_per_claim(before, after, claims):
    """`before`, `after`: of each name, the CPU milliseconds by process. One that has begun between counts as a whole;
    one that has ended does not count, since nobody knows any more."""
    return {name: 1e3 * sum(ms - used.get(pid, 0.0) for pid, ms in after[name].items()) / claims
            for name, used in before.items()}


def reached(name, value):
    sign, goal = GOALS[name]
    return {">=": value >= goal, "<": value < goal, "<=": value <= goal}[sign]


# Name of a goal: where it is in a round, and how it is told.
TABLE = {
    "share": (("queued path", "share"), "claims decided by the queued path, of the direct path's"),
    "queued_p50_ms": (("half load", "queued", "p50_ms"), "QUEUED at half load, p50 in ms"),
    "queued_p99_ms": (("half load", "queued", "p99_ms"), "QUEUED at half load, p99 in ms"),
    "lost": (("outage", "lost"), "claims lost while the ledger is away for 60 s"),
    "doubled": (("outage", "doubled"), "claims sold twice then"),
    "backlog_s": (("outage", "backlog_s"), "the backlog is gone, s after its end"),
    "refused_p99_ms": (("broker", "refused_p99_ms"), "refused without a broker, p99 in ms"),
    "direct_p99_ratio": (("broker", "direct_p99_ratio"), "direct claims' p99 then, as a multiple of before"),
    "direct_failed": (("broker", "direct_failed"), "direct claims without a reservation then"),
}


def figure(one, path):
    for name in path:
        one = one[name]
    return one


def summarize(rounds):
    """By the name of a goal: the median and the worst round."""
    found = {}
    for name, (path, _) in TABLE.items():
        values = [figure(one, path) for one in rounds]
        worst = min(values) if GOALS[name][0] == ">=" else max(values)
        found[name] = {"median": statistics.median(values), "worst": worst}
    return found


def table(figures):
    """Lines: figure, goal, median, worst round, and whether the median reaches the goal."""
    rows = [("figure", "goal", "median", "worst", "")]
    for name, (_, text) in TABLE.items():
        sign, goal = GOALS[name]
        one = figures[name]
        rows.append((text, f"{sign} {goal:g}", f"{one['median']:.4g}", f"{one['worst']:.4g}",
                     "" if reached(name, one["median"]) else "missed"))
    return [f"{text:56} {goal:>8} {median:>9} {worst:>9} {verdict}".rstrip()
            for text, goal, median, worst, verdict in rows]
