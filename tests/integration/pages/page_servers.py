"""The servers that docs/operations.md takes for granted: PostgreSQL, whose users have passwords, and ZooKeeper."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

import cluster
from chaos_cluster import CLASS_PATH, postgres_programs
from page_shell import end_by_pid

START_TIMEOUT_S = 60
# The administrator needs no password; everybody else does.
ACCESS = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two_free_ports():
    """The first of two in a row."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


def await_port(port, process, log_file):
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise cluster.ClusterError(f"nothing listens:\n{cluster.log_tail(log_file)}") from None
            time.sleep(0.02)


class Servers:
    def __init__(self, folder):
        self.folder = folder
        self.postgres_port, self.zookeeper_port = free_port(), free_port()
        self._running = []

    def start(self):
        data = self.folder / "data"
        data.mkdir()
        user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if user:  # initdb refuses root
            shutil.chown(data, "postgres", "postgres")
        programs = postgres_programs()
        subprocess.run([programs / "initdb", "--no-sync", "--no-instructions", "-A", "trust", "-U", "postgres",
                        "--locale=C.UTF-8", "-D", data], check=True, stdout=subprocess.DEVNULL, cwd=data, **user)
        (data / "pg_hba.conf").write_text(ACCESS)
        self._start("postgres", self.postgres_port, user,
                    [programs / "postgres", "-D", data, "-p", str(self.postgres_port),
                     "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                     "-c", "max_prepared_transactions=1"])
        config = self.folder / "zoo.cfg"
        settings = {"clientPort": self.zookeeper_port, "clientPortAddress": "127.0.0.1", "tickTime": 500,
                    "dataDir": self.folder / "zookeeper", "admin.enableServer": "false"}
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._start("zookeeper", self.zookeeper_port, {},
                    ["java", "-cp", CLASS_PATH, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                     "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.jmx.log4j.disable=true",
                     "org.apache.zookeeper.server.ZooKeeperServerMain", config])

    def _start(self, name, port, user, command):
        log_file = pathlib.Path(self.folder / f"{name}.log")
        with open(log_file, "wb") as log:
            process = subprocess.Popen([str(part) for part in command], cwd=self.folder, start_new_session=True,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=cluster.terminate_with_parent, **user)
        self._running.append(process)
        await_port(port, process, log_file)

    def end(self):
        for process in reversed(self._running):
            end_by_pid(process)
