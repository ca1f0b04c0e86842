"""A sale with buyers and payments that goes on while one part after the other fails: the worker, the balancer, ZooKeeper,
PostgreSQL (killed, and hanging) and a front node. `tranchectl status`, an alert of a real Prometheus and the hint of a
command each name it within a minute, and it clears by itself within a minute after the part is back.

    fault_walk_test.py BIN_DIR
"""

import dataclasses
import json
import os
import pathlib
import signal
import sys
import time
import typing
import unittest

HERE = pathlib.Path(__file__).resolve().parent
os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "lib"), str(HERE)]

import tranchectl  # noqa: E402
from cluster import ClusterError  # noqa: E402
from watched import Watched  # noqa: E402

NAMED_WITHIN_S = CLEARED_WITHIN_S = 60
LOOK_EVERY_S = 0.2
# TrancheRefusalsUnusual goes by an average over a minute, so it may outlast an outage of PostgreSQL by that long. It is not
# the fault's own alert; the next fault waits until nothing fires or is about to.
QUIET_WITHIN_S = 300
SALE = "tv"
STOCK, CLAIMS_PER_S, PAYMENTS_PER_S = 1_000_000, 40, 10
SALE_LASTS = "60m"  # longer than the walk; it ends the sale
# A node that has ended is no problem while a balancer leads: its units are elsewhere at once. Status lists it.
NO_PROBLEM = ""
NODE = "node-3"
HEALTHY, UNHEALTHY = 0, 3
WAYS = ("status", "alert", "hint")


@dataclasses.dataclass
class Fault:
    """`problem`: what status names; `hint` is in what `command` prints while it lasts, and not when it is over."""

    name: str
    strike: typing.Callable
    mend: typing.Callable
    problem: str
    alert: str
    command: tuple
    hint: str
    endpoint: str | None = None  # where `command` asks; None: at any node


class FaultWalk(Watched):
    def test_each_fault_is_named_and_clears(self):
        self.create_sku(SALE, STOCK, hold="2h")
        load = self.start_load(SALE, 0, CLAIMS_PER_S, self.reservations(SALE), "--duration", SALE_LASTS,
                               "--change-rate", PAYMENTS_PER_S, "--change-kinds", "confirm")
        self.await_sale()
        table = [self.walk(fault) for fault in self.faults()]
        self.assertIsNone(load.poll(), "the sale went on all the time")
        load.send_signal(signal.SIGINT)
        load.wait(tranchectl.CALL_TIMEOUT_S)
        self.print_table(table)
        self.assertEqual(tranchectl.verify(self.state).get("violations", []), [])

    def faults(self):
        return (
            self.of_process("worker killed", "worker-1", "NO_WORKER", "TrancheNoWorker", self.leave_a_hold,
                            ("reservation", "create", "--user", "bob", "vase"), "No worker of shard home"),
            self.of_process("balancer killed", "balancer-1", "NO_BALANCER", "TrancheNoLeader", self.leave_a_pool,
                            ("quota", "show", "lamp"), "No balancer of shard home"),
            self.of_process("node killed", NODE, NO_PROBLEM, "TrancheNodeGone", lambda: None,
                            ("sku", "list"), "is a front node running there?", self.endpoint_of(NODE)),
            Fault("ZooKeeper killed", self.zookeeper.kill, self.zookeeper.start, "ZOOKEEPER_SILENT",
                  "TrancheZookeeperDown", ("zk", "dump", "/balancer"), "check ZooKeeper"),
            Fault("PostgreSQL killed", self.postgres.kill, self.postgres.start, "LEDGER_DOWN", "TrancheLedgerDown",
                  ("sku", "show", SALE), "PostgreSQL"),
            Fault("PostgreSQL hangs", self.postgres.suspend, self.postgres.resume, "LEDGER_DOWN", "TrancheLedgerDown",
                  ("sku", "show", SALE), "PostgreSQL"),
        )

    def of_process(self, name, process, problem, alert, afterwards, command, hint, endpoint=None):
        def strike():
            self.processes.stop(process, signal.SIGKILL)
            afterwards()

        return Fault(name, strike, lambda: self.processes.start(process), problem, alert, command, hint,
                     endpoint)

    def leave_a_hold(self):
        """Of the only unit, that nobody expires."""
        tranchectl.ctl(self.state, "sku", "create", "vase", "--stock", 1, "--price", "10.00", "--currency", "EUR",
                       "--hold", "1s", "--no-presplit")
        claim = ("reservation", "create", "--user", "alice", "vase")
        self.prometheus.await_true("the unit is held", lambda: tranchectl.run(self.state, *claim).returncode == 0)

    def leave_a_pool(self):
        """Of units that nobody hands out."""
        tranchectl.ctl(self.state, "sku", "create", "lamp", "--stock", 10, "--price", "10.00", "--currency", "EUR")

    def endpoint_of(self, name):
        return next(node["admin"] for node in self.state["nodes"] if node["name"] == name)

    def walk(self, fault):
        """How many seconds it took until each way named it, and until each said no more."""
        self.gone_before = self.gone_incarnations()
        begun = time.monotonic()
        fault.strike()
        named = self.await_each(f"{fault.name} is named", begun, NAMED_WITHIN_S, {
            "status": lambda: self.status_names(fault), "alert": lambda: fault.alert in self.prometheus.firing(),
            "hint": lambda: fault.hint in self.tell(fault)})
        fault.mend()
        cleared = self.await_each(f"{fault.name} is over", time.monotonic(), CLEARED_WITHIN_S, {
            "status": self.is_healthy, "alert": lambda: fault.alert not in self.prometheus.firing(),
            "hint": lambda: fault.hint not in self.tell(fault)})
        self.await_sale()
        self.await_alerts("nothing fires or will", lambda: not self.prometheus.alerts(), QUIET_WITHIN_S)
        print(f"{fault.name}: named {named}, cleared {cleared}", flush=True)
        return fault.name, named, cleared

    def await_each(self, what, begun, within_s, ways):
        took = {}
        while True:
            for way in [way for way in ways if way not in took]:
                if ways[way]():
                    took[way] = round(time.monotonic() - begun)
            if len(took) == len(ways):
                self.assertLessEqual(max(took.values()), within_s, f"{what}: {took}")
                return took
            if time.monotonic() > begun + within_s:
                _, status = self.status()
                raise ClusterError(f"not within {within_s} s: {what}; {took} s; alerts: {self.prometheus.alerts()}; "
                                   f"status: {json.dumps(status)}")
            time.sleep(LOOK_EVERY_S)

    def status(self):
        """The exit status, and what it says; {} if no node was there to say it."""
        done = tranchectl.run(self.state, "status", "-o", "json")
        return done.returncode, json.loads(done.stdout or "{}")

    def status_names(self, fault):
        code, status = self.status()
        if fault.problem == NO_PROBLEM:
            return bool(self.gone_in(status) - self.gone_before)
        return code == UNHEALTHY and fault.problem in {problem["code"] for problem in status.get("problems", [])}

    def is_healthy(self):
        code, status = self.status()
        nodes = {node["name"] for node in status.get("nodes", [])}
        return code == HEALTHY and len(nodes) == len(self.state["nodes"])

    def gone_incarnations(self):
        return self.gone_in(self.status()[1])

    @staticmethod
    def gone_in(status):
        """Incarnations of the node that have ended."""
        return {node["incarnation"] for node in status.get("gone_nodes", []) if node["name"] == NODE}

    def tell(self, fault):
        """All that the fault's command prints."""
        done = tranchectl.run(self.state, *fault.command, endpoint=fault.endpoint)
        return done.stdout + done.stderr

    def await_sale(self):
        """Buyers get units, and payments are booked."""
        for what in ('tranche_claims_total{outcome="created"}', 'tranche_changes_total{outcome="confirmed"}'):
            self.prometheus.await_true(f"{what} grows", lambda what=what: self.rate_of(what) > 0, CLEARED_WITHIN_S)

    def rate_of(self, counter):
        return sum(value for _, value in self.prometheus.query(f"rate({counter}[5s])"))

    @staticmethod
    def print_table(table):
        columns = [f"{when} by {way}" for when in ("named", "cleared") for way in WAYS]
        print(f"{'seconds until':<20}" + "".join(f"{column:>19}" for column in columns))
        for name, named, cleared in table:
            print(f"{name:<20}" + "".join(f"{took[way]:>19}" for took in (named, cleared) for way in WAYS), flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
