# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of others that the table may name, as they stand in the text that Prometheus reads.

Facts: vLLM 0.10.2 to 0.33.0 (``vllm/v1/metrics/loggers.py``), SGLang 0.5.9
(``srt/metrics/collector.py``) and 0.5.23 (``srt/observability/metrics_collector.py``), llama.cpp as
Debian has it (the strings of its server), DCGM's exporter (its default counters) and node_exporter.
Only what the table names is here, and only names that all of these versions have. A histogram
stands for its three series.
"""

from __future__ import annotations

HISTOGRAM = ("_bucket", "_sum", "_count")

VLLM = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prefix_cache_queries_total",
    "vllm:prefix_cache_hits_total",
    "vllm:num_preemptions_total",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
)
VLLM_HISTOGRAMS = (
    "vllm:time_to_first_token_seconds",
    "vllm:e2e_request_latency_seconds",
    "vllm:request_queue_time_seconds",
)
SGLANG = (
    "sglang:num_running_reqs",
    "sglang:num_queue_reqs",
    "sglang:token_usage",
    "sglang:cache_hit_rate",
    "sglang:gen_throughput",
    "sglang:prompt_tokens_total",
    "sglang:generation_tokens_total",
)
SGLANG_HISTOGRAMS = (
    "sglang:time_to_first_token_seconds",
    "sglang:inter_token_latency_seconds",
)
LLAMA_CPP = (
    "llamacpp:requests_processing",
    "llamacpp:requests_deferred",
    "llamacpp:prompt_tokens_total",
    "llamacpp:prompt_seconds_total",
    "llamacpp:tokens_predicted_total",
    "llamacpp:tokens_predicted_seconds_total",
    "llamacpp:n_busy_slots_per_decode",
)
GPU = (
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_XID_ERRORS",
)
NODE = (
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
)


def names() -> set[str]:
    """All of them, with the three series of each histogram."""
    plain = {*VLLM, *SGLANG, *LLAMA_CPP, *GPU, *NODE, "up"}
    histograms = (*VLLM_HISTOGRAMS, *SGLANG_HISTOGRAMS)
    return plain | {name + end for name in histograms for end in HISTOGRAM}
