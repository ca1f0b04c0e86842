"""Reads the alert rules of docs/alerts, and checks them against the runbook and the list of metrics."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "docs" / "alerts" / "tranche.rules.yml"
RUNBOOK = ROOT / "docs" / "runbook"
METRICS_PAGE = ROOT / "docs" / "metrics.md"

# A row of the page's tables begins with the metric.
METRIC_ROW = re.compile(r"^\| *`([a-z_]+)` *\|", re.MULTILINE)
# The file's own form: a rule begins with a dash, its fields are indented by the same.
RULE = re.compile(r"^ {6}- (alert|record): (\S+)\n((?: {8}.*\n|\n)*)", re.MULTILINE)
# Of Prometheus itself.
ALWAYS_THERE = {"up"}
KEYWORDS = {"and", "or", "unless", "bool", "offset"}
GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)")
NUMBER = re.compile(r"(?<![\w:])[0-9][0-9.]*(?:e[0-9]+)?\b")
NAME = re.compile(r"[a-zA-Z_:][\w:]*")
OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    is_alert: bool
    expression: str
    severity: str  # "" of a recording rule
    link: str  # likewise


def _field(text, name):
    found = re.search(rf"^ +{name}: (\|\n((?: {{10}}.*\n)+)|.*)", text, re.MULTILINE)
    return (found.group(2) or found.group(1)).strip() if found else ""


def rules(text=None):
    """All rules of the file, in their order."""
    text = RULES.read_text() if text is None else text
    found = [Rule(name, kind == "alert", _field(rest, "expr"), _field(rest, "severity"), _field(rest, "runbook_url"))
             for kind, name, rest in RULE.findall(text)]
    assert len(found) == len(re.findall(r"^\s*- (?:alert|record):", text, re.MULTILINE)), "rules of another form"
    return found


def alerts():
    return [rule for rule in rules() if rule.is_alert]


def known_metrics():
    """What docs/metrics.md lists."""
    return set(METRIC_ROW.findall(METRICS_PAGE.read_text()))


def metrics_of(expression):
    """The names of the series that an expression reads."""
    rest = re.sub(r'"[^"]*"', "", expression)
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", rest)
    rest = NUMBER.sub("", GROUPING.sub("", rest))
    return {name.group() for name in NAME.finditer(rest)
            if name.group() not in KEYWORDS and not re.match(r"\s*(\(|by\b)", rest[name.end():])}


def base_name(metric, known):
    """Of a histogram's series, the histogram."""
    return metric if metric in known else OF_A_HISTOGRAM.sub("", metric)


def expression_problems(expression, known):
    found = [f"no such metric: {metric}" for metric in sorted(metrics_of(expression))
             if metric not in ALWAYS_THERE and base_name(metric, known) not in known]
    # SOLD_OUT is RESOURCE_EXHAUSTED to gRPC: a sale that goes well would look like a fault.
    return found + (["it looks at grpc_code"] if "grpc_code" in expression else [])


def page_problems(found):
    pages = {page.stem for page in RUNBOOK.glob("*.md")} - {"README"}
    index = (RUNBOOK / "README.md").read_text()
    for rule in found:
        if rule.severity not in ("page", "ticket"):
            yield f"{rule.name}: no severity"
        if not rule.link.strip('"').endswith(f"/{rule.name}.md"):
            yield f"{rule.name}: its runbook_url leads elsewhere"
        if f"({rule.name}.md)" not in index:
            yield f"{rule.name}: not in docs/runbook/README.md"
    names = {rule.name for rule in found}
    yield from (f"{name}: no page in docs/runbook" for name in sorted(names - pages))
    yield from (f"docs/runbook/{name}.md: no such alert" for name in sorted(pages - names))


def problems():
    """What is wrong with the rules and the runbook, one line each."""
    known = known_metrics() | {rule.name for rule in rules() if not rule.is_alert}
    found = [f"{rule.name}: {problem}" for rule in rules() for problem in expression_problems(rule.expression, known)]
    return found + list(page_problems(alerts()))
