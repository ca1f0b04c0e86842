"""Breaks a cluster under load, again and again, and checks every promise. Called by scripts/chaos."""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import time
import typing

import chaos_changes
import chaos_check
import chaos_front_door
import chaos_goals
import chaos_group_faults  # noqa: F401
import chaos_network
import chaos_report
import cluster
from chaos_answers import UNKNOWN, read
from chaos_cluster import Cluster
from chaos_draw import DRAWN, Draw
from chaos_faults import FAULTS, Victims, may_join
from chaos_front_door import Crowd, FrontDoor
from chaos_groups import GROUPED, Groups
from chaos_load import CHANGE_TIMEOUT_MS, FULL_S, TIMEOUT_MS, Buyers, Operator, Payers, Warehouse
from chaos_queue import QUEUED, Queue
from chaos_room import Room
from chaos_round import Rounds
from chaos_units import UnitsWatch
from cluster import ClusterError
from options import Parser, at_least_one

IMPOSSIBLE = 2
# After this many single faults, two strike together.
PAIR_EVERY = 3
SKUS = ["tv", "phone", "clothes"]


def fault_names(text):
    names = [name for name in text.split(",") if name]
    for name in names:
        ones = name.split("+")
        for one in ones:
            if one not in FAULTS:
                raise argparse.ArgumentTypeError(f"no fault {one}; see --list-faults")
            if len(ones) > 1 and not may_join(one):
                raise argparse.ArgumentTypeError(f"{one} strikes alone only")
    return names


def missing_option(options, name):
    """The option that the fault needs and that is not given, or ""."""
    needs = FAULTS[name.split("+")[0]].needs
    return "" if not needs or getattr(options, needs) else needs


def parse_options(argv):
    parser = Parser("scripts/chaos")
    parser.add_argument("--duration", type=at_least_one, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--nodes", type=at_least_one, default=5)
    parser.add_argument("--balancers", type=at_least_one, default=2)
    parser.add_argument("--rate", type=at_least_one, default=600)
    parser.add_argument("--session-timeout-ms", type=at_least_one, default=4000)
    parser.add_argument("--statement-timeout-ms", type=at_least_one, default=2000)
    parser.add_argument("--node-statement-timeout-ms", type=at_least_one, default=5000)
    parser.add_argument("--faults", type=fault_names)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--secure", action="store_true")
    parser.add_argument("--patience", type=at_least_one, default=1)
    parser.add_argument("--no-room", dest="room", action="store_false")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--queue", action="store_true")
    parser.add_argument("--groups", action="store_true")
    parser.add_argument("--keep-logs", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--parse-only", action="store_true")
    parser.add_argument("--list-goals", action="store_true")
    options = parser.parse_args(argv)
    options.seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    if options.faults is None:
        options.faults = [name for name in FAULTS if not missing_option(options, name)]
    for name in options.faults:
        if missing := missing_option(options, name):
            parser.error(f"--faults: {name} needs --{missing}, or there is nothing to hit")
    if options.nodes < 2:
        parser.error("--nodes: at least 2, or a fault would leave nobody to sell")
    if options.report and not options.report.absolute().parent.is_dir():
        parser.error(f"no folder for --report {options.report}")
    return options


def say(text):
    print(text, flush=True)


def schedule(options):
    """The faults' names, without end or each once.

    Every kind comes before any comes again; in between, now and then two at a time.
    """
    chance = random.Random(options.seed)
    if options.once:
        yield from options.faults
        return
    joining = [name for name in options.faults if "+" not in name and may_join(name)]
    while True:
        for nth, name in enumerate(chance.sample(options.faults, len(options.faults)), start=1):
            yield name
            if nth % PAIR_EVERY == 0 and len(joining) > 1:
                yield "+".join(chance.sample(joining, 2))


class Evidence(typing.NamedTuple):
    """What a room, a draw or groups are judged by, besides what its callers were told."""

    rows: list
    quiet_from: object  # as of chaos_check.quiet_times
    forgotten: object  # as of chaos_check.forgotten_by
    forgotten_spans: list  # the same, as (begin, end)


class Ended(typing.NamedTuple):
    """What became of the rounds."""

    rounds: list
    load: dict  # the generator's figures
    verify: dict  # what `tranchectl verify` found
    lottery: object
    sales: list  # the room, the draw, the queue and the groups, if there are any; they have stopped


def make_sales(options, servers, operator, front_door):
    """The room, the queue and the groups, or None, and all the sales that are not sold at once to whoever is first."""
    room = Room(servers, operator, front_door) if options.room else None
    draw = Draw(servers, operator, random.Random(options.seed)) if options.draw else None
    queue = Queue(servers, operator) if options.queue else None
    groups = Groups(servers, operator) if options.groups else None
    return room, queue, groups, [sale for sale in (room, draw, queue, groups) if sale]


def run_faults(options, runner):
    """The rounds, one after the other, until the time is over."""
    rounds, began = [], time.monotonic()
    for name in schedule(options):
        if not options.once and time.monotonic() - began > options.duration:
            break
        rounds.append(runner.run(name))
        say(chaos_report.round_line(time.monotonic() - began, rounds[-1]))
        for violation in rounds[-1].violations:
            say(f"          VIOLATION {violation}")
    return rounds


def run_rounds(options, servers, watch):
    """Runs faults until the time is over."""
    operator = Operator(servers)
    warehouse = Warehouse(operator, watch, SKUS, options.rate)
    front_door = FrontDoor(servers, operator)
    room, queue, groups, sales = make_sales(options, servers, operator, front_door)
    buyers = payers = crowd = None
    try:
        for sale in sales:
            sale.set_up()
        front_door.set_up()
        warehouse.create_skus()
        buyers = Buyers(servers, SKUS, options.rate)
        victims = Victims(servers, operator, watch, random.Random(options.seed), front_door, groups)
        payers = Payers(servers, operator)
        payers.await_changes()
        front_door.await_known()
        crowd = Crowd(servers)
        for sale in sales:
            sale.start()
        crowd.await_entries()
        rounds = run_faults(options, Rounds(servers, victims, buyers, payers, crowd, warehouse, watch, room, queue,
                                            groups, sales))
        # Stopped first, because cancelled units come back.
        payers.stop()
        crowd.stop()
        load = buyers.stop()
        for sale in sales:
            sale.stop()
        return Ended(rounds, load, operator.verify(), front_door.end_round(), sales)
    finally:
        warehouse.stop()
        for callers in (payers, crowd, buyers, *sales):
            if callers:
                callers.kill()


def check_changes(servers, changes, rows, told, quiet_from, forgotten):
    names = {servers.address_of(node): node.name for node in servers.nodes}

    def timeout_s(change):
        return (TIMEOUT_MS if change.node == chaos_changes.ANY_NODE else CHANGE_TIMEOUT_MS) / 1000

    return (chaos_check.check_changes(changes, rows, told, forgotten) + chaos_check.check_overdue(changes, timeout_s)
            + chaos_check.check_quiet_changes(changes, quiet_from, names))


def check_front_door(rows, told, lottery):
    return (lottery.violations
            + chaos_check.check_buyers(chaos_front_door.bought_by(rows), chaos_front_door.DENIED,
                                       chaos_front_door.ALLOWED, chaos_front_door.BOT, lottery.admits)
            + chaos_check.check_refusals(told, chaos_front_door.GUARDED, chaos_front_door.REFUSALS))


def check_sales(sales, evidence):
    return [text for sale in sales for text in sale.violations(evidence)]


def judge(options, servers, watch, ended):
    """The result of the run: figures and violations."""
    rounds, answers_file = ended.rounds, servers.folder / "answers"
    answers = [*read(answers_file), *read(servers.folder / "payers-answers"), *read(servers.folder / "crowd-answers")]
    answers += [answer for sale in ended.sales for answer in sale.answers()]
    told = chaos_check.collect(answers)
    changes = list(chaos_changes.read(servers.folder / "changes"))
    rows = [chaos_check.to_row(columns) for columns in servers.ledger.execute_file("chaos_rows.sql")]
    limits = {sku: int(limit) for sku, limit in servers.ledger.execute_file("chaos_limits.sql")}
    last, samples = watch.await_fresh(), watch.samples()
    if last is None:
        raise ClusterError("the ledger does not answer at the end")
    chaos_goals.fill_in_claims(rounds, list(read(servers.folder / "payers-answers")))
    for one in rounds:
        one.goals = chaos_goals.judge(one, chaos_goals.Times(options.session_timeout_ms / 1000, FULL_S))
    quiet_from, forgotten = chaos_check.quiet_times(rounds), chaos_check.forgotten_by(rounds)
    stale = chaos_check.stale_sold_outs(read(answers_file), samples, quiet_from)
    violations = [f"{one.fault} {one.target}: {text}" for one in rounds for text in one.violations]
    violations += chaos_check.check_overdue(answers, lambda answer: TIMEOUT_MS / 1000)
    claimed = [row for row in rows if row.sku not in (DRAWN, QUEUED, GROUPED)]
    violations += chaos_check.check_answers(told) + chaos_check.check_rows(told, claimed, forgotten)
    violations += chaos_check.check_limits(rows, limits) + chaos_check.check_stock(rows, last.stock, last.unsold)
    violations += check_changes(servers, changes, claimed, told, quiet_from, forgotten)
    violations += chaos_check.check_sold_out(stale) + chaos_check.check_verify(ended.verify)
    violations += check_front_door(rows, told, ended.lottery)
    spans = [one.forgotten for one in rounds if one.forgotten]
    violations += check_sales(ended.sales, Evidence(rows, quiet_from, forgotten, spans))
    return {
        "seed": options.seed,
        "secure": options.secure,
        "nodes": options.nodes,
        "balancers": options.balancers,
        "rate": options.rate,
        "session_s": options.session_timeout_ms / 1000,
        "rounds": [chaos_report.as_dict(one) for one in rounds],
        "requests": len(told),
        "outcomes": chaos_check.outcomes(told),
        "changes": len(changes),
        "changes_failed": sum(not one.success() for one in changes),
        "in_doubt": sum(one.outcomes[0] == UNKNOWN for one in told.values()),
        "latency_ms": ended.load["latency_ms"],
        "stock": last.stock,
        "unsold": last.unsold,
        "stale_sold_out": len(stale),
        "stale_sold_out_max_s": max((behind for _, behind in stale), default=0),
        "violations": violations,
        "patience": options.patience,
        "missed_goals": missed_goals(rounds),
        "failed_goals": missed_goals(rounds, options.patience),
    }


def missed_goals(rounds, patience=1):
    return [f"{one.fault} {one.target}: {text}" for one in rounds for text in chaos_goals.missed(one.goals, patience)]


def run(options, folder):
    say(f"seed {options.seed}; logs in {folder}")
    started = time.monotonic()
    servers = Cluster(folder, options)
    watch = None
    try:
        servers.start()
        say(f"{options.nodes} front nodes, {options.balancers} balancers, 3 ZooKeeper servers, PostgreSQL"
            f"{', 3 brokers, 2 consumers' if options.queue else ''}: up after "
            f"{time.monotonic() - started:.1f} s{', secured' if options.secure else ''}")
        watch = UnitsWatch(servers.ledger, SKUS, folder / "units.log")
        result = judge(options, servers, watch, run_rounds(options, servers, watch))
    finally:
        if watch:
            watch.stop()
        servers.stop()
    result["duration_s"] = time.monotonic() - started
    say("")
    for line in chaos_report.lines(result):
        say(line)
    if options.report:
        chaos_report.write(result, options.report)
    return exit_status(result)


def exit_status(result):
    return 1 if result["violations"] or result["failed_goals"] else 0


def remove_stale():
    """Removes what killed runs left behind; leaves running ones alone."""
    chaos_network.remove_stale()
    for folder in pathlib.Path("/tmp").glob("tranche-chaos-*"):
        pid = re.match(r"tranche-chaos-(\d+)-", folder.name)
        if pid and not cluster.alive(int(pid.group(1))):
            cluster.remove(folder)


def keep_logs(folder, destination):
    destination.mkdir(parents=True, exist_ok=True)
    for file in [*folder.glob("*.log"), folder / "answers", folder / "payers-answers", folder / "crowd-answers",
                 folder / "changes", folder / "room-answers", folder / "room-entries", folder / "draw-entries",
                 folder / "queue-answers", folder / "group-answers", folder / "group-together-answers",
                 folder / "load-summary.json"]:
        if file.exists():
            shutil.copy(file, destination)


def interrupt(number, frame):
    """Only once: an impatient second signal must not disturb the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv):
    if "--list-faults" in argv:
        for fault in FAULTS.values():
            print(f"{fault.name:24}{fault.text}")
        return 0
    options = parse_options(argv)
    if options.list_goals:
        for line in chaos_goals.lines(chaos_goals.Times(options.session_timeout_ms / 1000, FULL_S)):
            print(line)
        return 0
    if options.parse_only:
        return 0
    if reason := chaos_network.why_impossible():
        print(f"scripts/chaos: {reason}", file=sys.stderr)
        return IMPOSSIBLE
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    remove_stale()
    folder = cluster.make_scratch_folder(f"chaos-{os.getpid()}")
    status = 1
    try:
        status = run(options, folder)
    except KeyboardInterrupt:
        say("interrupted; everything is stopped and removed")
        status = 130
    except (ClusterError, chaos_network.NetworkError) as error:
        print(f"scripts/chaos: {error}", file=sys.stderr)
    finally:
        if options.keep_logs:
            keep_logs(folder, options.keep_logs)
        cluster.remove(folder)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
