# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as arguments: the cases of LLMhop's nix/checks/cli.nix, and what they do not say."""

from __future__ import annotations

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect, arguments

VALUES = Dialect()
REPEAT = Dialect(repeat=True)
SILENT = Dialect(negate=False)


@pytest.mark.parametrize(
    ("dialect", "settings", "words"),
    [
        (
            VALUES,
            {
                "temperature": 0.6,
                "max-model-len": 8192,
                "enable-prefix-caching": False,
                "lora-paths": ["x=/p/x", "y=/p/y"],
                "empty": [],
                "dropped": None,
                "speculative-config": {"num_speculative_tokens": 3, "model": "d"},
            },
            [
                "--lora-paths",
                "x=/p/x",
                "y=/p/y",
                "--max-model-len",
                "8192",
                "--no-enable-prefix-caching",
                "--speculative-config",
                '{"model":"d","num_speculative_tokens":3}',
                "--temperature",
                "0.6",
            ],
        ),
        (
            REPEAT,
            {"lora-paths": ["x=/p/x", "y=/p/y"], "empty": []},
            ["--lora-paths", "x=/p/x", "--lora-paths", "y=/p/y"],
        ),
        (SILENT, {"enable-prefix-caching": False}, []),
        (VALUES, {"no-mmap": False}, ["--mmap"]),
        (VALUES, {"no-mmap": True}, ["--no-mmap"]),
        (VALUES, {"b": 1, "a": 2, "B": 3}, ["--B", "3", "--a", "2", "--b", "1"]),
        (VALUES, {"x": [True, None, 1, "s"]}, ["--x", "true", "null", "1", "s"]),
        (VALUES, {"x": ""}, ["--x", ""]),
        (VALUES, {"x": 0}, ["--x", "0"]),
        (VALUES, {"x": 1e-7}, ["--x", "1e-07"]),
        (VALUES, {"x": "ü"}, ["--x", "ü"]),
    ],
)
def test_arguments(dialect: Dialect, settings: dict[str, object], words: list[str]) -> None:
    assert arguments(settings, dialect) == words
