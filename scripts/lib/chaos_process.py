"""One server as a child process on a host of the network."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from cluster import ClusterError, log_tail


def children_of(parent):
    children = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            children.append(int(stat.parent.name))
    return children


def on_host(network, host, command, user=None, dies_with_us=False):
    """The command line that runs `command` there. Every program on the way replaces itself: one process, one pid."""
    line = ["nsenter", f"--net=/run/netns/{network.namespace(host)}"]
    if user or dies_with_us:
        line += ["setpriv"]
        line += [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        line += ["--pdeathsig=KILL"] if dies_with_us else []
        line += ["--"]
    return line + [str(part) for part in command]


class Process:
    """Start from the main thread only: the process dies with the thread that started it."""

    def __init__(self, network, host, name, command, log_file, user=None, cwd=None):
        self.network, self.host, self.name, self.command = network, host, name, command
        self.log_file, self.user, self.cwd = log_file, user, cwd
        self.started = []  # Unix times, each just before a start
        self._child = None
        self._paused = []

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child is not None and self._child.poll() is None

    def paused(self):
        return bool(self._paused)

    def ended_with(self):
        """The exit status if it ended without being asked to; otherwise None."""
        return self._child.poll() if self._child is not None else None

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        self.started.append(time.time())
        with open(self.log_file, "ab") as log:
            self._child = subprocess.Popen(
                on_host(self.network, self.host, self.command, self.user, dies_with_us=True),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd, start_new_session=True,
            )

    def kill(self):
        if self.running():
            self._child.kill()
            self._child.wait()
        self._child, self._paused = None, []

    def kill_with_children(self):
        """For a server whose children outlive it and would block its successor."""
        if self.running():
            os.kill(self.pid, signal.SIGSTOP)
            children = children_of(self.pid)
            for pid in [*children, self.pid]:
                os.kill(pid, signal.SIGKILL)
            self._child.wait()
            while any(pathlib.Path(f"/proc/{pid}").exists() for pid in children):
                time.sleep(0.005)
        self._child, self._paused = None, []

    def pause(self):
        self._stop(self.pid)

    def pause_with_children(self):
        """For a server whose children do its work. The parent stops first: it makes no more of them."""
        self._stop(self.pid)
        for pid in children_of(self.pid):
            self._stop(pid)

    def _stop(self, pid):
        # A child may just have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._paused.append(pid)

    def resume(self):
        """A stopped child does not end, and a stopped parent reaps none: the pids are still those that were stopped."""
        while self._paused:
            os.kill(self._paused.pop(), signal.SIGCONT)

    def interrupt(self):
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout_s):
        """The status with which it ended after having been asked to."""
        try:
            status = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{self.name} does not end within {timeout_s} s:\n{log_tail(self.log_file)}") from None
        self._child = None
        return status

    def terminate(self, timeout_s=60):
        self.interrupt()
        return self.wait(timeout_s)
