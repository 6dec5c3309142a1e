# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module model_cache: what it finds, fetches, foretells and prunes, and its unit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standin_hub import Hub

from ansible_collections.onehop.llm.plugins.module_utils import _as_account, _weights
from ansible_collections.onehop.llm.plugins.module_utils._systemd import PROPERTIES
from ansible_collections.onehop.llm.plugins.modules import model_cache

COLLECTIONS = Path(__file__).parents[2] / ".cache" / "collections"
ACCOUNT = "no-account-of-this-host"
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}


class Ended(Exception):
    """What the module came back with."""


class Machine:
    """Stands in for a host's systemd: it runs a transient unit's program here and now, and unconfined."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = home / "environment"
        program = self.environment / "bin" / "python"
        program.parent.mkdir(parents=True)
        # The environment's packages are those of the tests, and the program is the working tree's.
        program.write_text(
            f'#!/bin/sh\nshift\nexport PYTHONPATH={COLLECTIONS}\nexec {sys.executable} "$@"\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
        self.state = "inactive"
        self.status = ""
        self.said: list[str] = []
        self.units: list[list[str]] = []
        self.token: str | None = None
        self.runs = True

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        if command[0] == "systemd-run":
            return self.unit(command)
        if command[0] == "journalctl":
            return 0, "".join(f"{line}\n" for line in self.said), ""
        if command[:2] == ["systemctl", "show"]:
            shown = dict.fromkeys(PROPERTIES, "") | {
                "ActiveState": self.state,
                "StatusText": self.status,
            }
            return 0, "".join(f"{name}={value}\n" for name, value in shown.items()), ""
        if "reset-failed" in command:
            self.state = "inactive"
        return 0, "", ""

    def unit(self, command: list[str]) -> tuple[int, str, str]:
        self.units.append(command)
        if not self.runs:
            return 1, "", "no systemd here\n"
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.home), "ONEHOP_HUB_PAUSE": "0"}
        for word in command:
            if word.startswith("--property=LoadCredential=token:"):
                self.token = Path(word.partition(":")[2]).read_text(encoding="utf-8")
                (self.home / "token").write_text(self.token, encoding="utf-8")
                variables["CREDENTIALS_DIRECTORY"] = str(self.home)
        said = subprocess.run(
            command[command.index("--") + 1 :],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if "--wait" in command:
            return said.returncode, said.stdout, said.stderr
        self.said = said.stderr.splitlines()
        self.state = "failed" if said.returncode else "inactive"
        return 0, "", ""


class StandIn:
    """Stands in for AnsibleModule."""

    def __init__(self, machine: Machine, params: dict[str, Any], check_mode: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        self.run_command = machine.run
        self.warned: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    def exit_json(self, **result: object) -> None:
        raise Ended({"warned": self.warned, **result})

    def fail_json(self, **result: object) -> None:
        raise Ended({"failed": True, **result})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(_weights, "REQUESTS", str(tmp_path / "run" / "weights"))
    return Machine(tmp_path)


@pytest.fixture
def hub() -> Hub:
    made = Hub()
    made.add("a/b", FILES)
    return made


@pytest.fixture
def address(hub: Hub) -> Iterator[str]:
    with hub.serve() as found:
        yield found


def item(repo: str = "a/b", **more: Any) -> dict[str, Any]:
    given = {name: spec.get("default") for name, spec in model_cache.ITEM.items()}
    return given | {"repo": repo} | more


class Call:
    """Calls the module for a cache."""

    def __init__(self, machine: Machine, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = machine
        self.address = address
        self.monkeypatch = monkeypatch
        self.cache = machine.home / "cache"
        self.cache.mkdir()

    def __call__(
        self, *items: dict[str, Any], check_mode: bool = False, **more: Any
    ) -> dict[str, Any]:
        params = {
            "owner": "vllm",
            "account": ACCOUNT,
            "group": None,
            "cache": str(self.cache),
            "bundles": [],
            "weights": list(items),
            "sources": {},
            "endpoint": self.address,
            "token": None,
            "token_source": None,
            "prune": False,
            "environment": str(self.machine.environment),
            "timeout": 60,
            "phase": "all",
        } | more
        module = StandIn(self.machine, params, check_mode)
        self.monkeypatch.setattr(model_cache, "AnsibleModule", lambda **dummy: module)
        with pytest.raises(Ended) as caught:
            model_cache.main()
        found: dict[str, Any] = caught.value.args[0]
        return found


@pytest.fixture
def call(machine: Machine, address: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    return Call(machine, address, monkeypatch)


KEY = "a/b@main:model"


def test_what_is_missing_is_foretold_fetched_and_then_there(call: Call, hub: Hub) -> None:
    commit = hub.repos["a/b"].refs["main"]
    foretold = call(item(), check_mode=True)
    assert foretold["changed"] and foretold["missing"] == [KEY]
    assert foretold["found"][KEY]["commit"] == commit
    assert foretold["found"][KEY]["bytes"] == sum(map(len, FILES.values()))
    assert foretold["diff"][0]["after"] == f"{KEY}, 0.0 GB\n"
    assert list(call.cache.iterdir()) == []
    done = call(item())
    place = call.cache / "hub" / "models--a--b" / "snapshots" / commit
    assert done["changed"] and done["missing"] == []
    assert done["found"][KEY] == {
        "from": "cache",
        "path": str(place),
        "commit": commit,
        "file": None,
        "lacks": "",
    }
    units = len(call.machine.units)
    again = call(item())
    assert not again["changed"] and again["found"] == done["found"] and again["diff"] == []
    assert len(call.machine.units) == units
    assert list((call.machine.home / "run").iterdir()) == []


def test_the_unit_is_confined_and_runs_as_the_account(call: Call) -> None:
    call(item())
    (command,) = call.machine.units
    told = " ".join(command)
    assert "--unit=onehop-weights-vllm.service" in command
    assert f"--property=User={ACCOUNT}" in command
    assert f"--property=ReadWritePaths={call.cache}" in command
    for words in ("ProtectSystem=strict", "NoNewPrivileges=yes", "RuntimeMaxSec=60"):
        assert f"--property={words}" in told


@pytest.mark.parametrize("way", ["token", "token_source"])
def test_a_token_is_in_no_argument(call: Call, hub: Hub, way: str) -> None:
    hub.token = "hf_secret"
    path = call.machine.home / "given"
    path.write_text("hf_secret\n", encoding="utf-8")
    done = call(item(), **{way: "hf_secret" if way == "token" else str(path)})
    assert done["missing"] == []
    assert call.machine.token is not None and call.machine.token.strip() == "hf_secret"
    assert "hf_secret" not in str(call.machine.units) and "hf_secret" not in str(done)
    left = [file.name for file in call.machine.home.rglob("*") if file.is_file()]
    assert not [name for name in left if name.startswith("tmp")]


def test_a_proxys_password_is_in_no_argument(
    call: Call, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody may ask systemd for a unit's variables."""
    monkeypatch.setenv("HTTPS_PROXY", 'http://me:hunter2$"\\`@proxy.example:3128')
    given = []

    def unit(command: list[str]) -> tuple[int, str, str]:
        assert "hunter2" not in str(command)
        mark = "--property=EnvironmentFile="
        (path,) = [Path(word.removeprefix(mark)) for word in command if word.startswith(mark)]
        given.append((path.read_text(), path.stat().st_mode & 0o777))
        return Machine.unit(machine, command)

    monkeypatch.setattr(machine, "unit", unit)
    assert call(item())["missing"] == []
    assert given[0][1] == 0o600
    quoted = 'HTTPS_PROXY="http://me:hunter2\\$\\"\\\\\\`@proxy.example:3128"'
    assert quoted in given[0][0].splitlines()
    assert list((machine.home / "run").iterdir()) == []


def test_a_dry_run_leaves_alone_what_is_fetched_meanwhile(call: Call, machine: Machine) -> None:
    place = machine.home / "run" / "weights"
    place.mkdir(parents=True)
    (place / "vllm.json").write_text("of another run")
    assert call(item(), check_mode=True)["found"][KEY]["bytes"]
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [
        ("vllm.json", "of another run")
    ]


@pytest.mark.parametrize("status", ["[1]", "7", '{"done": "x"}', '{"done": null, "total": 1}'])
def test_a_status_that_is_none(call: Call, machine: Machine, status: str) -> None:
    machine.state, machine.status = "active", status
    weights = _weights.Weights(machine.run, "vllm", ACCOUNT, ACCOUNT, str(call.cache), [], [])
    assert weights.report()["done"] == 0


def test_a_failure_has_the_words_of_who_fetches(call: Call, hub: Hub) -> None:
    hub.repos["a/b"].gated = True
    done = call(item())
    assert done["failed"] and done["msg"].startswith("a/b: is gated")
    warned = call(item("a/none"), check_mode=True)
    assert "no such repository" in warned["found"]["a/none@main:model"]["error"]
    call.machine.runs = False
    assert call(item())["msg"] == "Weights cannot be fetched: no systemd here"
    (sentence,) = call(item(), check_mode=True)["warned"]
    assert "no systemd here" in sentence


def test_what_is_left_to_the_engine(call: Call) -> None:
    done = call(item(stage=False))
    assert not done["changed"] and done["missing"] == [] and done["found"][KEY]["from"] is None
    assert done["found"][KEY]["lacks"] == "it is not in the cache"


def test_a_bundle_is_used_where_it_is(call: Call, tmp_path: Path) -> None:
    call(item())
    bundle = tmp_path / "bundle"
    call.cache.rename(bundle)
    call.cache.mkdir()
    done = call(item(), bundles=[str(bundle)])
    assert not done["changed"] and done["found"][KEY]["from"] == "bundle"
    assert done["found"][KEY]["path"].startswith(f"{bundle}/hub/models--a--b/")


def test_a_source_is_taken_instead_of_the_hub(call: Call, hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, data in FILES.items():
        (source / name).write_bytes(data)
    for sources in ({"a/b": str(source)}, {"a/b@v1": str(source), "a/b": "/nowhere"}):
        revision = "v1" if len(sources) == 2 else "main"
        wanted = item(revision=revision)
        foretold = call(wanted, sources=sources, check_mode=True)
        assert foretold["found"][f"a/b@{revision}:model"]["from"] == "source"
        assert call(wanted, sources=sources)["missing"] == []
    assert hub.asked == []


def test_pruning_is_asked_for_and_foretold(call: Call, hub: Hub) -> None:
    hub.add("old/er", FILES)
    call(item(), item("old/er"))
    assert call(item())["pruned"] == []
    foretold = call(item(), prune=True, check_mode=True)
    assert foretold["changed"] and foretold["pruned"] == ["models--old--er"]
    assert call(item(), prune=True)["diff"] == foretold["diff"]
    assert os.listdir(call.cache / "hub") == ["models--a--b"]
    assert not call(item(), prune=True)["changed"]


def test_a_branch_that_was_pruned_is_what_the_hub_has_then(call: Call, hub: Hub) -> None:
    call(item(), item(revision=hub.add("a/b", FILES | {"config.json": b"{ }"}, "v2")))
    old = hub.repos["a/b"].refs["main"]
    assert call(item(revision="v2"), prune=True)["missing"] == []
    call(item(revision="v2"), prune=True)
    new = hub.add("a/b", FILES | {"config.json": b"{  }"})
    done = call(item(), item(revision="v2"), prune=True)
    assert old != new == done["found"][KEY]["commit"]
    assert not call(item(), item(revision="v2"), prune=True)["changed"]


def test_a_shadow_is_foretold_and_made(call: Call, hub: Hub) -> None:
    text = b'{"tokenizer_class": "TokenizersBackend"}'
    hub.add("a/b", FILES | {"tokenizer_config.json": text})
    call(item())
    wanted = item(tokenizers={"TokenizersBackend": "PreTrainedTokenizerFast"})
    foretold = call(wanted, check_mode=True)
    done = call(wanted)
    assert foretold["found"] == done["found"] and foretold["diff"] == done["diff"]
    assert done["found"][KEY]["path"].startswith(f"{call.cache}/onehop/tokenizers/models--a--b--")
    assert not call(wanted)["changed"]
    gone = call(item())
    assert gone["changed"] and "/hub/models--a--b/snapshots/" in gone["found"][KEY]["path"]


def test_how_far_it_is(call: Call, machine: Machine) -> None:
    begun = call(item(), phase="begin")
    assert begun["changed"] and begun["missing"] == [KEY]
    machine.state = "active"
    machine.status = json.dumps({"done": 1, "total": 2, "repo": "a/b"})
    model_cache.SLICE, kept = 0, model_cache.SLICE
    report = call(item(), phase="watch")["report"]
    model_cache.SLICE = kept
    assert report == {"state": "fetching", "done": 1, "total": 2, "repo": "a/b", "said": []}
    # A run that was cut off finds it under way, and does not begin again.
    units = len(machine.units)
    wanted = item("a/other")
    machine.state = "active"
    request = _weights.Weights(machine.run, "vllm", ACCOUNT, ACCOUNT, str(call.cache), [], [])
    asked = request.request([dict(wanted, key="k")], {}, None)
    (machine.home / "run" / "weights" / "vllm.json").write_text(asked, encoding="utf-8")
    assert request.begin(asked, "/x", {}, 1) == ""
    assert len(machine.units) == units
    machine.state = "inactive"
    assert call(item(), phase="watch")["report"]["state"] == "done"


def test_without_an_environment_it_is_only_looked(call: Call, hub: Hub) -> None:
    done = call(item(), environment=None, phase="begin")
    assert done["missing"] == [KEY] and hub.asked == [] and call.machine.units == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_work_as_another_account(tmp_path: Path) -> None:
    assert _as_account.as_account("nobody", os.geteuid) != 0
    assert _as_account.as_account("root", os.geteuid) == 0
    tmp_path.chmod(0o700)
    with pytest.raises(_as_account.AccountFailed, match="As the account nobody: PermissionError"):
        _as_account.as_account("nobody", os.listdir, str(tmp_path))
    with pytest.raises(_as_account.AccountFailed, match="not JSON serializable"):
        _as_account.as_account("nobody", object)
