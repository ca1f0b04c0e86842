"""The figure `verify`: `tranchectl verify` of many reservations beside a running sale."""

import contextlib
import json
import pathlib
import signal
import statistics
import subprocess
import time

import cluster
from benchmark_cluster import load, memory_mib, open_sale, running_cluster
from ledger_query import query

OLD_RESERVATIONS = cluster.ROOT / "tests" / "benchmark" / "old_reservations.sql"
PAGE = pathlib.Path(__file__).with_suffix(".sql")
ROUNDS = 3
SALES_PER_S = 2000
SALE_S = 20  # at least; beside a verification it lasts as long as that
SAMPLE_S = 1


class Usage:
    """The most that a verification was seen to need."""

    def __init__(self):
        self.tranchectl_mib, self.backend_mib, self.longest_page_s = 0, 0, 0

    def look(self, tranchectl_pid, pages, memory=memory_mib):
        """`pages`: rows of (server process, seconds since it began); none between two pages."""
        with contextlib.suppress(OSError):  # it has just ended
            self.tranchectl_mib = max(self.tranchectl_mib, memory(tranchectl_pid, "VmHWM"))
        for pid, seconds in pages:
            self.longest_page_s = max(self.longest_page_s, float(seconds))
            with contextlib.suppress(OSError):
                self.backend_mib = max(self.backend_mib, memory(int(pid), "RssAnon"))


class Sale:
    """Buyers at a fixed rate until latency() ends them. Their latency counts from when they wanted to come."""

    def __init__(self, folder, endpoints):
        self._summary = folder / "sale.json"
        command = [cluster.BIN / "tranche-load", "--endpoints", ",".join(endpoints), "--sku", "sale", "--rate",
                   SALES_PER_S, "--duration", "1h", "--streams", 2, "--no-progress", "--summary", self._summary]
        self._process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                         preexec_fn=cluster.terminate_with_parent)

    def latency(self):
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(60)
        if status != 0:
            raise RuntimeError(f"tranche-load ended with {status}")
        return latency_of(json.loads(self._summary.read_text()))


def latency_of(summary):
    totals, created = summary["totals"], summary["latency_ms"]["created"]
    if not totals["created"]:
        raise RuntimeError(f"nobody got a unit: {totals}")
    return {"sales": totals["created"], "failed": totals["refused_total"] + totals["unknown"],
            **{f"{name}_ms": created[name] for name in ("p50", "p99", "max")}}


def fill(state, rows):
    print(f"filling {rows:,} old reservations", flush=True)
    began = time.monotonic()
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"rows={rows}", "-d",
                    state["postgres"]["superuser"], "-f", str(OLD_RESERVATIONS)], check=True)
    print(f"filled in {time.monotonic() - began:.0f} s", flush=True)


def run_verify(state, folder, endpoint, rows):
    """One run of tranchectl verify, which must find all well."""
    usage, answer = Usage(), folder / "verify.json"
    began = time.monotonic()
    with open(answer, "wb") as out:
        process = subprocess.Popen([str(cluster.BIN / "tranchectl"), "--endpoint", endpoint, "verify", "-o", "json"],
                                   stdout=out, preexec_fn=cluster.terminate_with_parent)
    while process.poll() is None:
        usage.look(process.pid, query(state, PAGE))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_S)
    took = time.monotonic() - began
    checked = checked_reservations(process.returncode, answer.read_text(), rows)
    return {"seconds": took, "exit_status": process.returncode, "reservations": checked, **vars(usage)}


def checked_reservations(exit_status, answer, rows):
    """How many reservations were checked. RuntimeError unless all hold the rules, and the old ones were among them."""
    if exit_status != 0:
        raise RuntimeError(f"verify ended with {exit_status}: {answer[:2000]}")
    checked = int(json.loads(answer)["reservations_checked"])
    if checked < rows:
        raise RuntimeError(f"verify checked {checked:,} of {rows:,} reservations")
    return checked


def sell_alone(folder, endpoints):
    sale = Sale(folder, endpoints)
    time.sleep(SALE_S)
    return sale.latency()


def sell_beside(state, folder, endpoints, rows):
    """The sale's latency, and the verifications beside it: one, or so many that the sale lasts long enough."""
    sale, began, runs = Sale(folder, endpoints), time.monotonic(), []
    while not runs or time.monotonic() < began + SALE_S:
        runs.append(run_verify(state, folder, endpoints[0], rows))
    return sale.latency(), runs


def show_sale(name, latency):
    print(f"sale {name:6}   p50 {latency['p50_ms']:6.1f} ms   p99 {latency['p99_ms']:6.1f} ms   "
          f"max {latency['max_ms']:6.1f} ms   {latency['sales']:,} sold, {latency['failed']:,} failed", flush=True)


def show_run(run):
    print(f"verify {run['seconds']:.1f} s   exit status {run['exit_status']}   {run['reservations']:,} reservations   "
          f"longest page seen {run['longest_page_s']:.1f} s   tranchectl {run['tranchectl_mib']:.0f} MiB   "
          f"its PostgreSQL process {run['backend_mib']:.0f} MiB", flush=True)


def summarize(rounds):
    """The worst of what verify needed, and medians of the rest."""
    runs = [run for one in rounds for run in one["verify"]]
    return {
        "verify_s": statistics.median(run["seconds"] for run in runs),
        **{f"most_{name}": max(run[name] for run in runs) for name in vars(Usage())},
        **{f"{name}_ratio": statistics.median(one["beside"][f"{name}_ms"] for one in rounds)
           / statistics.median(one["alone"][f"{name}_ms"] for one in rounds) for name in ("p50", "p99")},
    }


def show_summary(figures):
    node = figures["node_peak_mib"]
    print(f"medians: verify takes {figures['verify_s']:.1f} s; a sale of {SALES_PER_S}/s beside it has "
          f"{figures['p50_ratio']:.2f} times the p50 and {figures['p99_ratio']:.2f} times the p99 of one alone\n"
          f"most: node {node['after']:.0f} MiB ({node['before']:.0f} MiB before the first verify), "
          f"tranchectl {figures['most_tranchectl_mib']:.0f} MiB, its PostgreSQL process "
          f"{figures['most_backend_mib']:.0f} MiB without shared memory, a page {figures['most_longest_page_s']:.0f} s",
          flush=True)


def measure_round(state, folder, endpoints, rows, beside_first):
    one = {}
    for name in ("beside", "alone") if beside_first else ("alone", "beside"):
        if name == "alone":
            one["alone"] = sell_alone(folder, endpoints)
        else:
            one["beside"], one["verify"] = sell_beside(state, folder, endpoints, rows)
            for run in one["verify"]:
                show_run(run)
        show_sale(name, one[name])
    return one


def verify(options):
    with running_cluster(nodes=1) as (endpoints, state, folder):
        node = state["nodes"][0]["pid"]
        fill(state, options.rows)
        open_sale(endpoints[0], "sale", 100_000_000)
        # Connections and caches.
        load(folder, endpoints, "sale", "--requests", 20_000, "--in-flight", 512, "--streams", 2)
        before = memory_mib(node, "VmHWM")
        rounds = [measure_round(state, folder, endpoints, options.rows, beside_first=bool(turn % 2))
                  for turn in range(ROUNDS)]
        figures = {"rows": options.rows, "rounds": rounds, **summarize(rounds),
                   "node_peak_mib": {"before": before, "after": memory_mib(node, "VmHWM")}}
    show_summary(figures)
    return figures
