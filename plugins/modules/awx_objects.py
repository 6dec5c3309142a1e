#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that keeps an AWX or automation controller as a repository says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: awx_objects
short_description: Have credential types, job templates and workflows on an AWX or automation controller
description:
  - Brings an AWX, or an automation controller, to what lists say, by its REST API. It needs no other
    collection and no package.
  - All that is declared is looked at first. Nothing is written where a name is not on the controller, or
    where the controller itself does not know a field; every such mistake is told at once.
  - What a list says of an object is what it has then, such as its credentials, the questions of its
    survey and the nodes of a workflow. Fields that a list does not name are left alone, and so are other
    objects.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
options:
  host:
    description:
      - The controller's address.
      - Taken from the environment variable E(CONTROLLER_HOST) unless given.
    type: str
    required: true
  token:
    description:
      - An OAuth token that may administer what is declared.
      - Taken from the environment variable E(CONTROLLER_OAUTH_TOKEN) unless given.
    type: str
  username:
    description:
      - Who to log in as, where there is no O(token).
      - Taken from the environment variable E(CONTROLLER_USERNAME) unless given.
    type: str
  password:
    description:
      - The password of this user.
      - Taken from the environment variable E(CONTROLLER_PASSWORD) unless given.
    type: str
  validate_certs:
    description:
      - Whether the controller's certificate has to be good.
      - Taken from the environment variable E(CONTROLLER_VERIFY_SSL) unless given.
    type: bool
    default: true
  timeout:
    description: Seconds that an answer may take.
    type: int
    default: 30
  credential_types:
    description: Credential types, each with C(name) and the fields that the controller's API has.
    type: list
    elements: dict
    default: []
  job_templates:
    description:
      - Job templates, each with C(name) and the fields of the API. Other objects are named, such as
        C(project) and C(credentials); C(survey_spec) is the survey.
    type: list
    elements: dict
    default: []
  workflows:
    description:
      - Workflows, likewise. C(simplified_workflow_nodes) are the nodes, each with an C(identifier), either
        C(unified_job_template) or C(approval_node), and C(success_nodes), C(failure_nodes) and
        C(always_nodes) by their identifiers.
    type: list
    elements: dict
    default: []
  state:
    description: Whether they are to be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Have a template to ask how the fleet is doing
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Have it
      onehop.llm.awx_objects:
        host: https://awx.example.org
        token: "{{ vault_awx_token }}"
        job_templates:
          - name: Status of the models
            organization: Default
            project: Models
            playbook: playbooks/status.yml
            ask_inventory_on_launch: true
            ask_limit_on_launch: true
"""

RETURN = r"""
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: str
  sample: ['job template OneHop: deploy', 'job template OneHop: deploy: survey']
"""

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.onehop.llm.plugins.module_utils._awx_objects import Objects
from ansible_collections.onehop.llm.plugins.module_utils._controller_api import Api, ApiError


def main():
    """The module."""
    lists = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        argument_spec={
            "host": {
                "type": "str",
                "required": True,
                "fallback": (env_fallback, ["CONTROLLER_HOST"]),
            },
            "token": {
                "type": "str",
                "no_log": True,
                "fallback": (env_fallback, ["CONTROLLER_OAUTH_TOKEN"]),
            },
            "username": {"type": "str", "fallback": (env_fallback, ["CONTROLLER_USERNAME"])},
            "password": {
                "type": "str",
                "no_log": True,
                "fallback": (env_fallback, ["CONTROLLER_PASSWORD"]),
            },
            "validate_certs": {
                "type": "bool",
                "default": True,
                "fallback": (env_fallback, ["CONTROLLER_VERIFY_SSL"]),
            },
            "timeout": {"type": "int", "default": 30},
            "credential_types": dict(lists, no_log=False),
            "job_templates": lists,
            "workflows": lists,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_together=[["username", "password"]],
        required_one_of=[["token", "username"]],
        supports_check_mode=True,
    )
    wanted = module.params
    api = Api(
        wanted["host"],
        token=wanted["token"],
        username=wanted["username"],
        password=wanted["password"],
        certs=wanted["validate_certs"],
        timeout=wanted["timeout"],
    )
    objects = Objects(api, module.check_mode)
    declared = {
        "credential_types": wanted["credential_types"],
        "job_templates": wanted["job_templates"],
        "workflow_job_templates": wanted["workflows"],
    }
    try:
        if wanted["state"] == "present":
            objects.present(declared)
        else:
            objects.absent(declared)
    except ApiError as error:
        module.fail_json(msg=str(error), diff=objects.diffs, changed=bool(objects.diffs))
    changes = [one["after_header"] for one in objects.diffs]
    module.exit_json(changed=bool(changes), changes=changes, diff=objects.diffs)


if __name__ == "__main__":
    main()
