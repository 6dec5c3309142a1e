# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SGLang's flags, in the three ways that it has defined them.

Up to 0.5.14 ``ServerArgs.add_cli_args`` calls ``add_argument`` for each. From 0.5.15 on most are derived from fields such as
``host: A[str, "help"] = "..."`` of ``ServerArgs``, and from 0.5.18 on those fields stand in the classes of
``arg_groups/fields``; ``add_cli_args_from_dataclass`` says how.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tooling.flags.found import Found
from tooling.flags.hints import Hint, hints
from tooling.flags.modules import Class, Function, Module, Tree
from tooling.flags.reading import Reading
from tooling.flags.rows import rows
from tooling.flags.values import UNKNOWN, Argument, External, Frame, Parser
from tooling.steps import Failed

_ARGUMENTS = "sglang.srt.server_args"
_FIELDS = "sglang/srt/arg_groups/fields/*.py"


def extract(root: Path) -> Found:
    tree = Tree(root)
    module = tree.module(_ARGUMENTS)
    server = module.bindings("ServerArgs")[0] if module and module.bindings("ServerArgs") else None
    method = server.method("add_cli_args") if isinstance(server, Class) else None
    if not module or not isinstance(server, Class) or not method:
        raise Failed(f"{_ARGUMENTS} has no ServerArgs.add_cli_args; look how it parses now")
    classes = [server, *_namespaces(tree)]
    reading = Reading(
        tree,
        {
            "add_cli_args_from_dataclass": lambda reading, dummy_given, dummy_named: _add_fields(
                reading, classes
            ),
            "_declared_default": lambda reading, given, dummy_named: _declared(
                reading, classes, given[0]
            ),
        },
    )
    reading.call(Function(module, method, server, server), [Parser()], {})
    found = rows(reading)
    found.missing += sorted(set(_expected(tree, method, module)) - found.known())
    return found


def _namespaces(tree: Tree) -> list[Class]:
    """The classes whose fields make up ``ServerArgs``, in the newest layout."""
    found = []
    for path in sorted(tree.root.glob(_FIELDS)):
        name = ".".join(path.relative_to(tree.root).with_suffix("").parts)
        module = tree.module(name)
        for bound in module.names.values() if module else ():
            one = bound[0]
            if isinstance(one, Class) and "_NS_PATH" in ast.unparse(one.node):
                found.append(one)
    return found


def _add_fields(reading: Reading, classes: list[Class]) -> None:
    for cls in classes:
        for node in cls.node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                argument = _field(reading, cls, node, node.target.id)
                if argument:
                    reading.arguments.append(argument)


def _field(reading: Reading, cls: Class, node: ast.AnnAssign, name: str) -> Argument | None:
    """The argument that one field stands for, if any."""
    annotation = node.annotation
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) not in (
        "A",
        "Annotated",
    ):
        return None
    assert isinstance(annotation.slice, ast.Tuple)
    kind, *more = annotation.slice.elts
    said = _said(reading, cls.module, more)
    if said is None or said.get("no_cli"):
        return None
    names = [said.get("cli_name") or "--" + name.replace("_", "-"), *(said.get("aliases") or [])]
    options: dict[str, Any] = {"dest": name}
    if node.value:
        options["default"] = reading.default(node.value, Frame(cls.module, {}))
    else:
        options["default"] = UNKNOWN
    if said.get("action") is not None:
        return Argument(
            names, options | {"action": said["action"]} | (said.get("action_kwargs") or {})
        )
    return Argument(names, options | _derived(reading, kind, cls.module, said))


def _said(reading: Reading, module: Module, more: list[ast.expr]) -> dict[str, Any] | None:
    """What ``Arg(...)`` says beside the type; nothing where there is only a text; ``None`` where there is neither."""
    for one in more:
        if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("Arg"):
            return {
                keyword.arg: reading.value(keyword.value, Frame(module, {}))
                for keyword in one.keywords
                if keyword.arg and keyword.arg != "help"
            }
        if not isinstance(one, ast.Call):
            return {}
    return None


def _derived(
    reading: Reading, kind: ast.expr, module: Module, said: dict[str, Any]
) -> dict[str, Any]:
    """Keyword arguments of ``add_argument`` for a field without an action of its own."""
    found = [hint for hint in hints(reading, kind, module) if hint.kind != "none"]
    one = found[0] if len(found) == 1 else None
    given = {key: said[key] for key in ("choices", "nargs") if said.get(key) is not None}
    parser = said.get("type_parser")
    if one and one.kind == "literal":
        values = list(one.parts)
        plain = External(type(values[0]).__name__) if values else UNKNOWN
        return {"choices": values or UNKNOWN, "type": parser or plain} | given
    if one and one.kind == "list" and parser is None:
        inner: tuple[Hint, ...] = one.parts[0] if one.parts else ()
        known = len(inner) == 1 and inner[0].kind in ("int", "float")
        return {"type": External(inner[0].kind if known else "str"), "nargs": "+"} | given
    if one and one.kind == "bool":
        return {"action": "store_true"}
    plain = External(one.kind if one and one.kind in ("int", "float") else "str")
    return {"type": parser or plain} | given


def _declared(reading: Reading, classes: list[Class], name: str) -> Any:
    for cls in classes:
        value = reading.attribute(cls, name)
        if value is not UNKNOWN:
            return value
    return UNKNOWN


def _expected(tree: Tree, method: ast.FunctionDef, module: Module) -> Iterator[str]:
    """Every name that a coarse look at the text finds: in ``add_argument``, and at the head of a field."""
    lines = module.text.splitlines()[method.lineno - 1 : method.end_lineno]
    yield from re.findall(r"""\.add_argument\(\s*f?["'](-{0,2}[\w-]+)["']""", "\n".join(lines))
    texts = [module.text, *(path.read_text("utf-8") for path in tree.root.glob(_FIELDS))]
    field = re.compile(r"^    ([a-z]\w*): A\[(.*?)(?=^    [^\s\]])", re.MULTILINE | re.DOTALL)
    for text in texts:
        for name, body in field.findall(text + "\n    end"):
            # Without a help text or an Arg() a field is no flag.
            said = re.sub(r"""NS\(["'][^"']*["']\)|\#.*""", "", body)
            if "no_cli=True" not in body and re.search(r"""["']|\bArg\(""", said):
                own = re.search(r"""cli_name=["']([^"']+)["']""", body)
                yield own[1] if own else "--" + name.replace("_", "-")
