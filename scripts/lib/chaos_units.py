"""Where the unsold units are, twenty times a second, and when they were all sellable again."""

import collections
import dataclasses
import threading
import time

import chaos_ledger
from chaos_ledger import LedgerError

INTERVAL_S = 0.05
# An hour and more.
MOST_SAMPLES = 100_000
POOL = 0


@dataclasses.dataclass(frozen=True)
class Sample:
    at: float  # Unix time just before the ledger was asked
    stock: dict  # by SKU
    unsold: dict  # by SKU
    held: dict  # units by (incarnation, SKU); the pool is incarnation 0

    def units_of(self, holder):
        return sum(units for (incarnation, _), units in self.held.items() if incarnation == holder)

    def total(self):
        return sum(self.unsold.values())


def to_sample(at, rows, skus=None):
    """From the rows of chaos_slots.sql; only of `skus`, unless None."""
    stock, unsold, held = {}, {}, collections.Counter()
    for sku, in_all, holder, units in rows:
        if skus is not None and sku not in skus:
            continue
        stock[sku] = int(in_all)
        unsold[sku] = unsold.get(sku, 0) + int(units)
        held[int(holder), sku] += int(units)
    return Sample(at, stock, unsold, dict(held))


class Recovery:
    """Decides when all units are sellable again after some holders became unable to sell.

    Two things must be seen. Each of the unable holders has nothing left (its units are elsewhere) or, once the fault
    is over, sells again. And units delivered into the pool after the fault began have left it: whoever hands units out
    does so. Feed it the samples in their order.
    """

    def __init__(self, unable, began):
        self.began, self.healed, self.delivered = began, None, None
        # Units that could not be sold at first, and when each of the two conditions was seen.
        self.stuck_units = None
        self.holders_done, self.pool_done = None, None
        self._stuck = set(unable)
        self._last = {}

    def heal(self, at):
        self.healed = at

    def deliver(self, at):
        """Stock was added at this time."""
        self.delivered = at

    def see(self, sample):
        if sample.at < self.began:
            return
        if self.stuck_units is None:
            self.stuck_units = sum(sample.units_of(holder) for holder in self._stuck)
        if self.holders_done is None:
            self._see_holders(sample)
        delivered = self.delivered is not None and sample.at >= self.delivered
        if self.pool_done is None and delivered and sample.units_of(POOL) == 0:
            self.pool_done = sample.at

    def _see_holders(self, sample):
        healed = self.healed is not None and sample.at >= self.healed
        for holder in list(self._stuck):
            units = sample.units_of(holder)
            # A sale before the end of the fault proves nothing, so both samples must be younger.
            if units == 0 or (healed and units < self._last.get(holder, units)):
                self._stuck.discard(holder)
            if healed:
                self._last[holder] = units
        if not self._stuck:
            self.holders_done = sample.at

    def done(self):
        return None if self.holders_done is None or self.pool_done is None else max(self.holders_done, self.pool_done)

    def waits_for(self):
        """What has not been seen yet, for people."""
        missing = [f"the units of incarnation {holder}" for holder in sorted(self._stuck)]
        return missing + ([] if self.pool_done else ["the units in the pool"])


class UnitsWatch:
    """A thread that samples the ledger, also while PostgreSQL comes and goes."""

    def __init__(self, ledger, skus, log_file):
        """Also writes what it sees to `log_file`, a line per change, for people who look for a reason."""
        self._ledger, self._skus, self._log = ledger, skus, open(log_file, "w", buffering=1)
        self._lock = threading.Lock()
        self._samples = collections.deque(maxlen=MOST_SAMPLES)
        self._recoveries = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        self._log.close()

    def samples(self):
        with self._lock:
            return list(self._samples)

    def last(self):
        with self._lock:
            return self._samples[-1] if self._samples else None

    def await_fresh(self, timeout_s=60):
        """A sample taken after this call; None when the ledger does not answer."""
        called, deadline = time.time(), time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            sample = self.last()
            if sample and sample.at >= called:
                return sample
            time.sleep(INTERVAL_S / 2)
        return None

    def follow(self, recovery):
        with self._lock:
            self._recoveries.append(recovery)

    def _run(self):
        sql, connection = chaos_ledger.read_sql("chaos_slots.sql"), None
        while not self._stop.wait(INTERVAL_S):
            try:
                connection = connection or self._ledger.connect()
                at = time.time()
                self._add(to_sample(at, connection.query(sql), self._skus))
            except LedgerError:
                if connection:
                    connection.close()
                connection = None

    def _add(self, sample):
        with self._lock:
            if not self._samples or self._samples[-1].held != sample.held:
                held = " ".join(f"{sku}@{holder}={units}" for (holder, sku), units in sorted(sample.held.items()))
                self._log.write(f"{sample.at:.3f} {held}\n")
            self._samples.append(sample)
            for recovery in self._recoveries:
                recovery.see(sample)
            self._recoveries = [recovery for recovery in self._recoveries if recovery.done() is None]
