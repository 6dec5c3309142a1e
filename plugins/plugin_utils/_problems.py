# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory, as data: collected, never raised one by one.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN = 80
"""Characters of a value that a problem shows."""
_NAMED = 3
"""Hosts that a problem names."""


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

    @property
    def sentence(self) -> str:
        """The problem without its host."""
        value = "" if self.value is None else f" = {self.value}"
        return f"{self.variable}{value}: {self.wrong}. {self.mend}."

    def __str__(self) -> str:
        return f"{self.host}: {self.sentence}"


class Problems:
    """The problems of one host; a path is extended as the reader goes deeper."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.found: list[Problem] = []
        self.warned: list[Problem] = []
        """What may be meant so, and yet is worth a look."""

    def add(self, variable: str, wrong: str, mend: str, *value: object) -> None:
        """Note one problem; give the value (as a fourth argument) where it may be shown."""
        self._note(self.found, self._problem(variable, wrong, mend, value))

    def warn(self, variable: str, wrong: str, mend: str, *value: object) -> None:
        """Note what may work: it is said, and stops nothing."""
        self._note(self.warned, self._problem(variable, wrong, mend, value))

    def _note(self, problems: list[Problem], problem: Problem) -> None:
        """Once: what holds for all models is looked at for each of their versions."""
        if problem not in problems:
            problems.append(problem)

    def _problem(self, variable: str, wrong: str, mend: str, value: tuple[object, ...]) -> Problem:
        shown = show(value[0]) if value else None
        variable, wrong, mend = (text.replace("\n", "\\n") for text in (variable, wrong, mend))
        return Problem(self.host, variable, wrong.rstrip("."), mend.rstrip("."), shown)


class Verdict:
    """Notes of one kind of check, which is as strict as its variable says: error, warn or off."""

    def __init__(self, strictness: str, problems: Problems) -> None:
        self.strictness = strictness
        self.problems = problems

    def cannot(self, variable: str, wrong: str, mend: str, *value: object) -> None:
        """Note what cannot work."""
        if self.strictness == "error":
            self.problems.add(variable, wrong, mend, *value)
        else:
            self.may_not(variable, wrong, mend, *value)

    def may_not(self, variable: str, wrong: str, mend: str, *value: object) -> None:
        """Note what may not work."""
        if self.strictness != "off":
            self.problems.warn(variable, wrong, mend, *value)


def sentences(problems: Iterable[Problem]) -> list[str]:
    """One sentence for each problem, with all the hosts that have it: groups share variables."""
    hosts: dict[str, list[str]] = {}
    for problem in sorted(problems):
        hosts.setdefault(problem.sentence, []).append(problem.host)
    return [f"{_names(names)}: {sentence}" for sentence, names in hosts.items()]


def _names(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def show(value: object) -> str:
    """The value as an operator wrote it, cut to a line."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
