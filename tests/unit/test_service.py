# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units as text: whole ones against golden files, and each rule by itself."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _unit_set
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _install,
    _plan,
    _service,
    _unit_text,
)

GOLDEN = Path(__file__).parent / "golden"
CPU = {"systemd": 257, "gpu": False, "groups": ["video"], "python": "/usr/bin/python3"}
PROGRAMS = _install.Programs(wait_ready="prog", operator="operator", with_secrets="secrets")
GPU = {**CPU, "gpu": True, "groups": ["render", "video"]}


def unit(model: dict[str, Any], facts: dict[str, Any] | None = None, **variables: Any) -> str:
    made = _plan.make([_plan.Host("gpu1", {"llama_cpp_models": {"m": model}, **variables})])
    assert made.problems == []
    worker = made.hosts["gpu1"]["engines"]["llama_cpp"]["workers"][0]
    return _service.worker(worker, facts or CPU)


def lines(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


@pytest.mark.parametrize(
    ("name", "model", "facts"),
    [
        (
            "cpu-port",
            {"port": 18001, "settings": {"hf-repo": "unsloth/Qwen3-8B-GGUF:Q4_K_XL"}},
            CPU,
        ),
        (
            "gpu-socket",
            {
                "settings": {"model": "/srv/m.gguf", "api-key-file": "${cred:keys}", "mmap": False},
                "credentials": {"keys": {"content": "not-here"}},
                "environment": {"GGML_LOG": '50% "x"'},
                "environment_file": "/etc/m.env",
                "extra_args": ["--verbose", "$HOME"],
                "service_config": {"MemoryMax": "64G", "Restart": "always"},
                "unit_config": {"After": ["a.service", "b.service"]},
            },
            GPU,
        ),
    ],
)
def test_golden(name: str, model: dict[str, Any], facts: dict[str, Any]) -> None:
    """A change here is a change for users: read the difference, then write the file anew."""
    assert unit(model, facts) == (GOLDEN / f"{name}.service").read_text()


def test_golden_router() -> None:
    variables = {
        "llama_cpp_models": {"m": {}},
        "router_credentials": {"a": "/etc/a", "b": {"content": "x"}},
        "router_client_keys": {"alice": {"credential": "a"}},
        "router_socket": "/run/onehop/router.sock",
        "router_models": {
            "far": {"url": "https://api.example.com", "headers": {"Authorization": "${cred:b}"}}
        },
        "router_tls": {"certificate": "/etc/tls/router.pem", "key": "${cred:b}"},
        "router_environment": {"SITE": "100% berlin"},
        "router_environment_files": ["/etc/onehop/router.env"],
        "router_processes": 2,
    }
    made = _plan.make([_plan.Host("gpu1", variables)])
    assert made.problems == []
    got = _install.router(made.data(), "gpu1", "/opt/onehop/router/x", CPU, {"b": "hunter2"})
    texts = {item["name"]: item["content"] for item in got.rendered["units"]}
    assert got.elsewhere == []
    assert "hunter2" not in str([got.rendered["units"], got.rendered["files"]])
    for name, text in (*texts.items(), ("router.json", got.rendered["files"][0]["content"])):
        assert text == (GOLDEN / name).read_text()


def test_every_word_is_quoted_and_escaped() -> None:
    text = unit({"extra_args": ['a "b"', "c\\d", "100%", "$HOME ${X}", "new\nline", "$MAINPID"]})
    command = lines(text, "ExecStart")[0]
    assert command.endswith(r'"a \"b\"" "c\\d" "100%%" "$$HOME $${X}" "new\nline" "$$MAINPID"')


def test_a_credential_is_a_path_below_the_credentials_directory() -> None:
    text = unit(
        {
            "settings": {"api-key-file": "${cred:k}"},
            "environment": {"KEYS": "50%:${cred:k}"},
            "credentials": {"k": "/etc/k"},
        }
    )
    assert '"--api-key-file" "%d/k"' in lines(text, "ExecStart")[0]
    assert '"KEYS=50%%:%d/k"' in lines(text, "Environment")
    assert lines(text, "LoadCredential") == ["k:/etc/k"]


@pytest.mark.parametrize(
    ("gpu", "facts", "relaxed"),
    [
        ("auto", CPU, False),
        ("auto", GPU, True),
        ("never", GPU, False),
        ("always", CPU, True),
    ],
)
def test_the_sandbox_opens_for_a_gpu_only(gpu: str, facts: dict[str, Any], relaxed: bool) -> None:
    text = unit({"gpu": gpu, "port": 18001}, facts)
    assert lines(text, "PrivateDevices") == ["no" if relaxed else "yes"]
    assert lines(text, "MemoryDenyWriteExecute") == ["no" if relaxed else "yes"]
    assert lines(text, "PrivateUsers") == ["identity" if relaxed else "yes"]
    assert ("AF_NETLINK" in lines(text, "RestrictAddressFamilies")[0]) is relaxed


def test_an_older_systemd_has_no_identity_mapping() -> None:
    text = unit({"port": 18001}, {**GPU, "systemd": 252})
    assert lines(text, "PrivateUsers") == ["no"]


def test_only_its_own_port_may_be_bound() -> None:
    by_port = unit({"port": 18001})
    assert lines(by_port, "SocketBindDeny") == ["any"]
    assert lines(by_port, "SocketBindAllow") == ["tcp:18001"]
    assert lines(by_port, "UMask") == ["0077"]
    by_socket = unit({})
    assert lines(by_socket, "SocketBindAllow") == []
    assert lines(by_socket, "RuntimeDirectory") == ["onehop/llama-cpp-m"]
    assert lines(by_socket, "RuntimeDirectoryMode") == ["0710"]


def test_never_root() -> None:
    assert lines(unit({}), "DynamicUser") == ["yes"]
    assert lines(unit({}, llama_cpp_user="llama"), "User") == ["llama"]


def test_what_a_host_gets_for_a_worker() -> None:
    variables = {
        "llama_cpp_environment_file": "/etc/all.env",
        "llama_cpp_models": {"m": {"credentials": {"k": {"content": "x"}, "f": "/etc/f"}}},
    }
    made = _plan.make([_plan.Host("gpu1", variables)])
    got = _install.workers(made.data(), "gpu1", "llama_cpp", CPU, {"m": {"k": "hunter2"}}, PROGRAMS)
    kept = "/etc/onehop/credentials/llama-cpp-m.service/k"
    assert got["secrets"] == [{"path": kept, "content": "hunter2"}]
    assert set(got["units"][0]["secrets"]) == {"/etc/all.env", "/etc/f", kept}
    assert "hunter2" not in got["units"][0]["content"]
    assert got["files"][0]["path"] == _service.WAIT_READY
    assert "/var/cache/private/llama-cpp/m" in got["units"][0]["caches"]


def test_what_a_host_must_have() -> None:
    variables = {
        "llama_cpp_binary": "/usr/local/bin/llama-server",
        "llama_cpp_user": "llama",
        "llama_cpp_models": {
            "m": {
                "port": 18001,
                "settings": {"model": "/srv/m.gguf"},
                "credentials": {"k": {"content": "x"}, "f": "/etc/f"},
                "environment_file": "/etc/m.env",
            }
        },
        "router_python": "/usr/bin/python3.13",
    }
    made = _plan.make([_plan.Host("gpu1", variables)])
    needs = _install.needs(made.data(), "gpu1", None)
    assert [(need["port"], need["unit"]) for need in needs["ports"]] == [
        (18001, "llama-cpp-m.service"),
        (8080, "onehop-router.socket"),
    ]
    assert {need["path"] for need in needs["files"]} == {
        "/usr/local/bin/llama-server",
        "/srv/m.gguf",
        "/etc/f",
        "/etc/m.env",
        "/usr/bin/python3.13",
    }
    assert needs["accounts"] == [{"name": "llama", "variable": "llama_cpp_user"}]
    assert {need.get("reader") for need in needs["files"]} == {None, "llama"}
    assert needs["pythons"] == [{"path": "/usr/bin/python3.13", "variable": "router_python"}]
    assert _install.needs(made.data(), "gpu1", ["router"])["accounts"] == []
    assert _install.needs(made.data(), "gpu1", ["llama_cpp"])["pythons"] == []


@pytest.mark.parametrize(("source", "local"), [("/srv/a.tar.gz", True), ("https://x/a", False)])
def test_archives_of_the_controller(source: str, local: bool) -> None:
    archive = {"source": source, "checksum": "sha256:" + "0" * 64}
    variables = {"llama_cpp_archive": archive, "llama_cpp_models": {"m": {"port": 18001}}}
    made = _plan.make([_plan.Host("gpu1", variables)]).data()
    found = _install.archives(made, "gpu1", None)
    assert [item["source"] for item in found] == ([source] if local else [])
    assert _install.archives(made, "gpu1", ["router"]) == []


def test_the_programs_path_is_no_place_for_variables() -> None:
    text = _unit_text.render({"Service": {"ExecStart": _unit_text.Command(["/a$b%c/x", "/a$b%c"])}})
    assert 'ExecStart="/a$b%%c/x" "/a$$b%%c"' in text


def test_the_path_of_an_environment_file_is_no_pattern() -> None:
    model = {"port": 18001, "environment_file": "/etc/a*b[1]?%h \\.env"}
    made = _plan.make([_plan.Host("gpu1", {"llama_cpp_models": {"m": model}})])
    worker = made.hosts["gpu1"]["engines"]["llama_cpp"]["workers"][0]
    text = _service.worker(worker, {"systemd": 257, "gpu": False, "groups": [], "python": "/p"})
    assert "\nEnvironmentFile=/etc/a[*]b[[]1][?]%%h \\\\.env\n" in text


def test_the_routers_unix_socket_goes_with_its_unit() -> None:
    made = _plan.make([_plan.Host("gpu1", {"router_socket": "/run/x/router.sock"})]).data()
    unit = _install.router(made, "gpu1", "/e", {}, {}).rendered["units"][0]
    assert unit["sockets"] == ["/run/x/router.sock"]


def test_the_text_is_what_an_ini_parser_reads() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(unit({"port": 18001}))
    assert parser.sections() == ["Unit", "Service"]


def test_other_models_are_no_reason_to_restart_the_router() -> None:
    """Its unit says the same with models on sockets, on ports, and with none."""
    texts = set()
    for models in ({}, {"a": {}}, {"a": {"port": 18001}}):
        made = _plan.make([_plan.Host("gpu1", {"llama_cpp_models": models})])
        got = _install.router(made.data(), "gpu1", "/opt/onehop/router/x", CPU, {})
        texts.add(str(got.rendered["units"]))
    assert len(texts) == 1


def test_other_secrets_are_no_reason_for_another_router_but_another_environment_is() -> None:
    def rendered(**variables: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        made = _plan.make([_plan.Host("gpu1", variables)])
        assert made.problems == []
        got = _install.router(made.data(), "gpu1", "/opt/onehop/router/x", CPU, {})
        return got.rendered["units"][1], got.rendered["files"][0]

    def kept(text: str) -> str:
        return _unit_set._kept(unit, text)

    unit, config = rendered(
        router_credentials={"a": "/etc/a"},
        router_tls={"certificate": "/etc/tls/x.pem", "key": "${cred:a}"},
        router_environment_files=["/etc/x.env"],
    )
    more, dummy = rendered(
        router_credentials={"a": "/etc/a", "b": "/etc/b"}, router_environment_files=["/etc/x.env"]
    )
    assert kept(unit["content"]) == kept(more["content"]) != unit["content"]
    assert unit["secrets"] == ["/etc/x.env"]
    assert config["secrets"] == ["/etc/a", "/etc/tls/x.pem"]
    assert json.loads(config["content"])["stamp"] == config["stamp"]
    for other in ({"router_environment": {"A": "1"}}, {"router_drain_seconds": 7}):
        assert kept(rendered(**other)[0]["content"]) != kept(rendered()[0]["content"])


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"certificate": "/x.pem", "key": "${cred:none}"}, "router_tls.key"),
        ({"certificate": "x.pem", "key": "/x.key"}, "router_tls.certificate"),
        ({"certificate": "/x.pem"}, "router_tls.key: is missing"),
    ],
)
def test_files_that_the_routers_tls_cannot_have(tls: dict[str, str], said: str) -> None:
    variables = {"router_tls": tls, "router_credentials": {"a": "/etc/a"}}
    (problem,) = _plan.make([_plan.Host("gpu1", variables)]).problems
    assert said in str(problem)
