# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama-server's flags, from the table of options in llama.cpp's ``common/arg.cpp``.

Each is ``add_opt(common_arg({spellings}, [{negations} | "HINT"], help, [](params, value) {...}).set_examples(...))``. The type
of ``value`` says what the flag wants, and the body which words it takes. Options for other programs than the server are left
out, and so are those that only say that they are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tooling.flags.cpp import Token, arguments, calls, closing, tokens
from tooling.flags.found import Found, Row, spellings
from tooling.steps import Failed

_OURS = ("LLAMA_EXAMPLE_SERVER", "LLAMA_EXAMPLE_COMMON")
_WORDS_OF = ("is_truthy", "is_falsey", "is_autoy")
_NUMBERS = {"stoi": "int", "stol": "int", "stoll": "int", "stoul": "int", "stoull": "int"}
_NUMBERS |= {"stof": "float", "stod": "float"}
_ADDING = (
    *("push_back", "emplace_back", "insert", "emplace"),
    *("string_parse_kv_override", "parse_tensor_buffer_overrides"),
)


def version(root: Path, build: str) -> str:
    """What a binary of this source calls itself: ``0.5.0``, or ``b9093`` before there were such versions."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    parts = re.findall(r"set\(LLAMA_VERSION_(?:MAJOR|MINOR|PATCH)\s+(\d+)\)", text)
    return ".".join(parts) if len(parts) == 3 else f"b{build}"


def extract(root: Path) -> Found:
    path = root / "common" / "arg.cpp"
    if not path.is_file():
        raise Failed("common/arg.cpp is not there")
    text = path.read_text(encoding="utf-8")
    code = tokens(text)
    words = {name: _words(code, name) for name in _WORDS_OF}
    named = _lists(code)
    found = Found([])
    taken: set[str] = set()
    read = 0
    for start in calls(code, "add_opt"):
        if code[start + 1].text != "common_arg":
            continue  # its own definition
        read += 1
        try:
            row, removed = _option(code, start, words, named, taken)
        except (ValueError, IndexError) as problem:
            found.unread.append(f"arg.cpp:{code[start].line}: {problem}")
            continue
        if row is None:
            continue
        taken.update(spellings(row))
        if removed is None:
            found.rows.append(row)
        else:
            found.gone[row["name"]] = removed
            found.gone_spellings.update(spellings(row))
    found.rows.sort(key=lambda row: row["name"])
    coarse = len(re.findall(r"^\s*add_opt\(", text, re.MULTILINE))
    if coarse != read:
        found.missing.append(f"{coarse - read} of {coarse} add_opt")
    found.missing += sorted(set(_expected(text)) - found.known())
    return found


def _option(
    code: list[Token],
    start: int,
    words: dict[str, list[str]],
    named: dict[str, list[str]],
    taken: set[str],
) -> tuple[Row | None, str | None]:
    """The row of one ``add_opt``, nothing where it is not the server's; and what to use instead where it is gone."""
    end = closing(code, start)
    inner = start + 2
    parts = arguments(code, inner)
    settings = dict(_settings(code, closing(code, inner) + 1, end))
    said = settings.get("set_examples", [_OURS[1]])
    examples = [one for word in said for one in named.get(word, [word])]
    if not set(examples) & set(_OURS) or set(settings.get("set_excludes", [])) & set(_OURS[:1]):
        return None, None
    if "set_preset_only" in settings:
        return None, None
    names = _strings(parts[0])
    if not names:
        raise ValueError("its spellings cannot be read")
    if set(names) <= taken:
        return None, None  # the same one for other programs
    long = [name for name in names if name.startswith("--")]
    own = next((name for name in reversed(long) if name not in taken), names[-1])
    row: Row = {"name": own.lstrip("-")}
    if len(names) > 1:
        row["spellings"] = [name for name in names if name != own]
    negations = _strings(parts[1]) if parts[1][0].text == "{" else []
    if negations:
        row["negations"] = negations
    body = parts[-1]
    row |= _kind(body, words)
    if settings.get("set_env"):
        row["env"] = settings["set_env"][0]
    return row, _gone(body)


def _settings(code: list[Token], start: int, end: int) -> Iterator[tuple[str, list[str]]]:
    """The ``.set_name(...)`` behind an option, with the words and strings of each."""
    index = start
    while index < end:
        if code[index].text == "." and code[index + 2].text == "(":
            close = closing(code, index + 2)
            inside = code[index + 3 : close]
            yield code[index + 1].text, [t.text for t in inside if t.kind in ("word", "string")]
            index = close
        index += 1


def _strings(part: list[Token]) -> list[str]:
    return [token.text for token in part if token.kind == "string"]


def _kind(handler: list[Token], words: dict[str, list[str]]) -> Row:
    """``[](common_params & params, TYPE value) { ... }``"""
    start = next(index for index, token in enumerate(handler) if token.text == "]") + 1
    parameters = arguments(handler, start)
    body = handler[closing(handler, start) + 1 :]
    kinds = [[token.text for token in one] for one in parameters[1:]]
    if not kinds:
        return {"kind": "flag"}
    if len(kinds) == 2:
        return {"kind": "list", "type": "str"}
    [kind] = kinds
    if kind[0] == "bool":
        return {"kind": "bool"}
    said = {one.text for one in body}
    # What clears its list first takes the last value alone; unless it does so once, and remembers that.
    many = bool(said & set(_ADDING)) and ("clear" not in said or "static" in said)
    made: Row = {"kind": "repeat" if many else "value"}
    if kind[0] == "int":
        return made | {"type": "int"}
    return made | _words_taken(kind[-1], body, words)


def _words_taken(value: str, body: list[Token], words: dict[str, list[str]]) -> Row:
    """Type and choices of a handler that gets a string."""
    texts = [token.text for token in body]
    taken: list[str] = []
    number = None
    others = 0
    for index, token in enumerate(body):
        if token.text != value:
            continue
        before, after = texts[max(0, index - 2) : index], texts[index + 1 : index + 3]
        if after[:1] == ["=="] and body[index + 2].kind == "string":
            taken.append(after[1])
        elif before[-1:] == ["("] and before[0] in words:
            taken += words[before[0]]
        elif before[-1:] == ["("] and before[0] in _NUMBERS:
            number = _NUMBERS[before[0]]
        elif after[:2] != [".", "c_str"]:
            others += 1
    if others:
        return {"type": "str"} if not number else {}
    if number:
        return {"type": number} | ({"also": taken} if taken else {})
    if taken and "throw" in texts:
        return {"type": "str", "choices": list(dict.fromkeys(taken))}
    return {"type": "str"}


def _words(code: list[Token], name: str) -> list[str]:
    """The words that ``is_truthy`` and the like know; from their definitions, or from what they always were."""
    for start in calls(code, name):
        close = closing(code, start)
        if code[close + 1].text == "{":
            return _strings(code[close + 1 : closing(code, close + 1)])
    return []


def _lists(code: list[Token]) -> dict[str, list[str]]:
    """Names that stand for a list of programs: ``mmproj_examples = {...};``"""
    found = {}
    for index, token in enumerate(code[:-3]):
        if token.text.endswith("_examples") and code[index + 1].text == "=":
            inside = code[index + 2 : closing(code, index + 2)]
            found[token.text] = [one.text for one in inside if one.kind == "word"]
    return found


def _gone(handler: list[Token]) -> str | None:
    """What an ``arg_removed("use --x instead")`` names, or ``None`` where the option does something."""
    for start in calls(handler, "arg_removed"):
        said = " ".join(_strings(handler[start : closing(handler, start) + 1]))
        names = re.findall(r"--[a-z][\w-]*", said)
        return f"use {' or '.join(names)}" if names else ""
    return None


def _expected(text: str) -> Iterator[str]:
    """Every spelling that a coarse look at the text finds in an option of the server, or of all programs."""
    ours = re.compile(r"SERVER|COMMON")
    whole = text.partition("return ctx_arg;")[0]
    for block in re.split(r"^\s*add_opt\(common_arg\(", whole, flags=re.MULTILINE)[1:]:
        examples = re.search(r"\.set_examples\(([^)]*)\)", block)
        wanted = examples[1] if examples else "COMMON"
        if "LLAMA_" not in wanted:
            named = re.search(rf"\b{re.escape(wanted)}\s*=\s*\{{([^}}]*)\}}", text)
            wanted = named[1] if named else "COMMON"
        excludes = re.search(r"\.set_excludes\(([^)]*SERVER[^)]*)\)", block)
        if ours.search(wanted) and not excludes and "set_preset_only" not in block:
            lists = re.match(r"\s*\{([^}]*)\}(?:,\s*\{([^}]*)\})?", block)
            for one in lists.groups("") if lists else ():
                yield from re.findall(r'"(-[^"]+)"', one)
