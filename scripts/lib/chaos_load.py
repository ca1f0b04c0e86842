"""The buyers, and the warehouse that keeps them supplied."""

import json
import subprocess
import threading
import time

import chaos_cluster
from chaos_answers import AnswersTail
from chaos_changes import ChangesTail
from chaos_process import Process, on_host
from cluster import BIN, ClusterError, environment, log_tail

STOP_TIMEOUT_S = 180
CALL_TIMEOUT_S = 120
# What gRPC says of a node that takes no connection.
NOT_CONNECTED = "failed to connect"
# How long the stock must last at the offered rate: below the first, the warehouse adds more, up to the second.
LOW_S, FULL_S = 1.0, 2.5
# How much is delivered to see whether units leave the pool, in seconds of demand.
DELIVERY_S = 0.2
# For a request; generous, so that a busy machine does not look like a broken cluster.
TIMEOUT_MS = 5000
PRICE = "9.99"
CURRENCY = "EUR"
# The payers' SKU has more than they buy in a week. They buy more than they change, so that they always have something to
# change: also in a stall, when nothing can be bought.
PAID_SKU, PAID_STOCK = "book", 100_000_000
# Few, so that they do not help a node that answers a change only when another one comes.
CHANGES_PER_NODE, PAYERS_PER_CHANGE = 2, 3
# So short that changes outlive it while the ledger stands still.
CHANGE_TIMEOUT_MS = 1000


class Operator:
    """tranchectl, on the callers' host if the nodes let operators in there."""

    def __init__(self, cluster):
        self._cluster = cluster

    def run(self, *args, role="operator"):
        network, doors = self._cluster.network, self._cluster.doors
        nodes = self._cluster.able_nodes() or self._cluster.nodes
        for host, endpoints in doors.desks(network, nodes, chaos_cluster.CLIENT):
            command = [BIN / "tranchectl", "--endpoint", endpoints, *doors.client_flags(role), *args]
            done = subprocess.run(on_host(network, host, command), capture_output=True, text=True, env=environment(),
                                  timeout=CALL_TIMEOUT_S)
            if done.returncode == 0 or NOT_CONNECTED not in done.stderr:
                break
        return done

    def do(self, *args, role="operator"):
        done = self.run(*args, role=role)
        if done.returncode != 0:
            raise ClusterError(f"tranchectl {' '.join(map(str, args))}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def knows(self, *words):
        """Whether this tranchectl has the command: older ones do not."""
        return self.run(*words, "--help").returncode == 0

    def verify(self):
        return json.loads(self.run("verify", "-o", "json").stdout)


class Buyers:
    """tranche-load at an open-loop rate, each request from another buyer, until told to stop."""

    def __init__(self, cluster, skus, rate):
        self.answers_file = cluster.folder / "answers"
        self.summary_file = cluster.folder / "load-summary.json"
        command = [BIN / "tranche-load", "--endpoints", ",".join(cluster.node_addresses()), "--rate", rate]
        command += ["--requests", 0, "--duration", "100h", "--timeout-ms", TIMEOUT_MS, "--no-progress"]
        for sku in skus:
            command += ["--sku", sku]
        command += ["--answers", self.answers_file, "--summary", self.summary_file]
        command += cluster.doors.client_flags("service")
        self._process = Process(cluster.network, chaos_cluster.CLIENT, "tranche-load", command,
                                cluster.folder / "load.log")
        self._process.start()
        self.answers = AnswersTail(self.answers_file, rate)

    def running(self):
        return self._process.running()

    def stop(self):
        """Ends the demand, settles requests in doubt, and returns the generator's own figures."""
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-load failed:\n{log_tail(self._process.log_file)}")
        self.answers.stop()
        return json.loads(self.summary_file.read_text())

    def kill(self):
        self._process.kill()
        self.answers.stop()


class Payers:
    """A tranche-load whose reservations are confirmed, cancelled and extended, at every node all the time.

    They have a SKU of their own: cancelled units come back, and would look like stranded ones.
    """

    def __init__(self, cluster, operator):
        self._cluster = cluster
        operator.do("sku", "create", PAID_SKU, "--stock", PAID_STOCK, "--price", PRICE, "--currency", CURRENCY,
                    "--hold", "24h", "--max-hold", "48h", "--max-extensions", 100)
        self.answers_file = cluster.folder / "payers-answers"
        self.changes_file = cluster.folder / "changes"
        changes = CHANGES_PER_NODE * len(cluster.node_addresses())
        command = [BIN / "tranche-load", "--endpoints", ",".join(cluster.node_addresses()), "--sku", PAID_SKU]
        command += ["--requests", 0, "--duration", "100h", "--rate", PAYERS_PER_CHANGE * changes, "--no-progress"]
        command += ["--timeout-ms", TIMEOUT_MS, "--answers", self.answers_file, "--change-rate", changes]
        command += ["--change-timeout-ms", CHANGE_TIMEOUT_MS, "--change-answers", self.changes_file]
        command += cluster.doors.client_flags("service")
        self._process = Process(cluster.network, chaos_cluster.CLIENT, "tranche-load", command,
                                cluster.folder / "payers.log")
        self._process.start()
        self._changes = ChangesTail(self.changes_file)

    def running(self):
        return self._process.running()

    def well_since(self, began):
        """By the name of each node that can serve, since when it has done every change; None: it is not well yet."""
        names = {self._cluster.address_of(node): node.name for node in self._cluster.able_nodes()}
        return {names[node]: at for node, at in self._changes.well_since(began, names).items()}

    def await_changes(self):
        chaos_cluster.wait_until(lambda: None not in self.well_since(0).values(), "changes at every node")

    def stop(self):
        """Ends the changes, and settles those in doubt."""
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-load failed:\n{log_tail(self._process.log_file)}")
        self._changes.stop()

    def kill(self):
        self._process.kill()
        self._changes.stop()


class Warehouse:
    """A thread that adds stock whenever few units are sellable, as long as it is open."""

    INTERVAL_S = 0.1

    def __init__(self, operator, watch, skus, rate):
        self._operator, self._watch, self._skus = operator, watch, skus
        self._rate = rate / len(skus)
        self._open = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._stop = threading.Event()
        self._stuck = frozenset()
        self._delivery = None
        self.added = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def create_skus(self):
        for sku in self._skus:
            self._operator.do("sku", "create", sku, "--stock", 0, "--price", PRICE, "--currency", CURRENCY,
                              "--hold", "24h")

    def open(self, stuck=()):
        """`stuck`: holders that cannot sell; what they hold does not count."""
        self._stuck, self._delivery = frozenset(stuck), None
        self._open.set()

    def free(self):
        """Nobody is stuck any more."""
        self._stuck = frozenset()

    def deliver(self, recovery):
        """Adds a little to every SKU, as soon as the cluster lets it, and tells `recovery` when that is done."""
        self._delivery = (recovery, list(self._skus))

    def close(self):
        """Returns when nothing is added any more."""
        self._open.clear()
        self._idle.wait()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(self.INTERVAL_S):
            self._idle.clear()
            if self._open.is_set():
                self._work_on_delivery()
                for sku in self._skus:
                    self._supply(sku)
            self._idle.set()

    def _work_on_delivery(self):
        if self._delivery is None:
            return
        recovery, skus = self._delivery
        while skus and self._add(skus[-1], max(1, int(DELIVERY_S * self._rate))):
            skus.pop()
        if not skus:
            recovery.deliver(time.time())
            self._delivery = None

    def _add(self, sku, units):
        if self._operator.run("--timeout", "5s", "stock", "add", sku, units, "--yes").returncode != 0:
            self.refused += 1
            return False
        self.added += units
        return True

    def _supply(self, sku):
        sample = self._watch.last()
        # An old sample does not contain what was added meanwhile.
        if sample is None or time.time() - sample.at > 0.5:
            return
        sellable = sum(units for (holder, name), units in sample.held.items()
                       if name == sku and holder not in self._stuck)
        if sellable >= LOW_S * self._rate:
            return
        units = int(FULL_S * self._rate) - sellable
        if self._add(sku, units):
            self._watch.await_fresh()
