"""One round: a fault under load, its recovery, and then the sale of every unit that is left."""

import dataclasses
import time

import chaos_changes
from chaos_faults import parts, strike
from chaos_ledger import LedgerError
from chaos_units import INTERVAL_S, POOL, Recovery
from chaos_zookeeper import ZookeeperError
from cluster import ClusterError, log_tail

# Far beyond every goal: if it takes longer, it is broken, not slow, and there is nothing more to wait for.
RECOVERY_TIMEOUT_S = 90
EMPTY_TIMEOUT_S = 90
SUPPLY_TIMEOUT_S = 90
# A node that makes no changes by then never will, and every round would wait for it.
CHANGES_TIMEOUT_S = 30
# The same for honest buyers at the front door, from when nothing is at fault any more.
ENTRIES_TIMEOUT_S = 30
# And for those who wait in the waiting room.
ROOM_TIMEOUT_S = 60
# And for those whose claims are queued.
QUEUE_TIMEOUT_S = 90
# And for groups that were due.
GROUPS_TIMEOUT_S = 90


@dataclasses.dataclass
class Round:
    """What one fault did. Times are seconds since it began, but `empty_s` is since the last unit was added."""

    fault: str
    target: str = ""
    began: float = 0
    ended: float = 0  # when everything was well again
    healed_s: float = 0
    delivered_s: float = None  # until stock was added
    forgotten: tuple = None  # as in Blow
    stuck_units: int = 0
    # Until nodes that could not sell held nothing; until new stock left the pool; until callers were as well as before;
    # until all of these held; until every node made changes again; and, known after the run, until the last moment in
    # which claims were sent in vain for something that never runs out.
    holders_s: float = None
    pool_s: float = None
    callers_s: float = None
    recovered_s: float = None
    changes_s: float = None
    claims_s: float = None
    failed: dict = dataclasses.field(default_factory=dict)
    empty_s: float = None
    has_room: bool = False
    room_s: float = None  # until newcomers were let into the waiting room; before it opens, no time passes
    has_queue: bool = False
    # Until claims of those who came after the fault were queued; and until these claims were decided.
    queued_s: float = None
    decided_s: float = None
    has_groups: bool = False
    groups_s: float = None  # until all groups were over, and settled, that were due at the end of the fault
    notes: list = dataclasses.field(default_factory=list)
    violations: list = dataclasses.field(default_factory=list)
    goals: list = dataclasses.field(default_factory=list)  # chaos_goals.Outcome


def unforgivable(failed):
    """Failures that a fault in good order must not cause; being out of units for a moment is not its fault."""
    return [f"{count} requests failed with {outcome}" for outcome, count in sorted(failed.items())
            if outcome != "EXHAUSTED_HERE"]


class Rounds:
    """`room`, `queue`, `groups`: None if there is none.

    `others`: all further crowds, those included, which must not end.
    """

    def __init__(self, cluster, victims, buyers, payers, crowd, warehouse, watch, room=None, queue=None, groups=None,
                 others=()):
        self._cluster, self._victims = cluster, victims
        self._buyers, self._payers, self._crowd = buyers, payers, crowd
        self._warehouse, self._watch = warehouse, watch
        self._room, self._queue, self._groups = room, queue, groups
        self._callers = [buyers, payers, crowd, *others]

    def run(self, name):
        result = Round(name, has_room=self._room is not None, has_queue=self._queue is not None,
                       has_groups=self._groups is not None)
        try:
            self._supply()
            self._strike(parts(name), result)
            self._sell_out(result)
            # Before the others, which note themselves when it was: of groups only a look tells when they were settled.
            self._await_groups(result)
            self._await_entries(result)
            self._await_room(result)
            self._await_queue(result)
        except (ClusterError, LedgerError, ZookeeperError) as error:
            result.violations.append(str(error))
            self._repair()
        result.violations += self._unasked_ends()
        if not all(callers.running() for callers in self._callers):
            result.violations.append("tranche-load, or one of the crowds, has ended")
        return result

    def _supply(self):
        """Waits until there is something to lose: units with the nodes, and callers who get them."""
        self._warehouse.open()
        began, deadline = time.time(), time.monotonic() + SUPPLY_TIMEOUT_S
        while self._buyers.answers.well_since(began, began) is None:
            if time.monotonic() > deadline:
                raise ClusterError(f"the sale does not get going within {SUPPLY_TIMEOUT_S} s: {self._whereabouts()}")
            time.sleep(INTERVAL_S)

    def _strike(self, faults, result):
        steps, blow = strike(faults, self._victims)
        result.target, result.began, result.forgotten = blow.target, blow.began, blow.forgotten
        recovery = Recovery(blow.unable, blow.began)
        # When the blow is reported, a graceful fault's process is back, or gone for good: look at it nevertheless.
        for sample in self._watch.samples():
            recovery.see(sample)
        self._watch.follow(recovery)
        if blow.starve:
            self._warehouse.close()
            self._hold(blow, lambda: recovery.holders_done is not None)
        # If the affected nodes cannot be told from the others, all units that nodes hold count as supply.
        self._warehouse.open(blow.unable if self._cluster.unable else ())
        self._warehouse.deliver(recovery)
        self._hold(blow, lambda: False)
        for step in steps:
            next(step, None)
        self._warehouse.free()
        healed = time.time()
        recovery.heal(healed)
        result.healed_s = healed - blow.began
        self._await_recovery(recovery, healed, result)
        result.notes = blow.notes
        self._await_changes(healed, any(fault.stall for fault in faults), result)
        if any(fault.graceful for fault in faults):
            result.violations += unforgivable(result.failed)

    @staticmethod
    def _hold(blow, enough):
        while time.time() < blow.began + blow.hold_s and not enough():
            time.sleep(INTERVAL_S)

    def _await_recovery(self, recovery, healed, result):
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        well = None
        while recovery.done() is None or well is None:
            if recovery.done() is not None:
                well = self._buyers.answers.well_since(recovery.began, max(recovery.done(), healed))
            if time.monotonic() > deadline:
                missing = recovery.waits_for() if recovery.done() is None else ["the callers"]
                result.violations.append(f"not well {time.time() - healed:.0f} s after the end of the fault: "
                                         f"{', '.join(missing)}; {self._whereabouts()}")
                break
            time.sleep(INTERVAL_S)
        result.ended = max(recovery.done() or time.time(), well or time.time())
        for field, at in (("holders_s", recovery.holders_done), ("pool_s", recovery.pool_done),
                          ("callers_s", well)):
            setattr(result, field, None if at is None else max(0.0, at - recovery.began))
        parts = (result.holders_s, result.pool_s, result.callers_s)
        result.recovered_s = None if None in parts else max(parts)
        result.stuck_units = recovery.stuck_units or 0
        result.delivered_s = None if recovery.delivered is None else max(0.0, recovery.delivered - recovery.began)
        result.failed = dict(self._buyers.answers.failed_between(recovery.began, result.ended))

    def _await_changes(self, healed, stall, result):
        """Waits until every node makes changes again, and after a stall a little longer."""
        watched, deadline = healed + (chaos_changes.WATCH_S if stall else 0), time.time() + CHANGES_TIMEOUT_S
        while True:
            since = self._payers.well_since(result.began)
            unwell = sorted(node for node, at in since.items() if at is None)
            if not unwell and time.time() >= watched:
                break
            if time.time() > max(deadline, watched):
                result.violations.append(f"changes still fail {time.time() - healed:.0f} s after the end of the fault "
                                         f"at {', '.join(unwell)}")
                result.ended = time.time()
                return
            time.sleep(INTERVAL_S)
        done = max(since.values(), default=healed)
        last = max(since, key=since.get, default=None)
        if last and done > healed:
            result.notes.append(f"changes last at {last}")
        result.ended = max(result.ended, done)
        result.changes_s = done - result.began

    def _sell_out(self, result):
        """No more supply: the demand must find every unit that is left."""
        self._warehouse.close()
        closed, deadline = time.monotonic(), time.monotonic() + EMPTY_TIMEOUT_S
        while (sample := self._watch.await_fresh()) is None or sample.total() > 0:
            if time.monotonic() > deadline:
                result.violations.append(f"units are stranded after {EMPTY_TIMEOUT_S} s of demand: "
                                         f"{self._whereabouts()}")
                return
        result.empty_s = time.monotonic() - closed

    def _await_entries(self, result):
        """Waits until honest buyers, who came after the fault, got in by the front door."""
        deadline = time.monotonic() + ENTRIES_TIMEOUT_S
        while not self._crowd.well_since(result.began + result.healed_s):
            if time.monotonic() > deadline:
                result.violations.append("honest buyers do not get in by the front door "
                                         f"{ENTRIES_TIMEOUT_S} s after the round")
                return
            time.sleep(INTERVAL_S)

    def _await_room(self, result):
        """Waits until buyers who asked after the fault were let into the waiting room."""
        if self._room is None:
            return
        healed = result.began + result.healed_s
        since = max(healed, self._room.opens_at)
        deadline = max(time.time(), since) + ROOM_TIMEOUT_S
        while (let_in := self._room.let_in_since(since)) is None:
            if time.time() > deadline:
                result.violations.append(f"nobody new is let into the waiting room {ROOM_TIMEOUT_S} s after the round")
                return
            time.sleep(INTERVAL_S)
        result.room_s = result.healed_s + let_in - since

    def _await_queue(self, result):
        """Waits until claims that came after the fault were queued and decided."""
        if self._queue is None:
            return
        healed = result.began + result.healed_s
        deadline = time.time() + QUEUE_TIMEOUT_S
        while (decided := self._queue.decided_since(healed)) is None and time.time() < deadline:
            time.sleep(INTERVAL_S)
        queued = self._queue.queued_since(healed)
        result.queued_s = None if queued is None else queued - result.began
        result.decided_s = None if decided is None else decided - result.began
        if decided is None:
            what = "claims are not queued" if queued is None else "queued claims are not decided"
            result.violations.append(f"{what} {QUEUE_TIMEOUT_S} s after the round")

    def _await_groups(self, result):
        """Waits until the groups are over and settled that were due when nothing was at fault any more.

        Those that are not settled at the first look count until the look at which they are.
        """
        if self._groups is None:
            return
        healed = result.began + result.healed_s
        deadline = time.time() + GROUPS_TIMEOUT_S
        awaited = False
        while (ended := self._groups.ended_since(healed)) is None:
            if time.time() > deadline:
                result.violations.append(f"groups that were due are not over {GROUPS_TIMEOUT_S} s after the round")
                return
            awaited = True
            time.sleep(INTERVAL_S)
        if awaited:
            ended = max(ended, time.time())
        result.groups_s = ended - result.began

    def _whereabouts(self):
        """Who holds what, in words."""
        sample = self._watch.last()
        if sample is None:
            return "the ledger was never read"
        held = sorted((sku, holder, units) for (holder, sku), units in sample.held.items() if units > 0)
        where = [f"{units} of {sku} with {'the pool' if holder == POOL else holder}" for sku, holder, units in held]
        return "; ".join(where) or "no unsold unit anywhere"

    def _unasked_ends(self):
        """Processes that ended although nobody had asked them to; they are started again."""
        found = []
        for process in self._cluster.processes():
            if (status := process.ended_with()) is not None:
                found.append(f"{process.name} ended by itself with status {status}:\n{log_tail(process.log_file)}")
                process.start()
        return found

    def _repair(self):
        """After a round that went wrong: the next one begins with a whole cluster."""
        self._warehouse.close()
        self._cluster.make_whole()
