#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that asks a model for an answer, as a client does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chat_check
short_description: Ask a model for a chat completion, as a client does
description:
  - Sends one chat completion to an OpenAI-compatible endpoint and returns the answer, to see that
    a deployment serves.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes.reads
options:
  url:
    description: The endpoint, without C(/v1).
    type: str
    default: http://127.0.0.1:8080
  model:
    description: The model to ask.
    type: str
    required: true
  key:
    description: A client's key.
    type: str
  prompt:
    description: What to say.
    type: str
    default: Say hello.
  max_tokens:
    description: The longest answer, in tokens.
    type: int
    default: 16
  timeout:
    description: Seconds to wait for the answer.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: See that the model answers through the router
  onehop.llm.chat_check:
    url: http://127.0.0.1:8080
    model: qwen3-8b
    key: "{{ vault_alice_key }}"
  register: onehop_answer
"""

RETURN = r"""
answer:
  description: What the model said.
  returned: success
  type: str
  sample: Hello!
tokens:
  description: How many tokens it said, where the engine tells.
  returned: success
  type: int
  sample: 3
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_url


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:8080"},
            "model": {"type": "str", "required": True},
            "key": {"type": "str", "no_log": True},
            "prompt": {"type": "str", "default": "Say hello."},
            "max_tokens": {"type": "int", "default": 16, "no_log": False},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    headers = {"Content-Type": "application/json"}
    if wanted["key"]:
        headers["Authorization"] = "Bearer " + wanted["key"]
    body = {
        "model": wanted["model"],
        "messages": [{"role": "user", "content": wanted["prompt"]}],
        "max_tokens": wanted["max_tokens"],
    }
    answer, info = fetch_url(
        module,
        wanted["url"].rstrip("/") + "/v1/chat/completions",
        data=json.dumps(body),
        headers=headers,
        method="POST",
        timeout=wanted["timeout"],
    )
    text = answer.read() if answer else info.get("body", b"")
    if info["status"] != 200:
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        module.fail_json(
            msg="%s answered %s for the model %s: %s"
            % (wanted["url"], info["status"], wanted["model"], said.strip() or info["msg"])
        )
    try:
        completion = json.loads(text)
        said = completion["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        module.fail_json(msg="%s answered something that is no completion" % wanted["url"])
    tokens = (completion.get("usage") or {}).get("completion_tokens")
    module.exit_json(changed=False, answer=said, tokens=tokens)


if __name__ == "__main__":
    main()
