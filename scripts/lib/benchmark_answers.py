"""Answers of nodes that differ in one thing, in turns: their rates, and what an answer costs the node."""

import contextlib
import dataclasses
import json
import pathlib
import statistics

from benchmark_cluster import load, open_sale, run, running_cluster


@dataclasses.dataclass(frozen=True)
class Door:
    """A node that refuses all claims for a SKU, and how it is called."""
    endpoint: str
    pid: int
    folder: pathlib.Path
    flags: tuple = ()  # of the tools, to be let in
    sku: str = "tv"
    reason: str = "SOLD_OUT"


@contextlib.contextmanager
def sold_out_node(flags_of=lambda role: (), **cluster_options):
    """A cluster of one node whose SKU tv is sold out. `flags_of`: the tools' flags for a role."""
    with running_cluster(nodes=1, **cluster_options) as (endpoints, state, folder):
        node = state["nodes"][0]
        open_sale(node.get("admin", endpoints[0]), "tv", 100, *flags_of("operator"))
        load(folder, endpoints, "tv", "--requests", 2000, "--in-flight", 64, *flags_of("service"))
        yield Door(endpoints[0], node["pid"], folder, tuple(flags_of("service")))


def answers(door):
    """By the form of the answer: (answers per second, microseconds of the node's CPU time for one)."""
    report = door.folder / "answers.json"
    run("bench_sold_out", "--endpoint", door.endpoint, "--sku", door.sku, "--expect", door.reason, "--rounds", 1,
        "--seconds", 2, "--node-pid", door.pid, "--json", report, *door.flags, show=False)
    forms = json.loads(report.read_text())[door.reason.lower()]
    return {form: (figures["median_per_second"], figures["cpu_us"][0]) for form, figures in forms.items()}


def compare(doors, base, rounds, measure=answers):
    """Each door beside the one of the name `base`, `rounds` times with each of them first. Prints and returns ratios.
    `measure` gives of a door what `answers` does."""
    for door in doors.values():
        measure(door)  # connections and caches
    measured = {name: [] for name in doors}
    names = list(doors)
    for turn in range(rounds * len(doors)):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            measured[name].append(measure(doors[name]))
    return {name: _beside(name, measured[name], base, measured[base]) for name in names if name != base}


def _beside(name, shown, base, plain):
    found = {}
    for form in plain[0]:
        rates = [one[form][0] / other[form][0] for one, other in zip(shown, plain)]
        costs = [one[form][1] / other[form][1] for one, other in zip(shown, plain)]
        found[form] = {"rate": statistics.median(rates), "cpu": statistics.median(costs), "rates": rates, "cpus": costs,
                       "per_second": statistics.median(one[form][0] for one in shown),
                       "cpu_us": statistics.median(one[form][1] for one in shown)}
        print(f"{form:8} {name}: {100 * statistics.median(rates):.1f} % of the rate {base} ({100 * min(rates):.0f} to "
              f"{100 * max(rates):.0f} %), {100 * statistics.median(costs):.1f} % of its CPU time an answer "
              f"({100 * min(costs):.0f} to {100 * max(costs):.0f} %); {found[form]['per_second']:,.0f}/s, "
              f"{found[form]['cpu_us']:.1f} us", flush=True)
    return found
