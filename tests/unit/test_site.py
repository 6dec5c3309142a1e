# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site is made of: where pages stand, where their links lead, and what a built page may not load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tooling.site import build, source
from tooling.steps import ROOT, Failed


def led(here: str, link: str) -> str:
    found = source.LINK.search(f"[x]{link}")
    assert found
    return source.led(here, found)


@pytest.mark.parametrize(
    ("here", "link", "there"),
    [
        ("docs/index.md", "](router.md#paths)", "](router.md#paths)"),
        ("docs/index.md", "](../roles/vllm/README.md)", "](roles/vllm.md)"),
        ("roles/vllm/README.md", "](../../docs/plan.md#secrets)", "](../plan.md#secrets)"),
        ("docs/flags/README.md", "](../flags.md)", "](../flags.md)"),
        ("docs/plan.md", f"]({source.REPOSITORY}/blob/main/docs/edges.md)", "](edges.md)"),
        ("docs/plan.md", "](../galaxy.yml)", f"]({source.REPOSITORY}/blob/main/galaxy.yml)"),
        ("docs/plan.md", "](../roles)", f"]({source.REPOSITORY}/tree/main/roles)"),
        ("docs/plan.md", "](https://example.com/a.md)", "](https://example.com/a.md)"),
    ],
)
def test_links_lead_to_the_page_or_to_the_repository(here: str, link: str, there: str) -> None:
    assert led(here, link) == there


def test_a_link_to_no_file_is_told() -> None:
    with pytest.raises(Failed, match=r"docs/plan\.md: nowhere\.md leads to nothing"):
        led("docs/plan.md", "](nowhere.md)")


def test_the_readmes_links_lead_somewhere() -> None:
    """They are absolute, since Galaxy shows the README without the rest."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ours = re.findall(re.escape(source.REPOSITORY) + r"/(?:blob|tree)/main/([^)#\s]+)", text)
    assert ours and not [path for path in ours if not (ROOT / path).exists()]


def test_every_page_stands_once() -> None:
    names = [
        "tutorial",
        "awx",
        "clients/curl",
        "clients",
        "roles/vllm",
        "diagnoses",
        "security",
        "air-gapped",
    ]
    found = dict(source.sections(names))
    assert found["How-to"] == ["air-gapped", "awx"]
    assert found["Clients"] == ["clients", "clients/curl"]
    assert found["Reference"] == ["roles/vllm"]
    assert sorted(name for rows in found.values() for name in rows) == sorted(names)


def test_a_page_of_flags_is_html_with_a_place_for_each() -> None:
    page = source.translated(ROOT / "docs/flags/vllm-0.33.0.md")
    assert page.startswith("---\norphan: true\n")
    assert '<tr id="max-model-len"><td><code class=' in page
    assert "| --- |" not in page


def test_lists_of_contents_go_and_names_are_short() -> None:
    text = "Onehop.Llm\n==========\n\n.. contents::\n   :local:\n   :depth: 1\n\nText\n\n    x_module\n"
    assert source.of_collection(text).endswith("==\n\nText\n\n    x <x_module>\n")


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.html", '<script src="https://cdn.example/a.js"></script>', 1),
        ("b.html", '<link rel="stylesheet" href="//fonts.example/a.css">', 1),
        ("c.html", '<img src="_images/a.svg"><a href="https://example.com">x</a>', 0),
        ("d.css", "@import url(https://fonts.example/a.css);", 1),
        ("e.css", 'a { background: url("data:image/svg+xml;x") }', 0),
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(
    tmp_path: Path, name: str, text: str, count: int
) -> None:
    (tmp_path / name).write_text(text)
    assert len(build.foreign(tmp_path)) == count
