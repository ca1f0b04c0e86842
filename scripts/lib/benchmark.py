"""Measures the figures of docs/measurements.md. Called by scripts/benchmark."""

import json
import math
import os
import pathlib
import shutil
import statistics
import sys

import cluster
from benchmark_challenge import challenge
from benchmark_cluster import cpu_ms, load, memory_mib, open_sale, run, running_cluster
from benchmark_door import door
from benchmark_draw import draw
from benchmark_metrics import metrics
from benchmark_overload import measure as overload
from benchmark_path import PARTS as PARTS_OF_PATH, measure as path
from benchmark_queue import measure as queue
from benchmark_security import security
from benchmark_verify import verify
from options import Parser, at_least_one

IN_FLIGHT_FOR_MEMORY = 2000


def sold_out(options):
    with running_cluster(nodes=1) as (endpoints, _, folder):
        open_sale(endpoints[0], "tv", 100)
        load(folder, endpoints, "tv", "--requests", 2000, "--in-flight", 64)
        report = folder / "sold_out.json"
        run("bench_sold_out", "--endpoint", endpoints[0], "--sku", "tv", "--rounds", 5, "--seconds", 3, "--json", report)
        return json.loads(report.read_text())


def buy_two(folder, endpoints, sku):
    """Sells two units to one buyer; the units may have to be moved to one node first."""
    for _ in range(20):
        if load(folder, endpoints, sku, "--requests", 1, "--quantity", 2)["totals"]["created"]:
            return
    raise RuntimeError(f"nobody could buy two units of {sku}")


def scarce(options):
    """What 3,000 requests for two units cost the nodes while one is left, beside as many for a SKU that is sold out."""
    reasons = {"sold out": "SOLD_OUT", "one left": "INSUFFICIENT_UNITS"}
    rounds = {name: [] for name in reasons}
    with running_cluster(nodes=3) as (endpoints, state, folder):
        pids = [node["pid"] for node in state["nodes"]]
        skus = {"sold out": "none-left", "one left": "one-left"}
        for name, stock in (("sold out", 2), ("one left", 3)):
            open_sale(endpoints[0], skus[name], stock, "--per-user-limit", 10)
            buy_two(folder, endpoints, skus[name])
        load(folder, endpoints, skus["sold out"], "--requests", 3000, "--quantity", 2)  # connections and caches
        for turn in range(options.rounds):
            for name in sorted(reasons, reverse=bool(turn % 2)):
                before = cpu_ms(pids)
                result = load(folder, endpoints, skus[name], "--requests", 3000, "--quantity", 2)
                rounds[name].append({"node_cpu_ms": cpu_ms(pids) - before, "wall_s": result["wall_seconds"],
                                     "p50_ms": result["latency_ms"]["all"]["p50"],
                                     "refused": result["totals"]["refused"], "unknown": result["totals"]["unknown"]})
                last = rounds[name][-1]
                print(f"{name:9} {last['node_cpu_ms']:6.0f} ms of the nodes' CPU   {last['wall_s']:.2f} s   "
                      f"p50 {last['p50_ms']:.1f} ms   {last['refused']}", flush=True)
    for name, reason in reasons.items():
        if any(set(one["refused"]) != {reason} for one in rounds[name][1:]):
            raise RuntimeError(f"{name}: not a measurement of {reason}: {rounds[name]}")
    ratios = {figure: statistics.median(one[figure] for one in rounds["one left"])
              / statistics.median(one[figure] for one in rounds["sold out"]) for figure in ("node_cpu_ms", "wall_s")}
    print(f"medians: one left costs {ratios['node_cpu_ms']:.2f} times the CPU of sold out, and {ratios['wall_s']:.2f} "
          "times the time", flush=True)
    return {"rounds": rounds, "ratios": ratios}


def durable(options):
    figures = {}
    with running_cluster(nodes=1) as (endpoints, _, folder):
        for name, more in (("unary", []), ("stream", ["--streams", 2])):
            sku = f"hot-{name}"
            open_sale(endpoints[0], sku, 100_000_000)
            load(folder, endpoints, sku, "--requests", 20_000, "--in-flight", 512, *more)
            result = load(folder, endpoints, sku, "--duration", "15s", "--in-flight", 1024, *more)
            figures[name] = {
                "created_per_second": result["created_per_second"],
                "p50_ms": result["latency_ms"]["created"]["p50"],
                "p99_ms": result["latency_ms"]["created"]["p99"],
            }
            print(f"{name:8}{figures[name]['created_per_second']:10,.0f} durable reservations/s   "
                  f"p50 {figures[name]['p50_ms']:.1f} ms   p99 {figures[name]['p99_ms']:.1f} ms", flush=True)
        open_sale(endpoints[0], "hot-frames", 100_000_000)
        report = folder / "durable.json"
        run("bench_durable", "--endpoint", endpoints[0], "--sku", "hot-frames", "--json", report)
        figures["beside the bare procedure"] = json.loads(report.read_text())
        run("tranchectl", "--endpoint", endpoints[0], "verify")
    return figures


def quota(options):
    # Without a balancer, which would at once hand out what the benchmark puts into the pool.
    with running_cluster(nodes=8, balancers=0) as (endpoints, _, folder):
        open_sale(endpoints[0], "push", 0)
        report = folder / "quota.json"
        run("quota_push", "--endpoints", ",".join(endpoints), "--sku", "push", "--rounds", 200, "--summary", report)
        return json.loads(report.read_text())


def pause(options):
    with running_cluster(nodes=8) as (endpoints, _, folder):
        open_sale(endpoints[0], "tv", 1_000_000)
        report = folder / "pause.json"
        run("pause_reach", "--endpoints", ",".join(endpoints), "--sku", "tv", "--rounds", 200, "--summary", report)
        return json.loads(report.read_text())


def quota_plane(options):
    folder = cluster.make_scratch_folder("benchmark")
    try:
        report = folder / "quota_plane.json"
        run("quota_plane", "--rounds", 200, "--summary", report)
        return json.loads(report.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory(options):
    with running_cluster(nodes=1) as (endpoints, state, folder):
        pid = state["nodes"][0]["pid"]
        figures = {"idle_mib": memory_mib(pid, "VmRSS")}
        open_sale(endpoints[0], "tv", 100_000_000)
        load(folder, endpoints, "tv", "--duration", "10s", "--in-flight", IN_FLIGHT_FOR_MEMORY)
        figures["after_10_s_mib"] = memory_mib(pid, "VmRSS")
        load(folder, endpoints, "tv", "--duration", f"{options.soak}s", "--in-flight", IN_FLIGHT_FOR_MEMORY)
        figures[f"after_{options.soak}_s_mib"] = memory_mib(pid, "VmRSS")
        print("  ".join(f"{name} {value:.0f}" for name, value in figures.items()), flush=True)
        return figures


def refusal(options):
    run("refusal_benchmark", "--benchmark_min_time=0.5")
    return None


def counter(options):
    run("slice_counter_benchmark", "--benchmark_min_time=0.2")
    return None


def admission(options):
    run("admission_benchmark", "--benchmark_min_time=0.5")
    run("admission_crypto_benchmark", "--benchmark_min_time=0.5")
    return None


def allocation(options):
    run("allocation_benchmark", "--benchmark_min_time=0.2")
    return None


def reconcile(options):
    """Statements of both forms against a ledger that is generated."""
    folder = cluster.make_scratch_folder("benchmark")
    try:
        for form in ((), ("--jsonl",)):
            run("reconcile_benchmark", "--folder", folder, *form)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def create(options):
    """Durable reservations per second beside another build (--baseline), in turns. Without one: against itself."""
    ours = cluster.BIN
    builds = {"baseline": options.baseline or ours, "this": ours}
    rates = {name: [] for name in builds}
    try:
        for turn in range(options.rounds):
            # The first one runs on a cooler machine, so they take turns in being first.
            for name in sorted(builds, reverse=bool(turn % 2)):
                cluster.BIN = builds[name]
                with running_cluster(nodes=1) as (endpoints, _, folder):
                    open_sale(endpoints[0], "hot", 100_000_000)
                    load(folder, endpoints, "hot", "--requests", 20_000, "--in-flight", 512, "--streams", 2)
                    result = load(folder, endpoints, "hot", "--duration", "10s", "--in-flight", 1024, "--streams", 2)
                    rates[name].append(result["created_per_second"])
            print("  ".join(f"{name} {rates[name][-1]:10,.0f}/s" for name in builds), flush=True)
    finally:
        cluster.BIN = ours
    ratio = statistics.median(rates["this"]) / statistics.median(rates["baseline"])
    print(f"medians: this build makes {100 * ratio:.0f} % of the baseline's reservations per second", flush=True)
    return {"rates": rates, "ratio": ratio}


def reservation_figure(name, *flags):
    """A figure of the binary reservation_benchmark; `flags` are options that it takes."""

    def measure(options):
        folder = cluster.make_scratch_folder("benchmark")
        try:
            report = folder / "figures.json"
            args = [arg for flag in flags for arg in (f"--{flag}", getattr(options, flag))]
            run("reservation_benchmark", "--json", report, name, *args)
            return json.loads(report.read_text())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return measure


def three_rounds_of(binary):
    """A figure that a binary measures by itself, in three rounds at most."""

    def measure(options):
        folder = cluster.make_scratch_folder("benchmark")
        try:
            report = folder / "figures.json"
            run(binary, "--json", report, "--rounds", min(options.rounds, 3))
            return json.loads(report.read_text())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return measure


FIGURES = {
    "sold-out": sold_out,
    "scarce": scarce,
    "durable": durable,
    "path": path,
    "quota": quota,
    "pause": pause,
    "quota-plane": quota_plane,
    "memory": memory,
    "refusal": refusal,
    "counter": counter,
    "admission": admission,
    "allocation": allocation,
    "reconcile": reconcile,
    "create": create,
    "changes": reservation_figure("changes"),
    "expiry": reservation_figure("expiry"),
    # Holds that end by the ledger's index, beside holds that end by messages which wait in a broker.
    "delayed-expiry": three_rounds_of("delayed_expiry_benchmark"),
    "groups": three_rounds_of("group_benchmark"),
    "old-rows": reservation_figure("old-rows", "rows"),
    "verify": verify,
    "metrics": metrics,
    "security": security,
    "challenge": challenge,
    "door": door,
    "overload": overload,
    "queue": queue,
    "draw": draw,
}


def finite(found):
    """Figures as JSON can have them: what is infinite, because it never happened, becomes None."""
    if isinstance(found, dict):
        return {name: finite(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def parse(arguments):
    parser = Parser("scripts/benchmark")
    parser.add_argument("--soak", type=at_least_one, default=60)
    parser.add_argument("--summary", type=pathlib.Path)
    parser.add_argument("--baseline", type=pathlib.Path)
    parser.add_argument("--rounds", type=at_least_one, default=5)
    parser.add_argument("--rows", type=at_least_one, default=10_000_000)
    parser.add_argument("--entries", type=at_least_one, default=1_000_000)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--parse-only", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in FIGURES:
            parser.error(f"no figure {name}; there are {', '.join(FIGURES)}")
    for part in options.only:
        if part not in PARTS_OF_PATH:
            parser.error(f"no part {part} of path; there are {', '.join(PARTS_OF_PATH)}")
    if options.only and options.names != ["path"]:
        parser.error("--only is for path alone")
    return options


def main(arguments):
    options = parse(arguments)
    if options.parse_only:
        return 0
    results = {}
    for name in options.names or FIGURES:
        print(f"== {name} (load average {os.getloadavg()[0]:.1f})", flush=True)
        results[name] = FIGURES[name](options)
    if options.summary:
        options.summary.write_text(json.dumps(finite(results), indent=2, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
