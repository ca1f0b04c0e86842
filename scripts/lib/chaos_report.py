"""The report of a run: a table for the terminal and for Markdown, or JSON."""

import dataclasses
import json
import math

DRAIN_GOAL_S = 1
KILLS = ("node-kill", "node-stop")


def quantile(values, share):
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _seconds(values):
    known = [value for value in values if value is not None]
    if not values:
        return "-"
    times = f"{quantile(known, 0.5):.1f} / {max(known):.1f}" if known else ""
    never = len(values) - len(known)
    return f"{times} {never} never".strip() if never else times


def by_fault(rounds):
    """Rows of the table: a list of cells for each kind of fault, in the order of their first appearance."""
    kinds = {}
    for one in rounds:
        kinds.setdefault(one["fault"], []).append(one)
    for name, ones in kinds.items():
        yield [
            name,
            str(len(ones)),
            _seconds([one["healed_s"] for one in ones]),
            _seconds([one["holders_s"] for one in ones if one["stuck_units"]]),
            _seconds([one["pool_s"] for one in ones]),
            _seconds([one["callers_s"] for one in ones]),
            _seconds([one["changes_s"] for one in ones]),
            _seconds([one["recovered_s"] for one in ones]),
            f"{sum(sum(one['failed'].values()) for one in ones):,}",
            _seconds([one["empty_s"] for one in ones]),
        ]


HEADER = ["fault", "times", "lasted", "units freed", "pool out", "callers well", "changes well", "recovered", "failed",
          "sold to zero"]


MEANING = [
    "Seconds since the fault began, p50 / max, until:",
    "- units freed: nothing was left with those who could not sell, or they sold again;",
    "- pool out: stock that was added during the fault had left the pool;",
    "- callers well: requests were answered with reservations as before;",
    "- changes well: every node confirmed, cancelled and extended reservations as before;",
    "- recovered: all but the changes; all units are sellable.",
    "Failed: requests meanwhile that got neither a reservation nor \"sold out\". Sold to zero: seconds from the last",
    "supply until the demand had found every unit.",
    "",
]


def table(rounds):
    """As Markdown, which a terminal shows well enough."""
    rows = [HEADER, *by_fault(rounds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]

    def line(row):
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "-" * (widths[0] + 2) + "|" + "".join("-" * (width + 1) + ":|" for width in widths[1:])
    return [line(rows[0]), rule, *map(line, rows[1:])]


def lines(result):
    yield f"seed {result['seed']}, {result['duration_s']:.0f} s, {result['nodes']} front nodes, "\
          f"{result['balancers']} balancers, session {result['session_s']:.1f} s, {result['rate']}/s offered"
    yield ""
    yield from table(result["rounds"])
    yield ""
    yield from MEANING
    goal = result["session_s"] + 1
    freed = [one["holders_s"] for one in result["rounds"]
             if one["fault"] in KILLS and one["stuck_units"] and one["holders_s"] is not None]
    if freed:
        met = sum(value <= goal for value in freed)
        yield "Units of a dead or stopped node sellable elsewhere within session timeout + 1 s: " \
              f"{met} of {len(freed)} times."
    drained = [one for one in result["rounds"] if one["fault"] == "node-drain" and one["holders_s"] is not None]
    if drained:
        met = sum(one["holders_s"] < DRAIN_GOAL_S and not one["failed"] for one in drained)
        yield f"Drained within {DRAIN_GOAL_S} s and without a failed request: {met} of {len(drained)} times."
    yield ""
    for outcome, count in sorted(result["outcomes"].items(), key=lambda item: -item[1]):
        yield f"- {outcome}: {count:,} requests"
    yield f"- {result['changes']:,} changes of reservations were answered, {result['changes_failed']:,} times with a " \
          "refusal or in doubt"
    yield f"- {result['in_doubt']:,} of them were in doubt at first"
    yield f"- stock {sum(result['stock'].values()):,}, unsold {sum(result['unsold'].values()):,}"
    yield f"- \"sold out\" said while units were there: {result['stale_sold_out']:,} times outside faults, "\
          f"at most {result['stale_sold_out_max_s']:.2f} s late"
    yield ""
    yield f"{len(result['violations'])} violations"
    for violation in result["violations"]:
        yield f"- {violation}"


def round_line(since_start_s, one):
    """What the person who looks on is told about a round."""
    def known(value):
        return "never" if value is None else f"{value:.1f} s"

    failed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(one.failed.items())) or "none"
    notes = f" ({'; '.join(one.notes)})" if one.notes else ""
    return (f"{since_start_s:6.1f} s  {one.fault} {one.target}: {one.stuck_units} units stuck, "
            f"freed {known(one.holders_s)}, pool out {known(one.pool_s)}, callers well {known(one.callers_s)}, "
            f"changes well {known(one.changes_s)}, "
            f"failed: {failed}, sold to zero {known(one.empty_s)}{notes}")


def write(result, path):
    """Markdown, or JSON when the name ends so."""
    if path.suffix == ".json":
        path.write_text(json.dumps(result, indent=2) + "\n")
    else:
        path.write_text("# Chaos\n\n" + "\n".join(lines(result)) + "\n")


def as_dict(one):
    return dataclasses.asdict(one)
