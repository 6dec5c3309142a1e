#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that asks every model of a router for one tiny answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: router_check
short_description: Ask every model of a router for one tiny answer
description:
  - Asks a router, on its own host, for a few tokens of each of its models, four at a time. A model that
    does not chat is asked for an embedding, or for ranks.
  - Where the router has client keys, each question comes from the first client who may ask it, and whose
    key is on the host itself and not by its hash alone. It is read there, and shown nowhere.
  - It does not fail where a model does not answer. RV(failed_models) says which.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
options:
  plan:
    description: The plan of M(onehop.llm.model_specs), which tells O(url), O(socket) and O(questions).
    type: dict
  models:
    description: Names of models. Only they are asked, where the router has a route for them.
    type: list
    elements: str
  url:
    description: Where the router is asked, without C(/v1).
    type: str
    default: http://127.0.0.1:8080
  socket:
    description: A unix socket to ask by.
    type: path
  questions:
    description: What is asked.
    type: list
    elements: dict
    default: []
    suboptions:
      model:
        description: The model's name.
        type: str
        required: true
      key_paths:
        description:
          - Files on the host with keys of clients who may ask for it. The first one is taken that
            holds a key, and not its hash.
        type: list
        elements: path
        default: []
  key:
    description: A client's key to ask with, in place of those of O(questions).
    type: str
  timeout:
    description: Seconds that an answer may take.
    type: int
    default: 120
seealso:
  - module: onehop.llm.chat_check
"""

EXAMPLES = r"""
- name: Ask every model of each router
  hosts: llm_routers
  gather_facts: false
  tasks:
    - name: Plan for all hosts
      onehop.llm.model_specs:
      register: onehop_plan
      run_once: true

    - name: Ask
      onehop.llm.router_check:
        plan: "{{ onehop_plan.plan }}"
      register: onehop_smoke

    - name: Fail with what does not answer
      ansible.builtin.fail:
        msg: "{{ onehop_smoke.failed_models | join(', ') }}"
      when: onehop_smoke.failed_models | length > 0
"""

RETURN = r"""
answers:
  description: Of each model what it said, or what the router said instead.
  returned: success
  type: list
  elements: dict
  contains:
    model:
      description: Its name.
      type: str
      returned: success
    ok:
      description: Whether it answered.
      type: bool
      returned: success
    kind:
      description: Whether it was asked for C(chat), C(embeddings) or C(rerank).
      type: str
      returned: success
    seconds:
      description: How long that took.
      type: float
      returned: success
    said:
      description: The beginning of the answer, or the error.
      type: str
      returned: success
failed_models:
  description: Names of the models that did not answer.
  returned: success
  type: list
  elements: str
  sample: [qwen3-8b]
table:
  description: The answers as lines of a table.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._asking import Endpoint, is_hash, table


def key_of(question, module):
    """The key that a question is asked with; C(None) where the host holds nothing but hashes."""
    if module.params["key"]:
        return module.params["key"]
    for path in question["key_paths"]:
        try:
            with open(path, encoding="utf-8") as file:
                key = file.read().strip()
        except (OSError, ValueError) as error:
            module.fail_json(msg="%s: the key cannot be read: %s" % (path, error))
        if not is_hash(key):
            return key
    return None if question["key_paths"] else ""


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict"},
            "models": {"type": "list", "elements": "str"},
            "url": {"type": "str", "default": "http://127.0.0.1:8080"},
            "socket": {"type": "path"},
            "questions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "model": {"type": "str", "required": True},
                    "key_paths": {
                        "type": "list",
                        "elements": "path",
                        "default": [],
                        "no_log": False,
                    },
                },
            },
            "key": {"type": "str", "no_log": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    questions = [
        (one["model"], key_of(one, module))
        for one in wanted["questions"]
        if wanted["models"] is None or one["model"] in wanted["models"]
    ]
    rows = Endpoint(wanted["url"], wanted["socket"], wanted["timeout"]).ask_all(questions)
    module.exit_json(
        changed=False,
        answers=rows,
        failed_models=[row["model"] for row in rows if not row["ok"]],
        table=table(rows),
    )


if __name__ == "__main__":
    main()
