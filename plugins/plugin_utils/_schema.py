# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a variable may hold: types, defaults and documentation as rows, and one reader of them.

Argument specs, role defaults, documentation and the planner's validation all come from these
rows: Ansible's own argument specs cannot describe keys that users choose, do not convert, and
stop at the first error.

This plugin util is private to the collection.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

REQUIRED = object()
"""The default of an option that has none."""

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
SOCKET_DIRECTORY = re.compile(r"/run(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+\Z")
LONGEST_SOCKET = 107
"""sun_path of unix(7) is 108 bytes, one of them for the NUL at its end."""
CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\Z")
"""As systemd.exec(5) takes them in LoadCredential=, without the characters that need escaping."""
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
ACCOUNT_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (65534, 65535))
NO_TEXT = re.compile(f"[\x00\x80\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
"""What cannot be said in a unit: systemd takes surrogates and noncharacters for no UTF-8, and
Podman's generator writes U+0080 as a byte of its own (seen with 5.4 and 5.8)."""
NO_TEXT_MEND = "Remove NUL, U+0080, surrogates and noncharacters of Unicode"


_MARKUP = re.compile(r"\b[COVM]\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def plain(doc: str) -> str:
    """A description without Ansible's markup."""
    return _MARKUP.sub(r"\1", doc)


class Unfit(ValueError):
    """A value that its type refuses; args are what is wrong and what to write instead."""


@dataclass(frozen=True)
class Option:
    """One variable or one key.

    ``type`` names a row of :data:`TYPES`. ``keys`` describe the entries of a ``dict``; for a
    ``map`` (keys chosen by the user) or a ``list`` they describe each value, and ``key_type`` the
    keys of a map.
    ``elements`` names the type of a list's or a plain map's values. ``shorthand`` is the key that a
    bare string stands for. ``secret`` values are never shown.
    """

    name: str
    type: str
    doc: str
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    elements: str | None = None
    key_type: str = "label"
    keys: tuple[Option, ...] = ()
    shorthand: str | None = None
    secret: bool = False
    example: Any = None


def _bool(value: Any) -> bool:
    """Surveys and ``-e`` hand over strings, so the words for a boolean are taken as well."""
    word = str(value).strip().lower() if isinstance(value, (bool, int, str)) else ""
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise Unfit("is not a boolean", "Write true or false")


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value.strip()):
        return int(value)
    raise Unfit("is not a whole number", "Write digits only")


def _bounded(low: int, high: int | None, mend: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _int(value)
        if number < low or (high is not None and number > high):
            raise Unfit("is out of range", mend)
        return number

    return read


def _str(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unfit(
            f"is {_kind(value)}, not a text", "Write a text, in quotes where YAML needs them"
        )
    text = str(value)
    if NO_TEXT.search(text):
        raise Unfit("contains a character that no unit can hold", NO_TEXT_MEND)
    return text


def _matching(pattern: re.Pattern[str], wrong: str, mend: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = _str(value)
        if not pattern.match(text):
            raise Unfit(wrong, mend)
        return text

    return read


def _path(value: Any) -> str:
    text = _str(value)
    if not text.startswith("/") or CONTROL.search(text):
        raise Unfit("is not an absolute path", "Write a path that begins with /")
    if ".." in text.split("/"):
        raise Unfit("goes up with ..", "Write the path that it leads to")
    return posixpath.normpath("/" + text.lstrip("/"))


def _socket_directory(value: Any) -> str:
    text = _str(value)
    if not SOCKET_DIRECTORY.match(text) or ".." in text.split("/"):
        raise Unfit(
            "is not a directory below /run", "Write a path such as /run/onehop, with plain names"
        )
    return text


def _environment_value(value: Any) -> str:
    if isinstance(value, bool):
        raise Unfit(
            "is a boolean, and an environment variable is a text",
            'Write the text that the program wants, such as "1" or "true"',
        )
    text = _str(value)
    if CONTROL.search(text):
        raise Unfit("contains a control character", "Write it on one line")
    return text


def _flag_check(value: Any) -> str:
    """YAML reads the bare word off as false."""
    return "off" if value is False else _str(value)


def _json(value: Any) -> Any:
    return value


def _url(value: Any) -> str:
    text = _str(value)
    if not re.match(r"https?://[^/\s?#@]+([/?][^\s#]*)?\Z", text) and not re.match(
        r"unix:///[^\s?#]+\Z", text
    ):
        raise Unfit(
            "is not an absolute http, https or unix URL without credentials",
            "Write one such as https://api.example.com or unix:///run/x/http.sock",
        )
    return text


@dataclass(frozen=True)
class Type:
    """How a type is called in an argument spec, and how a scalar of it is read."""

    argument: str
    read: Callable[[Any], Any] | None = None


TYPES: dict[str, Type] = {
    "bool": Type("bool", _bool),
    "int": Type("int", _int),
    "count": Type("int", _bounded(0, None, "Write 0 or more")),
    "positive": Type("int", _bounded(1, None, "Write 1 or more")),
    "id": Type("int", _bounded(1, 2**32 - 2, "Write a number from 1 to 4294967294")),
    "port": Type("int", _bounded(1, 65535, "Write a port from 1 to 65535")),
    "str": Type("str", _str),
    "path": Type("str", _path),
    "url": Type("str", _url),
    "url_path": Type(
        "str",
        _matching(
            re.compile(r"/[!-~]*\Z"), "is not the path of a URL", "Write one such as /health"
        ),
    ),
    "file": Type(
        "str",
        _matching(
            re.compile(r"/[^\x00-\x1f\x7f]+\Z|\$\{cred:[^{}]+\}\Z"),
            "is neither an absolute path nor a credential",
            "Write a path that begins with /, or ${cred:NAME} for a credential's file",
        ),
    ),
    "label": Type(
        "str",
        _matching(
            LABEL,
            "is not a name that a unit, a route and a file can carry",
            "Write letters, digits, '.', '_' and '-' only, beginning with a letter or a digit",
        ),
    ),
    "route_name": Type(
        "str",
        _matching(
            re.compile(r"[^\x00-\x1f\x7f]{1,256}\Z"),
            "is not a model name",
            "Write 1 to 256 characters without control characters",
        ),
    ),
    "account": Type(
        "str",
        _matching(
            ACCOUNT_NAME,
            "is not a name for a system account",
            "Write lower-case letters, digits, '_' and '-', at most 31 characters",
        ),
    ),
    "credential_name": Type(
        "str",
        _matching(
            CREDENTIAL_NAME,
            "is not a credential name",
            "Write letters, digits, '_', '.' and '-' only, not beginning with '.' or '-'",
        ),
    ),
    "environment_name": Type(
        "str",
        _matching(
            ENVIRONMENT_NAME,
            "is not a name for an environment variable",
            "Write letters, digits and '_', not beginning with a digit",
        ),
    ),
    "header_name": Type(
        "str",
        _matching(
            re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z"),
            "is not a header name",
            "Write a token such as Authorization",
        ),
    ),
    "checksum": Type(
        "str",
        _matching(
            re.compile(r"sha256:[0-9a-f]{64}\Z"),
            "is not a SHA-256 checksum",
            "Write sha256: and 64 hexadecimal digits in lower case",
        ),
    ),
    "image": Type(
        "str",
        _matching(
            re.compile(
                r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(/[a-z0-9._-]+)+\Z"
            ),
            "is not an image's whole name",
            "Write registry and path without a tag, such as docker.io/vllm/vllm-openai",
        ),
    ),
    "image_reference": Type(
        "str",
        _matching(
            re.compile(
                r"[a-z0-9.:/_-]+/[a-z0-9._/-]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})\Z"
            ),
            "is not an image with its tag or digest",
            "Write one such as docker.io/vllm/vllm-openai:v0.33.0",
        ),
    ),
    "tag": Type(
        "str",
        _matching(
            re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z"),
            "is not the tag of an image",
            "Write letters, digits, '_', '.' and '-' only, such as v0.33.0",
        ),
    ),
    "repository": Type(
        "str",
        _matching(
            re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*(@[A-Za-z0-9][\w./-]*)?\Z"),
            "is not a repository of the hub",
            "Write its name, such as Qwen/Qwen3-8B, and behind an @ a revision where it matters",
        ),
    ),
    "size": Type(
        "str",
        _matching(
            re.compile(r"[1-9][0-9]*[bkmg]?\Z"),
            "is not a size",
            "Write a number and one of b, k, m and g, such as 32g",
        ),
    ),
    "device": Type(
        "str",
        _matching(
            re.compile(
                r"-?/dev/[A-Za-z0-9_./:-]+\Z"
                r"|[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_.-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*\Z"
            ),
            "is neither a CDI device nor a device node",
            "Write one such as nvidia.com/gpu=0, nvidia.com/gpu=all or /dev/dri/renderD128",
        ),
    ),
    "environment_value": Type("str", _environment_value),
    "strictness": Type("str", lambda value: "off" if value is False else _str(value)),
    "socket_directory": Type("str", _socket_directory),
    "engine_version": Type(
        "str",
        _matching(
            re.compile(r"v?[0-9]+(\.[0-9]+)+(\.?(rc|post|dev)[0-9]+)?\Z|b[0-9]+\Z"),
            "is not a version",
            "Write one such as 0.33.0, or b9000 for a build of llama.cpp",
        ),
    ),
    "flag_check": Type("str", _flag_check),
    "json": Type("raw", _json),
    "list": Type("list"),
    "dict": Type("dict"),
    "map": Type("dict"),
}


def read(
    options: Sequence[Option], values: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """Variables of one role as a complete dictionary: converted, with defaults.

    Unknown names are left to :func:`unknown`, since other variables of the host are not ours.
    A value that does not fit is noted, and its default stands in, so that one run finds all.
    """
    return {
        option.name: _read_option(option, values.get(option.name), option.name, problems)
        for option in options
    }


def _read_option(option: Option, value: Any, where: str, problems: Problems) -> Any:
    if value is None:
        if option.default is REQUIRED:
            problems.add(where, "is missing", f"{option.doc.split('.')[0]}")
            return None
        return option.default
    if option.type == "list":
        return _read_list(option, value, where, problems)
    if option.type == "map":
        return _read_map(option, value, where, problems)
    if option.type == "dict":
        return _read_dict(option, value, where, problems)
    try:
        result = _scalar(option.type, value)
        if option.choices and result not in option.choices:
            raise Unfit("is not one of the choices", f"Write one of {_words(option.choices)}")
        return result
    except Unfit as unfit:
        _note(problems, where, unfit, value, secret=option.secret)
        return None if option.default is REQUIRED else option.default


def _read_list(option: Option, value: Any, where: str, problems: Problems) -> list[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        unfit = Unfit(f"is {_kind(value)}, not a list", "Write a list, such as [a, b]")
        _note(problems, where, unfit, value, secret=_secret(option))
        return list(option.default or [])
    if option.keys:
        return [
            _read_dict(option, item, f"{where}[{index}]", problems)
            for index, item in enumerate(value)
        ]
    result = []
    for index, item in enumerate(value):
        try:
            result.append(_scalar(option.elements or "str", item))
        except Unfit as unfit:
            _note(problems, f"{where}[{index}]", unfit, item, secret=option.secret)
    return result


def _read_map(option: Option, value: Any, where: str, problems: Problems) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _note(problems, where, _no_dictionary(value), value, secret=_secret(option))
        return {}
    result: dict[str, Any] = {}
    for key, item in value.items():
        inner = f"{where}.{key}"
        try:
            name = _scalar(option.key_type, key)
        except Unfit as unfit:
            _note(problems, inner, unfit, key, secret=False)
            name = None
        try:
            if option.keys:
                read_item: Any = _read_dict(option, item, inner, problems)
            else:
                read_item = _scalar(option.elements or "str", item)
        except Unfit as unfit:
            _note(problems, inner, unfit, item, secret=option.secret)
            continue
        if name is not None:
            result[name] = read_item
    return result


def _read_dict(option: Option, value: Any, where: str, problems: Problems) -> dict[str, Any]:
    if isinstance(value, str) and option.shorthand:
        value = {option.shorthand: value}
    if not isinstance(value, Mapping):
        if value is not None:
            _note(problems, where, _no_dictionary(value), value, secret=_secret(option))
        value = {}
    known = [key.name for key in option.keys]
    for name in value:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
            mend = f"Did you mean {near[0]}" if near else f"Write one of {_words(sorted(known))}"
            if "settings" in known and not near:
                mend += ". Flags of the engine belong into settings"
            problems.add(f"{where}.{name}", "is not a known key", mend)
    return {
        key.name: _read_option(key, value.get(key.name), f"{where}.{key.name}", problems)
        for key in option.keys
    }


def _no_dictionary(value: Any) -> Unfit:
    return Unfit(f"is {_kind(value)}, not a dictionary", "Write key: value pairs")


def _secret(option: Option) -> bool:
    """Whether a secret may be anywhere in it, so that a misplaced one is not shown either."""
    return option.secret or any(_secret(key) for key in option.keys)


def unknown(names: Sequence[str], known: Sequence[str], problems: Problems) -> None:
    """Note each variable that is almost one of ours; a name unlike any of ours is not ours.

    One that begins with _ is somebody's own, such as what our roles register.
    """
    prefixes = sorted({name.split("_models")[0] + "_" for name in known if "_models" in name})
    ours = set(known)
    for name in sorted(set(names) - ours):
        if name.startswith("_"):
            continue
        prefixed = any(name.startswith(prefix) for prefix in prefixes)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7 if prefixed else 0.88)
        if near:
            problems.add(name, "is not a known variable", f"Did you mean {near[0]}")


def _scalar(name: str, value: Any) -> Any:
    reader = TYPES[name].read
    if reader is None:
        raise TypeError(f"type {name} is not a scalar")
    return reader(value)


def _note(problems: Problems, where: str, unfit: Unfit, value: Any, *, secret: bool) -> None:
    wrong, mend = unfit.args
    if secret:
        problems.add(where, wrong, mend)
    else:
        problems.add(where, wrong, mend, value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, Sequence):
        return "a list"
    return f"a {type(value).__name__}"


def _words(choices: Sequence[Any]) -> str:
    return ", ".join(str(choice) for choice in choices)
