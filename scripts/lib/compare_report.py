"""The report of a comparison: one HTML page with everything in it, and a table for terminals and Markdown. Pure."""

import html as markup

import compare_figures
from compare_page import STYLE, cell, number, ranged, table_of
from compare_plot import bars

FORMAT = 1
# What each fault means, as the page says it.
MEANING = {
    "oversold": "units that were sold although they did not exist",
    "lost": "orders that a buyer was told of, and that the store does not have",
    "phantom": "orders that the store has, and that nobody was told of, not even that they may exist",
    "doubled": "units that buyers got beyond their limit of one",
    "unsold": "units that were left at the end although buyers wanted them",
    "miscounted": "how far the stock that the store shows is from what its orders leave",
}


def check_format(run):
    """ValueError if these are not the figures of a comparison, in the form of this version."""
    if not isinstance(run, dict) or "peers" not in run:
        raise ValueError("these are not the figures of a comparison")
    if run.get("format") != FORMAT:
        raise ValueError(f"its format is {run.get('format')}; this version reads {FORMAT}")


def triple(latency):
    return " / ".join(number(latency[name], 1) for name in ("p50", "p99", "p99_9"))


def again(kills, name):
    """The slowest of all parts."""
    if not kills:
        return "-"
    times = [kill[name] for kill in kills.values()]
    return "never" if None in times else number(max(time.most for time in times), 2)


HEADER = ("seller", "created/s", "accepted, ms: p50 / p99 / p99.9", "refused, ms: p50 / p99 / p99.9", "refused/s",
          "oversold", "lost after kill -9", "unsold", "all sells again, s", "CPU s for 1,000", "durable")


def _row(name, one):
    everything = {fault: max((one[part][fault] for part in ("calm", "struck") if one[part][fault] is not None), key=abs,
                             default=None) for fault in MEANING}
    return (name, ranged(one["created"]), triple(one["accepted"]), triple(one["refused"]), number(one["refused_per_s"]),
            number(everything["oversold"]), number(one["struck"]["lost"]), number(everything["unsold"]),
            again(one["kills"], "all_again_s"), number(one["cpu"], 2), "yes" if one["durable"] else "no")


def labels(runs):
    """How the page names each run."""
    return [""] if len(runs) == 1 else [f"{letter}: {run['commit'] or 'unknown'}" for letter, run in zip("AB", runs)]


def beside(runs):
    """(name, label of the run, summary) of each seller, those of one name below each other."""
    names = list(dict.fromkeys(peer["name"] for run in runs for peer in run["peers"]))
    found = [(label, {one["name"]: one for one in compare_figures.summaries(run)})
             for label, run in zip(labels(runs), runs)]
    for name in names:
        for label, of_run in found:
            if name in of_run:
                yield name, label, of_run[name]


def _named(name, label):
    return f"{name} ({label})" if label else name


def table(runs):
    """Lines of Markdown."""
    rows = [HEADER, tuple("---" for _ in HEADER),
            *(_row(_named(name, label), one) for name, label, one in beside(runs))]
    return [f"| {' | '.join(row)} |" for row in rows]


def _rates(runs):
    """Bars of what each sells, and of what it refuses."""
    created, many, refused = [], [], []
    for name, label, one in beside(runs):
        kind = "wrong" if not one["right"] else "durable" if one["durable"] else "fleeting"
        for rows, value in ((created, one["created"]), (many, one["created_many"]), (refused, one["refused_per_s"])):
            if value:
                rows.append((_named(name, label), value, kind))
    parts = ["<h2>Units sold per second</h2>", bars(created, "one SKU, as many claims under way as help")]
    if many:
        parts.append(bars(many, "200 SKUs"))
    echo = [compare_figures.spread([limit.get("echo_per_s") for limit in run["limits"]]) for run in runs]
    parts += ["<h2>Claims refused per second, once all is sold</h2>",
              bars([*((_named("(bare echo)", label), value, "limit")
                      for label, value in zip(labels(runs), echo) if value),
                    *refused], "one SKU that is sold out, 256 claims under way")]
    return "".join(parts)


def _latency(runs):
    rows = [[cell(_named(name, label)), cell(ranged(one["created"])), cell(triple(one["accepted"])),
             cell(_share(one["failed"]), "weak" if one["failed"] and one["failed"].median > 0.001 else ""),
             cell(triple(one["refused"])), cell(ranged(one["refused_per_s"])), cell(_share(one["of_echo"], 0)),
             cell(ranged(one["cpu"], 2))] for name, label, one in beside(runs)]
    return "<h2>Times and costs</h2>" + table_of(
        "Milliseconds, p50 / p99 / p99.9, from each claim's planned arrival, at 70 % of the seller's own rate; "
        "medians of the rounds.",
        ("seller", "created/s", "accepted", "neither", "refused", "refused/s", "of echo", "CPU s for 1,000"), rows)


def _share(value, digits=1):
    return "-" if value is None else f"{100 * value.median:.{digits}f} %"


def _fault_cells(found):
    return [cell(number(found[name]), "bad" if found[name] else "") for name in MEANING]


def _right(runs):
    rows = [[cell(_named(name, label)), *_fault_cells(one["calm"]), cell("yes" if one["durable"] else "no",
             "" if one["durable"] else "weak"), cell(one["why"], "text")] for name, label, one in beside(runs)]
    meaning = "".join(f"<li><b>{name}</b>: {markup.escape(text)}</li>" for name, text in MEANING.items())
    return "<h2>Right or wrong, without faults</h2>" + table_of(
        "The worst round of each. A dash: it was not seen.", ("seller", *MEANING, "durable", "why"), rows) + (
        f"<ul>{meaning}</ul>")


def _kills(runs):
    rows = []
    for name, label, one in beside(runs):
        for part, kill in one["kills"].items():
            times = [cell("never", "bad") if kill[time] is None else cell(ranged(kill[time], 2))
                     for time in ("again_s", "all_again_s")]
            rows.append([cell(_named(name, label)), cell(part, "text"), *_fault_cells(kill["faults"]), *times])
    return "<h2>After kill -9</h2>" + table_of(
        "The part was started again at once. Seconds from the kill until a unit was sold, and until nobody more was "
        "turned away while there were units. The worst round of each count; medians of the times.",
        ("seller", "killed", *MEANING, "sells again, s", "all sells again, s"), rows)


def _designs(runs):
    rows = [[cell(_named(name, label)), cell(one["design"], "text"),
             cell("; ".join(one["failures"]) or "-", "text bad" if one["failures"] else "text")]
            for name, label, one in beside(runs)]
    return "<h2>What was compared</h2>" + table_of("", ("seller", "design", "what failed in the measuring"), rows)


def _verdict(run, label):
    best = compare_figures.first(compare_figures.summaries(run))
    if best is None:
        text = "No seller was both durable and right."
    elif best[1] is None:
        text = f"{best[0]} was the only one that was durable and right."
    else:
        text = f"Of those that are durable and right, {best[0]} sold most: {best[1]:.1f} times as much as {best[2]}."
    return f"<p><b>{markup.escape(f'{label}. ' if label else '')}{markup.escape(text)}</b></p>"


def _conditions(run, label):
    machine = run["machine"]
    own = "the same processors" if machine["shared"] else f"{machine['of_the_generator']} for the generator"
    flushes = compare_figures.spread([limit.get("fsync_per_s") for limit in run["limits"]])
    echo = compare_figures.spread([limit.get("echo_per_s") for limit in run["limits"]])
    text = (f"{run['began']}, commit {run['commit'] or 'unknown'}, {run['mode']}: {run['plan']['rounds']} rounds. "
            f"{machine['processor']}, {machine['of_the_system']} processors for the seller and its stores, {own}; "
            f"{machine['memory_gib']} GiB; Linux {machine['kernel']}. A bare gRPC echo: {ranged(echo)}/s; "
            f"flushes of the disk: {ranged(flushes)}/s. "
            + ", ".join(f"{name} {version}" for name, version in run["versions"].items()))
    return f'<p class="note">{markup.escape(f"{label}. " if label else "")}{markup.escape(text)}</p>'


def html(runs):
    """The page of one run, or of two beside each other. Needs nothing from outside."""
    title = "Limited stock, sold in different ways"
    named = list(zip(runs, labels(runs)))
    return "".join([
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1>",
        *(_conditions(run, label) for run, label in named), *(_verdict(run, label) for run, label in named),
        _rates(runs), _latency(runs), _right(runs), _kills(runs), _designs(runs), "</html>\n"])
