"""Judges a waiting room by what its buyers were told. Pure, so that it can be tested.

Nodes know a threshold up to 2 s late, and longer while they are cut off. So what one node says must never fall while
its process lives, whatever happens; what several of them say is compared only while nothing is at fault.
"""

import bisect
import collections
import typing

from chaos_check import such_as

LET_IN, WAITS = "LET_IN", "WAITS"
# Let in without a place, as if there were no room. Nobody of the crowd is on the access list.
PASSED = "PASSED"
FIRST_LATE_RANK = 2**63
# How long a node may go by an older threshold while nothing is at fault: two looks twice a second, 2 s at most, and a
# margin, because one machine runs everything.
BEHIND_S = 4.0
# From when a node has decided to when it has answered, or the other way round; all hosts have the same clock.
CLOCK_S = 0.5
# Whoever joined before the opening is in by then; so those who joined later must have been let in, too.
LONG_S = 60.0


class Entry(typing.NamedTuple):
    """One try to be let in."""

    user: str
    node: str  # its address
    kept: bool  # it went with the ticket of the last answer
    outcome: str
    round: int  # 0: without a place
    rank: int
    threshold: int
    shuffled: bool
    began: float
    ended: float

    def has_place(self):
        return self.round > 0


def parse(line):
    """A line of tranche-room-load --entries."""
    user, node, kept, outcome, number, rank, threshold, shuffled, began_us, ended_us = line.rstrip("\n").split("\t")
    return Entry(user, node, kept == "1", outcome, int(number), int(rank), int(threshold), shuffled == "1",
                 int(began_us) / 1e6, int(ended_us) / 1e6)


def _named(entry):
    return f"{entry.user} at {entry.node} ({entry.ended:.3f})"


class Highest:
    """The highest value that had been told by a time. Ask for times that do not go back."""

    def __init__(self, told):
        """`told`: (when, value)."""
        self._told = collections.deque(sorted(told))
        self._highest = 0

    def by(self, at):
        while self._told and self._told[0][0] < at:
            self._highest = max(self._highest, self._told.popleft()[1])
        return self._highest


def check_doors(entries, opens_at):
    """Who is let in has a rank below the threshold that they are told, and once the sale is open, all who have are."""
    passed, above, below, early = [], [], [], []
    for entry in entries:
        if entry.outcome == PASSED:
            passed.append(_named(entry))
        elif entry.outcome == LET_IN and entry.ended < opens_at - CLOCK_S:
            early.append(_named(entry))
        elif entry.outcome == LET_IN and entry.rank >= entry.threshold:
            above.append(_named(entry))
        elif entry.outcome == WAITS and entry.began > opens_at + CLOCK_S and entry.rank < entry.threshold:
            below.append(_named(entry))
    return (such_as("buyers were let in past the waiting room", passed)
            + such_as("buyers were let in before the sale opened", early)
            + such_as("buyers were let in above the threshold that they were told", above)
            + such_as("buyers below the threshold that they were told were kept waiting", below))


def check_places(entries, lost):
    """A ticket keeps its place, at whichever node; and without one, nobody gets a better place than they had.

    `entries`: in the order of each buyer's answers. `lost(since, until)`: may a ticket of then be worth nothing?
    """
    last, moved, better = {}, [], []
    for entry in entries:
        if not entry.has_place():
            continue
        before, last[entry.user] = last.get(entry.user), entry
        if before is None or before.round != entry.round:
            if before is not None:
                moved.append(_named(entry))
            continue
        if entry.rank < before.rank:
            better.append(_named(entry))
        elif entry.kept and (entry.rank, entry.shuffled) != (before.rank, before.shuffled):
            if not lost(before.began, entry.ended):
                moved.append(_named(entry))
    return (such_as("places were lost although their tickets were kept", moved)
            + such_as("buyers got a better place by joining again", better))


def check_thresholds(entries, started):
    """What a node tells of a round never falls while its process lives. `started`: by address, when it was started."""
    lives = collections.defaultdict(list)
    for entry in entries:
        starts = started.get(entry.node, [])
        life = bisect.bisect_right(starts, entry.began)
        # If it was started in between, it is not known which process has answered.
        if entry.has_place() and life == bisect.bisect_right(starts, entry.ended):
            lives[entry.node, life, entry.round].append(entry)
    fallen = []
    for told in lives.values():
        highest = Highest((entry.ended, entry.threshold) for entry in told)
        for entry in sorted(told, key=lambda entry: entry.began):
            if entry.threshold < highest.by(entry.began):
                fallen.append(_named(entry))
    return such_as("thresholds fell at a node", fallen)


def check_order(entries, quiet_from):
    """Nobody is kept waiting whose turn it was before somebody else's, and who was let in stays so.

    Those who are let in with the higher rank count from when all nodes should know it. `quiet_from`: as in chaos_check.
    """
    placed = sorted((entry for entry in entries if entry.has_place()), key=lambda entry: entry.began)
    overtaken = []
    for number in sorted({entry.round for entry in placed}):
        # Ranks from 0: so that 0 is nobody, and the lowest counts, too.
        highest = Highest((entry.ended, entry.rank + 1) for entry in placed
                          if entry.outcome == LET_IN and entry.round == number)
        for entry in placed:
            if entry.outcome != WAITS or entry.round != number:
                continue
            let_in = highest.by(entry.began - BEHIND_S) - 1
            quiet = quiet_from(entry.began)
            if entry.rank <= let_in and quiet is not None and entry.began > quiet + BEHIND_S:
                overtaken.append(_named(entry))
    return such_as("buyers were kept waiting although a rank that is not lower had been let in, with nothing at fault",
                   overtaken)


def check_ranks(entries, opens_at, shuffled_rank):
    """Who joins before the opening has the rank that the round's key gives; who joins later that of the moment.

    `shuffled_rank(user)`: by the key.
    """
    wrong_turn, by_no_key, by_no_clock = [], [], []
    for entry in entries:
        if not entry.has_place():
            continue
        joins = not entry.kept
        if joins and (entry.began > opens_at + CLOCK_S if entry.shuffled else entry.ended < opens_at - CLOCK_S):
            wrong_turn.append(_named(entry))
        if entry.shuffled and entry.rank != shuffled_rank(entry.user):
            by_no_key.append(_named(entry))
        elif joins and not entry.shuffled:
            joined = (entry.rank - FIRST_LATE_RANK) / 1e6
            if not entry.began - CLOCK_S <= joined <= entry.ended + CLOCK_S:
                by_no_clock.append(_named(entry))
    return (such_as("buyers were shuffled after the opening, or not before it", wrong_turn)
            + such_as("ranks are not those that the round's key gives", by_no_key)
            + such_as("ranks are not those of the moment of joining", by_no_clock))


def check_sales(entries, rows, stock):
    """Only who was let in has bought, and not more than there is. `rows`: of the room's SKU."""
    let_in = {entry.user for entry in entries if entry.outcome in (LET_IN, PASSED)}
    sold = sum(row.quantity for row in rows if row.state in ("PENDING", "CONFIRMED"))
    found = such_as("buyers bought who were not let in", sorted({row.user for row in rows} - let_in))
    return found + ([f"{sold} units were sold by the waiting room, and there were {stock}"] if sold > stock else [])


def check_crowd(entries, opens_at):
    """The room had to do something: otherwise it proves nothing."""
    after = [entry for entry in entries if entry.began > opens_at]
    seen = {
        "kept waiting after the opening": any(entry.outcome == WAITS for entry in after),
        "let in": any(entry.outcome == LET_IN for entry in after),
        "shuffled": any(entry.shuffled for entry in entries),
    }
    if after and after[-1].ended > opens_at + LONG_S:
        seen["let in who had joined after the opening"] = any(entry.outcome == LET_IN and not entry.shuffled
                                                              for entry in after)
    return [f"nobody was {what} by the waiting room" for what, was in seen.items() if not was]


class LetInTally:
    """When newcomers were let in: buyers who had never been, whom no threshold of before would have let in."""

    ENOUGH = 5

    def __init__(self):
        self._known = set()
        self._let_in = collections.deque(maxlen=10_000)
        # The highest threshold that had been told, whenever it rose: (when, how high).
        self._rises = [(float("-inf"), 0)]

    def add(self, entry):
        if entry.has_place() and entry.threshold > self._rises[-1][1]:
            self._rises.append((max(entry.ended, self._rises[-1][0]), entry.threshold))
        if entry.outcome == LET_IN and entry.user not in self._known:
            self._known.add(entry.user)
            self._let_in.append(entry)

    def let_in_since(self, since):
        """When enough of those who asked from then on were in; None: they are not yet."""
        before = self._rises[bisect.bisect_right(self._rises, (since, float("inf"))) - 1][1]
        newcomers = [entry.ended for entry in self._let_in if entry.began >= since and entry.rank >= before]
        return sorted(newcomers)[self.ENOUGH - 1] if len(newcomers) >= self.ENOUGH else None
