"""Tranche side by side with what a shop might use instead, on this machine. Called by scripts/compare."""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

import cluster
import compare_kinds
import compare_limits
import compare_peers
import compare_report
import compare_round
from benchmark_generators import pinned, split
from compare_load import Place
from options import Parser

# Whose versions decide about figures.
PACKAGES = ("postgresql-15", "mariadb-server-core", "redis-server", "rabbitmq-server", "zookeeper", "libgrpc++-dev",
            "libpqxx-dev", "libmariadb-dev", "libhiredis-dev", "nodejs")


class Progress:
    """Lines that tell what is done, with the time since the beginning."""

    def __init__(self, clock=time.monotonic):
        self._clock, self._began = clock, clock()

    def say(self, text):
        passed = int(self._clock() - self._began)
        print(f"{passed // 60:3}:{passed % 60:02} {text}", flush=True)


def output(*command):
    """What a command prints; nothing if it cannot."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=cluster.ROOT, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions(packages, node_folder):
    """Of Debian's packages that are installed, and of what is in the folder's package.json."""
    found = {}
    for package in packages:
        version = output("dpkg-query", "-W", "-f", "${Version}", package)
        if version:
            found[package] = version
    listed = node_folder / "package.json"
    if listed.exists():
        found |= json.loads(listed.read_text()).get("dependencies", {})
    return found


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def conditions(mode, plan, system, own, packages=PACKAGES, node_folder=compare_peers.NODE_FOLDER):
    return {
        "mode": mode,
        "plan": dataclasses.asdict(plan),
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output("git", "describe", "--always", "--dirty"),
        "machine": {"processor": processor(), "processors": len(system | own), "of_the_system": len(system),
                    "of_the_generator": len(own), "shared": system == own, "kernel": platform.release(),
                    "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)},
        "versions": versions(packages, node_folder),
    }


def measure_limits(own, plan, say):
    folder = cluster.make_scratch_folder("compare")
    try:
        found = compare_limits.measure(Place(folder, own), max(1.5, plan.refuse_s))
        say(f"the machine: {found['echo_per_s']:,.0f} echoes/s, {found['fsync_per_s']:,.0f} flushes/s")
        return found
    except Exception as error:  # as with the sellers: it is said, and the others go on
        say(f"the machine's limits could not be measured: {error}")
        return {"failure": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_peer(kind, own, plan, say):
    """What one round has found. Whatever goes wrong with a seller is a finding, too, with what was seen before."""
    folder = cluster.make_scratch_folder("compare")
    found = {"sales": {}, "kills": {}}
    try:
        with compare_peers.open_peer(kind, folder) as peer:
            one = compare_round.Round(peer, Place(folder, own), plan, lambda text: say(f"{kind.name}: {text}"))
            found = one.found
            one.measure()
    except Exception as error:
        found["failure"] = f"{type(error).__name__}: {error}"
        say(f"{kind.name}: FAILED: {found['failure']}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def order_of(kinds, number):
    """Sellers take turns in being first: machines get hotter, and disks fuller."""
    first = number % len(kinds)
    return kinds[first:] + kinds[:first]


def measure(kinds, mode, plan, progress, keep=lambda run: None):
    """`keep`: is given all that is known after each round."""
    system, own = split(os.sched_getaffinity(0))
    run = conditions(mode, plan, system, own) | {"format": compare_report.FORMAT, "limits": [], "peers": [
        {"name": kind.name, "design": kind.design, "durable": kind.durable, "why": kind.why, "rounds": []}
        for kind in kinds]}
    rounds = {peer["name"]: peer["rounds"] for peer in run["peers"]}
    with pinned(system):
        for number in range(plan.rounds):
            progress.say(f"round {number + 1} of {plan.rounds}")
            run["limits"].append(measure_limits(own, plan, progress.say))
            for kind in order_of(kinds, number):
                rounds[kind.name].append(measure_peer(kind, own, plan, progress.say))
            keep(run)
    return run


def write(runs, folder):
    """The report, and of one run its figures. The paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "compare.html"
    page.write_text(compare_report.html(runs))
    if len(runs) > 1:
        return [page]
    figures = folder / "compare.json"
    figures.write_text(json.dumps(runs[0], indent=2) + "\n")
    return [page, figures]


def parse(arguments):
    parser = Parser("scripts/compare")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peers", default="")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--parse-only", action="store_true")
    parser.add_argument("--needs-node", action="store_true")
    options = parser.parse_args(arguments)
    if options.quick and options.full:
        parser.error("--quick or --full, not both")
    try:
        options.kinds = compare_kinds.chosen(options.peers, options.full)
    except ValueError as error:
        parser.error(str(error))
    if not options.kinds:
        parser.error("argument --peers: no peer is named")
    return options


def parse_report(arguments):
    parser = Parser("scripts/compare report")
    parser.add_argument("runs", type=pathlib.Path, nargs="+", metavar="FILE")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if len(options.runs) > 2:
        parser.error("one or two files of figures")
    return parser, options


def report(arguments):
    """Two runs side by side, or one run again."""
    parser, options = parse_report(arguments)
    runs = []
    for path in options.runs:
        try:
            runs.append(json.loads(path.read_text()))
            compare_report.check_format(runs[-1])
        except (OSError, ValueError) as error:
            parser.error(f"{path}: {error}")
    page = (options.out or options.runs[0].parent) / ("compare.html" if len(runs) == 1 else "side-by-side.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(compare_report.html(runs))
    print("\n".join(compare_report.table(runs)))
    print(f"\n{page}")
    return 0


def main(arguments):
    if arguments[:1] == ["report"]:
        return report(arguments[1:])
    options = parse(arguments)
    if options.parse_only:
        return 0
    if options.needs_node:
        return 0 if any(kind.name in compare_kinds.NODE for kind in options.kinds) else 1
    folder = options.out or cluster.ROOT / "build" / "compare" / datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    mode, plan = ("full", compare_round.FULL) if options.full else ("quick", compare_round.QUICK)
    progress = Progress()
    run = measure(options.kinds, mode, plan, progress, keep=lambda known: write([known], folder))
    print("\n".join(compare_report.table([run])))
    print("\n" + "\n".join(map(str, write([run], folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
