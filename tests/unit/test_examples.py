# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples of variables: each option has one, and the planner takes it where it stands."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option
from tooling import variables

SECRET = {"source": "/etc/llm/x"}
HOST: dict[str, Any] = {
    "llama_cpp_version": "b9093",
    "llama_cpp_models": {"small": {"settings": {"model": "/srv/models/small.gguf"}}},
    "vllm_tag": "v0.33.0",
    "sglang_tag": "v0.5.23",
    "router_client_keys": {"alice": {"credential": "alice_key"}},
    "router_credentials": dict.fromkeys(
        ("alice_key", "alice_next_key", "openai_key", "router_tls_key"), SECRET
    ),
    "monitoring_dashboards": "/srv/dashboards",
}
"""A host to which an example is added, with what examples refer to."""
INSTEAD = {
    "content": ("source",),
    "source": ("content",),
    "digest": ("tag",),
    "upstreams": ("url", "headers"),
}
"""What an option stands in place of."""
BESIDE = {
    "certificate": {"key": "/etc/onehop/router.key"},
    "key": {"certificate": "/etc/onehop/router.pem"},
}
"""What an option of an upstream needs beside it."""
ROWS = list(variables.rows())


@pytest.mark.parametrize(("path", "option"), ROWS, ids=[path for path, dummy in ROWS])
def test_an_option_has_an_example_that_is_right_where_it_stands(path: str, option: Option) -> None:
    given = variables.example(option)
    assert given is not None, "write an example beside the option"
    problems = Problems("gpu1")
    _schema.read([option], {option.name: given}, problems)
    assert [str(problem) for problem in problems.found] == []
    host = declared(path, given)
    made = _plan.make([_plan.Host("gpu1", host, list(host))])
    assert [str(problem) for problem in made.problems] == []
    assert made.warnings == []


def test_an_example_is_not_what_holds_anyway() -> None:
    same = [path for path, option in ROWS if variables.example(option) == option.default]
    assert same == []


def declared(path: str, value: Any) -> dict[str, Any]:
    """A host's variables with ``value`` at ``path``."""
    first, *steps = path.split(".")
    host = copy.deepcopy(HOST)
    host.pop(first.replace("_digest", "_tag") if first.endswith("_digest") else "", None)
    given = filled(variables.find(first), steps, value)
    known = host.get(first)
    host[first] = {**known, **given} if isinstance(known, dict) else given
    return host


def filled(option: Option, steps: list[str], value: Any) -> Any:
    """An option's own example, with ``value`` where the steps lead to."""
    if not steps:
        return value
    whole = copy.deepcopy(variables.example(option))
    entry = whole
    if option.type == "map":
        steps = steps[1:]
        entry = next(iter(whole.values()))
    elif option.type == "list":
        entry = whole[0]
    name, *rest = steps
    for other in INSTEAD.get(name, ()):
        entry.pop(other, None)
    if "url" in entry:
        entry |= BESIDE.get(name, {})
    key = {key.name: key for key in option.keys}[name]
    entry[name] = filled(key, rest, value)
    return whole
