# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Type annotations of fields, as the parts that a command line is derived from."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from tooling.flags.modules import Class, Imported, Module
from tooling.flags.reading import Reading
from tooling.flags.values import UNKNOWN, Alternatives, External, Frame

_PLAIN = {
    "bool": "bool", "int": "int", "float": "float", "str": "str", "None": "none", "Any": "any",
    "dict": "dict", "Dict": "dict", "Mapping": "dict", "MutableMapping": "dict", "list": "list",
    "List": "list", "tuple": "tuple", "Tuple": "tuple", "set": "set", "Set": "set", "type": "type",
    "Sequence": "other",
}  # fmt: skip


@dataclass(frozen=True)
class Hint:
    """One alternative of an annotation. ``kind``: bool, int, float, str, none, any, dict, list, tuple, set, type, literal,
    dataclass, other. ``parts``: what stands in its brackets; the values of a literal."""

    kind: str
    parts: tuple[Any, ...] = ()
    name: str = ""


def hints(reading: Reading, node: ast.expr | None, module: Module) -> list[Hint]:
    """All alternatives of an annotation, unions and aliases resolved, in the order of the text."""
    match node:
        case ast.Constant(value=None):
            return [Hint("none")]
        case ast.Constant(value=str() as text):
            return hints(reading, ast.parse(text.strip(), mode="eval").body, module)
        case ast.BinOp(op=ast.BitOr()):
            return _distinct(hints(reading, node.left, module) + hints(reading, node.right, module))
        case ast.Subscript():
            return _subscript(reading, node, module)
        case ast.Name() | ast.Attribute():
            return _name(reading, node, module)
    return [Hint("other")]


def _subscript(reading: Reading, node: ast.Subscript, module: Module) -> list[Hint]:
    name = ast.unparse(node.value).rpartition(".")[2]
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in ("Optional", "Union"):
        found = [hint for one in inner for hint in hints(reading, one, module)]
        return _distinct([*found, *([Hint("none")] if name == "Optional" else [])])
    if name in ("Annotated", "A", "ClassVar", "Final", "SkipValidation"):
        return hints(reading, inner[0], module)
    if name == "Literal":
        value = reading.value(node, Frame(module, {}))
        values = value.values if isinstance(value, Alternatives) else ()
        # A value that is not known makes all of them unknown: choices are whole or absent.
        return [Hint("literal", values)]
    kind = _PLAIN.get(name, "other")
    if kind in ("list", "tuple", "set"):
        parts = tuple(
            "..." if isinstance(one, ast.Constant) and one.value is ... else tuple(
                hints(reading, one, module)
            )
            for one in inner
        )  # fmt: skip
        return [Hint(kind, parts)]
    return [Hint(kind, name=name)]


def _name(reading: Reading, node: ast.Name | ast.Attribute, module: Module) -> list[Hint]:
    last = ast.unparse(node).rpartition(".")[2]
    bound = module.bindings(last) if isinstance(node, ast.Name) else []
    if not bound:
        if isinstance(node, ast.Name):
            for star in module.stars:
                other = reading.tree.module(star)
                if other and other.bindings(last):
                    return _name(reading, node, other)
        found = _by_value(reading, node, module)
        return found or [Hint(_PLAIN.get(last, "other"), name=last)]
    binding = bound[0]
    if isinstance(binding, Imported) and binding.name:
        other = reading.tree.module(binding.module)
        if other and (other.bindings(binding.name) or other.stars):
            return _name(reading, ast.Name(binding.name, ast.Load()), other)
        return [Hint(_PLAIN.get(binding.name, "other"), name=binding.name)]
    if isinstance(binding, Class):
        return [_class(reading, binding)]
    if isinstance(binding, ast.expr):
        if isinstance(binding, ast.Call) and ast.unparse(binding.func).endswith("TypeVar"):
            bounds = [one.value for one in binding.keywords if one.arg == "bound"]
            return hints(reading, bounds[0], module) if bounds else [Hint("any")]
        return hints(reading, binding, module)
    return [Hint("other", name=last)]


def _by_value(reading: Reading, node: ast.expr, module: Module) -> list[Hint]:
    value = reading.value(node, Frame(module, {}))
    if isinstance(value, Class):
        return [_class(reading, value)]
    if isinstance(value, Alternatives):
        return [Hint("literal", value.values)]
    if isinstance(value, External) or value is UNKNOWN:
        return []
    return []


def _class(reading: Reading, cls: Class) -> Hint:
    bases = {ast.unparse(base).partition("[")[0] for base in cls.node.bases}
    if bases & {"dict", "UserDict", "Dict"}:
        return Hint("dict", name=cls.node.name)
    return Hint("dataclass" if is_dataclass(cls) else "other", name=cls.node.name)


def is_dataclass(cls: Class) -> bool:
    names = [ast.unparse(one).partition("(")[0] for one in cls.node.decorator_list]
    return any(name.rpartition(".")[2] in ("dataclass", "config") for name in names)


def _distinct(found: list[Hint]) -> list[Hint]:
    return list(dict.fromkeys(found))
