# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a launch says beside the inventory: answers of a survey, and secrets that a credential injects.

Both come as extra variables, for all hosts and mostly as texts. An answer ``survey_NAME`` stands in
place of the host's NAME, and one that was not given changes nothing; a secret is laid beside those
of the inventory. The result is what the tables of variables are read from, so that an answer is
judged as if it stood in the inventory, together with all the rest.

This plugin util is private to the collection.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from ansible_collections.onehop.llm.plugins.plugin_utils import _questions, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._questions import KEEP, PREFIX
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

TOKEN = "onehop_hub_token"
REGISTRY = ("onehop_registry", "onehop_registry_username", "onehop_registry_password")
SECRETS = "onehop_router_credentials"
INJECTED = (TOKEN, *REGISTRY, SECRETS)
"""Variables of the credential types in ``_awx.py``."""
_ALIKE = 0.88
_LINES = "Write a line for each secret, NAME: SECRET"


def concerns(name: str) -> bool:
    """Whether a variable is one that a launch gives."""
    return name in INJECTED or name.startswith(PREFIX)


def given(value: Any) -> bool:
    """Whether anything was answered."""
    return value is not None and value != [] and str(value).strip() not in ("", KEEP)


def apply(
    variables: Mapping[str, Any], launch: Mapping[str, Any], problems: Problems, *, worker: bool
) -> dict[str, Any]:
    """A host's ``variables`` as the ``launch`` has them, with every problem of every answer.

    What is asked about engines concerns hosts that serve models alone: ``worker``.
    """
    result = dict(variables)
    for name, value in launch.items():
        if name.startswith(PREFIX) and given(value):
            _answer(name, value, result, problems, worker=worker)
    if worker:
        _inject_for_workers(launch, result, problems)
    if given(launch.get(SECRETS)):
        contents = _secrets(str(launch[SECRETS]), problems)
        result["router_credentials"] = _beside(result.get("router_credentials"), contents)
    return result


def _answer(
    name: str, value: Any, result: dict[str, Any], problems: Problems, *, worker: bool
) -> None:
    known = _questions.options()
    plain = name.removeprefix(PREFIX)
    option = known.get(plain)
    if option is None:
        near = difflib.get_close_matches(plain, list(known), n=1, cutoff=_ALIKE)
        if near:
            problems.add(name, "is no question of ours", f"Did you mean {PREFIX}{near[0]}")
        return
    if not worker and plain.startswith(tuple(f"{role}_" for role in ENGINES)):
        return
    read = _read(name, option, value, problems)
    if read is not None:
        result[plain] = read


def _read(name: str, option: Option, value: Any, problems: Problems) -> Any:
    """An answer as it would stand in an inventory; ``None`` where it says nothing."""
    if not isinstance(value, str) or _schema.TYPES[option.type].read is not None:
        return value.strip() if isinstance(value, str) else value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        said = getattr(error, "problem", None) or "it cannot be read"
        problems.add(name, f"is neither YAML nor JSON: {said}{where}", "Mend it there")
        return None
    if option.type == "list" and isinstance(read, str):
        return [word for word in re.split(r"[,\s]+", read) if word]
    return read


def _inject_for_workers(
    launch: Mapping[str, Any], result: dict[str, Any], problems: Problems
) -> None:
    if given(launch.get(TOKEN)):
        token = {"content": str(launch[TOKEN]).strip()}
        result.update({f"{role}_hub_token": dict(token) for role in ENGINES})
    have = [name for name in REGISTRY if given(launch.get(name))]
    if not have:
        return
    missing = [name for name in REGISTRY if name not in have]
    if missing:
        problems.add(
            missing[0], f"is missing beside {have[0]}", "Give all of " + ", ".join(REGISTRY)
        )
        return
    registry, username, password = (str(launch[name]) for name in REGISTRY)
    login = {registry.strip(): {"username": username, "password": password}}
    for role in ENGINES:
        name = f"{role}_registries"
        if name in _options():
            result[name] = _beside(result.get(name), login)


def _options() -> set[str]:
    return {option.name for engine in ENGINES.values() for option in engine.options()}


def _beside(value: Any, more: Mapping[str, Any]) -> Any:
    """A dictionary of the inventory with more in it; what is none is left to whoever reads it."""
    if value is None:
        return dict(more)
    return {**value, **more} if isinstance(value, Mapping) else value


def _secrets(text: str, problems: Problems) -> dict[str, Any]:
    """Credentials by name from lines of YAML, whose scalars are all texts. Shows none of it."""
    try:
        read = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problems.add(SECRETS, f"cannot be read{where}", _LINES)
        return {}
    if not isinstance(read, dict):
        problems.add(SECRETS, "is no list of names and secrets", _LINES)
        return {}
    wrong = [name for name, secret in read.items() if not (isinstance(secret, str) and secret)]
    for name in wrong:
        problems.add(f"{SECRETS}.{name}", "is no text", _LINES)
    return {name: {"content": secret} for name, secret in read.items() if name not in wrong}
