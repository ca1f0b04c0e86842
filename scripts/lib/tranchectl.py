"""What the scripts ask of a cluster through tranchectl."""

import json
import subprocess
import time

import security
from cluster import BIN, ClusterError, environment

ANNOUNCE_TIMEOUT_S = 60
CALL_TIMEOUT_S = 300


def run(state, *args, principal="operator", by_token=False, endpoint=None):
    """Runs tranchectl as this principal of a secured cluster, and returns how it ended. `endpoint`: only there."""
    command = [BIN / "tranchectl", "--endpoint", endpoint or security.endpoints(state, principal),
               *security.client_flags(state, principal, by_token), *args]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment(),
                          timeout=CALL_TIMEOUT_S)


def _failed(done):
    message = done.stderr.strip() or done.stdout.strip()
    return ClusterError(f"{' '.join(done.args)}: {message}")


def ctl(state, *args):
    """Runs tranchectl against the cluster and returns what it prints."""
    done = run(state, *args)
    if done.returncode != 0:
        raise _failed(done)
    return done.stdout


def verify(state):
    """What `tranchectl verify` found, broken rules included."""
    done = run(state, "verify", "-o", "json")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise _failed(done) from None


def create_sku(state, sku, stock, price_minor, currency):
    ctl(state, "sku", "create", sku, "--stock", stock, "--price", f"{price_minor / 100:.2f}", "--currency", currency)


def slices_announced(quota):
    """Whether all units of a SKU (as `quota show -o json` gives it) are with nodes that have been told so."""
    pool, nodes = 0, 0
    for part in quota["slices"]:
        if int(part.get("incarnation", 0)) == 0:
            pool += int(part.get("remaining", 0))
        elif int(part.get("announced_version", 0)) < int(part.get("version", 0)):
            return False
        else:
            nodes += 1
    return pool == 0 and nodes > 0


def wait_until_announced(state, skus, timeout_s=ANNOUNCE_TIMEOUT_S):
    deadline = time.monotonic() + timeout_s
    for sku in skus:
        while not slices_announced(json.loads(ctl(state, "quota", "show", sku, "-o", "json"))):
            if time.monotonic() > deadline:
                raise ClusterError(f"the units of {sku} were not handed to the nodes within {timeout_s} s")
            time.sleep(0.05)
