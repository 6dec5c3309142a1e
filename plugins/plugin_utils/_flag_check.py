# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an engine's flags, by the table of the version that is to read them.

A name is looked up before its value is judged. Where the version is a guess, what only a version
could decide (a name, a choice) is a warning, and so is a value that another version takes.

This plugin util is private to the collection.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_values, _flags, _masks
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_table import (
    Flag,
    Flags,
    Found,
    Table,
    Version,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_values import Unfit
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

_NEAR = 0.75
_NAMED = 3
_ENVIRONMENT_NEGATION = "NO_"
_FLAG_WORD = re.compile(r"--?[A-Za-z]")
_SHORTEST = 2
"""Letters of a name that its whole may be guessed from."""


@dataclass(frozen=True)
class Finding:
    """``doubtful`` is what only the version could decide, ``known`` whether the flag is one.

    The value of what is no flag may be anything, a secret among them: it is not shown.
    """

    wrong: str
    mend: str
    doubtful: bool
    known: bool = True


@dataclass(frozen=True)
class Check:
    """The flags of an engine's version, for what one model or all of them declare."""

    title: str
    dialect: _flags.Dialect
    table: Table
    version: Version
    level: str = "error"
    prefix: str = ""
    """What the environment variables that stand for flags begin with."""

    @property
    def flags(self) -> Flags:
        """Those of the version."""
        return self.table.at(self.version.known)

    def settings(self, where: str, given: Mapping[str, Any], problems: Problems) -> None:
        """Note flags that the engine would refuse, or take for others than they look."""
        if self.level == "off":
            return
        first: dict[str, str] = {}
        said = {name: value for name, value in given.items() if value not in (None, [])}
        self.parts(where, said, where, said, problems)
        for name, value in said.items():
            same = first.setdefault(_flags.identity(name, self.dialect, self.flags), name)
            if same != name:
                self._note(
                    problems,
                    f"{where}.{name}",
                    Finding(f"is the same flag as {same}, which is given too", "Keep one", False),
                )
            else:
                found = self._setting(name, value)
                shown = (_masks.deep(value),) if found and found.known else ()
                self._note(problems, f"{where}.{name}", found, *shown)

    def parts(
        self,
        where: str,
        given: Mapping[str, Any],
        other: str,
        wholes: Mapping[str, Any],
        problems: Problems,
    ) -> None:
        """Note parts of a flag's value that is given whole too: the engine forgets the whole.

        ``other`` is the variable that may hold the ``wholes``.
        """
        if self.level == "off":
            return
        known = {
            _flags.identity(name, self.dialect, self.flags): name
            for name, value in wholes.items()
            if value not in (None, [])
        }
        for name, value in given.items():
            base = _flags.whole(name, self.dialect, self.flags)
            if value is not None and base in known and _flags.part(name, self.dialect):
                wrong = f"is a part of {base}, which is given whole by {other}.{known[base]}"
                mend = f"Write one dictionary: beside a part {self.title} forgets the whole"
                self._note(problems, f"{where}.{name}", Finding(wrong, mend, False))

    def words(self, where: str, given: Sequence[str], known: set[int], problems: Problems) -> None:
        """Note flags among words, as far as they can be told from values; not those at ``known``."""
        if self.level == "off":
            return
        for index, spelling, values in self._split(given):
            if index not in known:
                self._note(
                    problems,
                    f"{where}[{index}]",
                    self._word(spelling, values),
                    spelling.partition("=")[0],
                )

    def environment(self, where: str, names: Iterable[str], problems: Problems) -> None:
        """Note variables that would stand for flags, and that the engine does not know."""
        if self.level == "off" or not self.prefix:
            return
        for name in names:
            if name.startswith(self.prefix):
                self._note(problems, f"{where}.{name}", self._variable(name))

    def guesses(
        self, settings: Mapping[str, Any], words: Sequence[str], names: Iterable[str]
    ) -> bool:
        """Whether there is something to judge, and the version to judge it by is a guess."""
        variables = self.prefix and any(name.startswith(self.prefix) for name in names)
        return self.version.guess is not None and bool(settings or words or variables)

    def missing(self, names: Iterable[str]) -> str | None:
        """The first of these names that is no flag, where that is for sure."""
        if self.level == "off" or self.version.guess:
            return None
        return next((name for name in names if not any(v.find(name) for v in self._views())), None)

    def since(self, name: str) -> str:
        """Since when there is such a flag, in words."""
        rows = self.table.rows(name)
        return f"--{name} came with {rows[0].since}" if rows else f"there is no --{name}"

    def _views(self) -> Iterator[Flags]:
        """The flags that the version may have: between two of the table, those of either."""
        yield self.flags
        if self.version.upper:
            yield self.table.at(self.version.upper)

    def _note(self, problems: Problems, where: str, found: Finding | None, *value: object) -> None:
        if found is None:
            return
        warned = self.level == "warn" or (found.doubtful and self.version.guess is not None)
        (problems.warn if warned else problems.add)(where, found.wrong, found.mend, *value)

    def _setting(self, name: str, value: Any) -> Finding | None:
        findings = [self._judged(view, name, value) for view in self._views()]
        if None in findings:
            return None
        found = next((one for one in findings if one and one.known), findings[0])
        return self._softened(found, name, lambda other: self._value(other, value))

    def _softened(
        self, found: Finding | None, name: str, judge: Callable[[Found], Finding | None]
    ) -> Finding | None:
        """The finding, doubtful where the version is a guess and another one takes the value."""
        if found is None or found.doubtful or self.version.guess is None:
            return found
        rows = [Found(flag, name, False) for flag in self.table.rows(name)]
        return dataclasses.replace(found, doubtful=any(judge(row) is None for row in rows))

    def _judged(self, view: Flags, name: str, value: Any) -> Finding | None:
        found = _flags.find(name, self.dialect, view)
        if found is None:
            return self._no_such(name)
        inner = "" if view.find(name) else _flags.part(name, self.dialect)
        if inner:
            if found.flag.kind in ("json", "json_or_str"):
                return None
            return Finding(
                f"is a part of {found.flag.name}, whose value has none",
                f"Write {found.flag.name}",
                False,
            )
        return self._value(found, value)

    def _value(self, found: Found, value: Any) -> Finding | None:
        try:
            _flag_values.check(found, value, self.dialect)
        except Unfit as unfit:
            return Finding(unfit.wrong, unfit.mend, unfit.doubtful)
        return None

    def _no_such(self, name: str) -> Finding:
        """Why there is no flag of this name, which is in no version or in others."""
        rows = self.table.rows(name)
        if rows:
            return self._other_version(rows)
        plain = name.replace("_", "-")
        whole = sorted({other for other in self.flags.names() if other.startswith(plain)}, key=len)
        longer = [other for other in whole if len(other) > len(plain)][:_NAMED]
        if longer and len(plain) >= _SHORTEST and self.dialect.abbreviates:
            return Finding(
                f"is short for {_either(longer)}, and what {self.title} takes it for differs with "
                "its version",
                f"Write {_either(longer)}" + (" in full" if len(longer) == 1 else ""),
                True,
                False,
            )
        near = list(dict.fromkeys([*longer, *_near(plain, self.flags.names())]))[:_NAMED]
        mend = f"Did you mean {_either(near)}" if near else "Remove it"
        less = "warn" if self.level == "error" and not self.version.guess else "off"
        return Finding(
            f"is not a flag of {self.title} {self.version.name}",
            f"{mend}, or write flag_check: {less} where your own build of the engine knows it",
            True,
            False,
        )

    def _other_version(self, rows: list[Flag]) -> Finding:
        versions = self.table.versions
        here = versions.index(self.version.known)
        past = [row for row in rows if row.until and versions.index(row.until) < here]
        if not past:
            return Finding(
                f"is a flag of {self.title} from {rows[0].since} on, and this is "
                f"{self.version.name}",
                "Remove it, or use a newer version",
                True,
                False,
            )
        last = past[-1]
        gone = self.table.after(last.until or "")
        near = _near(last.name, self.flags.names())
        mend = f"Did you mean {_either(near)}" if near else "Remove it"
        if last.replaced_by:
            verb = "" if " " in last.replaced_by else "Use "
            mend = (
                f"{verb}{last.replaced_by[0].upper() if not verb else last.replaced_by[0]}"
                + (last.replaced_by[1:])
            )
        return Finding(
            f"is no flag of {self.title} {self.version.name}: {gone} has removed it",
            mend,
            True,
            False,
        )

    def _variable(self, name: str) -> Finding | None:
        positive = self.prefix + name.removeprefix(self.prefix + _ENVIRONMENT_NEGATION)
        for view in self._views():
            flag = view.variables.get(positive)
            if name in view.variables or (flag and flag.negations):
                return None
        rows = [flag for flag in self.table.flags if flag.env in (name, positive)]
        rows = [flag for flag in rows if flag.env == name or flag.negations]
        if rows:
            return self._other_version(rows)
        near = _near(name, self.flags.variables)
        return Finding(
            f"stands for no flag of {self.title} {self.version.name}",
            f"Did you mean {_either(near)}" if near else "Remove it",
            True,
            False,
        )

    def _split(self, words: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
        """Each flag among words: its place, its spelling, and the words that are its values."""
        index = 0
        while index < len(words) and words[index] != "--":
            place, text = index, words[index]
            index += 1
            if not _FLAG_WORD.match(text):
                continue
            spelling, equals, value = text.partition("=")
            if equals and self.dialect.abbreviates:
                yield place, spelling, [value]
                continue
            found = self._found(spelling if self.dialect.abbreviates else text)
            most = self._values_of(found[0] if found else None)
            start = index
            while index < len(words) and index - start < most:
                # llama.cpp takes the next word for the value, whatever it looks like.
                if (self.dialect.abbreviates or not found) and _FLAG_WORD.match(words[index]):
                    break
                index += 1
            yield place, text, list(words[start:index])

    def _values_of(self, found: Found | None) -> float:
        kind = found.flag.kind if found else "optional"
        if kind in ("flag", "bool"):
            return 0
        return float("inf") if kind == "list" else 1

    def _found(self, spelling: str) -> list[Found]:
        """What a word with its dashes stands for, in each of the views that know it."""
        head = spelling.partition(".")[0] if self.dialect.dotted else spelling
        if self.dialect.underscores and head.startswith("--"):
            head = head.replace("_", "-")
        if head.startswith("--"):
            head = f"--{self.dialect.short.get(head[2:], head[2:])}"
        return [found for view in self._views() if (found := view.spelt(head))]

    def _word(self, spelling: str, values: list[str]) -> Finding | None:
        """A flag as it stands in a list of words, with its values."""
        known = self._found(spelling)
        if not known:
            dashed = spelling.replace("_", "-")
            if dashed != spelling and self._found(dashed):
                return Finding(
                    f"is spelt with _, which {self.title} does not take", f"Write {dashed}", False
                )
            if not spelling.startswith("--") and self._joined(spelling):
                return None
            return self._no_such(spelling.lstrip("-"))
        if "." in spelling and self.dialect.dotted:
            return None
        findings = [self._word_value(found, values) for found in known]
        if None in findings:
            return None
        name = spelling.lstrip("-")
        return self._softened(findings[0], name, lambda other: self._word_value(other, values))

    def _word_value(self, found: Found, values: list[str]) -> Finding | None:
        kind = found.flag.kind
        if kind in ("flag", "bool"):
            return self._value(found, values[0]) if values else None
        if not values:
            return self._value(found, True) if kind != "optional" else None
        return self._value(found, values if kind in ("list", "repeat") else values[0])

    def _joined(self, spelling: str) -> bool:
        """Whether a word is a short flag with its value behind it, as in ``-tp8`` and ``-O3``."""
        if spelling.startswith(self.dialect.prefixes):
            return True
        return self.dialect.abbreviates and any(
            not word.startswith("--") and spelling.startswith(word)
            for flag in self.flags.flags
            for word in flag.spellings
        )


def warn_of_guess(
    option: str, title: str, guesses: Sequence[tuple[str, Version]], problems: Problems
) -> None:
    """Say once that flags are checked against a version that may be another.

    ``option`` is where to write the version, ``guesses`` are the models' variables with the versions
    that were guessed for them.
    """
    if not guesses:
        return
    where, version = guesses[0]
    more = len({variable for variable, dummy in guesses}) - 1
    who = where + (f" and {more} more" if more else "")
    if version.guess == "untold":
        problems.warn(
            option,
            f"is missing, and nothing else tells which version of {title} serves {who}: flags are "
            f"checked against {version.known}, the newest that is known, and what may differ "
            "with the version is only warned of",
            f"Write it, such as {version.known}",
        )
    else:
        problems.warn(
            where,
            f"is served by {title} {version.said}, which is {version.guess} than every version "
            f"whose flags are known: they are checked against {version.known}, and what may differ "
            "with the version is only warned of",
            f"Run one that is known, such as {version.known}, or look with care at what is said of "
            "its flags",
        )


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Names that look alike, then those that have all its words."""
    every = list(names)
    alike = difflib.get_close_matches(name, every, n=_NAMED, cutoff=_NEAR)
    words = set(name.split("-"))
    longer = [other for other in every if len(words) > 1 and words <= set(other.split("-"))]
    return list(dict.fromkeys([*alike, *longer]))[:_NAMED]


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
