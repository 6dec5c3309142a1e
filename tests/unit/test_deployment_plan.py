# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan comes to, shown without a host: by the playbook, by the filter, and without a secret."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.onehop.llm.plugins.filter import deployment_plan as plugin
from ansible_collections.onehop.llm.plugins.filter.deployment_plan import deployment_plan
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _deployment,
    _deployment_text,
    _install,
    _masks,
    _plan,
)

from .container_hosts import gateway, vllm
from .fleet import FRONT, GPU1, SECRET, inventory
from .playbooks import ROOT, play

GOLDEN = Path(__file__).parent / "golden" / "plan.txt"
PLAYBOOK = ROOT / "playbooks" / "plan.yml"


def shown(stdout: str) -> str:
    """What the task showed, without what Ansible says around it."""
    return stdout.partition("TASK [Show it] ")[2].partition("\n")[2].partition("\nok: ")[0] + "\n"


def test_the_playbook_shows_all_and_connects_to_nobody(tmp_path: Path) -> None:
    done = play(tmp_path, PLAYBOOK, inventory())
    assert done.returncode == 0, done.stdout + done.stderr
    for host, found in fleet().items():
        assert _deployment_text.text(host, found).rstrip("\n") in shown(done.stdout)
    assert SECRET not in done.stdout + done.stderr
    # Its ssh is not there, so that one task with a connection would have failed.
    reached = play(
        tmp_path,
        [{"hosts": "gpu1", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}],
        inventory(),
    )
    assert reached.returncode != 0


def test_the_playbook_shows_it_as_in_the_golden_file(tmp_path: Path) -> None:
    """Without units, whose texts are held to elsewhere."""
    done = play(tmp_path, PLAYBOOK, inventory(), "-e", "plan_units=false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown(done.stdout) == GOLDEN.read_text()


def test_the_playbook_shows_less_and_writes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    words = ["-e", "plan_models=qwen", "-e", "plan_units=false", "-e", f"plan_file={file}"]
    done = play(
        tmp_path,
        PLAYBOOK,
        inventory(),
        "--limit",
        "gpu1",
        "--check",
        "-e",
        "plan_podman=4.9.3",
        *words,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = shown(done.stdout).split("\n")
    assert lines[0] == "gpu1"
    assert "Podman" not in lines[1]
    assert [line for line in lines if ": " in line and "_models." in line] == [
        "  vLLM: qwen3-8b (vllm_models.qwen)"
    ]
    assert "[Container]" not in done.stdout
    written = json.loads(file.read_text())
    assert list(written) == ["gpu1"]
    (model,) = written["gpu1"]["models"]
    # From its snapshot, which has a name once it is fetched.
    place = "/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots"
    assert model["command"][:3] == ["vllm", "serve", f"{place}/(known once it is fetched)"]
    assert model["environment"]["HF_HUB_OFFLINE"] == "1"
    assert model["weights"] == [{"repo": "Qwen/Qwen3-8B", "revision": "main", "stage": True}]
    # As an old Podman wants it.
    assert "PodmanArgs=--conmon-pidfile=%t/%N.pid\nPodmanArgs=" in model["files"][0]["content"]
    assert SECRET not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_model_that_nobody_serves(tmp_path: Path) -> None:
    done = play(tmp_path, PLAYBOOK, inventory(), "-e", "plan_models=qwn")
    assert done.returncode != 0
    assert "models = qwn: no host serves it. Write some of qwen, qwen3-8b, small." in (
        done.stdout + done.stderr
    ).replace("\n", " ")


def fleet() -> dict[str, Any]:
    hosts = {"gpu1": {"ansible_host": "192.0.2.1", **GPU1}, "front1": FRONT}
    return deployment_plan(hosts, gpu_hosts=["gpu1"], llm_routers=["front1"])


def test_the_filter_gives_the_same() -> None:
    found = fleet()
    texts = [_deployment_text.text(host, found[host], units=False) for host in sorted(found)]
    assert "\n".join(texts).rstrip("\n") + "\n" == GOLDEN.read_text()
    assert SECRET not in json.dumps(found)


def test_the_filters_examples_run(tmp_path: Path) -> None:
    done = play(tmp_path, yaml.safe_load(plugin.EXAMPLES), {"all": {}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/usr/bin/llama-server --alias small --ctx-size 8192" in done.stdout
    assert "/etc/systemd/system/llama-cpp-small.service" in done.stdout


def test_the_filter_tells_all_mistakes() -> None:
    with pytest.raises(AnsibleFilterError) as raised:
        deployment_plan({"a": vllm({"port": 80}), "b": vllm({"prot": 8001})})
    assert "a: vllm_models.m.port = 80" in str(raised.value)
    assert "b: vllm_models.m.prot" in str(raised.value)
    with pytest.raises(AnsibleFilterError, match="no host serves it"):
        deployment_plan({"a": vllm()}, models=["n"])
    with pytest.raises(AnsibleFilterError, match="by the name of their host"):
        deployment_plan([])  # type: ignore[arg-type]


def test_the_files_are_those_of_a_run() -> None:
    """Byte for byte what the host is given, for what has nothing to hide."""
    more = vllm({"name": "v", "port": 8001, "environment": {"A": "b"}})
    variables = gateway() | more
    made = _plan.make([_plan.Host("gpu1", variables, list(variables))])
    assert made.problems == []
    facts = _deployment.ASSUMED | {"uid": 995, "weights": {}}
    found = deployment_plan({"gpu1": variables}, facts=facts)["gpu1"]
    assert found["assumed"] == {}
    units: dict[str, str] = {}
    for role in ("vllm", "sglang"):
        rendered = _install.workers(
            made.data(), "gpu1", role, facts, {}, _install.Programs("", "", "")
        )
        units |= {unit["name"]: unit["content"] for unit in rendered["units"]}
        units |= {file["path"]: file["content"] for file in rendered["files"]}
    assert [model["unit"] for model in found["models"]] == [
        "vllm-v.service",
        "sglang-m.service",
        "sglang-gateway.service",
    ]
    for model in found["models"]:
        quadlet, drop_in = model["files"]
        name = model["unit"].replace(".service", ".container")
        assert quadlet == {
            "path": f"/etc/containers/systemd/users/995/{name}",
            "content": units[model["unit"]],
        }
        assert drop_in["content"] == units[drop_in["path"]]
        words = next(line for line in quadlet["content"].split("\n") if line.startswith("Exec="))
        entry = next(
            (line for line in quadlet["content"].split("\n") if line.startswith("Entrypoint=")), ""
        )
        start = json.loads(entry.removeprefix("Entrypoint=")) if entry else []
        assert model["command"] == start + shlex.split(words.removeprefix("Exec="))


def test_routes_of_a_fleet() -> None:
    model = {"llama_cpp_models": {"m": {"port": 18001, "settings": {"model": "/srv/m.gguf"}}}}
    found = deployment_plan({"a": model, "b": model})
    assert found["a"]["models"][0]["route"] == {
        "model": "m",
        "aliases": [],
        "url": "http://127.0.0.1:18001",
        "replicas": ["a", "b"],
        "routers": ["a"],
    }
    assert found["a"]["router"]["routes"] == {"m": ["http://127.0.0.1:18001"]}
    hidden = deployment_plan({"a": {**model, "router_enable": False}})
    assert hidden["a"]["router"] is None
    assert hidden["a"]["models"][0]["route"]["routers"] == []
    assert "by no router" in _deployment_text.text("a", hidden["a"])


def test_what_the_podman_of_a_host_does_not_know() -> None:
    variables = vllm({"container_config": {"HttpProxy": "false"}})
    found = deployment_plan({"gpu1": variables}, facts={"podman": "5.4.2"})["gpu1"]
    (warning,) = found["warnings"]
    assert "is known from Podman 5.7 on, and the host has 5.4.2" in warning
    assert f"  WARNING {warning}\n" in _deployment_text.text("gpu1", found)


def test_credentials_are_told_by_name() -> None:
    credentials = {
        "kept": "/etc/kept",
        "given": {"content": SECRET, "environment": "API_SECRET"},
    }
    model = {"credentials": credentials, "settings": {"chat-template": "${cred:kept}"}}
    found = deployment_plan({"gpu1": vllm(model)})["gpu1"]
    assert found["models"][0]["credentials"] == {
        "given": {"from": "the inventory", "environment": "API_SECRET", "flag": None},
        "kept": {"from": "/etc/kept", "environment": None, "flag": None},
    }
    assert "--chat-template=/run/secrets/kept" in found["models"][0]["command"]
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("HF_TOKEN", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("PGPASSWORD", True),
        ("DB_PASSWORD", True),
        ("Authorization", True),
        ("X-Api-Key", True),
        ("Cookie", True),
        ("TOKENIZERS_PARALLELISM", False),
        ("MAX_TOKENS", False),
        ("SSL_KEY_FILE", False),
        ("HF_HOME", False),
        ("MONKEY", False),
        ("", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert _masks.is_secret(name) is secret


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("http://a:b@c/d", "http://********@c/d"),
        ("http://c/d@e", "http://c/d@e"),
        ("-e API_KEY=abc -e A=b", "-e API_KEY=******** -e A=b"),
        ('DB_PASSWORD="a b"', "DB_PASSWORD=********"),
        ("API_KEY=${cred:key}", "API_KEY=${cred:key}"),
        ("{'api-key': 'x'}", "{'api-key': 'x'}"),
        ({"a": {"api_key": "abc", "n": 1}}, {"a": {"api_key": "********", "n": 1}}),
        (["x", {"token": "abc"}, True], ["x", {"token": "********"}, True]),
        ('{"a": 1, "api_key" : "a\\"bc"}', '{"a": 1, "api_key" : "********"}'),
        ('{"tokenizer": "abc", "key": "${cred:k}"}', '{"tokenizer": "abc", "key": "${cred:k}"}'),
        (
            {"a": {"password": 1234, "eos_token_id": 2}},
            {"a": {"password": "********", "eos_token_id": 2}},
        ),
    ],
)
def test_texts_without_secrets(value: Any, wanted: Any) -> None:
    assert _masks.deep(value) == wanted


def test_unknown_flags_that_are_called_like_a_secret() -> None:
    model = {
        "flag_check": "warn",
        "settings": {
            "api-token": SECRET,
            "return-tokens-as-token-ids": True,
            "long-prefill-token-threshold": 7,
            "speculative-config": json.dumps({"method": "x", "api_key": SECRET}),
        },
        "extra_args": ["--my-token", SECRET, f"--my-secret={SECRET}", "--seed", "3"],
    }
    found = deployment_plan({"gpu1": vllm(model, vllm_tag="v0.20.2")})["gpu1"]
    assert SECRET not in json.dumps(found)
    command = found["models"][0]["command"]
    assert "--long-prefill-token-threshold=7" in command
    assert command[-5:] == ["--my-token", "********", "--my-secret=********", "--seed", "3"]
