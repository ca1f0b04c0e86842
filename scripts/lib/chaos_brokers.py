"""The brokers of the cluster under test: three servers of RabbitMQ that form one cluster, each on a host of its own."""

import secrets

from chaos_process import Process, on_host
from cluster import ClusterError, log_tail
from rabbitmq import Rabbitmq, await_serving, make_user_file, require

BROKERS = 3
FIRST_BYTE = 210
PORTS = {"amqp": 5672, "dist": 25672, "epmd": 4369}
START_TIMEOUT_S = 180


class Brokers:
    """`client`: the host from which it is seen whether they serve."""

    def __init__(self, network, folder, client):
        require()
        self._network, self._client = network, client
        self.user_file = make_user_file(folder / "queue.user")
        names = [f"broker-{number}" for number in range(1, BROKERS + 1)]
        nodes = [f"tranche@{network.add(name, FIRST_BYTE + number)}" for number, name in enumerate(names, start=1)]
        cookie = secrets.token_hex(16)
        self.processes, self._servers = [], {}
        self._alarmed = None  # the one whose alarm is on
        for name, node in zip(names, nodes):
            server = Rabbitmq(folder / name, node, PORTS, cookie).write(self.user_file, nodes)
            process = Process(network, name, name, server.with_environment(server.command), folder / f"{name}.log")
            self.processes.append(process)
            self._servers[name] = server

    def flags(self):
        """Of nodes and of consumers."""
        addresses = ",".join(f"{server.host}:{PORTS['amqp']}" for server in self._servers.values())
        return ["--queue-broker", addresses, "--queue-user-file", self.user_file,
                "--queue-plaintext", "on"]

    def start(self):
        """The first one begins the cluster, and the others join it."""
        first, *others = self.processes
        first.start()
        self.await_serving([first])
        for process in others:
            process.start()
        self.await_serving(others)

    def await_serving(self, processes=None):
        for process in self.processes if processes is None else processes:
            try:
                await_serving(lambda process=process: self._serves(process), process.running, process.name,
                              START_TIMEOUT_S)
            except ClusterError as error:
                raise ClusterError(f"{error}:\n{log_tail(process.log_file)}") from None

    def _serves(self, process):
        with self._network.inside(self._client):
            return self._servers[process.name].serves()

    def raise_alarm(self, process):
        """From now on no broker takes messages."""
        self._alarmed = process
        self._set_alarm(process, True)

    def clear_alarm(self):
        """If there is one. The brokers serve then."""
        self.await_serving()
        if self._alarmed:
            self._set_alarm(self._alarmed, False)
            self._alarmed = None

    def _set_alarm(self, process, on):
        self._servers[process.name].set_memory_alarm(
            on, wrap=lambda command: on_host(self._network, process.host, command))
