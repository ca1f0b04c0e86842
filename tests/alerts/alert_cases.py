"""What a healthy cluster shows, and for each alert what it shows during a fault: promtool runs the rules on both."""

import dataclasses

from series import FAULT_S, GONE, HEALTHY_S, cut, during, steady

NODES = ("node1", "node2", "node3")
BALANCER, WORKER, CONSUMER = "balancer1", "worker1", "consumer1"
QUEUE = "tranche.claims.home.0"
JOBS = {**dict.fromkeys(NODES, "tranched"), BALANCER: "tranche-balancer", WORKER: "tranche-worker",
        CONSUMER: "tranche-consumer"}
DAY_S = 86400
LIMITS = ("0.5", "1", "2.5", "+Inf")  # of the histogram's buckets; those below say the same


def series(name, instance, **labels):
    words = {"job": JOBS[instance], "instance": instance} | labels
    return f"{name}{{{','.join(f'{key}={chr(34)}{value}{chr(34)}' for key, value in words.items())}}}"


def outcome(instance, word, metric="tranche_claims_total", **labels):
    return series(metric, instance, outcome=word, **labels)


def queueing(instance, limit):
    return series("tranche_commit_queueing_seconds_bucket", instance, shard="home", kind="claim", le=limit)


def denied(instance, reason, service="ReservationService", method="ConfirmReservation"):
    return series("tranche_denied_calls_total", instance, grpc_service=f"tranche.v1.{service}", grpc_method=method,
                  reason=reason)


def not_asked(node, hook):
    return series("tranche_door_hook_total", node, hook=hook, outcome="skipped")


def told_to_wait(node):
    return series("tranche_door_checks_total", node, check="room", verdict="refused")


def of_room(name, **labels):
    return series(f"tranche_room_{name}", BALANCER, sku="tv", **labels)


def of_queue(name, node):
    return series(f"tranche_queue_{name}", node, queue=QUEUE)


def of_consumer(name):
    return series(f"tranche_consumer_{name}", CONSUMER, shard="home")


def of_decided(outcome="sold"):
    return series("tranche_consumer_claims_total", CONSUMER, shard="home", outcome=outcome)


def of_node(node):
    healthy = {
        series("up", node): steady(1),
        series("tranche_ledger_up", node, shard="home"): steady(1),
        series("tranche_zookeeper_up", node): steady(1),
        series("tranche_node_serving", node): steady(1),
        series("tranche_clock_offset_seconds", node, shard="home"): steady(0.02),
        series("tranche_tls_certificate_expires_timestamp_seconds", node): steady(90 * DAY_S),
        series("tranche_tls_files_faulty", node): steady(0),
        series("tranche_access_file_faulty", node): steady(0),
        series("tranche_door_state_age_seconds", node): steady(4),
        series("tranche_door_unreadable", node, kind="policy"): steady(0),
        series("tranche_door_unreadable", node, kind="access_entry"): steady(0),
        series("tranche_door_hook_open", node, hook="scorer"): steady(0),
        series("tranche_door_hook_open", node, hook="captcha"): steady(0),
        series("tranche_door_hook_total", node, hook="scorer", outcome="answered"): steady(100),
        not_asked(node, "scorer"): steady(0),
        not_asked(node, "captcha"): steady(0),
        series("tranche_service_mode", node, mode="NORMAL"): steady(1),
        series("tranche_service_mode", node, mode="CHANGES_ONLY"): steady(0),
        series("tranche_service_mode", node, mode="READ_ONLY"): steady(0),
        told_to_wait(node): steady(80),
        series("tranche_queue_up", node): steady(1),
        of_queue("depth", node): steady(30),
        of_queue("dead", node): steady(0),
        of_queue("consumers", node): steady(2),
        # A shop asks for streams now and then, somebody tries what they may not.
        denied(node, "ROLE_MISSING", method="StreamReservations"): steady(0.2),
        denied(node, "CALLER_UNKNOWN", "AdminService", "GetStatus"): steady(0.1),
        outcome(node, "created"): steady(50),
        outcome(node, "replayed"): steady(1),
        outcome(node, "SOLD_OUT"): steady(5000),
        outcome(node, "EXHAUSTED_HERE"): steady(20),
        outcome(node, "LEDGER_UNAVAILABLE"): steady(0),
        outcome(node, "QUEUE_UNAVAILABLE"): steady(0),
        outcome(node, "created", "tranche_carts_total"): steady(5),
        outcome(node, "OVERLOADED", "tranche_carts_total"): steady(0),
        outcome(node, "confirmed", "tranche_changes_total", change="confirm"): steady(20),
        outcome(node, "LEDGER_UNAVAILABLE", "tranche_changes_total", change="confirm"): steady(0),
    }
    return healthy | {queueing(node, limit): steady(50) for limit in LIMITS}


def of_balancer(balancer=BALANCER):
    return {
        series("up", balancer): steady(1),
        series("tranche_ledger_up", balancer, shard="home"): steady(1),
        series("tranche_balancer_leads", balancer, shard="home"): steady(1),
        series("tranche_balancer_seconds_since_round", balancer, shard="home"): steady(0.1),
        series("tranche_nodes_gone", balancer, shard="home"): steady(0),
        series("tranche_tls_files_faulty", balancer): steady(0),
        of_room("waiting"): steady(5000),
        of_room("computed_timestamp_seconds"): steady(1),
        **{of_room("held", reason=reason): steady(0)
           for reason in ("not_open", "rate_zero", "enough", "nobody_waits", "ledger_silent", "counting")},
    }


def of_worker(worker=WORKER):
    def of_sink(name, **labels):
        return series(name, worker, shard="home", sink="orders", **labels)

    return {
        series("up", worker): steady(1),
        series("tranche_ledger_up", worker, shard="home"): steady(1),
        series("tranche_tls_files_faulty", worker): steady(0),
        series("tranche_holds_overdue_oldest_seconds", worker, shard="home"): steady(0),
        series("tranche_groups_overdue", worker, shard="home"): steady(0),
        series("tranche_groups_late_seconds", worker, shard="home"): steady(0),
        series("tranche_units_stranded", worker, shard="home"): steady(0),
        series("tranche_ledger_health_read_age_seconds", worker, shard="home"): steady(5),
        series("tranche_draw_waiting_seconds", worker, shard="home"): steady(2),
        of_sink("tranche_outbox_messages", state="pending"): steady(40),
        of_sink("tranche_outbox_messages", state="dead"): steady(0),
        of_sink("tranche_outbox_oldest_seconds"): steady(1),
        of_sink("tranche_sink_healthy"): steady(1),
        series("tranche_postgres_connections", worker, shard="home"): steady(60),
        series("tranche_postgres_connections_limit", worker, shard="home"): steady(97),
        series("tranche_postgres_database_bytes", worker, shard="home"): steady(2e9),
        series("tranche_postgres_read_only", worker, shard="home"): steady(0),
        series("tranche_postgres_standbys_needed", worker, shard="home"): steady(1),
        series("tranche_postgres_standbys", worker, shard="home"): steady(1),
    }


def of_consumer_process(consumer=CONSUMER):
    return {
        series("up", consumer): steady(1),
        series("tranche_ledger_up", consumer, shard="home"): steady(1),
        series("tranche_tls_files_faulty", consumer): steady(0),
        of_consumer("up"): steady(1),
        of_consumer("held"): steady(400),
        of_decided(): steady(300),
        of_decided("requeued"): steady(0),
        of_consumer("oldest_held_seconds"): steady(0.2),
    }


def healthy():
    shown = of_balancer() | of_worker() | of_consumer_process()
    for node in NODES:
        shown |= of_node(node)
    return shown


def of(instance):
    others = {BALANCER: of_balancer, WORKER: of_worker, CONSUMER: of_consumer_process}
    return of_node(instance) if instance in NODES else others[instance]()


def gone(*instances):
    """None of them answers during the fault."""
    return {one: during(1, 0) if one.startswith("up{") else cut(timeline, HEALTHY_S, FAULT_S)
            for instance in instances for one, timeline in of(instance).items()}


def at_worker(name, fault, healthy_value=0, **labels):
    return {series(name, WORKER, shard="home", **labels): during(healthy_value, fault)}


def at_nodes(name, fault, healthy_value=1, **labels):
    return {series(name, node, **labels): during(healthy_value, fault) for node in NODES}


def at_each_node(make, healthy_rate, fault_rate):
    return {make(node): during(healthy_rate, fault_rate) for node in NODES}


@dataclasses.dataclass
class Case:
    """During the fault exactly these alerts fire, with these labels, `within_s` after it began; none before or after."""

    alert: str
    what: str
    changes: dict
    labels: dict
    within_s: int = 30  # a page may take 60 s, of which a scrape and the worker's look at the ledger take up to 25
    others: tuple = ()  # what the fault makes fire, too


HOME = {"shard": "home"}
ROOM = {"sku": "tv"}
SINK = HOME | {"sink": "orders"}

CASES = [
    Case("TrancheLedgerDown", "nodes are told by buyers",
         at_nodes("tranche_ledger_up", 0, shard="home"), HOME),
    Case("TrancheLedgerDown", "nobody buys",
         at_worker("tranche_ledger_up", 0, 1)
         | {series("tranche_ledger_up", BALANCER, shard="home"): during(1, 0)}, HOME),
    Case("TrancheLedgerReadOnly", "", at_worker("tranche_postgres_read_only", 1), HOME),
    Case("TrancheStandbyGone", "the only one is gone", at_worker("tranche_postgres_standbys", 0, 1), HOME),
    Case("TrancheStandbyGone", "one of two that are needed is gone",
         at_worker("tranche_postgres_standbys_needed", 2, 2) | at_worker("tranche_postgres_standbys", 1, 2), HOME),
    Case("TrancheZookeeperDown", "", at_nodes("tranche_zookeeper_up", 0), {}),
    Case("TrancheNoLeader", "a balancer runs and does not lead",
         {series("tranche_balancer_leads", BALANCER, shard="home"): during(1, 0)}, HOME),
    Case("TrancheNoLeader", "the only balancer is gone", gone(BALANCER), HOME,
         others=(("TrancheRoomStalled", 30, {}),
                 ("TrancheProcessGone", 150, {"job": "tranche-balancer", "instance": BALANCER}))),
    Case("TrancheLeaderStuck", "",
         {series("tranche_balancer_seconds_since_round", BALANCER, shard="home"): during(0.1, 31)}, HOME),
    Case("TrancheNoWorker", "the only worker is gone", gone(WORKER), HOME,
         others=(("TrancheProcessGone", 150, {"job": "tranche-worker", "instance": WORKER}),)),
    Case("TrancheNoWorker", "the worker does not serve a shard that the balancer has",
         {series("tranche_ledger_up", BALANCER, shard="hot"): during(GONE, 1),
          series("tranche_balancer_leads", BALANCER, shard="hot"): during(GONE, 1)},
         {"shard": "hot"}),
    Case("TrancheNoNode", "no node serves", at_nodes("tranche_node_serving", 0), {}),
    Case("TrancheNoNode", "all are gone", gone(*NODES), {}, 60,
         others=tuple(("TrancheNodeGone", 60, {"job": "tranched", "instance": node}) for node in NODES)),
    Case("TrancheUnitsStranded", "", at_worker("tranche_units_stranded", 12), HOME),
    Case("TrancheUnitsStranded", "a frozen SKU's node is gone",
         {series("tranche_nodes_gone", BALANCER, shard="home"): during(0, 1)}, HOME),
    Case("TrancheRoomStalled", "its ledger says nothing",
         {of_room("held", reason="ledger_silent"): during(0, 1)}, ROOM),
    Case("TrancheRoomStalled", "the leader does not compute it",
         {of_room("computed_timestamp_seconds"): during(1, 0)}, ROOM, 55),
    Case("TrancheRoomStalled", "no balancer shows a room",
         {name: during(healthy_value, GONE) for name, ((healthy_value, _),) in of_balancer().items()
          if name.startswith("tranche_room_")}, {}),
    # What the room had before counts for 80 s, because the nodes' rate tells for a minute of those who waited in it.
    Case("TrancheRoomStalled", "those who wait are not counted", {of_room("waiting"): during(5000, 0)}, {}, 125),
    Case("TrancheHoldsOverdue", "", at_worker("tranche_holds_overdue_oldest_seconds", 61), HOME),
    Case("TrancheGroupsOverdue", "", at_worker("tranche_groups_overdue", 3), HOME, 70),
    Case("TrancheGroupsOverdue", "they cannot be counted",
         at_worker("tranche_groups_overdue", GONE) | at_worker("tranche_groups_late_seconds", 61), HOME, 70),
    Case("TrancheOutboxStuck", "the receiver is down", at_worker("tranche_sink_healthy", 0, 1, sink="orders"), SINK),
    Case("TrancheOutboxStuck", "no worker has the sink", at_worker("tranche_sink_healthy", GONE, 1, sink="orders"), SINK),
    Case("TrancheOutboxStuck", "a worker had the first sink, and none has it now",
         at_worker("tranche_outbox_messages", 5, sink="default", state="pending")
         | at_worker("tranche_sink_healthy", GONE, 1, sink="default"), HOME | {"sink": "default"}),
    Case("TrancheOutboxOld", "no worker has ever had the first sink",
         at_worker("tranche_outbox_messages", 5, sink="default", state="pending")
         | at_worker("tranche_outbox_oldest_seconds", 601, 1, sink="default"), HOME | {"sink": "default"}, 60),
    Case("TrancheOutboxOld", "", at_worker("tranche_outbox_oldest_seconds", 601, 1, sink="orders"), SINK, 60),
    Case("TrancheOutboxDead", "", at_worker("tranche_outbox_messages", 3, sink="orders", state="dead"), SINK, 60),
    Case("TrancheQueueUnreachable", "the broker has an alarm", at_nodes("tranche_queue_up", 0), {}),
    Case("TrancheNoConsumer", "the only one has ended",
         at_nodes("tranche_queue_consumers", 0, 2, queue=QUEUE) | gone(CONSUMER), {},
         others=(("TrancheProcessGone", 150, {"job": "tranche-consumer", "instance": CONSUMER}),)),
    Case("TrancheQueueOld", "a consumer cannot decide what it holds",
         {of_consumer("oldest_held_seconds"): during(0.2, 61)}, HOME),
    Case("TrancheQueueOld", "more wait than will be decided in time",
         at_nodes("tranche_queue_depth", 100_000, 30, queue=QUEUE), HOME),
    Case("TrancheQueueOld", "nothing is decided any more", {of_decided(): during(300, 0)}, HOME, 90),
    Case("TrancheQueueOld", "all that is taken is given back",
         {of_decided(): during(300, 0), of_decided("requeued"): during(0, 300)}, HOME, 90),
    Case("TrancheNodeWithoutBroker", "", {series("tranche_queue_up", "node2"): during(1, 0)},
         {"instance": "node2"}, 150),
    Case("TrancheConsumerWithoutBroker", "another one has all claims", {of_consumer("up"): during(1, 0)},
         HOME | {"instance": CONSUMER}, 150),
    Case("TrancheQueueUnreachable", "consumers are not connected, either",
         at_nodes("tranche_queue_up", 0) | {of_consumer("up"): during(1, 0)}
         | {of_queue(name, node): during(value, GONE) for node in NODES
            for name, value in (("depth", 30), ("dead", 0), ("consumers", 2))}, {}),
    Case("TrancheQueueDead", "", at_nodes("tranche_queue_dead", 3, 0, queue=QUEUE), {"queue": QUEUE}, 60),
    # 5 % wait longer than 1 s, and none before.
    Case("TrancheQueueingLong", "",
         {queueing(node, limit): during(50, 47.5 if limit in ("0.5", "1") else 50)
          for node in NODES for limit in LIMITS}, HOME | {"kind": "claim"}, 160),
    Case("TrancheRefusalsUnusual", "of claims",
         at_each_node(lambda node: outcome(node, "LEDGER_UNAVAILABLE"), 0, 5), {"kind": "claim"}, 160),
    Case("TrancheRefusalsUnusual", "of claims that would be queued",
         at_each_node(lambda node: outcome(node, "QUEUE_UNAVAILABLE"), 0, 5), {"kind": "claim"}, 160),
    Case("TrancheRefusalsUnusual", "of carts",
         at_each_node(lambda node: outcome(node, "OVERLOADED", "tranche_carts_total"), 0, 1), {"kind": "cart"}, 160),
    Case("TrancheRefusalsUnusual", "of payments",
         at_each_node(lambda node: outcome(node, "LEDGER_UNAVAILABLE", "tranche_changes_total", change="confirm"), 0, 5),
         {"kind": "confirm"}, 160),
    Case("TrancheNodeGone", "", gone("node2"), {"job": "tranched", "instance": "node2"}, 60),
    Case("TrancheProcessGone", "a second worker is gone", {'up{job="tranche-worker",instance="worker2"}': during(1, 0)},
         {"job": "tranche-worker", "instance": "worker2"}, 150),
    Case("TranchePostgresConnections", "", at_worker("tranche_postgres_connections", 90, 60), HOME, 90),
    Case("TranchePostgresDisk", "", at_worker("tranche_postgres_database_bytes", 41e9, 2e9), HOME, 90),
    Case("TrancheClockOffset", "a node is behind",
         {series("tranche_clock_offset_seconds", "node3", shard="home"): during(0.02, -2.5)},
         HOME | {"instance": "node3"}, 60),
    Case("TrancheCertificateExpires", "nobody has renewed a node's",
         {series("tranche_tls_certificate_expires_timestamp_seconds", "node3"): during(90 * DAY_S, 13 * DAY_S)},
         {"job": "tranched", "instance": "node3"}, 90),
    Case("TrancheAccessFileFaulty", "a node's is broken", {series("tranche_access_file_faulty", "node2"): during(0, 1)},
         {"instance": "node2"}, 330),
    Case("TrancheTlsFilesFaulty", "a node has half of a new pair",
         {series("tranche_tls_files_faulty", "node1"): during(0, 1)}, {"job": "tranched", "instance": "node1"}, 330),
    Case("TrancheTlsFilesFaulty", "a worker has",
         {series("tranche_tls_files_faulty", WORKER): during(0, 1)}, {"job": "tranche-worker", "instance": WORKER}, 330),
    Case("TrancheCallsDenied", "a service has lost its role, at each node a little",
         at_each_node(lambda node: denied(node, "ROLE_MISSING"), 0, 0.5), {"reason": "ROLE_MISSING"}, 390),
    Case("TrancheCallsDenied", "of one kind there has been none before",
         {denied("node3", "CALLER_UNKNOWN"): during(GONE, 20)}, {"reason": "CALLER_UNKNOWN"}, 330),
    Case("TrancheDoorUnread", "a node does not read its rules",
         {series("tranche_door_state_age_seconds", "node2"): during(4, 100)}, {"instance": "node2"}, 90),
    Case("TrancheDoorUnreadable", "an older node does not know a new part of a policy",
         {series("tranche_door_unreadable", "node3", kind="policy"): during(0, 1)},
         {"instance": "node3", "kind": "policy"}, 90),
    Case("TrancheDoorHookOpen", "a node does not reach the scorer",
         {series("tranche_door_hook_open", "node2", hook="scorer"): during(0, 1),
          series("tranche_door_hook_total", "node2", hook="scorer", outcome="answered"): during(100, 0),
          not_asked("node2", "scorer"): during(0, 100)}, {"instance": "node2", "hook": "scorer"}, 240),
    Case("TrancheDoorHookOpen", "the scorer is late for most, and never five times in a row",
         {series("tranche_door_hook_total", "node1", hook="scorer", outcome="answered"): during(100, 20),
          series("tranche_door_hook_total", "node1", hook="scorer", outcome="late"): during(0, 80)},
         {"instance": "node1", "hook": "scorer"}, 270),
    Case("TrancheDoorHookOpen", "a node does not reach the captcha's provider, and nobody comes",
         {series("tranche_door_hook_open", "node3", hook="captcha"): during(0, 1)},
         {"instance": "node3", "hook": "captcha"}, 150),
    Case("TrancheDoorHookOpen", "the captcha's provider is late for those who come",
         {series("tranche_door_hook_total", "node3", hook="captcha", outcome="answered"): during(5, 0),
          series("tranche_door_hook_total", "node3", hook="captcha", outcome="late"): during(0, 5)},
         {"instance": "node3", "hook": "captcha"}, 240),
    Case("TrancheDrawStalled", "its SKU is locked", at_worker("tranche_draw_waiting_seconds", 301, 2), HOME, 60),
    Case("TrancheHealthUnread", "", at_worker("tranche_ledger_health_read_age_seconds", 70, 5), HOME, 90),
]
