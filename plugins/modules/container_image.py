#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the container images of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Have container images in the store of an account
description:
  - Pulls images that the account does not have yet, as the account, or loads them from archives on
    the host, and says meanwhile how far it is. Units can then be started without a registry.
  - An image that is there is left as it is, also where its tag has moved on.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
  - onehop.llm._options.watched
options:
  account:
    description: The account. It has to linger.
    type: str
    required: true
  group:
    description: The account's group, which may read the logins; the account's name unless given.
    type: str
  images:
    description: The images, each with its tag or digest.
    type: list
    elements: str
    required: true
  archives:
    description: Archives on the host, in OCI's or Docker's format, by the image that they hold.
    type: dict
    default: {}
  registries:
    description:
      - Logins by registry, each a C(username) and a C(password). They are kept in a file that only
        root and the account can read.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait until all are there.
    type: int
    default: 14400
seealso:
  - module: onehop.llm.linger
  - module: onehop.llm.worker_units
"""

EXAMPLES = r"""
- name: Have the engine's image
  onehop.llm.container_image:
    owner: vllm_account
    account: vllm
    images: [docker.io/vllm/vllm-openai:v0.33.0]

- name: Have it on a host without a network
  onehop.llm.container_image:
    owner: vllm_account
    account: vllm
    images: [docker.io/vllm/vllm-openai:v0.33.0]
    archives:
      docker.io/vllm/vllm-openai:v0.33.0: /srv/images/vllm-openai-v0.33.0.tar
"""

RETURN = r"""
images:
  description: The id of each image; in check mode only of those that are there.
  returned: success
  type: dict
  sample: {"docker.io/vllm/vllm-openai:v0.33.0": 0b5e1d5c2f4e}
reports:
  description: By image that was missing, how fetching it goes.
  returned: when not in check mode
  type: dict
  sample: {}
"""

import base64
import json
import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import _files
from ansible_collections.onehop.llm.plugins.module_utils._images import Images
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned

LOGINS = "/etc/onehop/credentials/%s"
SLICE = 5
"""Seconds that one look lasts while the action plugin shows progress."""


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "account": {"type": "str", "required": True},
            "group": {"type": "str"},
            "images": {"type": "list", "elements": "str", "required": True},
            "archives": {"type": "dict", "default": {}},
            "registries": {"type": "dict", "default": {}, "no_log": True},
            "timeout": {"type": "int", "default": 14400},
            "phase": {"type": "str", "choices": ["all", "begin", "watch"], "default": "all"},
        },
        supports_check_mode=True,
    )
    phase, wanted = module.params["phase"], module.params["images"]
    images = Images(module.run_command, module.params["account"])
    known = images.ids(wanted)
    missing = [reference for reference in wanted if known[reference] is None]
    archives, authentication = module.params["archives"], None
    result = {"changed": False, "reports": {}}
    if phase != "watch":
        logins = logins_of(module)
        diff = [thing.diff() for thing in logins if thing.differs()]
        if missing:
            diff.append({"before_header": "images", "after_header": "images", "before": ""})
            diff[-1]["after"] = "".join("%s\n" % reference for reference in missing)
        result.update(changed=bool(diff), diff=diff)
        if not module.check_mode:
            write(logins, Owned(module.params["owner"]))
            authentication = logins[-1].path if logins else None
            for reference in missing:
                said = images.begin(
                    reference, archives.get(reference), authentication, module.params["timeout"]
                )
                if said:
                    module.fail_json(msg="%s cannot be fetched: %s" % (reference, said))
    if not module.check_mode and (phase != "begin"):
        seconds = min(module.params["timeout"], SLICE if phase == "watch" else 10**6)
        result["reports"] = watch(images, missing, archives, seconds)
        known = images.ids(wanted)
    elif not module.check_mode:
        result["reports"] = {
            item: {
                "state": "fetching",
                "said": [],
                "bytes": 0,
                "total": 0 if item in archives else images.size(item, authentication),
            }
            for item in missing
        }
    result["images"] = {reference: found for reference, found in known.items() if found}
    module.exit_json(**result)


def logins_of(module):
    """The file with the logins, and the directory that it lies in; nothing without logins."""
    registries = module.params["registries"]
    if not registries:
        return []
    auths = {}
    for name, login in sorted(registries.items()):
        pair = "%s:%s" % (login["username"], login["password"])
        auths[name] = {"auth": base64.b64encode(pair.encode("utf-8")).decode("ascii")}
    group = module.params["group"] or module.params["account"]
    place = LOGINS % module.params["owner"]
    return [
        _files.Directory(os.path.dirname(place), 0o711),
        _files.Directory(place, 0o750, group=group),
        _files.File(
            place + "/registries.json",
            json.dumps({"auths": auths}, indent=1) + "\n",
            mode=0o640,
            group=group,
            secret=True,
        ),
    ]


def write(logins, owned):
    """Write what differs; a file of logins that nobody wants any more goes."""
    paths = [thing.path for thing in logins[1:]]
    place = LOGINS % owned.owner
    for path in [place + "/registries.json", place]:
        if path not in paths and path in owned.things["paths"]:
            if os.path.isdir(path):
                _files.remove_empty(path, os.path.dirname(path))
            elif os.path.exists(path):
                os.unlink(path)
            owned.drop("paths", [path])
    owned.add("paths", paths)
    owned.save()
    for thing in logins:
        if thing.differs():
            thing.write()


def watch(images, missing, archives, seconds):
    """How fetching the images goes, by image, once all are done or the time is over."""
    end = time.monotonic() + seconds
    done: dict = {}
    while True:
        for reference in missing:
            if done.get(reference, {}).get("state") not in ("done", "failed"):
                done[reference] = images.look(reference, archives.get(reference))
        states = {report["state"] for report in done.values()}
        if "fetching" not in states or time.monotonic() >= end:
            return done
        time.sleep(0.5)


if __name__ == "__main__":
    main()
