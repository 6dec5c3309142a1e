# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines in containers: every mistake with them, and what is none."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils._problems import sentences

from .container_hosts import DIGEST, VLLM, both, gateway, plan, sglang, vllm

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
    (
        vllm(vllm_image_archives={f"{VLLM}:v1": "/srv/x:v1.tar"}),
        ":v1 = '/srv/x:v1.tar': holds a colon, and Podman takes what is behind it",
    ),
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
    (vllm({"container_config": {"Network": "ns:/proc/1/ns/net"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"Network": "pasta:-t,8000"}}), "listen for everybody in reach"),
    (
        vllm({"container_config": {"Network": "pasta:--ipv4-only,--tcp-ports=80"}}),
        "listen for everybody in reach",
    ),
    (vllm({"container_config": {"PodmanArgs": "-p 8000:8000"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "-P"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "-dp 80:80"}}), "PodmanArgs = '-dp 80:80': would"),
    (vllm({"container_config": {"PodmanArgs": "-itdp80:80"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "--network=pasta:-t,80"}}), "listen for everybody"),
    (vllm({"container_config": {"PodmanArgs": "--network"}}), "listen for everybody in reach"),
    (vllm({"container_config": {"PodmanArgs": "--net=ns:/x"}}), "listen for everybody in reach"),
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
    (vllm({"container_config": {"Label": "a\rExec=b"}}), "Label = 'a\\rExec=b': is no text on one"),
    (
        vllm({"service_config": {"Nice": "5\\"}}),
        "service_config.Nice = '5\\\\': ends in a backslash",
    ),
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
    # What no unit can hold.
    *(
        (vllm({"settings": {"x": f"a{letter}"}}), "settings.x: contains a character that no unit")
        for letter in ("\0", "\x80", "\ud800", "\ufdd0", "\uffff", "\U0010fffe")
    ),
    (vllm({"settings": {"x": ["a", "\x80"]}}), "settings.x: contains a character that no unit"),
    (vllm({"settings": {"x": {"\x80": 1}}}), "settings.x: contains a character that no unit"),
    (
        vllm(vllm_model_settings={"x": "\x80"}),
        "vllm_model_settings.x: contains a character that no unit can hold. Remove NUL, U+0080, "
        "surrogates and noncharacters of Unicode",
    ),
    (
        vllm({"extra_args": ["\x80"]}),
        "m.extra_args[0] = '\\x80': contains a character that no unit",
    ),
    (vllm({"environment": {"A": "\ufffe"}}), "m.environment.A: contains a character that no unit"),
    (
        vllm({"model": "a/\x80"}),
        "vllm_models.m.model = 'a/\\x80': contains a character that no unit",
    ),
    (
        vllm({"container_config": {"Label": ["a", "\x80"]}}),
        "container_config.Label: contains a character that no unit can hold",
    ),
    (
        vllm({"settings": {"x": "a" * 131072}}),
        "settings.x: makes a word of 131076 bytes, and Linux",
    ),
    (vllm({"settings": {"x": ["é" * 65536]}}), "settings.x: makes a word of 131072 bytes"),
    (vllm({"extra_args": ["a" * 131072]}), "m.extra_args: makes a word of 131072 bytes, and Linux"),
    (vllm({"environment": {"A": "a" * 131071}}), "m.environment.A: makes a word of 131073 bytes"),
    (
        vllm({"extra_args": ["a" * 100000] * 10}),
        "vllm_models.m: makes a line of 1000090 bytes in its unit, and 983039 are the most. Write "
        "less, or put it into a file that the engine reads",
    ),
    (vllm({"environment": {f"A{n}": "$" * 100000 for n in range(5)}}), "m: makes a line of 1000"),
    (
        gateway({"extra_args": ["\x01" * 100000] * 3}),
        "sglang_gateway: makes a line of 1200",
    ),
    (
        vllm({"unit_config": {"Description": "a" * 2**20}}),
        "unit_config.Description: is a line of more than 983039 bytes",
    ),
    (vllm({"settings": {"x": datetime.date(2026, 1, 2)}}), "settings.x: is no text, number, list"),
    # Paths that are no host's to show.
    (vllm({"model": "/"}), "vllm_models.m.model = '/': cannot be shown to a container"),
    (vllm({"settings": {"chat-template": "/dev/x"}}), "settings.chat-template = '/dev/x': cannot"),
    (vllm({"settings": {"lora-modules": ["a=/proc/1"]}}), "lora-modules = '/proc/1': cannot be"),
    (vllm({"settings": {"x": {"y": ["/sys"]}}}), "m.settings.x = '/sys': cannot be shown"),
    (
        vllm({"settings": {"x": "/run/secrets/k"}}),
        "a path inside of the image goes into extra_args",
    ),
    (vllm({"model": "/srv/a:b"}), "m.model = '/srv/a:b': holds a colon, and Podman cannot mount"),
    (
        vllm({"settings": {"lora-modules": ["a=/srv/l:1"]}}),
        "vllm_models.m.settings.lora-modules = '/srv/l:1': holds a colon, and Podman cannot mount "
        "such a path. Write another; what is no path of the host goes into extra_args",
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
    # Ids.
    (vllm(vllm_uid=2**32 - 1), "vllm_uid = 4294967295: is out of range. Write a number from 1 to"),
    (vllm(vllm_subuid_start=2**32), "vllm_subuid_start = 4294967296: is out of range"),
    (
        vllm(vllm_subgid_start=2**32 - 65536),
        "vllm_subgid_start = 4294901760: makes a range of 65536 ids that ends behind 4294967294",
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
            vllm_devices=[],
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
        vllm({"container_config": {"PodmanArgs": ["--network=pasta -d --no-hosts", "--net none"]}}),
        vllm({"container_config": {"Network": "pasta:-T,8000,-t,none"}}),
        vllm({"extra_args": ["--path", "/srv/a:b"]}),
        vllm({"extra_args": ["--chat-template", ""], "settings": {"stop": ["a", ""]}}),
        vllm({"settings": {"x": "a" * 131067, "y": {"z": "\0"}}}),
        vllm(vllm_subuid_start=2**32 - 1 - 65536),
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
    made = plan({"vllm_models": models, "vllm_user": "root", "vllm_devices": []})
    # A missing tag is each model's own: one may have a tag, and another none.
    assert len(sentences(made.problems)) == 3
