"""The alert rules in a real Prometheus that watches real processes: ordinary sales fire nothing, and each fault fires its
alert in time, which clears when the fault is mended.

    alerting_test.py BIN_DIR Short|Long
"""

import http.server
import json
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
TICKET_WITHIN_S = 90
LASTING_WITHIN_S = 300 + TICKET_WITHIN_S  # what must last for five minutes
OVERDUE_WITHIN_S = 60 + PAGE_WITHIN_S  # holds that are a minute late
CLEAR_WITHIN_S = 90
SHOWN_WITHIN_S = 60  # a worker reads the ledger's state every 10 s
QUIET_S = 100  # as long as the longest "for" of an alert that a sale could fire
JOBS = {"nodes": "tranched", "balancers": "tranche-balancer", "workers": "tranche-worker"}
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
        process, cls.state = cluster.start(
            cls.folder, cls.folder / "state.json", NODES, 1, keep=False, metrics=True,
            node_args=("--access-file", cls.access_file),
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
    def allow(cls, *roles):
        """Callers without credentials, as all are here, have these roles as soon as the nodes have read it."""
        new = cls.folder / "access.json.new"
        new.write_text(json.dumps({"anonymous": roles, "principals": []}))
        new.chmod(0o644)  # whatever the umask is: nodes refuse one that others may write
        os.replace(new, cls.access_file)

    @classmethod
    def await_all_up(cls):
        cls.prometheus.await_true("all processes are scraped",
                                  lambda: sum(up for _, up in cls.prometheus.query("up")) == NODES + 2)

    def sell_out(self, sku, stock, per_s):
        """A sale to three times as many buyers as there are units. Meanwhile one node is drained and taken back, and
        another is restarted."""
        self.create_sku(sku, stock, hold="2h")
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

    def create_sku(self, sku, stock, hold):
        tranchectl.ctl(self.state, "sku", "create", sku, "--stock", stock, "--price", "10.00", "--currency", "EUR",
                       "--hold", hold)
        tranchectl.wait_until_announced(self.state, [sku])

    def reservations(self, sku):
        """The file of their ids."""
        return self.folder / f"{sku}.ids"

    def start_load(self, sku, requests, per_s, reservations):
        endpoints = ",".join(node["endpoint"] for node in self.state["nodes"])
        command = [cluster.BIN / "tranche-load", "--endpoints", endpoints, "--sku", sku, "--requests", requests, "--rate", per_s, "--acknowledged", reservations]
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


class Short(Watched):
    def test_a_sale_fires_nothing_and_a_lost_worker_does(self):
        self.sell_out("tv", stock=1000, per_s=500)
        self.try_what_is_for_an_admin()
        self.see_every_metric()
        # Also what the sale might have set off would fire meanwhile.
        self.expect_no_worker()
        self.assertEqual(self.ever_fired(), {"TrancheNoWorker"})

    def try_what_is_for_an_admin(self):
        """One denied call."""
        done = tranchectl.run(self.state, "outbox", "sink", "add", "books", "--yes")
        self.assertIn("CALLER_UNKNOWN", done.stdout + done.stderr)

    def see_every_metric(self):
        """What the rules and the dashboards look at is what the processes show."""
        expressions = [rule.expression for rule in alert_rules.rules()] + dashboards.expressions()
        # Those of TLS are not here, since this cluster has none; nor are those of the front door, which it does not use.
        wanted = {name for name in set().union(*map(alert_rules.metrics_of, expressions))
                  if not name.startswith(("tranche_tls_", "tranche_door_"))} | {"tranche_door_state_age_seconds"}
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
        self.to_cancel = sale_check.read_ids(self.reservations("lamp"))

        self.expect_no_worker()
        self.expect("TrancheNoLeader", lambda: self.processes.stop("balancer-1"),
                    lambda: self.processes.start("balancer-1"))
        self.expect("TrancheNodeGone", lambda: self.processes.stop("node-1", signal.SIGKILL),
                    lambda: self.processes.start("node-1"))
        self.expect("TrancheLedgerDown", lambda: self.run_sql("close_ledger.sql"),
                    lambda: self.run_sql("open_ledger.sql"))
        self.expect("TrancheUnitsStranded", self.kill_a_node_whose_sku_is_locked, self.unlock_and_start_it,
                    others={"TrancheNodeGone"})
        self.expect("TrancheHoldsOverdue", self.leave_holds, self.restart_worker, OVERDUE_WITHIN_S)
        self.expect("TrancheOutboxStuck", lambda: self.refuse_messages(503), self.take_messages)
        self.restart_worker("--give-up-attempts", "1", "--give-up-hours", "0")
        self.expect("TrancheOutboxDead", lambda: self.refuse_messages(422), self.deliver_dead_messages, TICKET_WITHIN_S)
        self.expect("TrancheAccessFileFaulty", self.lock_the_shop_out, self.let_the_shop_in, LASTING_WITHIN_S,
                    also={"TrancheCallsDenied"})

    def run_sql(self, name):
        ledger_query.query(self.state, HERE / name)

    def restart_worker(self, *more):
        self.processes.stop("worker-1")
        self.processes.start("worker-1", *more)

    def kill_a_node_whose_sku_is_locked(self):
        self.create_sku("radio", 30, hold="2h")
        self.lock = subprocess.Popen(
            ["psql", "-X", "-q", "-d", self.state["postgres"]["superuser"], "-f", HERE / "lock_sku.sql", "-f", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(self.lock.communicate)
        self.assertEqual(self.lock.stdout.readline(), "locked\n")
        self.processes.stop("node-2", signal.SIGKILL)

    def unlock_and_start_it(self):
        self.lock.communicate()
        self.processes.start("node-2")

    def leave_holds(self):
        """Of a second, while no worker expires them."""
        self.restart_worker("--expire", "off")
        self.create_sku("vase", 10, hold="1s")
        self.start_load("vase", 5, 5, self.reservations("vase")).wait(tranchectl.CALL_TIMEOUT_S)

    def refuse_messages(self, status):
        """Of three cancellations."""
        self.shop.status = status
        for _ in range(3):
            tranchectl.ctl(self.state, "reservation", "cancel", self.to_cancel.pop(), "--yes")

    def deliver_dead_messages(self):
        self.take_messages()
        tranchectl.ctl(self.state, "outbox", "retry", "--sink", "default", "--yes")

    def take_messages(self):
        self.shop.status = 200

    def lock_the_shop_out(self):
        """By a file that forgets it, and then by one that nobody can read, so that the first still holds."""
        before = self.access_files_read()
        self.allow(OPERATOR)
        self.prometheus.await_true("all nodes have read it", lambda: all(
            now > then for now, then in zip(self.access_files_read(), before)))
        self.access_file.write_text('{"anonymous": ["')
        self.locked_out = self.start_load("lamp", 5 * 2 * LASTING_WITHIN_S, 5, self.folder / "none.ids")

    def access_files_read(self):
        """How many each node has."""
        return [pathlib.Path(node["log_file"]).read_text(errors="replace").count("event access.loaded ")
                for node in self.state["nodes"]]

    def let_the_shop_in(self):
        self.allow(SHOP, OPERATOR)
        self.locked_out.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
