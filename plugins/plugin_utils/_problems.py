# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory, as data: collected, never raised one by one.

This plugin util is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN = 80


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake, with all that an operator needs to mend it.

    ``variable`` is the path into the variable (``llama_cpp_models.qwen.port``), ``value`` its
    value as written (``None`` where showing it would not help or would leak a secret), ``wrong``
    what is wrong with it, ``mend`` what to write instead.
    """

    host: str
    variable: str
    wrong: str
    mend: str
    value: str | None = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {self.value}"
        return f"{self.host}: {self.variable}{value}: {self.wrong}. {self.mend}."


class Problems:
    """The problems of one host; a path is extended as the reader goes deeper."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.found: list[Problem] = []

    def add(self, variable: str, wrong: str, mend: str, *value: object) -> None:
        """Note one problem; give the value (as a fourth argument) where it may be shown."""
        shown = show(value[0]) if value else None
        self.found.append(Problem(self.host, variable, wrong.rstrip("."), mend.rstrip("."), shown))


def show(value: object) -> str:
    """The value as an operator wrote it, cut to a line."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
