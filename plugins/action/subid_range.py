# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which containers a change of an account's ids stops, and then has it made."""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Announced


class ActionModule(Announced):
    """Looks first."""

    why = "its ranges of ids change"
