"""RabbitMQ and consumers beside a private cluster (the binary tranche-cluster), on free ports of 127.0.0.1.

In this order: start_broker; the cluster, whose nodes have queue_args(); start_consumers; stop_consumers; the cluster's
end; stop_all, also after a start that has failed.
"""

import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import time

import cluster
from cluster import ClusterError
from rabbitmq import Rabbitmq, await_serving, make_user_file, require

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def birth(pid):
    """When the process began, in the kernel's ticks: with the pid it names a process for good. None: it is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def runs(process):
    """`process`: as in the state. A pid may by now be somebody else's."""
    return cluster.alive(process["pid"]) and birth(process["pid"]) == process["birth"]


def end(process, timeout_s=STOP_TIMEOUT_S):
    """SIGTERM, and SIGKILL if that does not end it in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not runs(process):
            return
        os.kill(process["pid"], number)
        deadline = time.monotonic() + timeout_s
        while runs(process) and time.monotonic() < deadline:
            time.sleep(0.02)


class QueueServers:
    """`keep`: they stay when this process ends. `secured`: the cluster's security.Security; the broker has a password in
    any case, and no TLS, since all are on one machine."""

    def __init__(self, folder, keep=False, secured=None):
        self._folder, self._keep, self._secured = pathlib.Path(folder), keep, secured
        self._user_file = self._folder / "queue.user"
        self._server = None  # rabbitmq.Rabbitmq
        self._children = []
        self.state = {}  # what is added to the cluster's state: "rabbitmq", "epmd" and "consumers"

    def start_broker(self):
        require()
        make_user_file(self._user_file)
        node = "tranche@127.0.0.1"
        ports = {name: free_port() for name in ("amqp", "dist", "epmd")}
        self._server = Rabbitmq(self._folder / "rabbitmq", node, ports, secrets.token_hex(16))
        self._server.write(self._user_file, [node])
        # RabbitMQ would start one that outlives it and listens everywhere.
        self.state["epmd"] = self._start("epmd", ["epmd", "-port", ports["epmd"], "-address", "127.0.0.1"], {})
        self.run_broker()
        return self

    def run_broker(self):
        """For the first time, or again after its end, with what it had."""
        broker = self._start("rabbitmq", self._server.command, self._server.environment)
        broker |= {"address": f"{self._server.host}:{self._server.ports['amqp']}", "user_file": str(self._user_file)}
        self.state["rabbitmq"] = broker
        try:
            await_serving(self._server.serves, lambda: runs(broker), "RabbitMQ", START_TIMEOUT_S)
        except ClusterError as error:
            raise ClusterError(f"{error}:\n{cluster.log_tail(broker['log_file'])}") from None

    def kill_broker(self):
        os.kill(self.state["rabbitmq"]["pid"], signal.SIGKILL)

    def queue_args(self):
        """Of nodes and of consumers."""
        broker = self.state["rabbitmq"]
        return ["--queue-broker", broker["address"], "--queue-user-file", broker["user_file"]]

    def start_consumers(self, state, count=1):
        """For the running cluster of this state, which then tells of them, too."""
        self.state["consumers"] = [self._start_consumer(state, f"consumer-{n}") for n in range(1, count + 1)]
        for consumer in self.state["consumers"]:
            consumer["metrics"] = f"127.0.0.1:{self._await_port(consumer)}"
        state |= self.state

    def _start_consumer(self, state, name):
        command = [cluster.BIN / "tranche-consumer", "--node-name", name, "--postgres", state["postgres"]["app"],
                   "--zookeeper", state["zookeeper"]["address"], "--zookeeper-root", state["zookeeper"]["root"],
                   "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--metrics-port-file",
                   self._port_file(name), *self.queue_args()]
        command += self._secured.consumer_flags() if self._secured else []
        return self._start(name, command, {})

    def _port_file(self, name):
        return self._folder / f"{name}.metrics-port"

    def _await_port(self, consumer):
        file = self._port_file(consumer["name"])

        def written():
            return file.exists() and file.read_text().strip() != ""

        try:
            await_serving(written, lambda: runs(consumer), consumer["name"], START_TIMEOUT_S)
        except ClusterError as error:
            raise ClusterError(f"{error}:\n{cluster.log_tail(consumer['log_file'])}") from None
        return int(file.read_text())

    def _start(self, name, command, variables):
        log_file = self._folder / f"{name}.log"
        with open(log_file, "ab") as log:
            child = subprocess.Popen([str(part) for part in command], env=cluster.environment() | variables,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     preexec_fn=None if self._keep else cluster.terminate_with_parent)
        self._children.append(child)  # reaped when they end, as long as this process is there
        return {"name": name, "pid": child.pid, "birth": birth(child.pid), "log_file": str(log_file)}

    def stop_consumers(self):
        """While the cluster is still there, so that they give their units back."""
        stop_consumers(self.state)

    def stop_all(self):
        stop_consumers(self.state)
        stop_broker(self.state)
        for child in self._children:
            child.wait()


def stop_consumers(state):
    for consumer in state.get("consumers", []):
        end(consumer)


def stop_broker(state):
    for name in ("rabbitmq", "epmd"):
        if name in state:
            end(state[name])


def add_to_file(state, file):
    """So that other processes find them. Readers see the old state or the new one."""
    new = pathlib.Path(f"{file}.new")
    new.write_text(json.dumps(state, indent=2) + "\n")
    os.replace(new, file)
