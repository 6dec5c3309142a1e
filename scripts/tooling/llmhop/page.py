# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/moving/from-llmhop.md: LLMhop's options joined with our own."""

from __future__ import annotations

from collections.abc import Iterator

from tooling.llmhop import answers
from tooling.llmhop.options import CORE, VERSIONS, Fact
from tooling.variables import default, find

_TITLES = {CORE: "The router", "llama-cpp": "llama.cpp", "vllm": "vLLM", "sglang": "SGLang"}


def tables() -> Iterator[str]:
    """The newest version part by part, then what the older one has otherwise."""
    newest, older = VERSIONS["2.2.1"], VERSIONS["1.2.4"]
    yield "## Version 2: option by option"
    yield ""
    yield from _parts(newest, "")
    seen = set(newest)
    yield "## Version 1: what was called otherwise"
    yield ""
    yield (
        "Options of 1.2.4 that 2.2.1 does not have, or has with another type or default. All others are above; "
        "`vllm` and `sglang` were containers then, so look at `vllm-quadlet` and `sglang-quadlet`."
    )
    yield ""
    yield from _parts(tuple(fact for fact in older if fact not in seen), " in version 1")


def _parts(facts: tuple[Fact, ...], suffix: str) -> Iterator[str]:
    for part in dict.fromkeys(fact.part for fact in facts):
        title = _TITLES.get(part, f"`{part}`") if part == CORE else f"`{part}`"
        yield f"### {title}{suffix}"
        yield ""
        yield "| services.llmhop. | type | default there | variable here | default here | what differs |"
        yield "| --- | --- | --- | --- | --- | --- |"
        yield from (_row(fact) for fact in facts if fact.part == part)
        yield ""


def _row(fact: Fact) -> str:
    said = answers.answer(fact)
    ours = "<br>".join(f"`{path}`" for path in said.ours) or "not needed"
    defaults = "<br>".join(default(find(path)) for path in said.ours)
    cells = (f"`{fact.full}`", fact.type, f"`{fact.default}`", ours, defaults, said.why)
    return "| " + " | ".join(cells) + " |"
