"""A real Prometheus for tests: with the rules of docs/alerts as they are, and a scrape every second."""

import datetime
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import cluster
from alert_rules import RULES

ANSWER_WITHIN_S = 10
LOOK_EVERY_S = 0.2
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # of the environment's proxies, none


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Prometheus:
    """`targets`: addresses by job. It ends with this process, or by stop()."""

    def __init__(self, folder, targets):
        self._url = f"http://127.0.0.1:{free_port()}"
        self._log_file = folder / "prometheus.log"
        config = folder / "prometheus.yml"
        # JSON is YAML, too.
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": addresses}]}
                               for job, addresses in targets.items()]}))
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}",
                 f"--web.listen-address={self._url.removeprefix('http://')}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=cluster.terminate_with_parent)
        self.await_true("Prometheus is ready", self._ready)

    def stop(self):
        self._process.terminate()
        self._process.wait(cluster.STOP_TIMEOUT_S)

    def await_true(self, what, condition, within_s=60):
        """Returns how many seconds it took."""
        begun = time.monotonic()
        while not condition():
            if self._process.poll() is not None:
                raise cluster.ClusterError(f"Prometheus has ended:\n{cluster.log_tail(self._log_file)}")
            if time.monotonic() > begun + within_s:
                raise cluster.ClusterError(f"not within {within_s} s: {what}")
            time.sleep(LOOK_EVERY_S)
        return time.monotonic() - begun

    def query(self, expression):
        """(labels, value) of each series of the result."""
        result = self._get("/api/v1/query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def alerts(self):
        """(name, state) of the alerts that are pending or firing."""
        return sorted({(one["labels"]["alertname"], one["state"]) for one in self._get("/api/v1/alerts")["alerts"]})

    def firing(self):
        return {name for name, state in self.alerts() if state == "firing"}

    def ever_fired(self, within_s):
        return {labels["alertname"] for labels, _ in
                self.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{within_s:.0f}s])')}

    def metric_names(self):
        return set(self._get("/api/v1/label/__name__/values"))

    def await_evaluations(self, seconds):
        """Until each group was evaluated `seconds` from now on, by Prometheus' own clock."""
        now = self._time()
        self.await_true("the rules are evaluated", lambda: self._evaluated_since() > now + seconds, seconds + 60)

    def _time(self):
        return float(self._get("/api/v1/query", query="time()")["result"][1])

    def _evaluated_since(self):
        """When the group that waits longest was evaluated."""
        groups = self._get("/api/v1/rules")["groups"]
        return min(datetime.datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups)

    def _ready(self):
        try:
            with OPENER.open(f"{self._url}/-/ready", timeout=ANSWER_WITHIN_S) as answer:
                return answer.status == 200
        except OSError:  # and every HTTP error
            return False

    def _get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with OPENER.open(f"{self._url}{path}?{query}", timeout=ANSWER_WITHIN_S) as answer:
            return json.load(answer)["data"]
