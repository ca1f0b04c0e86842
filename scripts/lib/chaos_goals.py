"""The one table of goals: how soon everything must go on after each fault; and which of them a round has missed.

The times are those that the documentation promises. Each has a margin, because one machine runs the whole cluster and
its callers, and perhaps other work. A missed goal fails the run, unless the run is told to be patient.
"""

import collections
import dataclasses
import typing

MARGIN_S = 2.0
# What the balancer needs for a round, and chaos to see it.
ROUND_S = 1.0
# Until a balancer that has begun to lead knows all that a room goes by.
ROOM_S = 10.0
# From when nothing is at fault any more until claims are queued again: clients look for a broker every 2 s at least,
# and the queues' leaders are chosen anew.
QUEUE_S = 10.0
# Until such a claim was decided and its buyer has heard so: what came before is decided first, and buyers ask at least
# every 10 s.
DECIDE_S = 20.0
# Within which groups are over whose deadline has come meanwhile.
GROUPS_S = 10.0
# So many claims of a second may fail while callers count as served.
FEW_FAILED, FAILED_SHARE = 1, 0.05

# What is measured, by the field of a Round.
FREED, POOL, CALLERS, CHANGES, SOLD, ROOM = "holders_s", "pool_s", "claims_s", "changes_s", "empty_s", "room_s"
QUEUED, DECIDED = "queued_s", "decided_s"
ENDED = "groups_s"
WORDS = {
    FREED: "stuck units are sellable",
    POOL: "new stock has left the pool",
    CALLERS: "callers are served",
    CHANGES: "every node makes changes",
    SOLD: "the last unit is sold",
    ROOM: "the room lets buyers in",
    QUEUED: "claims are queued",
    DECIDED: "queued claims are decided",
    ENDED: "groups that are due are over",
}
# From when it counts. New stock that was delivered later counts from its delivery: after a strike, if it came later
# than it should have been sellable; after an end, which leaves no margin, in any case.
STRIKE, END, SUPPLY = "strike", "end", "last supply"


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds that this run was told or decides: the session timeout, and how long a node's stock lasts its callers."""

    session_s: float
    stock_s: float


class Limit(typing.NamedTuple):
    measure: str
    promised: object  # seconds, from the Times
    since: str
    margin_s: float = MARGIN_S


def _seconds(number):
    return lambda times: number


def _session(times):
    """A session ends, and the balancer's next round follows."""
    return times.session_s + ROUND_S


def _limits(promised, since, measures=(FREED, POOL, CALLERS), margin_s=MARGIN_S):
    return [Limit(measure, promised, since, margin_s) for measure in measures]


QUOTA, OPERATIONS, MEASUREMENTS = "docs/quota.md, 7", "docs/operations.md", "docs/measurements.md"
QUEUE, GROUPS = "docs/queue.md", "docs/groups.md"

# (faults, their goals, where that is promised)
TABLE = [
    # The balancer sees that the process has ended.
    (("node-kill", "node-crash", "paying-node-kill"), _limits(_seconds(0.5), STRIKE), QUOTA),
    # A silent one's session ends. Until then new stock may go to it, and callers may run out of what the others hold.
    (("node-stop", "node-cut-zookeeper", "node-oneway-zookeeper", "leader-kill",
      "leader-stop", "leader-cut-zookeeper"), _limits(_session, STRIKE), QUOTA),
    # The connection's timeout, an attempt at a new one, and a round.
    (("node-cut-postgres", "node-oneway-postgres"), _limits(_seconds(2 + 2 + ROUND_S), STRIKE), QUOTA),
    # Its units are fetched when those of the others are sold.
    (("node-cut-clients", "node-oneway-clients"),
     _limits(lambda times: times.stock_s + ROUND_S, STRIKE), MEASUREMENTS),
    # It resigns at the end of a round, after the connection's timeout and an attempt at a new one. A successor follows.
    (("leader-cut-postgres",), _limits(_seconds(1 + 2 + ROUND_S), STRIKE), QUOTA),
    # The front door is changed for one SKU, and no other notices it.
    (("rolling-restart", "node-add", "door"), _limits(_seconds(1), END), MEASUREMENTS),
    (("node-drain",), _limits(_seconds(0.3), STRIKE), MEASUREMENTS),
    # Nothing moves until it is back. Then sessions that ended meanwhile begin anew.
    (("zookeeper-kill", "zookeeper-restart", "zookeeper-isolate"), _limits(_session, END), QUOTA),
    # The next read.
    (("tree-delete", "tree-rebuild"), _limits(_seconds(2), STRIKE), QUOTA),
    # A new history. Announcements that are ahead of the ledger take the longest.
    (("tree-history", "postgres-promote", "postgres-restore"), _limits(_seconds(10), END), OPERATIONS),
    # The ledger was away, or stood still: nothing recovers but what waits, so 3 s have their margin in them. A balancer
    # that could not reach it may lead anew after that.
    (("postgres-kill", "settling-postgres-kill", "paying-postgres-kill", "ledger-lock", "ledger-lock-long",
      "postgres-stop", "postgres-stop-long"),
     [*_limits(_seconds(3), END, (FREED, POOL, CALLERS, CHANGES), margin_s=0),
      Limit(ROOM, lambda times: times.session_s + ROOM_S + 3, END)], "scripts/README.md"),
    # Whoever buys directly notices nothing.
    (("broker-kill", "brokers-restart", "broker-stop", "broker-cut", "broker-alarm", "consumer-kill", "consumer-stop"),
     _limits(_seconds(1), STRIKE), QUEUE),
    # It is not on the way of anybody who buys.
    (("settling-worker-kill",), _limits(_seconds(1), STRIKE), GROUPS),
]
# Whatever the fault was: an announcement that was lost is repaired within 10 s. A balancer leads after a session at the
# latest, and within 10 s more it knows policies, stock and who waits.
ALWAYS = {
    Limit(SOLD, _seconds(10), SUPPLY): QUOTA,
    Limit(ROOM, lambda times: times.session_s + ROOM_S, END): "scripts/README.md",
    Limit(QUEUED, lambda times: times.session_s + QUEUE_S, END): QUEUE,
    Limit(DECIDED, lambda times: times.session_s + QUEUE_S + DECIDE_S, END): QUEUE,
    Limit(ENDED, _seconds(GROUPS_S), END): GROUPS,
}
# Those that a round has only if there is something to measure, by the Round's field that says so.
ONLY_WITH = {ROOM: "has_room", QUEUED: "has_queue", DECIDED: "has_queue", ENDED: "has_groups"}


def goals_of(fault):
    """By measure, the goals of a single fault."""
    found = {limit.measure: limit for limit in ALWAYS}
    for faults, limits, _ in TABLE:
        if fault in faults:
            found |= {limit.measure: limit for limit in limits}
    return found


def goals(name):
    """By measure, the limits of a round's faults. Those of faults that strike together follow one another at worst."""
    together = [goals_of(fault) for fault in name.split("+")]
    if len(together) == 1:
        return together[0]
    both = {}
    for measure in WORDS:
        limits = [one[measure] for one in together if measure in one]
        if measure == SOLD or measure in ONLY_WITH:  # whatever the faults were
            both[measure] = limits[0]
        elif limits:
            since = END if any(limit.since == END for limit in limits) else STRIKE
            both[measure] = Limit(measure, _sum([limit.promised for limit in limits]), since,
                                  sum(limit.margin_s for limit in limits))
    return both


def _sum(promised):
    return lambda times: sum(one(times) for one in promised)


@dataclasses.dataclass
class Outcome:
    """What became of one goal in one round."""

    measure: str
    promised_s: float
    margin_s: float
    since: str
    seen_s: float  # None: never
    met: bool = dataclasses.field(init=False)

    def __post_init__(self):
        self.met = not self.fails(patience=1)

    def fails(self, patience):
        """Whether it took `patience` times as long as it may, or for ever."""
        return self.seen_s is None or self.seen_s > patience * (self.promised_s + self.margin_s)


def _seen(one, limit, promised_s):
    """When it was seen, counted as the goal counts; None: never."""
    value = getattr(one, limit.measure)
    if value is None or limit.since == SUPPLY:
        return value
    begins = one.healed_s if limit.since == END else 0.0
    late = begins if limit.since == END else begins + promised_s
    if limit.measure == POOL and one.delivered_s is not None and one.delivered_s > late:
        begins = one.delivered_s
    return max(0.0, value - begins)


def served_since(claims, begin, end):
    """Seconds from `begin` until all but a few claims of those sent from then on, and answered by `end`, were reservations.

    `claims`: answers about a SKU that never runs out, so that every caller should get one. A claim counts when it was
    sent: one that was sent during the fault may wait in vain until its deadline. What is under way at the end, when the
    next fault strikes, may fail because of that one.
    """
    sent, failed = collections.Counter(), collections.Counter()
    for claim in claims:
        if begin <= claim.began and claim.ended <= end:
            second = int(claim.began - begin)
            sent[second] += 1
            failed[second] += not claim.success()
    ill = [second for second, count in failed.items() if count > max(FEW_FAILED, FAILED_SHARE * sent[second])]
    return float(max(ill) + 1) if ill else 0.0


def fill_in_claims(rounds, claims):
    """Until when claims failed in each of the rounds, which last until the next one begins."""
    ends = [one.began for one in rounds[1:]] + [float("inf")]
    for one, end in zip(rounds, ends):
        one.claims_s = served_since(claims, one.began, end)


def judge(one, times):
    """The outcome of each goal of a Round."""
    outcomes = []
    for limit in goals(one.fault).values():
        # Nothing was stuck, so nothing could be freed.
        if limit.measure == FREED and not one.stuck_units and one.holders_s is not None:
            continue
        if limit.measure in ONLY_WITH and not getattr(one, ONLY_WITH[limit.measure]):
            continue
        promised_s = limit.promised(times)
        seen_s = _seen(one, limit, promised_s)
        outcomes.append(Outcome(limit.measure, promised_s, limit.margin_s, limit.since, seen_s))
    return outcomes


def missed(outcomes, patience=1):
    """For people: which goals were missed, or by more than `patience` times."""
    found = []
    for one in outcomes:
        if one.fails(patience):
            seen = "never" if one.seen_s is None else f"{one.seen_s:.1f} s after the {one.since}"
            found.append(f"{WORDS[one.measure]}: {seen}, promised {one.promised_s:.1f} s (+ {one.margin_s:.0f} s)")
    return found


def lines(times):
    """The table for people: what scripts/chaos --list-goals prints."""
    for faults, limits, page in TABLE:
        yield ", ".join(faults)
        for limit in limits:
            yield _line(limit, times, page)
    yield "every fault"
    for limit, page in ALWAYS.items():
        yield _line(limit, times, page)


def _line(limit, times, page):
    return (f"  {WORDS[limit.measure]:<30}{limit.promised(times):5.1f} s after the {limit.since}, "
            f"with a margin of {limit.margin_s:.0f} s ({page})")
