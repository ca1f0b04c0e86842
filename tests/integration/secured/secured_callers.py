"""Who calls the secured cluster while something happens to it."""

import json
import signal
import subprocess
import threading
import time

from secured_cluster import TIMEOUT_S  # first: it says where the scripts' modules are

import cluster  # isort: skip


def await_until(condition, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_S} s for {what}"
        time.sleep(0.02)


def await_more(count, more, runs):
    """Until `count` has grown by that much; `runs` says whether it can still grow."""
    wanted = count() + more

    def enough():
        assert runs(), "it has ended"
        return count() >= wanted

    await_until(enough, f"{more} more")


class Sale:
    """A tranche-load that buys one after another, over its few connections, until the block ends."""

    def __init__(self, shared, sku):
        self._answers, self._summary = shared.folder / f"{sku}-answers", shared.folder / f"{sku}-summary"
        command = shared.load("service", sku, "--requests", 0, "--duration", "1h", "--rate", 100, "--timeout-ms", 20000,
                              "--answers", self._answers, "--summary", self._summary)
        self._log = open(shared.folder / f"{sku}-load.log", "wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         env=cluster.environment(), preexec_fn=cluster.terminate_with_parent)
        self.pid = self._process.pid
        self.totals = None

    def _count(self):
        return self._answers.read_bytes().count(b"\n") if self._answers.exists() else 0

    def await_more(self, answers):
        await_more(self._count, answers, lambda: self._process.poll() is None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(TIMEOUT_S)
        self._log.close()
        assert status == 0, f"tranche-load ended with {status}"
        self.totals = json.loads(self._summary.read_text())["totals"]


class Visitors:
    """One after the other does `visit`, which connects anew, until the block ends."""

    def __init__(self, visit, failure):
        """`failure`: the exceptions that `visit` raises when it was not served."""
        self._visit, self._failure = visit, failure
        self._stop, self.failures, self._visits = threading.Event(), [], 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                self._visit()
            except self._failure as failed:
                self.failures.append(str(failed))
            self._visits += 1

    def await_more(self, visits):
        await_more(lambda: self._visits, visits, self._thread.is_alive)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
