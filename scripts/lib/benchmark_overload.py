"""What a front node does at more load than it can take: what it still sells in time, and whether payments come through.

Each figure is a ratio of the same round. The generators have processors of their own, where there are two or more, so
that what they take of the machine is not taken for the system's: its saturation is measured on the same processors.
"""

import collections
import json
import math
import os
import statistics
import time

import chaos_changes
import tranchectl
from benchmark_cluster import load, open_sale, run, running_cluster
from benchmark_generators import Generators, pinned, split

# How callers send claims, and how many times what saturates: gathered in frames on streams, or each as a call of its own.
# A call costs its caller about as much as the node, so more of them cannot be made. They have so many connections that
# a node's bounds for one connection are not the first to be reached.
FORMS = {"streams": ("--streams", 16, "--factor", 10), "calls": ("--calls", "--streams", 64, "--factor", 2)}
DEADLINE_MS = 2000
DEADLINE = ("--timeout-ms", DEADLINE_MS)
OVERLOAD_S = 10

PAYMENTS_PER_S = 200
IDLE_S = 10
# Everything else while payments come in, together so many times what saturates, and the parts that it consists of.
# The claims that sell are alone more than the ledger takes.
BESIDE, BESIDE_S = 12, 20
PARTS = {"sells": 0.5, "sold out": 0.25, "reads": 0.25}
CROWDS = {"sells": "hot", "sold out": "gone"}  # their SKUs
# After the load has begun, until it counts.
RAMP_S = 2
# Of all payments, with those that are made before, between and after what counts.
PAYMENTS = int(1.5 * PAYMENTS_PER_S * (IDLE_S + RAMP_S + BESIDE_S))
READ_OF = 1000
PATIENCE_S = 60

GOALS = {"goodput": 0.90, "paid": 0.999, "p99_ratio": 2.0}
IN_FLIGHT = 1024
# Of tranche-load.
MOST_IN_FLIGHT = 1_000_000
MOST_PER_S = 1_000_000


def in_flight(per_second):
    """So many that callers find room whose deadlines have not passed, if the generator's memory allows it."""
    return max(IN_FLIGHT, min(MOST_IN_FLIGHT, math.ceil(1.25 * per_second * DEADLINE_MS / 1e3)))


def overload(folder, endpoints, own, form):
    """The saturation, and many times as much with deadlines, by buyers who keep little for a claim (bench_overload)."""
    report = folder / "overload.json"
    with pinned(own):
        run("bench_overload", "--endpoint", endpoints[0], "--sku", "hot", "--seconds", OVERLOAD_S, "--deadline-ms",
            DEADLINE_MS, "--json", report, *FORMS[form], show=False)
    return open_loop(json.loads(report.read_text()))


def open_loop(one):
    """`factor`: what came to the node; `offered`: with what found no room on its stream."""
    part = {name: one[name] / one["seconds"] / one["saturation"] for name in ("due", "sent", "in_time")}
    return {"saturation": one["saturation"], "goodput": part["in_time"], "factor": part["sent"], "offered": part["due"],
            "p50_ms": one["p50_ms"], "p99_ms": one["p99_ms"],
            "others": {name or "no answer": count for name, count in one["others"].items() if count}}


def payments_between(changes, began, ended):
    """Of the payments that were to be sent between these times: how many, which share succeeded, and their latency."""
    mine = [one for one in changes if one.node != chaos_changes.ANY_NODE and began <= one.began < ended]
    times = sorted(1e3 * (one.ended - one.began) for one in mine if one.success())
    if not mine:
        raise RuntimeError("no payment was sent")
    failed = collections.Counter(one.outcome for one in mine if not one.success())
    return {"payments": len(mine), "paid": len(times) / len(mine), "failed": dict(failed),
            **{f"p{of}_ms": times[math.ceil(of / 100 * len(times)) - 1] if times else math.inf for of in (50, 99)}}


def begin_paying(generators, folder):
    """Payments until they are ended. The file of their answers."""
    answers = folder / "payments.tsv"
    generators.start("payments", "--reservations", folder / "unpaid", "--change-rate", PAYMENTS_PER_S,
                     "--change-kinds", "confirm", "--change-timeout-ms", DEADLINE_MS, "--change-answers", answers,
                     "--duration", "1h", nice=0)
    give_up = time.monotonic() + PATIENCE_S
    while not answers.exists() or not answers.stat().st_size:
        generators.check("payments")
        if time.monotonic() > give_up:
            raise RuntimeError(f"no payment was answered within {PATIENCE_S} s")
        time.sleep(0.05)
    return answers


def load_beside(generators, folder, saturation):
    """Begins everything else."""
    rates = {part: min(MOST_PER_S, BESIDE * share * saturation) for part, share in PARTS.items()}
    # They are ended before that.
    last = f"{RAMP_S + 2 * BESIDE_S}s"
    generators.start("reads", "--reservations", folder / "read", "--read-rate", f"{rates['reads']:.3f}", "--in-flight",
                     in_flight(rates["reads"]), "--channels", 4, "--duration", last, *DEADLINE)
    for part, sku in CROWDS.items():
        generators.start_crowd(part, "--sku", sku, "--seconds", RAMP_S + BESIDE_S + 1, "--rate", f"{rates[part]:.3f}",
                               "--deadline-ms", DEADLINE_MS)


def sent_beside(summary, part):
    """How many requests per second a part of the load has sent."""
    if part != "reads":
        return summary["sent"] / summary["seconds"]
    kinds = [kind for name, kind in summary["reads"].items() if name != "not_sent"]
    return sum(sum(kind["answers"].values()) for kind in kinds) / summary["wall_seconds"]


def pay_beside(generators, folder, saturation):
    """Payments while nothing else happens, and then beside everything else."""
    answers = begin_paying(generators, folder)
    windows = {}
    began = time.time()
    time.sleep(IDLE_S)
    windows["idle"] = (began, time.time())
    load_beside(generators, folder, saturation)
    time.sleep(RAMP_S)
    began = time.time()
    time.sleep(BESIDE_S)
    windows["beside"] = (began, time.time())
    for part in ("payments", *PARTS):
        generators.check(part)
    summaries = {"reads": generators.end("reads"), **{part: generators.finish(part) for part in CROWDS}}
    generators.end("payments")
    changes = list(chaos_changes.read(answers))
    found = {name: payments_between(changes, *window) for name, window in windows.items()}
    sent = {part: sent_beside(summaries[part], part) / saturation for part in PARTS}
    return {**found, "paid": found["beside"]["paid"], "p99_ratio": found["beside"]["p99_ms"] / found["idle"]["p99_ms"],
            "factor": sum(sent.values()), "factors": sent, "sells": open_loop(summaries["sells"] | {"saturation": saturation}),
            "others": {"sold out": summaries["sold out"]["others"], "reads": summaries["reads"]["reads"]}}


def prepare(state, folder, endpoints):
    """A SKU that sells, one that is sold out, and reservations that are to be paid and to be read."""
    open_sale(endpoints[0], "hot", 100_000_000)
    open_sale(endpoints[0], "gone", 100)
    open_sale(endpoints[0], "paid", 2 * PAYMENTS)
    tranchectl.wait_until_announced(state, ["hot", "paid"])
    load(folder, endpoints, "gone", "--requests", 2000, "--in-flight", 64)
    made = load(folder, endpoints, "paid", "--requests", PAYMENTS, "--in-flight", 64, "--acknowledged",
                folder / "unpaid")
    if made["totals"]["created"] != PAYMENTS:
        raise RuntimeError(f"not all of {PAYMENTS:,} reservations were made: {made['totals']}")
    lines = (folder / "unpaid").read_text().splitlines(keepends=True)
    (folder / "read").write_text("".join(lines[:READ_OF]))
    # Connections and caches.
    load(folder, endpoints, "hot", "--requests", 20_000, "--in-flight", 512, "--streams", 2)


def measure_round(system, own):
    with (pinned(system), running_cluster(nodes=1) as (endpoints, state, folder),
          Generators(folder, endpoints, own) as generators):
        prepare(state, folder, endpoints)
        one = {form: overload(folder, endpoints, own, form) for form in FORMS}
        for form in FORMS:
            show_overload(form, one[form])
        one["payments"] = pay_beside(generators, folder, one["streams"]["saturation"])
        show_payments(one["payments"])
        run("tranchectl", "--endpoint", endpoints[0], "verify", show=False)
        return one


def show_overload(form, one):
    print(f"{form:8} {one['factor']:4.1f} times {one['saturation']:,.0f}/s: {100 * one['goodput']:.1f} % sold in time "
          f"  p50 {one['p50_ms']:.0f} ms   p99 {one['p99_ms']:.0f} ms   others: {one['others']}", flush=True)


def show_payments(one):
    for name in ("idle", "beside"):
        window = one[name]
        print(f"payments {name:6} {window['payments']:,}: {100 * window['paid']:.2f} % paid   "
              f"p50 {window['p50_ms']:.1f} ms   p99 {window['p99_ms']:.1f} ms   failed: {window['failed']}", flush=True)
    parts = ", ".join(f"{part} {factor:.1f}" for part, factor in one["factors"].items())
    print(f"         beside {one['factor']:.1f} times what saturates ({parts}): p99 {one['p99_ratio']:.2f} times that "
          f"of idle; {100 * one['sells']['goodput']:.1f} % sold in time", flush=True)
    for kind, reads in one["others"]["reads"].items():
        print(f"         reads {kind}: {reads if kind == 'not_sent' else reads['answers']}", flush=True)


def summarize(rounds):
    """Medians, and the worst round of each."""
    figures = {}
    for form in FORMS:
        of = [one[form] for one in rounds]
        figures[form] = {name: statistics.median(one[name] for one in of)
                         for name in ("saturation", "goodput", "factor", "p50_ms", "p99_ms")}
        figures[form]["worst"] = min(one["goodput"] for one in of)
    of = [one["payments"] for one in rounds]
    figures["payments"] = {name: statistics.median(one[name] for one in of)
                           for name in ("paid", "p99_ratio", "factor")}
    figures["payments"]["worst"] = {"paid": min(one["paid"] for one in of),
                                    "p99_ratio": max(one["p99_ratio"] for one in of)}
    return figures


def table(figures):
    """Lines: figure, goal, median, worst round, and whether the median reaches the goal."""
    rows = [("figure", "goal", "median", "worst", "")]
    for form in FORMS:
        of = figures[form]
        rows.append((f"sold in time at {of['factor']:.1f} times, {form}", f">= {100 * GOALS['goodput']:.0f} %",
                     f"{100 * of['goodput']:.1f} %", f"{100 * of['worst']:.1f} %",
                     "" if of["goodput"] >= GOALS["goodput"] else "missed"))
    of, worst = figures["payments"], figures["payments"]["worst"]
    rows.append((f"payments that succeed beside {of['factor']:.1f} times", f">= {100 * GOALS['paid']:.1f} %",
                 f"{100 * of['paid']:.2f} %", f"{100 * worst['paid']:.2f} %",
                 "" if of["paid"] >= GOALS["paid"] else "missed"))
    rows.append(("their p99, as a multiple of idle", f"< {GOALS['p99_ratio']:.0f}", f"{of['p99_ratio']:.2f}",
                 f"{worst['p99_ratio']:.2f}", "" if of["p99_ratio"] < GOALS["p99_ratio"] else "missed"))
    return [f"{name:44} {goal:>10} {median:>10} {least:>10} {verdict}".rstrip()
            for name, goal, median, least, verdict in rows]


def measure(options):
    system, own = split(os.sched_getaffinity(0))
    print(f"processors: {len(system)} for the system, {len(own)} for the generators"
          + (" (the same)" if system == own else ""), flush=True)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(measure_round(system, own))
    figures = summarize(rounds)
    print("\n".join(table(figures)), flush=True)
    return {"rounds": rounds, "medians": figures, "goals": GOALS}
