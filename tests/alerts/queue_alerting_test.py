"""The alerts about claim queues in a real Prometheus that watches real processes, RabbitMQ among them: queued claims fire
nothing, and a lost consumer and a lost broker each their alert.

    queue_alerting_test.py BIN_DIR
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
import tranchectl  # noqa: E402
from watched import Watched  # noqa: E402

SKU = "poster"
CLAIMS_PER_S = 20
SHOWN_WITHIN_S = 60
QUIET_S = 40


class Queue(Watched):
    with_queue = True

    def test_queued_claims_fire_nothing_and_each_fault_its_alert(self):
        self.allow("service", "operator", "admin")  # the last one may rotate keys
        self.prometheus.await_true("the front door has a key", lambda: self.rotate().returncode == 0)
        self.create_sku(SKU, stock=1_000_000, hold="2h")
        tranchectl.ctl(self.state, "sku", "update", SKU, "--path", "queue", "--yes")
        self.start_claims()
        self.see_every_metric()
        self.prometheus.await_true("claims are decided", lambda: self.decided_per_s() > 1, SHOWN_WITHIN_S)
        self.prometheus.await_evaluations(QUIET_S)
        self.assertEqual(self.ever_fired(), set())
        self.expect("TrancheNoConsumer", lambda: self.processes.stop("consumer-1", signal.SIGKILL),
                    lambda: self.processes.start("consumer-1"))
        # Consumers are not connected, either; but what waits is not known then. What was refused counts for a minute.
        self.expect("TrancheQueueUnreachable", self.queue.kill_broker, self.queue.run_broker,
                    others={"TrancheRefusalsUnusual"})
        self.prometheus.await_true("claims are decided again", lambda: self.decided_per_s() > 1, SHOWN_WITHIN_S)

    def rotate(self):
        return tranchectl.run(self.state, "door", "key", "rotate", "--yes")

    def start_claims(self):
        endpoints = ",".join(node["endpoint"] for node in self.state["nodes"])
        command = [cluster.BIN / "tranche-queue-load", "--endpoints", endpoints, "--sku", SKU, "--rate", CLAIMS_PER_S,
                   "--no-ask", "--finish-s", 0, "--answers", self.folder / "claims"]
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def decided_per_s(self):
        rates = self.prometheus.query('rate(tranche_consumer_claims_total{outcome="sold"}[10s])')
        return sum(value for _, value in rates)

    def see_every_metric(self):
        expressions = [rule.expression for rule in alert_rules.rules()] + dashboards.expressions()
        wanted = {name for name in set().union(*map(alert_rules.metrics_of, expressions))
                  if name.startswith(("tranche_queue_", "tranche_consumer_"))}
        self.prometheus.await_true(f"all of {sorted(wanted)} are there",
                                   lambda: wanted <= self.prometheus.metric_names(), SHOWN_WITHIN_S)


if __name__ == "__main__":
    unittest.main(verbosity=2)
