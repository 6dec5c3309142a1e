# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double for what no test host has: the metrics of vLLM, SGLang, DCGM and node_exporter.

``standin_exporters.py vllm=9801 sglang=9802 gpu=9803 node=9804`` serves each on its port of the
loopback. The names are those of the real ones (scripts/tooling/watching/known.py says where they
stand), the values are made up: counters and histograms grow by one each second. It proves that
queries find their series, and nothing about the engines.

Standard library only, and one file: it is copied to the host as it is.
"""

from __future__ import annotations

import http.server
import sys
import threading
import time

STARTED = time.time()
VLLM = 'model_name="big",engine="0"'
SGLANG = 'model_name="big",engine_type="unified",tp_rank="0",pp_rank="0"'
GPU = 'gpu="0",UUID="GPU-1",device="nvidia0",modelName="stand-in"'
DISK = 'device="/dev/vda",fstype="ext4",mountpoint="/"'

GAUGES = {
    "vllm": {
        "vllm:num_requests_running": VLLM,
        "vllm:num_requests_waiting": VLLM,
        "vllm:kv_cache_usage_perc": VLLM,
    },
    "sglang": {
        "sglang:num_running_reqs": SGLANG,
        "sglang:num_queue_reqs": SGLANG,
        "sglang:token_usage": SGLANG,
        "sglang:cache_hit_rate": SGLANG,
        "sglang:gen_throughput": SGLANG,
    },
    "gpu": {
        "DCGM_FI_DEV_FB_USED": GPU,
        "DCGM_FI_DEV_FB_FREE": GPU,
        "DCGM_FI_DEV_GPU_UTIL": GPU,
        "DCGM_FI_DEV_GPU_TEMP": GPU,
        "DCGM_FI_DEV_POWER_USAGE": GPU,
        "DCGM_FI_DEV_XID_ERRORS": GPU,
    },
    "node": {
        "node_memory_MemAvailable_bytes": "",
        "node_memory_MemTotal_bytes": "",
        "node_filesystem_avail_bytes": DISK,
        "node_filesystem_size_bytes": DISK,
    },
}
COUNTERS = {
    "vllm": {
        "vllm:prefix_cache_queries_total": VLLM,
        "vllm:prefix_cache_hits_total": VLLM,
        "vllm:num_preemptions_total": VLLM,
        "vllm:prompt_tokens_total": VLLM,
        "vllm:generation_tokens_total": VLLM,
    },
    "sglang": {
        "sglang:prompt_tokens_total": SGLANG,
        "sglang:generation_tokens_total": SGLANG,
    },
    "gpu": {},
    "node": {"node_cpu_seconds_total": 'cpu="0",mode="idle"'},
}
HISTOGRAMS = {
    "vllm": {
        "vllm:time_to_first_token_seconds": VLLM,
        "vllm:e2e_request_latency_seconds": VLLM,
        "vllm:request_queue_time_seconds": VLLM,
    },
    "sglang": {
        "sglang:time_to_first_token_seconds": SGLANG,
        "sglang:inter_token_latency_seconds": SGLANG,
    },
    "gpu": {},
    "node": {},
}


def text(kind: str) -> str:
    """What Prometheus reads of one of them."""
    count = int(time.time() - STARTED) + 1
    lines = []
    for name, labels in GAUGES[kind].items():
        lines += [f"# TYPE {name} gauge", f"{name}{{{labels}}} 0.5"]
    for name, labels in COUNTERS[kind].items():
        lines += [f"# TYPE {name} counter", f"{name}{{{labels}}} {count}"]
    for name, labels in HISTOGRAMS[kind].items():
        lines.append(f"# TYPE {name} histogram")
        lines += [f'{name}_bucket{{{labels},le="{edge}"}} {count}' for edge in ("0.1", "1", "+Inf")]
        lines += [f"{name}_sum{{{labels}}} {count / 20}", f"{name}_count{{{labels}}} {count}"]
    return "\n".join(lines) + "\n"


def serve(kind: str, port: int) -> None:
    """Answer every path with the metrics of one kind."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text(kind).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *dummy: object) -> None:
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    for word in sys.argv[1:]:
        kind, separator, port = word.partition("=")
        threading.Thread(target=serve, args=(kind, int(port))).start()
