"""What tests of alerts share: a cluster that sells, with a real Prometheus that watches its processes."""

import http.server
import json
import os
import signal
import subprocess
import threading
import time
import unittest

import cluster
import tranchectl
from backends import POSTGRES, ZOOKEEPER, Backend
from processes import Processes
from prometheus import Prometheus
from queue_servers import QueueServers

PAGE_WITHIN_S = 60
CLEAR_WITHIN_S = 90
JOBS = {"nodes": "tranched", "balancers": "tranche-balancer", "workers": "tranche-worker",
        "consumers": "tranche-consumer"}
NODES = 3
SHOP, OPERATOR = "service", "operator"


class Shop(http.server.ThreadingHTTPServer):
    """Takes messages, or refuses all of them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Watched(unittest.TestCase):
    """A cluster that Prometheus watches."""

    with_queue = False  # a broker and a consumer, too

    @classmethod
    def setUpClass(cls):
        cls.folder = cluster.make_scratch_folder("alerting")
        cls.addClassCleanup(cluster.remove, cls.folder)
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.close)
        secret = cls.folder / "secret"
        secret.touch(0o600)
        secret.write_text("a-secret-of-this-test-and-no-other\n")
        cls.access_file = cls.folder / "access.json"
        cls.allow(SHOP, OPERATOR)
        cls.queue = QueueServers(cls.folder)
        cls.addClassCleanup(cls.queue.stop_all)
        if cls.with_queue:
            cls.queue.start_broker()
        process, cls.state = cluster.start(
            cls.folder, cls.folder / "state.json", NODES, 1, keep=False, metrics=True,
            node_args=("--access-file", cls.access_file, *(cls.queue.queue_args() if cls.with_queue else ())),
            worker_args=("--sink", f"default=webhook:http://127.0.0.1:{cls.shop.server_port}/hook",
                         "--sink-secret-file", f"default={secret}"))
        cls.addClassCleanup(cluster.stop, process.pid, process)
        if cls.with_queue:
            cls.addClassCleanup(cls.queue.stop_consumers)
            cls.queue.start_consumers(cls.state)
        # They end after the processes that a test has started again, and before the cluster deletes their data.
        cls.zookeeper, cls.postgres = Backend(cls.state, ZOOKEEPER), Backend(cls.state, POSTGRES)
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.addClassCleanup(cls.postgres.stop)
        cls.processes = Processes(cls.state)
        cls.addClassCleanup(cls.processes.stop_all)
        targets = {job: [process["metrics"] for process in cls.state[kind]] for kind, job in JOBS.items()
                   if kind in cls.state}
        cls.prometheus = Prometheus(cls.folder, targets)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.begun = time.monotonic()
        cls.await_all_up()

    @classmethod
    def allow(cls, *roles):
        """Callers without credentials, as all are here, have these roles as soon as the nodes have read it."""
        new = cls.folder / "access.json.new"
        new.write_text(json.dumps({"anonymous": roles, "principals": []}))
        new.chmod(0o644)  # whatever the umask is: nodes refuse one that others may write
        os.replace(new, cls.access_file)

    @classmethod
    def await_all_up(cls):
        cls.prometheus.await_true("all processes are scraped",
                                  lambda: sum(up for _, up in cls.prometheus.query("up"))
                                  == len(cluster.servers(cls.state)))

    def sell_out(self, sku, stock, per_s, meanwhile=lambda: None):
        """A sale to three times as many buyers as there are units. Meanwhile one node is drained and taken back, and
        another is restarted."""
        self.create_sku(sku, stock, hold="2h")
        load = self.start_load(sku, 3 * stock, per_s, self.reservations(sku))
        tranchectl.ctl(self.state, "node", "drain", "node-2", "--wait", "--yes")
        tranchectl.ctl(self.state, "node", "undrain", "node-2", "--yes")
        self.restart("node-3")
        meanwhile()
        load.wait(tranchectl.CALL_TIMEOUT_S)
        self.await_all_up()
        # What the restarted node's callers asked for in vain.
        self.start_load(sku, stock, per_s, self.folder / "late.ids").wait(tranchectl.CALL_TIMEOUT_S)
        (row,) = [line for line in tranchectl.ctl(self.state, "sku", "list").splitlines() if line.startswith(f"{sku} ")]
        self.assertIn("SOLD_OUT", row)
        self.assertGreater(self.outcome("SOLD_OUT"), 0)

    def restart(self, name, by=signal.SIGTERM, more=()):
        """At once. `more`: flags besides those of before."""
        self.processes.stop(name, by)
        self.processes.start(name, *more)

    def create_sku(self, sku, stock, hold):
        tranchectl.ctl(self.state, "sku", "create", sku, "--stock", stock, "--price", "10.00", "--currency", "EUR",
                       "--hold", hold)
        tranchectl.wait_until_announced(self.state, [sku])

    def reservations(self, sku):
        """The file of their ids."""
        return self.folder / f"{sku}.ids"

    def start_load(self, sku, requests, per_s, reservations, *more):
        """`more`: flags besides."""
        endpoints = ",".join(node["endpoint"] for node in self.state["nodes"])
        command = [cluster.BIN / "tranche-load", "--endpoints", endpoints, "--sku", sku, "--requests", requests,
                   "--rate", per_s, "--acknowledged", reservations, *more]
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def outcome(self, word):
        """As the last scrape saw it."""
        return sum(value for _, value in self.prometheus.query(f'tranche_claims_total{{outcome="{word}"}}'))

    def expect(self, alert, strike, mend, within_s=PAGE_WITHIN_S, others=frozenset(), also=frozenset()):
        """It fires in time, as do those of `also`; nothing else does but perhaps `others`, and all clear when the fault is
        mended."""
        before, wanted = self.ever_fired(), {alert, *also}
        strike()
        took_s = self.await_alerts(f"{alert} fires", lambda: wanted <= self.prometheus.firing(), within_s)
        mend()
        cleared_s = self.await_alerts(f"{alert} clears", lambda: not self.prometheus.firing(), CLEAR_WITHIN_S)
        print(f"{alert}: fired after {took_s:.0f} s, cleared {cleared_s:.0f} s after the end", flush=True)
        self.await_all_up()
        self.assertEqual(self.ever_fired() - before - others, wanted)

    def await_alerts(self, what, condition, within_s):
        try:
            return self.prometheus.await_true(what, condition, within_s)
        except cluster.ClusterError as error:
            raise cluster.ClusterError(f"{error}; alerts: {self.prometheus.alerts()}") from None

    def ever_fired(self):
        return self.prometheus.ever_fired(time.monotonic() - self.begun + 1)

    def expect_no_worker(self):
        self.expect("TrancheNoWorker", lambda: self.processes.stop("worker-1"),
                    lambda: self.processes.start("worker-1"))
