"""As much of ZooKeeper's protocol as chaos needs: is a server up, who leads, read a znode, delete a tree."""

import contextlib
import socket
import struct

PORT = 2181
TIMEOUT_S = 2
DELETE, GET_DATA, GET_CHILDREN, MULTI, AUTH, CLOSE = 2, 4, 8, 14, 100, -11
AUTH_XID = -4
NO_NODE = -101
ANY_VERSION = -1
# The tree changes with every move of units.
DELETE_TRIES = 200


class ZookeeperError(Exception):
    """A server does not answer, or answers with an error."""


def mode_of(network, from_host, server):
    """"leader", "follower", or None when the server does not serve."""
    try:
        with connect(network, from_host, server) as connection:
            connection.sendall(b"srvr")
            answer = b""
            while part := connection.recv(4096):
                answer += part
    except OSError:
        return None
    for line in answer.decode(errors="replace").splitlines():
        if line.startswith("Mode: "):
            return line.removeprefix("Mode: ")
    return None


def connect(network, from_host, server):
    with network.inside(from_host):
        return socket.create_connection((network.address(server), PORT), timeout=TIMEOUT_S)


class Session:
    """A short session with one server. A context manager. `auth`: USER:PASSWORD, if the tree belongs to it."""

    def __init__(self, server, open_socket, auth=None):
        """`open_socket` connects to it; `server` is its name, for errors."""
        self._xid = 0
        try:
            self._socket = open_socket()
            self._send(struct.pack(">iqiqi16s?", 0, 0, 10_000, 0, 16, bytes(16), False))
            self._receive()
            if auth:
                self._authenticate(auth)
        except OSError as error:
            raise ZookeeperError(f"{server}: {error}") from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(OSError, ZookeeperError):
            self._call(CLOSE, b"")
        self._socket.close()

    def get(self, path):
        """The znode's data; None when it does not exist."""
        error, reply = self._call(GET_DATA, _string(path) + b"\0")
        if error == NO_NODE:
            return None
        _check(error, path)
        length = struct.unpack_from(">i", reply)[0]
        return reply[4 : 4 + max(0, length)]

    def children(self, path):
        error, reply = self._call(GET_CHILDREN, _string(path) + b"\0")
        if error == NO_NODE:
            return []
        _check(error, path)
        names, offset = [], 4
        for _ in range(struct.unpack_from(">i", reply)[0]):
            length = struct.unpack_from(">i", reply, offset)[0]
            names.append(reply[offset + 4 : offset + 4 + length].decode())
            offset += 4 + length
        return names

    def dump(self, path):
        """{path: data} of the znode and all below it."""
        return {found: self.get(found) for found in self._tree(path)}

    def delete_tree(self, path):
        """Deletes the znode and all below it at one stroke, and returns how many there were."""
        for _ in range(DELETE_TRIES):
            paths = self._tree(path)
            if self._delete_all(reversed(paths)):
                return len(paths)
        raise ZookeeperError(f"{path}: it changes faster than it can be deleted")

    def _tree(self, path):
        """The path and all below it, parents first; empty when there is none."""
        paths = [path] if self.get(path) is not None else []
        for parent in paths:
            paths += [f"{parent}/{child}" for child in self.children(parent)]
        return paths

    def _delete_all(self, paths):
        """One transaction; False: somebody changed something meanwhile, and nothing was deleted."""
        operations = b"".join(struct.pack(">i?i", DELETE, False, -1) + _string(path) + struct.pack(">i", ANY_VERSION)
                              for path in paths)
        error, reply = self._call(MULTI, operations + struct.pack(">i?i", -1, True, -1))
        _check(error, "multi")
        return struct.unpack_from(">i", reply)[0] == DELETE

    def _authenticate(self, auth):
        self._send(struct.pack(">iii", AUTH_XID, AUTH, 0) + _string("digest") + _string(auth))
        xid, _, error = struct.unpack_from(">iqi", self._receive())
        _check(error if xid == AUTH_XID else xid, "auth")

    def _call(self, operation, body):
        self._xid += 1
        try:
            self._send(struct.pack(">ii", self._xid, operation) + body)
            while True:
                reply = self._receive()
                xid, _, error = struct.unpack_from(">iqi", reply)
                if xid == self._xid:
                    return error, reply[16:]
        except OSError as failed:
            raise ZookeeperError(str(failed)) from None

    def _send(self, payload):
        self._socket.sendall(struct.pack(">i", len(payload)) + payload)

    def _receive(self):
        return self._read(struct.unpack(">i", self._read(4))[0])

    def _read(self, size):
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ZookeeperError("the server closed the connection")
            data += part
        return data


def _string(text):
    data = text.encode()
    return struct.pack(">i", len(data)) + data


def _check(error, path):
    if error != 0:
        raise ZookeeperError(f"{path}: error {error}")
