"""The page of a scenario, or of two beside each other. Pure."""

import html as markup
import math

from compare_page import STYLE, cell, table_of
from compare_plot import curves

FORMAT = 1
# From where on a time is marked as different: buckets are 0.8 % wide, and two runs of the same are not the same.
RATIO_THAT_DIFFERS = 1.2
LEAST_MS_THAT_DIFFERS = 1.0
LEAST_VALUES = 100
# A share differs if it does so by this much, and chance would have it so once in 700 times at most.
SHARE_THAT_DIFFERS = 0.01
LEAST_Z = 3.2
MORE_STYLE = "td.good { background: #ddf2dd; color: #1d5c1f; font-weight: 600 }\nfigure { margin: 1em 0 }\n"
QUANTILES = ("p50", "p90", "p99", "p99_9", "max")
MEMBERS = ("scenario", "began", "complete", "generators", "phases", "totals", "lag_ms", "seconds", "steps")


def check_format(result):
    """ValueError unless this is a result of tranche-load, in the form of this version."""
    if not isinstance(result, dict) or "format" not in result or any(name not in result for name in MEMBERS):
        raise ValueError("this is not the result of a scenario")
    if result["format"] != FORMAT:
        raise ValueError(f"its format is {result['format']}; this version reads {FORMAT}")


def labels(results):
    return [""] if len(results) == 1 else ["A", "B"]


def steps_of(results):
    """(kind, step) of all results, each once, in their order."""
    return list(dict.fromkeys((step["kind"], step["step"]) for result in results for step in result["steps"]))


def found(result, kind, name):
    """The step of the result; None: nobody took it."""
    return next((step for step in result["steps"] if (step["kind"], step["step"]) == (kind, name)), None)


def latency(step, part):
    """None if there is none."""
    values = step["latency_ms"][part] if step else None
    return values if values and values["count"] else None


def differs(before, after, quantile):
    """1: the second time is longer; -1: it is shorter; 0: it is about the same, or there are too few of either."""
    if min(before["count"], after["count"]) < LEAST_VALUES:
        return 0
    first, second = before[quantile], after[quantile]
    if abs(second - first) < LEAST_MS_THAT_DIFFERS or max(first, second) < RATIO_THAT_DIFFERS * min(first, second):
        return 0
    return 1 if second > first else -1


def share_differs(few, all_few, many, all_many):
    """Whether `few` of `all_few` is another share than `many` of `all_many`, by more than chance (a z-test)."""
    if not all_few or not all_many:
        return False
    first, second = few / all_few, many / all_many
    both = (few + many) / (all_few + all_many)
    error = math.sqrt(both * (1 - both) * (1 / all_few + 1 / all_many))
    return abs(second - first) >= SHARE_THAT_DIFFERS and error > 0 and abs(second - first) / error >= LEAST_Z


def ratio(first, second):
    return "-" if not first else f"x {second / first:.2f}"


def _ms(value):
    return f"{value:,.1f}"


def _conditions(result, label):
    generators = [one for one in result["generators"] if one["name"]]
    text = (f"{label + '. ' if label else ''}{result['scenario']}, seed {result.get('seed', '-')}, "
            f"{result['began']}, tranche-load {result.get('version', '-')}")
    if generators:
        text += f", {len(generators)} generators"
        error = max(one.get("clock_error_ms", 0) for one in generators)
        text += f", whose clocks are known to {error:.1f} ms"
    parts = [f'<p class="note">{markup.escape(text)}.</p>']
    lost = [f"{one['name'] or 'this process'}: {one['failure']}" for one in generators if one["failure"]]
    if not result["complete"]:
        why = "; ".join(lost) or "it was stopped before its end"
        parts.append(f'<p><b>{markup.escape(label)} Incomplete: {markup.escape(why)}.</b></p>')
    return "".join(parts)


def _totals(results):
    names = (("arrivals", "visitors"), ("not_begun", "of them not begun"), ("ended", "visits over"),
             ("sold", "claims sold"), ("refused", "claims refused"))
    rows = []
    for name, text in names:
        values = [result["totals"][name] for result in results]
        bad = name == "not_begun"
        row = [cell(text), *(cell(f"{value:,}", "bad" if bad and value else "") for value in values)]
        rows.append(row + ([cell(ratio(*values))] if len(results) == 2 else []))
    for quantile in ("p50", "p99", "max"):
        values = [result["lag_ms"][quantile] for result in results]
        row = [cell(f"begun late, ms, {quantile}"), *(cell(_ms(value)) for value in values)]
        rows.append(row + ([cell("")] if len(results) == 2 else []))
    header = ("", *(label or "all" for label in labels(results)), *(["B to A"] if len(results) == 2 else []))
    return "<h2>Totals</h2>" + table_of(
        "Visitors who do not begin found too many under way; how late the others began is the generators' own delay. "
        "If either is large, the generators were too slow for the plan.", header, rows)


def _series(results, names):
    return [(text, result["seconds"][name], number == 1)
            for number, result in enumerate(results) for name, text in names]


def _over_time(results):
    marks = [(phase["began_s"], phase["name"]) for phase in results[0]["phases"] if phase["name"]]
    note = " A: lines; B: dashes." if len(results) == 2 else ""
    return "<h2>Over time</h2>" + "".join([
        curves(_series(results, (("arrivals", "came"), ("ended", "left"), ("not_begun", "not begun"))),
               f"visitors in each second.{note}", marks),
        curves(_series(results, (("sold", "sold"), ("refused", "refused"))), f"claims in each second.{note}", marks),
        curves(_series(results, (("under_way", "under way"),)), f"visitors under way at each second's end.{note}",
               marks)])


def _latency_row(results, kind, name, part):
    values = [latency(found(result, kind, name), part) for result in results]
    if not any(values):
        return None
    row = [cell(f"{kind}: {name}"), cell(part, "text")]
    for value in values:
        row.append(cell(f"{value['count']:,}" if value else "-"))
    for quantile in QUANTILES:
        for value in values:
            row.append(cell(_ms(value[quantile]) if value else "-"))
        if len(results) == 2:
            change = differs(*values, quantile) if all(values) else 0
            text = ratio(values[0][quantile], values[1][quantile]) if all(values) else "-"
            row.append(cell(text, {1: "bad", -1: "good", 0: ""}[change]))
    return row


def _latencies(results):
    rows = [_latency_row(results, kind, name, part) for kind, name in steps_of(results)
            for part in ("accepted", "refused")]
    marks = [f" {label}" if label else "" for label in labels(results)]
    header = ["step", "answer", *(f"count{mark}" for mark in marks)]
    for quantile in QUANTILES:
        header += [f"{quantile.replace('_', '.')}{mark}" for mark in marks] + (["B/A"] if len(results) == 2 else [])
    note = (f" Marked is what differs by {RATIO_THAT_DIFFERS - 1:.0%} and {LEAST_MS_THAT_DIFFERS:g} ms or more, of at "
            f"least {LEAST_VALUES} each. A single run says little: repeat both." if len(results) == 2 else "")
    return "<h2>Times</h2>" + table_of(
        "Milliseconds, from when each step was meant to begin: the first from the visitor's planned arrival." + note,
        header, [row for row in rows if row])


def _outcome_rows(results, kind, name):
    steps = [found(result, kind, name) for result in results]
    alls = [sum(step["outcomes"].values()) if step else 0 for step in steps]
    outcomes = dict.fromkeys(outcome for step in steps if step for outcome in sorted(step["outcomes"]))
    for outcome in outcomes:
        counts = [step["outcomes"].get(outcome, 0) if step else 0 for step in steps]
        row = [cell(f"{kind}: {name}"), cell(outcome, "text")]
        for number, (count, everything) in enumerate(zip(counts, alls)):
            marked = number == 1 and share_differs(counts[0], alls[0], counts[1], alls[1])
            share = f"{count:,} ({count / everything:.1%})" if everything else "-"
            row.append(cell(share, "weak" if marked else ""))
        yield row


def _outcomes(results):
    rows = [row for kind, name in steps_of(results) for row in _outcome_rows(results, kind, name)]
    note = " Marked is a share that differs by a percentage point or more, and by more than chance." if len(
        results) == 2 else ""
    return "<h2>Outcomes</h2>" + table_of("How each step ended." + note,
                                        ("step", "outcome", *(label or "count" for label in labels(results))), rows)


def html(results):
    """The page of one result, or of two beside each other. Needs nothing from outside."""
    title = results[0]["scenario"]
    return "".join([
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{markup.escape(title)}</title>'
        f"<style>{STYLE}{MORE_STYLE}</style>",
        f"<h1>{markup.escape(title)}</h1>",
        *(_conditions(result, label) for result, label in zip(results, labels(results))),
        _totals(results), _over_time(results), _latencies(results), _outcomes(results), "</html>\n"])
