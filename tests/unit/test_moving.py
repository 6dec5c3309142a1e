# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages for those who come from elsewhere: every option has an answer, every inventory a plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tooling.llmhop import answers
from tooling.llmhop.options import VERSIONS, Fact
from tooling.variables import find

from . import pages

MOVING = pages.ROOT / "docs" / "moving"
FACTS = tuple(fact for facts in VERSIONS.values() for fact in facts)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_option_of_llmhop_stands_twice(version: str) -> None:
    full = [fact.full for fact in VERSIONS[version]]
    assert len(full) > 90
    assert sorted(set(full)) == sorted(full)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.full)
def test_every_option_of_llmhop_is_one_of_ours_or_has_a_reason(fact: Fact) -> None:
    said = answers.answer(fact)
    assert said.ours or said.why
    for path in said.ours:
        assert find(path).doc


def test_an_option_without_an_answer_is_found() -> None:
    with pytest.raises(KeyError, match=r"vllm\.colour of LLMhop has no answer"):
        answers.answer(Fact("vllm", "colour", "str", "blue"))
    with pytest.raises(KeyError):
        find("vllm_models.<name>.colour")


def test_no_answer_is_to_an_option_that_llmhop_does_not_have() -> None:
    assert answers.unused(FACTS) == []


def routes(page: str, tmp_path: Path) -> dict[str, list[str]]:
    """Addresses of the models of a page's inventory, which has nothing wrong with it."""
    (text,) = pages.inventories(MOVING / page)
    made = pages.plan(text, tmp_path)
    assert [str(problem) for problem in made.problems] == []
    assert made.warnings == []
    own = {name: [one["url"] for one in route["replicas"]] for name, route in made.routes.items()}
    others = {
        name: [model["url"]]
        for host in made.hosts.values()
        for name, model in host["router"]["router_models"].items()
    }
    return own | others


def test_what_replaces_llmhop_has_its_models(tmp_path: Path) -> None:
    assert routes("from-llmhop.md", tmp_path) == {
        "small": ["http://127.0.0.1:18001"],
        "llama-3-8b": ["http://127.0.0.1:18002"],
        "embed": ["unix:///run/onehop/vllm-embed/http.sock"],
        "gpt-4o": ["https://api.openai.com"],
    }


def test_the_readme_has_an_inventory_of_twenty_lines(tmp_path: Path) -> None:
    (text,) = pages.inventories(pages.ROOT / "README.md")
    assert len(text.splitlines()) <= 21, "twenty lines, and the one with the file's name"
    made = pages.plan(text, tmp_path)
    assert (made.problems, made.warnings) == ([], [])
    assert sorted(made.routes) == ["llama-3-8b", "small"]


def test_what_replaces_a_compose_file_has_its_services(tmp_path: Path) -> None:
    assert routes("from-docker-compose.md", tmp_path) == {
        "llama-3-8b": ["unix:///run/onehop/vllm-llama-3-8b/http.sock"],
        "coder": ["http://127.0.0.1:30000"],
        "small": ["unix:///run/onehop/llama-cpp-small/http.sock"],
    }


def test_what_replaces_llama_swap_has_its_models(tmp_path: Path) -> None:
    assert routes("from-llama-swap.md", tmp_path) == {
        "qwen3-8b": ["unix:///run/onehop/llama-cpp-qwen3-8b/http.sock"],
        "embed": ["unix:///run/onehop/llama-cpp-embed/http.sock"],
        "big": ["unix:///run/onehop/vllm-big/http.sock"],
        "openrouter/z-ai/glm-4.7": ["https://openrouter.ai/api"],
    }


PAGES = (
    pages.ROOT / "README.md",
    *sorted(MOVING.glob("*.md")),
    *sorted((pages.ROOT / "docs" / "runbooks").glob("*.md")),
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"\b(?:vllm|sglang|llama_cpp|router|gpu_host)_[a-z_]+\*?", page.read_text())
    wrong = [
        name
        for name in set(named) - pages.NAMES
        if not (name.endswith("*") and any(one.startswith(name[:-1]) for one in pages.NAMES))
    ]
    assert wrong == []
