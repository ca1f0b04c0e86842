"""One round of one seller: how fast, how soon, how right, and what a kill costs."""

import dataclasses

import compare_check
import compare_load
from compare_load import Claims

# Of the SKUs whose stock is not to run out, for sellers that keep a number, and for those that keep a row a unit.
STOCK = 10_000_000
ROWS_PER_S = 6_000
TWICE = 100
MANY = 200


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long each step takes, in seconds, and what is left out."""
    rounds: int
    warm_s: float
    window_s: float
    open_s: float
    tail_s: float
    refuse_s: float
    before_s: float  # a kill
    after_s: float
    many_skus: bool
    every_part: bool

    def endless(self, kind):
        """A stock that lasts while rates are measured."""
        if not kind.unit_rows:
            return STOCK
        return int(ROWS_PER_S * (self.warm_s + len(compare_load.WINDOWS) * self.window_s + self.open_s))


QUICK = Plan(rounds=1, warm_s=1, window_s=1.5, open_s=4, tail_s=3, refuse_s=1.5, before_s=1.5, after_s=1.5,
             many_skus=False, every_part=False)
FULL = Plan(rounds=5, warm_s=5, window_s=5, open_s=20, tail_s=15, refuse_s=5, before_s=4, after_s=6, many_skus=True,
            every_part=True)


class Round:
    """`say`: takes a line of progress. `found` grows step by step, so that it tells what was seen before a failure."""

    def __init__(self, peer, place, plan, say):
        self._peer, self._place, self._plan, self._say = peer, place, plan, say
        self.found = {"sales": {}, "kills": {}}

    def measure(self):
        self._rates()
        if self._plan.many_skus:
            self._many()
        self._sold_out()
        for name in self._peer.part_names(self._plan.every_part):
            self._kill(name)

    def _claims(self, name):
        return Claims(self._place, self._peer.endpoint, name, self._peer.kind.flags)

    def _judge(self, name, stock, claims, sold_out):
        found = compare_check.check(stock, claims.told, self._peer.count(), sold_out)
        self.found["sales"][name] = found
        return found

    def _rates(self):
        stock = self._plan.endless(self._peer.kind)
        hot, other = self._peer.prepare(2, stock)
        claims = self._claims("rates")
        compare_load.warm_up(claims, other, self._plan.warm_s)
        self.found["saturation"] = saturation = compare_load.saturate(claims, [hot], self._plan.window_s)
        self._say(f"{saturation['created_per_s']:,.0f} created/s with {saturation['window']} claims under way")
        rate = compare_load.OPEN_SHARE * saturation["created_per_s"]
        self.found["open"] = run = compare_load.open_loop(claims, [hot], rate, self._peer.roots(), "--duration",
                                                          compare_load.seconds(self._plan.open_s))
        self._say(f"at {rate:,.0f}/s: p50 {_ms(run['accepted']['p50'])}, p99 {_ms(run['accepted']['p99'])}, "
                  f"{_percent(run['failed'])} failed")
        twice = compare_load.sell_twice(claims, other, TWICE)
        self._judge("rates", 2 * stock, claims, sold_out=False)["doubled"] = twice

    def _many(self):
        stock = self._plan.endless(self._peer.kind) // MANY
        skus = self._peer.prepare(MANY, stock)
        claims = self._claims("many")
        self.found["saturation_many"] = found = compare_load.saturate(claims, skus, self._plan.window_s)
        self._say(f"{found['created_per_s']:,.0f} created/s over {MANY} SKUs")
        self._judge("many", MANY * stock, claims, sold_out=False)

    def _sold_out(self):
        rate = self.found["saturation"]["created_per_s"]
        stock = compare_load.tail_stock(rate, self._plan.tail_s)
        [sku] = self._peer.prepare(1, stock)
        claims = self._claims("tail")
        self.found["tail"] = tail = compare_load.open_loop(
            claims, [sku], compare_load.OPEN_SHARE * rate, self._peer.roots(), "--requests", 10 * stock)
        self.found["refused_per_s"] = compare_load.refuse(claims, sku, self._plan.refuse_s)
        found = self._judge("sold out", stock, claims, sold_out=True)
        self._say(f"sold out: refused p50 {_ms(tail['refused']['p50'])}, p99 {_ms(tail['refused']['p99'])}, "
                  f"{self.found['refused_per_s']:,.0f} refused/s; {_verdict(found)}")

    def _kill(self, name):
        rate = compare_load.KILL_SHARE * self.found["saturation"]["created_per_s"]
        stock = max(compare_load.LEAST_STOCK, int(rate * (self._plan.before_s + self._plan.after_s)))
        [sku] = self._peer.prepare(1, stock)
        claims = self._claims(f"kill-{name}")
        recovered = compare_load.kill_and_sell(claims, sku, stock, rate, self._plan.before_s, self._peer.part(name))
        self.found["kills"][name] = recovered
        found = self._judge(f"kill {name}", stock, claims, sold_out=True)
        self._say(f"kill -9 {name}: sells again after {_s(recovered['again_s'])}, "
                  f"all of it after {_s(recovered['all_again_s'])}; {_verdict(found)}")


def _ms(value):
    return "-" if value is None else f"{value:.1f} ms"


def _s(value):
    return "never" if value is None else f"{value:.2f} s"


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f} %"


def _verdict(found):
    wrong = [f"{found[name]:,} {name}" for name in compare_check.faults(found)]
    return ", ".join(wrong) or "right"
