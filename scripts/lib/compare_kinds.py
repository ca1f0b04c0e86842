"""What is compared: each seller by name, what its design promises, and what it needs. Pure."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    design: str  # one sentence for whoever chooses
    durable: bool  # whether a buyer is told only what outlives a crash of each part
    why: str  # durable or not
    stores: tuple = ()  # of compare_servers; Tranche brings its own
    unit_rows: bool = False  # the stock is a row for each unit, so that it cannot be as large as one likes
    flags: tuple = ()  # of tranche-load, beyond those of all


COMMITTED = "answered after PostgreSQL's commit, which waits for its log (synchronous_commit on)"
COMMITTED_MARIADB = "answered after MariaDB's commit, which waits for its log (innodb_flush_log_at_trx_commit 1)"

_ALL = (
    Kind("tranche", "counters in front nodes, units fenced in PostgreSQL, one transaction for many claims", True,
         COMMITTED),
    Kind("tranche-streams", "the same, with claims on two streams of the SDK instead of a call for each", True,
         COMMITTED, flags=("--streams", 2)),
    Kind("pg-naive", "read the stock, check it, write it back: what many shops do", True, COMMITTED, ("postgres",)),
    Kind("pg-pessimistic", "SELECT ... FOR UPDATE of the stock's row, then write it", True, COMMITTED, ("postgres",)),
    Kind("pg-optimistic", "a version column, and tries again after a conflict, with jitter and a bound", True,
         COMMITTED, ("postgres",)),
    Kind("pg-atomic", "one UPDATE that subtracts where enough is left", True, COMMITTED, ("postgres",)),
    Kind("pg-row-per-unit", "a row for each unit, taken with SKIP LOCKED", True, COMMITTED, ("postgres",),
         unit_rows=True),
    Kind("pg-slots", "the stock split over 16 rows, one procedure call for a claim", True, COMMITTED, ("postgres",)),
    Kind("mariadb-naive", "as pg-naive", True, COMMITTED_MARIADB, ("mariadb",)),
    Kind("mariadb-pessimistic", "as pg-pessimistic", True, COMMITTED_MARIADB, ("mariadb",)),
    Kind("mariadb-optimistic", "as pg-optimistic", True, COMMITTED_MARIADB, ("mariadb",)),
    Kind("mariadb-atomic", "as pg-atomic", True, COMMITTED_MARIADB, ("mariadb",)),
    Kind("redis-everysec", "a Lua script in Redis decides; a stream brings orders to PostgreSQL later", False,
         "answered before it is on disk (appendfsync everysec): a machine that fails takes the last second's orders",
         ("redis", "postgres")),
    Kind("redis-always", "the same, with a flush before each answer", True,
         "answered after Redis' log is on disk (appendfsync always); PostgreSQL has the order later",
         ("redis", "postgres")),
    Kind("rabbitmq", "claims wait in a quorum queue; a consumer sells them as pg-atomic does, and answers", True,
         COMMITTED, ("rabbitmq", "postgres")),
    Kind("medusa", "the inventory module of Medusa 2 (@medusajs/inventory), with the locks of its own workflow", True,
         COMMITTED, ("postgres",)),
    Kind("vendure", "stock allocation of Vendure (@vendure/core)", True, COMMITTED, ("postgres",)),
)
KINDS = {kind.name: kind for kind in _ALL}
# Those that need no more than what Tranche itself needs and Redis.
QUICK = (*(name for name in KINDS if name == "tranche" or name.startswith("pg-")), "redis-everysec", "redis-always")
NODE = ("medusa", "vendure")


def chosen(text, everything):
    """The kinds of a list with commas; without one those of the mode. ValueError names one that there is not."""
    names = [name for name in text.split(",") if name] if text else list(KINDS if everything else QUICK)
    for name in names:
        if name not in KINDS:
            raise ValueError(f"no peer {name}; there are {', '.join(KINDS)}")
    return [kind for name, kind in KINDS.items() if name in names]
