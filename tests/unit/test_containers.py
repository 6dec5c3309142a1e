# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines in containers: their plans, every mistake with them, and what they ask of a host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _gpu_host, _install, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems, sentences

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
VLLM = "docker.io/vllm/vllm-openai"
FACTS = {
    "podman": "5.4.2",
    "devices": ["nvidia.com/gpu=all"],
    "selinux": False,
    "python": "/usr/bin/python3",
    "uid": 995,
    "images": {f"{VLLM}:v1": "0123"},
}


def host(variables: dict[str, Any]) -> _plan.Host:
    return _plan.Host("gpu1", variables, list(variables))


def plan(variables: dict[str, Any]) -> _plan.Plan:
    return _plan.make([host(variables)])


def vllm(models: Any = None, **more: Any) -> dict[str, Any]:
    """A host with one model of vLLM: ``models`` are more keys of it, or other models."""
    model = {"model": "a/b"} | (models or {})
    return {"vllm_tag": "v1", "vllm_models": {"m": model}} | more


def sglang(models: Any = None, **more: Any) -> dict[str, Any]:
    model = {"model": "a/b", "port": 30001} | (models or {})
    return {"sglang_tag": "v1", "sglang_models": {"m": model}} | more


def gateway(keys: Any = None, **more: Any) -> dict[str, Any]:
    return sglang(**({"sglang_gateway": {"enable": True, "port": 30000} | (keys or {})} | more))


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    models = {"n": {"model": "a/b", "port": 30001}}
    return vllm() | sglang(sglang_models=models) | one | other


def worker(variables: dict[str, Any], role: str = "vllm", number: int = 0) -> dict[str, Any]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    found: dict[str, Any] = made.hosts["gpu1"]["engines"][role]["workers"][number]
    return found


MISTAKES = [
    # The image.
    (vllm(vllm_digest=DIGEST), "vllm_digest: is given beside a tag. Keep the one"),
    (vllm({"tag": "v2", "digest": DIGEST}), "vllm_models.m.digest: is given beside a tag"),
    (vllm(vllm_tag=None), "vllm_tag: is missing, and vllm_models.m has neither tag nor digest"),
    (vllm(vllm_image=f"{VLLM}:v1"), "is not an image's whole name. Write registry and path"),
    (vllm(vllm_image="vllm/vllm-openai"), "vllm_image = 'vllm/vllm-openai': is not an image's"),
    (vllm(vllm_image="vllm-openai"), "is not an image's whole name"),
    (vllm({"tag": "v1 --rm"}), "vllm_models.m.tag = 'v1 --rm': is not the tag of an image"),
    (vllm({"digest": "a" * 64}), "is not a SHA-256 checksum. Write sha256: and 64 hexadecimal"),
    (vllm({"digest": "sha256:abc"}), "vllm_models.m.digest = 'sha256:abc': is not a SHA-256"),
    (
        vllm(vllm_image_archives={VLLM: "/srv/x.tar"}),
        "is not an image with its tag or digest. Write one such as",
    ),
    (vllm(vllm_image_archives={f"{VLLM}:v1": "x.tar"}), "x.tar': is not an absolute path"),
    (vllm(vllm_registries={"docker.io": {"username": "ann"}}), "docker.io.password: is missing"),
    # The model.
    (vllm({"model": None}), "vllm_models.m.model: is missing"),
    (vllm({"shm_size": "32 GB"}), "vllm_models.m.shm_size = '32 GB': is not a size"),
    (vllm({"shm_size": "0"}), "is not a size"),
    (vllm(vllm_cache_dir="/var/cache/a:b"), "vllm_cache_dir = '/var/cache/a:b': holds a colon"),
    (vllm({"model": "/srv/../proc/1"}), "vllm_models.m.model = '/srv/../proc/1': is no plain path"),
    (vllm({"model": "//dev"}), "vllm_models.m.model = '//dev': is no plain path"),
    (vllm({"devices": ["gpu0"]}), "is neither a CDI device nor a device node"),
    (vllm({"devices": ["nvidia.com/gpu"]}), "vllm_models.m.devices[0] = 'nvidia.com/gpu': is"),
    (vllm(vllm_devices=["/dev/x y"]), "vllm_devices[0] = '/dev/x y': is neither a CDI device"),
    (vllm({"devices": "all"}), "vllm_models.m.devices = 'all': is a text, not a list"),
    (vllm({"port": 80}), "vllm_models.m.port = 80: is a port that only root may listen on"),
    (sglang({"port": None}), "sglang_models.m.port: is missing, and this engine listens on"),
    (sglang({"port": 1023}), "sglang_models.m.port = 1023: is a port that only root may"),
    (
        vllm({"tensor-parallel-size": 2}),
        "is not a known key. Write one of container_config, credentials",
    ),
    (vllm(vllm_user="root"), "vllm_user = 'root': is root. Name an account of its own"),
    (vllm(vllm_user="Vllm"), "is not a name for a system account"),
    (vllm(vllm_uid=0), "vllm_uid = 0: is out of range"),
    # What the role says, and nobody else.
    (
        vllm({"container_config": {"Image": "x"}}),
        "vllm_models.m.container_config.Image: is set by the role. Remove it: a key of the model",
    ),
    (vllm({"container_config": {"PublishPort": "8000:8000"}}), "PublishPort: is set by the role"),
    (vllm({"container_config": {"Exec": "x"}}), "container_config.Exec: is set by the role"),
    (vllm({"container_config": {"Notify": True}}), "container_config.Notify: is set by the role"),
    (vllm({"container_config": {"Pull": "always"}}), "container_config.Pull: is set by the role"),
    (vllm({"service_config": {"User": "x"}}), "service_config.User: is set by the role"),
    (vllm({"service_config": {"Type": "simple"}}), "service_config.Type: is set by the role"),
    (vllm({"service_config": {"ExecStart": "x"}}), "service_config.ExecStart: is set by the role"),
    (
        vllm({"container_config": {"Network": "host"}}),
        "m.container_config.Network = 'host': would have the worker listen for everybody in reach",
    ),
    (vllm({"container_config": {"Network": ["pasta", "host"]}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "-p 8000:8000"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "-P"}}), "listen for everybody in reach"),
    (
        vllm({"container_config": {"PodmanArgs": ["--init", "--cpus 2 --network=host"]}}),
        "container_config.PodmanArgs = '--cpus 2 --network=host': would have the worker listen",
    ),
    (vllm({"container_config": {"PodmanArgs": "--net host"}}), "listen for everybody in reach"),
    (
        vllm({"container_config": {"PodmanArgs": "--publish=1:1 '"}}),
        "listen for everybody in reach",
    ),
    (vllm({"container_config": {"Add Device": "x"}}), "Add Device: is no key of a unit"),
    (vllm({"container_config": {"Label": "a\nExec=b"}}), "Label = 'a\\nExec=b': is no text on one"),
    # Flags of the role.
    (vllm({"settings": {"host": "0.0.0.0"}}), "settings.host: is set by the role. Remove it: a"),
    (vllm({"settings": {"port": 1}}), "settings.port: is set by the role. Use the model's port"),
    (vllm({"settings": {"uds": "/x"}}), "settings.uds: is set by the role. Leave out the model's"),
    (
        vllm({"settings": {"served_model_name": "x"}}),
        "settings.served_model_name: is set by the role. Use the model's name",
    ),
    (vllm({"settings": {"model": "x"}}), "settings.model: is set by the role. Use the model's"),
    (vllm(vllm_model_settings={"model": "x"}), "vllm_model_settings.model: is set by the role"),
    (vllm({"settings": {"ssl-certfile": "/x"}}), "workers listen on loopback, and TLS ends at the"),
    (sglang({"settings": {"model_path": "x"}}), "settings.model_path: is set by the role. Use the"),
    (sglang({"settings": {"ssl_keyfile": "/x"}}), "settings.ssl_keyfile: is set by the role"),
    (vllm({"settings": {"--seed": 1}}), "Write it without leading dashes: seed"),
    (vllm({"extra_args": ["--host=0.0.0.0"]}), "extra_args: gives host, which is set by the role"),
    (vllm({"extra_args": ["--hos", "x"]}), "gives hos, which the engine may take for host"),
    (vllm({"extra_args": ["--served_model"]}), "the engine may take for served-model-name"),
    (sglang({"extra_args": ["--por=1"]}), "gives por, which the engine may take for port"),
    (vllm({"extra_args": ["--seed", ""]}), "holds an empty word, which Quadlet cannot pass on"),
    (vllm({"settings": {"stop": ["a", ""]}}), "settings.stop: holds an empty word"),
    # Paths that are no host's to show.
    (vllm({"model": "/"}), "vllm_models.m.model = '/': cannot be shown to a container"),
    (vllm({"settings": {"chat-template": "/dev/x"}}), "settings.chat-template = '/dev/x': cannot"),
    (vllm({"settings": {"lora-modules": ["a=/proc/1"]}}), "lora-modules = '/proc/1': cannot be"),
    (vllm({"settings": {"x": {"y": ["/sys"]}}}), "m.settings.x = '/sys': cannot be shown"),
    (
        vllm({"settings": {"x": "/run/secrets/k"}}),
        "a path inside of the image goes into extra_args",
    ),
    # Secrets.
    (vllm({"settings": {"x": "${cred:k}"}}), "refers to the credential 'k', which is not declared"),
    (vllm({"credentials": {"k": {"environment": "A"}}}), "has neither source nor content"),
    (
        vllm({"credentials": {"k": {"source": "/k", "environment": "A-B"}}}),
        "credentials.k.environment = 'A-B': is not a name for an environment variable",
    ),
    (
        vllm({"credentials": {"k": {"source": "/k", "flag": "api-key"}}}),
        "vllm_models.m.credentials.k.flag: is not a known key",
    ),
    # Two of a kind on a host.
    (
        both({}, {"vllm_uid": 990, "sglang_uid": 990, "sglang_gid": 991}),
        "sglang_uid = 990: is the uid of vllm_user too. Write another, or leave it out",
    ),
    (
        both({}, {"vllm_gid": 990, "sglang_gid": 990}),
        "sglang_gid = 990: is the gid of vllm_user too",
    ),
    (
        both(
            {"vllm_subuid_start": 500000, "vllm_subgid_start": 1},
            {"sglang_subuid_start": 565535, "sglang_subgid_start": 900000},
        ),
        "sglang_subuid_start = 565535: makes a range that overlaps the one of vllm_subuid_start. "
        "Write 565536 or more",
    ),
    (
        both({"vllm_subgid_start": 500000}, {"sglang_subgid_start": 434465}),
        "sglang_subgid_start = 434465: makes a range that overlaps the one of vllm_subgid_start",
    ),
    (
        both({"vllm_models": {"n": {"model": "a/b", "port": 8001}}}, {}),
        "sglang_models.n: is served as 'n', and so is vllm_models.n on this host",
    ),
    (
        vllm(vllm_models={"a": {"model": "x", "port": 8080}}),
        "vllm_models.a.port = 8080: is used by router_port too",
    ),
    (
        vllm(
            vllm_models={"a": {"model": "x", "port": 8001}, "b": {"model": "x", "port": 8001}},
        ),
        "vllm_models.b.port = 8001: is used by vllm_models.a.port too",
    ),
    # The gateway.
    (gateway({"port": None}), "sglang_gateway.port: is missing. Write a free port"),
    (gateway({"port": 443}), "sglang_gateway.port = 443: is a port that only root may listen on"),
    (gateway({"metrics_port": 900}), "sglang_gateway.metrics_port = 900: is a port that only"),
    (gateway({"port": 30001}), "sglang_gateway.port = 30001: is used by sglang_models.m.port too"),
    (
        gateway({"metrics_port": 30000}),
        "sglang_gateway.metrics_port = 30000: is used by sglang_gateway.port too",
    ),
    (gateway(router_port=29000), "sglang_gateway.metrics_port = 29000: is used by router_port too"),
    (gateway({"bind_address": "localhost"}), "bind_address = 'localhost': is not an IP address"),
    (gateway({"bind_address": "0.0.0.0:1"}), "bind_address = '0.0.0.0:1': is not an IP address"),
    (gateway({"settings": {"enable-igw": True}}), "beside it the workers would be ignored"),
    (gateway({"settings": {"enable_igw": True}}), "settings.enable_igw: is set by the role"),
    (gateway({"settings": {"worker-urls": ["x"]}}), "its workers are SGLang's models of this host"),
    (gateway({"settings": {"prometheus-port": 1}}), "is set by the role. Use metrics_port"),
    (gateway({"settings": {"host": "x"}}), "settings.host: is set by the role. Use bind_address"),
    (gateway({"extra_args": ["--worker-url", "x"]}), "the engine may take for worker-urls"),
    (
        gateway({"settings": {"tls-cert-path": "/c"}}),
        "sglang_gateway.settings: has one of tls-cert-path and tls-key-path. Give both, or",
    ),
    (gateway({"settings": {"tls-key-path": "/k"}}), "has one of tls-cert-path and tls-key-path"),
    (gateway({"digest": DIGEST, "tag": "v1"}), "sglang_gateway.digest: is given beside a tag"),
    (gateway({"image": "lmsysorg/x"}), "sglang_gateway.image = 'lmsysorg/x': is not an image's"),
    (
        gateway({"credentials": {"k": {"source": "/k", "flag": "tls-key"}}}),
        "credentials.k.flag = 'tls-key': is not one of the choices. Write one of api-key, "
        "control-plane-api-keys, tenant-api-key",
    ),
    (gateway({"settings": {"x": "${cred:k}"}}), "refers to the credential 'k', which is not"),
    (gateway({"container_config": {"Network": "host"}}), "sglang_gateway.container_config.Network"),
    (gateway({"service_config": {"User": "x"}}), "sglang_gateway.service_config.User: is set by"),
    (gateway({"settings": {"x": "/proc/y"}}), "sglang_gateway.settings.x = '/proc/y': cannot be"),
    (gateway({"rout": True}), "sglang_gateway.rout: is not a known key. Did you mean route"),
    (
        gateway(sglang_models={"gateway": {"model": "a/b", "port": 30001}}),
        "sglang_gateway: is the unit sglang-gateway.service, and so is sglang_models.gateway on "
        "this host. Give the model another name",
    ),
]


@pytest.mark.parametrize(("variables", "said"), MISTAKES)
def test_mistakes(variables: dict[str, Any], said: str) -> None:
    found = [str(problem) for problem in plan(variables).problems]
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("gpu1: ")


@pytest.mark.parametrize(
    "variables",
    [
        vllm({"settings": {"api-key": "hunter2"}}),
        vllm({"settings": {"api_key": "hunter2"}}),
        vllm({"settings": {"hf-token": "hunter2"}}),
        vllm({"settings": {"--api-key": "hunter2"}}),
        vllm(vllm_model_settings={"api-key": ["hunter2"]}),
        vllm({"environment": {"HF_TOKEN": "hunter2"}}),
        vllm({"environment": {"VLLM_API_KEY": "hunter2"}}),
        vllm(vllm_environment={"HUGGING_FACE_HUB_TOKEN": "hunter2"}),
        vllm({"extra_args": ["--api-key=hunter2"]}),
        vllm({"credentials": {"k": "hunter2"}}),
        vllm({"credentials": {"k": {"source": "hunter2", "environment": "HF_TOKEN"}}}),
        vllm({"credentials": {"k": {"content": ["hunter2"]}}}),
        vllm({"credentials": "hunter2"}),
        vllm(vllm_registries={"docker.io": {"username": "ann", "password": ["hunter2"]}}),
        vllm(vllm_registries={"docker.io": "ann:hunter2"}),
        vllm(vllm_registries="hunter2"),
        sglang({"settings": {"admin-api-key": "hunter2"}}),
        sglang({"extra_args": ["--api_key", "hunter2"]}),
        gateway({"settings": {"api-key": "hunter2"}}),
        gateway({"settings": {"redis-url": "redis://:hunter2@x"}}),
        gateway({"settings": {"oracle_password": "hunter2"}}),
        gateway({"environment": {"POSTGRES_DB_URL": "hunter2"}}),
        gateway({"environment": {"ATP_PASSWORD": "hunter2\n"}}),
        gateway({"extra_args": ["--control-plane-api-keys=hunter2"]}),
        gateway({"credentials": {"k": {"content": {"x": "hunter2"}, "flag": "api-key"}}}),
        gateway(sglang_gateway="hunter2"),
    ],
)
def test_a_secret_on_show_is_refused_and_not_repeated(variables: dict[str, Any]) -> None:
    found = [str(problem) for problem in plan(variables).problems]
    assert found
    assert "hunter2" not in "\n".join(found)


def test_a_plan_holds_no_secret() -> None:
    kept = {"content": "hunter2", "environment": "HF_TOKEN"}
    variables = vllm(
        {"credentials": {"token": kept, "file": {"content": "hunter3"}, "own": "/etc/k"}},
        vllm_registries={"docker.io": {"username": "ann", "password": "hunter4"}},
    )
    made = plan(variables | gateway({"credentials": {"k": kept | {"flag": "api-key"}}}))
    # One model for both engines' routes would be another mistake.
    assert [problem.variable for problem in made.problems] == ["sglang_models.m"]
    assert "hunter" not in json.dumps(made.data())
    engine = made.hosts["gpu1"]["engines"]["vllm"]
    assert engine["registries"] == ["docker.io"]
    secrets = "/etc/onehop/credentials/vllm-m.service"
    spec = engine["workers"][0]
    # A container's account cannot read what is root's, so each of its secrets is a copy.
    assert spec["credentials"] == {name: f"{secrets}/{name}" for name in ("token", "file", "own")}
    assert (spec["sources"], spec["variables"]) == ({"own": "/etc/k"}, {"token": "HF_TOKEN"})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"vllm_tag": "v1"},
        vllm({"settings": {"api-key": None, "hf-token": False}}),
        vllm(
            {"container_config": {"Network": "pasta", "PodmanArgs": ["--pids-limit=-1", "--init"]}}
        ),
        vllm({"extra_args": ["--seed", "1", "-O3"]}),
        vllm({"settings": {"chat-template": ""}}),
        vllm({"devices": []}),
        vllm({"devices": ["/dev/dri/renderD128", "-/dev/kfd", "amd.com/gpu=0:1", "a.b/c=all"]}),
        vllm({"enable": False, "tag": "v2", "port": 8080}),
        vllm(vllm_tag=None, vllm_digest=DIGEST),
        vllm({"digest": DIGEST}),
        vllm(
            vllm_image="localhost/x",
            vllm_registries={"quay.io:443": {"username": "a", "password": "b"}},
        ),
        vllm(vllm_image="registry:5000/x/y"),
        vllm({"shm_size": "1073741824"}),
        gateway({"digest": DIGEST}),
        gateway({"enable": False, "port": None, "bind_address": "x"}),
        gateway({"settings": {"tls-cert-path": "/c", "tls-key-path": "/k"}}),
        gateway({"metrics_port": 30000, "enable_metrics": False}),
        gateway({"metrics_port": 1, "enable_metrics": False}),
        gateway({"port": None}, sglang_enable=False),
        gateway(sglang_models={}),
        sglang(sglang_models={"gateway": {"model": "a/b", "port": 30001}}),
        both({"vllm_gid": 5}, {"sglang_uid": 5, "sglang_gid": 6}),
        both(
            {"vllm_subuid_start": 100000},
            {"sglang_subuid_start": 165536},
        ),
        # An account that no model of this host needs, and one that both engines share.
        both(
            {"sglang_models": {}, "vllm_uid": 990, "sglang_uid": 990},
            {"vllm_subuid_start": 1000000, "sglang_subuid_start": 1000000},
        ),
        both(
            {"vllm_uid": 990},
            {"sglang_uid": 990, "vllm_user": "llm", "sglang_user": "llm"},
        ),
    ],
)
def test_what_is_right(variables: dict[str, Any]) -> None:
    assert [str(problem) for problem in plan(variables).problems] == []


def test_a_mistake_of_the_role_is_told_once_for_all_its_models() -> None:
    models = {name: {"model": "a/b"} for name in ("a", "b")}
    made = plan({"vllm_models": models, "vllm_user": "root"})
    # A missing tag is each model's own: one may have a tag, and another none.
    assert len(sentences(made.problems)) == 3


def test_an_engine_by_ports_and_by_sockets() -> None:
    models = {
        "c": {"model": "a/b", "port": 8003},
        "a": {"model": "a/b"},
        "b": {"model": "a/b", "port": 8002, "name": "z"},
    }
    made = plan({"vllm_tag": "v1", "vllm_models": models})
    assert made.problems == []
    workers = made.hosts["gpu1"]["engines"]["vllm"]["workers"]
    assert [(w["unit"], w["url"], w["after"], w["requires"]) for w in workers] == [
        ("vllm-z.service", "http://127.0.0.1:8002", [], []),
        ("vllm-c.service", "http://127.0.0.1:8003", ["vllm-z.service"], []),
        ("vllm-a.service", "unix:///run/onehop/vllm-a/http.sock", ["vllm-c.service"], []),
    ]
    assert sorted(made.routes) == ["a", "c", "z"]
    made = plan({"vllm_tag": "v1", "vllm_models": models, "vllm_startup_ordering": False})
    assert [w["after"] for w in made.hosts["gpu1"]["engines"]["vllm"]["workers"]] == [[], [], []]


@pytest.mark.parametrize(
    ("model", "role", "image"),
    [
        ({}, {}, f"{VLLM}:v1"),
        ({"tag": "v2"}, {}, f"{VLLM}:v2"),
        ({"digest": OTHER}, {}, f"{VLLM}@{OTHER}"),
        ({}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}@{DIGEST}"),
        ({"tag": "v2"}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}:v2"),
        ({"digest": OTHER}, {"vllm_tag": None, "vllm_digest": DIGEST}, f"{VLLM}@{OTHER}"),
        ({}, {"vllm_image": "quay.io/x/y"}, "quay.io/x/y:v1"),
    ],
)
def test_which_image_it_is(model: dict[str, Any], role: dict[str, Any], image: str) -> None:
    assert worker(vllm(model, **role))["image"] == image


@pytest.mark.parametrize(
    ("model", "role", "devices"),
    [
        ({}, {}, None),
        ({}, {"vllm_devices": ["a.b/c=0"]}, ["a.b/c=0"]),
        ({"devices": ["a.b/c=1"]}, {"vllm_devices": ["a.b/c=0"]}, ["a.b/c=1"]),
        ({"devices": []}, {"vllm_devices": ["a.b/c=0"]}, []),
        ({}, {"vllm_devices": []}, []),
    ],
)
def test_which_devices_it_gets(model: Any, role: dict[str, Any], devices: Any) -> None:
    assert worker(vllm(model, **role))["devices"] == devices


def test_which_paths_a_container_is_shown() -> None:
    settings = {
        "lora-modules": ["sql=/srv/lora/sql/", '{"name": "x"}'],
        "chat_template": "/srv/chat.jinja",
        "speculative-config": {"model": "/srv/draft", "more": [{"path": "/srv/deep"}, 3, None]},
        "root-path": "/api",
        "rope_scaling": "/no",
        "config": "${cred:k}",
        "served": "org/name",
        "url": "https://x/y",
        "relative": "a/b=/c",
    }
    model = {"model": "/srv/m", "settings": settings, "credentials": {"k": "/etc/k"}}
    where = "vllm_models.m.settings"
    assert worker(vllm(model, vllm_model_settings={"all": "/srv/all"}))["volumes"] == {
        "/srv/m": "vllm_models.m.model",
        "/srv/all": f"{where}.all",
        "/srv/lora/sql": f"{where}.lora-modules",
        "/srv/chat.jinja": f"{where}.chat_template",
        "/srv/draft": f"{where}.speculative-config",
        "/srv/deep": f"{where}.speculative-config",
    }


def test_an_account_that_is_declared_in_part() -> None:
    variables = {"vllm_uid": 990, "vllm_subuid_start": 500000, "vllm_subuid_count": 70000}
    account = plan(vllm(**variables)).hosts["gpu1"]["engines"]["vllm"]["account"]
    assert account["name"] == account["group"] == "vllm"
    assert account["managed"] is True
    assert (account["uid"], account["gid"]) == (990, 990)
    assert account["subuids"] == account["subgids"] == {"start": 500000, "count": 70000}


def test_an_account_that_is_declared_in_full() -> None:
    variables = {
        "vllm_user": "llm",
        "vllm_group": "staff",
        "vllm_uid": 990,
        "vllm_gid": 991,
        "vllm_subuid_start": 500000,
        "vllm_subgid_start": 600000,
        "vllm_subgid_count": 100000,
        "vllm_data_dir": "/srv/llm",
        "vllm_cache_dir": "/srv/cache",
    }
    made = plan(vllm(**variables))
    account = made.hosts["gpu1"]["engines"]["vllm"]["account"]
    assert (account["name"], account["group"], account["managed"]) == ("llm", "staff", False)
    assert (account["uid"], account["gid"], account["home"]) == (990, 991, "/srv/llm")
    assert account["subuids"] == {"start": 500000, "count": 65536}
    assert account["subgids"] == {"start": 600000, "count": 100000}
    spec = made.hosts["gpu1"]["engines"]["vllm"]["workers"][0]
    assert (spec["account"], spec["group"], spec["cache"]) == ("llm", "staff", "/srv/cache")


def test_an_account_of_which_nothing_is_said() -> None:
    account = plan(vllm()).hosts["gpu1"]["engines"]["vllm"]["account"]
    assert (account["uid"], account["gid"]) == (None, None)
    assert account["subuids"] == account["subgids"] == {"start": None, "count": 65536}


TWO = {"b": {"model": "a/b", "port": 30001}, "a": {"model": "a/b", "port": 30002}}


def test_a_gateway_beside_the_router() -> None:
    made = plan(gateway(sglang_models=TWO))
    assert made.problems == []
    workers = made.hosts["gpu1"]["engines"]["sglang"]["workers"]
    front = workers[-1]
    units = ["sglang-b.service", "sglang-a.service"]
    assert [spec["unit"] for spec in workers] == [*units, "sglang-gateway.service"]
    assert front["after"] == front["requires"] == units
    assert front["settings"] == {
        "host": "127.0.0.1",
        "port": 30000,
        "prometheus-host": "127.0.0.1",
        "prometheus-port": 29000,
        "worker-urls": ["http://127.0.0.1:30001", "http://127.0.0.1:30002"],
    }
    assert front["image"] == "docker.io/lmsysorg/sgl-model-gateway:latest"
    assert front["devices"] == []
    assert made.routes["a"]["replicas"][0]["url"] == "http://127.0.0.1:30002"
    # It serves what its workers serve, and is no model.
    assert sorted(made.routes) == ["a", "b"]


def test_a_gateway_behind_the_router() -> None:
    made = plan(gateway({"route": True}, sglang_models=TWO))
    assert made.problems == []
    for name, unit in (("a", "sglang-a.service"), ("b", "sglang-b.service")):
        (replica,) = made.routes[name]["replicas"]
        assert (replica["url"], replica["unit"]) == ("http://127.0.0.1:30000", unit)
        assert replica["health"] == "/liveness"
    front = made.hosts["gpu1"]["engines"]["sglang"]["workers"][-1]
    assert front["settings"]["worker-urls"] == ["http://127.0.0.1:30001", "http://127.0.0.1:30002"]


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ({"bind_address": "0.0.0.0"}, "http://127.0.0.1:30000"),
        ({"bind_address": "::"}, "http://[::1]:30000"),
        ({"bind_address": "192.0.2.7"}, "http://192.0.2.7:30000"),
        ({"bind_address": "2001:db8::7"}, "http://[2001:db8::7]:30000"),
        ({"settings": {"tls-cert-path": "/c", "tls-key-path": "/k"}}, "https://127.0.0.1:30000"),
    ],
)
def test_where_a_gateway_is_asked(keys: dict[str, Any], url: str) -> None:
    assert worker(gateway(keys), "sglang", 1)["url"] == url


def test_a_gateway_of_its_own_kind() -> None:
    keys = {
        "digest": DIGEST,
        "enable_metrics": False,
        "settings": {
            "policy": "cache_aware",
            "tokenizer-path": "/srv/t",
            "otlp-traces-endpoint": "/x",
        },
        "credentials": {
            "api_key": {"source": "/etc/k", "flag": "api-key"},
            "redis": {"content": "x", "environment": "REDIS_URL"},
        },
    }
    front = worker(gateway(keys), "sglang", 1)
    assert front["image"] == f"docker.io/lmsysorg/sgl-model-gateway@{DIGEST}"
    assert front["more_ports"] == {}
    assert "prometheus-port" not in front["settings"]
    assert front["settings"]["policy"] == "cache_aware"
    assert front["flags"] == {"api_key": "api-key"}
    assert front["variables"] == {"redis": "REDIS_URL"}
    assert front["sources"] == {"api_key": "/etc/k"}
    assert front["volumes"] == {"/srv/t": "sglang_gateway.settings.tokenizer-path"}


def needs(variables: dict[str, Any], roles: list[str] | None = None) -> dict[str, Any]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    return _install.needs(made.data(), "gpu1", roles)


def test_what_containers_need() -> None:
    model = {
        "model": "/srv/m",
        "port": 8001,
        "devices": ["a.b/c=0"],
        "environment_file": "/etc/m.env",
        "credentials": {"k": "/etc/k", "c": {"content": "x"}},
    }
    archives = {f"{VLLM}:v1": "/srv/v1.tar"}
    found = needs(vllm(model, vllm_image_archives=archives, vllm_user="llm"), ["vllm"])
    where = "vllm_models.m"
    assert found["files"] == [
        {
            "path": "/srv/v1.tar",
            "variable": f"vllm_image_archives.{VLLM}:v1",
            "reader": "llm",
        },
        {"path": "/etc/m.env", "variable": f"{where}.environment_file", "reader": "llm"},
        # Only root reads it: the account gets a copy.
        {"path": "/etc/k", "variable": f"{where}.credentials.k.source"},
        {"path": "/srv/m", "variable": f"{where}.model", "reader": "llm"},
    ]
    assert found["ports"] == [
        {"port": 8001, "unit": "vllm-m.service", "variable": f"{where}.port"},
    ]
    assert found["devices"] == [{"device": "a.b/c=0", "variable": f"{where}.devices"}]
    assert found["podman"] == [{"variable": "vllm_models"}]
    (account,) = found["accounts"]
    assert (account["variable"], account["container"]["name"]) == ("vllm", "llm")
    assert found["pythons"] == []


def test_what_a_gateway_needs() -> None:
    keys = {"settings": {"tls-cert-path": "/c", "tls-key-path": "/k"}, "environment_file": "/e"}
    found = needs(gateway(keys), ["sglang"])
    assert [(need["port"], need["unit"], need["variable"]) for need in found["ports"]] == [
        (30001, "sglang-m.service", "sglang_models.m.port"),
        (30000, "sglang-gateway.service", "sglang_gateway.port"),
        (29000, "sglang-gateway.service", "sglang_gateway.metrics_port"),
    ]
    assert [(need["path"], need["variable"], need["reader"]) for need in found["files"]] == [
        ("/e", "sglang_gateway.environment_file", "sglang"),
        ("/c", "sglang_gateway.settings.tls-cert-path", "sglang"),
        ("/k", "sglang_gateway.settings.tls-key-path", "sglang"),
    ]


def test_what_is_needed_once_is_asked_once() -> None:
    models = {name: {"model": "/srv/m"} for name in ("a", "b")}
    found = needs({"vllm_tag": "v1", "vllm_models": models, "vllm_environment_file": "/e"})
    assert len(found["accounts"]) == len(found["podman"]) == 1
    assert [need["path"] for need in found["files"]] == ["/e", "/srv/m", "/e", "/srv/m"]


@pytest.mark.parametrize(
    ("variables", "roles"),
    [({"vllm_tag": "v1"}, None), (vllm(), ["llama_cpp"]), (vllm(vllm_enable=False), None)],
)
def test_what_nobody_needs(variables: dict[str, Any], roles: list[str] | None) -> None:
    found = needs(variables | {"router_enable": False}, roles)
    assert {kind: items for kind, items in found.items() if items} == {}


@pytest.mark.parametrize(
    ("key", "podman", "said"),
    [
        ("Memory", "5.4.2", ""),
        (
            "Imaginary",
            "5.4.2",
            "vllm_models.m.container_config.Imaginary: is no key of a Quadlet's",
        ),
        ("Memory", None, ""),
    ],
)
def test_what_this_podman_cannot_be_told(key: str, podman: str | None, said: str) -> None:
    made = plan(vllm({"container_config": {key: "1g"}}))
    facts = {"podman": podman}
    found = _install.complaints(made.data(), "gpu1", None, facts)
    assert len(found) == (1 if said else 0)
    assert said in "".join(found)
    assert _install.complaints(made.data(), "gpu1", ["sglang"], facts) == []


PROGRAMS = _install.Programs(wait_ready="wait", operator="operator", with_secrets="with-secrets")


def rendered(
    variables: dict[str, Any], role: str = "vllm", contents: Any = None, **facts: Any
) -> dict[str, Any]:
    made = plan(variables)
    assert [str(problem) for problem in made.problems] == []
    return _install.workers(made.data(), "gpu1", role, FACTS | facts, contents or {}, PROGRAMS)


def test_what_an_engine_without_models_gets() -> None:
    assert rendered({}) == {"units": [], "files": [], "secrets": [], "directories": []}


def test_what_a_worker_by_socket_gets() -> None:
    made = rendered(vllm(vllm_group="staff"))
    assert (made["account"], made["uid"]) == ("vllm", 995)
    home = "/run/onehop/vllm-m"
    assert made["directories"] == [
        {"path": home, "mode": "2750", "owner": "vllm", "group": "onehop-workers"}
    ]
    files = {file["path"]: file for file in made["files"]}
    assert list(files) == [
        "/opt/onehop/bin/wait-ready",
        "/usr/local/bin/onehop",
        "/etc/tmpfiles.d/onehop-vllm.conf",
        "/etc/systemd/user/vllm-m.service.d/onehop.conf",
    ]
    boot = files["/etc/tmpfiles.d/onehop-vllm.conf"]["content"]
    assert f"\nd {home} 2750 vllm onehop-workers -\n" in boot
    assert files["/usr/local/bin/onehop"]["mode"] == "0755"
    (unit,) = made["units"]
    assert unit["name"] == "vllm-m.service"
    assert "wanted_by" not in unit
    assert made["secrets"] == []


def test_what_a_worker_by_port_gets() -> None:
    made = rendered(vllm({"port": 8001}))
    assert made["directories"] == []
    assert not [file for file in made["files"] if "tmpfiles.d" in file["path"]]


def test_a_worker_is_another_with_another_image() -> None:
    """Under the same tag too, which may have moved."""
    (first,) = rendered(vllm())["units"]
    (other,) = rendered(vllm(), images={f"{VLLM}:v1": "4567"})["units"]
    (unknown,) = rendered(vllm(), images={})["units"]
    inputs = [tuple(unit["inputs"]) for unit in (first, other, unknown)]
    assert len(set(inputs)) == 3
    assert {unit["content"] for unit in (first, other, unknown)} == {first["content"]}


def test_what_a_worker_with_secrets_gets() -> None:
    model = {
        "port": 8001,
        "environment_file": "/etc/m.env",
        "credentials": {
            "token": {"source": "/etc/t", "environment": "HF_TOKEN"},
            "kept": {"content": "hunter2"},
        },
    }
    made = rendered(vllm(model, vllm_gid=9, vllm_group="llm"), contents={"m": {"kept": "hunter2"}})
    home = "/etc/onehop/credentials/vllm-m.service"
    assert made["directories"] == [
        {"path": "/etc/onehop/credentials", "mode": "0711"},
        {"path": home, "mode": "0750", "group": "llm"},
    ]
    assert made["secrets"] == [
        {"path": f"{home}/token", "group": "llm", "variable": "HF_TOKEN", "source": "/etc/t"},
        {"path": f"{home}/kept", "group": "llm", "variable": None, "content": "hunter2"},
    ]
    (unit,) = made["units"]
    assert unit["secrets"] == ["/etc/m.env", f"{home}/token", f"{home}/kept"]
    assert "hunter2" not in str(made["units"]) + str(made["files"])


def test_the_program_that_hides_secrets_goes_where_it_is_used() -> None:
    path = "/opt/onehop/bin/with-secrets"
    plain = rendered(gateway(), "sglang")
    assert path not in [file["path"] for file in plain["files"]]
    keys = {"credentials": {"k": {"source": "/etc/k", "flag": "api-key"}}}
    made = rendered(gateway(keys), "sglang")
    (program,) = [file for file in made["files"] if file["path"] == path]
    assert program == {"path": path, "content": "with-secrets", "mode": "0755"}
    assert made["secrets"][0]["path"] == "/etc/onehop/credentials/sglang-gateway.service/k"


@pytest.mark.parametrize(
    ("manager", "podman", "packages"),
    [
        ("apt-get", "5.4.2", "podman crun uidmap fuse-overlayfs dbus-user-session passt"),
        ("apt-get", "4.9.3", "podman crun uidmap fuse-overlayfs dbus-user-session slirp4netns"),
        ("apt-get", None, "podman crun uidmap fuse-overlayfs dbus-user-session passt"),
        ("dnf", "5.6.0", "podman crun shadow-utils fuse-overlayfs dbus-daemon passt"),
        ("dnf", "4.9.4", "podman crun shadow-utils fuse-overlayfs dbus-daemon slirp4netns"),
        ("zypper", "5.4.2", "podman crun shadow fuse-overlayfs passt"),
        ("zypper", "4.9.5", "podman crun shadow fuse-overlayfs slirp4netns"),
        ("pacman", "5.6.1", "podman crun shadow fuse-overlayfs passt"),
        ("pacman", None, "podman crun shadow fuse-overlayfs passt"),
        # Not the 4 of another number.
        ("pacman", "40.1", "podman crun shadow fuse-overlayfs passt"),
        ("apk", "5.4.2", ""),
        (None, None, ""),
    ],
)
def test_packages_by_distribution(manager: str | None, podman: str | None, packages: str) -> None:
    variables = _gpu_host.read({}, Problems("gpu1"))
    facts = {"package_manager": manager, "podman": podman}
    assert _gpu_host.packages(variables, facts) == packages.split()
    for given in ([], ["podman-ng"]):
        own = _gpu_host.read({"gpu_host_packages": given}, Problems("gpu1"))
        assert _gpu_host.packages(own, facts) == given


@pytest.mark.parametrize(
    ("one", "other", "warned"),
    [
        ({}, {}, True),
        ({"vllm_devices": ["a.b/c=0"]}, {"sglang_devices": ["a.b/c=0", "a.b/c=1"]}, True),
        ({"vllm_devices": ["a.b/c=0"]}, {"sglang_devices": ["a.b/c=1"]}, False),
        ({"vllm_devices": []}, {"sglang_devices": []}, False),
        ({"vllm_user": "llm"}, {"sglang_user": "llm"}, False),
        ({}, {"sglang_models": {}}, False),
    ],
)
def test_engines_that_share_a_device(
    one: dict[str, Any], other: dict[str, Any], warned: bool
) -> None:
    made = plan(both(one, other))
    assert made.problems == []
    assert len(made.warnings) == (1 if warned else 0)
    assert all(said.startswith("gpu1: sglang and vllm both use ") for said in made.warnings)
