# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards as they are shipped: what Grafana needs of one, and names that exist."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from onehop_router.metrics import FAMILIES, PREFIX
from tooling.watching import known, render
from tooling.watching.rules import RECORDINGS
from tooling.watching.table import DASHBOARDS

SHIPPED = {
    path.stem: json.loads(path.read_text())
    for path in sorted((render.FILES / "dashboards").glob("*.json"))
}
NAME = re.compile(r"(?:onehop_router_|onehop:|vllm:|sglang:|llamacpp:|DCGM_|node_)[A-Za-z0-9_:]+")
# Grafana's own names of units, those that the table uses.
UNITS = {
    "bool", "bytes", "celsius", "dateTimeFromNow", "mbytes", "ops", "percent", "percentunit",
    "reqps", "s", "short", "watt",
}  # fmt: skip


def router_names() -> set[str]:
    found: set[str] = set()
    for name, family in FAMILIES.items():
        ends = {"histogram": known.HISTOGRAM, "counter": ("_total",), "gauge": ("",)}
        found |= {PREFIX + name + end for end in ends[family.kind]}
    return found


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_there_is_one_for_each_of_the_table() -> None:
    assert sorted(SHIPPED) == sorted(one.uid for one in DASHBOARDS)
    assert all(SHIPPED[one.uid]["title"] == one.title for one in DASHBOARDS)


@pytest.mark.parametrize("uid", SHIPPED)
def test_what_grafana_needs(uid: str) -> None:
    dashboard = SHIPPED[uid]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert isinstance(dashboard["schemaVersion"], int)
    # One that is provisioned has no id: Grafana gives it one.
    assert "id" not in dashboard
    source, *variables = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert all(one["datasource"]["uid"] == "${datasource}" for one in variables)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(dashboard):
        assert panel["type"] in ("timeseries", "stat")
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)


@pytest.mark.parametrize("uid", SHIPPED)
def test_no_panel_lies_on_another(uid: str) -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in SHIPPED[uid]["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]


@pytest.mark.parametrize("uid", SHIPPED)
def test_variables_of_queries_are_the_dashboards(uid: str) -> None:
    dashboard = SHIPPED[uid]
    have = {one["name"] for one in dashboard["templating"]["list"]} | {"__rate_interval"}
    for panel in panels(dashboard):
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= have


def test_every_metric_of_every_query_exists() -> None:
    have = router_names() | known.names() | {one.name for one in RECORDINGS}
    for name, query in render.queries().items():
        found = set(NAME.findall(query)) or {"up"}
        assert found <= have, name


def test_every_known_metric_is_used() -> None:
    """What is in the list of others' metrics is there because something asks for it."""
    asked = {name for query in render.queries().values() for name in NAME.findall(query)}
    plain = {re.sub(r"_bucket$", "", name) for name in asked}
    histograms = {*known.VLLM_HISTOGRAMS, *known.SGLANG_HISTOGRAMS}
    others = {*known.VLLM, *known.SGLANG, *known.LLAMA_CPP, *known.GPU, *known.NODE}
    assert {*histograms, *others} <= plain


def test_every_metric_of_the_router_is_on_its_dashboard_or_in_a_rule() -> None:
    asked = {name for query in render.queries().values() for name in NAME.findall(query)}
    families = {name for name in FAMILIES if any(one.startswith(PREFIX + name) for one in asked)}
    # What a dashboard has no use for: counted by path, and facts that are told as labels.
    assert set(FAMILIES) - families == {"requests", "config_info"}
