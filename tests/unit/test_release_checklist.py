# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy, Red Hat's certification and the community package ask for, as far as files tell.

The rest stands in docs/releasing.md. galaxy-importer itself runs in the suite's step ``collection``, which also looks at
what is shipped; ansible-test sanity and ansible-lint have checks of their own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tooling import release
from tooling.tree import project_files

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"(?!.*__)[a-z][0-9a-z_]*")
CONTENT = re.compile(r"(?!.*__)[a-z_][0-9a-z_]*")
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
README = (ROOT / "README.md").read_text()
ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/tasks"))
CODE = sorted((ROOT / "plugins").rglob("*.py"))
SEMANTIC = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


# What blocks an import to Galaxy.


def test_galaxy_yml() -> None:
    required = {"namespace", "name", "version", "readme", "authors", "repository", "license"}
    assert required <= GALAXY.keys()
    assert "license_file" not in GALAXY
    for name in ("namespace", "name"):
        assert NAME.fullmatch(GALAXY[name]) and len(GALAXY[name]) <= 64
    assert SEMANTIC.fullmatch(GALAXY["version"])
    assert GALAXY["license"] == ["GPL-3.0-or-later"]
    assert all(len(author) <= 64 for author in GALAXY["authors"])
    for name in ("repository", "documentation", "homepage", "issues"):
        assert GALAXY[name].startswith("https://") and len(GALAXY[name]) <= 2000
    assert (ROOT / GALAXY["readme"]).is_file()


def test_tags() -> None:
    tags = GALAXY["tags"]
    assert len(tags) <= 20 and all(NAME.fullmatch(tag) for tag in tags)
    # Of those that Automation Hub wants one of, and that ansible-lint knows.
    assert {"infrastructure", "linux"} <= set(tags)


def test_the_oldest_ansible_is_one_that_is_supported() -> None:
    """A release of which nothing newer is demanded, in three parts, and what the papers promise."""
    text = read("meta/runtime.yml")["requires_ansible"]
    assert text == ">=2.18.0" and len(text) <= 255
    assert SpecifierSet(text).contains("2.18.0")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_roles_have_their_papers(role: Path) -> None:
    assert CONTENT.fullmatch(role.name)
    assert (role / "README.md").read_text().count("\n") > 10
    assert (role / "meta" / "argument_specs.yml").is_file()
    info = yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]
    assert info["description"] and info["license"] == "GPL-3.0-or-later"


def test_names_of_content() -> None:
    found = [path.stem for path in (ROOT / "playbooks").glob("*.yml")]
    found += [path.stem for path in CODE if path.name != "__init__.py"]
    assert [name for name in found if not CONTENT.fullmatch(name)] == []


def test_pages_are_not_too_large() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md"), ROOT / "README.md"]
    assert [path for path in pages if path.stat().st_size > 512 * 1024] == []


def test_no_sanity_test_is_ignored() -> None:
    assert list(ROOT.glob("tests/sanity/ignore-*")) == []


def environment_files() -> Iterator[tuple[str, Path]]:
    """What the execution environment needs, by kind."""
    papers = ROOT / "meta" / "execution-environment.yml"
    if papers.exists():
        for kind, value in (yaml.safe_load(papers.read_text()).get("dependencies") or {}).items():
            if isinstance(value, str):
                yield kind, ROOT / value


def test_the_execution_environments_files_are_there_and_shipped() -> None:
    from tooling.artifacts import SHIPPED

    for dummy, path in environment_files():
        assert path.is_file(), path
        assert SHIPPED.fullmatch(str(path.relative_to(ROOT))), path


# What Red Hat's certification asks beyond that.

NOT_SKIPPED = {
    "command-instead-of-module",
    "command-instead-of-shell",
    "ignore-errors",
    "meta-no-info",
    "meta-runtime",
    "no-changed-when",
    "no-handler",
    "no-log-password",
    "package-latest",
    "risky-file-permissions",
    "risky-shell-pipe",
    "unnamed-task",
    "var-naming",
}


def test_ansible_lint_is_not_told_to_look_away() -> None:
    config = read(".ansible-lint")
    assert config["profile"] == "production"
    skipped = {rule.partition("[")[0] for rule in config.get("skip_list", [])}
    assert not skipped & NOT_SKIPPED
    assert not config.get("warn_list")
    for path in [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        for rule in re.findall(r"# noqa:? (.*)", path.read_text()):
            assert not {word.partition("[")[0] for word in rule.split()} & NOT_SKIPPED, path


def tasks(data: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, those in blocks and plays too."""
    if isinstance(data, list):
        for one in data:
            yield from tasks(one)
    elif isinstance(data, dict):
        inner = [
            data[key]
            for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always")
            if key in data
        ]
        if not inner:
            yield data
        for one in inner:
            yield from tasks(one)


def test_an_error_that_is_ignored_is_looked_at() -> None:
    for path in [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        for task in tasks(DataLoader().load(path.read_text(), str(path))):
            assert not task.get("ignore_errors") or task.get("register"), (path, task["name"])


def test_modules_are_for_python_3_alone() -> None:
    assert read("tests/config.yml")["modules"]["python_requires"]


def test_no_name_is_an_underscore() -> None:
    for path in CODE:
        names = [
            node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
        ]
        assert "_" not in names, path


def test_nothing_else_is_needed() -> None:
    assert GALAXY["dependencies"] == {}
    for kind, path in environment_files():
        if kind == "python":
            lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
            for line in filter(None, lines):
                assert not re.search(r"==|<|~=", line), f"{path}: {line} has an upper bound"
                assert not re.match(r"ansible(-core)?\b", line), f"{path}: {line}"


HEADINGS = [
    "Description",
    "Requirements",
    "Installation",
    "Use cases",
    "Testing",
    "Contributing",
    "Support",
    "Release notes",
    "Related information",
    "License",
]
"""Of the README that certification wants, in its order."""


def prose(text: str) -> str:
    """Markdown without code."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def section(name: str) -> str:
    """What stands in the README below a heading."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {name}"
    return found[1]


def test_the_readme_has_the_sections_that_are_asked_for() -> None:
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert [name for name in headings if name in HEADINGS] == HEADINGS


def test_the_readme_is_what_galaxy_shows() -> None:
    """Its list of tags is short, and a link that is not absolute leads nowhere."""
    assert re.findall(r"</?[a-zA-Z][^>]*>", re.sub(r"<https?://[^>]*>", "", prose(README))) == []
    targets = re.findall(r"\]\(([^)\s]+)", prose(README))
    assert targets and [one for one in targets if not one.startswith(("https://", "#"))] == []


def test_the_readme_says_how_it_is_installed_and_what_for() -> None:
    installation = section("Installation")
    assert "ansible-galaxy collection install onehop.llm" in installation
    assert "Automation Hub" in installation
    assert not re.search(r"pip install ansible\b", README)
    cases = re.findall(r"^(?:### |- |\d+\. )", section("Use cases"), re.MULTILINE)
    assert 3 <= len(cases) <= 5


# What the community package asks beyond that.


def test_people_find_each_other() -> None:
    assert "https://forum.ansible.com" in section("Support")
    assert GALAXY["issues"] in section("Support")
    contributing = section("Contributing")
    assert "CONTRIBUTING.md" in contributing and "CODE_OF_CONDUCT.md" in contributing
    assert "code_of_conduct" in (ROOT / "CODE_OF_CONDUCT.md").read_text()


def test_versions_are_semantic_and_the_readme_says_so() -> None:
    notes = section("Release notes")
    assert "CHANGELOG.md" in notes
    assert re.search(r"semantic versioning|semver", notes, re.IGNORECASE)
    assert re.search(r"deprecat", notes, re.IGNORECASE)


def test_one_version() -> None:
    """It is written in galaxy.yml; scripts/release --version writes both."""
    text = (ROOT / release.ROUTER_VERSION).read_text()
    assert f'__version__ = "{release.version_of()}"' in text
    known = release.released()
    assert not known or known[-1] == release.version_of()


def test_the_changelog_is_antsibulls() -> None:
    config = read("changelogs/config.yaml")
    title = config["title"]
    first = (ROOT / "CHANGELOG.md").read_text().splitlines()[0]
    assert first.replace("\\", "") == f"# {title} Release Notes"
    assert config["use_fqcn"] is True and config["keep_fragments"] is False
    for version in release.released():
        assert f"v{version}" in (ROOT / "CHANGELOG.md").read_text().replace("\\", "")


def test_licences() -> None:
    """All of plugins/ is under the GPL, and modules say so in the words that ansible-test looks for."""
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()
    for path in CODE:
        assert "License-Identifier: GPL-3.0-or-later" in path.read_text()[:400], path
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        assert "GNU General Public License v3.0+" in path.read_text()[:500], path


KINDS = {"action", "doc_fragments", "filter", "lookup", "module_utils", "modules", "plugin_utils"}


def test_plugins_are_of_known_kinds() -> None:
    assert {path.parent.name for path in (ROOT / "plugins").glob("*/*.py")} <= KINDS


def constant(path: Path, name: str) -> Any:
    """A text of YAML that a plugin has as its documentation."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return yaml.safe_load(ast.literal_eval(node.value))
    return None


DOCUMENTED = [
    path
    for kind in ("modules", "filter", "lookup")
    for path in (ROOT / "plugins" / kind).glob("[a-z]*.py")
]


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_documentation(path: Path) -> None:
    """With examples by full names, what is returned, and since when."""
    papers = constant(path, "DOCUMENTATION")
    assert Version(papers["version_added"]) <= Version(release.version_of())
    assert "\nRETURN = " in path.read_text()
    for task in tasks(constant(path, "EXAMPLES")):
        actions = [key for key in task if "." in key]
        assert len(actions) == 1 and actions[0].count(".") == 2, task
    if path.parent.name == "modules":
        fragments = papers["extends_documentation_fragment"]
        assert any("_attributes" in fragment for fragment in fragments), "check mode, diff mode"


def test_who_only_reads_may_do_so_in_check_mode() -> None:
    for path in (ROOT / "plugins" / "modules").glob("*_info.py"):
        assert "supports_check_mode=True" in path.read_text()


def test_no_binary_is_in_the_project() -> None:
    pictures = {".png", ".jpg", ".jpeg", ".svg", ".ico", ".gz"}
    shipped = ("meta", "plugins", "roles", "playbooks")
    for path in project_files():
        if path.parts[0] in shipped and (ROOT / path).is_file() and path.suffix not in pictures:
            assert b"\0" not in (ROOT / path).read_bytes(), path
