# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of variables: what it converts, what it refuses, and that it finds all at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from ansible_collections.onehop.llm.plugins.plugin_utils._router import OPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import (
    REQUIRED,
    TYPES,
    Option,
    read,
    unknown,
)


def one(kind: str, value: object, **more: object) -> tuple[object, list[str]]:
    problems = Problems("host")
    option = Option("x", kind, "A thing.", default=None, **more)
    result = read([option], {"x": value}, problems)["x"]
    return result, [str(problem) for problem in problems.found]


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("bool", "true", True),
        ("bool", "No", False),
        ("bool", 1, True),
        ("port", "8080", 8080),
        ("port", 65535, 65535),
        ("count", 0, 0),
        ("str", 8, "8"),
        ("str", 0.5, "0.5"),
        ("path", "/srv//models/", "/srv/models"),
        ("label", "qwen3-8b.Q4_K", "qwen3-8b.Q4_K"),
        ("url", "unix:///run/x.sock", "unix:///run/x.sock"),
        ("url", "https://api.example.com/v1?a=b", "https://api.example.com/v1?a=b"),
        ("socket_directory", "/run/a/b-c", "/run/a/b-c"),
        ("checksum", "sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("environment_value", 1, "1"),
    ],
)
def test_fits(kind: str, value: object, result: object) -> None:
    assert one(kind, value) == (result, [])


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("bool", "maybe", "Write true or false"),
        ("bool", [], "Write true or false"),
        ("int", True, "not a whole number"),
        ("int", "8k", "Write digits only"),
        ("port", 0, "from 1 to 65535"),
        ("port", 65536, "from 1 to 65535"),
        ("positive", 0, "Write 1 or more"),
        ("str", ["a"], "is a list, not a text"),
        ("str", "a\0b", "NUL"),
        ("path", "models/x", "begins with /"),
        ("path", "/srv/../etc", "goes up"),
        ("label", "a/b", "letters, digits"),
        ("label", "-a", "letters, digits"),
        ("label", "a\n", "letters, digits"),
        ("url", "http://u:p@x", "without credentials"),
        ("url", "http:///x", "absolute"),
        ("url", "localhost:8000", "absolute"),
        ("url", "unix://run/x.sock", "absolute"),
        ("socket_directory", "/var/run/x", "below /run"),
        ("socket_directory", "/run/../etc", "below /run"),
        ("socket_directory", "/run", "below /run"),
        ("checksum", "md5:abc", "64 hexadecimal"),
        ("environment_value", True, "an environment variable is a text"),
        ("environment_value", "a\nb", "on one line"),
        ("list", "a", "is a text, not a list"),
        ("map", ["a"], "is a list, not a dictionary"),
    ],
)
def test_refused(kind: str, value: object, said: str) -> None:
    dummy, problems = one(kind, value)
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].startswith("host: x")


def test_a_secret_is_never_shown() -> None:
    dummy, problems = one("str", ["hunter2"], secret=True)
    assert len(problems) == 1
    assert "hunter2" not in problems[0]


def test_finds_all_in_one_reading() -> None:
    inner = (Option("port", "port", "P."), Option("size", "int", "S.", default=1))
    problems = Problems("host")
    option = Option("models", "map", "M.", default={}, keys=inner)
    given_value = {"a/b": {"port": 0, "prot": 1}, "c": {"size": "x"}, "d": 3}
    result = read([option], {"models": given_value}, problems)
    said = "\n".join(str(problem) for problem in problems.found)
    for words in (
        "models.a/b = 'a/b'",
        "models.a/b.port = 0",
        "models.a/b.prot: is not a known key. Did you mean port",
        "models.c.port: is missing",
        "models.c.size = 'x'",
        "models.d = 3: is a number, not a dictionary",
    ):
        assert words in said
    assert list(result["models"]) == ["c", "d"]


def test_a_bare_text_is_the_shorthand() -> None:
    keys = (Option("source", "path", "S.", default=None),)
    option = Option("x", "map", "X.", default={}, keys=keys, shorthand="source")
    problems = Problems("host")
    assert read([option], {"x": {"a": "/k"}}, problems)["x"] == {"a": {"source": "/k"}}
    assert not problems.found


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("llama_cpp_model", "llama_cpp_models"),
        ("llama_ccp_models", "llama_cpp_models"),
        ("router_prot", "router_port"),
        ("lama_cpp_models", "llama_cpp_models"),
    ],
)
def test_a_misspelt_variable_is_found(name: str, meant: str) -> None:
    problems = Problems("host")
    unknown([name], ["llama_cpp_models", "router_models", "router_port"], problems)
    assert [f"Did you mean {meant}"] == [problem.mend for problem in problems.found]


def test_what_is_unlike_ours_is_not_ours() -> None:
    problems = Problems("host")
    names = ["ansible_host", "models", "nginx_port", "my_router", "ports", "router_firmware_image"]
    names += ["_router_port", "_llama_cpp_model"]
    unknown(names, ["llama_cpp_models", "router_models", "router_port"], problems)
    assert problems.found == []


ALL = [*OPTIONS, *(option for engine in ENGINES.values() for option in engine.options())]


@given(
    st.sampled_from(ALL),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)
def test_no_value_breaks_the_reader(option: Option, value: object) -> None:
    """Bad input of every kind is a problem with a mend, never an exception."""
    problems = Problems("host")
    result = read([option], {option.name: value}, problems)
    assert set(result) == {option.name}
    for problem in problems.found:
        assert problem.wrong and problem.mend


def rows(options: tuple[Option, ...]) -> list[Option]:
    return [*options, *(row for option in options for row in rows(option.keys))]


@pytest.mark.parametrize("option", rows(tuple(ALL)), ids=lambda option: option.name)
def test_the_table_is_whole(option: Option) -> None:
    assert option.type in TYPES
    assert option.doc.rstrip().endswith((".", ")"))
    if option.type == "list":
        assert option.keys or option.elements in TYPES
    if option.default not in (REQUIRED, None, {}, []):
        problems = Problems("host")
        assert (
            read([option], {option.name: option.default}, problems)[option.name] == option.default
        )
        assert not problems.found
    if option.example is not None:
        problems = Problems("host")
        read([option], {option.name: option.example}, problems)
        assert not problems.found
