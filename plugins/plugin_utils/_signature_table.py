# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of signatures, for the controller and for hosts, from one source.

The messages are the engines' own (vLLM 0.9 to 0.33, SGLang 0.4 to 0.5.23, llama.cpp 0.7), those of
PyTorch, NCCL, FlashInfer and the hub's libraries, Podman's and systemd's. Where each comes from
stands beside its test, ``tests/unit/signature_cases.py``.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _gateway,
    _signatures_gpu,
    _signatures_host,
    _signatures_memory,
    _signatures_settings,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._signature import Signature

CHAPTERS: dict[str, tuple[Signature, ...]] = {
    "What was asked for": _signatures_settings.ROWS,
    "Memory": _signatures_memory.ROWS,
    "GPUs and kernels": _signatures_gpu.ROWS,
    "Hub, host and Podman": _signatures_host.ROWS,
}
SIGNATURES: tuple[Signature, ...] = tuple(row for rows in CHAPTERS.values() for row in rows)
VARIABLES: dict[str, str] = {f"{_gateway.GATEWAY.prefix}-gateway": _gateway.VARIABLE}
"""Units that serve no model, without their suffix, and the variable that declares them."""
_KEYS = (
    "id",
    "patterns",
    "cause",
    "mend",
    "mends",
    "rank",
    "near",
    "results",
    "statuses",
    "signals",
)


def rows() -> list[dict[str, Any]]:
    """What ``_finding.py`` reads."""
    return [{key: getattr(row, key) for key in _KEYS} for row in SIGNATURES]


def for_hosts() -> str:
    """The table as a file for hosts."""
    lines = ",\n".join(json.dumps({**row, "mends": dict(row["mends"])}) for row in rows())
    return f'{{"variables": {json.dumps(VARIABLES)}, "rows": [\n{lines}\n]}}\n'
