# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines in containers: what they ask of a host, and what the host gets."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _gpu_host, _install
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

from .container_hosts import VLLM, gateway, plan, vllm

FACTS = {
    "podman": "5.4.2",
    "devices": ["nvidia.com/gpu=all"],
    "selinux": False,
    "python": "/usr/bin/python3",
    "uid": 995,
    "images": {f"{VLLM}:v1": "0123"},
}


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
            "reading": "account",
        },
        {
            "path": "/etc/m.env",
            "variable": f"{where}.environment_file",
            "reader": "llm",
            "reading": "account",
        },
        # Only root reads it: the account gets a copy.
        {"path": "/etc/k", "variable": f"{where}.credentials.k.source"},
        {
            "path": "/srv/m",
            "variable": f"{where}.model",
            "reader": "llm",
            "reading": "container",
        },
    ]
    assert found["ports"] == [
        {"port": 8001, "unit": "vllm-m.service", "variable": f"{where}.port"},
    ]
    assert found["devices"] == [{"device": "a.b/c=0", "variable": f"{where}.devices"}]
    assert found["podman"] == [{"variable": "vllm_models"}]
    (account,) = found["accounts"]
    assert (account["variable"], account["container"]["name"]) == ("vllm", "llm")
    assert found["pythons"] == []


def test_what_fetches_weights_needs_a_python() -> None:
    def pythons(more: dict[str, Any]) -> list[dict[str, Any]]:
        return _install.needs(plan(vllm({}, **more)).data(), "gpu1", ["vllm"])["pythons"]

    (need,) = pythons({"vllm_weights_bundles": ["/srv/b"], "gpu_host_hub_python": "/opt/python"})
    assert (need["path"], need["variable"]) == ("/opt/python", "gpu_host_hub_python")
    assert (need["hub"], need["bundles"]) == ("/var/cache/vllm/hub", ["/srv/b"])
    assert [item["repo"] for item in need["items"]] == ["a/b"]
    assert pythons({"vllm_weights": "found"}) == []


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
    models = {name: {"model": "/srv/m", "devices": []} for name in ("a", "b")}
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
    assert program == {"path": path, "content": "with-secrets", "mode": "0755", "program": True}
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
