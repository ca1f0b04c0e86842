"""What ctest's JUnit files say: the slowest tests, what failed and why, and how many passed.

  test_report.py FILE...

A test may occur in several files, since it may be built in several ways: the file's stem is the way.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

SLOWEST = 10
# Of one failed test's output. Logs of continuous integration are cut in the middle; what is at the end is kept.
REASON_LINES = 60
LINES_OF_A_FAILURE = 10
BEGINS_A_FAILURE = re.compile(r": Failure$|^\S*FAIL: |^ERROR: |Sanitizer|runtime error|^Traceback|^F\d{8} |Check failed")
NAMES_A_CASE = re.compile(r"^\[  FAILED  \] \S+\.\S+")


def results(text, way):
    """(name, seconds, outcome) of each test; the outcome is passed, failed or skipped."""
    outcomes = {"run": "passed", "fail": "failed", "notrun": "skipped", "disabled": "skipped"}
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        yield f"{case.get('name')} ({way})", float(case.get("time")), outcomes[case.get("status")]


def reasons(text, way):
    """(name, lines) of each test that failed: the lines of its output that say why."""
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        if case.get("status") == "fail":
            yield f"{case.get('name')} ({way})", reason(case.findtext("system-out") or "")


def reason(output):
    """What each failure begins with, and the names of the failed cases; the end of the output where there is neither."""
    lines = output.splitlines()
    kept = []
    for number, line in enumerate(lines):
        if BEGINS_A_FAILURE.search(line):
            kept += range(number, min(number + LINES_OF_A_FAILURE, len(lines)))
        elif NAMES_A_CASE.search(line):
            kept.append(number)
    told = [lines[number] for number in sorted(set(kept))][:REASON_LINES]
    return told or lines[-REASON_LINES // 2:]


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
    for name in names:
        for failed, lines in reasons(pathlib.Path(name).read_text(), pathlib.Path(name).stem):
            print("\n  ".join([f"{failed} failed:"] + lines))
    print("\n".join(report(found)))
    # A filter that selects nothing is a mistake, and must not look like success.
    return 0 if any(outcome != "skipped" for _, _, outcome in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
