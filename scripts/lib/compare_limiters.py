"""Rate limiters side by side, on this machine. Called by scripts/compare limiters."""

import datetime
import json
import os
import pathlib
import shutil
import sys

import cluster
import compare
import compare_limiter_kinds as kinds
import compare_limiter_report as report
from benchmark_generators import pinned, split
from compare_limiter_programs import NODE_FOLDER, Place, questions_of
from options import Parser

# Whose versions decide about figures.
PACKAGES = ("nginx", "wrk", "redis-server", "libhiredis-dev", "nodejs")


def measure_limiter(kind, plan, place, say):
    """{question: answer}; in place of one, why it was not asked, or what went wrong, which is a finding, too."""
    found = {}
    questions = questions_of(kind, plan, place)
    for question in kinds.QUESTIONS:
        if question in kind.why_not:
            found[question] = {"why_not": kind.why_not[question]}
            continue
        try:
            found[question] = questions.ask(question)
            say(f"{kind.name}: {question}: {report.brief(question, found[question])}")
        except Exception as error:
            found[question] = {"failure": f"{type(error).__name__}: {error}"}
            say(f"{kind.name}: {question}: FAILED: {found[question]['failure']}")
    return found


def measure(chosen, mode, plan, progress, keep=lambda run: None):
    """`keep`: is given all that is known after each round."""
    system, own = split(os.sched_getaffinity(0))
    run = compare.conditions(mode, plan, system, own, PACKAGES, NODE_FOLDER)
    run |= {"format": report.FORMAT, "limiters": [
        {"name": kind.name, "design": kind.design, "reach": kind.reach, "rounds": []} for kind in chosen]}
    rounds = {limiter["name"]: limiter["rounds"] for limiter in run["limiters"]}
    for number in range(plan.rounds):
        progress.say(f"round {number + 1} of {plan.rounds}")
        for kind in compare.order_of(chosen, number):
            folder = cluster.make_scratch_folder("limiters")
            try:
                # Whoever is asked elsewhere is pinned there.
                with pinned(system):
                    place = Place(folder, system, own)
                    rounds[kind.name].append(measure_limiter(kind, plan, place, progress.say))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        keep(run)
    return run


def write(run, folder):
    """The page and the figures. Their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, figures = folder / "limiters.html", folder / "limiters.json"
    page.write_text(report.html(run))
    figures.write_text(json.dumps(run, indent=2) + "\n")
    return [page, figures]


def parse(arguments):
    parser = Parser("scripts/compare limiters")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--limiters", default="")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--parse-only", action="store_true")
    parser.add_argument("--needs-node", action="store_true")
    options = parser.parse_args(arguments)
    if options.quick and options.full:
        parser.error("--quick or --full, not both")
    try:
        options.kinds = kinds.chosen(options.limiters)
    except ValueError as error:
        parser.error(str(error))
    if not options.kinds:
        parser.error("argument --limiters: no limiter is named")
    return options


def main(arguments):
    options = parse(arguments)
    if options.parse_only:
        return 0
    if options.needs_node:
        return 0 if any(kind.node for kind in options.kinds) else 1
    folder = options.out or cluster.ROOT / "build" / "compare" / datetime.datetime.now().strftime(
        "limiters-%Y-%m-%d-%H%M%S")
    mode, plan = ("full", kinds.FULL) if options.full else ("quick", kinds.QUICK)
    run = measure(options.kinds, mode, plan, compare.Progress(), keep=lambda known: write(known, folder))
    print("\n".join(report.table(run)))
    print("\n" + "\n".join(map(str, write(run, folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
