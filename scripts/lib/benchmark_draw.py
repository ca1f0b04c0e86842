"""The figure `draw`: how fast buyers enter a draw, how long a large one takes, and what a sale beside it feels.

Entries are compared with claims that the same node grants, the sale with itself a moment before. The sale goes on while
the draw is sealed, ranked and awarded, so the times of these are not those of an idle ledger.
"""

import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import chaos_answers
import cluster
import tranchectl
from benchmark_cluster import open_sale, run, running_cluster
from benchmark_door import wait_until_followed
from benchmark_generators import Generators
from ledger_query import query

ENTRIES_SQL = cluster.ROOT / "tests" / "benchmark" / "draw_entries.sql"
DRAWS_SQL = pathlib.Path(__file__).with_suffix(".sql")
VERIFIER = cluster.ROOT / "scripts" / "verify_draw.py"

# The large draw is that of sneaker. All claims are for stock, which is sold to whoever is first.
SOLD, LARGE, GUARDED = "stock", "sneaker", "guarded"
POLICIES = {LARGE: ("--draw",), GUARDED: ("--draw", "--token")}
WINNERS = 2000
# What the node is asked for, by the name of its figure.
FORMS = {"claims": ("claim", SOLD), "entries": ("enter", LARGE), "token_entries": ("enter", GUARDED, "--token")}
CALLS_S = 5
CALLS, CONNECTIONS = 512, 8
# A node reads one entry after the other: more calls at once only wait longer.
LOOKS = 16
# However few entries there are in all: those who look have an entry by SQL.
LEAST_FILLED = 1000

SALES_PER_S = 500
RAMP_S, IDLE_S = 2, 15
LOOK_EVERY_S, TELL_EVERY_S = 0.2, 10
PATIENCE_S = 900

# Name: (how it is told, goal, unit, decimals); of a goal, the median must be below.
TABLE = {
    "seal_and_rank_s": ("sealed and ranked", 60, "s", 1),
    "check_s": ("verify_draw.py", 15, "s", 1),
    "p99_ratio": ("p99 of a sale while it is sealed and ranked, as a multiple of idle", 2, "", 2),
    "seal_s": ("sealed", None, "s", 1),
    "rank_s": ("ranked", None, "s", 1),
    "award_s": ("winners have their reservations", None, "s", 1),
    "export_s": ("draw export", None, "s", 1),
    "check_mib": ("memory of verify_draw.py", None, "MiB", 0),
    "looks_p99_ms": ("GetDrawEntry, p99", None, "ms", 1),
}
RATES = {
    "claims": "claims granted",
    "entries": "entries",
    "token_entries": "entries with a token",
    "looks": "GetDrawEntry",
}


@dataclasses.dataclass(frozen=True)
class Place:
    """A node whose draws are open."""
    endpoint: str
    pid: int
    state: dict
    folder: pathlib.Path

    def ctl(self, *args):
        return tranchectl.ctl(self.state, *args)

    def calls(self, what, sku, *flags):
        """Figures of bench_draw, which says on stderr why there are none."""
        report = self.folder / "calls.json"
        command = [cluster.BIN / "bench_draw", "--endpoint", self.endpoint, "--sku", sku, "--seconds", CALLS_S,
                   "--connections", CONNECTIONS, "--node-pid", self.pid, "--json", report, *flags, what]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        return json.loads(report.read_text())


@dataclasses.dataclass(frozen=True)
class DrawNow:
    """A SKU's draw, as the ledger has it."""
    state: str
    entries: int
    pending: int


def draw_now(state, sku=LARGE):
    for name, step, entries, pending in query(state, DRAWS_SQL):
        if name == sku:
            return DrawNow(step, int(entries), int(pending))
    raise RuntimeError(f"{sku} has no draw")


def wait_until(what, met, look, patience_s=PATIENCE_S):
    """When it was seen that `met` is true of what `look` finds. Says now and then that it goes on."""
    began = told = time.monotonic()
    while not met(seen := look()):
        now = time.monotonic()
        if now > began + patience_s:
            raise RuntimeError(f"not {what} within {patience_s} s: {seen}")
        if now > told + TELL_EVERY_S:
            told = now
            print(f"  not {what} yet: {seen.state}, {now - began:.0f} s", flush=True)
        time.sleep(LOOK_EVERY_S)
    return time.time()


def prepare(place):
    """What is sold, and two open draws."""
    open_sale(place.endpoint, SOLD, 100_000_000)
    for sku in POLICIES:
        open_sale(place.endpoint, sku, WINNERS, "--no-presplit")
    tranchectl.wait_until_announced(place.state, [SOLD])
    place.ctl("draw", "new-seed", place.folder / "seed")
    for sku, flags in POLICIES.items():
        place.ctl("door", "set", sku, *flags, "--yes")
        place.ctl("draw", "create", sku, "--winners", WINNERS, "--seed-file", place.folder / "seed", "--yes")
    wait_until_followed(place.state, POLICIES)


def enter(place, number):
    """Rates of claims and entries. In other rounds another one is the first."""
    names = list(FORMS)
    first = number % len(names)
    found = {}
    for name in names[first:] + names[:first]:
        what, sku, *flags = FORMS[name]
        found[name] = place.calls(what, sku, "--in-flight", CALLS, *flags)
        show_calls(name, found[name])
    return {name: found[name] for name in names}


def fill(place, entries):
    """Brings the draw to so many entries. How many it has added."""
    rows = max(entries - draw_now(place.state).entries, LEAST_FILLED)
    began = time.monotonic()
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"sku={LARGE}", "-v", f"rows={rows}", "-d",
                    place.state["postgres"]["superuser"], "-f", str(ENTRIES_SQL)], check=True)
    print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
    return rows


def carry_through(place):
    """Closes and seeds the draw, and waits until all have won. Times of the steps, and their windows."""
    def look():
        return draw_now(place.state)

    winners = min(WINNERS, look().entries)
    closing = time.time()
    place.ctl("draw", "close", LARGE, "--no-wait", "--yes")
    closed = wait_until("sealed", lambda draw: draw.state == "CLOSED", look)
    print(f"  sealed in {closed - closing:.1f} s", flush=True)
    seeding = time.time()
    place.ctl("draw", "seed", LARGE, "--seed-file", place.folder / "seed", "--yes")
    drawn = wait_until("ranked", lambda draw: draw.state == "DRAWN", look)
    print(f"  ranked in {drawn - seeding:.1f} s", flush=True)
    awarded = wait_until("awarded", lambda draw: draw.pending == winners, look)
    print(f"  {winners:,} winners have their reservations after {awarded - drawn:.1f} s", flush=True)
    return ({"seal_s": closed - closing, "rank_s": drawn - seeding, "award_s": awarded - drawn},
            {"sealing": (closing, closed), "ranking": (seeding, drawn)})


def latency_within(answers, windows):
    """Of the claims that were to be sent within one of the windows. The last answer to each counts."""
    last = {one.reservation_id: one for one in answers if any(began <= one.began < ended for began, ended in windows)}
    times = sorted(1e3 * (one.ended - one.began) for one in last.values() if one.success())
    if not times:
        raise RuntimeError(f"nobody got a unit; {len(last)} tried")
    return {"sales": len(times), "failed": len(last) - len(times), "max_ms": times[-1],
            **{f"p{of}_ms": times[math.ceil(of / 100 * len(times)) - 1] for of in (50, 99)}}


def draw_beside_sale(place):
    """Times of the draw's steps, and the latency of a sale before and while it is sealed and ranked."""
    answers = place.folder / "sale.tsv"
    with Generators(place.folder, [place.endpoint], os.sched_getaffinity(0)) as generators:
        generators.start("sale", "--sku", SOLD, "--rate", SALES_PER_S, "--streams", 2, "--duration", "1h", "--answers",
                         answers, nice=0)
        time.sleep(RAMP_S)
        began = time.time()
        time.sleep(IDLE_S)
        idle = (began, time.time())
        times, windows = carry_through(place)
        generators.check("sale")
        generators.end("sale")
    sale = {"idle": latency_within(chaos_answers.read(answers), [idle]),
            "beside": latency_within(chaos_answers.read(answers), windows.values()),
            **{name: latency_within(chaos_answers.read(answers), [window]) for name, window in windows.items()}}
    for name, latency in sale.items():
        show_sale(name, latency)
    return times, sale


def run_script(log, script, *args):
    """(seconds, the most MiB that it had) of a script in Python, which must succeed."""
    began = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen([sys.executable, "-B", str(script), *map(str, args)], stdout=out, stderr=out,
                                   preexec_fn=cluster.terminate_with_parent)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{script.name} ended with {process.returncode}: {cluster.log_tail(log)}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def publish(place):
    """Times of the export, and of checking it."""
    published = place.folder / "published"
    began = time.monotonic()
    place.ctl("draw", "export", LARGE, "--dir", published)
    exported = time.monotonic() - began
    check_s, check_mib = run_script(place.folder / "verify.log", VERIFIER, published)
    print(f"exported in {exported:.1f} s, verified in {check_s:.1f} s with {check_mib:.0f} MiB", flush=True)
    return {"export_s": exported, "check_s": check_s, "check_mib": check_mib}


def measure_round(number, entries):
    with running_cluster(nodes=1) as (endpoints, state, folder):
        place = Place(endpoints[0], state["nodes"][0]["pid"], state, folder)
        prepare(place)
        calls = enter(place, number)
        filled = fill(place, entries)
        found = draw_now(state).entries
        print(f"drawing among {found:,} entries, beside a sale of {SALES_PER_S}/s", flush=True)
        times, sale = draw_beside_sale(place)
        times |= publish(place)
        calls["looks"] = place.calls("look", LARGE, "--in-flight", LOOKS, "--users", filled)
        show_calls("looks", calls["looks"])
        run("tranchectl", "--endpoint", place.endpoint, "verify", show=False)
        return {"entries": found, "calls": calls, "sale": sale, "times": times,
                "seal_and_rank_s": times["seal_s"] + times["rank_s"],
                "p99_ratio": sale["beside"]["p99_ms"] / sale["idle"]["p99_ms"]}


def show_calls(name, calls):
    print(f"{RATES[name]:22} {calls['per_second']:8,.0f}/s   p50 {calls['p50_ms']:6.1f} ms   "
          f"p99 {calls['p99_ms']:6.1f} ms   {calls['cpu_us']:.0f} us of the node's CPU", flush=True)


def show_sale(name, latency):
    print(f"sale {name:8} p50 {latency['p50_ms']:6.1f} ms   p99 {latency['p99_ms']:6.1f} ms   "
          f"max {latency['max_ms']:6.1f} ms   {latency['sales']:,} sold, {latency['failed']:,} failed", flush=True)


def figures_of(one):
    """Of a round: what the table has."""
    return {**{f"{name}_per_s": one["calls"][name]["per_second"] for name in RATES},
            **{f"{name}_ratio": one["calls"][name]["per_second"] / one["calls"]["claims"]["per_second"]
               for name in FORMS if name != "claims"},
            **one["times"], "seal_and_rank_s": one["seal_and_rank_s"], "p99_ratio": one["p99_ratio"],
            "looks_p99_ms": one["calls"]["looks"]["p99_ms"]}


def summarize(rounds):
    """Of each figure, the median and the worst round: of rates the lowest, of all else the highest."""
    found = [figures_of(one) for one in rounds]
    lowest = {name for name in found[0] if name.endswith("_per_s")} | {f"{name}_ratio" for name in FORMS}
    return {name: {"median": statistics.median(one[name] for one in found),
                   "worst": (min if name in lowest else max)(one[name] for one in found)} for name in found[0]}


def table(figures):
    """Lines: figure, goal, median, worst round, and whether the median reaches the goal."""
    rows = [("figure", "goal", "median", "worst", "")]
    for name, (text, goal, unit, decimals) in TABLE.items():
        shown = [f"{value:,.{decimals}f} {unit}".rstrip() for value in figures[name].values()]
        missed = goal is not None and figures[name]["median"] >= goal
        rows.append((text, "" if goal is None else f"< {goal} {unit}".rstrip(), *shown, "missed" if missed else ""))
    for name, text in RATES.items():
        rows.append((text, "", *(f"{value:,.0f}/s" for value in figures[f"{name}_per_s"].values()), ""))
        if f"{name}_ratio" in figures:
            rows.append((f"{text}, of the claims' rate", "",
                         *(f"{100 * value:.0f} %" for value in figures[f"{name}_ratio"].values()), ""))
    return [f"{text:68} {goal:>7} {median:>10} {worst:>10} {verdict}".rstrip()
            for text, goal, median, worst, verdict in rows]


def draw(options):
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(measure_round(number, options.entries))
    figures = summarize(rounds)
    print("\n".join(table(figures)), flush=True)
    return {"entries": options.entries, "rounds": rounds, "figures": figures,
            "goals": {name: goal for name, (_, goal, _, _) in TABLE.items() if goal is not None}}
