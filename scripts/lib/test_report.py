"""What ctest's JUnit files say: the slowest tests and how many passed.

  test_report.py FILE...

A test may occur in several files, since it may be built in several ways: the file's stem is the way.
"""

import pathlib
import sys
import xml.etree.ElementTree

SLOWEST = 10


def results(text, way):
    """(name, seconds, outcome) of each test; the outcome is passed, failed or skipped."""
    outcomes = {"run": "passed", "fail": "failed", "notrun": "skipped", "disabled": "skipped"}
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        yield f"{case.get('name')} ({way})", float(case.get("time")), outcomes[case.get("status")]


def report(found):
    """The lines to print."""
    slowest = sorted(found, key=lambda result: -result[1])[:SLOWEST]
    width = max((len(name) for name, _, _ in slowest), default=0)
    lines = ["the slowest:"] + [f"  {name:<{width}}  {seconds:6.1f} s" for name, seconds, _ in slowest]
    counts = {outcome: sum(1 for result in found if result[2] == outcome) for outcome in ("passed", "failed", "skipped")}
    lines += [f"{outcome}: {name}" for name, _, outcome in sorted(found) if outcome != "passed"]
    return lines + [f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"]


def main(names):
    found = [result for name in names for result in results(pathlib.Path(name).read_text(), pathlib.Path(name).stem)]
    print("\n".join(report(found)))
    # A filter that selects nothing is a mistake, and must not look like success.
    return 0 if any(outcome != "skipped" for _, _, outcome in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
