"""tranche-loads that run side by side, on processors of their own."""

import contextlib
import json
import os
import signal
import subprocess

import cluster

# Until one has ended, whose run is at most as long as this.
PATIENCE_S = 120


def split(processors):
    """(the system's, the generators') of this machine's processors."""
    ordered = sorted(processors)
    half = len(ordered) - len(ordered) // 2
    return (set(ordered[:half]), set(ordered[half:])) if len(ordered) > 1 else (set(ordered), set(ordered))


@contextlib.contextmanager
def pinned(processors):
    """This process, and what it starts, runs there only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Generators:
    """The tranche-loads of one round: on processors of their own, and gone when the block ends."""

    def __init__(self, folder, endpoints, processors):
        self._folder, self._endpoints, self._processors = folder, endpoints, processors
        self._running = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self._running.values():
            process.kill()
            process.wait()

    def start(self, name, *args, nice=19):
        """A tranche-load. Those that make the load are nice, so that they do not slow down the one that measures."""
        summary = self._folder / f"{name}.json"
        self._run(name, [cluster.BIN / "tranche-load", "--endpoints", ",".join(self._endpoints), "--no-progress",
                         "--summary", summary, *args], summary, nice)

    def start_crowd(self, name, *args):
        """A bench_overload, which makes more load. It ends by itself: see finish()."""
        summary = self._folder / f"{name}.json"
        self._run(name, [cluster.BIN / "bench_overload", "--endpoint", self._endpoints[0], "--json", summary, *args],
                  summary, nice=19)

    def _run(self, name, command, summary, nice):
        def prepare():
            cluster.terminate_with_parent()
            os.sched_setaffinity(0, self._processors)
            os.nice(nice)

        with open(self._folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, preexec_fn=prepare)
        self._running[name] = (process, summary)

    def end(self, name):
        """At once, but with the answers to what is under way. What the run has found."""
        self._running[name][0].send_signal(signal.SIGTERM)
        return self.finish(name)

    def finish(self, name):
        """When its time is over. What the run has found."""
        process, summary = self._running[name]
        status = process.wait(PATIENCE_S)
        del self._running[name]
        if status != 0:
            raise RuntimeError(f"{name} ended with {status}: {cluster.log_tail(self._folder / f'{name}.log')}")
        return json.loads(summary.read_text())

    def check(self, name):
        """RuntimeError if it has ended."""
        if self._running[name][0].poll() is not None:
            self.finish(name)
            raise RuntimeError(f"{name} has ended before its time")

    def count(self):
        return len(self._processors)
