# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether ``podman run`` is told exactly what was declared, whatever is in it.

Through the real generators, and then through :mod:`systemd_text`, which is systemd's reading written
anew; ``tests/e2e/hostile_quadlets.py`` holds both against a systemd that runs.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.plugin_utils import _quadlet
from e2e.hostile_units import LONG, WORDS

from . import systemd_text
from .harness import FACTS, Generator, planned, problems, section

(BASE,) = planned({"vllm_tag": "v1", "vllm_models": {"m": {"model": "org/m", "port": 18001}}})
PIECES = (
    *(
        "\\",
        '"',
        "'",
        "$",
        "$$",
        "${HOME}",
        "$HOME",
        "%",
        "%%",
        "%h",
        "%n",
        "%i",
        ";",
        "#",
        "!",
        "@",
    ),
    *(
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\v",
        "\f",
        "\x01",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "\u3000",
    ),
    *("\\x41", "\\n", "\\;", "\\\n", "-", "--", "+", ":", "|", "=", ",", "*", "[", "{", "~", "&&"),
    *("é", "🦙", "\ufeff", "\u200b", "x", "0", "n", "[Service]", "---x.service---"),
)


MANGLED = "\x80"
"""Both generators write it as the byte 0x80, which is no UTF-8; the planner refuses it."""


def sayable(text: str) -> bool:
    """What can be said at all: no NUL, and nothing that systemd does not take for a text."""
    return not {"\0", MANGLED} & set(text) and systemd_text.is_text(text)


texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(max_size=20).filter(sayable),
    st.sampled_from(WORDS),
)
paths = texts.map(
    lambda text: "/srv/" + "".join(letter for letter in text if letter >= " " and letter != ":")
)
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
workers = st.fixed_dictionaries(
    {
        "text": texts,
        "items": st.lists(texts, min_size=1, max_size=4),
        "object": st.dictionaries(texts, texts, max_size=2),
        "extra_args": st.lists(texts, max_size=5),
        "environment": st.dictionaries(names, texts, max_size=3),
        "environment_files": st.lists(paths, max_size=2),
        "volumes": st.lists(paths, max_size=3, unique=True),
        "model": texts,
    }
)


def spec(declared: dict[str, Any]) -> dict[str, Any]:
    """A worker of the plan that has all of it."""
    return {
        **BASE,
        "model": declared["model"],
        "settings": {
            "text": declared["text"],
            "items": declared["items"],
            "object": declared["object"],
        },
        "extra_args": declared["extra_args"],
        "environment": declared["environment"],
        "environment_files": declared["environment_files"],
        "volumes": dict.fromkeys(declared["volumes"], "vllm_models.m"),
    }


def words(declared: dict[str, Any]) -> list[str]:
    """What the engine is to get."""
    made = json.dumps(declared["object"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return [
        declared["model"],
        "--host=0.0.0.0",
        *("--items", *declared["items"]),
        f"--object={made}",
        "--port=8000",
        "--served-model-name=m",
        f"--text={declared['text']}",
        *declared["extra_args"],
    ]


def check(generator: Generator, batch: list[dict[str, Any]]) -> None:
    given = {
        f"u{number}": _quadlet.worker(spec(declared), FACTS)
        for number, declared in enumerate(batch)
    }
    for run, declared in zip(generator.runs(given).values(), batch, strict=True):
        assert run.words == words(declared)
        environment = run.environment()
        assert {name: environment[name] for name in declared["environment"]} == declared[
            "environment"
        ]
        assert run.all("--env-file") == declared["environment_files"]
        assert run.all("-v")[1:] == [f"{path}:{path}:ro" for path in sorted(declared["volumes"])]


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batch=st.lists(workers, min_size=1, max_size=6))
def test_any_text_arrives_as_it_is(generator: Generator, batch: list[dict[str, Any]]) -> None:
    check(generator, batch)


def test_every_known_trap(generator: Generator) -> None:
    """One unit a word, so that a word that breaks a unit is seen in it."""
    plain = "".join
    check(
        generator,
        [
            {
                "text": word,
                "items": [word, "behind"],
                "object": {word: word},
                "extra_args": [word, "behind", word],
                "environment": {"A": word, "B": f"{word}{word}"},
                "environment_files": ["/etc/" + plain(c for c in word if c >= " ")],
                "volumes": ["/srv/" + plain(c for c in word if c >= " " and c != ":")],
                "model": word,
            }
            for word in (*WORDS, *PIECES)
            if len(word) < LONG // 10
        ],
    )


def test_a_line_at_the_limit(generator: Generator) -> None:
    """Linux takes words of 128 KiB, systemd lines of 1 MiB."""
    declared = {
        "text": "x" * LONG,
        "items": ["é" * (LONG // 2)] * 3,
        "object": {},
        "extra_args": ['"' * (LONG // 2)] * 2,
        "environment": {"A": "%" * 30_000},
        "environment_files": [],
        "volumes": [],
        "model": "m",
    }
    check(generator, [declared])


def test_what_the_planner_lets_through_fits(generator: Generator) -> None:
    """The longest line that is not refused, made of what becomes longer on its way."""
    word = 'x$%"\\\n\x01\x85é' * 1000
    paths = [f"/srv/{number:04}{'a' * 200}" for number in range(300)]

    def variables(words: int) -> dict[str, Any]:
        model = {
            "model": "org/m",
            "port": 18001,
            "extra_args": [word] * words,
            "settings": {"lora-modules": paths},
            "environment": {"A": "$" * 30_000},
        }
        return {"vllm_tag": "v1", "vllm_models": {"m": model}}

    too_many = next(words for words in range(100) if problems(variables(words)))
    (declared,) = planned(variables(too_many - 1))
    (run,) = generator.runs({"m": _quadlet.worker(declared, FACTS)}).values()
    assert run.words[-too_many + 1 :] == [word] * (too_many - 1)


def test_an_address_with_a_zone(generator: Generator) -> None:
    """Its sign is systemd's for a specifier, in the command, the health check and what waits."""
    workers = planned(
        {
            "sglang_tag": "v1",
            "sglang_models": {"m": {"model": "org/m", "port": 30001}},
            "sglang_gateway": {"enable": True, "port": 30000, "bind_address": "fe80::1%eth0"},
        }
    )
    gateway = workers[-1]
    (run,) = generator.runs({"g": _quadlet.worker(gateway, FACTS)}).values()
    assert "--host=fe80::1%eth0" in run.words
    assert '"http://[fe80::1%eth0]:30000/liveness"' in str(run.one("--health-cmd"))
    (wait,) = section(_quadlet.drop_in(gateway, FACTS), "Service")["ExecStartPost"]
    words = systemd_text.command(wait.replace("$MAINPID", "7"), {})
    assert words[3:] == ["7", "http://[fe80::1%eth0]:30000", "/readiness"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b", ["a", "b"]),
        (" a\t\"b c\"'d' ", ["a", "b cd"]),
        (r'"\x41\u00e9\101\n\s\\\""', ['Aé\101\n \\"']),
        (r'""', [""]),
        (r"a\;b", None),
        ("'open", None),
        ("a\\", None),
        (r"\x00", None),
        (r"\xff", None),
        (r"\$", None),
    ],
)
def test_systemds_words(line: str, words: list[str] | None) -> None:
    """The reimplementation against systemd.syntax(7)."""
    if words is None:
        with pytest.raises(systemd_text.Refused):
            systemd_text.words(line)
    else:
        assert systemd_text.words(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/a $$b %%h %n", ["/a", "$b", "%h", "x.service"]),
        ("/a$$b c", ["/a$$b", "c"]),
        ('/a ";" b', ["/a", ";", "b"]),
        ("/a %i; %i b;", ["/a", ";", "", "b;"]),
        ("/a ; /b", None),
        (r"/a \; b", None),
        ("/a $b", None),
        ("/a b${c}", None),
        ("/a b$c", ["/a", "b$c"]),
        ("/a %h", None),
        ("-/a", None),
        ("!/a", None),
        ("/a \uffff", None),
    ],
)
def test_systemds_commands(line: str, words: list[str] | None) -> None:
    """The same against systemd.service(5)."""
    specifiers = {"n": "x.service", "i": ""}
    if words is None:
        with pytest.raises(systemd_text.Refused):
            systemd_text.command(line, specifiers)
    else:
        assert systemd_text.command(line, specifiers) == words


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[A]\na = b \n# c\n;d\n e=f", [("A", "a", "b"), ("A", "e", "f")]),
        ("[A]\na=b\\\nc", [("A", "a", "b c")]),
        ("[A]\na=b\\\\\nc=d", [("A", "a", "b\\\\"), ("A", "c", "d")]),
        ("[A]\na=b\rc=d\r\n", [("A", "a", "b"), ("A", "c", "d")]),
        ("a=b", None),
        ("[A]\na", None),
        ("[A]\na=b\\", None),
        ("[A]\na=" + "x" * systemd_text.LONGEST_LINE, None),
    ],
)
def test_systemds_lines(text: str, lines: list[tuple[str, str, str]] | None) -> None:
    if lines is None:
        with pytest.raises(systemd_text.Refused):
            list(systemd_text.assignments(text))
    else:
        assert list(systemd_text.assignments(text)) == lines
