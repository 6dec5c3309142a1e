# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that action plugins hand to modules; the argument spec is in ``_arguments.py``.

This doc fragment is private to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    """What an action plugin fills in."""

    DOCUMENTATION = r"""
options:
  rendered:
    description: Filled in on the controller.
    type: dict
    suboptions:
      units:
        description: The units, in the order in which they start.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The unit's name.
            type: str
            required: true
          content:
            description: Its text.
            type: str
            required: true
          wanted_by:
            description: The target that starts it.
            type: str
          stamp:
            description: Text put behind the unit's, with C({stamp}) in it.
            type: str
          secrets:
            description: Files whose contents belong to the stamp.
            type: list
            elements: str
            default: []
          states:
            description: Directories that systemd makes for the worker's own use.
            type: list
            elements: str
            default: []
          caches:
            description: Directories that systemd makes for weights.
            type: list
            elements: str
            default: []
          sockets:
            description: Unix sockets that systemd makes, and leaves where they are declared no more.
            type: list
            elements: str
            default: []
      files:
        description: Files that the units need.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where it goes.
            type: str
            required: true
          content:
            description: Its text.
            type: str
            required: true
          mode:
            description: Its mode.
            type: str
            default: '0644'
      secrets:
        description: Secrets, kept in files that only root can read.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where it goes.
            type: str
            required: true
          content:
            description: The secret.
            type: str
            required: true
"""
