#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module for the weights in a cache."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_cache
short_description: Have weights in a cache, before anybody needs them
description:
  - Looks which repositories of the hub are whole in bundles and in the cache of an account, and
    fetches the others as that account, with visible progress. What was cut goes on where it was;
    every file is held against its size and hash.
  - The cache has huggingface_hub's own layout, with C(refs), C(snapshots) and C(blobs), so that engines
    find in it what they look for.
  - What a branch is when it is fetched first is what it stays. Name a revision to have another.
  - Where an engine does not know the class of a tokenizer, the snapshot gets a shadow of links with
    that one file patched.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
extends_documentation_fragment:
  - onehop.llm._attributes
  - onehop.llm._options.owner
  - onehop.llm._options.watched
options:
  account:
    description: The account that the cache belongs to.
    type: str
    required: true
  group:
    description: Its group; the account's name unless given.
    type: str
  cache:
    description: The cache, which has to be there. The hub's layout is below C(hub) in it.
    type: path
    required: true
  bundles:
    description: Directories with the same layout, which are only read. What is whole there is not
      fetched.
    type: list
    elements: path
    default: []
  weights:
    description: What has to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: What the results call it; made of the other keys unless given.
        type: str
      repo:
        description: The repository.
        type: str
        required: true
      revision:
        description: A branch, a tag or a commit.
        type: str
        default: main
      kind:
        description:
          - What of it is needed, V(model) for all that engines read, V(config) for the small files,
            V(adapter) for a LoRA adapter, V(gguf) for one file.
        type: str
        choices: [model, config, adapter, gguf]
        default: model
      choose:
        description: Patterns of the name of a GGUF file; the first that any file fits counts.
        type: list
        elements: str
        default: []
      optional:
        description: Whether the repository may lack such a file.
        type: bool
        default: false
      stage:
        description: Whether it is fetched where it is missing.
        type: bool
        default: true
      tokenizers:
        description: Classes of tokenizers that the engine does not know, with the ones to name
          instead.
        type: dict
        default: {}
      variable:
        description: The variable that names it.
        type: str
  sources:
    description: Directories and tar archives of the host to take weights from instead of the hub, by
      repository, or by repository and revision with an C(@) between them.
    type: dict
    default: {}
  endpoint:
    description: Address of a mirror of the hub.
    type: str
  token:
    description: Token for the hub.
    type: str
  token_source:
    description: Path of a file on the host that holds it.
    type: path
  prune:
    description: Whether what none of O(weights) names is removed from the cache.
    type: bool
    default: false
  python:
    description: Python 3.11 or newer on the host; the newest that is found unless given.
    type: path
  packages:
    description: Where the packages of the program that fetches come from.
    type: str
    choices: [controller, host]
    default: controller
  wheelhouse:
    description: Directory on the controller in which these packages are kept.
    type: path
  environment:
    description: Filled in by the action plugin, which has M(onehop.llm.python_environment) make it.
    type: path
  timeout:
    description: Seconds to wait until all are there.
    type: int
    default: 86400
seealso:
  - module: onehop.llm.python_environment
  - module: onehop.llm.worker_units
"""

EXAMPLES = r"""
- name: Have a model for vLLM
  onehop.llm.model_cache:
    owner: vllm
    account: vllm
    cache: /var/cache/vllm
    weights:
      - repo: Qwen/Qwen3-8B

- name: Have a gated model at a revision, and a file of another
  onehop.llm.model_cache:
    owner: models
    account: models
    cache: /srv/models
    token_source: /root/hub-token
    weights:
      - repo: meta-llama/Llama-3.1-8B-Instruct
        revision: 0e9e39f249a16976918f6564b8830bc894c89659
      - repo: Qwen/Qwen3-8B-GGUF
        kind: gguf
        choose: ["*Q4_K_M*.gguf"]

- name: Have a model on a host without internet
  onehop.llm.model_cache:
    owner: vllm
    account: vllm
    cache: /var/cache/vllm
    weights:
      - repo: Qwen/Qwen3-8B
    sources:
      Qwen/Qwen3-8B: /srv/artefacts/qwen3-8b.tar
"""

RETURN = r"""
found:
  description:
    - What is there of each, by its key. C(from) is V(bundle) or V(cache), V(hub) or V(source) where
      check mode foretells that it would be fetched, and empty where it is left to the engine;
      C(path) is the snapshot's or its shadow's; where it is a shadow's, C(snapshot) is the other.
  returned: success
  type: dict
  sample:
    Qwen/Qwen3-8B@main:model:
      from: cache
      commit: b968826d9c46dd6066d109eabc6255188de91218
      path: /var/cache/vllm/hub/models--Qwen--Qwen3-8B/snapshots/b968826d9c46dd6066d109eabc6255188de91218
      file:
      lacks: ""
missing:
  description: The keys of what is to be fetched.
  returned: success
  type: list
  elements: str
  sample: []
pruned:
  description: What was removed from the cache.
  returned: success
  type: list
  elements: str
  sample: []
report:
  description: How fetching goes.
  returned: when something is fetched
  type: dict
  sample: {"state": "done", "done": 16381470720, "total": 16381470720, "repo": "", "said": []}
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.onehop.llm.plugins.module_utils._as_account import AccountFailed
from ansible_collections.onehop.llm.plugins.module_utils._weights import Weights

SLICE = 5
"""Seconds that one look lasts while the action plugin shows progress."""

ITEM: dict = {
    "key": {"type": "str", "no_log": False},
    "repo": {"type": "str", "required": True},
    "revision": {"type": "str", "default": "main"},
    "kind": {"type": "str", "choices": ["model", "config", "adapter", "gguf"], "default": "model"},
    "choose": {"type": "list", "elements": "str", "default": []},
    "optional": {"type": "bool", "default": False},
    "stage": {"type": "bool", "default": True},
    "tokenizers": {"type": "dict", "default": {}, "no_log": False},
    "variable": {"type": "str"},
}


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "required": True},
            "account": {"type": "str", "required": True},
            "group": {"type": "str"},
            "cache": {"type": "path", "required": True},
            "bundles": {"type": "list", "elements": "path", "default": []},
            "weights": {"type": "list", "elements": "dict", "default": [], "options": ITEM},
            "sources": {"type": "dict", "default": {}},
            "endpoint": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "token_source": {"type": "path", "no_log": False},
            "prune": {"type": "bool", "default": False},
            "python": {"type": "path"},
            "packages": {"type": "str", "choices": ["controller", "host"], "default": "controller"},
            "wheelhouse": {"type": "path"},
            "environment": {"type": "path"},
            "timeout": {"type": "int", "default": 86400},
            "phase": {"type": "str", "choices": ["all", "begin", "watch"], "default": "all"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**converge(module))
    except AccountFailed as error:
        module.fail_json(msg=str(error))


def converge(module):
    """The results: in phases, since a module cannot show progress."""
    given = module.params
    items = [dict(item, key=item["key"] or key_of(item)) for item in given["weights"]]
    weights = Weights(
        module.run_command,
        given["owner"],
        given["account"],
        given["group"] or given["account"],
        given["cache"].rstrip("/"),
        given["bundles"],
        items,
    )
    if given["phase"] == "watch":
        report = watch(weights, SLICE)
        if report["state"] != "fetching":
            weights.forget()
        return {"changed": False, "report": report}
    found = weights.look()
    missing = [item for item in items if item["stage"] and not found[item["key"]]["from"]]
    result: dict = {"changed": False, "diff": [], "pruned": []}
    if missing and given["environment"]:
        asked = weights.request(missing, given["sources"], given["endpoint"])
        fetch(module, weights, asked, missing, found, result)
        if given["phase"] == "begin" and not module.check_mode:
            return dict(result, found=found, missing=keys(missing), changed=True)
        if not module.check_mode:
            found = weights.look()
            missing = [item for item in items if item["stage"] and not found[item["key"]]["from"]]
    for item in missing:
        foretell(item, found[item["key"]], given["sources"])
    if missing:
        result["changed"] = True
        result["diff"].append(shown("weights", "", lines(missing, found)))
    if not missing or module.check_mode:
        finish(module, weights, items, found, result)
    return dict(result, found=found, missing=keys(missing))


def fetch(module, weights, asked, missing, found, result):
    """Have the program fetch what is missing; in check mode ask what that would be."""
    given = module.params
    token = {"content": given["token"], "source": given["token_source"]}
    if module.check_mode:
        of_hub = [item for item in missing if not source_of(item, given["sources"])]
        if not of_hub:
            return
        request = weights.request(of_hub, {}, given["endpoint"])
        told, said = weights.ask(request, given["environment"], token)
        if said:
            module.warn("The hub could not be asked what it would give: %s" % said)
        for item in of_hub:
            found[item["key"]].update(told.get(item["key"], {}))
        return
    said = weights.begin(asked, given["environment"], token, given["timeout"])
    if said:
        module.fail_json(msg="Weights cannot be fetched: %s" % said)
    if given["phase"] == "all":
        report = watch(weights, given["timeout"])
        weights.forget()
        if report["state"] != "done":
            module.fail_json(msg="\n".join(report["said"]) or "It took too long.", report=report)
        result.update(changed=True, report=report)


def finish(module, weights, items, found, result):
    """Shadows and pruning, once all is there."""
    plan = weights.shadows(found)
    wanted = {one["shadow"]: one for one in plan["made"].values() if one["differs"]}
    gone: list = []
    if module.params["prune"]:
        gone, size = weights.prune(found, module.check_mode)
        result["pruned"] = gone
        if gone:
            before = "".join("%s\n" % name for name in gone)
            result["diff"].append(shown("%s, %.1f GB" % (weights.hub, size / 1e9), before, ""))
    for one in wanted.values():
        text = "links to %s, and %s:\n%s" % (one["place"], "tokenizer_config.json", one["text"])
        result["diff"].append(shown(one["shadow"], "", text))
    for path in plan["stale"]:
        result["diff"].append(shown(path, "links, and a tokenizer_config.json\n", ""))
    result["changed"] = bool(result["changed"] or gone or wanted or plan["stale"])
    if not module.check_mode:
        weights.shadow(list(wanted.values()), plan["stale"])
    for key, one in plan["made"].items():
        found[key].update(path=one["shadow"], snapshot=one["place"])


def foretell(item, one, sources):
    """What an item that is missing will come from."""
    one["from"] = "source" if source_of(item, sources) else "hub"
    one["lacks"] = ""


def source_of(item, sources):
    """The directory or archive that an item is taken from, if any."""
    return sources.get("%s@%s" % (item["repo"], item["revision"])) or sources.get(item["repo"])


def lines(missing, found):
    """What is to be fetched, a line each."""
    text = ""
    for item in missing:
        size = found[item["key"]].get("bytes")
        text += "%s%s\n" % (item["key"], "" if size is None else ", %.1f GB" % (size / 1e9))
    return text


def shown(header, before, after):
    """An entry of a diff."""
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def keys(items):
    """The keys of items."""
    return [item["key"] for item in items]


def key_of(item):
    """What the plan would call it."""
    choice = "#%s" % item["choose"][0] if item["choose"] else ""
    return "%s@%s:%s%s" % (item["repo"], item["revision"], item["kind"], choice)


def watch(weights, seconds):
    """How fetching goes, once it is over or the time is."""
    end = time.monotonic() + seconds
    while True:
        report = weights.report()
        if report["state"] != "fetching" or time.monotonic() >= end:
            return report
        time.sleep(0.5)


if __name__ == "__main__":
    main()
