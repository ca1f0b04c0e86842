"""The answers to callers who change reservations: confirm, cancel and extend them, all the time, at every node."""

import collections
import typing

from chaos_answers import UNKNOWN, Tail

SUCCESSES = {"confirm": "CONFIRMED", "cancel": "CANCELLED", "extend": "EXTENDED"}
# No answer in time, by the caller's clock or by the node's.
LATE = (UNKNOWN, "DEADLINE_PASSED", "DEADLINE_EXCEEDED")
# Definite answers, right only about what the ledger has forgotten; chaos_check judges that.
FORGOTTEN = ("RESERVATION_NOT_FOUND", "EXTENSION_OUT_OF_ORDER")
# How long the nodes are watched after a stall of the ledger. Changes that were sent during the stall may fail until
# their deadline after it.
WATCH_S = 5.0
# A node is well when this many of its last changes succeeded.
WELL_CHANGES = 5
# In place of a node: a change that was sent again at the end, to any node.
ANY_NODE = "-"


class Change(typing.NamedTuple):
    reservation_id: str
    kind: str
    node: str  # the address that was asked
    value: str  # the payment's reference, the reason or the extension's number
    outcome: str
    began: float
    ended: float

    def success(self):
        return self.outcome == SUCCESSES[self.kind]

    def late(self):
        return self.outcome in LATE


def parse(line):
    """A line of tranche-load --change-answers."""
    reservation_id, kind, node, value, outcome, began_us, ended_us = line.rstrip("\n").split("\t")
    return Change(reservation_id, kind, node, value, outcome, int(began_us) / 1e6, int(ended_us) / 1e6)


def read(path):
    with open(path) as lines:
        for line in lines:
            yield parse(line)


class ChangeTally:
    """The changes by node."""

    def __init__(self):
        # By node: when changes failed, and when each change that succeeded was sent, in the order of the answers.
        self._failed = collections.defaultdict(list)
        self._succeeded = collections.defaultdict(list)

    def add(self, change):
        well = change.success() or change.outcome in FORGOTTEN
        (self._succeeded if well else self._failed)[change.node].append(change.began if well else change.ended)

    def well_since(self, node, began):
        """Since when (at the earliest `began`) the node has made every change; None: it is not well yet."""
        failed = self._failed[node]
        since = max(began, failed[-1]) if failed else began
        # If it was sent before, the time of its success is unknown.
        well = sum(sent >= since for sent in self._succeeded[node][-WELL_CHANGES:])
        return since if well == WELL_CHANGES else None


class ChangesTail(Tail):
    """Follows the file of a tranche-load."""

    def __init__(self, path):
        self._tally = ChangeTally()
        super().__init__(path, lambda line: self._tally.add(parse(line)))

    def well_since(self, began, nodes):
        """By node, since when it has done every change; None: it is not well yet."""
        with self.lock:
            return {node: self._tally.well_since(node, began) for node in nodes}
