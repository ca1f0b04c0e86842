"""The HTTP gateway (client/web/gateway) beside a private cluster, at a free port of 127.0.0.1."""

import os
import pathlib
import subprocess
import time

import cluster
import security
import web
from cluster import ClusterError
from queue_servers import birth, end, runs

START_TIMEOUT_S = 60


def prepare():
    """Builds it if need be, which may take a minute, and returns Node's and the program's paths."""
    try:
        return web.node(), web.build()
    except (web.WebError, subprocess.CalledProcessError) as error:
        raise ClusterError(f"the gateway cannot be built: {error}") from None


def command(state, folder, flags=()):
    """Of the program. If the cluster is secured, the nodes are called by TLS, and each caller shows a token of their
    own: the gateway has no role."""
    secured = security.of_state(state)
    trust = ["--node-tls-ca", secured.ca] if secured else []
    return [*prepare(), "--nodes", security.endpoints(state, "service"), "--listen", "127.0.0.1:0",
            "--metrics-listen", "127.0.0.1:0", "--port-file", folder / "gateway.port",
            "--metrics-port-file", folder / "gateway.metrics-port", *trust, *flags]


def _await_port(process, file):
    """The port that it has written, once it serves."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (file.exists() and file.read_text().endswith("\n")):
        if not runs(process) or time.monotonic() > deadline:
            raise ClusterError(f"the gateway did not start:\n{cluster.log_tail(process['log_file'])}")
        time.sleep(0.05)
    return int(file.read_text())


def start(state, folder, keep, flags=()):
    """Starts it for the cluster of this state, which then tells of it. It ends with this process unless `keep`."""
    folder = pathlib.Path(folder)
    words = [str(word) for word in command(state, folder, flags)]
    log_file = folder / "gateway.log"
    with open(log_file, "ab") as log:
        child = subprocess.Popen(words, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True, preexec_fn=None if keep else cluster.terminate_with_parent)
    process = {"name": "gateway", "pid": child.pid, "birth": birth(child.pid), "log_file": str(log_file)}
    try:
        process["url"] = f"http://127.0.0.1:{_await_port(process, folder / 'gateway.port')}"
        process["metrics"] = f"127.0.0.1:{_await_port(process, folder / 'gateway.metrics-port')}"
    except BaseException:
        end(process)
        raise
    state["gateway"] = process
    return child


def stop(state):
    """Ends the one that the state tells of, if there is one."""
    if "gateway" in state:
        end(state["gateway"])
