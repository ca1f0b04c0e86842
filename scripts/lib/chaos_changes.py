"""What the callers were told who change reservations: confirm, cancel and extend them, all the time, at every node."""

import collections
import typing

from chaos_answers import UNKNOWN, Tail

SUCCESSES = {"confirm": "CONFIRMED", "cancel": "CANCELLED", "extend": "EXTENDED"}
# No answer in time, be it by the caller's clock or by the node's.
LATE = (UNKNOWN, "DEADLINE_PASSED", "DEADLINE_EXCEEDED")
# How soon after a stall of the ledger every node must do changes again, and how long it is watched then. Those that
# were sent in the stall fail up to their deadline after it.
GOAL_S, WATCH_S = 3.0, 5.0
# A node is well when its last so many changes succeeded.
WELL_CHANGES = 5
# Of changes sent again at the end, to any node.
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
        (self._succeeded if change.success() else self._failed)[change.node].append(
            change.began if change.success() else change.ended)

    def well_since(self, node, began):
        """Since when, not before `began`, the node has done every change; None: it is not well yet."""
        failed = self._failed[node]
        since = max(began, failed[-1]) if failed else began
        # Of one that was sent before, nobody knows which time its success belongs to.
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


def missed_goal(since, healed):
    """The nodes that did changes again too late after a stall that ended at `healed`, in words. `since`: by node."""
    return [f"{node} {at - healed:.1f} s" for node, at in sorted(since.items()) if at - healed > GOAL_S]
