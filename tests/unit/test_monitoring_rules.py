# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules, by Prometheus' own promtool: read, and each alert made to fire and made to be silent."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tooling import promtool
from tooling.watching import render
from tooling.watching.rules import ALERTS, RECORDINGS

RULES = render.FILES / "rules.yml"
ROUTER = 'job="onehop_router",host="h"'

# By alert: the series that make it fire, those that do not, and the labels that it fires with. A
# series is its text and its values, one a minute, as promtool's tests have them.
CASES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "OneHopRouterDown": (
        {f"up{{{ROUTER}}}": "0x60"},
        {f"up{{{ROUTER}}}": "1x60"},
        {"job": "onehop_router", "host": "h"},
    ),
    "OneHopEdgeDown": (
        {'up{job="onehop_edge",host="h"}': "0x60"},
        {'up{job="onehop_edge",host="h"}': "1x60"},
        {"job": "onehop_edge", "host": "h"},
    ),
    "OneHopEngineDown": (
        {'up{job="onehop_vllm",host="h",model="m"}': "0x60"},
        # A restart of a minute is none.
        {'up{job="onehop_vllm",host="h",model="m"}': "1x29 0 1x30"},
        {"job": "onehop_vllm", "host": "h", "model": "m"},
    ),
    "OneHopModelDown": (
        {
            f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="a"}}': "0x60",
            f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="b"}}': "0x60",
        },
        {
            f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="a"}}': "0x60",
            f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="b"}}': "1x60",
        },
        {"host": "h", "model": "m"},
    ),
    "OneHopReplicaDown": (
        {f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="a"}}': "0x60"},
        {f'onehop_router_upstream_up{{{ROUTER},model="m",upstream="a"}}': "1x60"},
        {"job": "onehop_router", "host": "h", "model": "m", "upstream": "a"},
    ),
    "OneHopErrors": (
        {
            f'onehop_router_responses_total{{{ROUTER},model="m",status="200"}}': "0+60x60",
            f'onehop_router_responses_total{{{ROUTER},model="m",status="502"}}': "0+6x60",
        },
        {
            f'onehop_router_responses_total{{{ROUTER},model="m",status="200"}}': "0+60x60",
            f'onehop_router_responses_total{{{ROUTER},model="m",status="429"}}': "0+60x60",
            f'onehop_router_responses_total{{{ROUTER},model="m",status="502"}}': "0+1x60",
        },
        {"host": "h", "model": "m"},
    ),
    "OneHopSlowFirstByte": (
        {
            f'onehop_router_time_to_first_byte_seconds_bucket{{{ROUTER},model="m",le="30.0"}}': "0x60",
            f'onehop_router_time_to_first_byte_seconds_bucket{{{ROUTER},model="m",le="60.0"}}': "0+9x60",
            f'onehop_router_time_to_first_byte_seconds_bucket{{{ROUTER},model="m",le="+Inf"}}': "0+9x60",
        },
        {
            f'onehop_router_time_to_first_byte_seconds_bucket{{{ROUTER},model="m",le="1.0"}}': "0+9x60",
            f'onehop_router_time_to_first_byte_seconds_bucket{{{ROUTER},model="m",le="+Inf"}}': "0+9x60",
        },
        {"host": "h", "model": "m"},
    ),
    "OneHopQueue": (
        {f"onehop_router_queued_requests{{{ROUTER}}}": "3x60"},
        {f"onehop_router_queued_requests{{{ROUTER}}}": "3x25 0 3x34"},
        {"host": "h"},
    ),
    "OneHopHeld": (
        {f"onehop_router_held_requests{{{ROUTER}}}": "1x60"},
        {f"onehop_router_held_requests{{{ROUTER}}}": "0x60"},
        {"host": "h"},
    ),
    "OneHopReloadFailed": (
        # It is there with its first event, and not before.
        {
            f"up{{{ROUTER}}}": "1x60",
            f'onehop_router_config_reloads_total{{{ROUTER},result="failure"}}': "_x24 1x36",
        },
        # That was long ago.
        {
            f"up{{{ROUTER}}}": "1x60",
            f'onehop_router_config_reloads_total{{{ROUTER},result="failure"}}': "1x60",
        },
        {"host": "h"},
    ),
    "OneHopLogLost": (
        {
            f"up{{{ROUTER}}}": "1x60",
            f"onehop_router_access_log_dropped_lines_total{{{ROUTER}}}": "0x20 5x40",
        },
        {f"up{{{ROUTER}}}": "1x60"},
        {"host": "h"},
    ),
    "OneHopRouterRestarts": (
        {f"onehop_router_start_time_seconds{{{ROUTER}}}": "0+5x60"},
        {f"onehop_router_start_time_seconds{{{ROUTER}}}": "1x15 2x45"},
        {"job": "onehop_router", "host": "h"},
    ),
    "OneHopVllmCacheFull": (
        {'vllm:kv_cache_usage_perc{job="onehop_vllm",host="h",model="m",engine="0"}': "0.99x60"},
        {'vllm:kv_cache_usage_perc{job="onehop_vllm",host="h",model="m",engine="0"}': "0.9x60"},
        {"host": "h", "model": "m"},
    ),
    "OneHopSglangCacheFull": (
        {'sglang:token_usage{job="onehop_sglang",host="h",model="m",tp_rank="0"}': "0.99x60"},
        {'sglang:token_usage{job="onehop_sglang",host="h",model="m",tp_rank="0"}': "0.9x60"},
        {"host": "h", "model": "m"},
    ),
    "OneHopGpuHot": (
        {'DCGM_FI_DEV_GPU_TEMP{job="onehop_gpu",host="h",gpu="0"}': "95x60"},
        {'DCGM_FI_DEV_GPU_TEMP{job="onehop_gpu",host="h",gpu="0"}': "70x60"},
        {"job": "onehop_gpu", "host": "h", "gpu": "0"},
    ),
    "OneHopGpuError": (
        {'DCGM_FI_DEV_XID_ERRORS{job="onehop_gpu",host="h",gpu="0"}': "0x25 79x35"},
        {'DCGM_FI_DEV_XID_ERRORS{job="onehop_gpu",host="h",gpu="0"}': "79x60"},
        {"job": "onehop_gpu", "host": "h", "gpu": "0"},
    ),
    "OneHopDiskFull": (
        {
            'node_filesystem_avail_bytes{job="onehop_node",host="h",mountpoint="/"}': "1x60",
            'node_filesystem_size_bytes{job="onehop_node",host="h",mountpoint="/"}': "100x60",
        },
        {
            'node_filesystem_avail_bytes{job="onehop_node",host="h",mountpoint="/"}': "30x60",
            'node_filesystem_size_bytes{job="onehop_node",host="h",mountpoint="/"}': "100x60",
        },
        {"job": "onehop_node", "host": "h", "mountpoint": "/"},
    ),
}
WHEN = "30m"


def run(*words: str | Path) -> str:
    done = subprocess.run([promtool.find(), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_reads_them_all() -> None:
    said = run("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert f"{len(RECORDINGS) + len(ALERTS)} rules found" in said


def test_every_alert_has_its_case() -> None:
    assert sorted(CASES) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("fires", [True, False])
def test_alerts_fire_and_are_silent(tmp_path: Path, fires: bool) -> None:
    tests = []
    for name, (firing, quiet, _labels) in CASES.items():
        series = [
            {"series": text, "values": values}
            for text, values in (firing if fires else quiet).items()
        ]
        asked = {"eval_time": WHEN, "alertname": name, "exp_alerts": []}
        tests.append({"interval": "1m", "name": name, "input_series": series} | alerts(asked))
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    if not fires:
        run("test", "rules", file)
        return
    # Each is told as one that nobody expected, with its labels.
    done = subprocess.run(
        [promtool.find(), "test", "rules", file], capture_output=True, text=True, check=False
    )
    found = re.findall(r"Labels:(\{alertname=.*?\})", done.stdout + done.stderr)
    wanted = []
    for alert in ALERTS:
        labels = {**CASES[alert.name][2], "severity": alert.severity}
        told = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        wanted.append(f'{{alertname="{alert.name}", {told}}}')
    assert sorted(found) == sorted(wanted)


def alerts(asked: dict[str, Any]) -> dict[str, Any]:
    return {"alert_rule_test": [asked]}


def test_what_an_operator_reads(tmp_path: Path) -> None:
    """The words of one alert with everything in it, and what is recorded."""
    firing, _quiet, labels = CASES["OneHopErrors"]
    expected = {
        "exp_labels": {**labels, "severity": "warning"},
        "exp_annotations": {
            "summary": "9.091% of the answers of m on h are errors.",
            "description": "Look at the access log: its field end says which.",
        },
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": text, "values": values} for text, values in firing.items()],
        "promql_expr_test": [
            {
                "expr": "onehop:router_responses:rate5m",
                "eval_time": WHEN,
                "exp_samples": [
                    {
                        "labels": "onehop:router_responses:rate5m"
                        f'{{host="h",model="m",status="{status}"}}',
                        "value": value,
                    }
                    for status, value in (("200", 1), ("502", 0.1))
                ],
            }
        ],
    } | alerts({"eval_time": WHEN, "alertname": "OneHopErrors", "exp_alerts": [expected]})
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    run("test", "rules", file)
