# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what comes from tables: each role's defaults, argument specs and README from that of variables, the reference
pages of flags from those of engines, the runbook from that of signatures, what AWX has of ours, and rules and
dashboards from that of what is watched.

``scripts/generate`` writes the files, ``scripts/generate --check`` says which ones are not what it
would write.
"""

from __future__ import annotations

import difflib
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _catalogue,
    _finding,
    _signature_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import (
    REQUIRED,
    TYPES,
    Option,
    plain,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._signature import Signature
from tooling import awx, runbooks
from tooling.flags import pages
from tooling.llmhop import page as llmhop
from tooling.variables import ROLES, default, example, literal
from tooling.watching import render

ROOT = Path(__file__).resolve().parent.parent.parent
SPDX = "# SPDX-FileCopyrightText: The OneHop authors\n# SPDX-License-Identifier: GPL-3.0-or-later\n"
MADE = "# Made by scripts/generate from plugins/plugin_utils; change the table there.\n"
BEGIN = "<!-- Made by scripts/generate: variables -->"
BEGIN_LLMHOP = "<!-- Made by scripts/generate from scripts/tooling/llmhop -->"
END = "<!-- End of what scripts/generate made -->"
SHORT = {
    "gpu_host": "Have what a host needs once to run models in rootless containers",
    "llama_cpp": "Serve models with llama.cpp, each as a hardened systemd unit",
    "sglang": "Serve models with SGLang, each as a rootless container of a lingering account",
    "vllm": "Serve models with vLLM, each as a rootless container of a lingering account",
    "monitoring": "Have a Prometheus watch routers, engines and hosts, with rules and dashboards",
    "router": "Put one OpenAI-compatible endpoint in front of all models",
}


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dump(data: Any) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=96, allow_unicode=True)
    return text


def defaults(options: Sequence[Option]) -> str:
    blocks = [
        "\n".join(f"# {line}" for line in textwrap.wrap(plain(option.doc), 94))
        + "\n"
        + dump({option.name: option.default})
        for option in options
    ]
    return SPDX + MADE + "---\n" + "\n".join(blocks)


def argument_specs(role: str, options: Sequence[Option]) -> str:
    spec: dict[str, Any] = {
        "argument_specs": {
            "main": {
                "short_description": SHORT[role],
                "description": [
                    f"{SHORT[role]}. See the role's README for the keys of dictionaries."
                ],
                "author": ["The OneHop authors"],
                "version_added": "0.1.0",
                "options": {option.name: argument(option) for option in options},
            }
        }
    }
    return SPDX + MADE + "---\n" + dump(spec)


def meta(role: str) -> str:
    """What Galaxy and ansible-lint want to know of a role; it needs no other."""
    info = {
        "author": "The OneHop authors",
        "description": SHORT[role],
        "license": "GPL-3.0-or-later",
        "min_ansible_version": "2.18.0",
        "standalone": False,
    }
    return SPDX + MADE + "---\n" + dump({"galaxy_info": info, "dependencies": []})


def argument(option: Option) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": TYPES[option.type].argument, "description": [option.doc]}
    shown = literal(example(option))
    # Ansible would fill in a template, and its markup ends at a parenthesis.
    if len(shown) < 120 and not re.search(r"\{\{|[()]", shown):
        spec["description"].append(f"For example C({shown}).")
    if option.type == "list":
        spec["elements"] = TYPES[option.elements or "str"].argument
    if option.default is REQUIRED:
        spec["required"] = True
    elif option.default is not None:
        spec["default"] = option.default
    if option.choices:
        spec["choices"] = list(option.choices)
    return spec


def within(path: Path, begin: str, lines: Iterator[str]) -> str:
    """A page whose part between ``begin`` and the end is made, and whose rest is written by hand."""
    text = path.read_text() if path.exists() else f"{begin}\n{END}\n"
    before, dummy, rest = text.partition(begin)
    dummy, dummy, after = rest.partition(END)
    return before + begin + "\n\n" + "\n".join(lines) + "\n" + END + after


def tables(options: Sequence[Option]) -> Iterator[str]:
    yield from table(options)
    for option in options:
        yield from keys(option, option.name)


def keys(option: Option, where: str) -> Iterator[str]:
    if not option.keys:
        return
    inner = f"{where}.<name>" if option.type == "map" else where
    yield f"### `{inner}`"
    yield ""
    yield from table(option.keys)
    for key in option.keys:
        yield from keys(key, f"{inner}.{key.name}")


def table(options: Sequence[Option]) -> Iterator[str]:
    yield "| name | type | default | what it is | for example |"
    yield "| --- | --- | --- | --- | --- |"
    for option in options:
        kind = TYPES[option.type].argument
        doc = re.sub(r"\b[COVM]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", option.doc)
        if option.choices:
            doc += f" One of {', '.join(f'`{choice}`' for choice in option.choices)}."
        cells = (f"`{option.name}`", kind, default(option), doc, f"`{literal(example(option))}`")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


DIAGNOSES = """\
<!--
SPDX-FileCopyrightText: The OneHop authors
SPDX-License-Identifier: GPL-3.0-or-later
Made by scripts/generate from plugins/plugin_utils/_signatures_*.py; change the table there.
-->

# When a worker fails

A worker that does not become ready fails the play with what it was doing, for how long, a diagnosis where its journal has a known
sign, and its last words. The playbook `onehop.llm.status` shows the diagnosis of workers that failed or were restarted, and on a
host `onehop ENGINE why MODEL` tells all of it again, at any time. Each points here by a name.

Where several signs meet, the one that tells most wins, and of those the last; what only follows from a failure, such as
[engine-dead](#engine-dead), is told where nothing else is known. Mends are in the inventory's words; NAME is the model's key.
Under a sign stands a line as its program prints it.

Called at night? The runbooks go from what you see to what to run and to the mend: [a worker does not start](runbooks/worker.md),
[GPU and driver](runbooks/gpu.md), [memory](runbooks/memory.md), [NCCL](runbooks/nccl.md), [weights and the hub](runbooks/hub.md),
[Podman](runbooks/podman.md), [disks](runbooks/disk.md), [the router and its edges](runbooks/router.md).
"""


def diagnoses() -> str:
    """The runbook: every signature by chapter, what one sees, what it is, and the mend."""
    parts = [DIAGNOSES]
    for chapter, rows in _signature_table.CHAPTERS.items():
        parts.append(f"\n## {chapter}\n")
        parts += [entry(row) for row in rows]
    return "".join(parts)


def entry(row: Signature) -> str:
    """One signature."""
    texts = {"cause": row.cause, "mend": row.mend, "mends": {}}
    told = {row.role: texts} | {role: {**texts, "mend": mend} for role, mend in row.mends.items()}
    matches = [re.search(one, line) for line in row.example.split("\n") for one in row.patterns]
    caught = next(match.groups("") for match in matches if match)
    lines = [f"\n### {row.id}\n", "```", *row.example.split("\n"), "```", ""]
    for role, said in told.items():
        unit = f"{role.replace('_', '-')}-NAME.service"
        found = {"row": said, "groups": caught}
        words = _finding.names(role, unit, {})
        if role == row.role:
            lines.append(f"Likely {_finding.cause(found, words)}.")
            lines.append("")
        whose = f"{_catalogue.ENGINES[role].title}: " if len(told) > 1 else ""
        lines.append(f"- {whose}{_finding.mend(found, words)}")
    family = runbooks.family(row.id)
    lines += ["", f"Runbook: [{family}](runbooks/{family}.md)"]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    moving = ROOT / "docs" / "moving" / "from-llmhop.md"
    made = {
        ROOT / "docs" / "diagnoses.md": diagnoses(),
        moving: within(moving, BEGIN_LLMHOP, llmhop.tables()),
    }
    for name in runbooks.FAMILIES:
        path = ROOT / "docs" / "runbooks" / f"{name}.md"
        made[path] = within(path, runbooks.BEGIN, runbooks.table(name))
    for role, options in ROLES.items():
        home = ROOT / "roles" / role
        made[home / "defaults" / "main.yml"] = defaults(options)
        made[home / "meta" / "argument_specs.yml"] = argument_specs(role, options)
        made[home / "meta" / "main.yml"] = meta(role)
        made[home / "README.md"] = within(home / "README.md", BEGIN, tables(options))
    return made | pages.files() | awx.files() | render.files()


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in files().items():
        have = path.read_text() if path.exists() else ""
        if have == text:
            continue
        if check:
            stale += 1
            name = str(path.relative_to(ROOT))
            diff = difflib.unified_diff(have.split("\n"), text.split("\n"), name, name, n=1)
            print("\n".join(list(diff)[:30]))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    if stale:
        print(f"{stale} files are not what the table says: run scripts/generate")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
