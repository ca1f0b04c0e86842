"""Makes the dashboards of docs/dashboards for Grafana from the one list in dashboard_panels.py.

    dashboards.py           writes them
    dashboards.py --check   says what is not up to date, or shows a metric that docs/metrics.md does not list
"""

import json
import sys

import alert_rules
from dashboard_panels import DASHBOARDS

FOLDER = alert_rules.ROOT / "docs" / "dashboards"
WIDTH, HEIGHT, COLUMNS = 8, 8, 24  # of a panel, in Grafana's grid
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The schema of Grafana 9 and later, which newer ones read.
SCHEMA_VERSION = 37


def variable():
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0,
            "current": {}, "options": [], "refresh": 1}


def panel(number, shown):
    column = number * WIDTH
    targets = [{"refId": chr(ord("A") + nth), "expr": expression, "legendFormat": legend, "datasource": DATASOURCE}
               for nth, (expression, legend) in enumerate(shown.series)]
    return {
        "id": number + 1, "type": "timeseries", "title": shown.title, "datasource": DATASOURCE, "targets": targets,
        "gridPos": {"x": column % COLUMNS, "y": column // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": shown.unit, "min": 0 if shown.from_zero else None}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def dashboard(uid, title, panels):
    return {
        "uid": uid, "title": title, "tags": ["tranche"], "schemaVersion": SCHEMA_VERSION, "editable": True,
        "time": {"from": "now-1h", "to": "now"}, "refresh": "10s", "templating": {"list": [variable()]},
        "panels": [panel(number, shown) for number, shown in enumerate(panels)],
    }


def files():
    """(path, content) of each."""
    for name, title, panels in DASHBOARDS:
        yield FOLDER / f"{name}.json", json.dumps(dashboard(name, title, panels), indent=2) + "\n"


def expressions():
    return [expression for _, _, panels in DASHBOARDS for shown in panels for expression, _ in shown.series]


def problems():
    made = dict(files())
    found = [f"docs/dashboards/{path.name} is not up to date: run scripts/lib/dashboards.py"
             for path, text in made.items() if not path.exists() or path.read_text() != text]
    found += [f"docs/dashboards/{path.name} is not in the list"
              for path in sorted(FOLDER.glob("*.json")) if path not in made]
    known = alert_rules.known_metrics()
    found += [f"{expression}: no such metric: {metric}" for expression in expressions()
              for metric in sorted(alert_rules.metrics_of(expression))
              if metric not in alert_rules.ALWAYS_THERE and alert_rules.base_name(metric, known) not in known]
    return found


def main(arguments):
    if arguments == ["--check"]:
        found = problems()
        print("\n".join(found), end="\n" if found else "")
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
