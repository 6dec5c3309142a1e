# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of its units, by the module and by the operator's command."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.action.worker_units import library
from ansible_collections.onehop.llm.plugins.module_utils import (
    _look,
    _operator,
    _owned,
    _systemd,
    _unit_places,
    _user_manager,
)

GOLDEN = Path(__file__).parent / "golden"
QUADLETS = Path(__file__).parent.parent / "quadlet" / "golden"
WAIT = "ExecStartPost=/usr/bin/python3 -I /opt/onehop/bin/wait-ready $MAINPID"
STAMP = "0123456789abcdef"


@pytest.fixture
def url() -> Iterator[str]:
    """A worker that is ready at /health, and at nothing else."""

    class Worker(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, *dummy: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Worker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories in the place of the host's."""
    for name in ("owned", "units", "quadlets", "drop-ins"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    monkeypatch.setattr(_unit_places, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(_user_manager, "QUADLETS", str(tmp_path / "quadlets"))
    monkeypatch.setattr(_look, "DROP_INS", str(tmp_path / "drop-ins" / "%s"))
    monkeypatch.setattr(_user_manager, "runs", lambda dummy: True)
    return tmp_path


def manager(shown: dict[str, dict[str, Any]], images: str = "") -> Callable[[list[str]], Any]:
    """Stands in for systemctl, journalctl and podman."""

    def run(command: list[str]) -> tuple[int, str, str]:
        if "podman" in command:
            return 0, images, ""
        if command[0] != "systemctl":
            return 0, "", ""
        well = {"ActiveState": "active", "SubState": "running", "Result": "success"}
        well |= {"MainPID": str(os.getpid()), "ActiveEnterTimestampMonotonic": "1000000"}
        names = command[command.index("--") + 1 :]
        blocks = [
            "\n".join(
                f"{key}={value}"
                for key, value in {
                    **dict.fromkeys(_systemd.PROPERTIES, ""),
                    **well,
                    **shown.get(name, {}),
                }.items()
            )
            for name in names
        ]
        return 0, "\n\n".join(blocks) + "\n", ""

    return run


def own(host: Path, owner: str, **things: list[str]) -> None:
    (host / "owned" / f"{owner}.json").write_text(json.dumps(things))


def test_a_worker_that_is_asked(host: Path, url: str) -> None:
    own(host, "llama_cpp", units=["llama-cpp-a.service", "llama-cpp-b.service"])
    for name, path in (("a", "/health"), ("b", "/stuck")):
        text = f"[Unit]\nDescription=llama.cpp serving {name}\n[Service]\n"
        text += f'ExecStart="/opt/llama-b9754/llama-server" --port\n{WAIT} {url} {path}\n'
        (host / "units" / f"llama-cpp-{name}.service").write_text(text)
    first, second = _look.units(manager({}))
    assert (first["ready"], second["ready"]) == (True, False)
    assert first["listens"] == [url.removeprefix("http://")]
    assert (first["title"], first["state"]) == ("llama.cpp serving a", "active")
    assert first["wanted"] == "/opt/llama-b9754/llama-server"
    assert first["runs"] == Path("/proc/self/cmdline").read_text().split("\0")[0]
    assert first["uptime"] > 0
    assert "ready_at" not in first
    json.dumps([first, second])


def test_a_unit_whose_file_is_gone(host: Path) -> None:
    own(host, "llama_cpp", units=["llama-cpp-a.service"])
    (found,) = _look.units(manager({"llama-cpp-a.service": {"ActiveState": "inactive"}}))
    assert found["installed"] is False
    assert (found["title"], found["ready"], found["uptime"]) == ("llama-cpp-a.service", False, None)


@pytest.mark.parametrize(
    ("file", "listens", "devices"),
    [
        ("gpu-socket.service", ["/run/onehop/llama-cpp-m/http.sock"], []),
        ("onehop-edge.socket", ["0.0.0.0:8443"], []),
    ],
)
def test_what_our_units_say(file: str, listens: list[str], devices: list[str]) -> None:
    text = (GOLDEN / file).read_text()
    assert _look.listens(text, _look.ready_at(text)[0]) == listens
    assert _look.devices(text) == devices


def test_every_golden_unit_names_what_it_starts() -> None:
    for path in GOLDEN.glob("*.service"):
        text = path.read_text()
        assert (_look.program(text) or "").startswith("/"), path
        if "onehop" not in path.name:
            assert _look.ready_at(text)[1] == "/health", path
    for path in QUADLETS.glob("*.container"):
        text = path.read_text()
        assert _look.value(text, "Image"), path
        assert " serving " in str(_look.value(text, "Description")), path


def test_an_older_container_runs(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_user_manager, "uid_of", lambda dummy: 994)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    own(host, "vllm", user_units=["llm/vllm-a.service"])
    (host / "quadlets" / "994").mkdir()
    text = "[Unit]\nDescription=vLLM serving a\n[Container]\nImage=x/vllm:v2\n"
    text += f"AddDevice=nvidia.com/gpu=0\nAddDevice=nvidia.com/gpu=1\nEnvironment=ONEHOP_STAMP={STAMP}\n"
    (host / "quadlets" / "994" / "vllm-a.container").write_text(text)
    (host / "drop-ins" / "vllm-a.service").write_text(
        f"[Service]\n{WAIT} http://127.0.0.1:1 /health\n"
    )
    (found,) = _look.units(manager({}, "systemd-vllm-a x/vllm:v1\nother y/z:v3\n"))
    assert (found["wanted"], found["runs"]) == ("x/vllm:v2", "x/vllm:v1")
    assert (found["current"], found["ready"], found["account"]) == (False, False, "llm")
    assert found["devices"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert found["listens"] == ["127.0.0.1:1"]


def test_who_is_not_root_is_told_so(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    own(host, "vllm", user_units=["llm/vllm-a.service"])
    (found,) = _look.units(manager({}))
    assert (found["state"], found["ready"], found["current"]) == ("unknown", None, None)
    assert found["unknown"] == _look.NOT_ALLOWED


def test_devices_that_a_program_may_see() -> None:
    assert _look.devices('Environment="CUDA_VISIBLE_DEVICES=0,2"\n') == ["0", "2"]
    assert _look.devices("Environment=HIP_VISIBLE_DEVICES=1\n") == ["1"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The operator's command as a host has it: only these files, and no collection."""
    for name, text in library().items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [([], 0, "no workers\n"), (["--json"], 0, '"text": "no workers"'), (["x"], 2, "")],
)
def test_on_a_host_that_has_nothing(
    installed: Path, words: list[str], status: int, said: str
) -> None:
    done = subprocess.run(
        [*_operator.PYTHON, str(installed / "status.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    assert said in done.stdout
    assert sorted(path.name for path in installed.iterdir()) == sorted(library())


def test_the_operators_command_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class BecameError(Exception):
        pass

    def execute(dummy: str, words: list[str]) -> None:
        raise BecameError(words)

    monkeypatch.setattr(os, "execvp", execute)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for words in ([], ["status"], ["status", "--json"]):
        with pytest.raises(BecameError) as became:
            _operator.main(words)
        assert became.value.args[0] == [*_operator.PYTHON, _operator.STATUS, *words[1:]]
