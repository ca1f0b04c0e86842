"""The load of a comparison: claims of tranche-load at one endpoint, each a call of its own, for all sellers alike.

An open loop sends at random times whether the earlier claims were answered or not, and tranche-load counts each
claim's time from its planned arrival: a slow seller cannot slow the clock that measures it (no coordinated omission).
"""

import contextlib
import dataclasses
import pathlib
import time

import chaos_answers
import compare_check
import compare_process
from benchmark_generators import Generators

# Claims under way in the closed loop: as many as help.
WINDOWS = (16, 128, 1024)
WORTH_IT = 1.03
# Of a claim that waits for so many before it. The SDK sends a claim again after a second without an answer, and then
# the generator would measure that.
MOST_WAIT_S = 0.5
# For answers that cost a seller nothing: refusals, and those of an echo.
REFUSE_WINDOW = 256
CHANNELS = ("--channels", 4)
OPEN_SHARE, KILL_SHARE = 0.7, 0.5
LEAST_STOCK = 20
# After the last unit that was sold, or the last claim that the seller could not decide, until the rest counts as
# unsellable; sooner where the rest may be what buyers whose answers were lost have got.
QUIET_S, QUIET_IN_DOUBT_S = 8, 3
MOST_S = 90


@dataclasses.dataclass(frozen=True)
class Place:
    """Where claims are sent from: a folder for files, and the processors of the generators."""
    folder: pathlib.Path
    processors: set


@dataclasses.dataclass(frozen=True)
class Run:
    """What tranche-load has found."""
    summary: dict
    answers: list  # chaos_answers.Answer

    def told(self):
        return compare_check.tell(self.answers)

    def refused(self, reason):
        return self.summary["totals"]["refused"].get(reason, 0)


class Claims:
    """The claims of one sale. Numbers its files, and keeps what its buyers were told."""

    def __init__(self, place, endpoint, name, flags=()):
        self._place, self._endpoint, self._name, self._flags = place, endpoint, name, flags
        self._runs = 0
        self.told = compare_check.NOBODY

    def at(self, endpoint):
        """From now on."""
        self._endpoint = endpoint

    def generators(self):
        return Generators(self._place.folder, [self._endpoint], self._place.processors)

    def start(self, generators, skus, *args):
        """Begins a load; its name and the file of its answers."""
        self._runs += 1
        name = f"{self._name}-{self._runs}"
        answers = self._place.folder / f"{name}.answers"
        targets = [part for sku in skus for part in ("--sku", sku)]
        generators.start(name, *targets, *CHANNELS, *self._flags, "--answers", answers, *args, nice=0)
        return name, answers

    def take(self, summary, answers):
        run = Run(summary, list(chaos_answers.read(answers)))
        answers.unlink()
        self.told |= run.told()
        return run

    def run(self, skus, *args):
        """A whole load, until it ends by itself."""
        with self.generators() as generators:
            name, answers = self.start(generators, skus, *args)
            return self.take(generators.finish(name), answers)


def seconds(value):
    return f"{value:g}s"


def warm_up(claims, sku, duration_s):
    claims.run([sku], "--duration", seconds(duration_s), "--in-flight", 64)


def sell_twice(claims, sku, buyers):
    """Units that buyers got who had one already."""
    flags = ("--requests", buyers, "--in-flight", 16, "--users", f"twice-{sku}")
    first = claims.run([sku], *flags)
    if not first.told().acknowledged:
        raise RuntimeError(f"nobody could buy at all: {first.summary['totals']}")
    return compare_check.doubled(claims.run([sku], *flags).told())


def best_window(measure, windows=WINDOWS):
    """(claims under way, units per second). `measure` gives the rate of a window; a larger one is not tried any more
    once one has not helped, nor where claims would wait too long."""
    best = None
    for window in windows:
        if best and window > MOST_WAIT_S * best[1]:
            return best
        rate = measure(window)
        if best and rate < WORTH_IT * best[1]:
            return (window, rate) if rate > best[1] else best
        best = (window, rate)
    return best


def saturate(claims, skus, duration_s):
    """As best_window, of claims that are created."""
    last = {}

    def measure(window):
        run = claims.run(skus, "--duration", seconds(duration_s), "--in-flight", window)
        if run.refused(compare_check.SOLD_OUT):
            raise RuntimeError("it was sold out while its rate was measured")
        last["totals"] = run.summary["totals"]
        return run.summary["created_per_second"]

    window, rate = best_window(measure)
    if rate <= 0:
        raise RuntimeError(f"it sold nothing: {last['totals']}")
    return {"window": window, "created_per_s": rate}


def open_loop(claims, skus, rate, roots, *until):
    """Latency at that rate, and CPU seconds of the processes `roots` for 1,000 units. `until`: flags."""
    before_s = compare_process.cpu_s(roots)
    run = claims.run(skus, "--rate", f"{rate:.3f}", *until)
    used_s = compare_process.cpu_s(roots) - before_s
    created = run.summary["totals"]["created"]
    return {"rate": rate, "created": created, "wall_s": run.summary["wall_seconds"],
            "cpu_s_per_1000": 1000 * used_s / created if created else None, "reasons": run.summary["totals"]["refused"],
            "unknown": run.summary["totals"]["unknown"], **compare_check.latency(run.answers)}


def tail_stock(rate, duration_s):
    """So many units that ten times as many claims take so long at the rate of the open loop."""
    return max(LEAST_STOCK, int(OPEN_SHARE * rate * duration_s / 10))


def refuse(claims, sku, duration_s):
    """"Sold out" answers per second."""
    run = claims.run([sku], "--duration", seconds(duration_s), "--in-flight", REFUSE_WINDOW)
    return run.refused(compare_check.SOLD_OUT) / run.summary["wall_seconds"]


class Follower:
    """Reads a file of answers while it is being written."""

    def __init__(self, path):
        self._path, self._offset = pathlib.Path(path), 0

    def new(self):
        """The answers since the last look, without one that is half written."""
        with contextlib.suppress(FileNotFoundError), open(self._path, "rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(end)
            return [chaos_answers.parse(line) for line in whole.decode().splitlines()]
        return []


def await_sold(followers, stock, clock=time.monotonic, sleep=time.sleep):
    """Until all of `stock` is sold, or no more of it will be."""
    began = last = clock()
    sold = in_doubt = 0
    while clock() - began < MOST_S:
        answers = [answer for follower in followers for answer in follower.new()]
        more = sum(answer.success() for answer in answers)
        in_doubt += sum(answer.outcome == compare_check.UNKNOWN for answer in answers)
        sold += more
        # Whoever cannot reach its store yet, which may read its log for long, has not said that nothing is left.
        if more or any(compare_check.is_away(answer) for answer in answers):
            last = clock()
        if sold >= stock:
            return
        if clock() - last > (QUIET_IN_DOUBT_S if sold + in_doubt >= stock else QUIET_S):
            return
        sleep(0.1)


def kill_and_sell(claims, sku, stock, rate, before_s, part):
    """Strikes the part while `sku` sells, starts it again at once, and sells on until nothing more can be sold.
    `part`: compare_peers.Part."""
    flags = ("--rate", f"{rate:.3f}", "--duration", seconds(before_s + 2 * MOST_S))
    with contextlib.ExitStack() as end:
        generators = end.enter_context(claims.generators())
        name, file = claims.start(generators, [sku], *flags)
        time.sleep(before_s)
        struck = time.time()
        endpoint = part.strike()
        if not endpoint:
            part.await_back()
            await_sold([Follower(file)], stock)
            return compare_check.recovery(claims.take(generators.end(name), file).answers, struck)
        # It has another port now. Those who called the old one give up.
        claims.at(endpoint)
        others = end.enter_context(claims.generators())
        later, later_file = claims.start(others, [sku], *flags)
        summary = generators.end(name)
        await_sold([Follower(file), Follower(later_file)], stock)
        claims.take(summary, file)
        return compare_check.recovery(claims.take(others.end(later), later_file).answers, struck)
