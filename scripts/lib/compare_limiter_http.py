"""Tries at a limiter behind HTTP/1.1, many in one packet, in the order in which they are answered."""

import re
import socket

TIMEOUT_S = 30
TAKEN, REFUSED = 200, 429
# So many are sent before their answers are read: more would fill both sides' buffers.
BATCH = 64
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# What of the end may be the beginning of a status line.
_TAIL = len(b"HTTP/1.1 200 ") - 1


class Statuses:
    """The status codes in a stream of answers. No body may hold what looks like a status line."""

    def __init__(self):
        self._rest = b""

    def feed(self, data):
        """Those that have come with this part."""
        self._rest += data
        found, end = [], 0
        for match in _STATUS.finditer(self._rest):
            found.append(int(match.group(1)))
            end = match.end()
        self._rest = self._rest[max(end, len(self._rest) - _TAIL):]
        return found


class Caller:
    """One connection. Use it as a context. Each node's door is at `path`."""

    def __init__(self, port, path="/"):
        self._port, self._path = port, path

    def __enter__(self):
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._statuses = Statuses()
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _try_batch(self, keys):
        self._socket.sendall(b"".join(b"GET %s?key=user-%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                      % (self._path.encode(), key) for key in keys))
        statuses = []
        while len(statuses) < len(keys):
            data = self._socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the server has closed the connection")
            statuses += self._statuses.feed(data)
        for status in statuses:
            if status not in (TAKEN, REFUSED):
                raise ConnectionError(f"the server has answered with {status}")
        return [status == TAKEN for status in statuses]

    def tries(self, keys):
        """One try of each key, in this order: whether each was taken."""
        keys = list(keys)
        return [taken for begin in range(0, len(keys), BATCH) for taken in self._try_batch(keys[begin:begin + BATCH])]
