#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the keys of an edge and its certificate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_key
short_description: Make, hand out and rotate the keys of a host's edge
description:
  - An edge is the router by which the routers of other hosts reach a host's models. It has a key for
    each of them, and a certificate that they know it by. Both are made on its host and kept there,
    where only root can read them.
  - Two keys of a router may be valid at a time, so that a rotation is two reloads and costs no
    request.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  phase:
    description:
      - V(make) gives each router a key and the edge a certificate, unless they have them. Keys of
        routers that are not named go; without any router all of it goes.
      - V(fetch) returns what one router needs. Use it with C(no_log) and C(delegate_to).
      - V(add) begins a rotation, a second key for each router and a successor of the certificate.
        Where an earlier rotation was cut off, this goes on with what that has made.
      - V(drop) ends it for routers that use what it made, so that the newest key of each alone is
        valid. When it has ended for all, the new certificate is used.
    type: str
    choices: [make, fetch, add, drop]
    default: make
  fronts:
    description:
      - The routers that ask the edge, by the names of their hosts, and behind C(monitor:) those of the
        hosts whose Prometheus asks it.
    type: list
    elements: str
    required: true
  name:
    description: The name in a certificate that is made. None is made unless given.
    type: str
seealso:
  - module: onehop.llm.router_config
"""

EXAMPLES = r"""
- name: Have a key for each router, and a certificate
  onehop.llm.edge_key:
    fronts: [front1, front2]
    name: onehop-edge

- name: Fetch this router's key from the edge of gpu1
  onehop.llm.edge_key:
    phase: fetch
    fronts: ["{{ inventory_hostname }}"]
  delegate_to: gpu1
  no_log: true
  register: fetched
"""

RETURN = r"""
hashes:
  description: The hashes of each router's keys, for the edge's configuration.
  returned: success
  type: dict
  sample:
    front1: ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
given:
  description:
    - RV(given.key) is the router's newest key, RV(given.certificate) the edge's certificate in
      PEM, and its successor's during a rotation.
    - In check mode, where they are still to be made, texts that say so stand in.
  returned: when O(phase=fetch)
  type: dict
  contains:
    key:
      description: The key; empty where the edge has none for this router.
      type: str
      returned: success
    certificate:
      description: The certificate; empty where none was made.
      type: str
      returned: success
    foretold:
      description: Whether they are still to be made.
      type: bool
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._edge_keys import EdgeKeyError, EdgeKeys


def fetched(keys, fronts, check_mode):
    """What one front gets."""
    if len(fronts) != 1:
        raise EdgeKeyError("phase: fetch is for one router. Give one name in fronts.")
    given = dict(keys.given(fronts[0]), foretold=False)
    if check_mode and not given["key"]:
        return {"key": "to be made", "certificate": "to be made", "foretold": True}
    return given


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "phase": {
                "type": "str",
                "choices": ["make", "fetch", "add", "drop"],
                "default": "make",
            },
            "fronts": {"type": "list", "elements": "str", "required": True},
            "name": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    phase, fronts = wanted["phase"], wanted["fronts"]
    result = {}
    try:
        keys = EdgeKeys(module.run_command, module.check_mode)
        diffs = []
        if phase == "fetch":
            result["given"] = fetched(keys, fronts, module.check_mode)
        elif phase == "make":
            diffs = keys.make(fronts, wanted["name"])
        else:
            diffs = keys.add(fronts, wanted["name"]) if phase == "add" else keys.drop(fronts)
        if phase == "make" and keys.ends_soon():
            module.warn("The certificate of this edge ends within a month. Run onehop.llm.rotate.")
    except EdgeKeyError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(diffs), diff=diffs, hashes=keys.hashes(), **result)


if __name__ == "__main__":
    main()
