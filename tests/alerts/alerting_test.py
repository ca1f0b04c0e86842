"""The alert rules in a real Prometheus that watches real processes: ordinary sales fire nothing, and each fault fires its alert
within a minute, which clears when the fault is mended.

    alerting_test.py BIN_DIR Short|Long
"""

import http.server
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "lib"), str(HERE)]

import alert_rules  # noqa: E402
import cluster  # noqa: E402
import dashboards  # noqa: E402
import ledger_query  # noqa: E402
import sale_check  # noqa: E402
import tranchectl  # noqa: E402
from processes import Processes  # noqa: E402
from prometheus import Prometheus  # noqa: E402

PAGE_WITHIN_S = 60
CLEAR_WITHIN_S = 90
SHOWN_WITHIN_S = 60  # a worker reads the ledger's state every 10 s
QUIET_S = 100  # as long as the longest "for" of an alert that a sale could fire
JOBS = {"nodes": "tranched", "balancers": "tranche-balancer", "workers": "tranche-worker"}
NODES = 3


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

    @classmethod
    def setUpClass(cls):
        cls.folder = cluster.make_scratch_folder("alerting")
        cls.addClassCleanup(cluster.remove, cls.folder)
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.close)
        secret = cls.folder / "secret"
        secret.touch(0o600)
        secret.write_text("a-secret-of-this-test-and-no-other\n")
        process, cls.state = cluster.start(
            cls.folder, cls.folder / "state.json", NODES, 1, keep=False, metrics=True,
            worker_args=("--sink", f"default=webhook:http://127.0.0.1:{cls.shop.server_port}/hook",
                         "--sink-secret-file", f"default={secret}"))
        cls.addClassCleanup(cluster.stop, process.pid, process)
        cls.processes = Processes(cls.state)
        cls.addClassCleanup(cls.processes.stop_all)
        targets = {job: [process["metrics"] for process in cls.state[kind]] for kind, job in JOBS.items()}
        cls.prometheus = Prometheus(cls.folder, targets)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.begun = time.monotonic()
        cls.await_all_up()

    @classmethod
    def await_all_up(cls):
        cls.prometheus.await_true("all processes are scraped",
                                  lambda: sum(up for _, up in cls.prometheus.query("up")) == NODES + 2)

    def sell_out(self, sku, stock, per_s):
        """A sale to three times as many buyers as there are units. Meanwhile one node is drained and taken back, and
        another is restarted."""
        tranchectl.create_sku(self.state, sku, stock, 1000, "EUR")
        tranchectl.wait_until_announced(self.state, [sku])
        load = self.start_load(sku, 3 * stock, per_s, self.reservations(sku))
        tranchectl.ctl(self.state, "node", "drain", "node-2", "--wait", "--yes")
        tranchectl.ctl(self.state, "node", "undrain", "node-2", "--yes")
        self.processes.stop("node-3")
        self.processes.start("node-3")
        load.wait(tranchectl.CALL_TIMEOUT_S)
        self.await_all_up()
        # What the restarted node's callers asked for in vain.
        self.start_load(sku, stock, per_s, self.folder / "late.ids").wait(tranchectl.CALL_TIMEOUT_S)
        (row,) = [line for line in tranchectl.ctl(self.state, "sku", "list").splitlines() if line.startswith(f"{sku} ")]
        self.assertIn("SOLD_OUT", row)
        self.assertGreater(self.outcome("SOLD_OUT"), 0)

    def reservations(self, sku):
        """The file of their ids."""
        return self.folder / f"{sku}.ids"

    def start_load(self, sku, requests, per_s, reservations):
        command = [cluster.BIN / "tranche-load", "--endpoints", ",".join(node["endpoint"] for node in self.state["nodes"]),
                   "--sku", sku, "--requests", requests, "--rate", per_s, "--acknowledged", reservations]
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def outcome(self, word):
        """As the last scrape saw it."""
        return sum(value for _, value in self.prometheus.query(f'tranche_claims_total{{outcome="{word}"}}'))

    def expect(self, alert, strike, mend):
        """It fires within a minute, nothing else does, and it clears when the fault is mended."""
        before = self.ever_fired()
        strike()
        took_s = self.await_alerts(f"{alert} fires", lambda: alert in self.prometheus.firing(), PAGE_WITHIN_S)
        mend()
        cleared_s = self.await_alerts(f"{alert} clears", lambda: not self.prometheus.firing(), CLEAR_WITHIN_S)
        print(f"{alert}: fired after {took_s:.0f} s, cleared {cleared_s:.0f} s after the end", flush=True)
        self.await_all_up()
        self.assertEqual(self.ever_fired() - before, {alert})

    def await_alerts(self, what, condition, within_s):
        try:
            return self.prometheus.await_true(what, condition, within_s)
        except cluster.ClusterError as error:
            raise cluster.ClusterError(f"{error}; alerts: {self.prometheus.alerts()}") from None

    def ever_fired(self):
        return self.prometheus.ever_fired(time.monotonic() - self.begun + 1)

    def expect_no_worker(self):
        self.expect("TrancheNoWorker", lambda: self.processes.stop("worker-1"), lambda: self.processes.start("worker-1"))


class Short(Watched):
    def test_a_sale_fires_nothing_and_a_lost_worker_does(self):
        self.sell_out("tv", stock=1000, per_s=500)
        self.see_every_metric()
        # Also what the sale might have set off would fire meanwhile.
        self.expect_no_worker()
        self.assertEqual(self.ever_fired(), {"TrancheNoWorker"})

    def see_every_metric(self):
        """What the rules and the dashboards look at is what the processes show."""
        expressions = [rule.expression for rule in alert_rules.rules()] + dashboards.expressions()
        wanted = set().union(*map(alert_rules.metrics_of, expressions))
        missing = set()

        def none_missing():
            missing.clear()
            missing.update(wanted - self.prometheus.metric_names())
            return not missing

        try:
            self.prometheus.await_true("all metrics are there", none_missing, SHOWN_WITHIN_S)
        except cluster.ClusterError:
            self.assertEqual(missing, set(), "no process shows these")


class Long(Watched):
    def test_three_sales_fire_nothing_and_each_fault_its_alert(self):
        for sku in ("tv", "phone", "lamp"):
            self.sell_out(sku, stock=3000, per_s=500)
        self.prometheus.await_evaluations(QUIET_S)
        self.assertEqual(self.ever_fired(), set())

        self.expect_no_worker()
        self.expect("TrancheNoLeader", lambda: self.processes.stop("balancer-1"), lambda: self.processes.start("balancer-1"))
        self.expect("TrancheNodeGone", lambda: self.processes.stop("node-1", signal.SIGKILL),
                    lambda: self.processes.start("node-1"))
        self.expect("TrancheLedgerDown", lambda: self.run_sql("close_ledger.sql"), lambda: self.run_sql("open_ledger.sql"))
        self.expect("TrancheOutboxStuck", self.refuse_a_message, self.take_messages)

    def run_sql(self, name):
        ledger_query.query(self.state, HERE / name)

    def refuse_a_message(self):
        self.shop.status = 503
        for reservation in sorted(sale_check.read_ids(self.reservations("lamp")))[:3]:
            tranchectl.ctl(self.state, "reservation", "cancel", reservation, "--yes")

    def take_messages(self):
        self.shop.status = 200


if __name__ == "__main__":
    unittest.main(verbosity=2)
