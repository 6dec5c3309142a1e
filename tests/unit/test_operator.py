# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that go to hosts: the operator's command, and the one that hides secrets."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _operator, _with_secrets

SCOPE = ["--user", "--machine=llm@.host"]
RUN = ["systemd-run", *SCOPE, "--quiet", "--wait", "--collect"]
ALPHA = "vllm-alpha.service"
WHY = [*_operator.PYTHON, "/opt/onehop/lib/why.py"]


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, _operator.Engine]:
    """What the deployment noted on a host."""
    lists = {
        "vllm": {"user_units": [f"llm/{ALPHA}", "llm/vllm-b-alpha.service"], "paths": ["/x"]},
        "llama_cpp": {"units": ["llama-cpp-c.v1.service"]},
        "router": {"units": ["onehop-router.service", "onehop-router.socket"]},
        "vllm_account": {"accounts": ["llm"]},
    }
    for name, things in lists.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(things))
    (tmp_path / ".onehop-half").write_text("{")
    monkeypatch.setattr(_operator, "OWNED", str(tmp_path))
    llm = pwd.struct_passwd(("llm", "x", 994, 994, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"llm": llm}.__getitem__)
    engines: dict[str, _operator.Engine] = _operator.engines()
    return engines


def test_who_has_units(known: dict[str, _operator.Engine]) -> None:
    assert list(known) == ["llama_cpp", "router", "vllm"]
    assert known["vllm"].account == "llm"
    assert known["vllm"].units == [ALPHA, "vllm-b-alpha.service"]
    assert known["llama_cpp"].account is None


def test_a_host_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_operator, "OWNED", str(tmp_path / "gone"))
    assert _operator.engines() == {}


@pytest.mark.parametrize(
    ("engine", "model", "unit"),
    [
        ("vllm", "alpha", ALPHA),
        ("vllm", "vllm-alpha", ALPHA),
        ("vllm", ALPHA, ALPHA),
        ("vllm", "b-alpha", "vllm-b-alpha.service"),
        ("llama_cpp", "c.v1", "llama-cpp-c.v1.service"),
        ("llama_cpp", "llama-cpp-c.v1", "llama-cpp-c.v1.service"),
        ("router", "router", "onehop-router.service"),
        ("router", "onehop-router.socket", "onehop-router.socket"),
    ],
)
def test_how_a_unit_may_be_called(
    known: dict[str, _operator.Engine], engine: str, model: str, unit: str
) -> None:
    assert known[engine].unit(model) == unit


def test_a_model_whose_name_ends_like_anothers(known: dict[str, _operator.Engine]) -> None:
    engine = known["vllm"]
    engine.units.reverse()
    assert engine.unit("alpha") == ALPHA
    engine.units.remove(ALPHA)
    with pytest.raises(_operator.Mistake, match="vllm has no unit for alpha: it has vllm-b-alpha"):
        engine.unit("alpha")


@pytest.mark.parametrize(
    ("engine", "verb", "words", "command"),
    [
        (
            "vllm",
            "status",
            [],
            ["systemctl", *SCOPE, "--no-pager", "status", "--", ALPHA, "vllm-b-alpha.service"],
        ),
        ("vllm", "status", ["alpha"], ["systemctl", *SCOPE, "--no-pager", "status", "--", ALPHA]),
        (
            "llama_cpp",
            "status",
            [],
            ["systemctl", "--no-pager", "status", "--", "llama-cpp-c.v1.service"],
        ),
        (
            "vllm",
            "logs",
            ["alpha", "-n", "50"],
            [
                "journalctl",
                f"_SYSTEMD_USER_UNIT={ALPHA}",
                "_UID=994",
                "+",
                f"USER_UNIT={ALPHA}",
                "_UID=994",
                "-n",
                "50",
            ],
        ),
        (
            "llama_cpp",
            "logs",
            ["c.v1", "-f"],
            ["journalctl", "--unit=llama-cpp-c.v1.service", "-f"],
        ),
        ("vllm", "why", ["alpha"], [*WHY, "vllm", "llm", ALPHA]),
        ("llama_cpp", "why", [], [*WHY, "llama_cpp", "-", "llama-cpp-c.v1.service"]),
        ("vllm", "start", ["alpha"], ["systemctl", *SCOPE, "start", "--", ALPHA]),
        (
            "vllm",
            "stop",
            ["alpha", "b-alpha"],
            ["systemctl", *SCOPE, "stop", "--", ALPHA, "vllm-b-alpha.service"],
        ),
        (
            "llama_cpp",
            "restart",
            ["c.v1"],
            ["systemctl", "restart", "--", "llama-cpp-c.v1.service"],
        ),
        (
            "vllm",
            "systemctl",
            ["list-timers", "--all"],
            ["systemctl", *SCOPE, "list-timers", "--all"],
        ),
        ("vllm", "podman", ["ps", "-a"], [*RUN, "--pipe", "--", "podman", "ps", "-a"]),
        ("vllm", "shell", [], [*RUN, "--pipe", "--", "/bin/bash", "-l"]),
    ],
)
def test_commands(
    known: dict[str, _operator.Engine], engine: str, verb: str, words: list[str], command: list[str]
) -> None:
    assert _operator.command_line(known[engine], verb, words, False) == command


def test_at_a_terminal(known: dict[str, _operator.Engine]) -> None:
    command = _operator.command_line(known["vllm"], "shell", [], True)
    assert "--pty" in command and "--pipe" not in command


@pytest.mark.parametrize(
    ("engine", "verb", "words", "said"),
    [
        ("vllm", "logs", [], "logs: unknown, or it wants more words"),
        ("vllm", "restart", [], "restart: unknown, or it wants more words"),
        ("vllm", "systemctl", [], "systemctl: unknown, or it wants more words"),
        ("vllm", "podman", [], "podman: unknown, or it wants more words"),
        ("vllm", "shell", ["ls"], "shell: unknown"),
        ("vllm", "enable", ["alpha"], "enable: unknown"),
        ("vllm", "status", ["nobody"], "vllm has no unit for nobody"),
        ("llama_cpp", "podman", ["ps"], "runs as units of the system, without an account"),
        ("llama_cpp", "shell", [], "runs as units of the system, without an account"),
    ],
)
def test_what_is_no_command(
    known: dict[str, _operator.Engine], engine: str, verb: str, words: list[str], said: str
) -> None:
    with pytest.raises(_operator.Mistake, match=said):
        _operator.command_line(known[engine], verb, words, False)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (["--help"], 0, "ENGINE is one of: llama_cpp, router, vllm.", ""),
        (["vllm", "units"], 0, f"{ALPHA}\nvllm-b-alpha.service\n", ""),
        (["vlm", "units"], 2, "", "no engine vlm: there is llama_cpp, router, vllm"),
        (["vllm"], 2, "", "vllm what?"),
        (["vllm", "stop", "nobody"], 2, "", "vllm has no unit for nobody"),
    ],
)
def test_the_command_itself(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    out: str,
    err: str,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert _operator.main(words) == status
    said = capsys.readouterr()
    assert out in said.out
    assert err in said.err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if words == ["--help"]:
        assert _operator.main(words) == 0
        return
    assert _operator.main(words) == 1
    assert f"sudo onehop {' '.join(words)}" in capsys.readouterr().err


@pytest.mark.usefixtures("known")
def test_the_command_becomes_what_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that signals and the terminal are that program's."""

    class BecameError(Exception):
        pass

    def execute(program: str, words: list[str]) -> None:
        raise BecameError(program, words)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "execvp", execute)
    with pytest.raises(BecameError) as became:
        _operator.main(["llama_cpp", "restart", "c.v1"])
    command = ["systemctl", "restart", "--", "llama-cpp-c.v1.service"]
    assert became.value.args == ("systemctl", command)


SERVER = """\
import json, sys
if __name__ == "__main__":
    with open("/proc/self/cmdline", "rb") as file:
        shown = file.read().decode()
    print(json.dumps({"argv": sys.argv, "shown": shown, "name": __package__}))
    sys.exit(3)
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Stands in for an image: a Python that has one of the servers, and two secrets."""
    package = tmp_path / "lib" / "smg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "launch.py").write_text(SERVER)
    (tmp_path / "key").write_text("hunter2\n")
    (tmp_path / "other").write_text("hunter3")
    return tmp_path


def with_secrets(image: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(_with_secrets.__file__)
    return subprocess.run(
        [sys.executable, str(program), *words],
        env={"PYTHONPATH": str(image / "lib"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_secret_is_a_flag_and_on_no_command_line(image: Path) -> None:
    done = with_secrets(
        image,
        "old_router.launch,smg.launch",
        f"api-key={image}/key",
        f"tenant-api-key={image}/other",
        "--",
        "--port=30000",
        "--",
        "x",
    )
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["argv"][1:] == [
        "--api-key=hunter2",
        "--tenant-api-key=hunter3",
        "--port=30000",
        "--",
        "x",
    ]
    assert found["name"] == "smg"
    assert "--port=30000" in found["shown"]
    assert "hunter" not in found["shown"]


def test_an_image_without_the_program(image: Path) -> None:
    done = with_secrets(image, "old_router.launch,older.launch", f"api-key={image}/key", "--")
    assert done.returncode == 1
    assert "with-secrets: the image has none of old_router.launch, older.launch" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("words", [[], ["smg.launch"], ["smg.launch", "api-key=/x"], ["--"]])
def test_words_that_are_missing(image: Path, words: list[str]) -> None:
    done = with_secrets(image, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: with-secrets")


def test_a_secret_that_is_not_there(image: Path) -> None:
    done = with_secrets(image, "smg.launch", f"api-key={image}/gone", "--")
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert done.stdout == ""


def test_what_was_compiled_is_cleared_once_nothing_runs(
    known: dict[str, _operator.Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = tmp_path / "cache"
    for name in ("jit/triton", "hub/models--a--b"):
        (cache / name).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "jit").symlink_to(tmp_path / "elsewhere")
    caches = [str(cache), str(tmp_path / "gone")]
    (tmp_path / "vllm_account.json").write_text(json.dumps({"caches": caches}))
    states = ["inactive", "active"]

    def show(command: list[str], **dummy: object) -> subprocess.CompletedProcess[bytes]:
        assert command[:3] == ["systemctl", *SCOPE]
        blocks = zip(known["vllm"].units, states, strict=True)
        text = "\n\n".join(f"Id={name}\nActiveState={state}" for name, state in blocks)
        return subprocess.CompletedProcess(command, 0, text.encode() + b"\n")

    monkeypatch.setattr(subprocess, "run", show)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert _operator.main(["vllm", "clear-caches"]) == 2
    said = capsys.readouterr().err
    assert "vllm-b-alpha.service: running" in said
    assert "onehop vllm systemctl stop vllm-b-alpha.service" in said
    assert (cache / "jit" / "triton").is_dir()
    states[1] = "failed"
    assert _operator.main(["vllm", "clear-caches"]) == 0
    assert capsys.readouterr().out == f"removed {cache / 'jit'}\n"
    assert [path.name for path in cache.iterdir()] == ["hub"]
    assert _operator.main(["vllm", "clear-caches"]) == 0
    # Another place by way of a link is left alone.
    (tmp_path / "vllm_account.json").write_text(json.dumps({"caches": [str(tmp_path / "links")]}))
    assert _operator.main(["vllm", "clear-caches"]) == 2
    assert "links/jit is a link, and is not followed" in capsys.readouterr().err
    assert (tmp_path / "elsewhere").is_dir()
    failed = subprocess.CompletedProcess([], 1, b"")
    monkeypatch.setattr(subprocess, "run", lambda dummy, **options: failed)
    assert _operator.main(["vllm", "clear-caches"]) == 2
    assert "cannot be told, and nothing is removed" in capsys.readouterr().err
