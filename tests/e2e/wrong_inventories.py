# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether each wrong inventory is told what is wrong with it: the real playbook against a real host.

``wrong_inventories.py HOSTS FOLDER [NAME...]`` runs onehop.llm.site with each of FOLDER's cases (or
those NAMEd) beside the inventory HOSTS, and compares. A case is a file NAME.yml with ``inventory``;
``says``, the sentences in their order that the run has to fail with; ``warns``, those that it has
to warn of; and ``arguments`` for ansible-playbook. One without ``says`` has to come through check
mode. Sentences are compared whole; ``...`` in one stands for what differs between hosts.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

LIMIT = 120
"""Seconds that a run may take."""
_FATAL = re.compile(r"^fatal: \[[^\]]+\]: FAILED! => (\{.*\})$", re.MULTILINE)
_WARNING = re.compile(
    r"^\[WARNING\]: (.*(?:\n(?!\n|\[|TASK|PLAY|ok:|fatal:|changed:).+)*)", re.MULTILINE
)


def run(hosts: Path, case: dict[str, Any]) -> tuple[int, str]:
    """The exit status and the output of a deployment of the case."""
    with tempfile.TemporaryDirectory(prefix="onehop-wrong-") as name:
        inventory = Path(name) / "inventory.yml"
        inventory.write_text(yaml.safe_dump(case["inventory"], sort_keys=False))
        words = ["ansible-playbook", "onehop.llm.site", f"--inventory={inventory}"]
        words += [f"--inventory={hosts}", *case.get("arguments", [])]
        if not case.get("says"):
            words.append("--check")
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        environment |= {"COLUMNS": "100000", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}
        ended = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr


def said(output: str) -> list[str]:
    """The sentences of every failed task."""
    found: list[str] = []
    for text in _FATAL.findall(output):
        found += json.loads(text).get("msg", "").split("\n")
    return list(dict.fromkeys(found))


def warned(output: str) -> list[str]:
    """The warnings, each on a line."""
    return list(dict.fromkeys(" ".join(text.split()) for text in _WARNING.findall(output)))


def matches(wanted: str, sentence: str) -> bool:
    """Whether a sentence is the wanted one, in which ``...`` stands for anything."""
    return bool(re.fullmatch(".+".join(map(re.escape, wanted.split("..."))), sentence))


def compare(hosts: Path, case: dict[str, Any]) -> list[str]:
    """What differs from the case, as lines."""
    status, output = run(hosts, case)
    wanted, warnings = case.get("says", []), case.get("warns", [])
    found = said(output)
    wrong = []
    if bool(status) != bool(wanted):
        wrong.append(f"exit status {status}")
    if len(found) != len(wanted) or not all(map(matches, wanted, found)):
        wrong += difflib.unified_diff(wanted, found, "wanted", "said", lineterm="", n=0)
    told = warned(output)
    wrong += [
        f"no warning: {text}" for text in warnings if not any(matches(text, one) for one in told)
    ]
    if wrong:
        wrong += [f"  | {line}" for line in output.splitlines()[-30:]]
    return wrong


def main() -> int:
    """The program; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("hosts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    files = sorted(given.folder.glob("*.yml"))
    if given.names:
        files = [file for file in files if file.stem in given.names]
    failed = 0
    for file in files:
        wrong = compare(given.hosts, yaml.safe_load(file.read_text()))
        failed += bool(wrong)
        print("\n".join([f"{'FAILED' if wrong else 'told  '} {file.stem}", *wrong]), flush=True)
    print(f"{len(files) - failed} of {len(files)} told as they should be")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
