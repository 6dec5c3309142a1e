# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that mean the same in several modules.

This doc fragment is private to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    """A fragment for each option; the argument specs are in the modules."""

    OWNER = r"""
options:
  owner:
    description: The role on whose list goes what is made, so that it can be removed with it.
    type: str
    required: true
"""

    PLAN = r"""
options:
  plan:
    description: The plan of M(onehop.llm.model_specs).
    type: dict
    required: true
"""

    ANNOUNCED = r"""
options:
  phase:
    description: Filled in by the action plugin, which says what stops before it does.
    type: str
    choices: [all, look]
    default: all
"""

    WATCHED = r"""
options:
  phase:
    description: Filled in by the action plugin, which asks again and again to show progress.
    type: str
    choices: [all, begin, watch]
    default: all
"""
