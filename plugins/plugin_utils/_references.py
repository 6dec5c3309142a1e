# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to secrets: ``${cred:NAME}`` in a text, so that the secret itself is never there.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_CREDENTIAL = re.compile(r"\$\{cred:([^}]*)\}")


def credentials(value: Any) -> Iterator[str]:
    """The names of all credentials that a value refers to, however deep."""
    if isinstance(value, str):
        yield from _CREDENTIAL.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from credentials(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from credentials(item)


def replace(text: str, escape: Callable[[str], str], path: Callable[[str], str]) -> str:
    """The text with each reference made ``path(name)`` and all between them ``escape(text)``."""
    parts = _CREDENTIAL.split(text)
    return "".join(path(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def any_reference(text: str) -> bool:
    """Whether a text takes anything from elsewhere."""
    return "${" in text
