# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that read the code and run none of it on a host: scripts/lint."""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from pathlib import Path

from tooling.sanity import core_environment, run_sanity
from tooling.steps import (
    BIN,
    CACHE,
    ROOT,
    Failed,
    Log,
    Step,
    call,
    choose,
    need,
    run_steps,
    stop_on_signals,
    table,
    total,
)
from tooling.tree import copy_project, project_files

_OUR_PACKAGES = {
    "ansible_collections.onehop.llm.plugins": "plugins",
    "onehop_router": "roles/router/files/onehop_router",
    "testhost": "molecule/testhost",
    "tooling": "scripts/tooling",
}
"""Packages that mypy reads by name, and where they lie."""


_RUFF = ["--config", "pyproject.toml", "--cache-dir", ".cache/ruff"]
"""One set of rules for all our Python, whatever pyproject.toml lies nearer."""


_LENIENT = [
    *("--follow-imports=silent", "--no-warn-unused-ignores", "--no-warn-return-any"),
    *("--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls"),
    *("--allow-untyped-decorators", "--allow-any-generics"),
    *("--disable-error-code=arg-type", "--disable-error-code=call-overload"),
    *("--disable-error-code=var-annotated", "--disable-error-code=union-attr"),
    *("--disable-error-code=method-assign", "--disable-error-code=comparison-overlap"),
]
"""Tests need not say that they return None, and may hand over plain dictionaries and break things on purpose."""


def generated(log: Log) -> None:
    program = ROOT / "scripts" / "generate"
    if program.exists():
        call(log, [program, "--check"])


def locks(log: Log) -> None:
    """What the tests run the router with is what the router is installed with."""
    ours, routers = (_locked(ROOT / path) for path in ("requirements/dev.txt", _ROUTER_LOCK))
    wrong = [
        f"{name}: {ours.get(name)} here" for name in routers if ours.get(name) != routers[name]
    ]
    if wrong:
        log.write("\n".join(wrong))
        raise Failed(f"requirements/dev.txt is at odds with {_ROUTER_LOCK}: run scripts/lock")


_ROUTER_LOCK = "roles/router/files/requirements.txt"


def _locked(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split()[0].split("==", 1) for line in lines if re.match(r"\w[\w.-]*==", line))


def ruff(log: Log) -> None:
    paths = [ROOT / path for path in _python_files()]
    call(log, [BIN / "ruff", "check", "--no-fix", "--output-format", "concise", *_RUFF, *paths])


def ruff_format(log: Log) -> None:
    call(
        log,
        [
            BIN / "ruff",
            "format",
            "--check",
            "--output-format",
            "concise",
            *_RUFF,
            *[ROOT / path for path in _python_files()],
        ],
    )


def mypy(log: Log) -> None:
    packages = [
        name for name, folder in _OUR_PACKAGES.items() if any((ROOT / folder).rglob("*.py"))
    ]
    # Every folder of tests may have a conftest; mypy reads one module of a name.
    tests = [
        path for path in _python_files() if path.parts[0] == "tests" and path.name != "conftest.py"
    ]
    # A cache each: another strictness would make the other's worthless.
    runs: dict[str, list[str | Path]] = {
        "ours": [word for name in packages for word in ("-p", name)],
        "tests": [*_LENIENT, *tests] if tests else [],
    }
    statuses = [
        call(log, [BIN / "mypy", "--cache-dir", CACHE / "mypy" / name, *words], check=False)[0]
        for name, words in runs.items()
        if words
    ]
    if any(statuses):
        raise Failed(f"mypy ended with status {max(statuses)}")


def yamllint(log: Log) -> None:
    files = [
        path
        for path in project_files()
        if path.suffix in (".yml", ".yaml") or path.name in (".yamllint", ".ansible-lint")
    ]
    call(log, [BIN / "yamllint", "--strict", *files])


def shellcheck(log: Log) -> None:
    need("shellcheck")
    scripts = [
        path
        for path in project_files()
        if path.suffix == ".sh" or _first_line(path).startswith(("#!/usr/bin/env bash", "#!/bin/"))
    ]
    call(log, ["shellcheck", "--external-sources", *scripts])


def ansible_lint(log: Log) -> None:
    copy = copy_project(log)
    call(
        log,
        [BIN / "ansible-lint", "--offline", "--strict", "--nocolor"],
        cwd=copy,
        env={"ANSIBLE_HOME": str(CACHE / "ansible")},
    )


def ansible_docs(log: Log) -> None:
    call(
        log,
        [BIN / "antsibull-docs", "lint-collection-docs", "--plugin-docs", "."],
        cwd=copy_project(log),
    )


def changelog(log: Log) -> None:
    call(log, [BIN / "antsibull-changelog", "lint"], cwd=copy_project(log))


def licences(log: Log) -> None:
    call(log, [BIN / "reuse", "lint"], cwd=copy_project(log))


def _python_files() -> list[Path]:
    return [
        path for path in project_files() if path.suffix == ".py" or "python" in _first_line(path)
    ]


def _first_line(path: Path) -> str:
    if path.suffix not in ("", ".py", ".sh"):
        return ""
    with (ROOT / path).open("rb") as stream:
        line = stream.readline(200)
    return line.decode("utf-8", errors="replace") if line.startswith(b"#!") else ""


CHECKS = [
    Step("generated", "generated files are what their generator makes", generated),
    Step("locks", "the same versions in both lock files", locks),
    Step("ruff", "Python: mistakes", ruff),
    Step("format", "Python: layout", ruff_format),
    Step("mypy", "Python: types", mypy),
    Step("yamllint", "YAML: layout", yamllint),
    Step("shellcheck", "shell scripts", shellcheck),
    Step("licences", "a licence line in every file", licences),
    Step("ansible-lint", "roles and playbooks, production profile", ansible_lint),
    Step("docs", "the collection's documentation", ansible_docs),
    Step("changelog", "changelog fragments", changelog),
    Step("sanity", "ansible-test sanity, all tests, no exceptions", run_sanity),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/lint", description=__doc__)
    parser.add_argument(
        "checks", nargs="*", metavar="CHECK", help="only these (all of them: --list)"
    )
    parser.add_argument(
        "--core",
        metavar="VERSION",
        help="only ansible-test sanity, under another ansible-core, such as 2.18",
    )
    parser.add_argument("--list", action="store_true", help="say what there is")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{step.name:<14}{step.about}" for step in CHECKS))
        return 0
    stop_on_signals()
    if chosen.core:
        steps = [
            Step(
                f"sanity-{chosen.core}", "ansible-test sanity", partial(_sanity_under, chosen.core)
            )
        ]
    else:
        steps = choose(CHECKS, chosen.checks)
    try:
        ended = run_steps(steps, "lint")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    count = total(ended)
    print("\n" + table(ended, "check") + f"\n{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


def _sanity_under(version: str, log: Log) -> None:
    run_sanity(log, core_environment(log, version))


if __name__ == "__main__":
    sys.exit(main())
