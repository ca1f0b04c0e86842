"""Servers that a comparison starts, kills and starts again, and the CPU time of a server with all that it started."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

import cluster
from cluster import ClusterError

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat from the state on, or None: it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(roots):
    """These processes and all below them that live."""
    children = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        stat = _stat(entry.name)
        if stat and stat[0] not in "ZX":
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, left = [], [pid for pid in roots if cluster.alive(pid)]
    while left:
        pid = left.pop()
        if pid not in found:
            found.append(pid)
            left += children.get(pid, [])
    return found


def cpu_s(roots):
    """CPU time that these processes and all below them have used so far, with what has ended and was waited for."""
    stats = [_stat(pid) for pid in family(roots)]
    return sum(sum(map(int, stat[11:15])) for stat in stats if stat) / TICKS_PER_S


def kill_family(pid):
    """SIGKILL for all of it at once: children that outlive a server would block its successor."""
    if not cluster.alive(pid):
        return
    os.kill(pid, signal.SIGSTOP)  # it starts no more while they are counted
    members = family([pid])
    for member in [*members[1:], pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    give_up = time.monotonic() + STOP_TIMEOUT_S
    while any(cluster.alive(member) for member in members):
        if time.monotonic() > give_up:
            raise ClusterError(f"process {pid} or one of its children outlives SIGKILL")
        time.sleep(0.002)


def _flag(command, name):
    """The value of a flag in a command line, or None."""
    for part, value in zip(command, [*command[1:], None]):
        if part == name:
            return value
        if part.startswith(f"{name}="):
            return part.partition("=")[2]
    return None


@dataclasses.dataclass(frozen=True)
class Launch:
    """How a process is started."""
    command: tuple
    environment: dict
    folder: str  # where it works
    user: int | None = None  # None: ours
    group: int | None = None

    @staticmethod
    def of(pid):
        """Of a process that runs."""
        proc = pathlib.Path(f"/proc/{pid}")
        command = tuple(os.fsdecode(part) for part in proc.joinpath("cmdline").read_bytes().split(b"\0")[:-1])
        variables = os.fsdecode(proc.joinpath("environ").read_bytes()).split("\0")
        pairs = (variable.partition("=") for variable in variables if variable)
        status = proc.stat()
        other = status.st_uid != os.getuid()
        return Launch(command, {name: value for name, _, value in pairs}, os.readlink(proc / "cwd"),
                      status.st_uid if other else None, status.st_gid if other else None)


class Program:
    """One server. `port_file`: where it writes its port once it serves; None: it has a port of its own. Start it from
    the main thread: it dies with the thread that started it."""

    def __init__(self, name, launch, log_file, port_file=None):
        self.name, self.log_file = name, pathlib.Path(log_file)
        self._launch, self._port_file = launch, pathlib.Path(port_file) if port_file else None
        self._child = None
        self._adopted = None  # the pid of one that somebody else has started
        self.port = None

    @staticmethod
    def adopt(name, pid, folder):
        """One that runs already, and is to be killed and started again as it was. Its files are found by its command
        line."""
        launch = Launch.of(pid)
        port_file = _flag(launch.command, "--port-file")
        program = Program(name, launch, pathlib.Path(folder) / f"{name}.again.log", port_file)
        program._adopted = pid
        return program

    @property
    def pid(self):
        return self._child.pid if self._child else self._adopted

    def start(self):
        """Returns when it serves, if it writes a port, and otherwise at once."""
        if self._port_file:
            self._port_file.unlink(missing_ok=True)
        lock = _flag(self._launch.command, "-D")
        if lock:  # PostgreSQL's: it takes a dead server that nobody has waited for for one that runs
            pathlib.Path(lock, "postmaster.pid").unlink(missing_ok=True)
        identity = {} if self._launch.user is None else {
            "user": self._launch.user, "group": self._launch.group, "extra_groups": []}
        with open(self.log_file, "ab") as log:
            self._child = subprocess.Popen(self._launch.command, env=self._launch.environment, cwd=self._launch.folder,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                           preexec_fn=cluster.terminate_with_parent, **identity)
        self._adopted = None
        if self._port_file:
            self._await_port()
        return self

    def _await_port(self):
        give_up = time.monotonic() + START_TIMEOUT_S
        text = ""
        while not text.strip():
            if self._child.poll() is not None:
                raise ClusterError(f"{self.name} ended at its start with {self._child.returncode}: "
                                   f"{cluster.log_tail(self.log_file)}")
            if time.monotonic() > give_up:
                raise ClusterError(f"{self.name} does not serve after {START_TIMEOUT_S} s: "
                                   f"{cluster.log_tail(self.log_file)}")
            time.sleep(0.005)
            with contextlib.suppress(FileNotFoundError):
                text = self._port_file.read_text()
        self.port = int(text)

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def running(self):
        return self.pid is not None and cluster.alive(self.pid)

    def kill(self):
        """kill -9."""
        if self.running():
            kill_family(self.pid)
        if self._child:
            self._child.wait()

    def stop(self):
        """SIGTERM, and SIGKILL if that takes too long. One that somebody else has started is left to them."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._child = None
