# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a survey and injected secrets: what becomes of them, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _answers,
    _awx,
    _plan,
    _questions,
    _schema,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._controller import Action
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

from .playbooks import ROOT, play


def said(
    variables: dict[str, Any], launch: dict[str, Any], *, worker: bool = True
) -> tuple[dict[str, Any], list[str]]:
    problems = Problems("gpu1")
    result = _answers.apply(variables, launch, problems, worker=worker)
    return result, [problem.sentence for problem in problems.found]


@pytest.mark.parametrize("nothing", ["", "  ", None, [], _questions.KEEP])
def test_what_nobody_answered_leaves_the_inventory_alone(nothing: Any) -> None:
    inventory = {"router_port": 9000, "vllm_models": {"a": {"model": "b/c"}}}
    launch = {"survey_router_port": nothing, "survey_vllm_models": nothing}
    assert said(inventory, launch) == (inventory, [])


@pytest.mark.parametrize(
    ("name", "answer", "meant"),
    [
        ("router_port", "8080", 8080),
        ("router_port", " 8080\n", 8080),
        ("router_port", 8080, 8080),
        ("router_access_log", "false", False),
        ("router_access_log", "true", True),
        ("router_host", "0.0.0.0", "0.0.0.0"),
        ("vllm_tag", "v0.33.0", "v0.33.0"),
        (
            "vllm_devices",
            "nvidia.com/gpu=0, nvidia.com/gpu=1",
            ["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
        ),
        ("vllm_devices", "- nvidia.com/gpu=0", ["nvidia.com/gpu=0"]),
        ("vllm_devices", '["nvidia.com/gpu=0"]', ["nvidia.com/gpu=0"]),
        ("router_environment", "A: '1'\n", {"A": "1"}),
        ("vllm_start_timeout", "60", 60),
    ],
)
def test_texts_become_what_the_variable_holds(name: str, answer: Any, meant: Any) -> None:
    result, wrong = said({}, {f"survey_{name}": answer})
    problems = Problems("gpu1")
    options = [option for option in _plan.known_options() if option.name == name]
    read = _schema.read(options, result, problems)
    assert (read[name], wrong, problems.found) == (meant, [], [])


def test_a_dictionary_of_models_as_yaml_and_as_json() -> None:
    meant = {"small": {"port": 18001, "settings": {"hf-repo": "a/b"}}}
    as_yaml = "small:\n  port: 18001\n  settings: {hf-repo: a/b}\n"
    as_json = '{"small": {"port": 18001, "settings": {"hf-repo": "a/b"}}}'
    for text in (as_yaml, as_json, meant):
        assert said({}, {"survey_llama_cpp_models": text})[0] == {"llama_cpp_models": meant}


def test_an_answer_stands_in_place_of_the_inventory() -> None:
    launch = {"survey_vllm_models": "{b: {model: x/y}}"}
    assert said({"vllm_models": {"a": {}}}, launch)[0] == {"vllm_models": {"b": {"model": "x/y"}}}


def test_engines_are_asked_about_for_hosts_that_serve() -> None:
    launch = {
        "survey_vllm_models": "{b: {model: x/y}}",
        "survey_router_port": "81",
        "onehop_hub_token": "hf_x",
    }
    assert said({}, launch, worker=False)[0] == {"router_port": "81"}


def test_all_that_is_wrong_at_once() -> None:
    launch = {
        "survey_vllm_models": "a: [1,\nb",
        "survey_vllm_tagg": "x",
        "survey_sglang_devices": "{",
        "onehop_registry": "docker.io",
        "onehop_router_credentials": "sesame",
    }
    dummy, wrong = said({}, launch)
    assert len(wrong) == 5
    assert wrong[0].startswith("survey_vllm_models: is neither YAML nor JSON: ")
    assert "(line 2, column 2)" in wrong[0]
    assert wrong[1] == "survey_vllm_tagg: is no question of ours. Did you mean survey_vllm_tag."
    assert wrong[3].startswith("onehop_registry_username: is missing beside onehop_registry.")
    assert "onehop_router_credentials: is no list of names and secrets." in wrong[4]


def test_a_stranger_is_let_alone() -> None:
    assert said({}, {"survey_department": "sales"}) == ({}, [])


def test_secrets_stand_beside_those_of_the_inventory() -> None:
    inventory: dict[str, Any] = {
        "vllm_registries": {"quay.io": {"username": "q", "password": "1"}},
        "router_credentials": {"alice_key": "/etc/alice", "bob_key": "/etc/bob"},
        "vllm_hub_token": "/etc/token",
    }
    launch = {
        "onehop_hub_token": "hf_x\n",
        "onehop_registry": "docker.io",
        "onehop_registry_username": "ann",
        "onehop_registry_password": "0123",
        "onehop_router_credentials": "alice_key: 0123\nopenai_key: 'sk: x'\n",
    }
    result, wrong = said(inventory, launch)
    login = {"username": "ann", "password": "0123"}
    assert not wrong
    assert result["vllm_hub_token"] == result["llama_cpp_hub_token"] == {"content": "hf_x"}
    assert result["vllm_registries"] == {**inventory["vllm_registries"], "docker.io": login}
    assert result["sglang_registries"] == {"docker.io": login}
    assert "llama_cpp_registries" not in result
    assert result["router_credentials"] == {
        "alice_key": {"content": "0123"},
        "bob_key": "/etc/bob",
        "openai_key": {"content": "sk: x"},
    }


@pytest.mark.parametrize(
    "text", ["a: [sesame", "a: [sesame]", "sesame", "a: {b: sesame}", "- sesame"]
)
def test_a_secret_is_not_shown_where_it_is_wrong(text: str) -> None:
    dummy, wrong = said({}, {"onehop_router_credentials": text})
    assert len(wrong) == 1
    assert "sesame" not in wrong[0]


def test_every_injected_variable_is_understood() -> None:
    injected = [name for one in _awx.credential_types() for name in one["injectors"]["extra_vars"]]
    assert sorted(injected) == sorted(_answers.INJECTED)


def test_actions_read_the_secrets_of_a_launch_where_they_read_those_of_the_inventory() -> None:
    class Reader(Action):
        """An action whose variables are not templates."""

        def __init__(self) -> None:
            """Without a task."""

        def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
            return {}

        def variable(self, name: str, task_vars: dict[str, Any]) -> Any:
            return task_vars.get(name)

    given = {
        "router_credentials": {"bob_key": {"source": "/etc/bob"}},
        "onehop_router_credentials": "alice_key: sesame",
        "survey_vllm_models": "{a: {model: b/c}}",
    }
    reader = Reader()
    assert reader.declared("router_credentials", given) == {
        "bob_key": {"source": "/etc/bob"},
        "alice_key": {"content": "sesame"},
    }
    assert reader.declared("vllm_models", given) == {"a": {"model": "b/c"}}
    assert reader.declared("sglang_gateway", given) is None


INVENTORY = {
    "all": {
        "children": {
            "gpu_hosts": {
                "hosts": {"gpu1": {}},
                "vars": {
                    "llama_cpp_models": {"old": {"port": 18001, "settings": {"hf-repo": "a/b"}}},
                },
            },
            "llm_routers": {
                "hosts": {"front": {}},
                "vars": {
                    "router_port": 9000,
                    "router_client_keys": {"alice": {"credential": "alice_key"}},
                    "router_credentials": {"alice_key": {"content": "{{ vault_alice }}"}},
                },
            },
        }
    }
}


def plan(place: Path, launch: str) -> str:
    """What onehop.llm.plan shows, with extra variables as AWX writes them: a file, with its tags."""
    (place / "extravars").write_text(launch)
    run = play(place, ROOT / "playbooks" / "plan.yml", INVENTORY, "-e", f"@{place}/extravars")
    return run.stdout + run.stderr


def survey_defaults() -> dict[str, Any]:
    """What AWX hands over where nobody touches the survey of the plan: each default."""
    template = next(one for one in _awx.templates(_awx.Names()) if one["name"] == "OneHop: plan")
    return {one["variable"]: one["default"] for one in template["survey_spec"]["spec"]}


def test_the_plan_of_a_survey_that_nobody_touched(tmp_path: Path) -> None:
    launch = {**survey_defaults(), "vault_alice": "sesame", "awx_job_id": 7}
    shown = plan(tmp_path, yaml.safe_dump(launch))
    assert "http://0.0.0.0:9000" in shown or ":9000" in shown
    assert "old" in shown
    assert "sesame" not in shown


def test_the_plan_of_answers(tmp_path: Path) -> None:
    shown = plan(
        tmp_path,
        "vault_alice: ''\nsurvey_router_port: !unsafe '9443'\n"
        "survey_llama_cpp_models: !unsafe 'fresh: {port: 18009, settings: {hf-repo: c/d}}'\n"
        "onehop_router_credentials: !unsafe 'alice_key: sesame'\n",
    )
    assert "9443" in shown and "18009" in shown and "fresh" in shown
    assert "18001" not in shown and ":9000" not in shown
    assert "sesame" not in shown


def test_the_mistakes_of_answers_and_inventory_together(tmp_path: Path) -> None:
    shown = plan(
        tmp_path,
        "vault_alice: x\nsurvey_router_port: !unsafe 'eighty'\n"
        "survey_vllm_tag: !unsafe 'a b'\n"
        "survey_sglang_models: !unsafe '{a: {port: 5'\n",
    )
    assert "router_port = 'eighty': is not a whole number" in shown
    assert "vllm_tag = 'a b': is not the tag of an image" in shown
    assert "survey_sglang_models: is neither YAML nor JSON" in shown
