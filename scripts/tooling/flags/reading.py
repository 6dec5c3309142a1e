# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Python code would do to an argument parser, worked out from its text.

Code that defines a command line is plain: groups, ``add_argument``, dictionaries of keyword arguments that are changed here
and there, constants from other modules. That much is followed, statement by statement; of all else the value is unknown,
and what is unknown is never guessed. Nothing is imported and nothing of the engine runs.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tooling.flags.expressions import Expressions
from tooling.flags.modules import Class, Function, Imported, absolute
from tooling.flags.names import OPERATORS
from tooling.flags.values import (
    UNKNOWN,
    Alternatives,
    Argument,
    Calling,
    External,
    Frame,
    Object,
    Parser,
    Returned,
)

Hook = Callable[["Reading", list[Any], dict[str, Any]], Any]

_BUILT_IN: dict[str, Callable[..., Any]] = {
    "bool": bool, "dict": dict, "float": float, "int": int, "len": len, "list": list,
    "max": max, "min": min, "range": range, "set": set, "sorted": sorted, "str": str,
    "itertools.permutations": itertools.permutations, "sum": sum, "tuple": tuple, "frozenset": frozenset, "zip": zip, "enumerate": enumerate,
}  # fmt: skip
_METHODS = (
    "append", "copy", "endswith", "extend", "get", "index", "insert", "items", "keys", "lower",
    "lstrip", "pop", "remove", "removeprefix", "removesuffix", "replace", "rstrip", "setdefault",
    "sort", "split", "startswith", "strip", "title", "union", "update", "upper", "values", "add",
    "discard", "join", "format", "capitalize",
)  # fmt: skip
_CHANGES = ("append", "extend", "insert", "remove", "update", "add", "discard", "sort", "pop")


@dataclass
class Reading(Expressions):
    """One pass over the code of one version of an engine."""

    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """Functions of the engine, by name, that are answered here instead of being followed."""
    arguments: list[Argument] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Definitions of arguments that were seen, and could not be read."""

    def _call(self, node: ast.Call, frame: Frame) -> Any:
        if isinstance(node.func, ast.Attribute):
            of = self._receiver(node.func.value, frame)
            if isinstance(of, Parser):
                return self._parser(node.func.attr, node, frame)
            if isinstance(of, (str, list, dict, set)) and node.func.attr in _METHODS:
                return self._method(of, node.func, node, frame)
            function = self.attribute(of, node.func.attr)
        else:
            function = self.value(node.func, frame)
        positional = self.elements(node.args, frame)
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, frame)
            if keyword.arg:
                named[keyword.arg] = value
            elif isinstance(value, dict):
                named |= value
        return self.call(function, [UNKNOWN] if positional is UNKNOWN else positional, named)

    def _receiver(self, node: ast.expr, frame: Frame) -> Any:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "super"
            and frame.owner
        ):
            above = [base for base in self.bases(frame.owner) if base != frame.owner]
            return Object(above[0]) if above else UNKNOWN
        return self.value(node, frame)

    def _method(self, of: Any, func: ast.Attribute, node: ast.Call, frame: Frame) -> Any:
        arguments = self.elements(node.args, frame)
        if not frame.sure and func.attr in _CHANGES:
            self._forget(func.value, frame)
            return UNKNOWN
        if arguments is UNKNOWN:
            return UNKNOWN
        if isinstance(of, str) and not all(self.known(one) for one in arguments):
            return UNKNOWN
        try:
            found = getattr(of, func.attr)(*arguments)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError):
            return UNKNOWN
        return list(found) if func.attr in ("items", "keys", "values") else found

    def call(self, function: Any, positional: list[Any], named: dict[str, Any]) -> Any:
        """What a call gives; functions of the tree are followed."""
        if isinstance(function, Function):
            name = getattr(function.node, "name", "")
            if name in self.hooks:
                return self.hooks[name](self, positional, named)
            return self._follow(function, positional, named)
        if isinstance(function, Class):
            values = [*positional, *named.values()]
            if self.is_enum(function) and positional:
                return next((m for m in self.members(function) if m.value == values[0]), UNKNOWN)
            return Object(function)
        if isinstance(function, External):
            return self._external(function, positional, named)
        return UNKNOWN

    def _external(self, function: External, positional: list[Any], named: dict[str, Any]) -> Any:
        last = function.name.rpartition(".")[2]
        if last in self.hooks:
            return self.hooks[last](self, positional, named)
        if last == "get_args" and isinstance(positional[0], Alternatives):
            return positional[0].values
        if last in ("deepcopy", "copy") and positional:
            return positional[0]
        if function.name in _BUILT_IN:
            if positional and isinstance(positional[0], Class):
                positional = [self.iterable(positional[0])]
            if any(value is UNKNOWN or isinstance(value, External) for value in positional):
                return UNKNOWN
            try:
                found = _BUILT_IN[function.name](*positional, **named)
                return (
                    list(found) if last in ("zip", "enumerate", "range", "permutations") else found
                )
            except (TypeError, ValueError):
                return UNKNOWN
        if function.name == "sys.modules.get":
            return None  # a process that parses its command line, and has no plugins
        if last.endswith("ArgumentParser"):
            return Parser()
        return Calling(function, tuple(positional))

    def _follow(self, function: Function, positional: list[Any], named: dict[str, Any]) -> Any:
        if self.too_deep() or isinstance(function.node, ast.AsyncFunctionDef):
            return UNKNOWN
        names = self._given(function, positional, named)
        frame = Frame(function.module, names, function.owner)
        self.depth += 1
        try:
            if isinstance(function.node, ast.Lambda):
                return self.value(function.node.body, frame)
            calls_kept = self._makes_function(function.node)
            if calls_kept:
                return Calling(function, tuple(positional))
            self.run(function.node.body, frame)
        except Returned as returned:
            return returned.value
        finally:
            self.depth -= 1
        return None

    @staticmethod
    def _makes_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Whether a function gives one that it defines, as ``optional_type`` does."""
        inner = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
        return any(
            isinstance(one, ast.Return)
            and isinstance(one.value, ast.Name)
            and one.value.id in inner
            for one in node.body
        )

    def _given(
        self, function: Function, positional: list[Any], named: dict[str, Any]
    ) -> dict[str, Any]:
        """The names of a function's parameters with their values."""
        said = function.node.args
        parameters = [one.arg for one in [*said.posonlyargs, *said.args]]
        names: dict[str, Any] = dict.fromkeys(parameters, UNKNOWN)
        outer = Frame(function.module, {})
        for one, default in zip(reversed(parameters), reversed(said.defaults), strict=False):
            names[one] = self.value(default, outer)
        for keyword, value in zip(said.kwonlyargs, said.kw_defaults, strict=True):
            names[keyword.arg] = self.value(value, outer) if value else UNKNOWN
        decorators = [ast.unparse(one) for one in getattr(function.node, "decorator_list", [])]
        if function.owner and parameters and "staticmethod" not in decorators:
            positional = [Object(function.receiver or function.owner), *positional]
        names |= dict(zip(parameters, positional, strict=False))
        return names | {name: value for name, value in named.items() if name in names}

    def _parser(self, method: str, node: ast.Call, frame: Frame) -> Any:
        if method in ("add_argument_group", "add_mutually_exclusive_group", "add_parser"):
            return Parser()
        if method == "add_subparsers":
            return Parser()
        if method == "add_argument":
            names = self.elements(node.args, frame)
            options: dict[str, Any] = {}
            for keyword in node.keywords:
                value = self.value(keyword.value, frame)
                if keyword.arg:
                    options[keyword.arg] = value
                elif isinstance(value, dict):
                    options |= value
                else:
                    names = UNKNOWN
            where = f"{frame.module.name}:{node.lineno}"
            if names is UNKNOWN or not all(isinstance(name, str) for name in names):
                self.unread.append(f"{where}: {ast.unparse(node)[:100]}")
            else:
                self.arguments.append(Argument(names, options))
        return UNKNOWN

    def run(self, body: Sequence[ast.stmt], frame: Frame) -> None:
        """Follows statements; raises ``Returned`` where the function would end."""
        for node in body:
            match node:
                case ast.Expr():
                    self.value(node.value, frame)
                case ast.Assign():
                    value = self.value(node.value, frame)
                    for target in node.targets:
                        self.assign(target, value if frame.sure else UNKNOWN, frame)
                case ast.AnnAssign(value=ast.expr() as given):
                    self.assign(node.target, self.value(given, frame), frame)
                case ast.AugAssign():
                    self._add_to(node, frame)
                case ast.Delete():
                    for target in node.targets:
                        self._delete(target, frame)
                case ast.Import() | ast.ImportFrom():
                    self._import(node, frame)
                case ast.FunctionDef():
                    frame.names[node.name] = Function(frame.module, node)
                case ast.If():
                    self._branch(node, frame)
                case ast.For():
                    self._loop(node, frame)
                case ast.With():
                    self.run(node.body, frame)
                case ast.Try():
                    self.run([*node.body, *node.orelse, *node.finalbody], frame)
                case ast.Return():
                    value = self.value(node.value, frame) if node.value else None
                    if frame.sure or isinstance(value, Parser):
                        raise Returned(value)
                    raise Returned(UNKNOWN)

    def _branch(self, node: ast.If, frame: Frame) -> None:
        truth = self.truth(self.value(node.test, frame))
        if truth is not None:
            self.run(node.body if truth else node.orelse, frame)
            return
        sure, frame.sure = frame.sure, False
        ended = []
        for body in (node.body, node.orelse):
            try:
                self.run(body, frame)
            except Returned as returned:
                ended.append(returned)
        if len(ended) == 2:
            raise ended[0]
        # Where one of the branches ends the function, what follows may not happen at all.
        frame.sure = sure and not ended

    def _loop(self, node: ast.For, frame: Frame) -> None:
        values = self.iterable(self.value(node.iter, frame))
        if values is UNKNOWN:
            if any(".add_argument(" in ast.unparse(one) for one in node.body):
                self.unread.append(
                    f"{frame.module.name}:{node.lineno}: a loop over what is unknown"
                )
            for one in ast.walk(node):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                    frame.names[one.id] = UNKNOWN
            return
        for value in values:
            self.assign(node.target, value, frame)
            self.run(node.body, frame)

    def _add_to(self, node: ast.AugAssign, frame: Frame) -> None:
        old = self.value(node.target, frame)
        more = self.value(node.value, frame)
        value = self.operate(OPERATORS.get(type(node.op)), old, more)
        self.assign(node.target, value if frame.sure else UNKNOWN, frame)

    def _delete(self, target: ast.expr, frame: Frame) -> None:
        if isinstance(target, ast.Subscript):
            of, index = self.value(target.value, frame), self.value(target.slice, frame)
            if isinstance(of, dict) and isinstance(index, str):
                of.pop(index, None)

    def _forget(self, target: ast.expr, frame: Frame) -> None:
        self.assign(target, UNKNOWN, frame)

    def _import(self, node: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                source = absolute(frame.module.package, node)
                frame.names[alias.asname or alias.name] = self._imported(
                    Imported(source, alias.name)
                )
            elif alias.asname or "." not in alias.name:
                frame.names[alias.asname or alias.name] = self._imported(Imported(alias.name, None))
