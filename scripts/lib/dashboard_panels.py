"""What the dashboards show: the one list. A unit is one of Grafana's: s, bytes, reqps, short, ..."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    series: tuple  # of (expression, legend)
    from_zero: bool = True


def one(title, unit, expression, legend, from_zero=True):
    return Panel(title, unit, ((expression, legend),), from_zero)


def rate(title, metric, labels, unit="reqps"):
    """Per second, by these labels; what does not happen is not drawn."""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return one(title, unit, f"sum by ({', '.join(labels)}) (rate({metric}[$__rate_interval])) > 0", legend)


def latency(title, metric, labels):
    by = ", ".join((*labels, "le"))
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Panel(title, "s", tuple(
        (f"histogram_quantile({quantile}, sum by ({by}) (rate({metric}_bucket[$__rate_interval])))",
         f"{legend} p{quantile * 100:g}") for quantile in (0.5, 0.99)))


def gauge(title, metric, labels, unit="short", of="sum"):
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return one(title, unit, f"{of} by ({', '.join(labels)}) ({metric})", legend)


FRONT_NODES = (
    rate("Claims by outcome", "tranche_claims_total", ("outcome",)),
    rate("Carts by outcome", "tranche_carts_total", ("outcome",)),
    rate("Payments, cancellations, extensions", "tranche_changes_total", ("change", "outcome")),
    latency("Time of calls", "grpc_server_handling_seconds", ("grpc_method",)),
    latency("Queueing before the ledger", "tranche_commit_queueing_seconds", ("shard", "kind")),
    latency("Time of a transaction", "tranche_commit_seconds", ("shard", "kind")),
    latency("Requests in one transaction", "tranche_commit_batch_size", ("shard", "kind")),
    rate("Transactions by outcome", "tranche_commit_batches_total", ("shard", "kind", "outcome")),
    Panel("Requests that wait", "short", (
        ("sum by (shard, kind) (tranche_commit_waiting)", "{{shard}} {{kind}}"),
        ("sum by (shard, pipeline) (tranche_commit_locked)", "{{shard}} {{pipeline}}, locked"),
        ("sum(tranche_waiting_claims)", "for units"))),
    gauge("Queues that stand", "tranche_commit_standing", ("shard", "kind")),
    gauge("Units sold per second, by SKU", "tranche_sku_grants_per_second", ("sku",)),
    gauge("Units asked for in vain per second, by SKU", "tranche_sku_refusals_per_second", ("sku",)),
    gauge("Units that the nodes may still sell, by SKU", "tranche_slice_free", ("sku",)),
    rate("Looks into pools", "tranche_pool_takes_total", ("outcome",)),
    Panel("Nodes", "short", (
        ("sum(tranche_node_serving)", "serve"), ("sum(tranche_node_draining)", "drain"),
        ('sum(up{job="tranched"})', "answer"))),
    gauge("Calls that are overdue", "tranche_overdue_calls", ("kind",)),
    latency("Applying announcements", "tranche_announcement_applying_seconds", ("instance",)),
    gauge("Open streams", "tranche_open_streams", ("instance",)),
    gauge("Calls that wait for a thread", "tranche_executor_queue", ("executor", "shard")),
    gauge("Connections to PostgreSQL", "tranche_connections", ("shard", "pool", "state")),
    one("Clock ahead of the database's", "s", "tranche_clock_offset_seconds", "{{instance}} {{shard}}", from_zero=False),
    one("Certificates expire in", "s", "min by (instance) (tranche_tls_certificate_expires_timestamp_seconds) - time()",
        "{{instance}}"),
    Panel("Files that cannot be used as they are now", "short", (
        ("max by (instance) (tranche_access_file_faulty)", "{{instance}} access file"),
        ("max by (job, instance) (tranche_tls_files_faulty)", "{{job}} {{instance}} TLS"))),
    rate("Calls that are denied", "tranche_denied_calls_total", ("reason", "grpc_service", "grpc_method")),
    gauge("Service mode: nodes by mode", "tranche_service_mode", ("mode",)),
    rate("Front door: tries refused or made to wait", "tranche_door_checks_total", ("check", "verdict")),
    Panel("Front door: tries let in, tokens, challenges", "reqps", (
        ("sum(rate(tranche_door_admitted_total[$__rate_interval]))", "let in"),
        ("sum(rate(tranche_door_tokens_issued_total[$__rate_interval]))", "tokens"),
        ("sum by (outcome) (rate(tranche_door_challenges_total[$__rate_interval]))", "challenges {{outcome}}"))),
    rate("Front door: buyers by tier of risk", "tranche_door_tier_total", ("tier",)),
    rate("Front door: captchas", "tranche_door_captchas_total", ("outcome",)),
    rate("Front door: delays for browsers without scripts", "tranche_door_delays_total", ("outcome",)),
    rate("Front door: questions to the scorer and the captcha's provider", "tranche_door_hook_total", ("hook", "outcome")),
    gauge("Front door: nodes that have no answers from outside", "tranche_door_hook_open", ("hook",)),
    gauge("Front door: tries that wait for their turn", "tranche_door_waiting", ("instance",)),
    gauge("Front door: use of the table of limits", "tranche_door_table_load", ("instance",), "percentunit", of="max"),
    gauge("Front door: age of its rules", "tranche_door_state_age_seconds", ("instance",), "s", of="max"),
    one("CPU", "short", 'rate(process_cpu_seconds_total{job="tranched"}[$__rate_interval])', "{{instance}}"),
    one("Memory", "bytes", 'process_resident_memory_bytes{job="tranched"}', "{{instance}}"),
)

LEDGER_AND_BALANCER = (
    gauge("Ledger answers", "tranche_ledger_up", ("job", "shard"), of="min"),
    gauge("ZooKeeper answers", "tranche_zookeeper_up", ("job",), of="min"),
    gauge("Balancers that lead", "tranche_balancer_leads", ("shard",)),
    rate("Rounds by outcome", "tranche_balancer_rounds_total", ("shard", "outcome")),
    latency("Time of a round", "tranche_balancer_round_seconds", ("shard",)),
    gauge("Time since a round", "tranche_balancer_seconds_since_round", ("instance", "shard"), "s", of="max"),
    rate("Units moved by reason", "tranche_units_moved_total", ("shard", "reason"), "short"),
    rate("Moves by reason", "tranche_moves_total", ("shard", "reason")),
    latency("From a move to its announcement", "tranche_announcement_seconds", ("shard",)),
    Panel("Front nodes as the leader sees them", "short", (
        ("max by (shard) (tranche_nodes_registered)", "{{shard}} registered"),
        ("max by (shard) (tranche_nodes_receiving)", "{{shard}} may be given units"),
        ("max by (shard) (tranche_nodes_gone)", "{{shard}} gone, not ended"))),
    rate("Incarnations reclaimed", "tranche_incarnations_reclaimed_total", ("shard", "evidence"), "short"),
    gauge("Units stranded", "tranche_units_stranded", ("shard",), of="max"),
    Panel("PostgreSQL's connections", "short", (
        ("max by (shard) (tranche_postgres_connections)", "{{shard}} in use"),
        ("max by (shard) (tranche_postgres_connections_limit)", "{{shard}} limit"))),
    gauge("Size of the database", "tranche_postgres_database_bytes", ("shard",), "bytes", of="max"),
    Panel("Standbys", "short", (
        ("max by (shard) (tranche_postgres_standbys)", "{{shard}} connected"),
        ("max by (shard) (tranche_postgres_standbys_needed)", "{{shard}} needed"),
        ("max by (shard) (tranche_postgres_read_only)", "{{shard}} read-only"))),
    gauge("SKUs paused in their window", "tranche_skus_paused", ("shard",), of="max"),
    Panel("Waiting rooms: buyers and units", "short", (
        ("max by (sku) (tranche_room_waiting)", "{{sku}} wait"),
        ("max by (sku) (tranche_room_under_way)", "{{sku}} under way"),
        ("max by (sku) (tranche_room_unsold)", "{{sku}} unsold"))),
    gauge("Waiting rooms: let in per second", "tranche_room_let_in_per_second", ("sku",), of="max"),
    Panel("Waiting rooms: why nobody is let in", "short", (
        ("max by (sku, reason) (tranche_room_held) > 0", "{{sku}} {{reason}}"),)),
    one("Waiting rooms: time since they were computed", "s",
        "time() - max by (sku) (tranche_room_computed_timestamp_seconds)", "{{sku}}"),
    gauge("Balancers frozen by an operator", "tranche_cluster_frozen", ("shard",), of="max"),
)

WORKER_AND_OUTBOX = (
    rate("Holds expired", "tranche_holds_expired_total", ("shard",), "short"),
    gauge("Overdue holds", "tranche_holds_overdue", ("shard",), of="max"),
    gauge("Oldest overdue hold", "tranche_holds_overdue_oldest_seconds", ("shard",), "s", of="max"),
    rate("Looks for due holds by outcome", "tranche_expiry_rounds_total", ("shard", "outcome")),
    gauge("Groups that form", "tranche_groups_forming", ("shard",), of="max"),
    rate("Groups ended at their deadline", "tranche_groups_ended_total", ("shard", "outcome"), "short"),
    Panel("Groups ended otherwise", "short", (
        ("sum(rate(tranche_groups_filled_total[$__rate_interval]))", "filled by payments"),
        ("sum(rate(tranche_groups_cancelled_total[$__rate_interval]))", "cancelled by operators"))),
    gauge("Overdue groups", "tranche_groups_overdue", ("shard",), of="max"),
    Panel("Groups past their deadline", "s", (("min by (shard) (tranche_groups_late_seconds)", "{{shard}}"),)),
    gauge("Draws by state", "tranche_draws", ("shard", "state"), of="max"),
    rate("Places of draws given", "tranche_draw_awards_total", ("shard", "outcome"), "short"),
    Panel("Draws that wait", "s", (("min by (shard) (tranche_draw_waiting_seconds)", "{{shard}}"),)),
    gauge("Free places of draws", "tranche_draw_open_places", ("shard",), of="max"),
    gauge("Messages that wait", 'tranche_outbox_messages{state="pending"}', ("shard", "sink"), of="max"),
    gauge("Oldest message", "tranche_outbox_oldest_seconds", ("shard", "sink"), "s", of="max"),
    gauge("Messages given up", 'tranche_outbox_messages{state="dead"}', ("shard", "sink"), of="max"),
    rate("Deliveries by outcome", "tranche_deliveries_total", ("sink", "outcome")),
    latency("From a change to its delivery", "tranche_delivery_delay_seconds", ("sink",)),
    latency("Time that a sink takes for a batch", "tranche_delivery_seconds", ("sink",)),
    gauge("Sink takes messages", "tranche_sink_healthy", ("shard", "sink"), of="max"),
    gauge("Time since a heartbeat", "tranche_heartbeat_age_seconds", ("kind", "shard"), "s", of="min"),
    gauge("Refunds that wait", "tranche_refunds_waiting", ("shard",), of="max"),
    rate("Reservations retired", "tranche_reservations_retired_total", ("shard", "kept"), "short"),
    gauge("Age of what the worker has read", "tranche_ledger_health_read_age_seconds", ("shard",), "s", of="min"),
)

CLAIM_QUEUES = (
    rate("Claims by what the queue said", "tranche_queue_claims_total", ("outcome",)),
    gauge("Node may put claims into the queue", "tranche_queue_up", ("instance",), of="min"),
    latency("From a claim to the broker's confirm", "tranche_queue_publish_seconds", ("instance",)),
    gauge("Claims that wait", "tranche_queue_depth", ("queue",), of="max"),
    gauge("Consumers that take", "tranche_queue_consumers", ("queue",), of="max"),
    gauge("Claims that could not be decided", "tranche_queue_dead", ("queue",), of="max"),
    rate("Claims decided, and others that were taken", "tranche_consumer_claims_total", ("shard", "outcome")),
    rate("Tries that came to nothing", "tranche_consumer_retries_total", ("shard",)),
    Panel("Time until all that waits is decided, at this pace", "s", ((
        "sum(max by (queue) (tranche_queue_depth)) / "
        'sum(rate(tranche_consumer_claims_total{outcome!~"lost|requeued|dead"}[$__rate_interval]))',
        "all queues"),)),
    gauge("Claims that consumers hold", "tranche_consumer_held", ("instance", "shard")),
    gauge("Oldest claim that a consumer holds", "tranche_consumer_oldest_held_seconds", ("shard",), "s", of="max"),
    gauge("Consumer is connected to its queues", "tranche_consumer_up", ("instance", "shard"), of="min"),
)

# (name of the file and id, title, panels)
DASHBOARDS = (
    ("tranche-front-nodes", "Tranche: front nodes", FRONT_NODES),
    ("tranche-ledger-balancer", "Tranche: ledger and balancer", LEDGER_AND_BALANCER),
    ("tranche-worker-outbox", "Tranche: worker and outbox", WORKER_AND_OUTBOX),
    ("tranche-claim-queues", "Tranche: claim queues", CLAIM_QUEUES),
)
