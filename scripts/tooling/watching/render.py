# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the rules of Prometheus, the dashboards of Grafana and the page's tables of the one table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tooling.watching.rules import ALERTS, RECORDINGS
from tooling.watching.table import DASHBOARDS, Dashboard, Panel, Query

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "roles" / "monitoring" / "files"
PAGE = ROOT / "docs" / "monitoring.md"
BEGIN = "<!-- Made by scripts/generate: rules and panels -->"
END = "<!-- End of what scripts/generate made -->"
SPDX = "# SPDX-FileCopyrightText: The OneHop authors\n# SPDX-License-Identifier: GPL-3.0-or-later\n"
MADE = "# Made by the Ansible collection onehop.llm from scripts/tooling/watching; change the table there.\n"
SCHEMA = 39
"""Of Grafana 10 and newer; older ones are brought to it when they are read, newer ones too."""
_COLUMNS = 24
_HEIGHT, _LOW = 8, 4
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def files() -> dict[Path, str]:
    """Every file that is made, with its text."""
    made = {FILES / "rules.yml": rules(), PAGE: page(PAGE.read_text() if PAGE.exists() else "")}
    for dashboard in DASHBOARDS:
        text = json.dumps(render(dashboard), indent=1, ensure_ascii=False) + "\n"
        made[FILES / "dashboards" / f"{dashboard.uid}.json"] = text
    return made


def rules() -> str:
    """The file of rules, as promtool reads it."""
    recordings = [{"record": one.name, "expr": one.expression} for one in RECORDINGS]
    alerts = [
        {
            "alert": one.name,
            "expr": f"({one.value}) {one.when}"
            if " or " in one.value
            else f"{one.value} {one.when}",
            **({} if one.hold == "0m" else {"for": one.hold}),
            "labels": {"severity": one.severity},
            "annotations": {"summary": one.summary, "description": f"Look at {one.mend}."},
        }
        for one in ALERTS
    ]
    groups = [{"name": "onehop", "rules": recordings}, {"name": "onehop-alerts", "rules": alerts}]
    text = yaml.dump(
        {"groups": groups}, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True
    )
    return SPDX + MADE + "# yamllint disable rule:line-length\n---\n" + text


def render(dashboard: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana imports and provisions it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["onehop"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {
                "title": "OneHop",
                "type": "dashboards",
                "tags": ["onehop"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "templating": {"list": [_source(), *(_variable(*one) for one in dashboard.variables)]},
        "panels": list(_panels(dashboard)),
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _variable(name: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in dashboard.rows:
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            number += 1
            height = _LOW if panel.now else _HEIGHT
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield _panel(number, panel, place)
            left, tallest = left + panel.width, max(tallest, height)
        top += tallest


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": number,
        "type": "stat" if panel.now else "timeseries",
        "title": panel.title,
        "description": panel.doc,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [_target(index, query, panel) for index, query in enumerate(panel.queries)],
    }
    if panel.now:
        del shown["fieldConfig"]["defaults"]["min"]
        reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        shown["options"] = {"reduceOptions": reduced, "colorMode": "none", "graphMode": "area"}
    else:
        shown["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        shown["options"] = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return shown


def _target(index: int, query: Query, panel: Panel) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "instant": panel.now,
        "range": not panel.now,
    }


def page(text: str) -> str:
    """The documentation's page with its tables."""
    before, dummy, rest = text.partition(BEGIN)
    dummy, dummy, after = rest.partition(END)
    return before + BEGIN + "\n\n" + "\n".join(_tables()) + "\n" + END + after


def _tables() -> Iterator[str]:
    yield "### Alerts"
    yield ""
    yield "| alert | severity | fires when | for | look at |"
    yield "| --- | --- | --- | --- | --- |"
    for alert in ALERTS:
        told = f"`{alert.value}` {alert.when}" if len(alert.value) < 90 else alert.summary
        told = re.sub(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}", r"\1", told).replace("|", "\\|")
        hold = "at once" if alert.hold == "0m" else alert.hold
        yield f"| `{alert.name}` | {alert.severity} | {told} | {hold} | {alert.mend} |"
    yield ""
    yield "### Recorded series"
    yield ""
    yield "| series | what it is |"
    yield "| --- | --- |"
    for one in RECORDINGS:
        yield f"| `{one.name}` | {one.doc} |"
    yield ""
    for dashboard in DASHBOARDS:
        yield f"### Dashboard {dashboard.title.removeprefix('OneHop: ')}"
        yield ""
        yield "| panel | what it shows |"
        yield "| --- | --- |"
        for row in dashboard.rows:
            for panel in row.panels:
                yield f"| {row.title}: {panel.title} | {panel.doc} |"
        yield ""


def queries() -> dict[str, str]:
    """Every query of every rule and panel by a name, as Prometheus can be asked at once.

    Of an alert it is the value, for the alert itself is silent while all is well.
    """
    found = {one.name: one.expression for one in RECORDINGS}
    found |= {one.name: one.value for one in ALERTS}
    for dashboard in DASHBOARDS:
        for row in dashboard.rows:
            for panel in row.panels:
                for index, query in enumerate(panel.queries):
                    name = f"{dashboard.uid}: {row.title}: {panel.title} {index}"
                    found[name] = plain(query.expression)
        for name, metric in dashboard.variables:
            found[f"{dashboard.uid}: ${name}"] = f"count by ({name}) ({metric})"
    return found


def plain(expression: str) -> str:
    """An expression of a panel with all hosts and models, over five minutes."""
    for variable in ("$host", "$model"):
        expression = expression.replace(variable, ".*")
    return expression.replace("$__rate_interval", "5m")
