"""The alert rules in a real Prometheus that watches real processes: ordinary sales fire nothing, and each fault fires its
alert in time, which clears when the fault is mended.

    alerting_test.py BIN_DIR Short|Long
"""

import os
import pathlib
import signal
import subprocess
import sys
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
from watched import OPERATOR, PAGE_WITHIN_S, SHOP, Watched  # noqa: E402

TICKET_WITHIN_S = 90
LASTING_WITHIN_S = 300 + TICKET_WITHIN_S  # what must last for five minutes
OVERDUE_WITHIN_S = 60 + PAGE_WITHIN_S  # holds that are a minute late
SHOWN_WITHIN_S = 60  # a worker reads the ledger's state every 10 s
QUIET_S = 100  # as long as the longest "for" of an alert that a sale could fire
LEADS_WITHIN_S = 20  # a leader that was killed is followed when its session has ended, after 4 s


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
        # Those of TLS are not here, since this cluster has none; nor are those of the front door, its waiting rooms and
        # claim queues, which it does not use.
        not_here = ("tranche_tls_", "tranche_door_", "tranche_room_", "tranche_queue_", "tranche_consumer_")
        wanted = {name for name in set().union(*map(alert_rules.metrics_of, expressions))
                  if not name.startswith(not_here)} | {"tranche_door_state_age_seconds"}
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
            self.sell_out(sku, stock=3000, per_s=150, meanwhile=self.restart_balancer_and_worker)
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
        # What unpaid members hold is late, too.
        self.expect("TrancheGroupsOverdue", self.leave_groups, self.end_groups, OVERDUE_WITHIN_S,
                    others={"TrancheHoldsOverdue"})
        self.expect("TrancheOutboxStuck", lambda: self.refuse_messages(503), self.take_messages)
        self.restart_worker("--give-up-attempts", "1", "--give-up-hours", "0")
        self.expect("TrancheOutboxDead", lambda: self.refuse_messages(422), self.deliver_dead_messages, TICKET_WITHIN_S)
        self.expect("TrancheAccessFileFaulty", self.lock_the_shop_out, self.let_the_shop_in, LASTING_WITHIN_S,
                    also={"TrancheCallsDenied"})

    def restart_balancer_and_worker(self):
        """Each gracefully, and after a kill, by a supervisor that starts it at once. They are the only ones."""
        for by in (signal.SIGTERM, signal.SIGKILL):
            for name in ("balancer-1", "worker-1"):
                self.restart(name, by)
            self.await_all_up()
            self.prometheus.await_true("a balancer leads", lambda: self.leaders() == 1, LEADS_WITHIN_S)

    def leaders(self):
        return sum(value for _, value in self.prometheus.query("tranche_balancer_leads"))

    def run_sql(self, name):
        ledger_query.query(self.state, HERE / name)

    def restart_worker(self, *more):
        self.restart("worker-1", more=more)

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

    def leave_groups(self):
        """Of a second, while no worker ends them."""
        self.restart_worker("--expire", "off")
        self.create_sku("grill", 100, hold="1h")
        tranchectl.ctl(self.state, "group", "offer", "create", "grill", "trio", "--seats", 3, "--price", "8.00",
                       "--open-for", "1s", "--pay-within", "1s", "--yes")
        endpoints = ",".join(node["endpoint"] for node in self.state["nodes"])
        command = [cluster.BIN / "tranche-group-load", "--endpoints", endpoints, "--sku", "grill", "--offer", "trio",
                   "--rate", 5, "--answers", self.folder / "groups"]
        crowd = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(crowd.wait)
        self.addCleanup(crowd.terminate)
        self.prometheus.await_true("a group forms",
                                   lambda: "trio" in tranchectl.ctl(self.state, "group", "list", "grill"))
        crowd.terminate()
        crowd.wait(tranchectl.CALL_TIMEOUT_S)

    def end_groups(self):
        """While the alert fires, the status names it."""
        self.assertIn("GROUPS_OVERDUE", tranchectl.run(self.state, "status", "-o", "json").stdout)
        self.restart_worker()

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
