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
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
  - onehop.llm._options.plan
options:
  roles:
    description: The roles to look at the host for; all that the plan has for it unless given.
    type: list
    elements: str
  needs:
    description: Filled in on the controller from O(plan).
    type: dict
    suboptions:
      ports:
        description: Ports to listen on, each with the unit that shall.
        type: list
        elements: dict
        default: []
        suboptions:
          port:
            description: The TCP port.
            type: int
            required: true
          unit:
            description: The unit that shall listen on it.
            type: str
            required: true
          variable:
            description: The variable that it comes from.
            type: str
            required: true
      files:
        description: Files that have to be there.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
          executable:
            description: Whether it is a program.
            type: bool
            default: false
          reader:
            description: The account that has to be able to read it.
            type: str
          reading:
            description:
              - How it reads it, V(service) as a unit of the system in the workers' group,
                V(account) with the account's own groups, and V(container) inside of a container,
                where an account has its primary group alone.
            type: str
            choices: [service, account, container]
            default: service
      accounts:
        description: Accounts that have to be there.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The account.
            type: str
          variable:
            description: The variable that names it.
            type: str
            required: true
          container:
            description: How the account is declared, where it runs containers.
            type: dict
      devices:
        description: Devices that workers want.
        type: list
        elements: dict
        default: []
        suboptions:
          device:
            description: A CDI name or a device node.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
      podman:
        description: Who needs Podman with Quadlet.
        type: list
        elements: dict
        default: []
        suboptions:
          variable:
            description: The variable that wants it.
            type: str
            required: true
      pythons:
        description: Interpreters to run the router with.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The interpreter; the newest that is found unless given.
            type: path
          variable:
            description: The variable that names it.
            type: str
            required: true
      copies:
        description: Copies of what the edges of other hosts gave this one.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file.
            type: str
            required: true
          variable:
            description: The edge's host.
            type: str
            required: true
      models:
        description: Models of which the host may have the configuration.
        type: list
        elements: dict
        default: []
        suboptions:
          model:
            description: A repository of the Hugging Face hub, or a path.
            type: str
            required: true
          caches:
            description: Directories with repositories, in the layout of the hub's cache.
            type: list
            elements: str
            required: true
          revision:
            description: The repository's branch, tag or commit.
            type: str
            default: main
          variable:
            description: The variable that declares it.
            type: str
            required: true
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
    copies: []
    edge: false
    gpu: false
    groups: [video]
    container_packages: [podman, uidmap]
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
"""

import glob
import grp
import os
import pwd
import stat
import sys

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils import (
    _accounts,
    _cdi_devices,
    _cdi_plan,
    _cdi_registry,
    _model_configs,
    _owned,
    _packages,
    _podman,
    _ports,
    _python,
    _subids,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd

OLDEST_SYSTEMD = 249
"""The first that knows SocketBindDeny=."""
GPU_GROUPS = ("render", "video")
GPU_NODES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dri/renderD*")
CACHES = {"type": "list", "elements": "str", "required": True}
WORKERS = "onehop-workers"
"""The group of every worker."""


def facts(run, systemd):
    """What units depend on."""
    python = "/usr/bin/python3"
    manager = _packages.manager()
    return {
        "package_manager": manager.program if manager else None,
        "podman": _podman.version(run) or (manager and manager.candidate(run, "podman")) or None,
        "selinux": _podman.selinux_enforced(),
        "systemd": systemd.version(),
        "edge": any(_owned.Owned("edge").things.values()),
        "gpu": any(glob.glob(pattern) for pattern in GPU_NODES),
        "groups": [entry.gr_name for entry in grp.getgrall() if entry.gr_name in GPU_GROUPS],
        "python": python if os.access(python, os.X_OK) else sys.executable,
    }


def ports(needs, systemd):
    """A sentence for each port that somebody else listens on."""
    ours = set()
    for owner in _owned.owners():
        things = _owned.Owned(owner).things
        ours |= set(things["units"]) | {name.rpartition("/")[2] for name in things["user_units"]}
    sockets = sorted({need["unit"] for need in needs if need["unit"].endswith(".socket")})
    held = systemd.show(sockets)
    taken = _ports.listeners([need["port"] for need in needs])
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


def files(needs):
    """A sentence for each file that is missing."""
    for need in needs:
        path = need["path"]
        if not os.path.exists(path):
            yield "%s = %s: is not on the host. Put it there, or write another path." % (
                need["variable"],
                path,
            )
        elif need["executable"] and not os.access(path, os.X_OK):
            yield "%s = %s: cannot be executed. Give it mode 0755, or write another path." % (
                need["variable"],
                path,
            )

        elif need["reader"] and not readable(path, need["reader"], need["reading"]):
            yield (
                "%s = %s: cannot be read by the worker. Give it mode 0644, and the directories "
                "above it mode 0755." % (need["variable"], path)
            )


def account_or_nobody(user):
    """The account; where it is not there yet, one that may do no more."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwnam("nobody")


def readable(path, user, reading="service"):
    """Whether an account can read the file, asked as that account, as a service in the workers' group.

    So the directories above and access control lists count too. Podman goes through these
    directories with all groups of the account, and what is in the container has one of them.
    """
    if reading == "container" and not within_reach(path, account_or_nobody(user)):
        return False
    child = os.fork()
    if child == 0:
        try:
            entry = account_or_nobody(user)
            groups = [
                found.gr_gid
                for found in grp.getgrall()
                if found.gr_name == WORKERS and reading == "service"
            ]
            os.setgroups(groups + os.getgrouplist(user, entry.pw_gid))
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os._exit(0 if os.access(path, os.R_OK) else 1)
        except OSError:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def within_reach(path, entry):
    """Whether the file's own mode lets an account in that has no group but its primary one."""
    try:
        if "system.posix_acl_access" in os.listxattr(path):
            return True
    except OSError:
        # A file system without any.
        pass
    state = os.stat(path)
    shift = 6 if state.st_uid == entry.pw_uid else 3 if state.st_gid == entry.pw_gid else 0
    wanted = os.R_OK | os.X_OK if stat.S_ISDIR(state.st_mode) else os.R_OK
    return state.st_mode >> shift & wanted == wanted


def pythons(needs, run):
    """A sentence for each interpreter that will not do."""
    for need in needs:
        if _python.find(run, need["path"]) is None:
            yield _python.complaint(need["path"])


def copies(needs):
    """The hosts whose edges have given this host all that it needs of them."""
    missing = {need["variable"] for need in needs if not os.path.exists(need["path"])}
    return sorted({need["variable"] for need in needs} - missing)


def need_spec(**more):
    """The argument spec of one need."""
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": dict(variable={"type": "str", "required": True}, **more),
    }


def main():
    """The module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "roles": {"type": "list", "elements": "str"},
            "needs": {
                "type": "dict",
                "options": {
                    "ports": need_spec(port={"type": "int", "required": True}, unit=text),
                    "files": need_spec(
                        path=text,
                        executable={"type": "bool", "default": False},
                        reader={"type": "str"},
                        reading={
                            "type": "str",
                            "choices": ["service", "account", "container"],
                            "default": "service",
                        },
                    ),
                    "accounts": need_spec(name={"type": "str"}, container={"type": "dict"}),
                    "devices": need_spec(device=text),
                    "podman": need_spec(),
                    "pythons": need_spec(path={"type": "path"}),
                    "copies": need_spec(path=text),
                    "models": need_spec(
                        model=text, caches=CACHES, revision={"type": "str", "default": "main"}
                    ),
                },
            },
        },
        supports_check_mode=True,
    )
    systemd = Systemd(module.run_command)
    kinds = ("ports", "files", "accounts", "pythons", "devices", "podman", "copies", "models")
    needs = module.params["needs"] or {kind: [] for kind in kinds}
    found = dict(
        facts(module.run_command, systemd),
        copies=copies(needs["copies"]),
        configs=_model_configs.found(needs["models"]),
    )
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
    missing = list(files(needs["files"])) + list(_accounts.complaints(needs["accounts"]))
    missing += list(pythons(needs["pythons"], module.run_command))
    if needs["devices"]:
        # What this run would generate counts as there.
        plan = _cdi_plan.Plan(module.run_command, _owned.Owned("gpu_host")).present()
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
    if problems:
        module.fail_json(msg="\n".join(problems), facts=found)
    module.exit_json(changed=False, facts=found)


if __name__ == "__main__":
    main()
