# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the model that a request's head names: in the path, in x-model, in the query."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .errors import Refusal, conflicting_models
from .forms import find_in_form
from .framing import RequestHead

MODEL_HEADER = b"x-model"


class HeadNames(NamedTuple):
    """What the head says. Each is None where that place names no model."""

    path: str | None
    header: str | None
    query: str | None

    def agreed(self, canonical: Callable[[str], str]) -> str | None:
        """The name, or None if there is none; the first of the path, the header and the query.

        `canonical` turns an alias into its model. Raises Refusal (400) where two places name
        different models: whichever was meant, half of such requests would go astray in silence.
        """
        given = [name for name in self if name is not None]
        if len(given) > 1 and len(set(map(canonical, given))) > 1:
            raise conflicting_models("path, the header x-model or the query")
        return given[0] if given else None


# What most requests say, which name their model in the body.
NO_NAMES = HeadNames(None, None, None)


def names_in_head(head: RequestHead, path: str | None) -> HeadNames:
    """What the head of a request names, `path` being the name in its path.

    Raises Refusal (400) where one place names a model twice.
    """
    if path is None and not head.query and MODEL_HEADER not in head.first:
        return NO_NAMES
    header = query = None
    if MODEL_HEADER in head.first:
        if sum(lower == MODEL_HEADER for lower, dummy, dummy_value in head.fields) > 1:
            raise Refusal("duplicate_model", "The header x-model stands more than once.", "model")
        header = head.first[MODEL_HEADER].decode("utf-8", "replace")
    if head.query:
        found = find_in_form(head.query.encode())
        query = found.text if found is not None else None
    return HeadNames(path, header, query)
