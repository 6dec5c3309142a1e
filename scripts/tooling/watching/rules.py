# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recording and the alerting rules, as rows.

An alert is a value and what makes it one, apart from each other: the value has to be there at all
times, or nobody would notice that the alert cannot fire.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooling.watching.table import EDGE, ENGINES, ROUTER

_ROUTERS = f"up{{{ROUTER}}}"


@dataclass(frozen=True)
class Recording:
    """A series that Prometheus keeps, out of others."""

    name: str
    expression: str
    doc: str


@dataclass(frozen=True)
class Alert:
    """Fires when ``value`` compared by ``when`` has been true for ``hold``."""

    name: str
    value: str
    when: str
    hold: str
    severity: str
    summary: str
    """With Prometheus' templates in it."""
    mend: str
    """What to look at."""


def _rate(metric: str, select: str, by: str, over: str = "5m") -> str:
    return f"sum by ({by}) (rate({metric}{{{select}}}[{over}]))"


def _p95(metric: str, select: str, by: str) -> str:
    return f"histogram_quantile(0.95, {_rate(metric + '_bucket', select, f'{by}, le')})"


def _since(metric: str, select: str, over: str) -> str:
    """What a counter has counted lately. One that appears with its first event counts from nothing,
    which increase() would not see; one that never did is 0, where its router is."""
    now = f"sum by (host) ({metric}{{{select}}})"
    before = f"sum by (host) ({metric}{{{select}}} offset {over})"
    return f"({now} - ({before} or 0 * {now})) or 0 * {_ROUTERS_BY_HOST}"


_ROUTERS_BY_HOST = f"sum by (host) ({_ROUTERS})"

RECORDINGS = (
    Recording(
        "onehop:router_responses:rate5m",
        _rate("onehop_router_responses_total", ROUTER, "host, model, status"),
        "answers a second",
    ),
    Recording(
        "onehop:router_errors:ratio5m",
        'sum by (host, model) (onehop:router_responses:rate5m{status=~"5.."}) / '
        "sum by (host, model) (onehop:router_responses:rate5m) "
        "or 0 * sum by (host, model) (onehop:router_responses:rate5m)",
        "share of the answers that are 5xx",
    ),
    Recording(
        "onehop:router_time_to_first_byte_seconds:p95_5m",
        _p95("onehop_router_time_to_first_byte_seconds", ROUTER, "host, model"),
        "time to the first byte that 95 % of the answers keep",
    ),
    Recording(
        "onehop:router_tokens:rate5m",
        _rate("onehop_router_tokens_total", ROUTER, "host, model, direction"),
        "tokens a second",
    ),
    Recording(
        "onehop:router_upstream_up:ratio",
        f"avg by (host, model) (onehop_router_upstream_up{{{ROUTER}}})",
        "share of a model's replicas that are up",
    ),
)

ALERTS = (
    Alert(
        "OneHopRouterDown",
        _ROUTERS,
        "== 0",
        "1m",
        "critical",
        "The router of {{ $labels.host }} does not answer.",
        "systemctl status onehop-router, and its journal",
    ),
    Alert(
        "OneHopEdgeDown",
        f"up{{{EDGE}}}",
        "== 0",
        "1m",
        "critical",
        "The edge of {{ $labels.host }} does not answer.",
        "systemctl status onehop-edge there, and whether the key is still good: onehop.llm.monitoring",
    ),
    Alert(
        "OneHopEngineDown",
        f"up{{{ENGINES}}}",
        "== 0",
        "2m",
        "critical",
        "The engine of {{ $labels.model }} on {{ $labels.host }} gives no metrics.",
        "onehop ENGINE why MODEL on that host",
    ),
    Alert(
        "OneHopModelDown",
        f"max by (host, model) (onehop_router_upstream_up{{{ROUTER}}})",
        "== 0",
        "30s",
        "critical",
        "The router of {{ $labels.host }} has no replica of {{ $labels.model }}.",
        "the playbook onehop.llm.status",
    ),
    Alert(
        "OneHopReplicaDown",
        f"onehop_router_upstream_up{{{ROUTER}}}",
        "== 0",
        "5m",
        "warning",
        "{{ $labels.upstream }} of {{ $labels.model }} is down for the router of "
        "{{ $labels.host }}.",
        "the playbook onehop.llm.status",
    ),
    Alert(
        "OneHopErrors",
        "onehop:router_errors:ratio5m",
        "> 0.05",
        "5m",
        "warning",
        "{{ $value | humanizePercentage }} of the answers of {{ $labels.model }} on "
        "{{ $labels.host }} are errors.",
        "the access log: its field end says which",
    ),
    Alert(
        "OneHopSlowFirstByte",
        "onehop:router_time_to_first_byte_seconds:p95_5m",
        "> 30",
        "10m",
        "warning",
        "One in twenty answers of {{ $labels.model }} on {{ $labels.host }} begins after "
        "{{ $value | humanizeDuration }}.",
        "the queues of its engine on the dashboard of engines",
    ),
    Alert(
        "OneHopQueue",
        f"sum by (host) (onehop_router_queued_requests{{{ROUTER}}})",
        "> 0",
        "10m",
        "warning",
        "{{ $value }} requests wait for a limit of the router of {{ $labels.host }}.",
        "router_max_concurrent_requests and those of models and clients",
    ),
    Alert(
        "OneHopHeld",
        f"sum by (host) (onehop_router_held_requests{{{ROUTER}}})",
        "> 0",
        "2m",
        "warning",
        "{{ $value }} requests wait for a replica behind the router of {{ $labels.host }}.",
        "the playbook onehop.llm.status",
    ),
    Alert(
        "OneHopReloadFailed",
        _since("onehop_router_config_reloads_total", f'{ROUTER},result="failure"', "15m"),
        "> 0",
        "0m",
        "warning",
        "The router of {{ $labels.host }} could not use a new configuration and goes on with "
        "the old one.",
        "journalctl -u onehop-router",
    ),
    Alert(
        "OneHopLogLost",
        _since("onehop_router_access_log_dropped_lines_total", ROUTER, "15m"),
        "> 0",
        "0m",
        "warning",
        "The router of {{ $labels.host }} lost lines of its access log.",
        "whether journald keeps up",
    ),
    Alert(
        "OneHopRouterRestarts",
        f"changes(onehop_router_start_time_seconds{{{ROUTER}}}[30m])",
        "> 2",
        "0m",
        "warning",
        "The router of {{ $labels.host }} has been started {{ $value }} times in half an hour.",
        "journalctl -u onehop-router",
    ),
    Alert(
        "OneHopVllmCacheFull",
        'max by (host, model) (vllm:kv_cache_usage_perc{job="onehop_vllm"})',
        "> 0.95",
        "10m",
        "warning",
        "The KV cache of {{ $labels.model }} on {{ $labels.host }} is full.",
        "max-num-seqs, max-model-len and gpu-memory-utilization, or another replica",
    ),
    Alert(
        "OneHopSglangCacheFull",
        'max by (host, model) (sglang:token_usage{job="onehop_sglang"})',
        "> 0.95",
        "10m",
        "warning",
        "The KV cache of {{ $labels.model }} on {{ $labels.host }} is full.",
        "max-running-requests, context-length and mem-fraction-static, or another replica",
    ),
    Alert(
        "OneHopGpuHot",
        'DCGM_FI_DEV_GPU_TEMP{job="onehop_gpu"}',
        "> 90",
        "5m",
        "warning",
        "GPU {{ $labels.gpu }} of {{ $labels.host }} has {{ $value }} °C.",
        "fans, and what it draws",
    ),
    Alert(
        "OneHopGpuError",
        'changes(DCGM_FI_DEV_XID_ERRORS{job="onehop_gpu"}[15m])',
        "> 0",
        "0m",
        "warning",
        "The driver told an error of GPU {{ $labels.gpu }} of {{ $labels.host }}.",
        "dmesg there: the number behind Xid; docs/diagnoses.md knows some",
    ),
    Alert(
        "OneHopDiskFull",
        'node_filesystem_avail_bytes{job="onehop_node"} / '
        'node_filesystem_size_bytes{job="onehop_node"}',
        "< 0.05",
        "15m",
        "warning",
        "{{ $labels.mountpoint }} of {{ $labels.host }} is nearly full.",
        "weights that no model needs any more, and images of older versions",
    ),
)
