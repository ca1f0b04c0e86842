"""Reads the answers that callers got from the file of tranche-load, while it is being written."""

import collections
import threading
import typing

BUCKET_S = 0.25
# Callers are well when this share of a bucket's answers are reservations, in this many buckets in a row.
WELL_SHARE = 0.95
WELL_BUCKETS = 4
# A bucket with fewer answers than this part of the offered rate does not count as well.
ENOUGH_ANSWERS = 0.5
SUCCESSES = ("created", "replayed")
UNKNOWN = "UNKNOWN"
SOLD_OUT = "SOLD_OUT"


class Answer(typing.NamedTuple):
    reservation_id: str
    sku: str
    user: str
    quantity: int
    outcome: str
    amount_minor: int
    began: float
    ended: float

    def success(self):
        return self.outcome in SUCCESSES


def parse(line):
    """A line of tranche-load --answers."""
    reservation_id, sku, user, quantity, outcome, amount, began_us, ended_us = line.rstrip("\n").split("\t")
    return Answer(reservation_id, sku, user, int(quantity), outcome, int(amount), int(began_us) / 1e6,
                  int(ended_us) / 1e6)


def read(path):
    with open(path) as lines:
        for line in lines:
            yield parse(line)


def bucket_of(at):
    return int(at / BUCKET_S)


class Tally:
    """Answers per quarter of a second."""

    def __init__(self, rate):
        self._rate = rate
        self._buckets = collections.defaultdict(collections.Counter)
        self._newest = 0

    def add(self, answer):
        bucket = bucket_of(answer.ended)
        self._buckets[bucket]["success" if answer.success() else answer.outcome] += 1
        self._newest = max(self._newest, bucket)

    def _well(self, bucket):
        counts = self._buckets.get(bucket, {})
        answers = sum(counts.values())
        return answers >= ENOUGH_ANSWERS * self._rate * BUCKET_S and counts.get("success", 0) >= WELL_SHARE * answers

    def well_since(self, began, until):
        """Since when, at the earliest `began`, callers have been well without a break until a little after `until`.

        None: they are not well yet, or it is not known yet.
        """
        since, run = began, 0
        # The newest bucket may still grow.
        for bucket in range(bucket_of(began), self._newest):
            if not self._well(bucket):
                since, run = (bucket + 1) * BUCKET_S, 0
                continue
            run += 1
            if run >= WELL_BUCKETS and (bucket + 1) * BUCKET_S >= until:
                return max(began, since)
        return None

    def failed_between(self, began, ended):
        """By outcome, the answers that were neither a reservation nor "sold out"."""
        failed = collections.Counter()
        for bucket in range(bucket_of(began), bucket_of(ended) + 1):
            for outcome, count in self._buckets.get(bucket, {}).items():
                if outcome not in ("success", SOLD_OUT):
                    failed[outcome] += count
        return failed


class Tail:
    """A thread that follows a file and hands over every line, under `lock`."""

    INTERVAL_S = 0.05

    def __init__(self, path, add):
        self.lock = threading.Lock()
        self._path, self._add = path, add
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._path.exists():
            if self._stop.wait(self.INTERVAL_S):
                return
        rest = ""
        with open(self._path) as file:
            while not self._stop.wait(self.INTERVAL_S):
                *lines, rest = (rest + file.read()).split("\n")
                with self.lock:
                    for line in lines:
                        self._add(line)


class AnswersTail(Tail):
    """Follows the answers of a tranche-load."""

    def __init__(self, path, rate):
        self._tally = Tally(rate)
        super().__init__(path, lambda line: self._tally.add(parse(line)))

    def well_since(self, began, until):
        with self.lock:
            return self._tally.well_since(began, until)

    def failed_between(self, began, ended):
        with self.lock:
            return self._tally.failed_between(began, ended)
