"""A network of its own: one namespace per host, and one more as the router between them.

Every packet passes the router, so one of its rules drops exactly what one host sends to another, silently and in one
direction, as a broken network does. (A blackhole route in the sender's own namespace would tell the sender at once.)
Names carry the process id; addresses exist only inside these namespaces. Needs root.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import subprocess

PREFIX = "tranche-chaos-"
FOLDER = pathlib.Path("/run/netns")
ROUTER_ADDRESS = "10.77.255.254"
CLONE_NEWNET = 0x40000000


class NetworkError(Exception):
    """Says in one line what the system refused."""


def _ip(*args, commands=None):
    done = subprocess.run(["ip", *args], input=commands, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise NetworkError(f"ip {' '.join(args)}: {done.stderr.strip() or done.returncode}")


def why_impossible():
    """Why this process cannot make network namespaces; None when it can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    name = f"{PREFIX}{os.getpid()}-probe"
    try:
        _ip("netns", "add", name)
        try:
            _ip("-n", name, "link", "add", "probe", "type", "veth", "peer", "name", "peer")
            _ip("-n", name, "rule", "add", "from", "10.77.0.1", "to", "10.77.0.2", "blackhole")
        finally:
            _ip("netns", "del", name)
    except FileNotFoundError:
        return "needs the command ip (package iproute2)"
    except NetworkError as error:
        return f"cannot make network namespaces here ({error})"
    return None


def _setns(descriptor):
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise NetworkError(f"setns: {os.strerror(ctypes.get_errno())}")


class Network:
    def __init__(self):
        self._addresses = {}
        self._cuts = set()
        self._router = f"{PREFIX}{os.getpid()}-router"
        _ip("netns", "add", self._router)
        with self._inside(self._router):
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def namespace(self, host):
        return f"{PREFIX}{os.getpid()}-{host}"

    def address(self, host):
        return self._addresses[host]

    def add(self, host, last_byte):
        """A host at 10.77.0.<last_byte>, reachable by all others."""
        namespace, address, port = self.namespace(host), f"10.77.0.{last_byte}", f"to{last_byte}"
        _ip("netns", "add", namespace)
        self._addresses[host] = address
        _ip("-n", self._router, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("-n", self._router, "-batch", "-", commands=f"""addr add {ROUTER_ADDRESS}/32 dev {port}
            link set {port} up
            route add {address}/32 dev {port}
            """)
        _ip("-n", namespace, "-batch", "-", commands=f"""addr add {address}/32 dev eth0
            link set eth0 up
            link set lo up
            route add default via {ROUTER_ADDRESS} dev eth0 onlink
            """)
        return address

    def drop(self, sender, receiver):
        """What `sender` sends to `receiver` is lost from now on."""
        if (sender, receiver) not in self._cuts:
            self._rule("add", sender, receiver)
            self._cuts.add((sender, receiver))

    def carry(self, sender, receiver):
        if (sender, receiver) in self._cuts:
            self._rule("del", sender, receiver)
            self._cuts.discard((sender, receiver))

    def carry_all(self):
        for sender, receiver in list(self._cuts):
            self.carry(sender, receiver)

    def _rule(self, verb, sender, receiver):
        addresses = ["from", self.address(sender), "to", self.address(receiver)]
        _ip("-n", self._router, "rule", verb, *addresses, "blackhole")

    @contextlib.contextmanager
    def _inside(self, namespace):
        with open("/proc/thread-self/ns/net") as home, open(FOLDER / namespace) as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def inside(self, host):
        """The calling thread is on `host`: sockets made here belong to it, and go on doing so."""
        return self._inside(self.namespace(host))

    def remove(self):
        for host in self._addresses:
            _delete(self.namespace(host))
        _delete(self._router)


def _delete(namespace):
    """Ends whatever still runs in the namespace, and removes it."""
    pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, timeout=60).stdout
    for pid in pids.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    with contextlib.suppress(NetworkError):
        _ip("netns", "del", namespace)


def remove_stale():
    """Removes what killed runs left behind."""
    for namespace in FOLDER.glob(f"{PREFIX}*") if FOLDER.is_dir() else ():
        pid = re.match(rf"{PREFIX}(\d+)-", namespace.name)
        if pid and not pathlib.Path(f"/proc/{pid.group(1)}").exists():
            _delete(namespace.name)
