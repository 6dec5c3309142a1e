# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole suite, in order: scripts/test."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from tooling import artifacts
from tooling.site.build import build
from tooling.steps import (
    BIN,
    COLLECTIONS,
    LOGS,
    ROOT,
    Count,
    Failed,
    FailedCount,
    Log,
    Step,
    call,
    choose,
    run_steps,
    stop_on_signals,
    table,
    total,
)

_INTERRUPTED = 130


def lint(log: Log) -> Count:
    status, output = call(log, [ROOT / "scripts" / "lint"], check=False)
    ends = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    if not ends:
        raise Failed(f"scripts/lint ended with status {status}")
    count = Count(int(ends[-1][0]), int(ends[-1][1]))
    if status or count.failed:
        raise FailedCount(f"{count.failed} checks", count)
    return count


def tests_in(*folders: str) -> Step:
    """A step of pytest over folders of tests; those that do not exist yet hold no tests."""

    def run(log: Log) -> Count:
        found = [folder for folder in folders if any((ROOT / folder).rglob("test_*.py"))]
        if not found:
            raise Failed(f"no tests in {' and '.join(folders)}")
        report = LOGS / f"pytest-{Path(folders[0]).name}.xml"
        report.unlink(missing_ok=True)
        status, _output = call(
            log,
            [BIN / "python", "-m", "pytest", "-q", f"--junit-xml={report}", *found],
            check=False,
        )
        count = _count_of(report)
        if status:
            raise FailedCount(f"pytest ended with status {status}, {count.failed} failed", count)
        return count

    name = Path(folders[0]).name
    return Step(name, f"pytest {' '.join(folders)}", run)


def _count_of(report: Path) -> Count:
    if not report.exists():
        return Count(failed=1)
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return Count(tests - failed - skipped, failed, skipped)


def collection(log: Log) -> Count:
    """Built as for a release, taken by Galaxy, installed, and its playbooks read from there: nothing of the checkout may be
    needed. ansible-lint has a check of its own."""
    with tempfile.TemporaryDirectory(prefix="onehop-") as name:
        folder = Path(name)
        built = artifacts.collection(log, ROOT, folder / "built", epoch=0)
        artifacts.refuse_strays(log, built)
        artifacts.import_to_galaxy(log, built, folder / "import", lint=False)
        playbooks = artifacts.install_collection(log, built, folder / "install")
    return Count(passed=4 + playbooks)


def scenarios() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def molecule(scenario: str, log: Log) -> None:
    """One scenario on its own throwaway hosts, which are taken down with it."""
    env = {
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ONEHOP_OWNER_PID": str(os.getpid()),
    }
    dummy, output = call(log, [BIN / "molecule", "test", "--scenario-name", scenario], env=env)
    if "Missing playbook" in output:
        # Molecule counts a step without a playbook as passed.
        raise Failed("molecule left steps out for want of a playbook")
    for line in re.findall(r'"msg": "(onehop\.llm\.site over .*)"', output):
        print(line)


def all_steps() -> list[Step]:
    return [
        Step("lint", "all checks of scripts/lint", lint),
        tests_in("tests/unit"),
        tests_in("tests/router", "tests/conformance"),
        # With the generators of the hosts' trees, which a first run builds.
        tests_in("tests/quadlet"),
        tests_in("tests/bench"),
        # With a real llama-server, which is taken out of a host's tree.
        tests_in("tests/clients"),
        Step(
            "collection",
            "builds, Galaxy takes it, installs, ships nothing else, and runs from there",
            collection,
        ),
        Step("docs", "the documentation's site: no warning, no dead link", build, beside=True),
        *(
            Step(f"molecule/{name}", "on throwaway hosts", partial(molecule, name), beside=True)
            for name in scenarios()
        ),
    ]


def take_down_hosts() -> None:
    """Removes the throwaway hosts that this run started and a cut-off scenario left behind."""
    testhost = [str(BIN / "python"), "-m", "testhost"]
    log = Log(LOGS / "test-down.log")
    log.path.unlink(missing_ok=True)
    status, output = call(log, [*testhost, "list", "--json"], check=False)
    try:
        names = [row["name"] for row in json.loads(output) if row["owner"] == str(os.getpid())]
    except (KeyError, ValueError):
        status, names = status or 1, []
    if names:
        status, output = call(log, [*testhost, "down", *names], check=False)
    if status:
        print(f"hosts of this run may be left over:\n{output}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help="only these, such as: unit molecule/site"
    )
    parser.add_argument("--list", action="store_true", help="say what there is")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{step.name:<24}{step.about}" for step in all_steps()))
        return 0
    steps = choose(all_steps(), chosen.steps)
    stop_on_signals()
    try:
        ended = run_steps(steps, "test")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return _INTERRUPTED
    finally:
        if any(step.name.startswith("molecule/") for step in steps):
            take_down_hosts()
    count = total(ended)
    print("\n" + table(ended, "step") + f"\n{count.passed} passed, {count.failed} failed")
    return 1 if count.failed or any(end.result != "ok" for end in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
