"""The rules of docs/alerts: promtool reads them, and runs them on a healthy cluster, on each fault and on an ordinary sale.
And what belongs together is there: pages, dashboards, and the metrics that docs/metrics.md lists.

    alerts_test.py
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "lib"), str(pathlib.Path(__file__).resolve().parent)]

import alert_rules  # noqa: E402
import dashboards  # noqa: E402
import normal_sale  # noqa: E402
from alert_cases import CASES, JOBS, healthy  # noqa: E402
from series import END_S, FAULT_ENDS_S, HEALTHY_S, STEP_S, notation  # noqa: E402

RULES = alert_rules.RULES
SEVERITIES = {rule.name: rule.severity for rule in alert_rules.alerts()}
FIRING = 'ALERTS{alertstate="firing"}'
# An alert with the longest "for", and the windows of its rates, are over.
CLEARED_S = FAULT_ENDS_S + 120


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def sample(alert, labels):
    words = {"alertname": alert, "alertstate": "firing", "severity": SEVERITIES[alert]} | labels
    return {"labels": "ALERTS{%s}" % ",".join(f'{key}="{value}"' for key, value in words.items()), "value": 1}


def query(at_s, expression, samples=()):
    return {"eval_time": f"{at_s}s", "expr": expression, "exp_samples": list(samples)}


def of_case(case):
    """One of promtool's tests: only the fault's alerts fire, in time, and they clear."""
    expected = [(case.alert, case.within_s, case.labels), *case.others]
    queries = [query(HEALTHY_S - STEP_S, FIRING), query(CLEARED_S, FIRING), query(END_S - STEP_S, FIRING)]
    for within_s in {within_s for _, within_s, _ in expected}:
        fires = [sample(alert, labels) for alert, after_s, labels in expected if after_s <= within_s]
        queries.append(query(HEALTHY_S + within_s, FIRING, fires))
    queries.append(query(FAULT_ENDS_S - STEP_S, FIRING, [sample(alert, labels) for alert, _, labels in expected]))
    return {"name": f"{case.alert} {case.what}", "series": healthy() | case.changes, "queries": queries}


ORDINARY_SALE = {"name": "an ordinary sale", "series": normal_sale.shown(), "queries": [
    query(normal_sale.END_S - STEP_S, f"count_over_time({FIRING}[{normal_sale.END_S}s])"),
    query(normal_sale.END_S - STEP_S, "count(tranche_ledger_up)", [{"labels": "{}", "value": len(JOBS)}]),
]}


# What is forgotten for longer than the fault of a case.
FORGOTTEN = {"TrancheClusterFrozen", "TrancheServiceLimited", "TrancheRoomHeld"}
FROZEN_AT_S, FROZEN_S = 300, 3900
FREEZE_FIRES = 'ALERTS{alertname="TrancheClusterFrozen",alertstate="firing"}'
FREEZE = {
    "name": "a freeze that is forgotten",
    "series": {'tranche_cluster_frozen{instance="worker1",job="tranche-worker",shard="home"}':
               [(0, FROZEN_AT_S), (1, FROZEN_S), (0, 300)]},
    "queries": [query(FROZEN_AT_S + 3500, FREEZE_FIRES),
                query(FROZEN_AT_S + 3700, FREEZE_FIRES, [sample("TrancheClusterFrozen", {"shard": "home"})]),
                query(FROZEN_AT_S + FROZEN_S + 60, FREEZE_FIRES)]}


MODE_AT_S, MODE_S = 300, 900
MODE_FIRES = ('ALERTS{alertname=~"TrancheServiceLimited|TrancheHoldsOverdue|TrancheGroupsOverdue",'
              'alertstate="firing"}')
MODE = {
    "name": "a service mode that is forgotten, in which no hold expires and no group ends",
    "series": {'tranche_service_mode{instance="node1",job="tranched",mode="NORMAL"}':
               [(1, MODE_AT_S), (0, MODE_S), (1, 600)],
               'tranche_service_mode{instance="node1",job="tranched",mode="READ_ONLY"}':
               [(0, MODE_AT_S), (1, MODE_S), (0, 600)],
               'tranche_holds_overdue_oldest_seconds{instance="worker1",job="tranche-worker",shard="home"}':
               [(0, MODE_AT_S), (500, MODE_S + 60), (0, 540)],
               'tranche_groups_overdue{instance="worker1",job="tranche-worker",shard="home"}':
               [(0, MODE_AT_S), (7, MODE_S + 60), (0, 540)],
               'tranche_groups_late_seconds{instance="worker1",job="tranche-worker",shard="home"}':
               [(0, MODE_AT_S), (500, MODE_S + 60), (0, 540)]},
    "queries": [query(MODE_AT_S + 500, MODE_FIRES),
                query(MODE_AT_S + 700, MODE_FIRES, [sample("TrancheServiceLimited", {"mode": "READ_ONLY"})]),
                query(MODE_AT_S + MODE_S + 55, MODE_FIRES),
                query(MODE_AT_S + MODE_S + 200, MODE_FIRES)]}


# Of two rooms one is well; the other one's balancer knows it no more. And both are stalled, each for its own reason.
ROOM_AT_S, ROOM_S = 300, 200
STALL_FIRES = 'ALERTS{alertname="TrancheRoomStalled",alertstate="firing"}'
TWO_ROOMS = {
    "name": "a room that is well hides no other",
    "series": {'tranche_room_waiting{instance="balancer1",job="tranche-balancer",sku="tv"}': [(50, 700)],
               'tranche_room_computed_timestamp_seconds{instance="balancer1",job="tranche-balancer",sku="tv"}':
               [(1, 700)],
               'tranche_room_waiting{instance="balancer1",job="tranche-balancer",sku="radio"}': [(70, 700)],
               'tranche_room_computed_timestamp_seconds{instance="balancer1",job="tranche-balancer",sku="radio"}':
               [(1, ROOM_AT_S), (0, ROOM_S), (1, 200)]},
    "queries": [query(ROOM_AT_S - STEP_S, STALL_FIRES),
                query(ROOM_AT_S + 60, STALL_FIRES, [sample("TrancheRoomStalled", {"sku": "radio"})])]}
AN_EMPTY_ROOM = {
    "name": "an empty room hides no other",
    "series": {'tranche_door_checks_total{check="room",instance="node1",job="tranched",verdict="refused"}':
               [(0, ROOM_AT_S), (80, ROOM_S), (0, 200)],
               'tranche_room_waiting{instance="balancer1",job="tranche-balancer",sku="tv"}': [(0, 700)],
               'tranche_room_computed_timestamp_seconds{instance="balancer1",job="tranche-balancer",sku="tv"}':
               [(1, 700)]},
    "queries": [query(ROOM_AT_S - STEP_S, STALL_FIRES),
                query(ROOM_AT_S + 60, STALL_FIRES, [sample("TrancheRoomStalled", {})]),
                query(ROOM_AT_S + ROOM_S + 120, STALL_FIRES)]}


HELD_AT_S, HELD_S = 300, 900
HELD_FIRES = 'ALERTS{alertname="TrancheRoomHeld",alertstate="firing"}'
HELD = {
    "name": "a room that is held and forgotten",
    "series": {'tranche_room_waiting{instance="balancer1",job="tranche-balancer",sku="tv"}': [(50, 1800)],
               'tranche_room_held{instance="balancer1",job="tranche-balancer",reason="rate_zero",sku="tv"}':
               [(0, HELD_AT_S), (1, HELD_S), (0, 600)],
               # Nobody waits in it.
               'tranche_room_waiting{instance="balancer1",job="tranche-balancer",sku="radio"}': [(0, 1800)],
               'tranche_room_held{instance="balancer1",job="tranche-balancer",reason="rate_zero",sku="radio"}':
               [(1, 1800)]},
    "queries": [query(HELD_AT_S + 500, HELD_FIRES),
                query(HELD_AT_S + 700, HELD_FIRES, [sample("TrancheRoomHeld", {"sku": "tv"})]),
                query(HELD_AT_S + HELD_S + 60, HELD_FIRES)]}


def whole(test):
    """As promtool reads it."""
    return {
        "interval": f"{STEP_S}s", "name": test["name"],
        "input_series": [{"series": name, "values": notation(name, parts)} for name, parts in test["series"].items()],
        "promql_expr_test": test["queries"], "external_labels": {"tranche_runbook": "https://wiki.example/runbook"},
        "alert_rule_test": test.get("alerts", []),
    }


class Rules(unittest.TestCase):
    def run_tests(self, *tests, rules=RULES):
        """JSON is YAML, too."""
        with tempfile.TemporaryDirectory(prefix="tranche-alerts-") as folder:
            file = pathlib.Path(folder) / "test.yml"
            file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": f"{STEP_S}s",
                                        "tests": [whole(test) for test in tests]}))
            return promtool("test", "rules", file)

    def test_promtool_reads_the_rules_and_the_example(self):
        for arguments in (("check", "rules", RULES), ("check", "config", RULES.parent / "prometheus.example.yml")):
            status, output = promtool(*arguments)
            self.assertEqual(status, 0, output)

    def test_each_alert_fires_in_a_fault_and_clears(self):
        self.assertEqual({case.alert for case in CASES} | FORGOTTEN, set(SEVERITIES), "each alert needs a case")
        for case in CASES:
            with self.subTest(alert=case.alert, what=case.what):
                status, output = self.run_tests(of_case(case))
                self.assertEqual(status, 0, output)

    def test_a_freeze_becomes_a_ticket_after_an_hour(self):
        status, output = self.run_tests(FREEZE)
        self.assertEqual(status, 0, output)

    def test_a_service_mode_becomes_a_ticket_after_ten_minutes_and_its_holds_no_page(self):
        status, output = self.run_tests(MODE)
        self.assertEqual(status, 0, output)

    def test_a_held_room_in_which_somebody_waits_becomes_a_ticket_after_ten_minutes(self):
        status, output = self.run_tests(HELD)
        self.assertEqual(status, 0, output)

    def test_no_room_hides_another_that_stalls(self):
        for test in (TWO_ROOMS, AN_EMPTY_ROOM):
            with self.subTest(test["name"]):
                status, output = self.run_tests(test)
                self.assertEqual(status, 0, output)

    def test_no_alert_fires_in_an_ordinary_sale(self):
        status, output = self.run_tests(ORDINARY_SALE)
        self.assertEqual(status, 0, output)

    def test_the_patience_of_the_rules_matters_in_that_sale(self):
        hasty = re.sub(r"(?m)^( +for:) .*", r"\1 0s", RULES.read_text())
        with tempfile.TemporaryDirectory(prefix="tranche-alerts-") as folder:
            rules = pathlib.Path(folder) / "hasty.yml"
            rules.write_text(hasty)
            status, output = self.run_tests(ORDINARY_SALE, rules=rules)
        self.assertNotEqual(status, 0)
        for alert in ("TrancheLedgerDown", "TrancheNoLeader", "TrancheNoWorker", "TrancheNodeGone",
                      "TrancheNoConsumer", "TrancheRoomStalled", "TrancheAccessFileFaulty", "TrancheTlsFilesFaulty",
                      "TrancheCallsDenied"):
            self.assertIn(f'alertname="{alert}"', output)

    def test_the_text_says_where_and_links_to_the_page(self):
        (case,) = [case for case in CASES if case.alert == "TrancheNoWorker" and "hot" in case.labels.values()]
        alert = {"exp_labels": {"severity": "page", "shard": "hot"}, "exp_annotations": {
            "summary": "No worker runs for shard hot",
            "description": "Unpaid holds do not expire, so their units look sold, and no messages are delivered.",
            "runbook_url": "https://wiki.example/runbook/TrancheNoWorker.md"}}
        status, output = self.run_tests(of_case(case) | {"alerts": [
            {"eval_time": f"{HEALTHY_S + 60}s", "alertname": case.alert, "exp_alerts": [alert]}]})
        self.assertEqual(status, 0, output)


class WhatBelongsTogether(unittest.TestCase):
    def test_rules_pages_and_metrics(self):
        self.assertEqual(alert_rules.problems(), [])

    def test_dashboards_are_made_from_the_list_and_show_metrics_that_exist(self):
        self.assertEqual(dashboards.problems(), [])

    def test_what_does_not_belong_is_found(self):
        known = {"tranche_claims_total", "tranche_commit_queueing_seconds", "grpc_server_handled_total"}
        for expression, problem in (
            ("sum by (shard) (rate(tranche_claims_total{outcome=~\"A|B\"}[1m])) > 1e3", None),
            ("histogram_quantile(0.9, sum by (le) (rate(tranche_commit_queueing_seconds_bucket[1m])))", None),
            ("absent(up{job=\"tranched\"} == 1) unless on () vector(5e9)", None),
            ("tranche_claim_total > 1", "tranche_claim_total"),
            ("abs(node_load1) > 1", "node_load1"),
            ("rate(grpc_server_handled_total{grpc_code!=\"OK\"}[1m]) > 1", "grpc_code"),
        ):
            found = alert_rules.expression_problems(expression, known)
            self.assertEqual(bool(found), bool(problem), f"{expression}: {found}")
            if problem:
                self.assertIn(problem, " ".join(found))


if __name__ == "__main__":
    unittest.main(verbosity=2)
