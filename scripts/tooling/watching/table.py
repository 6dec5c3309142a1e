# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels of the dashboards, as rows. Rules have a table of their own, of the same expressions.

``$host`` and ``$model`` are variables of a dashboard, ``$__rate_interval`` is Grafana's.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUTER = 'job="onehop_router"'
EDGE = 'job="onehop_edge"'
ENGINES = 'job=~"onehop_(vllm|sglang|llama_cpp)"'
_BY = f'{{{ROUTER},host=~"$host",model=~"$model"}}'
_ON = f'{{{ROUTER},host=~"$host"}}'
_NONE = f"0 * sum by (host) (up{_ON})"
"""What stands for a counter that has counted nothing yet, and so is not there."""


@dataclass(frozen=True)
class Query:
    """An expression, and how its lines are called."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A plot, or with ``now`` a number. ``unit`` is one of Grafana's."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    doc: str
    width: int = 8
    now: bool = False


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """``variables`` are pairs of a label and the metric whose values it may have."""

    uid: str
    title: str
    variables: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


def rate(metric: str, select: str, by: str) -> str:
    """A counter's rate, summed."""
    return f"sum by ({by}) (rate({metric}{select}[$__rate_interval]))"


def quantile(share: float, metric: str, select: str, by: str) -> str:
    """A quantile of a histogram, over all that have the same labels in ``by``."""
    return f"histogram_quantile({share}, {rate(metric + '_bucket', select, f'{by}, le')})"


def _of(job: str) -> str:
    return f'{{job="onehop_{job}",host=~"$host",model=~"$model"}}'


_HOST_AND_MODEL = "{{host}} {{model}}"

ROUTERS = Dashboard(
    "onehop-router",
    "OneHop: router",
    (("host", "onehop_router_build_info"), ("model", "onehop_router_upstream_up")),
    (
        Row(
            "Now",
            (
                Panel(
                    "Models up",
                    "short",
                    (
                        Query(
                            f"count(max by (model) (onehop_router_upstream_up{_BY}) == 1) or vector(0)",
                            "up",
                        ),
                    ),
                    "Models with a replica that is up.",
                    width=4,
                    now=True,
                ),
                Panel(
                    "Replicas down",
                    "short",
                    (
                        Query(
                            f"count(onehop_router_upstream_up{_BY} == 0) or vector(0)",
                            "down",
                        ),
                    ),
                    "Replicas that a router thinks are down.",
                    width=4,
                    now=True,
                ),
                Panel(
                    "Requests under way",
                    "short",
                    (Query(f"sum(onehop_router_inflight_requests{_BY})", "requests"),),
                    "Requests of all models under way, held ones included.",
                    width=4,
                    now=True,
                ),
                Panel(
                    "Waiting for a limit",
                    "short",
                    (Query(f"sum(onehop_router_queued_requests{_ON})", "requests"),),
                    "Requests that wait for a place.",
                    width=4,
                    now=True,
                ),
                Panel(
                    "Held for a replica",
                    "short",
                    (Query(f"sum(onehop_router_held_requests{_ON})", "requests"),),
                    "Requests that wait for a replica to come up.",
                    width=4,
                    now=True,
                ),
                Panel(
                    "Up since",
                    "dateTimeFromNow",
                    (Query(f"1000 * max(onehop_router_start_time_seconds{_ON})", "{{host}}"),),
                    "When the youngest router was started.",
                    width=4,
                    now=True,
                ),
            ),
        ),
        Row(
            "Requests",
            (
                Panel(
                    "Answers by model",
                    "reqps",
                    (Query(rate("onehop_router_responses_total", _BY, "model"), "{{model}}"),),
                    "Requests that ended with a status, a second.",
                ),
                Panel(
                    "Answers by status",
                    "reqps",
                    (Query(rate("onehop_router_responses_total", _BY, "status"), "{{status}}"),),
                    "The same by status: 4xx are the clients', 429 limits, 5xx ours or the engines'.",
                ),
                Panel(
                    "Answers by client",
                    "reqps",
                    (Query(rate("onehop_router_responses_total", _BY, "client"), "{{client}}"),),
                    "The same by the client's key.",
                ),
                Panel(
                    "Errors",
                    "percentunit",
                    (
                        Query(
                            f'sum by (model) (rate(onehop_router_responses_total{{{ROUTER},host=~"$host",'
                            'model=~"$model",status=~"5.."}[$__rate_interval])) / '
                            + rate("onehop_router_responses_total", _BY, "model")
                            + f" or 0 * {rate('onehop_router_responses_total', _BY, 'model')}",
                            "{{model}}",
                        ),
                    ),
                    "Share of the answers that are 5xx.",
                ),
                Panel(
                    "Replicas that failed",
                    "ops",
                    (
                        Query(
                            rate("onehop_router_upstream_errors_total", _BY, "upstream, kind"),
                            "{{upstream}} {{kind}}",
                        ),
                        Query(_NONE, "{{host}}"),
                    ),
                    "Requests that a replica failed, by what happened; most are sent again.",
                ),
                Panel(
                    "Clients that left",
                    "ops",
                    (
                        Query(
                            rate("onehop_router_client_disconnects_total", _BY, "model"),
                            "{{model}}",
                        ),
                        Query(_NONE, "{{host}}"),
                    ),
                    "Requests whose client left before their end.",
                ),
            ),
        ),
        Row(
            "Time",
            (
                Panel(
                    "Time to the first byte",
                    "s",
                    tuple(
                        Query(
                            quantile(
                                share, "onehop_router_time_to_first_byte_seconds", _BY, "model"
                            ),
                            f"{{{{model}}}} {name}",
                        )
                        for share, name in ((0.5, "median"), (0.95, "95 %"))
                    ),
                    "From a request's head to the first byte of its answer: of a stream nearly the "
                    "time to the first token.",
                    width=12,
                ),
                Panel(
                    "Duration",
                    "s",
                    tuple(
                        Query(
                            quantile(share, "onehop_router_request_duration_seconds", _BY, "model"),
                            f"{{{{model}}}} {name}",
                        )
                        for share, name in ((0.5, "median"), (0.95, "95 %"))
                    ),
                    "From a request's head to its end.",
                    width=12,
                ),
            ),
        ),
        Row(
            "Tokens and replicas",
            (
                Panel(
                    "Tokens",
                    "short",
                    (
                        Query(
                            rate("onehop_router_tokens_total", _BY, "model, direction"),
                            "{{model}} {{direction}}",
                        ),
                    ),
                    "Tokens a second, as answers tell.",
                ),
                Panel(
                    "Under way",
                    "short",
                    (Query(f"sum by (model) (onehop_router_inflight_requests{_BY})", "{{model}}"),),
                    "Requests of each model under way.",
                ),
                Panel(
                    "Queue",
                    "short",
                    (
                        Query(
                            f"sum by (host) (onehop_router_queued_requests{_ON})", "{{host}} limit"
                        ),
                        Query(
                            f"sum by (host) (onehop_router_held_requests{_ON})", "{{host}} replica"
                        ),
                    ),
                    "Requests that wait for a limit, and for a replica.",
                ),
                Panel(
                    "Replicas",
                    "bool",
                    (Query(f"onehop_router_upstream_up{_BY}", "{{host}} {{model}} {{upstream}}"),),
                    "1 while a replica is thought to be up.",
                    width=24,
                ),
            ),
        ),
        Row(
            "The router itself",
            (
                Panel(
                    "Processor",
                    "percentunit",
                    (Query(rate("onehop_router_cpu_seconds_total", _ON, "host"), "{{host}}"),),
                    "Cores that the router's processes use.",
                ),
                Panel(
                    "Memory",
                    "bytes",
                    (
                        Query(
                            f"sum by (host) (onehop_router_resident_memory_bytes{_ON})", "{{host}}"
                        ),
                        Query(
                            f"sum by (host) (onehop_router_buffered_bytes{_ON})", "{{host}} bodies"
                        ),
                    ),
                    "Of its processes, and of that what bodies of requests take.",
                ),
                Panel(
                    "Connections",
                    "short",
                    (Query(f"sum by (host) (onehop_router_connections{_ON})", "{{host}}"),),
                    "Connections of clients.",
                ),
                Panel(
                    "Edges: answers",
                    "reqps",
                    (
                        Query(
                            f"sum by (host, status) (rate(onehop_router_responses_total{{{EDGE}}}"
                            "[$__rate_interval]))",
                            "{{host}} {{status}}",
                        ),
                    ),
                    "What the edges of hosts answered routers and Prometheus.",
                    width=24,
                ),
            ),
        ),
    ),
)


_VLLM, _SGLANG, _LLAMA = _of("vllm"), _of("sglang"), _of("llama_cpp")
_ENGINE = "host, model"


def _gauge(metric: str, select: str) -> str:
    return f"sum by ({_ENGINE}) ({metric}{select})"


def _first_token(metric: str, select: str) -> Panel:
    return Panel(
        "Time to the first token",
        "s",
        tuple(
            Query(quantile(share, metric, select, _ENGINE), f"{_HOST_AND_MODEL} {name}")
            for share, name in ((0.5, "median"), (0.95, "95 %"))
        ),
        "As the engine measures it, from the arrival of the request.",
    )


def _tokens(prompt: str, generated: str, select: str) -> Panel:
    return Panel(
        "Tokens",
        "short",
        (
            Query(rate(prompt, select, _ENGINE), f"{_HOST_AND_MODEL} prompt"),
            Query(rate(generated, select, _ENGINE), f"{_HOST_AND_MODEL} generated"),
        ),
        "Tokens a second.",
    )


def _requests(running: str, waiting: str, select: str) -> Panel:
    return Panel(
        "Requests",
        "short",
        (
            Query(_gauge(running, select), f"{_HOST_AND_MODEL} running"),
            Query(_gauge(waiting, select), f"{_HOST_AND_MODEL} waiting"),
        ),
        "Requests that the engine computes, and that wait inside of it.",
    )


ENGINE = Dashboard(
    "onehop-engines",
    "OneHop: engines",
    (("host", "up"), ("model", f"up{{{ENGINES}}}")),
    (
        Row(
            "All engines",
            (
                Panel(
                    "Engines that answer",
                    "bool",
                    (
                        Query(
                            f'up{{{ENGINES},host=~"$host",model=~"$model"}}',
                            "{{job}} " + _HOST_AND_MODEL,
                        ),
                    ),
                    "1 while Prometheus gets the engine's metrics.",
                    width=24,
                ),
            ),
        ),
        Row(
            "vLLM",
            (
                _requests("vllm:num_requests_running", "vllm:num_requests_waiting", _VLLM),
                _first_token("vllm:time_to_first_token_seconds", _VLLM),
                _tokens("vllm:prompt_tokens_total", "vllm:generation_tokens_total", _VLLM),
                Panel(
                    "KV cache",
                    "percentunit",
                    (
                        Query(
                            f"max by ({_ENGINE}) (vllm:kv_cache_usage_perc{_VLLM})", _HOST_AND_MODEL
                        ),
                    ),
                    "Share of the KV cache in use.",
                ),
                Panel(
                    "Prefix cache hits",
                    "percentunit",
                    (
                        Query(
                            rate("vllm:prefix_cache_hits_total", _VLLM, _ENGINE)
                            + " / "
                            + rate("vllm:prefix_cache_queries_total", _VLLM, _ENGINE),
                            _HOST_AND_MODEL,
                        ),
                    ),
                    "Share of the tokens of prompts that were in the cache.",
                ),
                Panel(
                    "Waiting and duration",
                    "s",
                    (
                        Query(
                            quantile(0.95, "vllm:request_queue_time_seconds", _VLLM, _ENGINE),
                            f"{_HOST_AND_MODEL} waiting, 95 %",
                        ),
                        Query(
                            quantile(0.95, "vllm:e2e_request_latency_seconds", _VLLM, _ENGINE),
                            f"{_HOST_AND_MODEL} whole, 95 %",
                        ),
                    ),
                    "Time inside the engine before it is computed, and until the end.",
                ),
                Panel(
                    "Preemptions",
                    "ops",
                    (Query(rate("vllm:num_preemptions_total", _VLLM, _ENGINE), _HOST_AND_MODEL),),
                    "Requests that lost their cache to others, a second.",
                ),
            ),
        ),
        Row(
            "SGLang",
            (
                _requests("sglang:num_running_reqs", "sglang:num_queue_reqs", _SGLANG),
                _first_token("sglang:time_to_first_token_seconds", _SGLANG),
                _tokens("sglang:prompt_tokens_total", "sglang:generation_tokens_total", _SGLANG),
                Panel(
                    "KV cache",
                    "percentunit",
                    (
                        Query(f"max by ({_ENGINE}) (sglang:token_usage{_SGLANG})", _HOST_AND_MODEL),
                        Query(
                            f"max by ({_ENGINE}) (sglang:cache_hit_rate{_SGLANG})",
                            f"{_HOST_AND_MODEL} hits",
                        ),
                    ),
                    "Share of the KV cache in use, and of prompts found in it.",
                ),
                Panel(
                    "Throughput",
                    "short",
                    (Query(_gauge("sglang:gen_throughput", _SGLANG), _HOST_AND_MODEL),),
                    "Tokens a second, as the scheduler says.",
                ),
                Panel(
                    "Between tokens",
                    "s",
                    (
                        Query(
                            quantile(0.95, "sglang:inter_token_latency_seconds", _SGLANG, _ENGINE),
                            f"{_HOST_AND_MODEL} 95 %",
                        ),
                    ),
                    "Time between two tokens of a stream.",
                ),
            ),
        ),
        Row(
            "llama.cpp",
            (
                _requests("llamacpp:requests_processing", "llamacpp:requests_deferred", _LLAMA),
                _tokens("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total", _LLAMA),
                Panel(
                    "Speed",
                    "short",
                    (
                        Query(
                            rate("llamacpp:prompt_tokens_total", _LLAMA, _ENGINE)
                            + " / "
                            + rate("llamacpp:prompt_seconds_total", _LLAMA, _ENGINE),
                            f"{_HOST_AND_MODEL} prompt",
                        ),
                        Query(
                            rate("llamacpp:tokens_predicted_total", _LLAMA, _ENGINE)
                            + " / "
                            + rate("llamacpp:tokens_predicted_seconds_total", _LLAMA, _ENGINE),
                            f"{_HOST_AND_MODEL} generated",
                        ),
                    ),
                    "Tokens for each second of computing.",
                ),
                Panel(
                    "Busy slots",
                    "short",
                    (Query(_gauge("llamacpp:n_busy_slots_per_decode", _LLAMA), _HOST_AND_MODEL),),
                    "Slots in use at each step, on average since the start.",
                ),
            ),
        ),
    ),
)

_GPU = '{job="onehop_gpu",host=~"$host"}'
_NODE = '{job="onehop_node",host=~"$host"}'
_GPU_NAME = "{{host}} {{gpu}}"

HOSTS = Dashboard(
    "onehop-hosts",
    "OneHop: hosts",
    (("host", 'up{job=~"onehop_(gpu|node)"}'),),
    (
        Row(
            "GPUs",
            (
                Panel(
                    "Memory",
                    "percentunit",
                    (
                        Query(
                            f"DCGM_FI_DEV_FB_USED{_GPU} / (DCGM_FI_DEV_FB_USED{_GPU} + "
                            f"DCGM_FI_DEV_FB_FREE{_GPU})",
                            _GPU_NAME,
                        ),
                    ),
                    "Share of each GPU's memory in use.",
                ),
                Panel(
                    "Memory in use",
                    "mbytes",
                    (Query(f"DCGM_FI_DEV_FB_USED{_GPU}", _GPU_NAME),),
                    "In MiB, as DCGM counts it.",
                ),
                Panel(
                    "Utilization",
                    "percent",
                    (Query(f"DCGM_FI_DEV_GPU_UTIL{_GPU}", _GPU_NAME),),
                    "Share of the time in which a kernel ran.",
                ),
                Panel(
                    "Temperature",
                    "celsius",
                    (Query(f"DCGM_FI_DEV_GPU_TEMP{_GPU}", _GPU_NAME),),
                    "Of the GPU.",
                ),
                Panel(
                    "Power",
                    "watt",
                    (Query(f"DCGM_FI_DEV_POWER_USAGE{_GPU}", _GPU_NAME),),
                    "What it draws.",
                ),
                Panel(
                    "Last XID",
                    "short",
                    (Query(f"DCGM_FI_DEV_XID_ERRORS{_GPU}", _GPU_NAME),),
                    "The last error that the driver told, by its number; 0 is none.",
                ),
            ),
        ),
        Row(
            "Hosts",
            (
                Panel(
                    "Processors",
                    "percentunit",
                    (
                        Query(
                            'avg by (host) (1 - rate(node_cpu_seconds_total{job="onehop_node",'
                            'host=~"$host",mode="idle"}[$__rate_interval]))',
                            "{{host}}",
                        ),
                    ),
                    "Share of all cores in use.",
                ),
                Panel(
                    "Memory",
                    "percentunit",
                    (
                        Query(
                            f"1 - node_memory_MemAvailable_bytes{_NODE} / "
                            f"node_memory_MemTotal_bytes{_NODE}",
                            "{{host}}",
                        ),
                    ),
                    "Share of the memory in use.",
                ),
                Panel(
                    "Disks",
                    "percentunit",
                    (
                        Query(
                            f"1 - node_filesystem_avail_bytes{_NODE} / "
                            f"node_filesystem_size_bytes{_NODE}",
                            "{{host}} {{mountpoint}}",
                        ),
                    ),
                    "Share of each file system in use.",
                ),
            ),
        ),
    ),
)

DASHBOARDS = (ROUTERS, ENGINE, HOSTS)
