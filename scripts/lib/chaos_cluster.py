"""The cluster under test: every server in a network namespace of its own, so that any two can be separated."""

import pathlib
import shutil
import socket
import time

import chaos_backup
import chaos_zookeeper
from chaos_brokers import Brokers
from chaos_doors import OpenDoors, SecuredDoors
from chaos_ledger import Ledger, LedgerError
from chaos_network import Network
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

ZOOKEEPERS = 3
START_TIMEOUT_S = 120
CONSUMERS = 2
NODE_PORT = 7400
ROOT_ZNODE = "/tranche"
CLIENT = "client"
POSTGRES = "postgres"
# The jar's manifest names what else it needs; the second jar writes the log to stderr.
CLASS_PATH = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"
TICK_MS = 500
# With groups: so slow that a fault can strike while it ends those that are due, and fast enough for all of them.
SLOW_WORKER = ("--expire-batch", 20, "--expire-per-s", 400)


def wait_until(condition, what, timeout_s=START_TIMEOUT_S, interval_s=0.02):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout_s} s for {what}")
        time.sleep(interval_s)


def postgres_programs():
    versions = list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not versions:
        raise ClusterError("no PostgreSQL server under /usr/lib/postgresql: install postgresql")
    return max(versions, key=lambda path: int(path.parts[-3])).parent


class Cluster:
    """Owns the network and all processes. Always call stop() in the end."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.network = Network()
        self.zookeepers, self.nodes, self.balancers, self.workers, self.consumers = [], [], [], [], []
        self.brokers = None  # chaos_brokers.Brokers
        self.postgres = None
        self.doors = None
        self.ledger = Ledger(folder)
        # Processes that a fault has ended, or has cut off from what they need.
        self.unable = set()

    def start(self):
        self._make_hosts()
        self._start_zookeepers()
        self._start_postgres()
        if self.brokers:
            self.brokers.start()
        for process in [*self.balancers, *self.workers, *self.consumers]:
            process.start()
        for node in self.nodes[: self.options.nodes]:
            node.start()
        for node in self.nodes[: self.options.nodes]:
            self.await_serving(node)
        self.await_zookeepers()

    def stop(self):
        """Ends everything at once: nothing here needs an orderly end."""
        for process in [*self.nodes, *self._helpers(), *self.zookeepers, *self._broker_processes()]:
            process.kill()
        if self.postgres:
            self.postgres.kill_with_children()
        self.network.remove()

    def processes(self):
        return [*self.nodes, *self._helpers(), *self.zookeepers, *self._broker_processes(), self.postgres]

    def _helpers(self):
        return [*self.balancers, *self.workers, *self.consumers]

    def _broker_processes(self):
        return self.brokers.processes if self.brokers else []

    def node_addresses(self):
        """The addresses of all possible nodes: callers know the spare one too."""
        return [self.address_of(node) for node in self.nodes]

    def address_of(self, node):
        return f"{self.network.address(node.host)}:{NODE_PORT}"

    def able_nodes(self):
        return [node for node in self.nodes if node.running() and node not in self.unable]

    def spare_nodes(self):
        return [node for node in self.nodes if not node.running() and node not in self.unable]

    # Starting

    def _make_hosts(self):
        self.network.add(CLIENT, 200)
        self.network.add(POSTGRES, 21)
        for number in range(1, ZOOKEEPERS + 1):
            self.network.add(f"zookeeper-{number}", 10 + number)
        for number in range(1, self.options.balancers + 1):
            self.network.add(f"balancer-{number}", 30 + number)
        self.network.add("worker-1", 25)
        # A spare one beyond `start`: it joins when told to.
        nodes = range(1, self.options.nodes + 2)
        for number in nodes:
            self.network.add(f"node-{number}", 40 + number)
        hosts = [self.network.address(host) for host in (POSTGRES, *(f"node-{number}" for number in nodes))]
        self.doors = SecuredDoors(self.folder, hosts) if self.options.secure else OpenDoors()
        for number in range(1, self.options.balancers + 1):
            self.balancers.append(self._server(f"balancer-{number}", "tranche-balancer", "--name",
                                               self.options.statement_timeout_ms, *self.doors.balancer_flags()))
        self.workers.append(self._worker("worker-1"))
        if self.options.queue:
            self._make_queue_hosts()
        for number in nodes:
            listen = ["--listen", f"{self.network.address(f'node-{number}')}:{NODE_PORT}"]
            # Few buyers' limits; the machine has all nodes.
            listen += ["--door-memory-mib", 4]
            listen += self.brokers.flags() if self.brokers else []
            self.nodes.append(self._server(f"node-{number}", "tranched", "--node-name",
                                           self.options.node_statement_timeout_ms, *listen,
                                           *self.doors.node_flags()))

    def _make_queue_hosts(self):
        self.brokers = Brokers(self.network, self.folder, CLIENT)
        for number in range(1, CONSUMERS + 1):
            name = f"consumer-{number}"
            address = self.network.add(name, 220 + number)
            self.consumers.append(self._server(name, "tranche-consumer", "--node-name",
                                               self.options.node_statement_timeout_ms, "--listen",
                                               f"{address}:{NODE_PORT}", *self.brokers.flags(),
                                               *self.doors.consumer_flags()))

    def _server(self, name, binary, name_flag, statement_timeout_ms, *args):
        zookeepers = ",".join(f"{self.network.address(f'zookeeper-{n}')}:{chaos_zookeeper.PORT}"
                              for n in range(1, ZOOKEEPERS + 1))
        command = [BIN / binary, name_flag, name, "--postgres", self.dsn("tranche_node"), "--zookeeper", zookeepers]
        command += ["--zookeeper-session-timeout-ms", self.options.session_timeout_ms]
        command += ["--statement-timeout-ms", statement_timeout_ms, *args]
        return Process(self.network, name, name, command, self.folder / f"{name}.log")

    def _worker(self, name):
        command = [BIN / "tranche-worker", "--name", name, "--postgres", self.dsn("tranche_node")]
        command += ["--statement-timeout-ms", self.options.statement_timeout_ms, *self.doors.worker_flags()]
        command += SLOW_WORKER if self.options.groups else ()
        return Process(self.network, name, name, command, self.folder / f"{name}.log")

    def dsn(self, user):
        return f"host={self.network.address(POSTGRES)} user={user} dbname=tranche connect_timeout=2" \
            f"{self.doors.dsn_options}"

    def _start_zookeepers(self):
        servers = {n: self.network.address(f"zookeeper-{n}") for n in range(1, ZOOKEEPERS + 1)}
        for number, address in servers.items():
            folder = self.folder / f"zookeeper-{number}"
            folder.mkdir()
            (folder / "myid").write_text(f"{number}\n")
            settings = {
                "clientPort": chaos_zookeeper.PORT, "clientPortAddress": address, "dataDir": folder,
                "tickTime": TICK_MS, "initLimit": 20, "syncLimit": 6, "minSessionTimeout": TICK_MS,
                "maxSessionTimeout": 60_000, "maxClientCnxns": 0, "admin.enableServer": "false",
                "4lw.commands.whitelist": "srvr", "standaloneEnabled": "false",
            } | {f"server.{n}": f"{other}:2888:3888" for n, other in servers.items()}
            config = folder / "zoo.cfg"
            config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
            command = ["java", "-cp", CLASS_PATH, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                       "-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                       "-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.preAllocSize=1024",
                       "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]
            name = f"zookeeper-{number}"
            self.zookeepers.append(Process(self.network, name, name, command, self.folder / f"{name}.log"))
        for server in self.zookeepers:
            server.start()

    def _start_postgres(self):
        programs = postgres_programs()
        data, sockets = self.folder / "data", self.folder / "sockets"
        for folder in (data, sockets):
            folder.mkdir()
            shutil.chown(folder, "postgres", "postgres")
            folder.chmod(0o700)  # whoever may use the socket file is let in as anybody
        log = self.folder / "postgres.log"
        self._once(POSTGRES, [programs / "initdb", "--no-sync", "--no-instructions", "-A", "trust", "-U", "postgres",
                              "-E", "UTF8", "--locale=C.UTF-8", "-D", data], user="postgres")
        (data / "pg_hba.conf").write_text(self.doors.postgres_access)
        settings = {"listen_addresses": self.network.address(POSTGRES), "unix_socket_directories": sockets,
                    "shared_buffers": "128MB", "max_connections": 300, "max_wal_size": "2GB",
                    "deadlock_timeout": "100ms", "jit": "off", "log_line_prefix": "%m [%p] %u@%d "}
        settings |= self.doors.postgres_settings
        command = [programs / "postgres", "-D", data]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.postgres = Process(self.network, POSTGRES, POSTGRES, command, log, user="postgres", cwd=data)
        self.postgres.start()
        self.await_postgres()
        self.ledger.execute_file("chaos_roles.sql", database="postgres")
        if password := self.doors.postgres_password():
            self.ledger.set_password("tranche_node", password)
        self._once(POSTGRES, [BIN / "tranche-migrate", "--postgres", f"host={sockets} user=postgres dbname=tranche"])

    def _once(self, host, command, user=None):
        """Runs a command to its end; its name says which log it wrote."""
        process = Process(self.network, host, pathlib.Path(command[0]).name, command, self.folder / "setup.log",
                          user=user, cwd=self.folder)
        process.start()
        if process.wait(START_TIMEOUT_S) != 0:
            raise ClusterError(f"{process.name} failed:\n{log_tail(process.log_file)}")

    # Waiting

    def await_postgres(self):
        def answers():
            if not self.postgres.running():
                raise ClusterError(f"PostgreSQL ended:\n{log_tail(self.postgres.log_file)}")
            try:
                self.ledger.execute("SELECT", database="postgres")
                return True
            except LedgerError:
                return False

        wait_until(answers, "PostgreSQL")

    def promote_postgres(self):
        """Starts it on its data as a standby that has no primary, and promotes it."""
        (self.folder / "data" / "standby.signal").touch()
        self.postgres.start()
        self.await_postgres()
        self.ledger.execute("SELECT pg_promote()", database="postgres")

    def copy_postgres(self):
        """What was acknowledged before the returned time is in the copy."""
        return chaos_backup.take(self.ledger, self.folder / "data", self.folder / "data-copy")

    def restore_postgres(self):
        """Starts it on the copy."""
        chaos_backup.put_back(self.folder / "data-copy", self.folder / "data")
        self.postgres.start()
        self.await_postgres()

    def await_serving(self, node, restarts=10):
        """Until the node serves; it is started again when it gives up, as a supervisor would."""
        for _ in range(restarts):
            try:
                wait_until(lambda: not node.running() or self._serves(node), f"{node.name} to serve")
            except ClusterError as error:
                raise ClusterError(f"{error}:\n{log_tail(node.log_file)}") from None
            if node.running():
                return
            time.sleep(0.5)
            node.start()
        raise ClusterError(f"{node.name} gives up again and again:\n{log_tail(node.log_file)}")

    def _serves(self, node):
        with self.network.inside(CLIENT):
            return _listens(self.network.address(node.host), NODE_PORT)

    def await_zookeepers(self):
        wait_until(lambda: sorted(mode or "" for mode in self.zookeeper_modes().values())
                   == ["follower"] * (ZOOKEEPERS - 1) + ["leader"], "the ensemble")

    def make_whole(self):
        """Undoes the effects of any fault."""
        self.network.carry_all()
        for process in self.processes():
            if process.paused():
                process.resume()
        spare = self.nodes[self.options.nodes :]
        for process in [self.postgres, *self.zookeepers, *self._broker_processes(), *self._helpers(), *self.nodes]:
            if not process.running() and process not in spare:
                process.start()
        self.await_postgres()
        if self.brokers:
            self.brokers.clear_alarm()
        self.await_zookeepers()
        self.unable.clear()

    # Asking

    def zookeeper_modes(self):
        return {server: chaos_zookeeper.mode_of(self.network, CLIENT, server.host) for server in self.zookeepers}

    def zookeeper_leader(self):
        leaders = [server for server, mode in self.zookeeper_modes().items() if mode == "leader"]
        return leaders[0] if leaders else None

    def session(self):
        """A ZooKeeper session with any serving server."""
        for server in self.zookeepers:
            try:
                return self.doors.zookeeper_session(self.network, CLIENT, server.host)
            except chaos_zookeeper.ZookeeperError:
                continue
        raise ClusterError("no ZooKeeper server answers")

    def leading_balancer(self):
        """The leading balancer; waits for one if necessary."""
        found = []

        def leads():
            try:
                with self.session() as session:
                    name = (session.get(f"{ROOT_ZNODE}/balancer/leader") or b"").decode()
            except (chaos_zookeeper.ZookeeperError, ClusterError):
                return False
            found[:] = [balancer for balancer in self.balancers if balancer.name == name and balancer.running()]
            return bool(found)

        wait_until(leads, "a leading balancer", interval_s=0.1)
        return found[0]


def _listens(address, port):
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False
