"""Runs a sale on a private cluster from start to verdict. Called by scripts/run."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import authority
import cluster
import sale_check
import sale_report
import security
import tranchectl
from cluster import ClusterError
from options import Parser, at_least_one, sku_and_stock

DEFAULT_SKUS = [("tv", 1000), ("phone", 1000), ("clothes", 1000)]
PRICES_MINOR = {"tv": 49900, "phone": 29900, "clothes": 4900}
OTHER_PRICE_MINOR = 1000
CURRENCY = "EUR"


def parse_options(argv):
    parser = Parser("scripts/run")
    parser.add_argument("--nodes", type=at_least_one, default=8)
    parser.add_argument("--balancers", type=at_least_one, default=1)
    parser.add_argument("--sku", type=sku_and_stock, action="append", dest="skus")
    parser.add_argument("--requests", type=at_least_one, default=1_000_000)
    parser.add_argument("--in-flight", type=at_least_one, default=512)
    parser.add_argument("--streams", type=int, default=8, choices=range(65), metavar="N")
    parser.add_argument("--summary", type=pathlib.Path)
    parser.add_argument("--secure", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--parse-only", action="store_true")
    options = parser.parse_args(argv)
    options.skus = options.skus or DEFAULT_SKUS
    if len({name for name, _ in options.skus}) < len(options.skus):
        parser.error("a SKU is named twice")
    if options.summary and not options.summary.absolute().parent.is_dir():
        parser.error(f"no folder for --summary {options.summary}")
    return options


def _progress(message):
    """A line that replaces itself on a terminal, and nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)


def _done(message):
    print(("\r\033[K" if sys.stderr.isatty() else "") + message, file=sys.stderr, flush=True)


def start_cluster(options, folder):
    what = f"PostgreSQL, ZooKeeper, {options.nodes} front nodes, {options.balancers} balancer(s)"
    started = time.monotonic()
    secured = None
    if options.secure:
        secured = security.Security(folder / "security").make(authority.Authority(folder / "authority"))
    process, state = cluster.start(
        folder,
        folder / "state.json",
        options.nodes,
        options.balancers,
        options.keep,
        lambda seconds: _progress(f"starting {what}: {seconds:.1f} s"),
        admin_ports=True,
        secured=secured,
    )
    _done(f"started {what} in {time.monotonic() - started:.1f} s")
    return process, state


def open_sale(options, state):
    started = time.monotonic()
    _progress("creating the SKUs and handing their units to the nodes")
    for name, stock in options.skus:
        tranchectl.create_sku(state, name, stock, PRICES_MINOR.get(name, OTHER_PRICE_MINOR), CURRENCY)
    tranchectl.wait_until_announced(state, [name for name, stock in options.skus if stock > 0])
    _done(f"{len(options.skus)} SKUs on sale after {time.monotonic() - started:.1f} s")


def run_load(options, state, folder):
    """Lets the load generator buy and returns its summary."""
    command = [cluster.BIN / "tranche-load", "--endpoints", security.endpoints(state, "service")]
    command += security.client_flags(state, "service")
    for name, _ in options.skus:
        command += ["--sku", name]
    command += ["--requests", options.requests, "--in-flight", options.in_flight, "--streams", options.streams]
    for output in ("summary", "acknowledged", "unknown"):
        command += [f"--{output}", folder / f"load-{output}"]
    done = subprocess.run(
        [str(part) for part in command],
        env=cluster.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=cluster.terminate_with_parent,
    )
    if done.returncode != 0:
        raise ClusterError(f"tranche-load failed with status {done.returncode}")
    load = json.loads((folder / "load-summary").read_text())
    if load["interrupted"]:
        raise KeyboardInterrupt
    return load


def demand_per_sku(options):
    share, rest = divmod(options.requests, len(options.skus))
    return {name: share + (1 if nth < rest else 0) for nth, (name, _) in enumerate(options.skus)}


def outcomes(totals):
    """Requests by what they ended in: reserved, the refusal's reason, or unknown."""
    counts = {"reserved": totals["created"], "reserved, on a retry": totals["replayed"], "UNKNOWN": totals["unknown"]}
    return {reason: count for reason, count in (counts | totals["refused"]).items() if count or reason == "reserved"}


def make_result(options, state, folder, load):
    totals = sale_check.read_totals(state)
    findings = sale_check.judge(
        totals,
        tranchectl.verify(state),
        sale_check.read_ids(folder / "load-acknowledged"),
        sale_check.read_ids(folder / "load-unknown"),
        sale_check.read_reservation_ids(state),
        demand_per_sku(options),
    )
    return {
        "ok": all(finding["ok"] for finding in findings),
        "nodes": options.nodes,
        "requests": options.requests,
        "skus": totals,
        "outcomes": outcomes(load["totals"]),
        "requests_per_second": load["requests_per_second"],
        "latency_ms": load["latency_ms"],
        "load_seconds": load["wall_seconds"],
        "verification": findings,
    }


def sell(options, state, folder):
    open_sale(options, state)
    load = run_load(options, state, folder)
    return make_result(options, state, folder, load)


def tell_kept(state, process):
    print(f"The cluster is still up:\n  endpoints  {','.join(node['endpoint'] for node in state['nodes'])}")
    ctl = [cluster.BIN / "tranchectl", "--endpoint", security.endpoints(state), *security.client_flags(state)]
    print(f"  tranchectl {' '.join(map(str, ctl))} sku list")
    print(f"  psql       psql '{state['postgres']['superuser']}'")
    print(f"  zookeeper  {state['zookeeper']['address']}, root {state['zookeeper']['root']}")
    print(f"  logs       {state['dir']}")
    print(f"  stop it    kill {process.pid}; tail --pid={process.pid} -f /dev/null; rm -r {state['dir']}")


def run(options, folder):
    """Returns the exit status; leaves the cluster running only with --keep."""
    started = time.monotonic()
    process, state = start_cluster(options, folder)
    kept = ok = False
    try:
        result = sell(options, state, folder)
        ok, kept = result["ok"], options.keep
    finally:
        if not ok:
            cluster.save_logs(state, folder / "logs")
        if not kept:
            cluster.stop(process.pid, process)
    result["total_seconds"] = time.monotonic() - started
    sale_report.print_report(result)
    print(f"  {'everything holds' if result['ok'] else 'SOMETHING IS BROKEN'}; {result['total_seconds']:.1f} s in all")
    if options.summary:
        options.summary.write_text(json.dumps(result, indent=2) + "\n")
    if kept:
        tell_kept(state, process)
    return 0 if result["ok"] else 1


def main(argv):
    options = parse_options(argv)
    if options.parse_only:
        return 0
    # SIGTERM cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = cluster.make_scratch_folder("run")
    status = 1
    try:
        status = run(options, folder)
        return status
    except KeyboardInterrupt:
        _done("interrupted; everything is stopped")
        status = 130
        return status
    except ClusterError as error:
        _done(f"scripts/run: {error}")
        return 1
    finally:
        if status == 1:
            print(f"the logs are in {folder}", file=sys.stderr)
        elif not options.keep or status != 0:
            cluster.remove(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
