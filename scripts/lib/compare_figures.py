"""What all rounds of a comparison say together. Pure: from the figures of a run, as compare.measure has them."""

import dataclasses
import statistics

import compare_check

# A sale under a kill is judged by itself.
KILL = "kill "


@dataclasses.dataclass(frozen=True)
class Spread:
    """Of some rounds."""
    median: float
    least: float
    most: float


def spread(values):
    """None if nothing was measured."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def _at(tree, *path):
    """A value deep in a dict, or None where the way to it ends."""
    for name in path:
        if not isinstance(tree, dict) or name not in tree:
            return None
        tree = tree[name]
    return tree


def _of(rounds, *path):
    return spread([_at(one, *path) for one in rounds])


def _percentiles(rounds, *path):
    return {name: _of(rounds, *path, name) for name in ("p50", "p99", "p99_9")}


def worst(sales):
    """Of each fault, the most that one sale had of it; None where it was not looked for."""
    return {name: max((sale[name] for sale in sales if name in sale), key=abs, default=None)
            for name in compare_check.FAULTS}


def _sales(rounds, killed):
    return [sale for one in rounds for name, sale in one["sales"].items() if name.startswith(KILL) == killed]


def _kill(rounds, part):
    """Of a part: its sales' faults, and the seconds of each round; "never" if that was so in one of them."""
    struck = [one["kills"][part] for one in rounds if part in one["kills"]]
    sales = [one["sales"][KILL + part] for one in rounds if KILL + part in one["sales"]]

    def time(name):
        values = [one[name] for one in struck]
        return None if None in values else spread(values)

    return {"faults": worst(sales), "again_s": time("again_s"), "all_again_s": time("all_again_s")}


def _echo_ratio(rounds, limits):
    """Refusals beside echoes, each of the same round."""
    ratios = []
    for one, limit in zip(rounds, limits):
        refused, echo = one.get("refused_per_s"), limit.get("echo_per_s")
        ratios.append(refused / echo if refused is not None and echo else None)
    return spread(ratios)


def summary(peer, limits):
    """Of one seller."""
    rounds = peer["rounds"]
    parts = list(dict.fromkeys(part for one in rounds for part in one["kills"]))
    kills = {part: _kill(rounds, part) for part in parts}
    failures = [f"round {number}: {one['failure']}" for number, one in enumerate(rounds, 1) if "failure" in one]
    sales = [sale for one in rounds for sale in one["sales"].values()]
    wrong = [name for name in compare_check.FAULTS if any(sale.get(name) for sale in sales)]
    return {
        "name": peer["name"], "design": peer["design"], "durable": peer["durable"], "why": peer["why"],
        "created": _of(rounds, "saturation", "created_per_s"),
        "created_many": _of(rounds, "saturation_many", "created_per_s"),
        "accepted": _percentiles(rounds, "open", "accepted"),
        "failed": _of(rounds, "open", "failed"),
        "refused": _percentiles(rounds, "tail", "refused"),
        "refused_per_s": _of(rounds, "refused_per_s"),
        "of_echo": _echo_ratio(rounds, limits),
        "cpu": _of(rounds, "open", "cpu_s_per_1000"),
        "calm": worst(_sales(rounds, killed=False)),
        "struck": worst(_sales(rounds, killed=True)),
        "kills": kills,
        "wrong": wrong,
        "failures": failures,
        # What was not measured to its end is not known to be right.
        "right": bool(sales) and not wrong and not failures,
    }


def summaries(run):
    return [summary(peer, run["limits"]) for peer in run["peers"]]


def _design(name):
    """The same design with another form of calls is no rival."""
    return "tranche" if name.startswith("tranche") else name


def first(found):
    """Of those that are durable and right, the fastest, and how many times as fast as the next design: (name, ratio,
    next); the latter two are None if there is no other, and all is None if there is none at all."""
    ranked = sorted((one for one in found if one["durable"] and one["right"] and one["created"]),
                    key=lambda one: -one["created"].median)
    if not ranked:
        return None
    best = ranked[0]
    rivals = [one for one in ranked if _design(one["name"]) != _design(best["name"])]
    if not rivals:
        return best["name"], None, None
    return best["name"], best["created"].median / rivals[0]["created"].median, rivals[0]["name"]
