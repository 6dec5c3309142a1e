# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker gets exactly what was declared, whatever is in it: judged by a real systemd.

``hostile_units.py render FOLDER`` renders units whose arguments and environment hold everything that
has a meaning for systemd, as FOLDER/units.tar, and what they are to see as FOLDER/expected.json. The
host unpacks them in /run and runs them; each leaves what it saw in onehop-hostile/seen/NAME.json.
``hostile_units.py compare FOLDER`` holds FOLDER/seen.tar against that, and says what differs.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PREFIX = "onehop-hostile-"
HOME = "onehop-hostile"
PROGRAM = f"/run/{HOME}/echo.py"
SEEN = f"/run/{HOME}/seen"
BATCH = 12
"""Words of one unit: enough for seconds, few enough to see which one went wrong."""
LONG = 100_000
"""Characters of the longest word; Linux takes 131072 bytes (MAX_ARG_STRLEN)."""

ECHO = f"""\
# Writes the argument list and the environment that it was started with.
import json, os, sys
with open(os.path.join({SEEN!r}, sys.argv[1] + ".json"), "w") as file:
    json.dump({{"words": sys.argv[2:], "environment": dict(os.environ)}}, file)
"""

WORDS = (
    *(
        "",
        " ",
        "  a  ",
        "a b",
        "\t",
        "a\tb",
        "a\nb",
        "\n",
        "\r",
        "a\r\nb",
        "\v\f\b\a",
        "\x01\x1f\x7f",
    ),
    *("'", '"', "''", '""', "a'b", 'a"b', '"a\' b"', "it's", '"quoted"', "'quoted'", '\\"', "\\'"),
    *(
        "\\",
        "\\\\",
        "\\\\\\",
        "a\\",
        "a\\ b",
        "\\n",
        "\\t",
        "\\x41",
        "\\u0041",
        "\\101",
        "\\s",
        "\\e",
    ),
    *(
        "$",
        "$$",
        "$$$",
        "$HOME",
        "${HOME}",
        "$PATH",
        "${PATH}",
        "$MAINPID",
        "${MAINPID}",
        "a$b",
        "$1",
    ),
    *("$$HOME", "\\$HOME", "${", "${}", "$(id)", "`id`", "${HOME:-x}", "${HOME:+x}", "%${HOME}%"),
    *(
        "%",
        "%%",
        "%%%",
        "%h",
        "%n",
        "%i",
        "%d",
        "%s",
        "%u",
        "%H",
        "%%h",
        "100%",
        "50% of",
        "%z",
        "%!",
    ),
    *(
        ";",
        " ; ",
        "a;b",
        ";;",
        "\\;",
        "; rm",
        "#",
        "# a",
        "a # b",
        "!",
        "!!",
        "@",
        "-",
        "+",
        ":",
        "|",
    ),
    *(
        "-x",
        "--flag",
        "--",
        "--flag=value",
        "-1",
        "=",
        "=a",
        "a=",
        "a=b",
        "a=b c=d",
        "&&",
        ">",
        "<a>",
    ),
    *(
        "*",
        "?",
        "[a]",
        "~",
        "~/a",
        "{a,b}",
        "(a)",
        "[Service]",
        "[Service]\nUser=root",
        "\nUser=root",
    ),
    *(
        "ExecStart=/bin/false",
        "a,b",
        "a:b",
        "null",
        "true",
        "{{ x }}",
        "{% raw %}",
        "{name}",
        "{stamp}",
    ),
    *(
        "äöü",
        "日本語",
        "🦙",
        "e\u0301",
        "\u00a0",
        "\u2028",
        "\u0085",
        "\u200b",
        "\ufeff",
        "\U0010fffd",
    ),
    *('{"a": {"b": [1, "c d"]}}', '{"temperature":0.6,"stop":["\\n","\\u0000"]}', "C:\\dir\\file"),
    *("x" * LONG, "é" * (LONG // 2), "%" * 1000, "$" * 1000, "\\" * 1000, '"' * 1000, "' " * 1000),
)
"""What has a meaning in systemd.syntax(7), systemd.service(5), systemd.unit(5), a shell or Jinja."""

_PIECES = (
    *("\\", '"', "'", "%", "$", "{", "}", ";", "#", " ", "\t", "\n", "\r", "=", "-", "x", "h", "n"),
    *("0", "7", "é", "\u2028", "🦙", "${HOME}", "%h", "\\x41", "\x01", "[", "]", ":", "@", "*"),
)
_RANDOM_WORDS = 240
_LONGEST_RANDOM = 24


def words(seed: int) -> list[str]:
    """The fixed ones, and random ones made of pieces that mean something."""
    chance = random.Random(seed)
    made = [
        "".join(chance.choices(_PIECES, k=chance.randint(1, _LONGEST_RANDOM)))
        for dummy in range(_RANDOM_WORDS)
    ]
    return [*WORDS, *made]


def values(seed: int) -> list[str]:
    """Those that the role takes as the value of an environment variable: on one line."""
    return [word for word in words(seed) if not any(_is_control(letter) for letter in word)]


def _is_control(letter: str) -> bool:
    return letter != "\t" and (ord(letter) < ord(" ") or letter == "\x7f")


def render(folder: Path, seed: int) -> int:
    """Write the units and what is expected of them; how many words there are."""
    sys.path.insert(0, str(ROOT / ".cache" / "collections"))
    from ansible_collections.onehop.llm.plugins.plugin_utils import _unit_text

    folder.mkdir(parents=True, exist_ok=True)
    expected, files = {}, {"echo.py": ECHO}
    given, held = words(seed), values(seed)
    for number, start in enumerate(range(0, len(given), BATCH)):
        name = f"{PREFIX}{number:03}"
        batch = given[start : start + BATCH]
        environment = {f"V{index}": text for index, text in enumerate(held[start : start + BATCH])}
        section = {
            "Type": "oneshot",
            "ExecStart": _unit_text.Command(["/usr/bin/python3", "-I", PROGRAM, name, *batch]),
            "Environment": [_unit_text.Assignment(key, text) for key, text in environment.items()],
        }
        unit = _unit_text.render({"Unit": {"Description": name}, "Service": section})
        files[f"units/{name}.service"] = unit
        expected[name] = {"words": batch, "environment": environment}
    with tarfile.open(folder / "units.tar", "w") as tar:
        seen = tarfile.TarInfo(f"{HOME}/seen")
        seen.type, seen.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(seen)
        for name, text in files.items():
            member = tarfile.TarInfo(f"{HOME}/{name}")
            content = text.encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return len(given) + len(held)


def _seen(archive: Path) -> dict[str, dict[str, Any]]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                file = tar.extractfile(member)
                found[Path(member.name).stem] = json.load(file) if file else {}
    return found


def compare(folder: Path) -> list[str]:
    """A line for each word that a unit saw otherwise."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    found = _seen(folder / "seen.tar")
    wrong = []
    for name, wanted in expected.items():
        if name not in found:
            wrong.append(f"{name}: did not run")
            continue
        seen = found[name]
        if len(seen["words"]) != len(wanted["words"]):
            wrong.append(f"{name}: {len(seen['words'])} words, not {len(wanted['words'])}")
        pairs = [
            (word, got, "argument")
            for word, got in zip(wanted["words"], seen["words"], strict=False)
        ]
        pairs += [
            (value, seen["environment"].get(key), key)
            for key, value in wanted["environment"].items()
        ]
        wrong += [
            f"{name}: {what}: {_short(given)} became {_short(got)}"
            for given, got, what in pairs
            if given != got
        ]
    return wrong


def _short(text: str | None) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 200 else f"{shown[:200]}… ({len(shown)} characters)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["render", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=20261120)
    given = parser.parse_args()
    if given.command == "render":
        print(f"{render(given.folder, given.seed)} words, seed {given.seed}")
        return 0
    wrong = compare(given.folder)
    print("\n".join(wrong) or "every word arrived as it was declared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
