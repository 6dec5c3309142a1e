# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans say of flags: which version judges what, said once, for all models at once."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_table
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import sentences
from e2e import flag_cases

from .container_hosts import DIGEST, gateway, plan, sglang, vllm

NEWEST = {name: _flag_table.table(name).versions[-1] for name in ("vllm", "sglang", "llama_cpp")}
GUESS = "and nothing else tells which version of"


def said(variables: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The errors and the warnings of a plan, but for what adds up or does not."""
    made = plan({"gpu_host_checks": {"memory": "off"}, **variables})
    return sentences(made.problems), made.warnings


def versions(variables: dict[str, Any], role: str = "vllm") -> list[str]:
    workers = plan(variables).hosts["gpu1"]["engines"][role]["workers"]
    return [worker["flag_version"] for worker in workers]


def words(variables: dict[str, Any], role: str = "vllm") -> list[str]:
    made = plan(variables)
    assert sentences(made.problems) == []
    worker = made.hosts["gpu1"]["engines"][role]["workers"][0]
    return DESCRIPTIONS[worker["engine"]].command_line(worker)


def test_the_cases_for_the_real_vllm_are_half_right_and_half_wrong() -> None:
    made = list(flag_cases.cases(5, 60))
    assert made == list(flag_cases.cases(5, 60))
    assert [case["ours"] for case in made] == [True, False] * 30
    answers = [{"accepted": case["ours"]} for case in made]
    assert flag_cases.compare(made, answers) == []
    answers[7]["accepted"] = True
    (difference,) = flag_cases.compare(made, answers)
    assert str(made[7]["settings"]) in difference
    assert flag_cases.compare(made, answers[:-1]) == ["60 cases and 59 answers"]


def test_all_mistakes_of_all_models_at_once() -> None:
    models = {
        "a": {"model": "a/b", "settings": {"max-modle-len": 1, "dtype": "flaot16"}},
        "b": {"model": "a/b", "extra_args": ["--seed", "x"], "settings": {"max-model": 8}},
    }
    errors, warnings = said(
        {"vllm_tag": "v0.33.0", "vllm_models": models, "vllm_model_settings": {"quatization": "x"}}
    )
    assert warnings == []
    starts = [sentence.split(": ")[1] for sentence in errors]
    assert starts == [
        "vllm_model_settings.quatization",
        "vllm_models.a.settings.dtype = 'flaot16'",
        "vllm_models.a.settings.max-modle-len",
        "vllm_models.b.extra_args[0] = '--seed'",
        "vllm_models.b.settings.max-model",
    ]


def test_a_version_that_nothing_tells_is_warned_of_once() -> None:
    models = {
        key: {"model": "a/b", "settings": {"seed": 1}, **more}
        for key, more in {"a": {}, "b": {"tag": "nightly"}, "c": {"digest": DIGEST}}.items()
    }
    errors, warnings = said({"vllm_tag": "latest", "vllm_models": models})
    assert errors == []
    (warning,) = [text for text in warnings if GUESS in text]
    assert warning.startswith(
        "gpu1: vllm_version: is missing, and nothing else tells which version of vLLM serves "
        f"vllm_models.a and 2 more: flags are checked against {NEWEST['vllm']}, the newest"
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"vllm_tag": "latest", "vllm_models": {"m": {"model": "a/b"}}},
        vllm({"settings": {"seed": 1}}, vllm_tag="v0.33.0"),
        vllm({"settings": {"seed": 1}}, vllm_tag="latest", vllm_version="0.33.0"),
        vllm({"settings": {"seed": 1}, "version": "0.33.0"}, vllm_tag="latest"),
        vllm({"settings": {"sead": 1}}, vllm_tag="latest", vllm_flag_check="off"),
        vllm({"settings": {"sead": 1}, "flag_check": False}, vllm_tag="latest"),
        {"llama_cpp_models": {"m": {"environment": {"OTHER": "1"}}}},
        gateway(),
    ],
)
def test_where_nothing_is_guessed_nothing_is_warned_of(variables: dict[str, Any]) -> None:
    assert said(variables) == ([], [])


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        (vllm({"settings": {"sead": 1}}), "vllm_models.m.settings.sead: is not a flag of vLLM"),
        (vllm(vllm_model_settings={"sead": 1}), "vllm_model_settings.sead: is not a flag of vLLM"),
        (
            vllm({"settings": {"sead": 1}}, vllm_tag="v0.33.0", vllm_flag_check="warn"),
            "vllm_models.m.settings.sead: is not a flag of vLLM 0.33.0. Did you mean seed",
        ),
        (
            vllm({"settings": {"seed": 1}}, vllm_tag="v99.0"),
            "vllm_models.m: is served by vLLM 99.0, which is newer than every version whose flags",
        ),
        (
            {"llama_cpp_models": {"m": {"environment": {"LLAMA_ARG_CTX_SISE": "1"}}}},
            "environment.LLAMA_ARG_CTX_SISE: stands for no flag of llama.cpp",
        ),
        (
            gateway({"settings": {"policy": "cache_aware"}}),
            "sglang_gateway.version: is missing, and nothing else tells which version of SGL Model",
        ),
    ],
)
def test_warnings(variables: dict[str, Any], warned: str) -> None:
    errors, warnings = said(variables)
    assert errors == []
    assert [text for text in warnings if warned in text], warnings


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        (vllm({"settings": {"seed": "x"}}), "vllm_models.m.settings.seed = 'x': is not a whole"),
        (vllm({"settings": {"asc": "x"}}), "settings.asc = 'x': is not a whole number"),
        (
            {"llama_cpp_models": {"m": {"settings": {"a": "x"}}}},
            "llama_cpp_models.m.settings.a: is set by the role. Use the model's name",
        ),
        (
            {"llama_cpp_models": {"m": {"extra_args": ["-a", "x"]}}},
            "llama_cpp_models.m.extra_args: gives a, which is set by the role. Use the model's",
        ),
        (
            vllm(vllm_tag="v0.33.0", vllm_model_settings={"max-modle-len": 1}, vllm_models={}),
            "vllm_model_settings.max-modle-len: is not a flag of vLLM 0.33.0",
        ),
        (vllm({"flag_check": "never"}), "flag_check = 'never': is not one of the choices"),
        (vllm(vllm_version="newest"), "vllm_version = 'newest': is not a version. Write one such"),
        (
            sglang({"extra_args": ["--max_running_requests", "3"]}, sglang_tag="v0.5.23"),
            "is spelt with _, which SGLang does not take. Write --max-running-requests",
        ),
    ],
)
def test_errors(variables: dict[str, Any], error: str) -> None:
    errors, _warnings = said(variables)
    assert len(errors) == 1
    assert error in errors[0]


@pytest.mark.parametrize(
    ("variables", "version"),
    [
        (vllm(vllm_tag="v0.33.0"), "0.33.0"),
        (vllm(vllm_tag="v0.11.0-x86_64"), "0.11.0"),
        (vllm({"tag": "v0.11.0"}, vllm_tag="v0.33.0"), "0.11.0"),
        (vllm({"tag": "v0.11.0", "version": "0.12.0"}, vllm_tag="v0.33.0"), "0.12.0"),
        (vllm({"tag": "v0.11.0"}, vllm_tag="v0.33.0", vllm_version="0.12.0"), "0.11.0"),
        (vllm(vllm_tag="v0.33.0", vllm_version="v0.12.0"), "0.12.0"),
        (vllm({"digest": DIGEST}, vllm_tag="v0.11.0"), NEWEST["vllm"]),
        (vllm({"digest": DIGEST}, vllm_tag="v0.11.0", vllm_version="0.12.0"), "0.12.0"),
        (vllm(vllm_tag=None, vllm_digest=DIGEST), NEWEST["vllm"]),
    ],
)
def test_what_tells_the_version(variables: dict[str, Any], version: str) -> None:
    assert versions(variables) == [version]


def test_settings_of_all_models_are_judged_by_each_version() -> None:
    models = {
        "old": {"model": "a/b", "tag": "v0.11.0", "port": 18001},
        "new": {"model": "a/b", "tag": "v0.33.0"},
    }
    variables = {"vllm_models": models, "vllm_model_settings": {"rope-theta": 1, "seed": "x"}}
    errors, _warnings = said(variables)
    assert len(errors) == 2
    assert "vllm_model_settings.rope-theta: is no flag of vLLM 0.33.0: " in errors[0]
    assert errors[1].startswith("gpu1: vllm_model_settings.seed = 'x': is not a whole number")


def test_a_models_own_setting_wins_in_another_spelling() -> None:
    made = words(
        vllm(
            {"settings": {"max_model_len": 1, "no-enforce-eager": True}},
            vllm_tag="v0.33.0",
            vllm_model_settings={"max-model-len": 2, "enforce_eager": True, "seed": 3},
        )
    )
    assert made[1:4] == ["--max-model-len=1", "--no-enforce-eager", "--seed=3"]


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        # None of these can be negated: --no-headless would end the engine.
        ({"headless": False, "disable-log-stats": False}, []),
        ({"enable-log-deltas": False}, ["--no-enable-log-deltas"]),
        ({"allowed-origins": ["*"]}, ['--allowed-origins=["*"]']),
        ({"middleware": ["a.b", "c.d"]}, ["--middleware=a.b", "--middleware=c.d"]),
        ({"compilation-config.mode": 3}, ["--compilation-config.mode=3"]),
        ({"hf-overrides": {"a": 1}}, ['--hf-overrides={"a":1}']),
        ({"tp": 2}, ["-tp=2"]),
    ],
)
def test_words_of_vllm(settings: dict[str, Any], made: list[str]) -> None:
    found = words(vllm({"settings": settings}, vllm_tag="v0.33.0"))
    managed = {"a/b", "--served-model-name=m", "--uds=/run/onehop/http.sock"}
    assert [word for word in found if word not in managed] == made


def test_a_flag_that_got_a_longer_name() -> None:
    model = {"settings": {"model": "/srv/a.gguf", "draft-max": 16}}
    (error,), dummy = said({"llama_cpp_version": "b9409", "llama_cpp_models": {"m": model}})
    assert "Did you mean spec-draft-n-max, or" in error


def test_the_abbreviations_of_sglangs_own_documentation() -> None:
    """Every version of the table has taken them for the same; they are written in full."""
    made = words(
        sglang(
            {"settings": {"tp": 4}, "extra_args": ["--dp", "2"]},
            sglang_tag="v0.5.9",
            sglang_model_settings={"tp-size": 2},
        ),
        "sglang",
    )
    assert [word for word in made if "tp" in word] == ["--tp-size=4"]
    table = _flag_table.table("sglang")
    for version in table.versions:
        for short, whole in DESCRIPTIONS["sglang"].dialect.short.items():
            names = [name for name in table.at(version).names() if name.startswith(short)]
            assert names == [whole]


def test_a_part_beside_the_whole_of_all_models() -> None:
    errors, _warnings = said(
        vllm(
            {"settings": {"compilation-config.mode": 3}},
            vllm_tag="v0.33.0",
            vllm_model_settings={"compilation_config": {"mode": 0}},
        )
    )
    assert errors == [
        "gpu1: vllm_models.m.settings.compilation-config.mode: is a part of compilation-config, "
        "which is given whole by vllm_model_settings.compilation_config. Write one dictionary: beside "
        "a part vLLM forgets the whole."
    ]


def test_words_of_llama_cpp() -> None:
    settings = {
        "flash-attn": True,
        "kv-offload": False,
        "lora": ["/srv/a", "/srv/b"],
        "jinja": True,
    }
    models = {"m": {"port": 18001, "settings": settings}}
    variables = {"llama_cpp_version": NEWEST["llama_cpp"], "llama_cpp_models": models}
    found = words(variables, "llama_cpp")
    assert found[2:] == [
        *("--flash-attn", "on", "--host", "127.0.0.1", "--jinja"),
        *("--lora", "/srv/a", "--lora", "/srv/b", "--no-kv-offload", "--port", "18001"),
    ]


def test_a_version_that_cannot_listen_on_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _flag_table.table("vllm")
    rows = tuple(
        flag
        if flag.name != "uds"
        else _flag_table.Flag("uds", "value", whole.versions[1], None, "str", ("--uds",))
        for flag in whole.flags
    )
    monkeypatch.setattr(
        _flag_table, "table", lambda name: _flag_table.Table(name, whole.versions, rows)
    )
    errors, _warnings = said(vllm(vllm_tag=f"v{whole.versions[0]}"))
    assert errors == [
        f"gpu1: vllm_models.m.port: is missing, and vLLM {whole.versions[0]} listens on ports only: "
        f"--uds came with {whole.versions[1]}. Write a free port."
    ]
    assert said(vllm({"port": 18001}, vllm_tag=f"v{whole.versions[0]}")) == ([], [])
    assert said(vllm(vllm_tag="latest")) == ([], [])


def test_no_error_shows_a_secret_in_a_value() -> None:
    model = {
        "settings": {"kv-transfer-config": '{"api_key": "hunter2"', "seed": "http://u:hunter2@x"},
        "container_config": {"PodmanArgs": "-e A_TOKEN=hunter2 -p 8000"},
        "service_config": {"Environment": "A_SECRET=hunter2\\", "X": ["B_TOKEN=hunter2\n"]},
    }
    errors, dummy = said(vllm(model, vllm_tag="v0.20.2"))
    assert len(errors) == 5
    assert "hunter2" not in str(errors)


@pytest.mark.parametrize("level", ["warn", "off"])
def test_a_secret_by_an_abbreviation(level: str) -> None:
    for model in ({"settings": {"api-k": "hunter2"}}, {"extra_args": ["--hf-to=hunter2"]}):
        (error,), dummy = said(vllm(model | {"flag_check": level}, vllm_tag="v0.20.2"))
        assert "a secret, which every user of the host could read in the argument list" in error
        assert "hunter2" not in error


def test_a_level_of_compilation_is_no_json() -> None:
    assert "-O=3" in words(vllm({"settings": {"O": 3}}, vllm_tag="v0.11.0"))
    (error,), dummy = said(vllm({"settings": {"compilation-config": 3}}, vllm_tag="v0.11.0"))
    assert "is a number, and this flag takes JSON" in error


def test_what_is_only_warned_of_can_be_silenced() -> None:
    for more in ({"vllm_tag": "v0.20.2", "vllm_flag_check": "warn"}, {"vllm_tag": "latest"}):
        dummy, (first, *rest) = said(vllm({"settings": {"xyzzy": 3}}, **more))
        assert "write flag_check: off where your own build" in first, rest


def test_a_revision_of_digits_is_not_lost() -> None:
    made = plan(vllm({"settings": {"revision": 1234567}}, vllm_tag="v0.20.2"))
    (worker,) = made.hosts["gpu1"]["engines"]["vllm"]["workers"]
    assert [item["revision"] for item in worker["weights"]] == ["1234567"]
