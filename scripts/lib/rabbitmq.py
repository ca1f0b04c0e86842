"""One RabbitMQ server of our own: its files, how it is started, asked and told.

It shares nothing with a RabbitMQ that the machine runs as a service: files, ports, names and the cookie are its own.
"""

import os
import pathlib
import secrets
import socket
import subprocess
import time

from cluster import ClusterError

# Those in /usr/sbin run as the user of the machine's service, with its files.
PROGRAMS = pathlib.Path("/usr/lib/rabbitmq/bin")
USER = "tranche"
CTL_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 2
# Of the broker itself. Zero: it takes no message until it is set back.
MEMORY_SHARE, NO_MEMORY = "0.4", "0"
# A client says it first, and a server that takes clients answers with the frame of a method.
PROTOCOL_HEADER, METHOD_FRAME = b"AMQP\0\0\x09\x01", b"\x01"


def require():
    if not (PROGRAMS / "rabbitmq-server").exists():
        raise ClusterError(f"no RabbitMQ server in {PROGRAMS}: install rabbitmq-server")


def make_user_file(path):
    """USER:PASSWORD, for the servers' --queue-user-file. Never readable for others, not even for a moment."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
    return path


class Rabbitmq:
    """Whoever makes it starts `command` with `environment`, and ends that process. `nodes`: all servers of its cluster,
    as "name@address"; servers with the same cookie form one cluster."""

    def __init__(self, folder, node, ports, cookie):
        """`ports`: a dict with "amqp", "dist" (for the other servers and rabbitmqctl) and "epmd"."""
        self.folder, self.node, self.ports = pathlib.Path(folder), node, ports
        self.host = node.partition("@")[2]
        self._cookie = cookie

    def write(self, user_file, nodes):
        """Its files, before its first start. Returns itself."""
        self.folder.mkdir()
        user, _, password = pathlib.Path(user_file).read_text().strip().partition(":")
        settings = {
            "listeners.tcp.one": f"{self.host}:{self.ports['amqp']}",
            "default_user": user, "default_pass": password,
            # A minority that goes on would keep what the others have decided about.
            "cluster_partition_handling": "pause_minority",
            "cluster_formation.peer_discovery_backend": "classic_config",
        } | {f"cluster_formation.classic_config.nodes.{n}": one for n, one in enumerate(nodes, start=1)}
        (self.folder / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "rabbitmq.conf").chmod(0o600)
        (self.folder / "advanced.config").write_text("[].\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        return self

    @property
    def command(self):
        """It stays one process, in this environment."""
        return [PROGRAMS / "rabbitmq-server"]

    @property
    def environment(self):
        interface = f"-kernel inet_dist_use_interface {{{self.host.replace('.', ',')}}}"
        return {
            "HOME": str(self.folder),  # of the cookie
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(self.ports["dist"]),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "config"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_LOGS": "-",
            # The start script then becomes the server, and is no process beside it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": interface,
            "RABBITMQ_CTL_ERL_ARGS": interface,
            "LANG": "C.UTF-8",
        }

    def with_environment(self, command):
        """The command line that runs it in the server's environment, by a program that replaces itself."""
        return ["env", *(f"{name}={value}" for name, value in self.environment.items()), *command]

    def serves(self):
        """Whether it takes clients. Call it where the server can be reached."""
        try:
            with socket.create_connection((self.host, self.ports["amqp"]), timeout=CONNECT_TIMEOUT_S) as connection:
                connection.sendall(PROTOCOL_HEADER)
                return connection.recv(1) == METHOD_FRAME
        except OSError:
            return False

    def ctl(self, *args, wrap=lambda command: command):
        """Runs rabbitmqctl and returns what it prints. `wrap`: makes it run on the server's host."""
        command = wrap(self.with_environment([PROGRAMS / "rabbitmqctl", "-n", self.node, "--longnames", *args]))
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=CTL_TIMEOUT_S)
        if done.returncode != 0:
            raise ClusterError(f"rabbitmqctl {' '.join(map(str, args))}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def set_memory_alarm(self, on, wrap=lambda command: command):
        """While it is on, no server of the cluster takes messages from publishers."""
        self.ctl("set_vm_memory_high_watermark", NO_MEMORY if on else MEMORY_SHARE, wrap=wrap)


def await_serving(serves, runs, what, timeout_s):
    """Until `serves()`; ClusterError if that takes longer, or the process has ended."""
    deadline = time.monotonic() + timeout_s
    while not serves():
        if not runs():
            raise ClusterError(f"{what} has ended")
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout_s} s for {what}")
        time.sleep(0.1)
