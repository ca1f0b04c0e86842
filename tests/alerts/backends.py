"""Kills, suspends and starts again the PostgreSQL and the ZooKeeper of a running cluster; they come back at their old
addresses, with their data."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import cluster
from chaos_process import children_of

END_WITHIN_S = 60
POSTGRES, ZOOKEEPER = "postgres", "zookeeper"
# The last word of its program, as ps shows it.
PROGRAMS = {POSTGRES: "/bin/postgres", ZOOKEEPER: "ZooKeeperServerMain"}


def _words(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:  # it has just ended
        return []


def _await_end(pids):
    deadline = time.monotonic() + END_WITHIN_S
    while any(cluster.alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise cluster.ClusterError(f"one of the processes {pids} does not end within {END_WITHIN_S} s")
        time.sleep(0.02)


class Backend:
    """One of the two, as tranche-cluster has started it. What this has started ends with this process, or by stop().
    From the main thread only."""

    def __init__(self, state, name):
        pids = [pid for pid in children_of(state["pid"])
                if any(word.endswith(PROGRAMS[name]) for word in _words(pid))]
        if len(pids) != 1:
            raise cluster.ClusterError(f"{len(pids)} processes of the cluster look like {name}")
        self._name, self._pid = name, pids[0]
        self._log_file = state[name]["log_file"]
        self._command = _words(self._pid)
        self._folder = pathlib.Path(os.readlink(f"/proc/{self._pid}/cwd"))
        owner = os.stat(f"/proc/{self._pid}")  # PostgreSQL refuses to be root
        self._user = {} if os.geteuid() != 0 else {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        self._started = None

    def kill(self):
        """With its children, which would be in its successor's way: as if the machine had lost power for a moment."""
        pids = self.suspend()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._started:
            self._started.wait(END_WITHIN_S)
        _await_end(pids)

    def suspend(self):
        """A hang: its connections stay open, and nothing answers. Returns the processes that stand still."""
        os.kill(self._pid, signal.SIGSTOP)  # first: it makes no more children
        children = children_of(self._pid)
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return [*children, self._pid]

    def resume(self):
        for pid in [*children_of(self._pid), self._pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def start(self):
        # Nobody has reaped the server that tranche-cluster has started, so PostgreSQL would take it for one that runs.
        (self._folder / "postmaster.pid").unlink(missing_ok=True)
        with open(self._log_file, "ab") as log:
            self._started = subprocess.Popen(self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, preexec_fn=cluster.terminate_with_parent, **self._user)
        self._pid = self._started.pid

    def stop(self):
        """What this has started; tranche-cluster ends what it has started."""
        if self._started and self._started.poll() is None:
            self.kill()
