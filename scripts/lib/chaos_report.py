"""The report of a run: a table for the terminal and for Markdown, or JSON."""

import dataclasses
import json
import math

from chaos_goals import WORDS


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


GOALS_HEADER = ["fault", "goal", "within", "counted from", "seen", "met"]


def by_goal(rounds):
    """Rows of the table of goals: for each kind of fault and each of its goals, in the order of their appearance."""
    kinds = {}
    for one in rounds:
        for goal in one["goals"]:
            kinds.setdefault((one["fault"], goal["measure"]), []).append(goal)
    for (name, measure), goals in kinds.items():
        promised_s, margin_s = goals[0]["promised_s"], goals[0]["margin_s"]
        yield [
            name,
            WORDS[measure],
            f"{promised_s:.1f} s" + (f" + {margin_s:.0f} s" if margin_s else ""),
            goals[0]["since"],
            _seconds([goal["seen_s"] for goal in goals]),
            f"{sum(goal['met'] for goal in goals)} of {len(goals)}",
        ]


def table(header, body, words=1):
    """As Markdown, which a terminal shows well enough. The first `words` columns are words, the others figures."""
    rows = [header, *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]

    def line(row):
        cells = [cell.ljust(width) if column < words else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "".join("-" * (width + 2) + "|" if column < words else "-" * (width + 1) + ":|"
                         for column, width in enumerate(widths))
    return [line(rows[0]), rule, *map(line, rows[1:])]


def lines(result):
    yield f"seed {result['seed']}, {result['duration_s']:.0f} s, {result['nodes']} front nodes, "\
          f"{result['balancers']} balancers, session {result['session_s']:.1f} s, {result['rate']}/s offered"
    yield ""
    yield from table(HEADER, by_fault(result["rounds"]))
    yield ""
    yield from MEANING
    yield from table(GOALS_HEADER, by_goal(result["rounds"]), words=4)
    yield ""
    for outcome, count in sorted(result["outcomes"].items(), key=lambda item: -item[1]):
        yield f"- {outcome}: {count:,} requests"
    yield f"- {result['changes']:,} changes of reservations were answered, {result['changes_failed']:,} times with a " \
          "refusal or in doubt"
    yield f"- {result['in_doubt']:,} of them were in doubt at first"
    yield f"- stock {sum(result['stock'].values()):,}, unsold {sum(result['unsold'].values()):,}"
    yield f"- \"sold out\" said while units were there: {result['stale_sold_out']:,} times outside faults, "\
          f"at most {result['stale_sold_out_max_s']:.2f} s late"
    for what in ("violations", "missed goals"):
        found = result[what.replace(" ", "_")]
        yield ""
        yield f"{len(found)} {what}"
        yield from (f"- {one}" for one in found)
    if result["patience"] > 1:
        yield ""
        yield f"{len(result['failed_goals'])} of them took over {result['patience']} times as long as they may"


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
