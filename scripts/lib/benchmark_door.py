"""What the front door costs: refusals, entries and grants of a node with policies beside those of one without. And the
time until all nodes follow a change."""

import contextlib
import dataclasses
import json
import pathlib
import time

import tranchectl
from benchmark_answers import Door, compare
from benchmark_cluster import load, open_sale, run, running_cluster

# A round of the other figures takes minutes, and a change takes less than a second.
CHANGES_PER_ROUND = 10
# After a change a node rests for 300 ms (DoorWatch::kRestAfterChange): changes so far apart meet no node that rests.
GAP_MS = 400
# Limits that count every try and that nobody reaches; and a token.
COUNTED = ("--limit", "user=1000000/1ms", "--limit", "address=1000000/1ms", "--limit", "sku=1000000/1ms", "--token")
# Of tv all units are sold.
POLICIES = {"tv": (*COUNTED, "--lottery", "100%"), "stock": (*COUNTED, "--lottery", "100%"),
            "luck": (*COUNTED, "--lottery", "1/1000000")}
PATIENCE_S = 60


@dataclasses.dataclass(frozen=True)
class Seller:
    """A node that has sold out tv, and sells stock and luck. `policies`: by SKU, the flags of `door set`."""
    endpoint: str
    pid: int
    folder: pathlib.Path
    policies: dict

    def refusing(self, sku, reason):
        return Door(self.endpoint, self.pid, self.folder, sku=sku, reason=reason)


@contextlib.contextmanager
def selling_node(policies):
    with running_cluster(nodes=1) as (endpoints, state, folder):
        open_sale(endpoints[0], "tv", 100)
        load(folder, endpoints, "tv", "--requests", 2000, "--in-flight", 64)
        for sku in ("stock", "luck"):
            open_sale(endpoints[0], sku, 100_000_000)
        tranchectl.wait_until_announced(state, ["stock", "luck"])
        for sku, flags in policies.items():
            tranchectl.ctl(state, "door", "set", sku, *flags, "--yes")
        wait_until_followed(state, policies)
        yield Seller(endpoints[0], state["nodes"][0]["pid"], folder, policies)


def stored_version(state, sku):
    return int(json.loads(tranchectl.ctl(state, "door", "show", sku, "-o", "json"))["policies"][0]["version"])


def node_version(state, sku):
    """Of the policy by which the node goes; its exit status says only whether this buyer would be let in."""
    done = tranchectl.run(state, "door", "test", "--sku", sku, "--user", "somebody", "-o", "json")
    return int(json.loads(done.stdout)["policy_version"])


def wait_until_followed(state, skus):
    give_up = time.monotonic() + PATIENCE_S
    for sku in skus:
        while node_version(state, sku) != stored_version(state, sku):
            if time.monotonic() > give_up:
                raise RuntimeError(f"the node does not follow the policy of {sku} within {PATIENCE_S} s")
            time.sleep(0.05)


def entering(seller):
    """Of EnterSale, and of claims by those who have entered: (answers per second, microseconds of the node's CPU)."""
    report = seller.folder / "door.json"
    token = ("--token",) if "stock" in seller.policies else ()
    run("bench_door", "--endpoint", seller.endpoint, "--sku", "stock", "--seconds", 2, "--node-pid", seller.pid,
        "--json", report, *token, show=False)
    forms = json.loads(report.read_text())
    return {form: (figures["per_second"], figures["cpu_us"]) for form, figures in forms.items()}


def cost(rounds):
    with selling_node(POLICIES) as closed, selling_node({}) as plain:
        # A claim for what is sold out does not reach the door. One without luck passes the limits by user and address
        # and fails at the lottery; one without a token passes the lottery, too.
        sold_out = {"with policies": closed.refusing("tv", "SOLD_OUT"), "without": plain.refusing("tv", "SOLD_OUT")}
        refused = {"not admitted": closed.refusing("luck", "NOT_ADMITTED"),
                   "no token": closed.refusing("stock", "PURCHASE_TOKEN_REQUIRED"),
                   "of sold out": closed.refusing("tv", "SOLD_OUT")}
        return {"sold out": compare(sold_out, "without", rounds),
                "refused at the door": compare(refused, "of sold out", rounds),
                "let in": compare({"with policies": closed, "without": plain}, "without", rounds, entering)}


def reach(rounds):
    """The time until all of 8 nodes follow: changes far apart, and each as soon as all nodes follow the one before."""
    figures = {}
    with running_cluster(nodes=8) as (endpoints, _, folder):
        open_sale(endpoints[0], "tv", 1_000_000)
        report = folder / "reach.json"
        for name, gap_ms in (("apart", GAP_MS), ("at once", 0)):
            print(f"changes {name}:", flush=True)
            run("pause_reach", "--endpoints", ",".join(endpoints), "--sku", "tv", "--door", "--gap-ms", gap_ms,
                "--rounds", CHANGES_PER_ROUND * rounds, "--summary", report)
            figures[name] = json.loads(report.read_text())
    return figures


def door(options):
    return {"reach": reach(options.rounds), "cost": cost(options.rounds)}
