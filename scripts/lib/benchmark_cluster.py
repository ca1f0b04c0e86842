"""What the figures of scripts/benchmark have in common: a cluster, its load, and what its processes use."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import time

import cluster
from chaos_process import children_of


@contextlib.contextmanager
def running_cluster(nodes, balancers=1, node_args=(), secured=None):
    """A cluster for one figure: its endpoints, its state and a folder for files. `node_args`: more flags of its nodes.
    `secured`: a security.Security."""
    folder = cluster.make_scratch_folder("benchmark")
    process, state = cluster.start(folder, folder / "state.json", nodes, balancers, keep=False, node_args=node_args,
                                   secured=secured)
    try:
        yield [node["endpoint"] for node in state["nodes"]], state, folder
    finally:
        cluster.stop(process.pid, process)
        shutil.rmtree(folder, ignore_errors=True)


def run(binary, *args, show=True):
    """Runs one of our binaries; its output is shown to the person who watches."""
    output = None if show else subprocess.DEVNULL
    subprocess.run([str(cluster.BIN / binary), *map(str, args)], check=True, stdout=output, stderr=output)


def load(folder, endpoints, sku, *args):
    """Runs the load generator and returns its figures."""
    summary = folder / "load.json"
    run("tranche-load", "--endpoints", ",".join(endpoints), "--sku", sku, "--no-progress", "--summary", summary, *args,
        show=False)
    return json.loads(summary.read_text())


def open_sale(endpoint, sku, stock, *args):
    # No hold lapses while it is measured: a SKU that is sold out would not be so any more.
    run("tranchectl", "--endpoint", endpoint, "sku", "create", sku, "--stock", stock, "--price", "1.00", "--currency",
        "EUR", "--hold", "24h", *args, show=False)


def memory_mib(pid, field):
    """What /proc/PID/status says: VmRSS is resident, VmHWM the most that ever was, RssAnon without shared memory."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"no {field} of process {pid}")  # a zombie has none


def cpu_ms(pids):
    """CPU time that these processes have used, to the nanosecond: by their CPU clocks (clock_getcpuclockid(3))."""
    return 1e3 * sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def _title(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().strip()
    except OSError:  # it has just ended
        return ""


def postgres_processes(state):
    """The processes of a cluster's PostgreSQL, each with what it says it is: "postgres: walwriter"."""
    servers = [pid for pid in children_of(state["pid"]) if _title(pid).endswith("/bin/postgres")]
    return {pid: _title(pid) for pid in [*servers, *(child for one in servers for child in children_of(one))]}


def cpu_ms_by_process(groups):
    """`groups`: pids by the name of what they are. The CPU time of each process by name and pid, without those that
    have ended."""
    used = {name: {} for name in groups}
    for name, pids in groups.items():
        for pid in pids:
            with contextlib.suppress(OSError):
                used[name][pid] = cpu_ms([pid])
    return used
