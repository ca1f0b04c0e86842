"""The stores that a comparison sells from, each a private server on free ports of 127.0.0.1 with its files in a scratch
folder. All are set up as is advised for this work, and none of them forgets what it has said is stored, unless its peer
is about that.
"""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import urllib.parse

import cluster
from chaos_cluster import postgres_programs
from cluster import ClusterError
from queue_servers import QueueServers, free_port
from rabbitmq import await_serving

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 2

# As much memory for each as a quarter of a small machine has. What is durable by default is said all the same.
POSTGRES_SETTINGS = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
    "shared_buffers": "1GB", "effective_cache_size": "4GB",
    # No checkpoint because of much WAL in the middle of a run.
    "max_wal_size": "4GB", "checkpoint_timeout": "15min",
    "max_connections": 300, "random_page_cost": 1.1, "jit": "off",
}
# The log as large as the pool, for the same reason. No binary log: PostgreSQL has no archive either.
MARIADB_SETTINGS = {
    "innodb-flush-log-at-trx-commit": 1, "innodb-doublewrite": "ON",
    "innodb-buffer-pool-size": "1G", "innodb-log-file-size": "1G",
    "max-connections": 300,
}
# No snapshots beside the log of all commands. It keeps its command line, by which it can be started again.
REDIS_SETTINGS = {"appendonly": "yes", "no-appendfsync-on-rewrite": "no", "save": "", "set-proc-title": "no"}

MARIADB = pathlib.Path("/usr/sbin/mariadbd")
# What mariadb-install-db gives to the server, without the tables of help: that script needs another package.
MARIADB_TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
MARIADB_SHARE = pathlib.Path("/usr/share/mysql")
REDIS = pathlib.Path("/usr/bin/redis-server")


# Several peers may have a store of the same kind at once.
_numbers = itertools.count(1)


def _own_folder(folder, name):
    """One that no other store of this process has; not made yet."""
    return pathlib.Path(folder) / f"{name}-{next(_numbers)}"


def _identity(user):
    """For subprocess: runs it as this user if we are root."""
    return {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}


def _once(command, log_file, cwd, user=None, text=None):
    """Runs a program to its end."""
    with open(log_file, "ab") as log:
        done = subprocess.run([str(part) for part in command], stdout=log, stderr=log, cwd=cwd, timeout=START_TIMEOUT_S,
                              env=cluster.environment(), check=False, **_identity(user),
                              **({"stdin": subprocess.DEVNULL} if text is None else {"input": text}))
    if done.returncode != 0:
        name = pathlib.Path(command[0]).name
        raise ClusterError(f"{name} ended with {done.returncode}:\n{cluster.log_tail(log_file)}")


def _answer(connection, question, size):
    """The first bytes that a server answers; fewer if there are not so many."""
    connection.settimeout(CONNECT_TIMEOUT_S)
    connection.sendall(question)
    answer = b""
    while len(answer) < size and (part := connection.recv(size - len(answer))):
        answer += part
    return answer


class Store:
    """One server, which dies with this process. Start it from the main thread. `pid`: of the process that was started;
    whoever kills it may start it again by its command line, in its environment: its ports and files stay the same."""

    name = package = user = None
    stop_signal = signal.SIGTERM

    def __init__(self, folder):
        self.folder = _own_folder(folder, self.name)
        self.log_file = self.folder.with_suffix(".log")
        self._child = None

    def start(self):
        """Makes its data, and returns when it serves."""
        self.require()
        self.folder.mkdir()
        if _identity(self.user):
            shutil.chown(self.folder, self.user, self.user)
        self.make_data()
        with open(self.log_file, "ab") as log:
            self._child = subprocess.Popen(
                [str(part) for part in self.command()], env=cluster.environment(), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=cluster.terminate_with_parent, **_identity(self.user))
        try:
            await_serving(self.serves, lambda: self._child.poll() is None, self.name, START_TIMEOUT_S)
        except ClusterError as error:
            raise ClusterError(f"{error}:\n{cluster.log_tail(self.log_file)}") from None

    def stop(self):
        """Also after a start that has failed, and if somebody has killed it. Its log stays."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(self.stop_signal)
            try:
                self._child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self._child.pid

    @classmethod
    def missing(cls):
        raise ClusterError(f"no server of {cls.name}: install {cls.package} (scripts/install-packages compare)")

    def require(self):
        """ClusterError if its program is not installed."""

    def make_data(self):
        """Before its first start; the folder is there."""


class Postgres(Store):
    """`address` is libpq's connection string of a superuser."""

    name = user = "postgres"
    package = "postgresql-15"
    stop_signal = signal.SIGINT  # does not wait for those who are connected

    def __init__(self, folder):
        super().__init__(folder)
        self._port = free_port()
        self._data = self.folder / "data"

    @property
    def address(self):
        return f"host=127.0.0.1 port={self._port} user=postgres dbname=postgres"

    def require(self):
        self._programs = postgres_programs()

    def make_data(self):
        _once([self._programs / "initdb", "--no-instructions", "-A", "trust", "-U", "postgres", "-E", "UTF8",
               "--locale=C.UTF-8", "-D", self._data], self.log_file, self.folder, self.user)

    def command(self):
        settings = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings |= POSTGRES_SETTINGS
        return [self._programs / "postgres", "-D", self._data,
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]

    def serves(self):
        return subprocess.run([self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)],
                              stdin=subprocess.DEVNULL, check=False).returncode == 0


class Mariadb(Store):
    """`address` is its socket file; the user root needs no password."""

    name = "mariadb"
    package = "mariadb-server-core"

    def __init__(self, folder):
        super().__init__(folder)
        self._data = self.folder / "data"

    @property
    def address(self):
        return str(self.folder / "socket")

    def require(self):
        if not MARIADB.exists():
            self.missing()

    def _options(self):
        return [f"--datadir={self._data}", *(f"--{name}={value}" for name, value in MARIADB_SETTINGS.items())]

    def make_data(self):
        self._data.mkdir()
        statements = ["create database if not exists mysql;", "use mysql;", "set @auth_root_socket=NULL;"]
        tables = [(MARIADB_SHARE / name).read_text() for name in MARIADB_TABLES]
        _once([MARIADB, "--no-defaults", "--bootstrap", "--silent-startup", "--log-warnings=0", *self._options(),
               "--max-allowed-packet=8M", "--net-buffer-length=16K"], self.log_file, self.folder,
              text="\n".join([*statements, *tables]).encode())

    def command(self):
        # It refuses to run as root unless it is told so.
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        return [MARIADB, "--no-defaults", *self._options(), f"--socket={self.address}",
                f"--pid-file={self.folder / 'pid'}", "--skip-networking", "--skip-name-resolve", *as_root]

    def serves(self):
        """It greets with a packet: three bytes of size, a number, and version 10 of the protocol."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self.address)
                return _answer(connection, b"", 5)[4:] == b"\x0a"
        except OSError:
            return False


class Redis(Store):
    """`address` is HOST:PORT. `appendfsync`: "always" or "everysec"."""

    name = "redis"
    package = "redis-server"

    def __init__(self, folder, appendfsync):
        super().__init__(folder)
        self._port, self._appendfsync = free_port(), appendfsync

    @property
    def address(self):
        return f"127.0.0.1:{self._port}"

    def require(self):
        if not REDIS.exists():
            self.missing()

    def settings(self):
        return {"port": self._port, "bind": "127.0.0.1", "dir": self.folder, "daemonize": "no",
                "appendfsync": self._appendfsync} | REDIS_SETTINGS

    def command(self):
        return [REDIS, *(part for name, value in self.settings().items() for part in (f"--{name}", value))]

    def serves(self):
        """While it reads its file it answers with an error."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=CONNECT_TIMEOUT_S) as connection:
                return _answer(connection, b"PING\r\n", 5) == b"+PONG"
        except OSError:
            return False


class Rabbitmq:
    """`address` is an amqp:// URL. One broker, with its own epmd, as beside a private cluster of ours."""

    name = "rabbitmq"

    def __init__(self, folder):
        self.folder = _own_folder(folder, self.name)
        self._servers = QueueServers(self.folder)

    def start(self):
        self.folder.mkdir()
        self._servers.start_broker()

    def stop(self):
        self._servers.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self):
        broker = self._servers.state["rabbitmq"]
        user, _, password = pathlib.Path(broker["user_file"]).read_text().strip().partition(":")
        return f"amqp://{user}:{urllib.parse.quote(password, safe='')}@{broker['address']}/%2F"

    @property
    def log_file(self):
        return pathlib.Path(self._servers.state["rabbitmq"]["log_file"])

    @property
    def pid(self):
        return self._servers.state["rabbitmq"]["pid"]


def make(name, folder, peer):
    """Not started yet. `peer`: the kind that uses it, such as "redis-always"."""
    if name == "redis":
        return Redis(folder, "always" if peer == "redis-always" else "everysec")
    return {"postgres": Postgres, "mariadb": Mariadb, "rabbitmq": Rabbitmq}[name](folder)


@contextlib.contextmanager
def running(store):
    """A context in which the store serves; in its end it is stopped, and its data is removed."""
    try:
        store.start()
        yield store
    finally:
        store.stop()


def start(name, folder, peer):
    """Such a context, with a new store. Other users must be able to enter `folder`."""
    return running(make(name, folder, peer))
