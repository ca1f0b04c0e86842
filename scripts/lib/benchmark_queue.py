"""The figure `queue`: claims that are queued beside claims that are decided at once, in the same run.

All claims are calls of their own, of thin callers (tranche-queue-load); decisions are timed by the ledger's rows. The
generators have processors of their own, where there are two or more.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import time

import benchmark_queue_figures as figures
import chaos_queue_check
import cluster
import tranchectl
from benchmark_cluster import cpu_ms_by_process, open_sale, postgres_processes, run
from benchmark_generators import pinned, split
from ledger_query import query
from queue_servers import QueueServers

HERE = pathlib.Path(__file__).resolve().parent
DECISIONS_SQL, COUNT_SQL = HERE / "benchmark_queue.sql", HERE / "benchmark_queue_count.sql"
CLOSE_SQL, OPEN_SQL = (cluster.ROOT / "tests" / "alerts" / f"{verb}_ledger.sql" for verb in ("close", "open"))
STOCK = 100_000_000
IN_FLIGHT = 1024
TIMEOUT_MS = 5000
WARM_UP, CLAIMS = 10_000, 60_000
HALF_S = 15
# A spike of so many times what came before it.
BASE_SHARE, SPIKE, SPIKE_S = 0.1, 20, 10
OUTAGE_PER_S, BEFORE_S, OUTAGE_S, AFTER_S = 2000, 5, 60, 5
BROKER_PER_S, BROKER_WELL_S, BROKER_AWAY_S, BROKER_BACK_S = 200, 5, 5, 15
PATIENCE_S = 600


@dataclasses.dataclass(frozen=True)
class Place:
    """A cluster with one node, one consumer and a broker."""
    state: dict
    folder: pathlib.Path
    queue: QueueServers
    processors: set

    def load(self, name, sku, *args):
        """Begins a load, and returns it."""
        return Load(self, name, sku, args)

    def pids(self):
        """By the name of what uses CPU time."""
        return {"node": [self.state["nodes"][0]["pid"]], "consumer": [self.state["consumers"][0]["pid"]],
                "broker": [self.state["rabbitmq"]["pid"]], "PostgreSQL": list(postgres_processes(self.state))}

    def cpu_ms(self):
        """Of each of them, by process: PostgreSQL's come and go."""
        return cpu_ms_by_process(self.pids())


class Load:
    """A tranche-queue-load that runs."""

    def __init__(self, place, name, sku, args):
        self._file = place.folder / f"{name}.answers"
        self._log = place.folder / f"{name}.log"
        command = [cluster.BIN / "tranche-queue-load", "--endpoints", place.state["nodes"][0]["endpoint"], "--sku", sku,
                   "--in-flight", IN_FLIGHT, "--timeout-ms", TIMEOUT_MS, "--no-ask", "--finish-s", 30, "--answers",
                   self._file, *args]

        def prepare():
            cluster.terminate_with_parent()
            os.sched_setaffinity(0, place.processors)

        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log,
                                             preexec_fn=prepare)

    def end(self):
        """Asks it to end. What it was told."""
        self._process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self):
        """When it has ended by itself. What it was told of its claims."""
        status = self._process.wait(PATIENCE_S)
        if status != 0:
            raise RuntimeError(f"tranche-queue-load ended with {status}: {cluster.log_tail(self._log)}")
        with open(self._file) as lines:
            return figures.claimed(map(chaos_queue_check.parse, lines))


@contextlib.contextmanager
def queue_cluster(own):
    folder = cluster.make_scratch_folder("benchmark")
    with contextlib.ExitStack() as end:
        end.callback(shutil.rmtree, folder, ignore_errors=True)
        queue = QueueServers(folder)
        end.callback(queue.stop_all)
        queue.start_broker()
        process, state = cluster.start(folder, folder / "state.json", 1, 1, keep=False, node_args=queue.queue_args())
        end.callback(cluster.stop, process.pid, process)
        end.callback(queue.stop_consumers)
        queue.start_consumers(state)
        yield Place(state, folder, queue, own)


def open_queued_sale(place, name):
    """A SKU whose claims are queued. Its units wait in the pool for the consumer."""
    sku = f"queued-{name}"
    open_sale(place.state["nodes"][0]["endpoint"], sku, STOCK, "--path", "queue", "--no-presplit")
    return sku


def prepare(place):
    open_sale(place.state["nodes"][0]["endpoint"], "direct", STOCK)
    tranchectl.wait_until_announced(place.state, ["direct"])
    # Until the node knows the SKU, and connections and caches are warm.
    place.load("warm-direct", "direct", "--direct", "--claims", WARM_UP).finish()
    sku = open_queued_sale(place, "warm")
    give_up = time.monotonic() + PATIENCE_S
    while not figures.of(place.load("warm-look", sku, "--claims", 10, "--rate", 10).finish(), chaos_queue_check.QUEUED):
        if time.monotonic() > give_up:
            raise RuntimeError("the node does not queue claims")
    claims = place.load("warm-queued", sku, "--claims", WARM_UP).finish()
    await_decisions(place, sku, claims)


def await_decisions(place, sku, claims):
    """The decisions of a SKU, when there are as many as claims were queued."""
    queued = len(figures.of(claims, chaos_queue_check.QUEUED))
    give_up = time.monotonic() + PATIENCE_S
    while int(dict(query(place.state, COUNT_SQL)).get(sku, 0)) < queued:
        if time.monotonic() > give_up:
            print(f"  not all of {queued:,} claims for {sku} are decided after {PATIENCE_S} s", flush=True)
            break
        time.sleep(1)
    return [one for one in map(figures.to_decision, query(place.state, DECISIONS_SQL)) if one.sku == sku]


def measure_paths(place):
    """How many claims both paths decide in a second, when as many come as help."""
    direct = figures.answered_per_s(place.load("direct", "direct", "--direct", "--claims", CLAIMS).finish(),
                                    chaos_queue_check.CREATED)
    sku = open_queued_sale(place, "rate")
    claims = place.load("rate", sku, "--claims", CLAIMS).finish()
    decided = figures.decided_per_s(claims, await_decisions(place, sku, claims))
    found = {"direct_per_s": direct, "decided_per_s": decided, "share": decided / direct,
             "queued_per_s": figures.answered_per_s(claims, chaos_queue_check.QUEUED),
             "others": figures.outcomes(claims)}
    print(f"direct {direct:,.0f}/s   queued and decided {decided:,.0f}/s ({100 * found['share']:.0f} %)   "
          f"put into the queue meanwhile {found['queued_per_s']:,.0f}/s   {found['others']}", flush=True)
    return found


def measure_half_load(place, per_s):
    """What a claim waits for, and costs, while half as many come as are decided."""
    sku = open_queued_sale(place, "half")
    rate = per_s / 2
    before = place.cpu_ms()
    claims = place.load("half", sku, "--rate", f"{rate:.1f}", "--claims", int(HALF_S * rate)).finish()
    decisions = await_decisions(place, sku, claims)
    after = place.cpu_ms()
    found = {"per_s": figures.sent_per_s(claims), "queued": figures.latency(claims, chaos_queue_check.QUEUED),
             "decided": figures.wait(claims, decisions), "others": figures.outcomes(claims),
             "cpu_us": figures.cpu_us_per_claim(before, after, len(figures.sent(claims)))}
    print(f"half load {found['per_s']:,.0f}/s: QUEUED p50 {found['queued']['p50_ms']:.1f}, p99 "
          f"{found['queued']['p99_ms']:.1f} ms   decided p50 {found['decided']['p50_ms']:.0f}, p99 "
          f"{found['decided']['p99_ms']:.0f} ms", flush=True)
    print("  CPU of a claim: " + ", ".join(f"{name} {us:.0f} us" for name, us in found["cpu_us"].items()), flush=True)
    return found


def measure_spike(place, direct_per_s):
    """Twenty times as many as a moment before, with the queue and without it."""
    base = BASE_SHARE * direct_per_s
    spike = ("--rate", f"{SPIKE * base:.1f}", "--claims", int(SPIKE * base * SPIKE_S))
    found = {"base_per_s": base}
    for name, sku, flags, outcome in (("without", "direct", ("--direct",), chaos_queue_check.CREATED),
                                      ("with", open_queued_sale(place, "spike"), (), chaos_queue_check.QUEUED)):
        place.load(f"base-{name}", sku, *flags, "--rate", f"{base:.1f}", "--claims", int(5 * base)).finish()
        claims = place.load(f"spike-{name}", sku, *flags, *spike).finish()
        one = {"factor": figures.sent_per_s(claims) / base, "share": len(figures.of(claims, outcome)) / len(claims),
               **figures.latency(claims, outcome), "others": figures.outcomes(claims)}
        if name == "with":
            one["decided"] = figures.wait(claims, await_decisions(place, sku, claims))
        found[name] = one
        decided = f", decided p99 {one['decided']['p99_ms']:,.0f} ms" if name == "with" else ""
        print(f"spike {name} the queue, {one['factor']:.0f} times {base:,.0f}/s: {100 * one['share']:.0f} % {outcome}, "
              f"p99 {one['p99_ms']:,.0f} ms{decided}   {one['others']}", flush=True)
    return found


def measure_outage(place):
    """Claims come all the time while the ledger lets nobody in."""
    sku = open_queued_sale(place, "outage")
    load = place.load("outage", sku, "--rate", OUTAGE_PER_S)
    time.sleep(BEFORE_S)
    query(place.state, CLOSE_SQL)
    time.sleep(OUTAGE_S)
    query(place.state, OPEN_SQL)
    opened = time.time()
    time.sleep(AFTER_S)
    claims = load.end()
    found = figures.outage(claims, await_decisions(place, sku, claims), opened)
    print(f"ledger away for {OUTAGE_S} s under {figures.sent_per_s(claims):,.0f}/s: {found['queued']:,} queued (p99 "
          f"{found['queued_p99_ms']:.0f} ms), {found['lost']} lost, {found['doubled']} doubled, backlog gone after "
          f"{found['backlog_s']:.1f} s   {found['others']}", flush=True)
    return found


def measure_broker_loss(place):
    """The broker is killed while claims come on both paths, and started again."""
    sku = open_queued_sale(place, "broker")
    rate = ("--rate", BROKER_PER_S)
    queued, direct = place.load("broker-queued", sku, *rate), place.load("broker-direct", "direct", "--direct", *rate)
    time.sleep(BROKER_WELL_S)
    killed = time.time()
    place.queue.kill_broker()
    time.sleep(BROKER_AWAY_S)
    back = time.time()
    place.queue.run_broker()
    serves_s = time.time() - back
    time.sleep(BROKER_BACK_S)
    found = figures.broker_loss(queued.end(), direct.end(), killed, back) | {"broker_start_s": serves_s}
    print(f"broker killed: {found['refused']:,} refused, p99 {found['refused_p99_ms']:.1f} ms; direct p99 "
          f"{found['direct_p99_ratio']:.2f} times that of before, {found['direct_failed']} failed; queued again "
          f"{found['again_s']:.1f} s after its start, which took {serves_s:.1f} s   {found['others']}", flush=True)
    return found


def measure_round(system, own):
    with pinned(system), queue_cluster(own) as place:
        prepare(place)
        paths = measure_paths(place)
        one = {"queued path": paths, "half load": measure_half_load(place, paths["decided_per_s"]),
               "spike": measure_spike(place, paths["direct_per_s"]), "outage": measure_outage(place),
               "broker": measure_broker_loss(place)}
        run("tranchectl", "--endpoint", place.state["nodes"][0]["endpoint"], "verify", show=False)
        return one


def measure(options):
    system, own = split(os.sched_getaffinity(0))
    print(f"processors: {len(system)} for the system, {len(own)} for the generators"
          + (" (the same)" if system == own else ""), flush=True)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(measure_round(system, own))
    medians = figures.summarize(rounds)
    print("\n".join(figures.table(medians)), flush=True)
    return {"rounds": rounds, "medians": medians, "goals": figures.GOALS}
