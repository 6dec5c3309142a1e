# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extractors of command-line flags, on small sources in each layout of each engine (doubles: ``flag_samples``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tooling.flags import gateway, llama_cpp, sglang, vllm
from tooling.flags.__main__ import read
from tooling.flags.engines import ENGINES
from tooling.flags.found import Found
from tooling.steps import Failed

from . import flag_samples as samples

AUTO = "auto"


def rows(found: Found) -> dict[str, dict]:
    assert not found.unread
    assert not found.missing
    return {row["name"]: {k: v for k, v in row.items() if k != "name"} for row in found.rows}


def test_vllm_follows_the_types_of_its_configuration(tmp_path: Path) -> None:
    found = rows(vllm.extract(samples.write(tmp_path, samples.VLLM)))
    assert found == {
        "model_tag": {"kind": "positional", "type": "str"},
        "headless": {"kind": "flag", "default": False},
        "chat-template": {"kind": "value", "type": "str", "default": None},
        "port": {"kind": "value", "type": "int", "default": 8000},
        "middleware": {"kind": "repeat", "type": "str", "default": []},
        "origins": {"kind": "json", "default": []},
        "model": {"kind": "value", "type": "str", "default": "tiny"},
        "seed": {"kind": "value", "type": "int", "default": 0},
        "runner": {
            "kind": "value",
            "type": "str",
            "choices": ["auto", "generate", "pooling"],
            "default": "auto",
        },
        "tokenizer-mode": {"kind": "value", "type": "str", "default": "auto"},
        "block-size": {"kind": "value", "type": "int", "choices": [8, 16], "default": None},
        "max-model-len": {
            "spellings": ["-m"],
            "kind": "value",
            "type": "human_int",
            "also": ["auto"],
            "default": None,
        },
        "max-batch": {"kind": "value", "type": "human_int", "default": 7},
        "share": {"kind": "value", "type": "float", "default": 0.9},
        "trust-remote-code": {
            "negations": ["--no-trust-remote-code"],
            "kind": "bool",
            "default": False,
        },
        "use-bar": {"negations": ["--no-use-bar"], "kind": "bool", "default": True},
        "hf-token": {"kind": "optional", "type": "str", "default": None},
        "names": {"kind": "list", "type": "str", "default": None},
        "traces": {
            "kind": "list",
            "type": "str",
            "choices": ["auto", "generate", "pooling", "all"],
            "default": None,
        },
        "pair": {"kind": "list", "type": "int", "default": [1, 2]},
        "overrides": {"kind": "json", "default": {}},
        "map-location": {"kind": "json_or_str", "default": "cpu"},
        "inner": {"kind": "json"},
        "backend": {"kind": "value", "type": "str", "default": "fast"},
        "load-format": {"kind": "value", "type": "str", "default": "auto"},
        "old-one": {"kind": "value", "type": "int", "default": None},
        "old-two": {"kind": "value", "default": None},
        "enable-x": {
            "spellings": ["-x"],
            "negations": ["--no-enable-x", "--disable-x"],
            "kind": "bool",
            "default": None,
        },
    }


def test_an_older_vllm_has_no_second_opposite_and_no_optional_value(tmp_path: Path) -> None:
    root = samples.write(tmp_path, samples.VLLM)
    (root / "vllm/utils/argparse_utils.py").write_text("")
    path = root / "vllm/engine/arg_utils.py"
    path.write_text(path.read_text().replace("{bool, str, type(None)}", "{bool}"))
    found = rows(vllm.extract(root))
    assert found["enable-x"]["negations"] == ["--no-enable-x"]
    assert found["hf-token"]["kind"] == "bool"


FIELDS = {
    "model-path": {"spellings": ["--model"], "kind": "value", "type": "str"},
    "host": {"kind": "value", "type": "str", "default": "127.0.0.1"},
    "tp": {"spellings": ["--tensor-parallel-size"], "kind": "value", "type": "int", "default": 1},
    "share": {"kind": "value", "type": "float", "default": None},
    "trust": {"kind": "flag", "default": False},
    "mode": {"kind": "value", "type": "str", "choices": ["fast", "slow"], "default": None},
    "sizes": {"kind": "list", "type": "int", "default": None},
    "labels": {"kind": "json", "default": None},
    "overlap": {"negations": ["--no-overlap"], "kind": "bool", "default": True},
    "config": {"kind": "value", "type": "str", "default": None},
}


@pytest.mark.parametrize("layout", [samples.SGLANG_FIELDS, samples.SGLANG_NAMESPACES])
def test_sglang_derives_flags_from_fields(tmp_path: Path, layout: dict[str, str]) -> None:
    assert rows(sglang.extract(samples.write(tmp_path, layout))) == FIELDS


def test_sglang_with_a_call_for_each_flag(tmp_path: Path) -> None:
    found = sglang.extract(samples.write(tmp_path, samples.SGLANG_CALLS))
    assert found.gone == {"older": ""}
    assert rows(found) == {
        "model-path": {"spellings": ["--model"], "kind": "value", "type": "str", "default": None},
        "host": {"kind": "value", "type": "str", "default": "127.0.0.1"},
        "load-format": {
            "kind": "value",
            "type": "str",
            "choices": ["auto", "gguf", "dummy"],
            "default": "auto",
        },
        "trust": {"kind": "flag", "default": False},
        "labels": {"kind": "json", "default": None},
        "lora-paths": {"kind": "list", "type": "str"},
        "old": {"kind": "flag", "default": False},
        "parser": {
            "kind": "value",
            "type": "str",
            "choices": ["auto", "gguf", "dummy"],
            "default": None,
        },
        # Which devices there are is known when it runs, so nothing is said of choices.
        "device": {"kind": "value", "type": "str", "default": None},
    }


def test_llama_server_from_its_table_of_options(tmp_path: Path) -> None:
    root = samples.write(tmp_path, samples.LLAMA_CPP)
    found = llama_cpp.extract(root)
    assert llama_cpp.version(root, "777") == "0.9.1"
    assert found.gone == {"draft-max": "use --spec-max"}
    assert rows(found) == {
        "usage": {"spellings": ["-h", "--help"], "kind": "flag"},
        "threads": {
            "spellings": ["-t"],
            "kind": "value",
            "type": "int",
            "env": "LLAMA_ARG_THREADS",
        },
        "mmproj-offload": {
            "negations": ["--no-mmproj-offload"],
            "kind": "bool",
            "env": "LLAMA_ARG_MMPROJ_OFFLOAD",
        },
        "flash-attn": {
            "spellings": ["-fa"],
            "kind": "value",
            "type": "str",
            "choices": ["on", "1", "auto"],
        },
        "gpu-layers": {"spellings": ["-ngl"], "kind": "value", "type": "int", "also": ["all"]},
        "lora": {"kind": "repeat", "type": "str"},
        "host": {"kind": "value", "type": "str"},
        "breaker": {"kind": "repeat", "type": "str"},
        "layer-range": {"kind": "list", "type": "str"},
        "parallel": {"spellings": ["-np"], "kind": "value", "type": "int"},
    }


def test_llama_cpp_was_numbered_by_builds_once(tmp_path: Path) -> None:
    root = samples.write(tmp_path, samples.LLAMA_CPP | {"CMakeLists.txt": 'project("llama.cpp")\n'})
    assert llama_cpp.version(root, "777") == "b777"


def test_the_gateway_without_the_prefix_of_the_engine_around_it(tmp_path: Path) -> None:
    assert rows(gateway.extract(samples.write(tmp_path, samples.GATEWAY))) == {
        "host": {"kind": "value", "type": "str", "default": "0.0.0.0"},
        "worker-urls": {"kind": "list", "type": "str", "default": []},
        "policy": {
            "kind": "value",
            "type": "str",
            "choices": ["random", "cache_aware"],
            "default": "cache_aware",
        },
        "selector": {"kind": "repeat", "type": "str", "default": None},
    }


@pytest.mark.parametrize(
    ("engine", "layout", "file", "old", "new", "said"),
    [
        pytest.param(
            "vllm",
            samples.VLLM,
            "vllm/engine/arg_utils.py",
            'group.add_argument("--share"',
            'for one in unheard_of():\n            group.add_argument("--share"',
            "a loop over what is unknown",
            id="vllm-loop",
        ),
        pytest.param(
            "vllm",
            samples.VLLM,
            "vllm/engine/arg_utils.py",
            "        return parser\n",
            '        unheard_of(parser)\n        return parser\n\n\ndef late(parser):\n    parser.add_argument("--late")\n',
            "not found: --late",
            id="vllm-elsewhere",
        ),
        pytest.param(
            "vllm",
            samples.VLLM,
            "vllm/engine/arg_utils.py",
            '**kwargs["share"]',
            "**unheard_of()",
            "cannot be read",
            id="vllm-keywords",
        ),
        pytest.param(
            "sglang",
            samples.SGLANG_NAMESPACES,
            "sglang/srt/arg_groups/fields/serving.py",
            '    _NS_PATH = "serving"\n',
            "",
            "not found: --host",
            id="sglang-namespace",
        ),
        pytest.param(
            "llama_cpp",
            samples.LLAMA_CPP,
            "common/arg.cpp",
            '{"-t", "--threads"}, "N"',
            'names_of_threads(), "N"',
            "its spellings cannot be read",
            id="llama-spellings",
        ),
        pytest.param(
            "llama_cpp",
            samples.LLAMA_CPP,
            "common/arg.cpp",
            '    add_opt(common_arg(\n        {"--lora"}',
            '    add_opt(common_arg_with_more(\n        {"--lora"}',
            "1 of",
            id="llama-definition",
        ),
        pytest.param(
            "gateway",
            samples.GATEWAY,
            "smg/router_args.py",
            '        parser.add_argument("--worker-urls"',
            '        other = unheard_of(parser)\n        other.add_argument("--worker-urls"',
            "not found: --worker-urls",
            id="gateway-parser",
        ),
    ],
)
def test_what_would_make_a_table_incomplete_is_refused(
    tmp_path: Path, engine: str, layout: dict[str, str], file: str, old: str, new: str, said: str
) -> None:
    root = samples.write(tmp_path, layout)
    read(ENGINES[engine], "1.0", root)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(Failed, match="would be incomplete") as caught:
        read(ENGINES[engine], "1.0", root)
    assert said in str(caught.value)


def test_sources_laid_out_in_another_way_are_refused(tmp_path: Path) -> None:
    for engine in ENGINES.values():
        with pytest.raises(Failed):
            read(engine, "1.0", tmp_path)
