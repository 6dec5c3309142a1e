# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench's own arithmetic, and what it makes of figures."""

from __future__ import annotations

import pytest

from bench import figures, procfs, report
from bench.machine import Cores, pinned, split_cores

RUNS = [
    {"nginx": {"rate": 100.0, "busy %": 99.0}, "ours": {"rate": 50.0}, "direct": {"rate": 900.0}},
    {"nginx": {"rate": 40.0, "busy %": 99.0}, "ours": {"rate": 10.0}, "direct": {"rate": 800.0}},
    {"nginx": {"rate": 80.0, "busy %": 99.0}, "ours": {"rate": 32.0}, "direct": {"rate": 700.0}},
]


def test_quantiles_are_values_that_were_seen():
    ordered = [float(one) for one in range(1, 101)]
    assert figures.quantile(ordered, 0.5) == 51
    assert figures.quantile(ordered, 0.99) == 100
    assert figures.quantile([7.0], 0.99) == 7
    assert figures.quantile([], 0.5) == 0


def test_ratios_are_taken_within_a_repeat():
    assert figures.ratios_of(RUNS, "ours", "nginx", "rate") == [0.5, 0.25, 0.4]
    # Medians first would have said 32/80: the same here by chance only in the middle.
    assert figures.spread([0.5, 0.25, 0.4]) == (0.25, 0.4, 0.5)


def test_a_repeat_that_failed_is_left_out():
    runs = [*RUNS, {"ours": {"rate": 5.0}}, {"nginx": {"rate": 0.0}, "ours": {"rate": 1.0}}]
    assert figures.ratios_of(runs, "ours", "nginx", "rate") == [0.5, 0.25, 0.4]
    assert figures.values_of(runs, "nginx", "rate") == [100, 40, 80, 0]


def test_what_a_proxy_adds_is_taken_from_the_same_repeat():
    run = {"direct": {"p50": 20.0}, "a": {"p50": 55.0}, "b": {"other": 1.0}}
    figures.add_distance(run, "p50", "added", "direct")
    assert run == {
        "direct": {"p50": 20.0},
        "a": {"p50": 55.0, "added": 35.0},
        "b": {"other": 1.0},
    }


def test_a_table_shows_ratios_to_the_base_but_not_of_it():
    rows = report.table(RUNS, ["direct", "nginx", "ours"], "nginx")
    assert rows == [
        ["", "direct", "nginx", "ours"],
        ["rate", "800", "80.0", "32.0 (x0.40, 0.25 to 0.50)"],
        ["busy %", "", "99.0", ""],
    ]
    assert report.plain(rows).splitlines()[1].split("  ")[0] == "rate"
    assert report.markdown(rows).splitlines()[:2] == [
        "|  | direct | nginx | ours |",
        "|---|---|---|---|",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(48512.3, "48 512"), (62.84, "62.8"), (0.3412, "0.34"), (-48.7, "-48.7")]
)
def test_numbers_have_three_figures(value: float, text: str):
    assert report.number(value) == text


def test_doubts_are_said():
    runs = [
        {
            "slow": {"requests per s": 9.0, "busy %": 99.0, "others %": 0.5},
            "fast": {"requests per s": 99.0, "busy %": 50.0, "others %": 7.0},
        }
    ]
    said = report.notes(runs, ["slow", "fast"])
    assert said == [
        "others worked on the proxy's core: fast",
        "the load, not the proxy, set the rate of fast: compare the CPU time",
    ]


def test_goals_are_held_against_the_median():
    metric = "CPU us per request"
    runs = [
        {"onehop": {metric: ours}, "nginx-bare": {metric: 10.0}, "llmhop": {metric: 100.0}}
        for ours in (18.0, 19.0, 90.0)
    ]
    said = report.goals({"small requests, 32 connections": runs}, "onehop")
    assert said == [
        "met: small requests, 32 connections, CPU us per request: 1.90 of nginx-bare's (at most 2)",
        "met: small requests, 32 connections, CPU us per request: 0.19 of llmhop's (at most 0.2)",
    ]
    runs[0]["onehop"][metric] = 50.0
    assert [
        line.split(":")[0]
        for line in report.goals({"small requests, 32 connections": runs}, "onehop")
    ] == [
        "MISSED",
        "MISSED",
    ]


def test_every_goal_is_about_a_load_that_exists():
    from bench.loads import LOADS

    assert {goal.load for goal in report.GOALS} <= {load.name for load in LOADS}


def test_cores_are_split_and_wishes_checked():
    assert split_cores([0, 1]) == Cores(1, (0,))
    assert split_cores([0, 1, 2, 3], "0:2,3") == Cores(0, (2, 3))
    for available, wanted in (([0], None), ([0, 1], "0"), ([0, 1], "0:0"), ([0, 1], "5:0")):
        with pytest.raises(ValueError, match="core"):
            split_cores(available, wanted)
    assert pinned(["true"], (2, 3)) == ["taskset", "--cpu-list", "2,3", "true"]


def test_cpu_time_is_read_past_any_name():
    fields = ["S", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "31", "12", "0", "0"]
    assert procfs.ticks_in(f"42 (odd) name (x) {' '.join(fields)}") == 43


def test_a_report_holds_every_load():
    text = report.document(
        ["a machine"], {"one": RUNS, "two": RUNS[:1]}, ["nginx", "ours"], "nginx", "ours"
    )
    assert "- a machine" in text
    assert text.index("## one") < text.index("## two")
    assert "| rate | 100 | 50.0 (x0.50) |" in text
