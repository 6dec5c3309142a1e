# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of this collection promise, in the words of Ansible's documentation.

This doc fragment is private to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes, one fragment for each kind of module."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells what would change, without changing anything.
    support: full
  diff_mode:
    description: Shows what changes, or in check mode what would. Secrets are never shown.
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second run
        changes nothing.
    support: full
  platform:
    description: The systems that it runs on.
    platforms: posix
    support: full
"""

    READS = r"""
options: {}
attributes:
  check_mode:
    description: Only reads, and does so in check mode too.
    support: full
  diff_mode:
    description: There is nothing to show, as nothing changes.
    support: none
  idempotent:
    description: Never changes anything.
    support: full
  platform:
    description: The systems that it runs on.
    platforms: posix
    support: full
"""
