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
          reloaded:
            description: Keys of the unit that a reload brings, so that they are not in the stamp.
            type: list
            elements: str
            default: []
          inputs:
            description: Texts that belong to the stamp beside the unit's own.
            type: list
            elements: str
            default: []
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
          program:
            description: Whether it is a program of the collection, of which a diff shows only the hash.
            type: bool
            default: false
          stamp:
            description: What stands in its text for a stamp over it and O(rendered.files[].secrets).
            type: str
          secrets:
            description: Files whose contents belong to the stamp.
            type: list
            elements: str
            default: []
      secrets:
        description: Secrets, kept in files that only root and a group can read.
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
          source:
            description: The file on the host that holds it, where it is not given.
            type: str
          variable:
            description: The environment variable that it is for; the file is an assignment then.
            type: str
          group:
            description: The group that may read it; only root unless given.
            type: str
      directories:
        description: Directories that the units need.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where it is.
            type: str
            required: true
          mode:
            description: Its mode.
            type: str
            required: true
          owner:
            description: Its owner; root unless given.
            type: str
          group:
            description: Its group; root unless given.
            type: str
      account:
        description: The account whose manager runs the units; the system's unless given.
        type: str
      uid:
        description: The account's uid where it is not there yet.
        type: int
"""
