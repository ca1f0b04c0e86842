"""The report about rate limiters: one HTML page with everything in it, and a table for terminals and Markdown. Pure."""

import html as markup

from compare_figures import spread
from compare_page import STYLE, cell, number, ranged, table_of
from compare_plot import bars

FORMAT = 1
# A limiter may be one try off: the clocks of two sides, and which of them rounds.
ONE_OFF = 1
COLOURS = {"near": ("#2f6db3", "in the process of the caller"), "far": ("#9aa4b1", "behind a connection"),
           "bare": ("#d7b23c", "the same server without a limit"),
           "bound": ("#7a4fa3", "bound by the caller: behind a connection, which could have answered more")}
NEAR = ("tranche", "flexible-memory")

# What each column is made of: of one round's answers.
MEASURES = {
    "one": lambda found: found["speed"]["one"]["per_s"],
    "many": lambda found: found["speed"]["many"]["per_s"],
    "bare": lambda found: found["speed"]["bare"]["per_s"],
    "used": lambda found: found["memory"]["used_bytes"] / found["memory"]["keys"],
    "resident": lambda found: found["memory"]["resident_bytes"] / found["memory"]["keys"],
    # nginx remembers fewer keys than have tried.
    "unfounded": lambda found: found["memory"]["refused"] / found["memory"].get("tried", found["memory"]["keys"]),
    "stream": lambda found: found["exact"]["stream"]["taken"] / found["exact"]["stream"]["allowed"],
    "edge": lambda found: found["exact"]["edge"]["taken"] / found["exact"]["edge"]["allowed"],
    "forgotten": lambda found: found["evicted"]["above"] / (found["evicted"]["victims"] * found["evicted"]["burst"]),
    "turned_away": lambda found: found["evicted"]["came_refused"] / found["evicted"]["came"],
    "sprayed": lambda found: found["sprayed"]["taken"] / found["sprayed"]["allowed"],
}
HEADER = ("limiter", "checks/s, one caller", "checks/s, many", "bytes a key", "of these keys refused",
          "taken of allowed: stream", "at an edge", "after 10 times the keys: given again", "new keys refused",
          "sprayed over 8 nodes: taken of allowed")


# Of a rate: the limiter could have answered more.
BOUND = " (bound by the caller)"


def _measured(measure, found):
    """None where it was not measured, or cannot be."""
    try:
        return measure(found)
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def summary(limiter):
    """Of all rounds: {"name", ..., measure: Spread or None, "notes": [text], "bound": {measure}}."""
    rounds = limiter["rounds"]
    found = {name: spread([_measured(measure, one) for one in rounds]) for name, measure in MEASURES.items()}
    notes = []
    for position, one in enumerate(rounds, 1):
        for question, answer in one.items():
            if "why_not" in answer and position == 1:
                notes.append(f"{question}: {answer['why_not']}")
            if "failure" in answer:
                notes.append(f"{question}, round {position}: {answer['failure']}")
    return found | {"name": limiter["name"], "design": limiter["design"], "reach": limiter["reach"], "notes": notes,
                    "bound": _bound(rounds),
                    "failed": any("failure" in answer for one in rounds for answer in one.values())}


def _bound(rounds):
    """Names of the rates that tell, in some round, how fast the caller is."""
    return {name for one in rounds for name, rate in one.get("speed", {}).items()
            if isinstance(rate, dict) and rate.get("bound_by_caller")}


def _is_above(flood):
    return flood["taken"] > flood["allowed"] + ONE_OFF


def above(limiter):
    """Names of the measures in which some round let more through than is allowed."""
    def some(question, check):
        return any(check(one[question]) for one in limiter["rounds"]
                   if not {"why_not", "failure"} & one.get(question, {"failure": ""}).keys())

    found = {"stream": some("exact", lambda answer: _is_above(answer["stream"])),
             "edge": some("exact", lambda answer: _is_above(answer["edge"])),
             "forgotten": some("evicted", lambda answer: answer["above"] > 0),
             "sprayed": some("sprayed", _is_above)}
    return {name for name, is_above in found.items() if is_above}


def _percent(value):
    return "-" if value is None else f"{100 * value.median:.1f} %"


def _bytes(one):
    """What the process grew by where that is known; else by the limiter's own account."""
    return one["resident"] if one["resident"] is not None else one["used"]


def _rate(one, measure):
    return number(one[measure]) + (BOUND if measure in one["bound"] else "")


def _texts(one):
    """Of the columns after the name, each with its measure."""
    return [("one", _rate(one, "one")), ("many", _rate(one, "many")), ("used", number(_bytes(one), 1)),
            ("unfounded", _percent(one["unfounded"])), ("stream", number(one["stream"], 2)),
            ("edge", number(one["edge"], 2)), ("forgotten", _percent(one["forgotten"])),
            ("turned_away", _percent(one["turned_away"])), ("sprayed", number(one["sprayed"], 2))]


def table(run):
    """Lines of Markdown."""
    rows = [HEADER, tuple("---" for _ in HEADER)]
    for limiter in run["limiters"]:
        one = summary(limiter)
        rows.append((f"`{one['name']}`", *(text for _, text in _texts(one))))
    return [f"| {' | '.join(row)} |" for row in rows]


def brief(question, answer):
    """A line of progress."""
    if question == "speed":
        return ", ".join(f"{name} {found['per_s']:,.0f}/s" for name, found in answer.items())
    if question == "memory":
        size = answer["used_bytes"] if answer["resident_bytes"] is None else answer["resident_bytes"]
        return (f"{size / answer['keys']:.1f} bytes a key at {answer['keys']:,} keys, {answer['refused']:,} first "
                "tries refused")
    if question == "evicted":
        return (f"{answer['fit']:,} keys fit; after {answer['came']:,} more, {answer['above']:,} tries of "
                f"{answer['victims']:,} victims above their limit, {answer['came_refused']:,} new keys refused")
    floods = answer.items() if question == "exact" else [("sprayed", answer)]
    return ", ".join(f"{name} {flood['taken']:,} taken of {flood['allowed']:,} allowed" for name, flood in floods)


def _rates(found):
    rows = []
    for one in found:
        kind = "near" if one["name"] in NEAR else "far"
        for measure, label, colour in (("one", "one", kind), ("many", "many", kind), ("bare", "no limit", "bare")):
            if one[measure]:
                rows.append((f"{one['name']}, {label}", one[measure], "bound" if measure in one["bound"] else colour))
    return "<h2>Checks per second</h2>" + bars(rows, "random keys, all of which are known already", COLOURS)


def _answers(run, found):
    rows = []
    for limiter, one in zip(run["limiters"], found):
        wrong = above(limiter)
        cells = [cell(text, "bad" if measure in wrong else "") for measure, text in _texts(one)]
        rows.append([cell(one["name"]), *cells])
    return "<h2>All answers</h2>" + table_of(
        "Medians of the rounds. Taken of allowed: 1 is exact, above 1 lets too much through. Red: more than allowed in "
        "some round.", HEADER, rows)


def _memory(found):
    rows = [[cell(one["name"]), cell(ranged(one["used"], 1)), cell(ranged(one["resident"], 1)),
             cell(_percent(one["unfounded"]))] for one in found]
    return "<h2>Memory</h2>" + table_of(
        "Bytes a key: by the limiter's own account, or the size that it was given; and by how much its process grew. "
        "Refused: first tries of keys, which nobody should refuse.", ("limiter", "own account", "process", "refused"),
        rows)


def _designs(found):
    rows = [[cell(one["name"]), cell(one["design"], "text"), cell(one["reach"], "text"),
             cell("; ".join(one["notes"]) or "-", "text bad" if one["failed"] else "text")] for one in found]
    return "<h2>What was compared</h2>" + table_of(
        "", ("limiter", "design", "between it and its caller", "not asked, or failed"), rows)


def _conditions(run):
    machine, plan = run["machine"], run["plan"]
    own = "the same processors" if machine["shared"] else f"{machine['of_the_generator']} for the callers"
    text = (f"{run['began']}, commit {run['commit'] or 'unknown'}, {run['mode']}: {plan['rounds']} rounds of "
            f"{plan['seconds']} s, {plan['keys']:,} keys. {machine['processor']}, {machine['of_the_system']} "
            f"processors for servers, {own}; what runs in its caller's process has all of them. "
            f"{machine['memory_gib']} GiB; Linux {machine['kernel']}. "
            + ", ".join(f"{name} {version}" for name, version in run["versions"].items()))
    return f'<p class="note">{markup.escape(text)}</p>'


def html(run):
    """The page of one run. Needs nothing from outside."""
    title = "Rate limiters"
    found = [summary(limiter) for limiter in run["limiters"]]
    return "".join([
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1>", _conditions(run), _answers(run, found), _rates(found), _memory(found), _designs(found),
        "</html>\n"])
