#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that has a Prometheus ask what the plan says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_config
short_description: Have a Prometheus ask routers, edges, engines and exporters
description:
  - Renders the scrape configuration from the plan, has promtool check a copy of it, installs it with
    the rules, the keys and the dashboards, and has Prometheus read it anew.
  - What Prometheus says of its last reload decides, not what was changed, so that a run which died
    half-way is repaired. Where the whole of its configuration cannot be used, everything is put back.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  state:
    description: V(absent) takes all of it away, and puts back the configuration that ours replaced.
    type: str
    choices: [present, absent]
    default: present
  plan:
    description: RV(onehop.llm.model_specs#module:plan). Needed unless O(state=absent).
    type: dict
  fetched:
    description:
      - What edges gave this host, by the names of their hosts, RV(onehop.llm.edge_key#module:given)
        each. Of other edges it uses the copies that the host has.
    type: dict
  files:
    description: Filled in on the controller, the files of Prometheus.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Below the directory of Prometheus' configuration.
        type: str
        required: true
      content:
        description: What it holds; as it is on the host unless given.
        type: str
  keys:
    description: Filled in on the controller, the files that only Prometheus may read.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Below the directory of Prometheus' configuration.
        type: str
        required: true
      content:
        description: What it holds; as it is on the host unless given.
        type: str
  dashboards:
    description: Filled in on the controller, the files of Grafana.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it goes.
        type: path
        required: true
      content:
        description: What it holds.
        type: str
        required: true
  config:
    description: The configuration of Prometheus; filled in on the controller from the plan.
    type: path
    default: /etc/prometheus/prometheus.yml
  service:
    description: The unit of Prometheus; filled in on the controller from the plan.
    type: str
    default: prometheus.service
  group:
    description: Who may read keys; filled in on the controller from the plan.
    type: str
    default: prometheus
  url:
    description: Where Prometheus answers; filled in on the controller from the plan.
    type: str
    default: http://127.0.0.1:9090
seealso:
  - module: onehop.llm.edge_key
"""

EXAMPLES = r"""
- name: Plan for all hosts
  onehop.llm.model_specs:
  register: onehop_plan
  run_once: true

- name: Have Prometheus ask them
  onehop.llm.prometheus_config:
    plan: "{{ onehop_plan.plan }}"

- name: Take all of it away
  onehop.llm.prometheus_config:
    state: absent
"""

RETURN = r"""
fetched:
  description: The hosts whose edges gave this one a key in this run.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [gpu1]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._prometheus import (
    Prometheus,
    PrometheusError,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import SystemdError


def main():
    """The module."""
    file = {"path": {"type": "str", "required": True}, "content": {"type": "str"}}
    key = {"path": {"type": "str", "required": True}, "content": {"type": "str", "no_log": True}}
    dashboard = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "plan": {"type": "dict"},
            "fetched": {"type": "dict"},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "keys": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "no_log": False,
                "options": key,
            },
            "dashboards": {"type": "list", "elements": "dict", "default": [], "options": dashboard},
            "config": {"type": "path", "default": "/etc/prometheus/prometheus.yml"},
            "service": {"type": "str", "default": "prometheus.service"},
            "group": {"type": "str", "default": "prometheus"},
            "url": {"type": "str", "default": "http://127.0.0.1:9090"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    prometheus = Prometheus(
        module.run_command,
        module.check_mode,
        *(wanted[name] for name in ("config", "service", "group", "url")),
    )
    try:
        if wanted["state"] == "absent":
            changed = prometheus.remove()
        else:
            files = [
                (item["path"], item["content"], name == "keys")
                for name in ("files", "keys")
                for item in wanted[name]
            ]
            others = [(item["path"], item["content"]) for item in wanted["dashboards"]]
            changed = prometheus.bring(files, others)
    except (PrometheusError, SystemdError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, diff=prometheus.diffs)


if __name__ == "__main__":
    main()
