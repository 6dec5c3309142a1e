# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's flags: most are derived from the fields of its configuration classes, by rules that this follows.

The rules are those of ``get_kwargs`` in ``vllm/engine/arg_utils.py`` (0.9.2 to 0.33.0); what changed between versions is
read from that function itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tooling.flags.found import Found
from tooling.flags.hints import Hint, hints
from tooling.flags.modules import Class, Function, Module, Tree
from tooling.flags.reading import Reading
from tooling.flags.rows import Style, rows
from tooling.flags.values import UNKNOWN, External, Frame, Object, Parser
from tooling.steps import Failed

_ENTRY = "vllm.entrypoints.cli.serve"
_ARGUMENTS = "vllm.engine.arg_utils"
_ACTION = External("argparse.BooleanOptionalAction")


@dataclass(frozen=True)
class Rules:
    """What ``get_kwargs`` of one version does with a few fields."""

    human: frozenset[str]
    human_or_auto: frozenset[str]
    optional_flags: bool


def extract(root: Path) -> Found:
    tree = Tree(root)
    entry, arguments = tree.module(_ENTRY), tree.module(_ARGUMENTS)
    if not entry or not arguments:
        raise Failed(f"{_ENTRY} and {_ARGUMENTS} are not where they were; look how it parses now")
    rules = _rules(arguments)
    reading = Reading(
        tree,
        {
            "get_kwargs": lambda reading, given, dummy: keywords(reading, given[0], rules),
            "get_field": _get_field,
        },
    )
    command = entry.bindings("ServeSubcommand")[0]
    assert isinstance(command, Class)
    method = command.method("subparser_init")
    assert method
    reading.call(Function(entry, method, command), [Parser()], {})
    found = rows(reading, Style(dashes=True, inverse=_pairs_enable_with_disable(tree)))
    found.missing += sorted(set(_expected(tree, entry, arguments)) - found.known())
    return found


# -- get_kwargs ------------------------------------------------------------------------------------


def keywords(reading: Reading, cls: Any, rules: Rules) -> Any:
    """Keyword arguments of ``add_argument`` for each field of a class."""
    if isinstance(cls, Object):
        cls = cls.cls
    if not isinstance(cls, Class):
        return UNKNOWN
    found: dict[str, dict[str, Any]] = {}
    for base in reversed(reading.bases(cls)):
        for name, annotation, value in fields(base):
            default = reading.default(value, Frame(base.module, {})) if value else UNKNOWN
            alternatives = hints(reading, annotation, base.module)
            found[name] = {"default": default} | _from_hints(name, alternatives, rules)
    return found


def fields(cls: Class) -> Iterator[tuple[str, ast.expr, ast.expr | None]]:
    for node in cls.node.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if not ast.unparse(annotation).startswith(("ClassVar", "InitVar")):
                    yield name, annotation, node.value


def _from_hints(name: str, alternatives: list[Hint], rules: Rules) -> dict[str, Any]:
    kinds = {hint.kind: hint for hint in reversed(alternatives)}
    if "dataclass" in kinds:
        return {"type": External("json.loads")}
    if rules.optional_flags and set(kinds) == {"bool", "str", "none"}:
        return {"type": External("str"), "nargs": "?"}
    if "bool" in kinds:
        return {"action": _ACTION}
    if "literal" in kinds:
        return _literal(kinds["literal"], "str" in kinds)
    for kind in ("tuple", "list", "set"):
        if kind in kinds:
            return _collection(kinds[kind])
    if "int" in kinds:
        return {"type": _integer(name, rules)}
    if "float" in kinds:
        return {"type": External("float")}
    if "dict" in kinds:
        other = set(kinds) - {"dict", "none"}
        return {"type": External("union_dict_and_str" if other else "json.loads")}
    return {"type": External("str")}


def _integer(name: str, rules: Rules) -> External:
    if name in rules.human_or_auto:
        return External("human_readable_int_or_auto")
    return External("human_readable_int" if name in rules.human else "int")


def _literal(hint: Hint, also_text: bool) -> dict[str, Any]:
    """Choices bind only where any other text is not allowed as well."""
    values = list(hint.parts)
    said: dict[str, Any] = {"type": External(type(values[0]).__name__) if values else UNKNOWN}
    if not also_text:
        said["choices"] = sorted(values) if values else UNKNOWN
    return said


def _collection(hint: Hint) -> dict[str, Any]:
    parts = [part for part in hint.parts if part != "..."]
    inner = list(parts[0]) if parts else []
    said: dict[str, Any] = {"type": UNKNOWN, "nargs": "+"}
    if hint.kind == "tuple" and "..." not in hint.parts:
        said["nargs"] = len(hint.parts)
    if len(inner) == 1 and inner[0].kind == "literal":
        return said | _literal(inner[0], also_text=False)
    if len(inner) == 1 and inner[0].kind in ("int", "float", "str"):
        said["type"] = External(inner[0].kind)
    elif inner:
        said["type"] = External("str")
    return said


def _get_field(reading: Reading, given: list[Any], dummy: dict[str, Any]) -> Any:
    """``get_field(Class, "name")``: the default of a field."""
    return reading.attribute(given[0], given[1]) if len(given) == 2 else UNKNOWN


# -- What a version does -----------------------------------------------------------------------------


def _rules(arguments: Module) -> Rules:
    body = [
        node
        for node in arguments.tree.body
        if isinstance(node, ast.FunctionDef) and node.name in ("get_kwargs", "_compute_kwargs")
    ]
    text = "\n".join(ast.unparse(node) for node in body)
    sets: dict[str, set[str]] = {"human_readable_int": set(), "human_readable_int_or_auto": set()}
    named: dict[str, set[str]] = {}
    for node in (one for function in body for one in ast.walk(function)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Set() as value):
                named[name] = _texts(value)
            case ast.If(test=ast.Compare(left=ast.Name(id="name"), comparators=[what])):
                names = named.get(what.id, set()) if isinstance(what, ast.Name) else _texts(what)
                for statement in node.body:
                    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
                        sets.get(statement.value.id, set()).update(names)
    return Rules(
        frozenset(sets["human_readable_int"]),
        frozenset(sets["human_readable_int_or_auto"]),
        "{bool, str, type(None)}" in text,
    )


def _texts(node: ast.AST) -> set[str]:
    return {
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def _pairs_enable_with_disable(tree: Tree) -> bool:
    """Whether ``--enable-x`` has a second opposite, ``--disable-x``, and the other way round."""
    module = tree.module("vllm.utils.argparse_utils")
    return bool(module and module.bindings("EnableDisableAction"))


# -- Completeness ------------------------------------------------------------------------------------


def _expected(tree: Tree, entry: Module, arguments: Module) -> Iterator[str]:
    """Every name that a coarse look at the text finds: in ``add_argument``, and the fields of the front end's classes."""
    texts = [entry.text, arguments.text]
    definition = re.compile(r"""\.add_argument\(\s*f?["'](-{0,2}[\w-]+)["']""")
    for path in sorted(tree.root.glob("vllm/entrypoints/**/cli_args.py")):
        module_text = path.read_text(encoding="utf-8")
        if "def make_arg_parser" not in module_text:
            continue
        texts.append(module_text)
        for block in re.findall(
            r"^class \w*FrontendArgs\b.*?:\n(.*?)(?=^\S)", module_text, re.MULTILINE | re.DOTALL
        ):
            for name in re.findall(r"^    ([a-z]\w*): ", block, re.MULTILINE):
                yield "--" + name.replace("_", "-")
    for text in texts:
        for name in definition.findall(text):
            yield name.replace("_", "-") if name.startswith("-") else name
