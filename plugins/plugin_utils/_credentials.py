# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets by name: systemd credentials, and ``${cred:NAME}`` in a text that stands for one.

So the secret itself is in no setting, no unit and no plan.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

SECRETS = "/etc/onehop/credentials"
"""Where secrets given by content are kept, readable by root alone."""

_CREDENTIAL = re.compile(r"\$\{cred:([^}]*)\}")


def references(value: Any) -> Iterator[str]:
    """The names of all credentials that a value refers to, however deep."""
    if isinstance(value, str):
        yield from _CREDENTIAL.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from references(item)


def replace(text: str, escape: Callable[[str], str], path: Callable[[str], str]) -> str:
    """The text with each reference made ``path(name)`` and all between them ``escape(text)``."""
    parts = _CREDENTIAL.split(text)
    return "".join(path(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def any_reference(text: str) -> bool:
    """Whether a text takes anything from elsewhere."""
    return "${" in text


def check(where: str, credentials: Mapping[str, Any], problems: Problems) -> None:
    """Note each credential that is not given exactly one way, or in a way systemd cannot take."""
    for name, credential in credentials.items():
        check_one(f"{where}.{name}", credential, problems)


def check_one(where: str, credential: Mapping[str, Any], problems: Problems) -> None:
    """What :func:`check` notes of a single one."""
    given = [key for key in ("source", "content") if credential[key] is not None]
    if len(given) != 1:
        problems.add(
            where,
            "has both source and content" if given else "has neither source nor content",
            "Give one: source, a path on the host, or content, the secret from a vault",
        )
    if credential["source"] is not None and any(map(str.isspace, credential["source"])):
        # Seen on systemd 262: "Failed to deserialize: Invalid argument" by its executor.
        problems.add(
            f"{where}.source",
            "holds a space, and systemd cannot hand over a credential from there",
            "Write a path without spaces",
            credential["source"],
        )


def paths(unit: str, credentials: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Where each credential lies on the host; ``contents`` are those that we put there.

    The secrets themselves are no part of the plan.
    """
    contents = {
        name: f"{SECRETS}/{unit}/{name}"
        for name, credential in credentials.items()
        if credential["content"] is not None
    }
    sources = {name: credential["source"] for name, credential in credentials.items()}
    return {"credentials": {**sources, **contents}, "contents": contents}


def check_references(where: str, value: Any, known: Iterable[str], problems: Problems) -> None:
    """Note each credential that ``value`` refers to and that is not among ``known``."""
    names = sorted(known)
    for name in sorted(set(references(value)) - set(names)):
        have = f"It has {', '.join(names)}" if names else "It has none"
        problems.add(
            where,
            f"refers to the credential {name!r}, which is not declared",
            f"{have}; declare it",
        )
