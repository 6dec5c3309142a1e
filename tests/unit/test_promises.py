# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker's words are read for what they promise: every spelling, in settings and verbatim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.plugin_utils import _llama_cpp, _sglang, _vllm
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import (
    Given,
    Setting,
    setting,
)


def reading(
    settings: dict[str, Any] | None = None, words: Any = (), environment: Any = None
) -> Given:
    worker = {
        "settings": settings or {},
        "extra_args": list(words),
        "environment": environment or {},
    }
    return Given.of(worker)


SIZES = [
    *(_vllm._TENSOR, _vllm._PIPELINE, _vllm._DATA, _vllm._NODES, _vllm._CONTEXT),
    *(_sglang._TENSOR, _sglang._PIPELINE, _sglang._DATA, _sglang._FIRST, _sglang._STEP),
    _llama_cpp._LAYERS,
    *(engine.promises.share for engine in DESCRIPTIONS.values() if engine.promises),
    *(engine.promises.context for engine in DESCRIPTIONS.values() if engine.promises),
    *(
        port
        for engine in DESCRIPTIONS.values()
        if engine.promises
        for port in engine.promises.ports
    ),
]


@pytest.mark.parametrize(
    ("which", "spelling"),
    sorted({(which, name) for which in SIZES if which for name in which.spellings}, key=str),
)
def test_every_spelling_counts(which: Setting, spelling: str) -> None:
    under = spelling.replace("-", "_")
    for found in (
        reading({spelling: 7}),
        reading({under: "7"}),
        reading(words=[f"--{spelling}", "7"]),
        reading(words=[f"--{under}=7", "--other"]),
        reading(words=[f"-{spelling}", "7"]),
        reading({spelling: 3}, ["x", f"--{spelling}=7"]),
    ):
        assert found.number(which) == 7


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (8, 8),
        ("8", 8),
        (0.5, 0.5),
        ("4k", 4000),
        ("4K", 4096),
        ("25.6k", 25600),
        ("2G", 2 * 1024**3),
        ("-1", -1),
        ("auto", None),
        (True, None),
        (None, None),
        (["1"], None),
        ("${cred:x}", None),
    ],
)
def test_numbers(value: Any, number: float | None) -> None:
    assert reading({"x": value}).number(setting("x")) == number


def test_words_that_are_no_values() -> None:
    found = reading(words=["--enable-x", "--size", "-1", "-tp", "2", "--last"])
    assert found.on(setting("enable-x"))
    assert found.on(setting("last"))
    assert found.number(setting("size")) == -1
    assert found.number(setting("tp")) == 2
    assert not reading({"enable-x": False}).on(setting("enable-x"))


def test_a_flag_wins_over_its_variable() -> None:
    which = setting("x", variable="X")
    assert reading(environment={"X": "1"}).number(which) == 1
    assert reading({"x": 2}, environment={"X": "1"}).number(which) == 2
    assert reading(environment={"X": "1"}).get(setting("x")) is None


@pytest.mark.parametrize(
    ("version", "share"),
    [
        ("0.9.2", 0.9),
        ("0.17.1", 0.9),
        ("0.20.2", 0.92),
        ("0.33.0", 0.92),
        ("odd", 0.92),
        (None, 0.92),
    ],
)
def test_the_share_unless_told(version: str | None, share: float) -> None:
    promises = _vllm.VLLM.promises
    assert promises is not None
    assert promises.default_share(version) == share


SMALL = st.integers(1, 8)


@given(SMALL, SMALL, SMALL, SMALL, st.booleans())
def test_sglangs_ranks_have_a_card_each(
    tensor: int, replicas: int, first: int, step: int, attention: bool
) -> None:
    said = {"tp": tensor, "dp": replicas, "base-gpu-id": first, "gpu-id-step": step}
    positions = _sglang.layout(reading(said | {"enable-dp-attention": attention})).positions
    assert positions is not None
    assert len(positions) == tensor * (1 if attention else replicas)
    assert positions == tuple(range(first, first + len(positions) * step, step))


@given(SMALL, SMALL, SMALL)
def test_vllms_ranks_have_a_card_each(tensor: int, pipeline: int, replicas: int) -> None:
    said = {"tp": tensor, "pp": pipeline, "dp": replicas}
    assert _vllm.layout(reading(said)).positions == tuple(range(tensor * pipeline * replicas))
    alone = _vllm.layout(reading(said | {"data-parallel-rank": 0})).positions
    assert alone == tuple(range(tensor * pipeline))


@pytest.mark.parametrize(
    ("settings", "positions"),
    [
        ({}, None),
        ({"device": "none"}, ()),
        ({"dev": "CUDA1,CUDA3"}, (1, 3)),
        ({"split-mode": "none", "main-gpu": 2}, (2,)),
        ({"tensor-split": "3,1"}, (0, 1)),
        ({"ts": "0,1,1"}, (1, 2)),
        ({"tensor-split": [1, 0, 1]}, (0, 2)),
    ],
)
def test_devices_of_llama_cpp(settings: dict[str, Any], positions: Any) -> None:
    assert _llama_cpp.layout(reading(settings)).positions == positions
