# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runbook of docs/runbooks leads from each signature of a failure to its mend."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.onehop.llm.plugins.plugin_utils import _finding, _signature_table
from ansible_collections.onehop.llm.plugins.plugin_utils._signature import Signature

FAMILIES: dict[str, tuple[str, ...]] = {
    "worker": (
        "flag-unknown", "flag-unknown-llama", "flag-value", "tool-parser", "context-too-long",
        "batch-too-small", "heads-not-divisible", "lora-rank", "quantization-mismatch",
        "quantization-unknown", "quantization-dtype", "remote-code", "architecture",
        "architecture-llama", "architecture-unread", "tokenizer-class", "chat-template",
        "module-missing", "port-in-use", "open-files", "processes", "illegal-instruction", "crash",
        "scheduler-hangs", "engine-timeout", "engine-dead", "start-timeout",
        "restarted-too-often", "watchdog", "working-directory", "program-missing", "credential",
        "sandbox",
    ),
    "gpu": (
        "gpus-too-few", "quantization-card", "dtype-card", "fp8-card", "attention-backend",
        "no-gpu", "no-gpu-library", "driver-old", "driver-mixed", "fabric-manager",
        "card-not-built-for", "cdi-device", "cdi-stale", "gpu-permission", "ecc", "xid",
        "gpu-crash", "compiler-missing", "kernel-cache", "kernel-build", "graphs-failed",
        "library-missing",
    ),
    "memory": (
        "gpu-memory-taken", "weights-memory", "weights-memory-trace", "kv-cache-memory",
        "kv-cache-memory-trace", "compute-memory", "profile-memory", "graphs-memory",
        "graphs-memory-trace", "warm-up-memory", "prefill-memory", "serving-memory", "gpu-memory",
        "host-memory", "killed", "shared-memory", "no-memory-word",
    ),
    "nccl": ("nccl-interface", "peer-access", "nccl-timeout", "nccl"),
    "hub": (
        "gated", "gated-refused", "repo-missing", "hub-unreachable", "hub-offline", "hub-transfer",
        "hub-busy", "model-path", "gguf-unreadable", "gguf-broken", "weights-broken",
    ),
    "podman": (
        "image-missing", "image-wrong", "permission", "selinux", "mount-missing", "read-only",
        "ids-too-few", "user-namespace", "group-missing", "user-missing",
    ),
    "disk": ("disk-full", "disk-small"),
}  # fmt: skip
"""Signatures by the runbook's file, in the order in which it names them."""
BEGIN = "<!-- Made by scripts/generate: signs -->"


def family(signature: str) -> str:
    """The runbook of a signature."""
    return next(name for name, ids in FAMILIES.items() if signature in ids)


def table(name: str) -> Iterator[str]:
    """The signatures of a runbook, with what each likely is."""
    rows = {row.id: row for row in _signature_table.SIGNATURES}
    yield "| sign | likely |"
    yield "| --- | --- |"
    for one in FAMILIES[name]:
        yield f"| [{one}](../diagnoses.md#{one}) | {_cause(rows[one])} |"
    yield ""


def _cause(row: Signature) -> str:
    """What is wrong, with places that a journal fills left as they would read without it."""
    found = {"row": {"cause": row.cause}, "groups": ("…",) * 4}
    words = _finding.names(row.role, f"{row.role.replace('_', '-')}-NAME.service", {})
    return _finding.cause(found, words).replace("|", "\\|")
