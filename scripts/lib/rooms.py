"""The rooms inside storage/, quota/, server/ and client/: which of them may include which.

A room is a folder, or some files beside the folders. The README of each top folder says what its rooms are for.
"""

import re

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

# What each room may include of its own top folder, besides its own files. No circles.
ROOMS = {
    "storage": {
        "base": (),  # what the client side uses, too
        "(root)": (),  # clocks, executors, ids, mutation hooks
        "ledger": ("(root)",),
        "pipeline": ("(root)", "ledger"),
        "(books)": ("(root)", "ledger", "pipeline"),
        "shards": ("(root)", "ledger", "pipeline", "(books)"),
        "postgres": ("(root)", "ledger", "pipeline", "shards"),
        "fake": ("(root)", "ledger"),
    },
    "quota": {
        "slices": (),
        "coordination": ("slices",),
        "sale": ("slices",),
        "zookeeper": ("coordination",),
        "balancer": ("coordination",),
        "node": ("slices", "coordination"),
        "fake": ("coordination",),
    },
    "server": {
        "(root)": (),  # errors, times
        "process": (),
        "metrics": ("process",),
        "access": ("(root)",),
        "admission": ("(root)",),  # who may try to buy: knows no call, and nothing of the node
        "queue": ("(root)", "process", "admission"),  # claims in a broker; tickets have the front door's keys
        "outbound": ("(root)", "process", "admission"),  # calls to servers of others
        "rpc": ("(root)", "process", "metrics", "access"),
        "handlers": ("(root)", "process", "access", "admission", "queue", "rpc"),
        "services": ("(root)", "admission", "queue", "rpc", "handlers"),
        "node": (
            "(root)",
            "process",
            "metrics",
            "access",
            "admission",
            "queue",
            "outbound",
            "rpc",
            "handlers",
            "services",
        ),
        "consumer": ("(root)", "process", "metrics", "queue", "rpc", "node"),  # a front node without buyers
        # It hashes and ranks draws, and a broker may be a sink.
        "worker": ("(root)", "process", "metrics", "admission", "outbound", "queue"),
        "balancer": ("process", "metrics", "admission"),  # it paces waiting rooms
        "(main)": ("process", "metrics", "node", "balancer", "consumer", "worker"),
    },
    "client": {
        "include": (),
        "internal": ("include",),
        "(root)": ("include", "internal"),
        "reconcile": (),
        "flags": ("include",),  # what the tools share
        "ctl": ("include", "internal", "reconcile", "flags"),
        "load": ("include", "flags"),
        "example": ("include",),
    },
}

# Files beside the folders that are a room of their own; all others are (root).
OWN_ROOM = (
    (re.compile(r"storage/books\.h$"), "(books)"),
    # Only the programs' main files may include these.
    (re.compile(r"server/(shard_units\.h|(\w+_)?main\.cc)$"), "(main)"),
)

# Only code that puts a program together may include these; all other code has an interface.
BEHIND_AN_INTERFACE = {
    # The handlers' calls about shards connect to a database that is no shard of theirs yet.
    ("storage", "postgres"): (
        ("server", "(main)"),
        ("server", "process"),
        ("server", "node"),
        ("server", "handlers"),
        ("server", "balancer"),
        ("server", "metrics"),  # the pools' use
    ),
    ("quota", "zookeeper"): (("server", "(main)"), ("server", "process")),
}

# Every room may include it.
FOR_ALL = ("storage", "base")

# These headers are installed, and nothing else of ours is.
INSTALLED = ("client", "include")


def room_of(path):
    """(top folder, room) of a path of ours, from the repository's root or as it is included; else None."""
    if re.match(r"tranche/\w+\.h$", path):
        return "client", "include"
    top, _, rest = path.partition("/")
    if top not in ROOMS:
        return None
    if "/" in rest:
        return top, rest.split("/")[0]
    return top, next((room for file, room in OWN_ROOM if file.match(path)), "(root)")


def _may_include(user, used):
    if user == used:
        return True
    if user == INSTALLED:
        return False
    if used == FOR_ALL:
        return True
    if used in BEHIND_AN_INTERFACE and user[0] != used[0]:
        return user in BEHIND_AN_INTERFACE[used]
    return user[0] != used[0] or used[1] in ROOMS[user[0]][user[1]]


def violations(path, text):
    """(line, complaint) of every include in a file's text that its room must not have."""
    user = room_of(path)
    if user[1] not in ROOMS[user[0]]:
        yield 1, f"scripts/lib/rooms.py knows no room {'/'.join(user)}"
        return
    for match in INCLUDE.finditer(text):
        used = room_of(match.group(1))
        if used and not _may_include(user, used):
            line = text.count("\n", 0, match.start(1)) + 1
            yield line, f"{'/'.join(user)} must not include {match.group(1)}, which is in {'/'.join(used)}"


def circle(rooms):
    """The rooms of a circle in such a table, the first one again at the end; None if there is no circle."""
    done = set()

    def search(room, way):
        if room in way:
            return way[way.index(room) :] + [room]
        if room in done:
            return None
        for used in rooms.get(room, ()):
            if found := search(used, way + [room]):
                return found
        done.add(room)
        return None

    return next((found for room in rooms if (found := search(room, []))), None)
