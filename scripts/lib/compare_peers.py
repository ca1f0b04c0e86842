"""The sellers of a comparison as processes: started, given stock, counted, killed in parts."""

import contextlib
import json
import pathlib
import subprocess
import time

import cluster
import compare_servers
import sale_check
import tranchectl
from benchmark_cluster import open_sale
from chaos_process import children_of
from compare_check import Stored
from compare_kinds import NODE
from compare_process import Launch, Program
from ledger_query import query

NODE_FOLDER = cluster.ROOT / "tests" / "benchmark" / "peers" / "node"
ORDERS_SQL = pathlib.Path(__file__).resolve().parent / "compare_orders.sql"
CALL_TIMEOUT_S = 600
BACK_S = 60


class Part:
    """What can be struck. `count`: of the seller; it fails while a store is not back. `serves`: buyers call it. `moved`:
    told its new endpoint when it has another one."""

    def __init__(self, program, count, serves=False, moved=lambda endpoint: None):
        self.name, self._program, self._count, self._serves, self._moved = program.name, program, count, serves, moved

    def strike(self):
        """kill -9, and started again at once. Its new endpoint, if buyers call it; otherwise None."""
        self._program.kill()
        self._program.start()
        if not self._serves:
            return None
        self._moved(self._program.endpoint)
        return self._program.endpoint

    def await_back(self, clock=time.monotonic, sleep=time.sleep):
        """Until the seller's stores answer again: one that was killed reads its log first. What they say if they do not
        for BACK_S."""
        give_up = clock() + BACK_S
        while True:
            try:
                self._count()
                return
            except Exception:
                if clock() > give_up:
                    raise
            sleep(0.2)


class ProgramPeer:
    """One of the peers: a program beside its stores. Use it as a context; everything ends with it."""

    def __init__(self, kind, folder):
        self.kind, self._folder = kind, folder
        self._end = contextlib.ExitStack()
        self._stores = {}  # compare_servers' by name
        self._adopted = {}
        self._server = None

    def __enter__(self):
        with contextlib.ExitStack() as end:
            self._command = self._program()
            for name in self.kind.stores:
                store = self._stores[name] = end.enter_context(
                    compare_servers.start(name, self._folder, self.kind.name))
                self._command += [f"--{name}", store.address]
            self._end = end.pop_all()
        return self

    def __exit__(self, *_):
        self.stop_serving()
        for program in self._adopted.values():  # before their folders are removed
            program.stop()
        self._end.close()

    def _program(self):
        if self.kind.name in NODE:
            if not (NODE_FOLDER / "node_modules").is_dir():
                raise RuntimeError(f"its packages are not installed: npm ci in {NODE_FOLDER.relative_to(cluster.ROOT)}")
            node = NODE_FOLDER / "node_modules" / ".bin" / "node"  # newer than Debian's
            return [node, NODE_FOLDER / "peer.mjs", "--peer", self.kind.name]
        if not (cluster.BIN / "tranche-peer").exists():
            raise RuntimeError("tranche-peer is not built: it needs the packages of the section compare")
        return [cluster.BIN / "tranche-peer", "--peer", self.kind.name]

    def _run(self, *args):
        command = [str(part) for part in [*self._command, *args]]
        done = subprocess.run(command, capture_output=True, text=True, env=cluster.environment(),
                              timeout=CALL_TIMEOUT_S)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, args))} ended with {done.returncode}: "
                               f"{(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout

    def prepare(self, skus, stock):
        """Everything anew, and a server that serves it. The SKUs' ids."""
        self.stop_serving()
        self._run("--prepare", "--skus", skus, "--stock", stock)
        port_file = self._folder / f"{self.kind.name}.port"
        launch = Launch(tuple(str(part) for part in [*self._command, "--port-file", port_file]), cluster.environment(),
                        str(cluster.ROOT))
        self._server = Program("server", launch, self._folder / f"{self.kind.name}.log", port_file).start()
        return [f"sku-{number}" for number in range(skus)]

    def stop_serving(self):
        if self._server:
            self._server.stop()
            self._server = None

    @property
    def endpoint(self):
        return self._server.endpoint

    def roots(self):
        stores = [self._adopted.get(name, store).pid for name, store in self._stores.items()]
        return [self._server.pid, *stores]

    def part_names(self, everything):
        return ["server", *self.kind.stores]

    def part(self, name):
        if name == "server":
            return Part(self._server, self.count, serves=True)
        if name not in self._adopted:
            self._adopted[name] = Program.adopt(name, self._stores[name].pid, self._folder)
        return Part(self._adopted[name], self.count)

    def count(self):
        ids = self._folder / f"{self.kind.name}.ids"
        # Programs of others may write other lines before it.
        counted = json.loads(self._run("--count", "--ids", ids).strip().splitlines()[-1])
        return Stored(int(counted["units_left"]), int(counted["units_sold"]), frozenset(ids.read_text().split()))


class Tranche:
    """A cluster with one node, one balancer and one worker, as scripts/benchmark runs it. Each sale has SKUs of its
    own, so that the cluster stays."""

    def __init__(self, kind, folder):
        self.kind, self._folder = kind, folder
        self._process = self._state = None
        self._adopted = {}
        self._sales = 0
        self._skus = []

    def __enter__(self):
        self._process, self._state = cluster.start(self._folder, self._folder / "state.json", 1, 1, keep=False)
        return self

    def __exit__(self, *_):
        # The node first, while it can still give its units back; PostgreSQL last, since the others use it until then.
        for name in ("server", "balancer"):
            if name in self._adopted:
                self._adopted[name].stop()
        cluster.stop(self._process.pid, self._process)
        for program in self._adopted.values():
            program.stop()

    def prepare(self, skus, stock):
        self._sales += 1
        self._skus = [f"sale-{self._sales}-{number}" for number in range(skus)]
        for sku in self._skus:
            open_sale(self.endpoint, sku, stock)
        tranchectl.wait_until_announced(self._state, self._skus)
        return self._skus

    def stop_serving(self):
        """It serves on: nothing that is prepared is in its way."""

    @property
    def endpoint(self):
        return self._state["nodes"][0]["endpoint"]

    def roots(self):
        return [self._process.pid, *(program.pid for program in self._adopted.values())]

    def part_names(self, everything):
        return ["server", "postgres", *(("zookeeper", "balancer") if everything else ())]

    def part(self, name):
        if name not in self._adopted:
            self._adopted[name] = Program.adopt(name, self._pid_of(name), self._folder)
        return Part(self._adopted[name], self.count, serves=name == "server", moved=self._moved)

    def _pid_of(self, name):
        if name == "server":
            return self._state["nodes"][0]["pid"]
        if name == "balancer":
            return self._state["balancers"][0]["pid"]
        program = {"postgres": "postgres", "zookeeper": "java"}[name]
        for pid in children_of(self._process.pid):
            if cluster.alive(pid) and pathlib.Path(Launch.of(pid).command[0]).name == program:
                return pid
        raise RuntimeError(f"the cluster has no process of {program}")

    def _moved(self, endpoint):
        self._state["nodes"][0] |= {"endpoint": endpoint, "admin": endpoint, "pid": self._adopted["server"].pid}

    def count(self):
        totals = [one for one in sale_check.read_totals(self._state) if one["sku"] in self._skus]
        orders = frozenset(order for sku, order in query(self._state, ORDERS_SQL) if sku in self._skus)
        return Stored(sum(one["unsold"] for one in totals), sum(one["reserved"] for one in totals), orders)


def open_peer(kind, folder):
    """Not started yet."""
    return (Tranche if kind.name.startswith("tranche") else ProgramPeer)(kind, folder)
