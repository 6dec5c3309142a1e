#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for programs that come as an archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: program_archive
short_description: Have a program from an archive in a directory of its own
description:
  - Unpacks a tar archive whose SHA-256 is right into a directory, whole or not at all, and links the
    program in it to a fixed place.
  - Nothing is fetched while the directory is complete.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
options:
  source:
    description: An http or https address that the host fetches, or a path on the controller.
    type: str
    required: true
  checksum:
    description: C(sha256:) and the archive's SHA-256.
    type: str
    required: true
  home:
    description: The directory, one of its own for each archive.
    type: path
    required: true
  executable:
    description: The name of the program, which is somewhere in the archive.
    type: str
    required: true
  sent:
    description: Filled in by the action plugin, which sends an archive of the controller.
    type: path
"""

EXAMPLES = r"""
- name: Have llama-server from an archive on the controller
  onehop.llm.program_archive:
    owner: llama_cpp
    source: /srv/artefacts/llama-b9000-bin-ubuntu-x64.tar.gz
    checksum: sha256:0f343b0931126a20f133d67c2b018a3b5a3e2a7f0d4e1b1a5c0c7c9d9f7e6a55
    home: /opt/onehop/llama-cpp/0f343b0931126a20
    executable: llama-server
"""

RETURN = r"""
needed:
  description: Whether the archive is needed and was not sent.
  returned: success
  type: bool
  sample: false
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _archive
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "checksum": {"type": "str", "required": True},
            "home": {"type": "path", "required": True},
            "executable": {"type": "str", "required": True},
            "sent": {"type": "path"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    owned = Owned(wanted["owner"])
    complete = _archive.complete(wanted["home"], wanted["executable"])
    remote = wanted["source"].startswith(("http://", "https://"))
    needed = not complete and not remote and not wanted["sent"]
    if not complete and not module.check_mode and not needed:
        owned.add("directories", [wanted["home"]])
        owned.save()
        try:
            _archive.install(
                wanted["sent"] or wanted["source"],
                wanted["checksum"].partition(":")[2],
                wanted["home"],
                wanted["executable"],
            )
        except _archive.ArchiveError as error:
            module.fail_json(msg="%s: %s" % (wanted["source"], error))
    module.exit_json(
        changed=not complete,
        needed=needed,
        diff={
            "before_header": wanted["home"],
            "after_header": wanted["home"],
            "before": "",
            "after": ""
            if complete
            else "%s of %s\n" % (wanted["executable"], os.path.basename(wanted["source"])),
        },
    )


if __name__ == "__main__":
    main()
