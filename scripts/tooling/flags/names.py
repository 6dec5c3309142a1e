# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names of modules and classes stand for, in code that is read and not run."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tooling.flags.modules import Class, Function, Imported, Module, Tree
from tooling.flags.values import UNKNOWN, Calling, External, Frame, Member

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow,
    ast.BitOr: operator.or_, ast.BitAnd: operator.and_, ast.LShift: operator.lshift,
}  # fmt: skip
_DEEPEST = 30


@dataclass
class Names:
    """Follows names through the modules of a tree."""

    tree: Tree

    def __post_init__(self) -> None:
        self.depth = 0

    def value(self, node: ast.expr | None, frame: Frame) -> Any:
        raise NotImplementedError

    def too_deep(self) -> bool:
        return self.depth > _DEEPEST

    def operate(self, how: Callable[[Any, Any], Any] | None, left: Any, right: Any) -> Any:
        plain = (str, int, float, list, tuple, set, dict)
        if not how or not isinstance(left, plain) or not isinstance(right, plain):
            return UNKNOWN
        try:
            return how(left, right)
        except (TypeError, ValueError, ArithmeticError):
            return UNKNOWN

    def find(self, module: Module, name: str) -> Any:
        """The value of a name of a module."""
        bound = module.bindings(name)
        if not bound:
            for star in module.stars:
                other = self.tree.module(star)
                if other and other.bindings(name):
                    return self.find(other, name)
            return External(name) if hasattr(builtins, name) else UNKNOWN
        plain = [binding for binding in bound if not isinstance(binding, ast.AugAssign)]
        if not plain or (len(plain) > 1 and isinstance(plain[0], ast.expr)):
            # Bound in several places: which one counts is decided when it runs.
            values = [self._bound(module, binding) for binding in plain]
            return values[0] if values and all(value == values[0] for value in values) else UNKNOWN
        value = self._bound(module, plain[0])
        for binding in bound:
            if isinstance(binding, ast.AugAssign):
                more = self.value(binding.value, Frame(module, {}))
                value = self.operate(OPERATORS.get(type(binding.op)), value, more)
        return value

    def _bound(self, module: Module, binding: Any) -> Any:
        if isinstance(binding, Imported):
            return self._imported(binding)
        if isinstance(binding, (Class, Function)):
            return binding
        if self.too_deep():
            return UNKNOWN
        self.depth += 1
        try:
            return self.value(binding, Frame(module, {}))
        finally:
            self.depth -= 1

    def _imported(self, what: Imported) -> Any:
        if what.name is None:
            return self.tree.module(what.module) or External(what.module)
        inner = self.tree.module(f"{what.module}.{what.name}")
        module = self.tree.module(what.module)
        if module and (module.bindings(what.name) or module.stars) and not self.too_deep():
            self.depth += 1
            try:
                return self.find(module, what.name)
            finally:
                self.depth -= 1
        if inner:
            return inner
        return UNKNOWN if module else External(f"{what.module}.{what.name}")

    def bases(self, cls: Class) -> list[Class]:
        """The class and those that it is derived from, nearest first, as far as they are in the tree."""
        found = [cls]
        for base in cls.node.bases:
            value = self.value(base, Frame(cls.module, {}))
            if isinstance(value, Class):
                found += [one for one in self.bases(value) if one not in found]
        return found

    def is_enum(self, cls: Class) -> bool:
        names = [ast.unparse(base) for one in self.bases(cls) for base in one.node.bases]
        return any(name.rpartition(".")[2].endswith(("Enum", "Flag")) for name in names)

    def members(self, cls: Class) -> list[Member]:
        """Members of an enumeration, in order."""
        found: list[Member] = []
        for statement in cls.node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                if not name.startswith("_"):
                    value = self.value(statement.value, Frame(cls.module, {}))
                    automatic = isinstance(value, Calling) and value.function == External("auto")
                    found.append(Member(name, len(found) + 1 if automatic else value))
        return found
