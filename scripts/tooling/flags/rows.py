# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of argparse as rows of a table."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import Any

from tooling.flags.found import Found, Row, spellings
from tooling.flags.modules import Class, Function
from tooling.flags.reading import Reading
from tooling.flags.values import UNKNOWN, Argument, Calling, External, Member

_STORING = {"store_true": False, "store_false": True, "store_const": None}
_TYPES = {
    "int": "int",
    "float": "float",
    "str": "str",
    "json.loads": "json",
    "loads": "json",
    "nullable_str": "str",
    "human_readable_int": "human_int",
    "human_readable_int_or_auto": "human_int",
}
_INVERSE = {"--enable-": "--disable-", "--disable-": "--enable-"}


@dataclass(frozen=True)
class Style:
    """What a version's parser adds to argparse. ``dashes``: ``_`` in a name is ``-``; ``inverse``: ``--enable-x`` has a second
    opposite, ``--disable-x``, and the other way round."""

    dashes: bool = False
    inverse: bool = False


def rows(reading: Reading, style: Style = Style()) -> Found:
    """All arguments that were read. One that is defined twice, in branches that exclude each other, counts once."""
    made: dict[str, Row] = {}
    gone: dict[str, Row] = {}
    for argument in reading.arguments:
        one = row(reading, argument, style)
        refused = isinstance(argument.options.get("error_message"), str)
        (gone if refused else made).setdefault(one["name"], one)
    return Found(
        [made[name] for name in sorted(made)],
        list(reading.unread),
        gone=dict.fromkeys(gone, ""),
        gone_spellings={text for one in gone.values() for text in spellings(one)},
    )


def row(reading: Reading, argument: Argument, style: Style) -> Row:
    options = argument.options
    names = [name.replace("_", "-") if style.dashes else name for name in argument.names]
    if not names[0].startswith("-"):
        return _ordered({"name": argument.names[0], "kind": "positional"} | _type(options))
    own = next((name for name in names if name.startswith("--")), names[0])
    made: Row = {"name": own.lstrip("-")}
    others = [name for name in names if name != own]
    if others:
        made["spellings"] = others
    if _is(options.get("action"), "BooleanOptionalAction"):
        made |= {"kind": "bool", "negations": _negations(names, style.inverse)}
    else:
        made |= _kind(reading, options)
        if made["kind"] != "flag":
            made |= _type(options) | _choices(options)
    made |= _default(reading, options)
    if made.get("type") == "json" and made["kind"] == "value":
        made["kind"] = "json"
        del made["type"]
    if made.get("type") == "json_or_str":
        made["kind"] = "json_or_str"
        del made["type"]
    return _ordered(made)


def _is(value: Any, name: str) -> bool:
    return isinstance(value, External) and value.name.rpartition(".")[2] == name


def _negations(names: list[str], inverse: bool) -> list[str]:
    long = [name for name in names if name.startswith("--")]
    found = [f"--no-{name[2:]}" for name in long]
    if inverse:
        found += [
            other + name.removeprefix(prefix)
            for name in long
            for prefix, other in _INVERSE.items()
            if name.startswith(prefix)
        ]
    return found


def _kind(reading: Reading, options: dict[str, Any]) -> Row:
    action, nargs = options.get("action"), options.get("nargs")
    if isinstance(action, Class) and "nargs" not in options:
        nargs = _of_action(reading, action, "nargs")
        nargs = None if nargs is UNKNOWN else nargs
    if action in _STORING or action in ("help", "version", "count") or nargs == 0:
        return {"kind": "flag"}
    if nargs == "?":
        return {"kind": "optional"}
    if nargs in ("+", "*") or (isinstance(nargs, int) and nargs):
        return {"kind": "list"}
    return {"kind": "repeat" if action in ("append", "extend") else "value"}


def _of_action(reading: Reading, action: Class, name: str) -> Any:
    """What the constructor of an action of the engine's own says of an option, such as how many words it takes."""
    for base in reading.bases(action):
        method = base.method("__init__")
        if not method:
            continue
        said = method.args
        parameters = [one.arg for one in [*said.args, *said.kwonlyargs]]
        padding: list[ast.expr | None] = [None] * (len(said.args) - len(said.defaults))
        defaults = [*padding, *said.defaults, *said.kw_defaults]
        for parameter, default in zip(parameters, defaults, strict=True):
            if parameter == name and isinstance(default, ast.Constant):
                return default.value
        for node in ast.walk(method):
            match node:
                case ast.keyword(arg=said_name, value=ast.Constant(value=value)):
                    if said_name == name:
                        return value
    return UNKNOWN


def _type(options: dict[str, Any]) -> Row:
    kind = options.get("type", External("str"))
    while isinstance(kind, Calling) and kind.arguments:
        kind = kind.arguments[0]
    if isinstance(kind, Function):
        name = "json.loads" if _loads_json(kind) else getattr(kind.node, "name", "")
    elif isinstance(kind, External):
        name = kind.name
    else:
        return {}
    if name == "union_dict_and_str":
        return {"type": "json_or_str"}
    known = _TYPES.get(name) or _TYPES.get(name.rpartition(".")[2])
    made: Row = {"type": known} if known else {}
    if name == "human_readable_int_or_auto":
        made["also"] = ["auto"]
    return made


def _loads_json(function: Function) -> bool:
    """Whether a function gives what ``json.loads`` makes of its argument."""
    return any(
        isinstance(node, ast.Return)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).endswith("json.loads")
        for node in ast.walk(function.node)
    )


def _choices(options: dict[str, Any]) -> Row:
    choices = options.get("choices")
    if isinstance(choices, dict):
        choices = list(choices)
    if isinstance(choices, set):
        choices = sorted(choices, key=str)
    if not isinstance(choices, (list, tuple)):
        return {}
    plain = [choice for choice in choices if choice not in (None, "None")]
    if not plain or not all(isinstance(choice, (str, int, float)) for choice in plain):
        return {}
    return {"choices": list(dict.fromkeys(plain))}


def _default(reading: Reading, options: dict[str, Any]) -> Row:
    action = options.get("action")
    if "default" in options:
        value = options["default"]
    elif isinstance(action, str):
        value = _STORING.get(action)
    elif isinstance(action, Class):
        value = _of_action(reading, action, "default")
    elif isinstance(action, Function):
        return {}
    else:
        value = None
    plain = _plain(value)
    return {} if plain is UNKNOWN else {"default": plain}


def _plain(value: Any) -> Any:
    """A default as JSON has it, or ``UNKNOWN``."""
    if isinstance(value, Member):
        value = value.value
    if isinstance(value, float) and not math.isfinite(value):
        return UNKNOWN
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple, set)):
        inner = [
            _plain(one) for one in (sorted(value, key=str) if isinstance(value, set) else value)
        ]
        return UNKNOWN if any(one is UNKNOWN for one in inner) else inner
    if isinstance(value, dict):
        pairs = {key: _plain(one) for key, one in value.items()}
        known = all(isinstance(key, str) for key in pairs) and UNKNOWN not in pairs.values()
        return pairs if known else UNKNOWN
    return UNKNOWN


_ORDER = ("name", "spellings", "negations", "kind", "type", "also", "choices", "default", "env")


def _ordered(made: Row) -> Row:
    return {key: made[key] for key in _ORDER if key in made}
