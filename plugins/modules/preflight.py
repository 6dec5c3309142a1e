#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that looks at a host before anything changes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check what only the host knows, before anything changes
description:
  - Looks at a host's systemd, its devices, the ports that somebody listens on, and the files that
    the plan names, and fails with everything that stands in the plan's way.
  - What it finds is returned for M(onehop.llm.worker_units) and M(onehop.llm.router_config).
  - What may work all the same is a warning. The variable C(gpu_host_checks) says of each such
    check whether it fails, warns or is left out. See docs/preflight.md for all of them.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
  - onehop.llm._needs
  - onehop.llm._options.plan
options:
  roles:
    description: The roles to look at the host for; all that the plan has for it unless given.
    type: list
    elements: str
  clock:
    description: The controller's seconds since the epoch, filled in there; nothing is compared unless given.
    type: float
seealso:
  - module: onehop.llm.model_specs
"""

EXAMPLES = r"""
- name: Look at the hosts before anything changes
  hosts: gpu_hosts
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Check what only the host knows
      onehop.llm.preflight:
        plan: "{{ onehop_plan.plan }}"
      register: onehop_host
"""

RETURN = r"""
facts:
  description: What the host is like.
  returned: success
  type: dict
  sample:
    amd: false
    arch: x86_64
    copies: []
    cpu_flags: [avx, avx2, sse4_2]
    edge: false
    free:
      /var/lib/vllm: 214748364800
    gpu: true
    gpu_fault:
    gpus:
      - index: 0
        uuid: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77
        name: NVIDIA L40S
        memory: 48305799168
        used: 524288
        capability: '8.9'
        driver: 570.86.15
        cuda: '12.8'
        mig: false
    groups: [video]
    container_packages: [podman, uidmap]
    memory: 270582939648
    mig: []
    package_manager: apt-get
    podman: 5.4.2
    selinux: false
    python: /usr/bin/python3
    systemd: 257
    configs: {org/model: {config: {model_type: qwen3}, bytes: 16381470720}}
memory:
  description: Who takes what of which device; sizes in bytes, and none where they are not known.
  returned: when models use devices
  type: list
  elements: dict
  sample:
    - device: 0 (NVIDIA L40S)
      model: small
      engine: vllm
      share: 0.6
      of: all
      weights: 16381470720
      kv_cache: 4831838208
      total: 22389194752
      promised: 28991029248
      memory: 48318382080
findings:
  description: What may work all the same, each with its check, its level and a sentence.
  returned: always
  type: list
  elements: dict
  sample:
    - check: clock
      level: warn
      said: The host's clock is 12 minutes behind the controller's.
"""

import glob
import grp
import os
import platform
import sys
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import (
    _accounts,
    _as_account,
    _cdi_devices,
    _cdi_plan,
    _cdi_registry,
    _clock,
    _gpus,
    _image_archive,
    _images,
    _lingering,
    _machine,
    _model_configs,
    _owned,
    _packages,
    _podman,
    _ports,
    _preflight_files,
    _preflight_needs,
    _python,
    _reach,
    _subids,
    _weights,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

OLDEST_SYSTEMD = 249
"""The first that knows SocketBindDeny=."""
GPU_GROUPS = ("render", "video")
GPU_NODES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dri/renderD*")


def facts(run, systemd):
    """What units depend on, and what models may find too little of."""
    python = "/usr/bin/python3"
    manager = _packages.manager()
    found = {
        "package_manager": manager.program if manager else None,
        "podman": _podman.version(run) or (manager and manager.candidate(run, "podman")) or None,
        "selinux": _podman.selinux_enforced(),
        "systemd": systemd.version(),
        "edge": any(_owned.Owned("edge").things.values()),
        "gpu": any(glob.glob(pattern) for pattern in GPU_NODES),
        "amd": os.path.exists("/dev/kfd"),
        "groups": [entry.gr_name for entry in grp.getgrall() if entry.gr_name in GPU_GROUPS],
        "python": python if os.access(python, os.X_OK) else sys.executable,
        "arch": platform.machine(),
        "cpu_flags": _machine.cpu_flags(),
        "memory": _machine.memory(),
    }
    return dict(found, **_gpus.found(run))


def ports(needs, systemd):
    """A sentence for each port that somebody else listens on."""
    ours = set()
    for owner in _owned.owners():
        things = _owned.Owned(owner).things
        ours |= set(things["units"]) | {name.rpartition("/")[2] for name in things["user_units"]}
    sockets = sorted({need["unit"] for need in needs if need["unit"].endswith(".socket")})
    held = systemd.show(sockets)
    addresses: dict = {}
    for need in needs:
        addresses.setdefault(need["port"], []).append(need["address"])
    taken = _ports.listeners(addresses)
    for need in needs:
        user = taken.get(need["port"])
        if user is None or user["unit"] in ours:
            continue
        if user["pid"] in (1, None) and any(
            held[name]["ActiveState"] == "active" for name in sockets
        ):
            continue
        yield (
            "%s = %d: %s (process %s, %s) listens on it. Stop it, or write another port."
            % (
                need["variable"],
                need["port"],
                user["command"],
                user["pid"] or "unknown",
                user["unit"] or "no unit",
            )
        )


def pythons(needs, run):
    """A sentence for each interpreter that will not do."""
    for need in needs:
        if need.get("items") and not lacking(need):
            continue
        if _python.find(run, need["path"]) is None:
            said = _python.complaint(need["path"], need["variable"])
            yield "%s. %s" % (need["purpose"], said) if need.get("purpose") else said


def lacking(need):
    """Whether weights are not whole on the host."""
    found = _as_account.as_account(
        need["account"] or "nobody", _weights.find, need["hub"], need["bundles"], need["items"]
    )
    return not all(one["from"] for one in found.values())


def copies(needs):
    """The hosts whose edges have given this host all that it needs of them."""
    missing = {need["variable"] for need in needs if not os.path.exists(need["path"])}
    return sorted({need["variable"] for need in needs} - missing)


def findings(needs, clock, images):
    """What may work all the same."""
    downloads = _reach.missing(needs["downloads"], images)
    found = list(_image_archive.complaints(needs["archives"]))
    found += _clock.complaints(time.time(), clock, downloads)
    found += [
        {"check": "network", "level": "error", "said": said}
        for said in _reach.complaints(downloads)
    ]
    return found


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "roles": {"type": "list", "elements": "str"},
            "needs": {"type": "dict", "options": _preflight_needs.SPEC},
            "clock": {"type": "float"},
        },
        supports_check_mode=True,
    )
    run = module.run_command
    systemd = Systemd(run)
    needs = _preflight_needs.complete(module.params["needs"])
    found = facts(run, systemd)
    found["copies"] = copies(needs["copies"])
    found["configs"] = _model_configs.found(needs["models"])
    found["free"] = _machine.free(need["path"] for need in needs["directories"])
    if os.geteuid() != 0:
        module.fail_json(
            msg="This needs root on the host. Set become: true, or ansible_become: true.",
        )
    if found["systemd"] < OLDEST_SYSTEMD:
        module.fail_json(
            msg="This host has systemd %s, and %s is the oldest that can run hardened workers."
            % (found["systemd"] or "nowhere", OLDEST_SYSTEMD),
        )
    problems = list(ports(needs["ports"], systemd))
    problems += _podman.complaints(needs["podman"], found["podman"])
    problems += _podman.storage_complaints(needs["accounts"])
    problems += _subids.complaints(needs["accounts"])
    problems += _lingering.complaints(needs["accounts"], systemd)
    missing = list(_preflight_files.complaints(needs["files"]))
    missing += _accounts.complaints(needs["accounts"])
    missing += pythons(needs["pythons"], run)
    if needs["devices"]:
        # What this run would generate counts as there.
        plan = _cdi_plan.Plan(run, _owned.Owned("gpu_host")).present()
        missing += plan.failures
        missing += _cdi_devices.complaints(
            needs["devices"], _cdi_registry.Registry(), plan.registry().devices
        )
    if module.check_mode:
        # Earlier plays of the same run may make these, which check mode did not do.
        for sentence in missing:
            module.warn(sentence)
    else:
        problems += missing
    more = findings(
        needs,
        module.params["clock"],
        lambda account, images: _images.Images(run, account).ids(images),
    )
    if problems:
        module.fail_json(msg="\n".join(problems), facts=found, findings=more)
    module.exit_json(changed=False, facts=found, findings=more)


if __name__ == "__main__":
    main()
