# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows is so: inventories plan, commands run or name things that are there, data can be read."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onehop.llm.plugins.module_utils import _operator
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES
from tooling import blocks
from tooling.blocks import SHELLS, Block

from . import docs_planning
from .playbooks import ROOT

ALL = [block for page in blocks.pages() for block in blocks.blocks(page)]
YAML = [block for block in ALL if block.language in ("yaml", "yml")]
SHELL = [block for block in ALL if block.language in SHELLS]
RUN_HERE = [block for block in SHELL if block.notes.get("run") == ""]


def of(chosen: list[Block]) -> Any:
    return pytest.mark.parametrize("block", chosen, ids=[block.where for block in chosen])


def test_every_page_is_read() -> None:
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= {
        block.name for block in blocks.pages()
    }
    assert len(YAML) > 10 and len(SHELL) > 5


@of([block for block in ALL if "with" in block.notes or block.language in ("yaml", "yml")])
def test_yaml_is_planned_or_says_why_not(block: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    if "not run" in block.notes or reads(block.notes.get("run", ""), block.page):
        return
    kind = docs_planning.shape(data)
    more = yaml.safe_load(block.notes.get("with", "{}"))
    assert kind != "other", (
        f"{block.where} is no inventory, variables, plays or tasks of ours. What is it? Say it above the fence: "
        "<!-- not run: it is Prometheus' configuration -->"
    )
    if kind == "inventory":
        docs_planning.of_inventory(data, tmp_path, more)
    elif kind == "variables":
        docs_planning.of_variables(data, tmp_path, more)
    elif kind == "plays":
        docs_planning.of_variables(docs_planning.roles_of(data), tmp_path, more)


def test_plays_and_tasks_are_ansible(tmp_path: Path) -> None:
    """All of them in one go, so the error's line tells which."""
    plays: list[Any] = []
    for block in YAML:
        data = None if {"run", "not run"} & set(block.notes) else yaml.safe_load(block.text)
        if docs_planning.shape(data) == "plays":
            plays += [{"name": block.where, **play} for play in data]
        elif docs_planning.shape(data) == "tasks":
            plays.append(
                {"name": block.where, "hosts": "all", "gather_facts": False, "tasks": data}
            )
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays, sort_keys=False, allow_unicode=True))
    done = run(["ansible-playbook", "-i", "localhost,", "--syntax-check", "play.yml"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@of(SHELL)
def test_commands_are_run_or_say_why_not(block: Block) -> None:
    notes = block.notes
    assert len({"run", "not run"} & set(notes)) == 1, (
        f"{block.where}: say above the fence whether it is run: <!-- run -->, <!-- run: SCENARIO --> or "
        "<!-- not run: REASON -->"
    )
    assert "run" in notes or len(notes["not run"]) > 8, f"{block.where}: the reason is too short"
    if notes.get("run"):
        assert reads(notes["run"], block.page), f"{block.where}: {notes['run']} does not read it"


def reads(runner: str, page: Path) -> bool:
    """Whether a scenario, or a folder of tests, names a page or the folder that it lies in."""
    if not runner:
        return False
    folder = ROOT / "molecule" / runner
    folder = folder if folder.is_dir() else ROOT / runner
    texts = [path.read_text() for path in folder.glob("*.*") if path.suffix in (".py", ".yml")]
    lies_in = [str(page), str(page.parent)] if page.parent != Path("docs") else [str(page)]
    return any(name in text for name in lies_in for text in texts)


@of(SHELL)
def test_commands_are_shell_and_name_what_there_is(block: Block) -> None:
    text = block.commands
    assert text.strip(), f"{block.where}: no command; a console has them behind $ or #"
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block.where}: {done.stderr}"
    assert not missing(text), f"{block.where}: {missing(text)}"


def missing(text: str) -> list[str]:
    """What commands name of ours and is not there."""
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    found = [
        f"make {name}" for name in re.findall(r"\bmake ([a-z][\w-]*)", text) if name not in made
    ]
    found += [
        name
        for name in re.findall(r"(?<![\w/.-])scripts/[\w-]+", text)
        if not (ROOT / name).exists()
    ]
    places = ("playbooks/{}.yml", "plugins/modules/{}.py", "plugins/filter/{}.py", "roles/{}")
    for name in re.findall(r"\bonehop\.llm\.(\w+)", text):
        if not any((ROOT / place.format(name)).exists() for place in places):
            found.append(f"onehop.llm.{name}")
    for engine, verb in re.findall(r"(?:^|sudo )onehop (\w+)(?: (\S+))?", text, re.MULTILINE):
        verbs = " ".join(re.findall(r"onehop ENGINE (\S+)", _operator.USAGE))
        if engine in ENGINES and verb not in re.split(r"[ |]", verbs):
            found.append(f"onehop {engine} {verb}")
    return found


@of(RUN_HERE)
def test_commands_run(block: Block, tmp_path: Path) -> None:
    """As written, beside the page's own files. A host that they name would be reached by no connection."""
    for other in blocks.blocks(block.page):
        if other.file:
            (tmp_path / other.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / other.file).write_text(other.text, encoding="utf-8")
    done = run(["bash", "-e", "-o", "pipefail", "-c", block.commands], tmp_path)
    assert done.returncode == 0, f"{block.where}: {done.stdout}{done.stderr}"
    assert blocks.not_shown(block.output, done.stdout) == "", (
        f"{block.where} prints:\n{done.stdout}"
    )


def run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    # Nobody's own settings of Ansible count, unless the page has some.
    (place / "ansible.cfg").touch()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(place),
        "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
        "ANSIBLE_SSH_EXECUTABLE": "/nonexistent/ssh",
    }
    return subprocess.run(
        words, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_console_is_compared_line_by_line() -> None:
    printed = "one\n  two 2\nthree\n"
    assert blocks.not_shown(["one", "two …", "…", "three"], printed) == ""
    assert blocks.not_shown(["two 2", "one"], printed) == "one"


def javascript(text: str) -> None:
    node = shutil.which("node")
    assert node, "scripts/bootstrap installs it"
    words = [node, "--input-type=module", "--check", "-"]
    subprocess.run(words, input=text, text=True, check=True, timeout=60)


READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "python": ast.parse,
    "js": javascript,
    "javascript": javascript,
}


@of([block for block in ALL if block.language in READERS])
def test_data_and_programs_can_be_read(block: Block) -> None:
    READERS[block.language](block.text)


def test_a_program_that_cannot_be_read_is_told() -> None:
    for language, text in {"js": "const = 1", "python": "a =", "toml": "a", "json": "{"}.items():
        with pytest.raises((ValueError, SyntaxError, subprocess.CalledProcessError)):
            READERS[language](text)


NOTATION = """\
Text.

<!-- with: {a: {b: 1}} -->
<!-- file: vars.yml -->
```yaml
a: 1
```

- <!-- run -->
  <!-- run -->
  ```console
  $ echo 1 \\
    2
  1 2
  ```

````md
```sh
inner
```
````
```{toctree}
x
```
<!-- page not run: elsewhere -->
```sh
ls
```
<!-- run: tutorial -->
```sh
ls
```
```yaml
# other.yml
a: 2
```
"""


def test_the_notation() -> None:
    found = list(blocks.read(Path("docs/x.md"), NOTATION))
    assert [(block.language, block.line, block.file) for block in found] == [
        ("yaml", 5, "vars.yml"),
        ("console", 11, None),
        ("md", 17, None),
        ("sh", 26, None),
        ("sh", 30, None),
        ("yaml", 33, "other.yml"),
    ]
    assert found[0].notes == {"with": "{a: {b: 1}}", "file": "vars.yml"}
    assert (found[1].commands, found[1].output) == ("echo 1 \\\n  2\n", ["1 2"])
    assert [block.notes for block in found[1:]] == [
        {"run": ""},
        {},
        {"not run": "elsewhere"},
        {"run": "tutorial"},
        {},
    ]


def test_a_block_without_an_end_is_told() -> None:
    with pytest.raises(blocks.Unclosed, match=r"x\.md:2"):
        list(blocks.read(Path("x.md"), "\n```sh\nls\n"))
