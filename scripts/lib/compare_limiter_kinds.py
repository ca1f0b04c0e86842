"""The rate limiters that are compared, by name: what each is, who shares it, and what it cannot be asked. Pure."""

import dataclasses

QUESTIONS = ("exact", "speed", "memory", "evicted", "sprayed")
# How many tries are under way for the rate of "many": the table has as many threads as there are processors instead.
MANY = 64


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    design: str  # one sentence for whoever chooses
    reach: str  # what lies between the caller and the limiter
    program: str  # who asks it: "table", "redis", "node-memory", "node-redis", "nginx"
    batch: int = 1  # tries of one caller that are sent together, for its speed
    why_not: dict = dataclasses.field(default_factory=dict)  # by question: why it makes no sense

    @property
    def redis(self):
        return self.program in ("redis", "node-redis")

    @property
    def in_caller(self):
        """Whether it is in the process of who asks it."""
        return self.program in ("table", "node-memory")

    @property
    def node(self):
        return self.program.startswith("node-")


_AS_SINGLE = "as redis-gcra: it is the same script in the same store, and only how tries are sent differs"

_ALL = (
    Kind("tranche", "the limit by user of a front node: GCRA in a table of 16 bytes a key, the full limit at a key's "
         "home and a share of it at other nodes", "a call in the same process", "table",
         batch=64),  # between two looks at the clock of who measures, which cost as much as a try
    Kind("nginx", "limit_req of nginx: a leaky bucket in memory that the workers of one nginx share",
         "an HTTP request, which is answered", "nginx"),
    Kind("flexible-memory", "RateLimiterMemory of rate-limiter-flexible: fixed windows in the memory of one process "
         "of Node", "a call in the same process", "node-memory",
         why_not={"evicted": "it has no bound: it keeps every key until its window ends, and memory grows with the "
                             "keys"}),
    Kind("flexible-redis", "RateLimiterRedis of rate-limiter-flexible: fixed windows in a Redis that all nodes share",
         "a round trip to Redis", "node-redis"),
    Kind("redis-gcra", "GCRA as a Lua script in a Redis that all nodes share", "a round trip to Redis", "redis"),
    Kind("redis-gcra-pipelined", "the same, with 64 tries of a caller sent together", "a round trip for 64 tries",
         "redis", batch=64,
         why_not={question: _AS_SINGLE for question in QUESTIONS if question != "speed"}),
)
KINDS = {kind.name: kind for kind in _ALL}


def chosen(text):
    """The kinds of a list with commas, or all. ValueError names one that there is not."""
    names = [name for name in text.split(",") if name] if text else list(KINDS)
    for name in names:
        if name not in KINDS:
            raise ValueError(f"no limiter {name}; there are {', '.join(KINDS)}")
    return [kind for name, kind in KINDS.items() if name in names]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much of what, in one round."""
    rounds: int
    seconds: int  # of each measurement
    keys: int  # of speed and memory
    store_mib: int  # of the store that is filled until it forgets
    victims: int = 1000
    times: int = 10  # as many keys as fit that come between
    nodes: int = 8


QUICK = Plan(rounds=1, seconds=2, keys=100_000, store_mib=4)
FULL = Plan(rounds=3, seconds=5, keys=1_000_000, store_mib=16)

# Of one key that is flooded: small enough to be seen within seconds.
BURST, INTERVAL_MS = 20, 100
# Of keys that are to stay known while it is measured. Nobody is refused: a try that is taken is what costs most.
LASTING_BURST, LASTING_INTERVAL_MS = 1_000_000, 60_000
# Of keys that may try once and not again within the hour: a first try is refused only if another key was taken for it.
SINGLE_BURST, SINGLE_INTERVAL_MS = 1, 3_600_000
# Of the victims of forgetting.
VICTIMS_BURST = 10
# The table's slots for so many keys, with a sixth of them free; and what a front node's table has by default.
TABLE_BYTES_A_KEY, TABLE_BYTES = 20, 64 << 20
LEAST_TABLE_BYTES = 1 << 20
# A caller that uses so much of the processors that it can use is what ends first.
BOUND_SHARE = 0.95


def terms(question, plan):
    """The flags of a question, as tests/benchmark/limiters' programs have them: {name: value}."""
    flood = {"burst": BURST, "interval-ms": INTERVAL_MS, "seconds": plan.seconds}
    keys = {"keys": plan.keys}
    return {
        "exact": flood,
        "speed": keys | {"burst": LASTING_BURST, "interval-ms": LASTING_INTERVAL_MS, "seconds": plan.seconds},
        "memory": keys | {"burst": SINGLE_BURST, "interval-ms": SINGLE_INTERVAL_MS},
        "evicted": {"burst": VICTIMS_BURST, "interval-ms": LASTING_INTERVAL_MS, "victims": plan.victims,
                    "times": plan.times},
        "sprayed": flood | {"nodes": plan.nodes},
    }[question]


def with_bound(answer, processors):
    """An answer to `speed`, with whether it tells how fast the caller is, instead of the limiter. `processors`: so many
    the caller can use."""
    most = BOUND_SHARE * processors * answer["seconds"]
    return answer | {"bound_by_caller": answer["cpu_seconds"] >= most}


def table_bytes(question, plan):
    """Of each node of Tranche: for memory what the keys need, for forgetting as much as the other stores have."""
    return {"memory": max(LEAST_TABLE_BYTES, plan.keys * TABLE_BYTES_A_KEY), "speed": TABLE_BYTES,
            "evicted": plan.store_mib << 20}.get(question, LEAST_TABLE_BYTES)
