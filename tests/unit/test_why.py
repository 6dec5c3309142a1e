# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``onehop ENGINE why`` on a host: the programs as they are installed there, run for real.

systemctl and journalctl are doubles that answer from files, since a unit that failed is needed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _look, _operator, _systemd, _why
from ansible_collections.onehop.llm.plugins.plugin_utils import _finding, _signature_table

SYSTEMCTL = """\
#!/bin/sh
for unit; do :; done
cat "$(dirname "$0")/$unit.show"
"""
JOURNALCTL = """\
#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/asked"
case " $* " in
*" -k "*) cat "$here/kernel" ;;
*) cat "$here/journal" ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory with what a deployment installs, and doubles of the two programs."""
    (tmp_path / "why.py").write_text(Path(_why.__file__).read_text())
    (tmp_path / "_finding.py").write_text(Path(_finding.__file__).read_text())
    (tmp_path / "signatures.json").write_text(_signature_table.for_hosts())
    for name, text in {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "kernel").write_text("")
    return tmp_path


def unit(host: Path, name: str, **properties: str) -> None:
    shown = {"ActiveState": "active", "SubState": "running", "Result": "success", **properties}
    (host / f"{name}.show").write_text("".join(f"{k}={v}\n" for k, v in shown.items()))


def why(host: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_operator.PYTHON, str(host / "why.py"), *words],
        env={"PATH": f"{host}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_one_that_failed(host: Path) -> None:
    unit(
        host,
        "vllm-a.service",
        ActiveState="failed",
        SubState="failed",
        Result="exit-code",
        ExecMainStatus="1",
    )
    (host / "journal").write_text("x\n" * 40 + "OSError: [Errno 98] Address already in use\n")
    done = why(host, "vllm", "-", "vllm-a.service")
    assert done.returncode == 1, done.stderr
    assert "vllm-a.service: failed (failed)" in done.stdout
    assert (
        "Likely something else listens there. Write another port, vllm_models.a.port;"
        in done.stdout
    )
    assert "(port-in-use)" in done.stdout
    assert "Errno 98" in done.stdout.split("Its last words")[1]


def test_one_that_runs_again_is_explained_by_what_it_said_before(host: Path) -> None:
    """Also where it ended with status 0, as vLLM does."""
    unit(
        host, "sglang-b.service", NRestarts="2", InactiveExitTimestamp="Fri 2026-11-20 22:35:44 UTC"
    )
    (host / "journal").write_text("Exception: Capture cuda graph failed: CUDA out of memory.\n")
    (host / "kernel").write_text(
        "NVRM: Xid \x1b]0;(PCI:0000:02:00): 79, GPU has fallen off the bus.\n"
    )
    done = why(host, "sglang", "nobody-has-this-name", "sglang-b.service")
    assert done.returncode == 0, done.stderr
    assert "started again 2 times. Likely there is no memory left for CUDA graphs." in done.stdout
    assert "sglang_models.b.settings.mem-fraction-static" in done.stdout
    assert "The kernel said today:\n    NVRM: Xid ]0;(PCI" in done.stdout
    asked = (host / "asked").read_text()
    assert "--until=Fri 2026-11-20 22:35:44 UTC" in asked
    assert "_SYSTEMD_USER_UNIT=sglang-b.service" in asked


def test_those_that_are_well_and_those_that_nobody_can_explain(host: Path) -> None:
    unit(host, "vllm-a.service", ActiveEnterTimestamp="Fri 2026-11-20 22:35:44 UTC")
    unit(
        host,
        "vllm-b.service",
        ActiveState="activating",
        SubState="auto-restart",
        Result="exit-code",
        ExecMainStatus="1",
    )
    (host / "journal").write_text("something nobody has seen\n")
    done = why(host, "vllm", "-", "vllm-a.service", "vllm-b.service")
    assert done.returncode == 1
    assert (
        "vllm-a.service: active (running) since Fri 2026-11-20 22:35:44 UTC; it did not fail."
        in done.stdout
    )
    assert "Nothing that is known tells why." in done.stdout
    assert "something nobody has seen" in done.stdout


def test_words_that_are_missing(host: Path) -> None:
    assert why(host, "vllm").returncode == 2


class Manager(_systemd.Systemd):
    """Stands in for a manager: notes what is asked of the journal."""

    def __init__(self) -> None:
        _systemd.Systemd.__init__(self, self.answer)
        self.asked: list[list[str]] = []

    def answer(self, command: list[str]) -> tuple[int, str, str]:
        self.asked.append(command)
        return 0, "one\ntwo\n" if "--sync" not in command else "", ""


@pytest.mark.parametrize(
    ("properties", "journal", "result"),
    [
        ({"ActiveState": "active", "SubState": "running", "NRestarts": "0"}, [], "success"),
        (
            {"ActiveState": "active", "SubState": "running", "NRestarts": "1"},
            ["one", "two"],
            "success",
        ),
        (
            {"ActiveState": "failed", "SubState": "failed", "ExecMainStatus": "1"},
            ["one", "two"],
            "exit-code",
        ),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, ["one", "two"], "exit-code"),
    ],
)
def test_what_the_fleets_status_is_made_of(
    properties: dict[str, str], journal: list[str], result: str
) -> None:
    manager = Manager()
    shown = {
        "Result": "exit-code",
        "InvocationID": "0123",
        "InactiveExitTimestamp": "Fri",
        **properties,
    }
    ended = _look.ended(manager, "a.service", shown)
    assert (ended["journal"], ended["result"]) == (journal, result)
    asked = json.dumps(manager.asked)
    assert ("--until=Fri" in asked) is (bool(journal) and result == "success")
    assert ("_SYSTEMD_INVOCATION_ID=0123" in asked) is (result == "exit-code")


def test_how_long_a_process_ran() -> None:
    start, end = "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic"
    assert _systemd.up_for({start: "5000000", end: "65000000"}) == 60
    assert _systemd.up_for({start: "0", end: "0"}) is None
    running = _systemd.up_for({start: "1000000", end: "0"})
    assert running is not None and running > 0
