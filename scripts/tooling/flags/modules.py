# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of Python modules that is read, never imported: which name of which module is what."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

type_checking = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


@dataclass(frozen=True)
class Imported:
    """``import module`` (no ``name``), or ``from module import name``."""

    module: str
    name: str | None


@dataclass(frozen=True)
class Class:
    module: Module
    node: ast.ClassDef

    def statements(self) -> Iterator[ast.stmt]:
        yield from self.node.body

    def method(self, name: str) -> ast.FunctionDef | None:
        for statement in self.node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == name:
                return statement
        return None


@dataclass(frozen=True)
class Function:
    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    owner: Class | None = None
    """The class that defines it."""
    receiver: Class | None = None
    """The class that it is called on: ``owner``, or one derived from it."""


Binding = Imported | Class | Function | ast.expr | ast.AugAssign


class Module:
    """Names at the top level of one file, each with all that was bound to it, in order."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.text = path.read_text(encoding="utf-8")
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.stars: list[str] = []
        self.names: dict[str, list[Binding]] = {}
        self.only_for_types: dict[str, list[Binding]] = {}
        """What a type checker sees and the program does not: the last resort."""
        self.tree = ast.parse(self.text)
        self._bind(self.tree.body, self.names)

    def bindings(self, name: str) -> list[Binding]:
        return self.names.get(name) or self.only_for_types.get(name) or []

    def _bind(self, body: Iterable[ast.stmt], names: dict[str, list[Binding]]) -> None:
        for node in body:
            match node:
                case ast.Import():
                    for alias in node.names:
                        target = alias.name if alias.asname else alias.name.partition(".")[0]
                        self._add(names, alias.asname or target, Imported(target, None))
                case ast.ImportFrom():
                    source = self._source(node)
                    for alias in node.names:
                        if alias.name == "*":
                            self.stars.append(source)
                        else:
                            self._add(
                                names, alias.asname or alias.name, Imported(source, alias.name)
                            )
                case ast.ClassDef():
                    self._add(names, node.name, Class(self, node))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._add(names, node.name, Function(self, node))
                case ast.Assign():
                    for one in node.targets:
                        if isinstance(one, ast.Name):
                            self._add(names, one.id, node.value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._add(names, name, value)
                case ast.AugAssign(target=ast.Name(id=name)):
                    self._add(names, name, node)
                case ast.If() if ast.unparse(node.test) in type_checking:
                    self._bind(node.body, self.only_for_types)
                    self._bind(node.orelse, names)
                case ast.If():
                    self._bind(node.body, names)
                    self._bind(node.orelse, names)
                case ast.Try():
                    self._bind([*node.body, *node.orelse], names)
                    for handler in node.handlers:
                        self._bind(handler.body, self.only_for_types)

    @staticmethod
    def _add(names: dict[str, list[Binding]], name: str, binding: Binding) -> None:
        names.setdefault(name, []).append(binding)

    def _source(self, node: ast.ImportFrom) -> str:
        return absolute(self.package, node)


def absolute(package: str, node: ast.ImportFrom) -> str:
    """The full name of the module of a ``from`` import inside ``package``."""
    if not node.level:
        return node.module or ""
    base = package.split(".")
    base = base[: len(base) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


class Tree:
    """The modules below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        if name not in self._read:
            path = self.root.joinpath(*name.split("."))
            candidates = [path.with_name(path.name + ".py"), path / "__init__.py"]
            found = [candidate for candidate in candidates if candidate.is_file()]
            self._read[name] = Module(name, found[0]) if found else None
        return self._read[name]

    def folder(self, name: str) -> bool:
        """Whether there is a package of this name, even one without ``__init__.py``."""
        return self.root.joinpath(*name.split(".")).is_dir()
