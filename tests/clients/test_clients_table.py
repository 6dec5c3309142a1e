# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table in docs/clients.md is what the tests before this one have shown, and its list is complete."""

from __future__ import annotations

import re

import clients_pages
import clients_seen
import pytest
from clients_fleet import CLIENTS, ROOT

OVERVIEW = ROOT / "docs" / "clients.md"
NOT_RUN = "Settings from its own documentation, not run here."


def test_table(fleet, shown, request):
    ran = {
        name
        for name in CLIENTS
        for item in request.session.items
        if name.replace("-", "_") in item.path.stem
    }
    assert ran == set(CLIENTS), "the table is made of the whole folder's tests: run them all"
    if request.session.testsfailed:
        pytest.fail("the table needs every test before it to pass")
    table = clients_seen.table(fleet, shown)
    text = OVERVIEW.read_text()
    begin = text.index(clients_seen.BEGIN) + len(clients_seen.BEGIN)
    end = text.index(clients_seen.END)
    if request.config.getoption("--seen"):
        OVERVIEW.write_text(f"{text[:begin]}\n{table}\n{text[end:]}")
        return
    assert text[begin:end].strip() == table.strip(), "pytest tests/clients --seen writes it anew"


def test_every_page_is_run_or_says_that_it_is_not():
    for path in sorted(clients_pages.PAGES.glob("*.md")):
        assert (path.stem in CLIENTS) != (NOT_RUN in path.read_text()), path


def test_every_page_is_in_the_overview():
    linked = re.findall(r"\]\(clients/([a-z-]+)\.md\)", OVERVIEW.read_text())
    pages = [path.stem for path in clients_pages.PAGES.glob("*.md")]
    assert sorted(set(linked)) == sorted(pages)


def test_the_lock_file_names_no_host():
    lock = ROOT / "tests" / "clients" / "node" / "package-lock.json"
    assert "resolved" not in lock.read_text()
