"""The figure `path`: what a durable claim costs on its way, part by part, and how near that is to the least possible.

Most parts run on one cluster with one front node, one after the other, with the thinnest caller (bench_durable). The
others have what they need for themselves, while nothing else runs: `half` a cluster whose generator has processors of
its own, where there are two or more; `ledger` two bare servers; `catalogue` two clusters, one after the other. What
costs time is bounded.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import benchmark_path_figures as figures
import cluster
import tranchectl
from benchmark_cluster import cpu_ms, cpu_ms_by_process, open_sale, postgres_processes, run, running_cluster
from benchmark_generators import pinned, split
from benchmark_queue_figures import cpu_us_per_claim
from ledger_query import query

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE, NODE, WAITS, COMMIT, LOG_ON, LOG_OFF, COUNT_ON, COUNT_OFF = (
    HERE / f"benchmark_path_{name}.sql"
    for name in ("sample", "node", "waits", "commit", "log_on", "log_off", "count_on", "count_off"))
OPEN_SKUS = cluster.ROOT / "tests" / "benchmark" / "open_skus.sql"

STOCK = 100_000_000
STOCK_OF_MANY = 1_000_000
MOST_ROUNDS = 3
SKUS_IN_A_BATCH = 200
SLOTS = (1, 4, 16)
FEW, MANY = 1_000, 100_000  # SKUs
# `cost`: until so many are sold, so long; and so long with every statement in the log.
RAMP, WINDOW_S, LOG_S, PATIENCE_S = 20_000, 10, 2, 30
# As long as a slow ramp, the windows (waits take 5 s) and the looks themselves take.
COST_LOAD_S = 30
HALF_S = 8
# After many SKUs were made: until our servers use so little, or so long.
QUIET_MS_PER_S, SETTLE_S = 100, 60


def bench_durable(folder, seconds, rounds, *args, show=True):
    """What it found."""
    report = folder / "durable.json"
    run("bench_durable", "--rounds", rounds, "--seconds", seconds, "--json", report, *args, show=show)
    return json.loads(report.read_text())


@dataclasses.dataclass(frozen=True)
class Place:
    """A cluster with one front node."""
    state: dict
    folder: pathlib.Path
    rounds: int

    @property
    def endpoint(self):
        return self.state["nodes"][0]["endpoint"]

    def open_sale(self, sku, *args):
        open_sale(self.endpoint, sku, STOCK, *args)
        tranchectl.wait_until_announced(self.state, [sku])

    def open_many(self, prefix):
        """So many SKUs as are to be in a batch."""
        run("many_skus", "--endpoint", self.endpoint, "--prefix", prefix, "--count", SKUS_IN_A_BATCH, "--stock",
            STOCK_OF_MANY)
        tranchectl.wait_until_announced(self.state, [f"{prefix}-{number:06}" for number in range(SKUS_IN_A_BATCH)])

    def sample(self):
        return figures.to_sample(query(self.state, SAMPLE)[0])

    def node_backends(self):
        """Pids of PostgreSQL's processes that serve the node's connections now."""
        return {int(pid) for [pid] in query(self.state, NODE)}

    def durable(self, sku, seconds, *args, rounds=None, show=True):
        return bench_durable(self.folder, seconds, rounds or self.rounds, "--endpoint", self.endpoint, "--sku", sku,
                             *args, show=show)


def share(place):
    """One hot SKU, beside the bare procedure behind a bare stream."""
    place.open_sale("share")
    return place.durable("share", 3)


def batch(place):
    """The same with claims for many SKUs in each batch."""
    place.open_many("batch")
    return place.durable("batch", 3, "--skus", SKUS_IN_A_BATCH)


def slots(place):
    """One hot SKU with several rows behind the node's slice. The node's batches lock all of them, and so wait for each
    other; the bare server's each take a free one if there is one for each lane."""
    found = {}
    for count in SLOTS:
        sku = f"slots-{count}"
        place.open_sale(sku, "--slots", count)
        print(f"{count} slots in a slice", flush=True)
        found[count] = place.durable(sku, 2, "--slots", count)
    return found


class Background:
    """A bench_durable that loads the node while it is looked at."""

    def __init__(self, place, sku, seconds):
        self._log = place.folder / "background.log"
        command = [cluster.BIN / "bench_durable", "--endpoint", place.endpoint, "--sku", sku, "--only", "node",
                   "--rounds", 1, "--seconds", seconds]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log,
                                             preexec_fn=cluster.terminate_with_parent)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def check(self):
        """RuntimeError if it has ended: then what was looked at was no load."""
        if self._process.poll() is not None:
            raise RuntimeError(f"bench_durable has ended: {cluster.log_tail(self._log)}")

    def finish(self):
        """When its time is over. RuntimeError if anything else than reservations was answered."""
        if self._process.wait(PATIENCE_S + COST_LOAD_S) != 0:
            raise RuntimeError(f"not only reservations: {cluster.log_tail(self._log)}")


def await_sold(place, load, more):
    start, give_up = place.sample().sold, time.monotonic() + PATIENCE_S
    while place.sample().sold < start + more:
        load.check()
        if time.monotonic() > give_up:
            raise RuntimeError(f"less than {more:,} claims within {PATIENCE_S} s")
        time.sleep(0.1)


def processes(place, generator):
    """Pids by what they are."""
    state = place.state
    found = {"front node": [state["nodes"][0]["pid"]], "PostgreSQL, SQL": [], "PostgreSQL, WAL writer": [],
             "PostgreSQL, others": [], "generator": [generator],
             "balancer and worker": [one["pid"] for one in state["balancers"] + state["workers"]]}
    of_the_node = place.node_backends()
    for pid, title in postgres_processes(state).items():
        found["PostgreSQL, SQL" if pid in of_the_node else figures.kind_of(title)].append(pid)
    return found


def cost_of_claims(place, load):
    before, first = cpu_ms_by_process(processes(place, load.pid)), place.sample()
    time.sleep(WINDOW_S)
    last, after = place.sample(), cpu_ms_by_process(processes(place, load.pid))
    found = figures.between(first, last)
    return found | {"cpu_us": cpu_us_per_claim(before, after, found["claims"])}


def await_logged(log, offset, load):
    give_up = time.monotonic() + PATIENCE_S
    while b"execute commit_reservations" not in read_from(log, offset):
        load.check()
        if time.monotonic() > give_up:
            raise RuntimeError("PostgreSQL does not log statements")
        time.sleep(0.05)


def read_from(file, offset):
    with open(file, "rb") as log:
        log.seek(offset)
        return log.read()


def statements_of_claims(place, load):
    """What the node sends to PostgreSQL for a claim, by PostgreSQL's log."""
    log = pathlib.Path(place.state["postgres"]["log_file"])
    backends = place.node_backends()
    try:
        offset = log.stat().st_size
        query(place.state, LOG_ON)
        await_logged(log, offset, load)
        offset, first = log.stat().st_size, place.sample()
        time.sleep(LOG_S)
        text, last = read_from(log, offset), place.sample()
        backends |= place.node_backends()
    finally:
        query(place.state, LOG_OFF)
    sent = figures.statements(text.decode(errors="replace"), backends)
    claims = last.sold - first.sold
    return {"claims": claims, "sent": dict(sent.most_common()), "for_each_claim": sent.total() / claims}


def cost(place):
    """CPU, write-ahead log, flushes and statements of a claim, and what the connections that commit wait for."""
    place.open_sale("cost")
    query(place.state, COUNT_ON)
    with Background(place, "cost", COST_LOAD_S) as load:
        await_sold(place, load, RAMP)
        found = cost_of_claims(place, load)
        query(place.state, COUNT_OFF)
        load.check()
        waits = {what: int(seen) for what, seen in query(place.state, WAITS)}
        load.check()
        found |= {"waits": waits, "statements": statements_of_claims(place, load)}
        load.check()
        load.finish()
    show_cost(found)
    return found


def show_cost(found):
    print(f"{found['per_second']:,.0f} claims/s", flush=True)
    print("  CPU of a claim: " + ", ".join(f"{name} {us:.1f} us" for name, us in found["cpu_us"].items()))
    print(f"  write-ahead log of a claim: {found['wal_bytes']:.0f} bytes in {found['wal_records']:.1f} records; "
          f"{found['full_pages_per_1000']:.1f} full pages for 1,000 claims")
    print(f"  disk of a claim: {found['row_bytes']:.0f} bytes, and {found['index_bytes']:.0f} of indexes")
    print(f"  {found['claims_per_commit']:.0f} claims in a call of commit_reservations, "
          f"{found['claims_per_flush']:.0f} to a flush, {found['flushes_per_second']:.0f} flushes/s")
    sent = found["statements"]
    print(f"  {sent['for_each_claim']:.4f} statements for a claim: " + ", ".join(
        f"{name} {count}" for name, count in sent["sent"].items()))
    seen = sum(found["waits"].values())
    print("  a connection that commits: " + ", ".join(f"{what} {100 * count / seen:.0f} %"
                                                      for what, count in found["waits"].items()), flush=True)


def commit(place):
    """The settings of synchronous_commit, in turns."""
    place.open_sale("commit")
    rates = {mode: [] for mode in figures.COMMIT_MODES}
    for turn in range(place.rounds):
        for mode in sorted(rates, reverse=bool(turn % 2)):
            query(place.state, COMMIT, mode=mode)
            rates[mode] += place.durable("commit", 2, "--only", "node", rounds=1, show=False)["node_per_second"]
    query(place.state, COMMIT, mode="on")
    found = {mode: {"per_second": rates[mode], **figures.ratio(rates[mode], rates["on"])} for mode in rates}
    for mode, risk in figures.COMMIT_MODES.items():
        print(f"synchronous_commit {mode:12} {100 * found[mode]['median']:5.1f} % of on "
              f"({found[mode]['least']:.2f} to {found[mode]['most']:.2f} times)   {risk}", flush=True)
    return found


def half(rounds):
    """Claims that come at half the rate that saturates the node."""
    system, own = split(os.sched_getaffinity(0))
    found = []
    with pinned(system), running_cluster(nodes=1) as (endpoints, state, folder):
        open_sale(endpoints[0], "half", STOCK)
        tranchectl.wait_until_announced(state, ["half"])
        report = folder / "half.json"
        for _ in range(rounds):
            with pinned(own):
                run("bench_overload", "--endpoint", endpoints[0], "--sku", "half", "--seconds", HALF_S, "--factor", 0.5,
                    "--json", report)
            found.append(figures.half_load(json.loads(report.read_text())))
    return {"rounds": found, **{f"p{of}_ms": figures.spread([one[f"p{of}_ms"] for one in found]) for of in (50, 99)}}


def settle(place):
    """Until our servers have done what many new SKUs make them do."""
    state = place.state
    pids = [one["pid"] for one in cluster.servers(state)]
    began = time.monotonic()
    used = QUIET_MS_PER_S
    while used >= QUIET_MS_PER_S and time.monotonic() < began + SETTLE_S:
        before = cpu_ms(pids)
        time.sleep(1)
        used = cpu_ms(pids) - before
    print(f"servers quiet after {time.monotonic() - began:.0f} s" if used < QUIET_MS_PER_S else
          f"servers still use {used:.0f} ms of CPU a second after {SETTLE_S} s", flush=True)


def fill_catalogue(place, first, last):
    query(place.state, OPEN_SKUS, name="catalogue", first=first, last=last, units=10, slots=1, incarnation=0)
    settle(place)


def active_per_second(place):
    """Rates of claims for the SKUs that are active."""
    return place.durable("active", 3, "--only", "node", "--skus", SKUS_IN_A_BATCH)["node_per_second"]


def catalogue(rounds):
    """Claims for the same SKUs, while the ledger has a thousand others, and a hundred thousand. Those with a thousand
    are measured before and after, since the machine may have become slower meanwhile."""
    with running_cluster(nodes=1) as (_, state, folder):
        place = Place(state, folder, rounds)
        place.open_many("active")
        fill_catalogue(place, 0, FEW - 1)
        few = active_per_second(place)
        fill_catalogue(place, FEW, MANY - 1)
        many = active_per_second(place)
    print(f"a new cluster with {FEW:,} SKUs", flush=True)
    with running_cluster(nodes=1) as (_, state, folder):
        place = Place(state, folder, rounds)
        place.open_many("active")
        fill_catalogue(place, 0, FEW - 1)
        again = active_per_second(place)
    found = figures.ratio(many, few + again)
    print(f"with {MANY:,} SKUs: {100 * found['median']:.1f} % of the claims with {FEW:,}, of which there were "
          f"{statistics.median(few):,.0f}/s before and {statistics.median(again):,.0f}/s after", flush=True)
    return {"few_per_second": few, "many_per_second": many, "few_again_per_second": again, "ratio": found}


def ledger(rounds):
    """The bare procedure with claims for each of a thousand SKUs in turn, and of a hundred thousand: two servers, each
    with a PostgreSQL, in turns."""
    with tempfile.TemporaryDirectory(prefix="tranche-benchmark-") as folder:
        found = bench_durable(pathlib.Path(folder), 3, rounds, "--only", "bare", "--skus", FEW, "--beside-skus", MANY)
    ratio = figures.spread(found["ratios"])
    print(f"over {MANY:,} SKUs: {100 * ratio['median']:.1f} % of the claims over {FEW:,}", flush=True)
    return {"few_per_second": found["bare_per_second"], "many_per_second": found["beside_per_second"], "ratio": ratio}


# In this order. Those of the first row share a cluster.
SHARED = {"share": share, "batch": batch, "cost": cost, "slots": slots, "commit": commit}
PARTS = SHARED | {"half": half, "ledger": ledger, "catalogue": catalogue}


def goals_of(found):
    """What is compared with a goal, of the parts that were measured."""
    compared = {}
    if "share" in found:
        compared["share"] = figures.spread(found["share"]["ratios"])
    if "half" in found:
        compared["half_p99_ms"] = found["half"]["p99_ms"]
    for part in ("catalogue", "ledger"):
        if part in found:
            compared[part] = found[part]["ratio"]
    return compared


def timed(part, of):
    """`of`: a Place for those that share a cluster; a number of rounds for the others."""
    began = time.monotonic()
    print(f"-- {part}: {PARTS[part].__doc__.splitlines()[0]}", flush=True)
    found = PARTS[part](of)
    print(f"-- {part} took {time.monotonic() - began:.0f} s", flush=True)
    return found


def measure(options):
    wanted = [part for part in PARTS if not options.only or part in options.only]
    rounds = min(options.rounds, MOST_ROUNDS)
    found = {}
    sharing = [part for part in wanted if part in SHARED]
    if sharing:
        with running_cluster(nodes=1) as (_, state, folder):
            found |= {part: timed(part, Place(state, folder, rounds)) for part in sharing}
    found |= {part: timed(part, rounds) for part in wanted if part not in SHARED}
    compared = goals_of(found)
    print("\n".join(figures.table(compared)), flush=True)
    return {"parts": found, "compared": compared, "goals": figures.GOALS}
