"""Starts, finds and stops a private cluster (the binary tranche-cluster)."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TRANCHE_BIN", ROOT / "build" / "release" / "bin"))
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1
# What a shell has to call another cluster (scripts/dev env).
CALLERS_VARIABLES = ("TRANCHE_ENDPOINT", "TRANCHE_CLIENT_TLS_", "TRANCHE_TOKEN_FILE")


class ClusterError(Exception):
    """Says in one line what went wrong with the cluster."""


def terminate_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def environment():
    """This process's, without what it has to call some other cluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith(CALLERS_VARIABLES)}


def make_scratch_folder(name):
    """A new folder that other users may enter: PostgreSQL runs as its own user when we are root."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"tranche-{name}-"))
    folder.chmod(0o755)
    return folder


def read_state(path):
    """What a running cluster wrote about itself, or None."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        return None


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def is_cluster(pid):
    """Whether the pid still is a tranche-cluster: a pid in an old file may by now be somebody else's."""
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
    return alive(pid) and command.endswith(b"tranche-cluster")


def log_tail(path, lines=15):
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _wait_until_ready(process, state_file, log_file, progress):
    started = time.monotonic()
    while (state := read_state(state_file)) is None:
        if process.poll() is not None:
            raise ClusterError(f"the cluster did not start:\n{log_tail(log_file)}")
        if time.monotonic() - started > START_TIMEOUT_S:
            raise ClusterError(f"the cluster is not up after {START_TIMEOUT_S} s:\n{log_tail(log_file)}")
        progress(time.monotonic() - started)
        time.sleep(0.05)
    return state


def _secure_flags(secured, metrics):
    """Of tranche-cluster. In one word: what it passes on begins with dashes itself."""
    flags = ["--secure", secured.folder]
    for process, args in (("node", secured.node_flags()), ("balancer", secured.balancer_flags(metrics)),
                          ("worker", secured.worker_flags(metrics))):
        flags += [f"--{process}-arg={argument}" for argument in args]
    return flags


def start(folder, state_file, nodes, balancers, keep, progress=lambda seconds: None, workers=1, metrics=False,
          node_args=(), worker_args=(), admin_ports=False, secured=None):
    """Starts a cluster whose files go into `folder` and returns its process and its state when it is ready.

    The cluster ends with this process unless `keep`. With `metrics`, the state tells where each process serves them.
    `node_args`, `worker_args`: more flags of its front nodes and workers. `admin_ports`: operators have ports of their
    own; otherwise buyers' are for them, too. `secured`: a security.Security; connections are protected then, and
    everybody needs a role.
    """
    log_file = folder / "cluster.log"
    command = [BIN / "tranche-cluster", "--nodes", nodes, "--balancers", balancers]
    if workers != 1:  # the default; a build from before there were any (a benchmark's baseline) does not know the flag
        command += ["--workers", workers]
    command += ["--metrics"] if metrics else []  # likewise
    command += ["--admin-ports"] if admin_ports else []  # likewise
    command += _secure_flags(secured, metrics) if secured else []
    command += [f"--node-arg={argument}" for argument in node_args]
    command += [f"--worker-arg={argument}" for argument in worker_args]
    with open(log_file, "wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command + ["--dir", folder, "--state", state_file]],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=None if keep else terminate_with_parent,
        )
    try:
        return process, _wait_until_ready(process, state_file, log_file, progress)
    except BaseException:
        stop(process.pid, process)
        raise


def stop(pid, process=None):
    """Stops the cluster and waits for its end."""
    poll = process.poll if process else lambda: None if is_cluster(pid) else 0
    if poll() is not None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while poll() is None:
        if time.monotonic() > deadline:
            # Its children die with it.
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_TIMEOUT_S
        time.sleep(0.02)


def servers(state):
    """Our own processes of a running cluster."""
    return state.get("balancers", []) + state.get("workers", []) + state.get("consumers", []) + state["nodes"]


def backends(state):
    """What is not ours and has a log."""
    return [state[name] for name in ("postgres", "zookeeper", "rabbitmq") if name in state]


def admin_endpoints(state):
    """Where operators reach the front nodes; a build from before they had ports of their own tells only one address."""
    return ",".join(node.get("admin", node["endpoint"]) for node in state["nodes"])


def save_logs(state, folder):
    """Copies the logs of a running cluster into `folder`: its own are gone when it stops."""
    folder.mkdir(exist_ok=True)
    for process in servers(state) + backends(state):
        if pathlib.Path(process["log_file"]).exists():
            shutil.copy(process["log_file"], folder)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
