# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runbooks: each signature of a failure belongs to exactly one, and each leads there and back."""

from __future__ import annotations

import re

from ansible_collections.onehop.llm.plugins.module_utils import _operator
from ansible_collections.onehop.llm.plugins.plugin_utils import _signature_table
from tooling import runbooks

from . import pages

DOCS = pages.ROOT / "docs"
PAGES = sorted((DOCS / "runbooks").glob("*.md"))


def test_each_signature_belongs_to_exactly_one_runbook() -> None:
    named = [one for ids in runbooks.FAMILIES.values() for one in ids]
    assert sorted(named) == sorted(row.id for row in _signature_table.SIGNATURES)


def test_each_diagnosis_leads_to_its_runbook() -> None:
    text = (DOCS / "diagnoses.md").read_text()
    led = dict(
        re.findall(
            r"^### (\S+)$.*?^Runbook: \[\w+\]\(runbooks/(\w+)\.md\)$",
            text,
            re.MULTILINE | re.DOTALL,
        )
    )
    assert led == {row.id: runbooks.family(row.id) for row in _signature_table.SIGNATURES}
    for path in PAGES:
        assert f"(runbooks/{path.name})" in text


def test_each_runbook_says_what_to_see_run_and_mend() -> None:
    assert {path.stem for path in PAGES} == {*runbooks.FAMILIES, "router"}
    for path in PAGES:
        titles = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert titles[:3] == ["What you see", "What to run", "What it means"], path.name
        assert "The mend" in titles, path.name


def test_what_a_runbook_has_run_on_a_host_is_a_command_of_ours() -> None:
    ran = [
        found for path in PAGES for found in re.findall(r"onehop (vllm [a-z-]+)", path.read_text())
    ]
    assert len(ran) > 15
    for command in set(ran):
        verb = command.split()[1]
        assert verb in _operator.USAGE.replace("|", " "), command


def test_links_of_runbooks_lead_somewhere() -> None:
    for path in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
