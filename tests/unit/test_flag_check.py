# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags are held against the tables: each flag of each version, and what is said of mistakes."""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_table, _flags
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_check import Check
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_table import Flag, Flags
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from e2e import flag_cases

VERSIONS = [
    (role, version)
    for role, engine in DESCRIPTIONS.items()
    for version in _flag_table.table(engine.flag_table).versions
]
ENGINES = list(DESCRIPTIONS)


def told(check: Check, settings: Mapping[str, Any]) -> list[str]:
    """What is said of settings, errors and warnings alike."""
    problems = Problems("h")
    check.settings("s", settings, problems)
    return [problem.sentence for problem in problems.found + problems.warned]


def flags_of(engine: Engine, version: str) -> Flags:
    return _flag_table.table(engine.flag_table).at(version)


def named(flags: Flags) -> list[Flag]:
    return [flag for flag in flags.flags if flag.spellings]


class Reader:
    """A double of an engine's parser, made from the table: argparse itself, or llama.cpp's rules."""

    def __init__(self, engine: Engine, flags: Flags) -> None:
        self.flags = flags
        self.parser = None
        if engine.dialect.abbreviates:
            self.parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
            for flag in named(flags):
                self._add(flag)

    def _add(self, flag: Flag) -> None:
        add: Callable[..., Any] = self.parser.add_argument  # type: ignore[union-attr]
        more: dict[str, Any] = {"dest": flag.name, "default": None}
        if flag.kind in ("flag", "bool"):
            add(*flag.spellings, action="store_true", **more)
            if flag.negations:
                add(*flag.negations, action="store_false", **more)
            return
        ways = {"list": {"nargs": "+"}, "repeat": {"action": "append"}}
        add(*flag.spellings, **ways.get(flag.kind, {}), **more)

    def read(self, words: list[str]) -> dict[str, Any]:
        """The flags among words with their values, as texts."""
        if self.parser is not None:
            read, rest = self.parser.parse_known_args(words)
            assert rest == []
            return {name: value for name, value in vars(read).items() if value is not None}
        said: dict[str, Any] = {}
        left = list(words)
        while left:
            found = self.flags.spelt(left.pop(0))
            assert found
            flag = found.flag
            if flag.kind in ("flag", "bool"):
                said[flag.name] = not found.negative
            elif flag.kind == "repeat":
                said.setdefault(flag.name, []).append(left.pop(0))
            elif flag.kind == "list":
                said[flag.name], left = left, []
            else:
                said[flag.name] = left.pop(0)
        return said


def meant(flag: Flag, value: Any) -> Any:
    """What a parser should read where a setting has this value; ``None`` for nothing."""
    if flag.kind in ("flag", "bool"):
        return True if value else (False if flag.negations else None)
    pair = _flags.switch_words(flag)
    if isinstance(value, bool) and pair:
        value = pair[0] if value else pair[1]
    if flag.kind in ("list", "repeat"):
        return [_flags.word(item) for item in (value if isinstance(value, list) else [value])]
    return _flags.word(value)


@pytest.mark.parametrize(("role", "version"), VERSIONS)
def test_every_flag_takes_what_it_is_for(role: str, version: str) -> None:
    engine = DESCRIPTIONS[role]
    check, reader = engine.check(version, "error"), Reader(engine, flags_of(engine, version))
    for flag in named(check.flags):
        for value in flag_cases.right(flag):
            for spelling in flag.spellings:
                name = spelling.lstrip("-")
                if check.flags.find(name) != _flag_table.Found(flag, spelling, False):
                    continue
                assert told(check, {name: value}) == [], (name, value)
                assert told(check, {name.replace("-", "_"): value}) == [], (name, value)
            words = _flags.arguments({flag.name: value}, engine.dialect, check.flags)
            if flag.kind == "optional" and value is True:
                assert words == [f"--{flag.name}"]
                continue
            expected = meant(flag, value)
            read = reader.read(words)
            assert read == ({} if expected is None else {flag.name: expected}), (flag.name, value)


@pytest.mark.parametrize(("role", "version"), VERSIONS)
def test_every_flag_refuses_what_it_is_not_for(role: str, version: str) -> None:
    check = DESCRIPTIONS[role].check(version, "error")
    for flag in named(check.flags):
        values = list(flag_cases.wrong(flag))
        assert values or (flag.kind == "optional" or flag.type in (None, "str")), flag
        for value in values:
            assert len(told(check, {flag.name: value})) == 1, (flag.name, value)


@pytest.mark.parametrize(("role", "version"), VERSIONS)
def test_every_negation_is_a_name_too(role: str, version: str) -> None:
    engine = DESCRIPTIONS[role]
    check = engine.check(version, "error")
    reader = Reader(engine, check.flags)
    for flag in named(check.flags):
        for negation in flag.negations:
            name = negation.lstrip("-")
            for value in (True, False):
                assert told(check, {name: value}) == []
                words = _flags.arguments({name: value}, engine.dialect, check.flags)
                assert reader.read(words) == {flag.name: not value}, (name, words)
            assert len(told(check, {name: True, flag.name: True})) == 1


@pytest.mark.parametrize("role", ENGINES)
def test_every_misspelt_flag_is_refused_with_the_right_one(role: str) -> None:
    engine = DESCRIPTIONS[role]
    check = engine.check(_flag_table.table(engine.flag_table).versions[-1], "error")
    dice = random.Random(role)
    for flag in named(check.flags):
        wrong = dice.choice(list(flag_cases.misspelt(flag.name, dice)))
        # Of three letters with one gone nobody can tell what they were.
        if len(flag.name) < 5 or check.table.rows(wrong):
            continue
        (said,) = told(check, {wrong: "x"})
        near = said.partition("Did you mean ")[2] or said.partition("is short for ")[2]
        assert flag.name in near.replace(",", " ").split(), (flag.name, said)


@pytest.mark.parametrize(
    "role", [role for role in ENGINES if DESCRIPTIONS[role].dialect.abbreviates]
)
def test_every_abbreviation_is_refused_with_the_whole(role: str) -> None:
    """The shortest that is one flag's alone, and the longest."""
    engine = DESCRIPTIONS[role]
    check = engine.check(_flag_table.table(engine.flag_table).versions[-1], "error")
    names = sorted(check.flags.names())
    for flag in named(check.flags):
        name = flag.name
        known = engine.dialect.short
        ends = [end for end in range(2, len(name)) if not check.table.rows(name[:end])]
        ends = [end for end in ends if name[:end] not in known]
        only = [end for end in ends if sum(other.startswith(name[:end]) for other in names) == 1]
        for end in {*only[:1], *ends[-1:]}:
            (said,) = told(check, {name[:end]: "x"})
            assert "is short for" in said
            assert name in said.replace(",", "").replace(".", "").split(), (name[:end], said)


def flag(name: str, **more: Any) -> Flag:
    row: dict[str, Any] = {"kind": "value", "since": "1.0", "until": None} | more
    return Flag(name, spellings=(f"--{name}", *row.pop("spellings", ())), **row)


ROWS = (
    flag("max-len", type="human_int", also=("auto",), spellings=("-ml",)),
    flag("seed", type="int"),
    flag("share", type="float"),
    flag("dtype", type="str", choices=("half", "float")),
    flag("attention", type="str", choices=("on", "off", "auto"), since="1.4"),
    flag("attention", kind="flag", until="1.2"),
    flag("quick", kind="flag"),
    flag("always", kind="flag", default=True),
    flag("cache", kind="bool", negations=("--no-cache", "--disable-cache")),
    flag("sizes", kind="list", type="int"),
    flag("words", kind="list", type="str"),
    flag("hook", kind="repeat", type="str"),
    flag("config-of-it", kind="json"),
    flag("old", type="int", until="1.0", replaced_by="new"),
    flag("older", type="int", until="1.0", replaced_by="use seed and share"),
    flag("gone", type="int", until="1.2"),
    flag("new", type="int", since="1.2"),
    flag("newest", type="int", since="1.4"),
)
DIALECT = _flags.Dialect(joined=True, abbreviates=True, dotted=True, prefixes=("-O",))


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of our own beside the true ones, which change."""
    made = _flag_table.Table("test", ("1.0", "1.2", "1.4"), ROWS)
    true = _flag_table.table
    monkeypatch.setattr(_flag_table, "table", lambda name: made if name == "test" else true(name))


def check(said: str | None, level: str = "error", dialect: _flags.Dialect = DIALECT) -> Check:
    known = _flag_table.table("test")
    return Check("Test", dialect, known, _flag_table.choose(known, said), level, "T_ARG_")


@pytest.mark.parametrize(
    ("version", "settings", "said"),
    [
        (
            "1.4",
            {"sead": 1},
            "s.sead: is not a flag of Test 1.4. Did you mean seed, or write flag_",
        ),
        (
            "1.4",
            {"xyzzy": 1},
            "s.xyzzy: is not a flag of Test 1.4. Remove it, or write flag_check:",
        ),
        ("1.4", {"old": 1}, "s.old: is no flag of Test 1.4: 1.2 has removed it. Use new."),
        ("1.4", {"older": 1}, "1.2 has removed it. Use seed and share."),
        ("1.4", {"gone": 1}, "s.gone: is no flag of Test 1.4: 1.4 has removed it. Remove it."),
        ("1.0", {"new": 1}, "s.new: is a flag of Test from 1.2 on, and this is 1.0. Remove it, or"),
        ("1.4", {"max-l": 1}, "s.max-l: is short for max-len, and what Test takes it for differs "),
        ("1.4", {"max_l": 1}, "Write max-len in full."),
        ("1.4", {"seed": "x"}, "s.seed = 'x': is not a whole number. Write digits only."),
        ("1.4", {"seed": 8.0}, "s.seed = 8.0: is not a whole number"),
        (
            "1.4",
            {"seed": True},
            "s.seed = True: needs a value, and true is none. Write digits only",
        ),
        ("1.4", {"seed": False}, "s.seed = False: needs a value, and false is none. Leave it out,"),
        ("1.4", {"seed": [1]}, "s.seed = [1]: is a list, and this flag takes one value"),
        (
            "1.4",
            {"share": "${cred:k}"},
            "s.share = '${cred:k}': is not a number. Write one such as",
        ),
        ("1.4", {"max-len": "1.5K"}, "Write one such as 8192, 8k or 25.6k; auto will do as well"),
        (
            "1.4",
            {"dtype": "haff"},
            "s.dtype = 'haff': is not one of the choices. Write one of half,",
        ),
        (
            "1.4",
            {"quick": "true"},
            "is a switch, which takes no value. Write true or false, without",
        ),
        ("1.4", {"always": False}, "s.always = False: is on by itself, and cannot be switched off"),
        ("1.4", {"sizes": [1, "x"]}, "s.sizes = [1, 'x']: is not a whole number"),
        ("1.4", {"words": ["a", "-b"]}, "holds '-b', which the engine would take for a flag"),
        ("1.4", {"words": [True]}, "holds true, which is no text. Write it in quotes"),
        (
            "1.4",
            {"config-of-it": "{"},
            "s.config-of-it = '{': is no JSON object. Write a dictionary",
        ),
        ("1.4", {"config-of-it": 3}, "is a number, and this flag takes JSON. Write a dictionary"),
        ("1.4", {"seed.x": 3}, "s.seed.x = 3: is a part of seed, whose value has none. Write seed"),
        ("1.4", {"max-len": 1, "max_len": 1}, "s.max_len: is the same flag as max-len, which is"),
        ("1.4", {"max-len": 1, "ml": 1}, "s.ml: is the same flag as max-len, which is given too"),
        (
            "1.4",
            {"config-of-it": {"a": 1}, "config_of_it.b": 2},
            "s.config_of_it.b: is a part of config-of-it, which is given whole by s.config-of-it. "
            "Write one dictionary: beside a part Test forgets the whole.",
        ),
        ("1.4", {"no-cache": True, "cache": True}, "s.cache: is the same flag as no-cache"),
    ],
)
def test_mistakes(version: str, settings: dict[str, Any], said: str) -> None:
    (found,) = told(check(version), settings)
    assert said in found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seed": None, "xyzzy": None, "words": []},
        {"max-len": "auto", "words": "${cred:k}", "hook": ["a", "b"], "ml": None},
        {"config-of-it.mode": 3, "config_of_it.deep.er+": "x"},
        {"config-of-it": {"a": 1}, "cache": False, "quick": False},
        {"attention": True},
        {"sizes": 3, "share": 1, "seed": "-3"},
    ],
)
def test_what_is_right(settings: dict[str, Any]) -> None:
    assert told(check("1.4"), settings) == []


def test_an_unknown_flags_value_may_be_a_secret() -> None:
    assert "hunter2" not in "".join(told(check("1.4"), {"api-keyy": "hunter2"}))
    problems = Problems("h")
    check("1.4").words("w", ["--api-keyy=hunter2", "--other", "hunter2"], set(), problems)
    assert len(problems.found) == 2
    assert "hunter2" not in "".join(map(str, problems.found))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "x"], "w[0] = '--seed': is not a whole number"),
        (["--seed=1", "--sead", "2", "-ml=8q"], "w[1] = '--sead': is not a flag of Test 1.4"),
        (["-ml=8q"], "w[0] = '-ml': is not a whole number"),
        (["--quick=1"], "w[0] = '--quick': is a switch, which takes no value"),
        (["--seed", "--quick"], "w[0] = '--seed': needs a value"),
        (["--sizes", "1", "x", "--quick"], "w[0] = '--sizes': is not a whole number"),
        (["a", "--max-l", "8"], "w[1] = '--max-l': is short for max-len"),
    ],
)
def test_mistakes_among_words(words: list[str], said: str) -> None:
    problems = Problems("h")
    check("1.4").words("w", words, set(), problems)
    assert said in problems.found[0].sentence


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "-3", "--max_len=8k", "-ml8", "-O3", "-O", "3", "--", "--sead"],
        ["--config-of-it.mode=3", "--config_of_it.x", "3", "--no-cache", "--disable-cache"],
        ["--sizes", "1", "2", "--words", "x", "y", "--attention", "on", "stray", "-1"],
    ],
)
def test_right_words(words: list[str]) -> None:
    problems = Problems("h")
    check("1.4").words("w", words, set(), problems)
    assert problems.found == []


def test_a_parser_that_takes_no_underscore_gets_none() -> None:
    strict = dataclasses.replace(DIALECT, underscores=False)
    problems = Problems("h")
    check("1.4", dialect=strict).words("w", ["--max_len", "8"], set(), problems)
    (problem,) = problems.found
    assert problem.wrong == "is spelt with _, which Test does not take"
    assert problem.mend == "Write --max-len"
    known = _flag_table.Flags("1.4", ROWS)
    assert _flags.arguments({"max_len": 8}, strict, known) == ["--max-len=8"]


def test_variables_that_stand_for_flags() -> None:
    rows = (
        flag("size", type="int", env="T_ARG_SIZE"),
        flag("map", kind="bool", negations=("--no-map",), env="T_ARG_MAP"),
        flag("old", type="int", env="T_ARG_OLD", until="1.0"),
        flag(
            "map2",
            kind="bool",
            negations=("--no-map2",),
            env="T_ARG_MAP2",
            until="1.0",
            replaced_by="map",
        ),
    )
    known = _flag_table.Table("test", ("1.0", "1.2", "1.4"), rows)
    made = Check("Test", DIALECT, known, _flag_table.choose(known, "1.4"), "error", "T_ARG_")
    problems = Problems("h")
    made.environment("e", ["T_ARG_SIZE", "T_ARG_MAP", "T_ARG_NO_MAP", "OTHER"], problems)
    assert problems.found == []
    made.environment("e", ["T_ARG_SISE", "T_ARG_NO_SIZE", "T_ARG_NO_MAP2", "T_ARG_OLD"], problems)
    assert [problem.sentence for problem in problems.found] == [
        "e.T_ARG_SISE: stands for no flag of Test 1.4. Did you mean T_ARG_SIZE.",
        "e.T_ARG_NO_SIZE: stands for no flag of Test 1.4. Did you mean T_ARG_SIZE.",
        "e.T_ARG_NO_MAP2: is no flag of Test 1.4: 1.2 has removed it. Use map.",
        "e.T_ARG_OLD: is no flag of Test 1.4: 1.2 has removed it. Remove it.",
    ]


@pytest.mark.parametrize(
    ("level", "version", "errors", "warnings"),
    [
        ("error", "1.4", 3, 0),
        ("warn", "1.4", 0, 3),
        ("off", "1.4", 0, 0),
        # Only the version could tell of a name or a choice; no version takes x for a number.
        ("error", None, 1, 2),
        ("error", "2.0", 1, 2),
        ("warn", None, 0, 3),
    ],
)
def test_what_becomes_of_it(level: str, version: str | None, errors: int, warnings: int) -> None:
    problems = Problems("h")
    check(version, level).settings("s", {"sead": 1, "dtype": "x", "seed": "x"}, problems)
    assert (len(problems.found), len(problems.warned)) == (errors, warnings)


def test_a_guess_warns_of_a_value_that_another_version_takes() -> None:
    problems = Problems("h")
    check(None).settings("s", {"attention": True}, problems)
    check("0.9").settings("s", {"attention": "on"}, problems)
    check("0.9").words("w", ["--attention=on"], set(), problems)
    assert problems.found == []
    assert [problem.variable for problem in problems.warned] == ["s.attention", "w[0]"]


def test_between_two_versions_either_will_do() -> None:
    between = check("1.3")
    assert between.version == _flag_table.Version("1.3", "1.2", "1.4")
    assert told(between, {"gone": 1, "newest": 1, "attention": True}) == []
    (said,) = told(between, {"old": 1})
    assert "s.old: is no flag of Test 1.3: 1.2 has removed it" in said


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v0.33.0", "0.33.0"),
        ("0.33.0", "0.33.0"),
        ("v0.5.19-cu129", "0.5.19"),
        ("v0.33.0-x86_64", "0.33.0"),
        ("v0.5.6.post2-cu126", "0.5.6.post2"),
        ("v0.5.10rc0", "0.5.10rc0"),
        ("latest", None),
        ("nightly-2026.11.02", None),
        ("v1", None),
        ("rocm6.4_v0.33.0", None),
        ("llama-b9000-bin-ubuntu-x64.tar.gz", "b9000"),
        ("https://example.com/releases/b9000/llama-bin.tar.gz", "b9000"),
        ("/opt/llama-b9000/llama-server", "b9000"),
        ("/srv/llama-server.tar.gz", None),
        (None, None),
    ],
)
def test_the_version_that_a_name_tells(text: str | None, version: str | None) -> None:
    assert _flag_table.told(text) == version


@pytest.mark.parametrize(
    ("said", "known", "upper", "guess"),
    [
        ("1.2", "1.2", None, None),
        ("1.2.0", "1.2", None, None),
        ("1.2.post1", "1.2", "1.4", None),
        ("1.2rc1", "1.0", "1.2", None),
        ("1.4", "1.4", None, None),
        ("1.4.1", "1.4", None, "newer"),
        ("0.9", "1.0", None, "older"),
        (None, "1.4", None, "untold"),
        ("b9000", "1.4", None, "untold"),
    ],
)
def test_the_version_that_stands_for_it(
    said: str | None, known: str, upper: str | None, guess: str | None
) -> None:
    made = _flag_table.choose(_flag_table.table("test"), said)
    assert made == _flag_table.Version(said, known, upper, guess)


@pytest.mark.parametrize(
    ("said", "known", "upper", "guess"),
    [
        ("b9000", "b9000", None, None),
        ("b9100", "b9000", "b10000", None),
        ("b8999", "b9000", None, "older"),
        ("b10001", "0.2.0", None, "newer"),
        ("0.1.0", "0.1.0", None, None),
        ("0.0.1", "0.1.0", None, "older"),
    ],
)
def test_builds_and_versions(said: str, known: str, upper: str | None, guess: str | None) -> None:
    both = _flag_table.Table("both", ("b9000", "b10000", "0.1.0", "0.2.0"), ())
    assert _flag_table.choose(both, said) == _flag_table.Version(said, known, upper, guess)


def test_a_models_own_setting_wins_however_it_is_spelt() -> None:
    known = _flag_table.Flags("1.4", ROWS)
    common = {"max-len": 1, "cache": True, "x_y": 1, "seed": 3, "config-of-it.a": 1}
    own = {"ml": 2, "no_cache": True, "x-y": 2, "config_of_it.a": 2}
    assert _flags.merged(common, own, DIALECT, known) == {"seed": 3, **own}
    parts = {"config-of-it.a": 1, "config-of-it.b": 2, "hook.x": 3}
    assert _flags.merged(parts, {"config_of_it": {}}, DIALECT, known) == {
        "hook.x": 3,
        "config_of_it": {},
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cache": False}, ["--no-cache"]),
        ({"disable-cache": True}, ["--disable-cache"]),
        ({"no_cache": False}, ["--cache"]),
        ({"quick": False, "always": True}, ["--always"]),
        ({"ml": 8}, ["-ml=8"]),
        ({"sizes": [1, 2]}, ["--sizes", "1", "2"]),
        ({"hook": ["a", "b"]}, ["--hook=a", "--hook=b"]),
        ({"config-of-it": ["*"]}, ['--config-of-it=["*"]']),
        ({"config-of-it.on": True, "config-of-it.off": False}, None),
        ({"config_of_it.list+": ["a", 1]}, ["--config-of-it.list+=a,1"]),
        ({"attention": True}, ["--attention=on"]),
        ({"attention": False}, ["--attention=off"]),
        ({"unknown": False, "other_one": [1]}, ["--no-unknown", "--other_one", "1"]),
    ],
)
def test_words_by_the_table(settings: dict[str, Any], words: list[str] | None) -> None:
    newest = _flag_table.Flags("1.4", tuple(row for row in ROWS if row.until is None))
    wanted = words or ["--config-of-it.off=false", "--config-of-it.on=true"]
    assert _flags.arguments(settings, DIALECT, newest) == wanted
