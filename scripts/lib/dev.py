"""Keeps one cluster in the background; scripts/dev is its front."""

import contextlib
import os
import pathlib
import shlex
import signal
import sys

import authority
import cluster
import gateway
import queue_servers
import rotation
import security
import tranchectl
from cluster import ClusterError
from options import Parser, at_least_one, sku_and_stock

# The file that records the one background cluster.
STATE_FILE = cluster.ROOT / ".scratch" / "dev" / "state.json"
# Stays when a cluster goes, so that whoever trusts it trusts the next one.
AUTHORITY = STATE_FILE.parent / "authority"
DEMO_PRICE_MINOR = 1000
DEMO_CURRENCY = "EUR"


def parse_options(argv):
    parser = Parser("scripts/dev")
    commands = parser.add_subparsers(dest="command", required=True, prog="scripts/dev")
    up = commands.add_parser("up")
    up.add_argument("--nodes", type=at_least_one, default=3)
    up.add_argument("--balancers", type=at_least_one, default=1)
    up.add_argument("--workers", type=at_least_one, default=1)
    up.add_argument("--sku", type=sku_and_stock, action="append", dest="skus", default=[])
    up.add_argument("--secure", action="store_true")
    up.add_argument("--queue", action="store_true")
    up.add_argument("--web", action="store_true")
    up.add_argument("--parse-only", action="store_true")
    commands.add_parser("down")
    commands.add_parser("status")
    commands.add_parser("rotate")
    env = commands.add_parser("env")
    env.add_argument("principal", nargs="?", choices=security.ROLES, default="operator")
    env.add_argument("--token", action="store_true")
    logs = commands.add_parser("logs")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("processes", nargs="*")
    return parser.parse_args(argv)


def running_state():
    """The state of the background cluster, or None when it is not up."""
    state = cluster.read_state(STATE_FILE)
    return state if state and cluster.is_cluster(state["pid"]) else None


def up(options):
    if options.parse_only:
        return 0
    state = running_state()
    if state:
        refuse_another_kind(state, options)
        print("the cluster is up already")
        tell(state)
        return 0
    STATE_FILE.parent.mkdir(parents=True, exist_ok=True)
    clear()
    folder = cluster.make_scratch_folder("dev")
    print(f"starting PostgreSQL, ZooKeeper, {'RabbitMQ, a consumer, ' if options.queue else ''}{options.nodes} front "
          f"nodes, {options.balancers} balancer(s), {options.workers} worker(s)", flush=True)
    state = start(options, folder)
    tell(state)
    return 0


def start(options, folder):
    """The state of a new cluster. If it fails, nothing is left."""
    with contextlib.ExitStack() as undo:
        undo.callback(cluster.remove, folder)
        if options.web:
            gateway.prepare()  # before the cluster: it may take a minute, and may fail
        secured = queue = None
        if options.secure:
            secured = security.Security(folder / "security").make(authority.Authority(AUTHORITY))
        if options.queue:
            queue = queue_servers.QueueServers(folder, keep=True, secured=secured)
            undo.callback(queue.stop_all)
            queue.start_broker()
        undo.callback(STATE_FILE.unlink, missing_ok=True)
        process, state = cluster.start(folder, STATE_FILE, options.nodes, options.balancers, keep=True,
                                       workers=options.workers, metrics=True, admin_ports=True, secured=secured,
                                       node_args=queue.queue_args() if queue else ())
        undo.callback(cluster.stop, process.pid, process)
        if queue:
            undo.callback(queue.stop_consumers)
            begin_to_queue(queue, state)
        if options.web:
            gateway.start(state, folder, keep=True)
            undo.callback(gateway.stop, state)
            queue_servers.add_to_file(state, STATE_FILE)
        for name, stock in options.skus:
            tranchectl.create_sku(state, name, stock, DEMO_PRICE_MINOR, DEMO_CURRENCY)
        tranchectl.wait_until_announced(state, [name for name, stock in options.skus if stock > 0])
        undo.pop_all()
    return state


def refuse_another_kind(state, options):
    """What a cluster is made with does not change while it runs."""
    for option, has in (("--secure", bool(state.get("secure"))), ("--queue", "rabbitmq" in state),
                        ("--web", "gateway" in state)):
        if has != getattr(options, option.strip("-")):
            raise ClusterError(f"the cluster is up already, {'with' if has else 'without'} {option}, and its servers are "
                               "made for that: run scripts/dev down first, which removes its data")


def begin_to_queue(queue, state):
    queue.start_consumers(state)
    queue_servers.add_to_file(state, STATE_FILE)


def clear():
    """Forgets a cluster that has ended, ends what ran beside it, and removes what it left."""
    state = cluster.read_state(STATE_FILE)
    if state:
        gateway.stop(state)
        queue_servers.stop_consumers(state)
        queue_servers.stop_broker(state)
        cluster.remove(state["dir"])
        STATE_FILE.unlink(missing_ok=True)


def down():
    state = running_state()
    if state:
        gateway.stop(state)
        queue_servers.stop_consumers(state)  # first, so that they give their units back
        cluster.stop(state["pid"])
    clear()
    print("the cluster is stopped" if state else "the cluster was not up")
    return 0


def status():
    state = running_state()
    if not state:
        print("the cluster is not up; start it with scripts/dev up")
        return 1
    dead, scheme = 0, "https" if state.get("secure") else "http"
    for process in cluster.servers(state):
        runs = cluster.alive(process["pid"])
        dead += not runs
        print(f"{process['name']:<14} pid {process['pid']:<8} {'runs' if runs else 'ENDED':<6} "
              f"metrics {scheme}://{process['metrics']}/metrics  {process['log_file']}")
    if "rabbitmq" in state and not queue_servers.runs(state["rabbitmq"]):
        dead += 1
        print(f"rabbitmq       ENDED  {state['rabbitmq']['log_file']}")
    if "gateway" in state:
        process = state["gateway"]
        runs = queue_servers.runs(process)
        dead += not runs
        print(f"{process['name']:<14} pid {process['pid']:<8} {'runs' if runs else 'ENDED':<6} "
              f"metrics http://{process['metrics']}/metrics  {process['log_file']}")
    tell(state)
    return 1 if dead else 0


def tell(state):
    secured = security.of_state(state)
    buyers = security.endpoints(state, "service")
    print(f"\nfront nodes  {buyers}")
    print(f"operators    {cluster.admin_endpoints(state)}")
    print(f"postgres     {state['postgres']['superuser']}")
    print(f"servers as   {state['postgres']['app']}")
    print(f"zookeeper    {state['zookeeper']['address']}, root {state['zookeeper']['root']}")
    if "rabbitmq" in state:
        print(f"rabbitmq     {state['rabbitmq']['address']}, user and password in {state['rabbitmq']['user_file']}")
    if "gateway" in state:
        print(f"gateway      {state['gateway']['url']}, its reference {state['gateway']['url']}/docs")
    if secured:
        print(f"secured      certificates, passwords and tokens in {secured.folder}")
        tell_secured(state)
    else:
        tell_plain(state, buyers)


def tell_plain(state, endpoints):
    ctl = f"{os.path.relpath(cluster.BIN / 'tranchectl')} --endpoint {state['nodes'][0]['admin']}"
    load = os.path.relpath(cluster.BIN / "tranche-load")
    print("\nTo try:")
    print(f"  {ctl} sku create lamp --stock 100 --price 19.90 --currency EUR")
    print(f"  {ctl} quota show lamp")
    print(f"  {load} --endpoints {endpoints} --sku lamp --requests 1000 --progress")
    if "rabbitmq" in state:
        print(f"  {ctl} sku update lamp --path queue --yes")
        print(f"  {ctl} reservation create --user alice --accept-queued lamp")
        print(f"  {ctl} queue list")
    if "gateway" in state:
        print(f"  curl {state['gateway']['url']}/v1/skus")
    print(f"  {ctl} sku list\n  {ctl} verify\n  scripts/dev down")


def tell_secured(state):
    ctl, load = (os.path.relpath(cluster.BIN / program) for program in ("tranchectl", "tranche-load"))
    print("\nTo try:")
    print('  eval "$(scripts/dev env operator)"   # also: storefront, service, risk, viewer, admin')
    print(f"  {ctl} sku create lamp --stock 100 --price 19.90 --currency EUR")
    print(f"  {ctl} quota show lamp")
    print(f'  (eval "$(scripts/dev env service)"; {load} --sku lamp --requests 1000 --progress)')
    if "gateway" in state:
        token = security.of_state(state).token_file("storefront")
        print(f'  curl -H "Authorization: Bearer $(cat {token})" {state["gateway"]["url"]}/v1/skus')
    print(f"  {ctl} verify")
    print("  scripts/dev rotate                   # new certificates, while everything runs\n  scripts/dev down")


def variable(name):
    """Of a flag of tranchectl: its TLS has other variables than that of the servers."""
    return f"TRANCHE_{'CLIENT_' if name.startswith('tls_') else ''}{name.upper()}"


def exports(state, principal, by_token=False):
    """Lines for a shell, after which tranchectl and tranche-load call the cluster as this principal."""
    secured = security.of_state(state)
    settings = {"endpoint": security.endpoints(state, principal)}
    settings |= secured.client_settings(principal, by_token) if secured else {}
    names = ("endpoint", "tls_ca", "tls_certificate", "tls_key", "token_file")
    return [f"export {variable(name)}={shlex.quote(str(settings[name]))}" if name in settings
            else f"unset {variable(name)}" for name in names]


def env(options):
    state = running_state()
    if not state:
        raise ClusterError("the cluster is not up; start it with scripts/dev up")
    if options.token and not state.get("secure"):
        raise ClusterError("the cluster is not secured, so it has no tokens; see scripts/dev up --secure")
    print("\n".join(exports(state, options.principal, options.token)))
    return 0


def rotate():
    state = running_state()
    if not state:
        raise ClusterError("the cluster is not up; start it with scripts/dev up --secure")
    doors = rotation.rotate(state, authority.Authority(AUTHORITY))
    print(f"new certificates for the servers and all principals; shown by {', '.join(doors)}")
    return 0


def logs(options):
    state = cluster.read_state(STATE_FILE)
    if not state:
        print("the cluster is not up; start it with scripts/dev up")
        return 1
    files = {name: state[name]["log_file"] for name in ("postgres", "zookeeper", "rabbitmq", "gateway") if name in state}
    files |= {process["name"]: process["log_file"] for process in cluster.servers(state)}
    files["cluster"] = str(pathlib.Path(state["dir"]) / "cluster.log")
    unknown = [name for name in options.processes if name not in files]
    if unknown:
        raise ClusterError(f"no process {', '.join(unknown)}; there are {', '.join(files)}")
    chosen = [files[name] for name in options.processes or files]
    os.execvp("tail", ["tail", *(["-F"] if options.follow else []), "-n", "50", *chosen])


def main(argv):
    options = parse_options(argv)
    # A reader that has read enough, such as head, is not an error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if options.command == "up":
            return up(options)
        if options.command == "logs":
            return logs(options)
        if options.command == "env":
            return env(options)
        return {"down": down, "status": status, "rotate": rotate}[options.command]()
    except ClusterError as error:
        print(f"scripts/dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
