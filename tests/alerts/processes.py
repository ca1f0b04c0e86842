"""Stops and starts single processes of a running cluster; they come back at their old addresses."""

import os
import pathlib
import signal
import subprocess
import time

import cluster

END_WITHIN_S = 60


def _command(process):
    """As it was started, but with the ports that it has taken."""
    words = pathlib.Path(f"/proc/{process['pid']}/cmdline").read_bytes().decode().split("\0")[:-1]
    for flag, address in (("--metrics-listen", process["metrics"]), ("--listen", process.get("endpoint"))):
        if flag in words:
            words[words.index(flag) + 1] = address
    return words


def _variables(process):
    """Flags that it was given as variables: a connection string that may hold a password is no argument."""
    words = pathlib.Path(f"/proc/{process['pid']}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if word.startswith("TRANCHE_"))


class Processes:
    """Of the cluster with this state. Those that it has started end with it, or by stop_all()."""

    def __init__(self, state):
        self._known = {process["name"]: process for process in cluster.servers(state)}
        self._commands = {name: _command(process) for name, process in self._known.items()}
        self._environments = {name: {**os.environ, **_variables(process)} for name, process in self._known.items()}
        self._pids = {name: process["pid"] for name, process in self._known.items()}
        self._started = {}

    def stop(self, name, by=signal.SIGTERM):
        """Returns when it has ended."""
        os.kill(self._pids[name], by)
        deadline = time.monotonic() + END_WITHIN_S
        while cluster.alive(self._pids[name]):
            if time.monotonic() > deadline:
                raise cluster.ClusterError(f"{name} does not end within {END_WITHIN_S} s")
            time.sleep(0.02)

    def start(self, name, *more):
        """`more`: flags besides those of before."""
        with open(self._known[name]["log_file"], "ab") as log:
            process = subprocess.Popen([*self._commands[name], *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self._environments[name],
                                       preexec_fn=cluster.terminate_with_parent)
        self._started.setdefault(name, []).append(process)
        self._pids[name] = process.pid

    def stop_all(self):
        processes = [process for started in self._started.values() for process in started]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(END_WITHIN_S)
