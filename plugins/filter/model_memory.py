# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that a model needs, by its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.onehop.llm.plugins.plugin_utils import _model_memory, _wishes
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES

DOCUMENTATION = r"""
name: model_memory
short_description: Estimate the memory that a model needs
description:
  - Reads a model's C(config.json) and says how much memory its weights and the keys and values of
    a sequence need, and how much of it comes to each device.
  - It needs no host and no file beside the configuration.
version_added: 0.1.0
author:
  - The OneHop authors (@onehop)
positional: settings
options:
  _input:
    description: The model's C(config.json).
    type: dict
    required: true
  settings:
    description:
      - Settings of the engine, as a model has them, of which the length of a sequence, formats and
        parallel sizes count.
    type: dict
    default: {}
  engine:
    description: The engine whose settings they are.
    type: str
    choices: [llama_cpp, sglang, vllm]
    default: vllm
  sequences:
    description: How many sequences of the whole length are kept at once.
    type: int
    default: 1
  file_bytes:
    description: The size of all its files of weights, where it is known. It is then what they need.
    type: int
"""

EXAMPLES = r"""
- name: Estimate the memory of a model
  hosts: localhost
  gather_facts: false
  vars:
    # What https://huggingface.co/Qwen/Qwen3-8B/blob/main/config.json says.
    config:
      model_type: qwen3
      hidden_size: 4096
      num_hidden_layers: 36
      num_attention_heads: 32
      num_key_value_heads: 8
      head_dim: 128
      intermediate_size: 12288
      vocab_size: 151936
      max_position_embeddings: 40960
      tie_word_embeddings: false
      torch_dtype: bfloat16
  tasks:
    - name: Show it for two devices
      ansible.builtin.debug:
        msg: "{{ (config | onehop.llm.model_memory(settings)).summary }}"
      vars:
        settings: {max-model-len: 32768, tensor-parallel-size: 2}
      # 8.19 B parameters, 15.3 GiB of weights (bfloat16), 4.5 GiB of KV cache for 32768 tokens,
      # 10.9 GiB in all on each of 2 devices

    - name: Refuse what one device of 24 GiB cannot hold
      ansible.builtin.assert:
        that: needed.per_device.total < 24 * 1024 ** 3
        fail_msg: "{{ needed.summary }}"
      vars:
        needed: "{{ config | onehop.llm.model_memory({'context-length': 8192}, engine='sglang') }}"
"""

RETURN = r"""
_value:
  description: Sizes in bytes.
  type: dict
  contains:
    parameters:
      description: The number of parameters.
      type: int
    active_parameters:
      description: Those that a token passes through, of a mixture of experts fewer.
      type: int
    weights:
      description: What all weights need.
      type: int
    kv_cache_per_token:
      description: What a token needs in all layers that keep keys and values.
      type: int
    kv_cache:
      description:
        - What the sequences need. Layers with a window keep no more than it, and other kinds of
          layers a state.
      type: int
    reserve:
      description: What a device needs beside them, for its context and the work of a step.
      type: int
    per_device:
      description: C(weights), C(kv_cache), C(reserve) and their C(total) on one device.
      type: dict
    context:
      description: The length of a sequence that was reckoned with.
      type: int
    source:
      description: What the weights were reckoned from.
      type: str
      choices: [config, files]
    summary:
      description: A line that says it.
      type: str
"""


def model_memory(
    config: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    engine: str = "vllm",
    sequences: int = 1,
    file_bytes: int | None = None,
) -> dict[str, Any]:
    """The estimate for a model of an engine with these settings."""
    if not isinstance(config, Mapping):
        raise AnsibleFilterError("model_memory: this is no dictionary. Give it a config.json.")
    if engine not in ENGINES:
        raise AnsibleFilterError(
            f"model_memory: engine = {engine!r}: is none. Write one of {', '.join(sorted(ENGINES))}."
        )
    wish = _wishes.of_settings(ENGINES[engine], settings or {}, int(sequences))
    found = _model_memory.estimate(config, wish, int(file_bytes) if file_bytes else None)
    if found is None:
        raise AnsibleFilterError(
            "model_memory: the configuration has no hidden_size, num_hidden_layers or "
            "num_attention_heads. Give it the config.json of a language model, or file_bytes."
        )
    return found


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks for."""
        return {"model_memory": model_memory}
