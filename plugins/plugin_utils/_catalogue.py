# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every engine that this collection knows.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._llama_cpp import LLAMA_CPP

ENGINES: dict[str, Engine] = {engine.role: engine for engine in (LLAMA_CPP,)}
"""By the name of their role, in the order in which a host converges them."""
