"""A SKU with a waiting room: who waits there, and what the room must have done in the end."""

import datetime
import json
import math
import time

import chaos_answers
import chaos_cluster
import chaos_room_check
from chaos_answers import Tail
from chaos_front_door import KNOWN_S, check_rounds, end_round, to_round, verify_rank
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

# It never runs out, so the room never has to stop for that.
ROOM, ROOM_STOCK = "seat", 1_000_000
# So many are there at a time: they wait about six seconds. The load is small, and the same while nobody is let in.
BUYERS, BUYERS_PER_S, POLL_S = 90, 15, 2
# How long they may join before the sale opens: all of the first ones do.
JOIN_S = 5


class Room:
    """The operator's part, the crowd, and the verdict. Call in this order: set_up, start, stop, violations."""

    def __init__(self, cluster, operator, front_door):
        self._cluster, self._operator, self._front_door = cluster, operator, front_door
        self.answers_file = cluster.folder / "room-answers"
        self.entries_file = cluster.folder / "room-entries"
        self.opens_at = None  # Unix time
        self._begun = self._ended = None
        self._process = self._tail = None

    def set_up(self):
        """The policy comes first: a SKU without one would be sold to everybody."""
        self._operator.do("door", "set", ROOM, "--room", f"{BUYERS_PER_S}/s,poll={POLL_S}s", "--token=90s",
                          "--limit", f"user={5 * self._cluster.options.nodes}/1s", "--yes")
        self.opens_at = math.ceil(time.time() + KNOWN_S + JOIN_S)
        opens = datetime.datetime.fromtimestamp(self.opens_at, datetime.timezone.utc)
        self._operator.do("sku", "create", ROOM, "--stock", ROOM_STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--opens-at", opens.strftime("%Y-%m-%dT%H:%M:%SZ"))
        (policy,) = json.loads(self._operator.do("door", "show", ROOM, "-o", "json"))["policies"]
        self._begun = to_round(policy["round"])

    def start(self):
        """When all nodes know the policy."""
        command = [BIN / "tranche-room-load", "--endpoints", ",".join(self._cluster.node_addresses()), "--sku", ROOM]
        command += ["--buyers", BUYERS, "--timeout-ms", TIMEOUT_MS, "--entries", self.entries_file]
        command += ["--answers", self.answers_file, *self._cluster.doors.client_flags("service")]
        self._process = Process(self._cluster.network, chaos_cluster.CLIENT, "tranche-room-load", command,
                                self._cluster.folder / "room.log")
        self._process.start()
        self._tail = RoomTail(self.entries_file)

    def running(self):
        return self._process.running()

    def let_in_since(self, since):
        """When enough buyers were in of those who asked from then on; None: they are not yet."""
        return self._tail.let_in_since(since)

    def stop(self):
        """Ends the waiting and the round, so that its key is told and everybody's rank can be computed."""
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-room-load failed:\n{log_tail(self._process.log_file)}")
        self._tail.stop()
        self._ended = end_round(self._operator, ROOM)

    def kill(self):
        if self._process:
            self._process.kill()
        if self._tail:
            self._tail.stop()

    def answers(self):
        """To the claims."""
        return chaos_answers.read(self.answers_file)

    def violations(self, evidence):
        with open(self.entries_file) as lines:
            entries = [chaos_room_check.parse(line) for line in lines]
        started = {self._cluster.address_of(node): node.started for node in self._cluster.nodes}
        found = (check_rounds(self._ended, self._begun, "the waiting room")
                 + chaos_room_check.check_doors(entries, self.opens_at)
                 + chaos_room_check.check_places(entries, self._lost)
                 + chaos_room_check.check_thresholds(entries, started)
                 + chaos_room_check.check_order(entries, evidence.quiet_from)
                 + chaos_room_check.check_ranks(entries, self.opens_at, self._shuffled_rank)
                 + chaos_room_check.check_sales(entries, [row for row in evidence.rows if row.sku == ROOM], ROOM_STOCK)
                 + chaos_room_check.check_crowd(entries, self.opens_at))
        return [f"{ROOM}: {text}" for text in found]

    def _lost(self, since, until):
        return any(began <= until and since <= ended for began, ended in self._front_door.replaced)

    def _shuffled_rank(self, user):
        return shuffled_rank(self._ended[-1], user)


def shuffled_rank(ended, user):
    """In a round whose key is known: the first 63 of the 64 bits that a lottery's rank has."""
    return verify_rank.rank(ended.key, ended.policy_sku_id.encode(), ended.number, user.encode()) >> 1


class RoomTail(Tail):
    """Follows the entries of a tranche-room-load."""

    def __init__(self, path):
        self._tally = chaos_room_check.LetInTally()
        super().__init__(path, lambda line: self._tally.add(chaos_room_check.parse(line)))

    def let_in_since(self, since):
        with self.lock:
            return self._tally.let_in_since(since)
