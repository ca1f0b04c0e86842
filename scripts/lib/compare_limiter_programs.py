"""Asks a limiter one question, by the program that knows how: tests/benchmark/limiters, or its folder node."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess

import cluster
import compare_limiter_kinds as kinds
import compare_limiter_nginx
from benchmark_generators import pinned
from compare_servers import Redis, running

NODE_FOLDER = cluster.ROOT / "tests" / "benchmark" / "limiters" / "node"
PROGRAM = cluster.BIN / "tranche-limiter"
# The longest: millions of tries, one after the other, through Node.
PATIENCE_S = 1800
# What Redis has for itself before it has a key.
REDIS_OWN_MIB = 1


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder for the servers' files, and the processors of the servers and of who asks them."""
    folder: pathlib.Path
    system: set
    own: set


class LimiterRedis(Redis):
    """Without files: limits may be forgotten with it. `most_mib`: it then forgets what was not used for longest, as
    Redis' documentation advises where nothing speaks for another policy; None: it may grow."""

    def __init__(self, folder, most_mib=None):
        super().__init__(folder, "no")
        self._most_mib = most_mib

    def settings(self):
        bound = {"maxmemory": f"{self._most_mib}mb", "maxmemory-policy": "allkeys-lru"} if self._most_mib else {}
        return super().settings() | {"appendonly": "no"} | bound


def flags(terms):
    return [part for name, value in terms.items() for part in (f"--{name}", str(value))]


def command(kind, question, plan, redis, **more):
    """`redis`: HOST:PORT, for those that need one. `more`: flags, such as callers."""
    terms = kinds.terms(question, plan) | more
    if kind.node:
        program = ["node", "--expose-gc", NODE_FOLDER / "limiter.mjs", "--limiter", kind.program.removeprefix("node-")]
    else:
        program = [PROGRAM, "--limiter", kind.program]
        if kind.program == "table":
            terms["table-bytes"] = kinds.table_bytes(question, plan)
            if question == "speed":
                terms["homes"] = plan.nodes
        if question == "speed":
            terms["batch"] = kind.batch
    return [*map(str, program), "--question", question, *flags(terms), *(["--redis", redis] if redis else [])]


def require(kind):
    """RuntimeError if what asks it is not there."""
    if not kind.node and not PROGRAM.exists():
        raise RuntimeError("tranche-limiter is not built: it needs the packages of the section compare")
    if kind.node and not (NODE_FOLDER / "node_modules").is_dir():
        raise RuntimeError(f"its packages are not installed: npm ci in {NODE_FOLDER.relative_to(cluster.ROOT)}")


def answer_of(words, processors):
    """What the program prints last. RuntimeError with what it says, if it cannot."""
    with pinned(processors):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
                              env=cluster.environment(), cwd=cluster.ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"it ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


class Questions:
    """One call for each question, each with a new store, so that none finds what another has left."""

    def __init__(self, kind, plan, place):
        self._kind, self._plan, self._place = kind, plan, place

    def ask(self, question):
        """The answer, as tests/benchmark/limiters/questions.h has it; speed as {"one": ..., "many": ...}."""
        require(self._kind)
        if question != "speed":
            return self._ask(question)
        many = kinds.MANY if self._kind.redis or self._kind.node else len(self._place.system | self._place.own)
        return {"one": self._ask_speed(1), "many": self._ask_speed(many)}

    def _ask_speed(self, callers):
        answer = self._ask("speed", callers=callers)
        if self._kind.in_caller:
            return answer
        # Node has one thread for all of its callers.
        return kinds.with_bound(answer, 1 if self._kind.node else min(callers, len(self._place.own)))

    def _ask(self, question, **more):
        with self._store(question) as store:
            words = command(self._kind, question, self._plan, store and store.address, **more)
            # What has no server has the whole machine.
            return answer_of(words, self._place.own if store else self._place.system | self._place.own)

    def _store(self, question):
        if not self._kind.redis:
            return contextlib.nullcontext()
        most_mib = REDIS_OWN_MIB + self._plan.store_mib if question == "evicted" else None
        return running(LimiterRedis(self._place.folder, most_mib))


class NginxQuestions:
    """The same, of nginx. wrk, and who fills its zone, run where the other programs do."""

    def __init__(self, plan, place):
        self._plan, self._place = plan, place

    def ask(self, question):
        asked = compare_limiter_nginx.Questions(self._place.folder, self._plan, workers=len(self._place.system),
                                                threads=len(self._place.own), servers=self._place.system)
        with pinned(self._place.own):
            return getattr(asked, question)()


def questions_of(kind, plan, place):
    return NginxQuestions(plan, place) if kind.program == "nginx" else Questions(kind, plan, place)
