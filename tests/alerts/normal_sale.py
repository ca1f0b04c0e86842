"""A sale with everything that is ordinary: an opening, a sell-out, a drain, restarts, an upgrade, a pause, a short outage,
new certificates and roles, a waiting room that an operator holds, a rush into a queue, and a caller who has to be told
of them. No alert may fire on what it shows."""

from alert_cases import (BALANCER, CONSUMER, NODES, WORKER, denied, healthy, of_consumer, of_queue, of_room, outcome,
                         queueing, series, told_to_wait)
from series import cut

END_S = 1500
OPENS_S, SOLD_OUT_S = 60, 180
OUTAGE_S, OUTAGE_LASTS_S = 1200, 10
HOLDS_END_S = 960
PAUSE_S, PAUSE_LASTS_S = 1350, 60
RENEWAL_S, RENEWAL_LASTS_S, DENIALS_LAST_S = 700, 30, 200
# An upgrade, and a restart before it: each process is away for a moment.
RESTARTS = {"node2": 300, CONSUMER: 350, BALANCER: 400, WORKER: 480, "node1": 560, "node3": 640}
AWAY_S = 15
DRAIN_S, DRAIN_LASTS_S = 200, 80  # of node1
# Of another SKU, which opens when this sale does; the balancer restarts while buyers wait.
ROOM_HELD_S, ROOM_HELD_LASTS_S, ROOM_EMPTY_S = 90, 120, 470


def phases(*changes):
    """A timeline from (from when, value): each value lasts until the next."""
    ends = [since for since, _ in changes[1:]] + [END_S]
    return [(value, end - since) for (since, value), end in zip(changes, ends)]


def moment(at_s, lasts_s, value, otherwise=0):
    return phases((0, otherwise), (at_s, value), (at_s + lasts_s, otherwise))


def of_buyers(node):
    """What a node's callers come to."""
    created = phases((0, 0), (OPENS_S, 500), (SOLD_OUT_S, 1), (OUTAGE_S, 0), (OUTAGE_S + OUTAGE_LASTS_S, 1))
    return {
        outcome(node, "created"): created,
        outcome(node, "SALE_NOT_OPEN"): phases((0, 2000), (OPENS_S, 0)),
        outcome(node, "SOLD_OUT"): phases((0, 0), (SOLD_OUT_S, 5000)),
        outcome(node, "EXHAUSTED_HERE"): moment(SOLD_OUT_S - 20, 20, 300),
        outcome(node, "DRAINING"): moment(DRAIN_S, DRAIN_LASTS_S, 400 if node == "node1" else 0),
        outcome(node, "SALE_PAUSED"): moment(PAUSE_S, PAUSE_LASTS_S, 800),
        outcome(node, "LEDGER_UNAVAILABLE"): moment(OUTAGE_S, OUTAGE_LASTS_S, 50),
        # While all wait for their turn, half of them for more than half a second.
        queueing(node, "0.5"): phases((0, 0), (OPENS_S, 250), (SOLD_OUT_S, 1)),
        **{queueing(node, limit): phases((0, 0), (OPENS_S, 500), (SOLD_OUT_S, 1)) for limit in ("1", "2.5", "+Inf")},
    }


def of_waiting_room():
    shown = {told_to_wait(node): phases((0, 80), (ROOM_EMPTY_S, 0)) for node in NODES}
    return shown | {
        of_room("waiting"): phases((0, 5000), (ROOM_EMPTY_S, 0)),
        of_room("held", reason="not_open"): phases((0, 1), (OPENS_S, 0)),
        of_room("held", reason="rate_zero"): moment(ROOM_HELD_S, ROOM_HELD_LASTS_S, 1),
        of_room("held", reason="nobody_waits"): phases((0, 0), (ROOM_EMPTY_S, 1)),
        of_room("held", reason="ledger_silent"): moment(OUTAGE_S, OUTAGE_LASTS_S, 1),
    }


def of_claim_queue():
    """It fills at the opening, and is worked off in four minutes. Meanwhile its only consumer is restarted. During the
    outage claims are held and come back."""
    shown = {of_queue("depth", node): phases((0, 0), (OPENS_S, 40_000), (OPENS_S + 120, 20_000), (OPENS_S + 240, 5000),
                                             (OPENS_S + 330, 0), (OUTAGE_S, 900), (OUTAGE_S + 30, 0)) for node in NODES}
    shown |= {of_queue("consumers", node): moment(RESTARTS[CONSUMER], AWAY_S, 0, 1) for node in NODES}
    return shown | {of_consumer("oldest_held_seconds"): moment(OUTAGE_S, OUTAGE_LASTS_S, 10, 0.2)}


def of_outage():
    processes = [*NODES, BALANCER, WORKER, CONSUMER]
    return {series("tranche_ledger_up", one, shard="home"): moment(OUTAGE_S, OUTAGE_LASTS_S, 0, 1) for one in processes}


def shown():
    """Series and their timelines."""
    found = {name: [(value, END_S)] for name, ((value, _),) in healthy().items()}
    for node in NODES:
        found |= of_buyers(node)
    found |= of_outage()
    found |= of_waiting_room()
    found |= of_claim_queue()
    for name in ("tranche_access_file_faulty", "tranche_tls_files_faulty"):
        found[series(name, "node2")] = moment(RENEWAL_S, RENEWAL_LASTS_S, 1)
    found[denied("node2", "CALLER_UNKNOWN")] = moment(RENEWAL_S, DENIALS_LAST_S, 30)
    found[series("tranche_node_serving", "node1")] = moment(DRAIN_S, DRAIN_LASTS_S, 0, 1)
    found[series("tranche_holds_overdue_oldest_seconds", WORKER, shard="home")] = moment(HOLDS_END_S, 40, 20)
    found[series("tranche_groups_overdue", WORKER, shard="home")] = moment(HOLDS_END_S, 40, 2000)
    found[series("tranche_groups_late_seconds", WORKER, shard="home")] = moment(HOLDS_END_S, 40, 30)
    found[series("tranche_outbox_messages", WORKER, shard="home", sink="orders", state="pending")] = (
        moment(HOLDS_END_S, 60, 10000, 5))
    for process, at_s in RESTARTS.items():
        for one in [one for one in found if f'instance="{process}"' in one]:
            found[one] = moment(at_s, AWAY_S, 0, 1) if one.startswith("up{") else cut(found[one], at_s, AWAY_S)
    return found
