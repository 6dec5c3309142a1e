# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of expressions, as far as the text tells them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any

from tooling.flags.modules import Class, Function, Module
from tooling.flags.names import OPERATORS, Names
from tooling.flags.values import UNKNOWN, Alternatives, External, Frame, Member, Object

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.Gt: operator.gt,
    ast.LtE: operator.le, ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip


class Expressions(Names):
    """Works out expressions. What only running the code would tell is ``UNKNOWN``."""

    def call(self, function: Any, positional: list[Any], named: dict[str, Any]) -> Any:
        raise NotImplementedError

    def value(self, node: ast.expr | None, frame: Frame) -> Any:
        """The value of an expression, or ``UNKNOWN``."""
        reader = getattr(self, f"_{type(node).__name__.lower()}", None)
        return reader(node, frame) if reader else UNKNOWN

    def _constant(self, node: ast.Constant, dummy: Frame) -> Any:
        return node.value

    def _name(self, node: ast.Name, frame: Frame) -> Any:
        if node.id in frame.names:
            return frame.names[node.id]
        return self.find(frame.module, node.id)

    def _joinedstr(self, node: ast.JoinedStr, frame: Frame) -> Any:
        parts = [
            self.value(part.value if isinstance(part, ast.FormattedValue) else part, frame)
            for part in node.values
        ]
        known = all(isinstance(part, (str, int, float)) for part in parts)
        return "".join(str(part) for part in parts) if known else UNKNOWN

    def _list(self, node: ast.List, frame: Frame) -> Any:
        return self.elements(node.elts, frame)

    def _tuple(self, node: ast.Tuple, frame: Frame) -> Any:
        found = self.elements(node.elts, frame)
        return tuple(found) if isinstance(found, list) else UNKNOWN

    def _set(self, node: ast.Set, frame: Frame) -> Any:
        found = self.elements(node.elts, frame)
        try:
            return set(found) if isinstance(found, list) else UNKNOWN
        except TypeError:
            return UNKNOWN

    def elements(self, nodes: Sequence[ast.expr], frame: Frame) -> Any:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                more = self.iterable(self.value(node.value, frame))
                if more is UNKNOWN:
                    return UNKNOWN
                found += more
            else:
                found.append(self.value(node, frame))
        return found

    def _dict(self, node: ast.Dict, frame: Frame) -> Any:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            inner = self.value(value, frame)
            if key is None:
                if not isinstance(inner, dict):
                    return UNKNOWN
                found |= inner
                continue
            name = self.value(key, frame)
            if name is UNKNOWN or isinstance(name, (list, dict)):
                return UNKNOWN
            found[name] = inner
        return found

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Any:
        return Function(frame.module, node, frame.owner)

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        return self.attribute(self.value(node.value, frame), node.attr)

    def attribute(self, of: Any, name: str) -> Any:
        if isinstance(of, External):
            return External(f"{of.name}.{name}")
        if isinstance(of, Module):
            inner = self.tree.module(f"{of.name}.{name}")
            return self.find(of, name) if of.bindings(name) or of.stars else inner or UNKNOWN
        if isinstance(of, Member) and name in ("name", "value"):
            return of.name if name == "name" else of.value
        if isinstance(of, Member) and isinstance(of.value, str):
            return UNKNOWN
        if isinstance(of, Object):
            of = of.cls
        if isinstance(of, Class):
            return self._class_attribute(of, name)
        return UNKNOWN

    def _class_attribute(self, cls: Class, name: str) -> Any:
        if name == "__name__":
            return cls.node.name
        for base in self.bases(cls):
            method = base.method(name)
            if method:
                return Function(base.module, method, base, cls)
            if self.is_enum(base):
                for member in self.members(base):
                    if member.name == name:
                        return member
            inside = Frame(base.module, {})
            for statement in base.node.body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if (
                        found == name
                    ):
                        return self.default(value, inside)
                    case ast.Assign(targets=[ast.Name(id=found)], value=value):
                        inside.names[found] = self.value(value, inside)
                        if found == name:
                            return inside.names[found]
        return UNKNOWN

    def default(self, node: ast.expr, frame: Frame) -> Any:
        """The default of a field of a dataclass: a value, or what ``field(...)`` says."""
        if isinstance(node, ast.Call):
            function = self.value(node.func, frame)
            if isinstance(function, External) and function.name.rpartition(".")[2].lower() in (
                "field",
                "config",
            ):
                return self._field(node, frame)
        return self.value(node, frame)

    def _field(self, node: ast.Call, frame: Frame) -> Any:
        said = {keyword.arg: keyword.value for keyword in node.keywords}
        if node.args:
            said["default"] = node.args[0]
        if "default" in said:
            return self.value(said["default"], frame)
        if "default_factory" in said:
            return self.call(self.value(said["default_factory"], frame), [], {})
        return UNKNOWN

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        of = self.value(node.value, frame)
        if isinstance(of, External) and of.name.rpartition(".")[2] == "Literal":
            return self._literal(node, frame)
        index = self.value(node.slice, frame)
        if isinstance(of, (dict, list, tuple, str)) and index is not UNKNOWN:
            try:
                return of[index]
            except (KeyError, IndexError, TypeError):
                return UNKNOWN
        if isinstance(of, Class) and self.is_enum(of) and isinstance(index, str):
            return self._class_attribute(of, index)
        return UNKNOWN

    def _literal(self, node: ast.Subscript, frame: Frame) -> Any:
        nodes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        values: list[Any] = []
        for value in (self.value(one, frame) for one in nodes):
            values += value.values if isinstance(value, Alternatives) else [value]
        return UNKNOWN if any(one is UNKNOWN for one in values) else Alternatives(tuple(values))

    def _binop(self, node: ast.BinOp, frame: Frame) -> Any:
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        return self.operate(OPERATORS.get(type(node.op)), left, right)

    def _unaryop(self, node: ast.UnaryOp, frame: Frame) -> Any:
        value = self.value(node.operand, frame)
        if isinstance(node.op, ast.Not):
            truth = self.truth(value)
            return UNKNOWN if truth is None else not truth
        if isinstance(node.op, ast.USub) and isinstance(value, (int, float)):
            return 0 - value
        return UNKNOWN

    def _boolop(self, node: ast.BoolOp, frame: Frame) -> Any:
        value: Any = UNKNOWN
        for one in node.values:
            value = self.value(one, frame)
            truth = self.truth(value)
            if truth is None:
                return UNKNOWN
            if truth is isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node: ast.Compare, frame: Frame) -> Any:
        left = self.value(node.left, frame)
        for how, other in zip(node.ops, node.comparators, strict=True):
            right = self.value(other, frame)
            if not self.known(left) or not self.known(right):
                return UNKNOWN
            try:
                if not _COMPARISONS[type(how)](left, right):
                    return False
            except TypeError:
                return UNKNOWN
            left = right
        return True

    def _ifexp(self, node: ast.IfExp, frame: Frame) -> Any:
        truth = self.truth(self.value(node.test, frame))
        if truth is not None:
            return self.value(node.body if truth else node.orelse, frame)
        one, other = self.value(node.body, frame), self.value(node.orelse, frame)
        return one if self.known(one) and one == other else UNKNOWN

    def known(self, value: Any) -> bool:
        """Whether a value may be compared."""
        if isinstance(value, (list, tuple, set)):
            return all(self.known(one) for one in value)
        return value is None or isinstance(value, (str, int, float, dict))

    def truth(self, value: Any) -> bool | None:
        return bool(value) if self.known(value) else None

    def _listcomp(self, node: ast.ListComp, frame: Frame) -> Any:
        return self._comprehension(node, frame)

    def _setcomp(self, node: ast.SetComp, frame: Frame) -> Any:
        return self._comprehension(node, frame)

    def _generatorexp(self, node: ast.GeneratorExp, frame: Frame) -> Any:
        return self._comprehension(node, frame)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame
    ) -> Any:
        if len(node.generators) > 1:
            return UNKNOWN
        [loop] = node.generators
        values = self.iterable(self.value(loop.iter, frame))
        if values is UNKNOWN:
            return UNKNOWN
        found = []
        for value in values:
            inner = Frame(frame.module, dict(frame.names), frame.owner)
            self.assign(loop.target, value, inner)
            truths = [self.truth(self.value(test, inner)) for test in loop.ifs]
            if None in truths:
                return UNKNOWN
            if all(truths):
                found.append(self.value(node.elt, inner))
        return found

    def iterable(self, value: Any) -> Any:
        """The elements as a list, or ``UNKNOWN``."""
        if isinstance(value, Class) and self.is_enum(value):
            return self.members(value)
        if isinstance(value, set):
            return sorted(value, key=str)
        return list(value) if isinstance(value, (list, tuple, dict)) else UNKNOWN

    def assign(self, target: ast.expr, value: Any, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = self.iterable(value)
            known = parts is not UNKNOWN and len(parts) == len(target.elts)
            for index, one in enumerate(target.elts):
                self.assign(one, parts[index] if known else UNKNOWN, frame)
        elif isinstance(target, ast.Subscript):
            of, index = self.value(target.value, frame), self.value(target.slice, frame)
            if isinstance(of, (dict, list)) and isinstance(index, (str, int)):
                of[index] = value
