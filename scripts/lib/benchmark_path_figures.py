"""The arithmetic of the figure `path`: from looks at a ledger, its log and its processes. Pure."""

import collections
import math
import re
import statistics
import typing

# Of medians.
GOALS = {"share": (">=", 0.90), "half_p99_ms": ("<", 15), "catalogue": (">=", 0.90), "ledger": (">=", 0.90)}
# What a setting of synchronous_commit risks, compared with `on`.
COMMIT_MODES = {
    "on": "nothing that was said is lost: the log is on the disk, and on that of a synchronous standby if there is one",
    "remote_apply": "as on; a claim also waits until a synchronous standby shows it. Without one the same as on",
    "local": "what a failover to the standby has not got is lost, although it was said. Without one the same as on",
    "off": "what was said in the last 0.6 s (three times wal_writer_delay) is lost if PostgreSQL or its machine "
           "crashes",
}
# "2026-11-27 09:00:00.123 UTC [4711] tranche_node@tranche LOG:  execute commit_reservations: SELECT ..."
LOGGED = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] \S+@\S+ LOG:  (?:execute ([^:]+):|statement: (\w+))")


class Sample(typing.NamedTuple):
    """A row of benchmark_path_sample.sql."""

    at: float
    wal_bytes: int
    wal_records: int
    wal_full_pages: int
    wal_flushes: int
    commit_calls: int  # of commit_reservations
    row_bytes: int
    index_bytes: int
    sold: int


def to_sample(columns):
    return Sample(float(columns[0]), *(int(value) for value in columns[1:]))


def between(first, last):
    """What a claim cost the ledger between two looks, and what it sold."""
    claims, seconds = last.sold - first.sold, last.at - first.at
    if claims <= 0:
        raise RuntimeError(f"nothing was sold in {seconds:.1f} s")
    return {
        "claims": claims, "per_second": claims / seconds,
        "wal_bytes": (last.wal_bytes - first.wal_bytes) / claims,
        "row_bytes": (last.row_bytes - first.row_bytes) / claims,
        "index_bytes": (last.index_bytes - first.index_bytes) / claims,
        "wal_records": (last.wal_records - first.wal_records) / claims,
        "full_pages_per_1000": 1e3 * (last.wal_full_pages - first.wal_full_pages) / claims,
        "flushes_per_second": (last.wal_flushes - first.wal_flushes) / seconds,
        "claims_per_flush": claims / max(1, last.wal_flushes - first.wal_flushes),
        "claims_per_commit": claims / max(1, last.commit_calls - first.commit_calls),
    }


def kind_of(title):
    """What a process of PostgreSQL is for that serves no connection of the node, by its title."""
    return "PostgreSQL, WAL writer" if title == "postgres: walwriter" else "PostgreSQL, others"


def statements(log, backends):
    """How many of each statement these processes were sent, by the name of a prepared one or by its first word. `log`:
    text; `backends`: pids."""
    found = collections.Counter()
    for line in log.splitlines():
        logged = LOGGED.match(line)
        if logged and int(logged[1]) in backends:
            found[logged[2] or logged[3]] += 1
    return found


def half_load(one):
    """Of bench_overload's figures. Times are those of claims that were sold: without 99 of 100 there is no p99."""
    sold = one["in_time"] / one["due"]
    return {"per_second": one["due"] / one["seconds"], "sold": sold, "p50_ms": one["p50_ms"],
            "p99_ms": one["p99_ms"] if sold >= 0.99 else math.inf,
            "others": {name or "no answer": count for name, count in one["others"].items() if count}}


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def ratio(rates, base):
    """Medians; with the least and the most that single rounds can say."""
    return {"median": statistics.median(rates) / statistics.median(base), "least": min(rates) / max(base),
            "most": max(rates) / min(base)}


def reached(name, value):
    sign, goal = GOALS[name]
    return value >= goal if sign == ">=" else value < goal


# Name of a goal: its part of the figures, how it is told, and in which unit.
ROWS = {
    "share": ("durable hot SKU, of the bare procedure's", "%"),
    "half_p99_ms": ("p99 of a claim at half load", "ms"),
    "catalogue": ("claims with 100,000 SKUs, of those with 1,000", "%"),
    "ledger": ("bare procedure over 100,000 SKUs, of that over 1,000", "%"),
}


def table(found):
    """Lines: figure, goal, median, least and most of the rounds, and whether the median reaches the goal. `found`: of
    each goal that was measured, what spread() or ratio() gives."""
    rows = [("figure", "goal", "median", "least", "most", "")]
    for name, (text, unit) in ROWS.items():
        if name not in found:
            continue
        sign, goal = GOALS[name]
        show = (lambda value: f"{100 * value:.1f} %") if unit == "%" else (lambda value: f"{value:.1f} {unit}")
        one = found[name]
        rows.append((text, f"{sign} {show(goal)}", *(show(one[part]) for part in ("median", "least", "most")),
                     "" if reached(name, one["median"]) else "missed"))
    return [f"{text:54} {goal:>10} {median:>9} {least:>9} {most:>9} {verdict}".rstrip()
            for text, goal, median, least, most, verdict in rows]
