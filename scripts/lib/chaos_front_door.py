"""A SKU with a front door: what it asks, how an operator changes it, and the crowd that wants in."""

import base64
import collections
import hashlib
import importlib.util
import json
import pathlib
import time
import typing

import chaos_cluster
from chaos_answers import Tail, parse
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

# It never runs out, so whom the door lets in gets a unit.
GUARDED, GUARDED_STOCK, MOST_PER_BUYER = "ticket", 100_000_000, 1000
# Of a million buyers: at first, more with each change, and at most, so that some are never admitted.
FIRST_ADMITTED, MORE_ADMITTED, MOST_ADMITTED = 400_000, 20_000, 800_000
# All the time; and for a moment, during the fault "door".
DENIED = [f"denied-{number}" for number in range(4)]
ALLOWED = [f"guest-{number}" for number in range(4)]
SOMETIMES_DENIED = [f"suspect-{number}" for number in range(4)]
# By the names that tranche-door-load makes.
HONEST, BOT = "honest-", "bot-"
# A node that hears nothing from ZooKeeper knows a change within 6 s.
KNOWN_S = 7.0
# Buyers get in when so many in a row did who had luck or an entry on the list.
WELL_ENTRIES = 5
NOT_ADMITTED = "NOT_ADMITTED"
# What the crowd must have been told in the end: otherwise it proves nothing.
REFUSALS = ("DENIED", NOT_ADMITTED, "PURCHASE_TOKEN_INVALID", "PURCHASE_TOKEN_REQUIRED")


def _load_verify_rank():
    """What buyers check a lottery with: it shares nothing with the nodes."""
    path = pathlib.Path(__file__).resolve().parents[1] / "verify_rank.py"
    spec = importlib.util.spec_from_file_location("verify_rank", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verify_rank = _load_verify_rank()


class LotteryRound(typing.NamedTuple):
    number: int
    commitment: bytes
    key: bytes  # empty while the round runs
    policy_sku_id: str

    def kept_its_word(self):
        """Whether the key is the one that the commitment promised."""
        return hashlib.sha256(self.key).digest() == self.commitment

    def admits(self, user, admitted_per_million):
        rank = verify_rank.rank(self.key, self.policy_sku_id.encode(), self.number, user.encode())
        return verify_rank.admits(verify_rank.threshold(admitted_per_million), rank)


class Lottery(typing.NamedTuple):
    """What became of it."""

    round: LotteryRound
    admitted_per_million: int
    violations: list

    def admits(self, user):
        return self.round.admits(user, self.admitted_per_million)


def to_round(message):
    """From tranchectl's JSON."""
    return LotteryRound(int(message["round"]), base64.b64decode(message["commitment"]),
                        base64.b64decode(message.get("key", "")), message["policy_sku_id"])


def _users(names):
    return [word for name in names for word in ("--user", name)]


class FrontDoor:
    """The operator's part."""

    def __init__(self, cluster, operator):
        self._cluster, self._operator = cluster, operator
        # So large that the share of one node lets a buyer try twice within the time that they may wait.
        self._tries = 2 * cluster.options.nodes
        self._round = None
        self._known_at = None
        # Spans (Unix time) in which all keys were replaced, until all nodes know: what old ones made is worth nothing.
        self.replaced = []
        # The most that were ever asked for: a restored ledger may have forgotten it, and tokens outlive that.
        self.admitted_per_million = FIRST_ADMITTED

    def set_up(self):
        self._set("--limit", self._user_limit(self._tries), "--token=90s")
        self._do("list", "add", "deny", *_users(DENIED), "--yes")
        self._do("list", "add", "allow", *_users(ALLOWED), "--yes")
        self._known_at = time.monotonic() + KNOWN_S
        self._operator.do("sku", "create", GUARDED, "--stock", GUARDED_STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--per-user-limit", MOST_PER_BUYER)
        (policy,) = json.loads(self._do("show", GUARDED, "-o", "json"))["policies"]
        self._round = to_round(policy["round"])

    def await_known(self):
        """Until every node has this policy, and those that were set before: without one, it lets in everybody."""
        time.sleep(max(0.0, self._known_at - time.monotonic()))

    def change(self, random):
        """Another policy, another key, and some who are denied from now on."""
        self.admitted_per_million = min(MOST_ADMITTED, self.admitted_per_million + MORE_ADMITTED)
        limits = ["--limit", self._user_limit(self._tries * random.choice([1, 2]))]
        limits += random.choice([["--limit", "sku=400/1s,wait=900ms"], ["--no-limit", "sku"]])
        self._set(*limits)
        self._do("list", "add", "deny", *_users(SOMETIMES_DENIED), "--yes")
        self._cluster.ledger.execute_file("chaos_old_keys.sql")
        self._do("key", "rotate", "--yes", role="admin")

    def change_back(self):
        """All tokens that are out become worthless, and those who were denied for a moment are not any more."""
        began = time.time()
        self._do("key", "rotate", "--replace-all", "--yes", role="admin")
        self.replaced.append((began, time.time() + KNOWN_S))
        self._do("list", "remove", *_users(SOMETIMES_DENIED), "--yes")

    def end_round(self):
        """The key is told, so that everybody's rank can be computed."""
        ended = end_round(self._operator, GUARDED)
        return Lottery(ended[-1], self.admitted_per_million, check_rounds(ended, self._round))

    def _set(self, *flags):
        self._do("set", GUARDED, "--lottery", f"{self.admitted_per_million}/1000000", *flags, "--yes")

    def _do(self, *words, role="operator"):
        return self._operator.do("door", *words, role=role)

    @staticmethod
    def _user_limit(tries):
        return f"user={tries}/1s,burst=3,wait=900ms"


def end_round(operator, sku):
    """Ends the round of a SKU's lottery or waiting room. All rounds whose keys are told then, the newest first."""
    operator.do("door", "round", sku, "--yes")
    ended = []

    def told():
        answer = json.loads(operator.do("door", "rounds", sku, "-o", "json"))
        ended[:] = [one for one in map(to_round, answer["rounds"]) if one.key]
        return ended

    chaos_cluster.wait_until(told, f"the key of the round of {sku}", interval_s=0.5)
    return ended


def check_rounds(ended, begun, what="the lottery"):
    """There was one round, and its key is the one that was promised when it began."""
    if [one.number for one in ended] != [begun.number]:
        return [f"{what} had the rounds {[one.number for one in ended]}, not only {begun.number}"]
    if ended[0].commitment != begun.commitment or not ended[0].kept_its_word():
        return [f"the key of {what} is not the one that was promised when the round began"]
    return []


def bought_by(rows):
    """The buyers who have reservations of the guarded SKU, whatever became of these."""
    return sorted({row.user for row in rows if row.sku == GUARDED})


class EntryTally:
    """Whether honest buyers get in, who are admitted."""

    def __init__(self):
        self._succeeded = collections.deque(maxlen=WELL_ENTRIES)  # when they came
        self._failed = 0.0

    def add(self, answer):
        honest = answer.user.startswith(HONEST) or answer.user in ALLOWED
        if not honest or answer.outcome == NOT_ADMITTED:
            return
        if answer.success():
            self._succeeded.append(answer.began)
        else:
            self._failed = max(self._failed, answer.ended)

    def well_since(self, began):
        """Whether the last ones all got in, and came after this and after the last failure."""
        since = max(began, self._failed)
        return sum(came >= since for came in self._succeeded) == WELL_ENTRIES


class EntryTail(Tail):
    """Follows the file of a tranche-door-load."""

    def __init__(self, path):
        self._tally = EntryTally()
        super().__init__(path, lambda line: self._tally.add(parse(line)))

    def well_since(self, began):
        with self.lock:
            return self._tally.well_since(began)


class Crowd:
    """tranche-door-load: honest buyers, and many more bots, at all nodes, until told to stop."""

    def __init__(self, cluster):
        self.answers_file = cluster.folder / "crowd-answers"
        command = [BIN / "tranche-door-load", "--endpoints", ",".join(cluster.node_addresses()), "--sku", GUARDED]
        command += ["--timeout-ms", TIMEOUT_MS, "--answers", self.answers_file]
        for name in ALLOWED + SOMETIMES_DENIED:
            command += ["--known", name]
        for name in DENIED:
            command += ["--denied", name]
        command += cluster.doors.client_flags("service")
        self._process = Process(cluster.network, chaos_cluster.CLIENT, "tranche-door-load", command,
                                cluster.folder / "crowd.log")
        self._process.start()
        self._entries = EntryTail(self.answers_file)

    def running(self):
        return self._process.running()

    def well_since(self, began):
        """Whether honest buyers get in, of those who came after that."""
        return self._entries.well_since(began)

    def await_entries(self):
        chaos_cluster.wait_until(lambda: self.well_since(0), "buyers to get in by the front door")

    def stop(self):
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-door-load failed:\n{log_tail(self._process.log_file)}")
        self._entries.stop()

    def kill(self):
        self._process.kill()
        self._entries.stop()
