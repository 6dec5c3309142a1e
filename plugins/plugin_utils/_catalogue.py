# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every engine that this collection knows.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._gateway import GATEWAY
from ansible_collections.onehop.llm.plugins.plugin_utils._llama_cpp import LLAMA_CPP
from ansible_collections.onehop.llm.plugins.plugin_utils._sglang import SGLANG
from ansible_collections.onehop.llm.plugins.plugin_utils._vllm import VLLM

ENGINES: dict[str, Engine] = {engine.role: engine for engine in (LLAMA_CPP, VLLM, SGLANG)}
"""By the name of their role, in the order in which a host converges them."""

DESCRIPTIONS: dict[str, Engine] = {**ENGINES, GATEWAY.role: GATEWAY}
"""What a worker of the plan may name as its engine: they, and what stands in front of them."""
