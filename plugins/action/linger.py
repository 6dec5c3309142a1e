# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which containers a restart of an account's manager stops, and then has it made."""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Announced


class ActionModule(Announced):
    """Looks first."""

    why = "its service manager gets other limits"
