# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps: named pieces of work, each with its log, its seconds and its count of tests.

They run one after the other; those that mostly wait for others run two at a time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
LOGS = CACHE / "logs"
BIN = ROOT / ".venv" / "bin"
COLLECTIONS = CACHE / "collections"

_PLAIN = {"ANSIBLE_NOCOLOR": "true", "COLUMNS": "160", "NO_COLOR": "1"}
"""Text for a file: no colours, long lines."""
_LONGEST_COMMAND = 300
_GRACE_S = 30
"""How long an interrupted command may clean up before it is killed."""
_LANES = 2
"""How many steps run at a time of those that may: more would compete for a small machine's cores."""
_running: set[subprocess.Popen[bytes]] = set()
"""Commands of steps, to be stopped with the run."""


class Failed(Exception):
    """A step found something wrong; the text says what, for whoever has to mend it."""


@dataclass
class Log:
    """Collects what a step's commands say; shown in full only when the step fails."""

    path: Path

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(text if text.endswith("\n") else text + "\n")

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""


@dataclass
class Count:
    """How many tests a step ran, and how they ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed + self.failed}" + (
            f" ({self.skipped} skipped)" if self.skipped else ""
        )


@dataclass
class Step:
    name: str
    about: str
    """What a failure would mean, in a few words; stands in the table and in --list."""
    run: Callable[[Log], Count | None]
    """Does the work. Raises Failed; returns its count of tests where it is more than one."""
    beside: bool = False
    """Whether another such step may run at the same time."""


@dataclass
class Ended:
    step: Step
    seconds: float
    count: Count
    result: str = "ok"
    log: Log = field(default_factory=lambda: Log(Path(os.devnull)))


class FailedCount(Failed):
    """A failure that knows how many tests passed beside it."""

    def __init__(self, text: str, count: Count) -> None:
        super().__init__(text)
        self.count = count


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every command: the pinned tools first, the collection of this checkout, nobody's own settings."""
    env = dict(os.environ)
    for name in list(env):
        if name.startswith(("ANSIBLE_", "MOLECULE_", "PYTEST_")) or name in (
            "PYTHONPATH",
            "PYTHONHOME",
        ):
            del env[name]
    # A version manager's shims stand for Pythons that may not be chosen; Ansible would try them.
    folders = [name for name in env.get("PATH", "").split(":") if Path(name).name != "shims"]
    env |= {
        "ANSIBLE_CONFIG": str(CACHE / "ansible.cfg"),
        "PATH": ":".join([str(BIN), *folders, "/usr/sbin", "/sbin"]),
        "VIRTUAL_ENV": str(ROOT / ".venv"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_GALAXY_DISABLE_GPG_VERIFY": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT / "molecule"),
        "LC_ALL": "C.UTF-8",
    }
    return env | dict(extra or {})


def call(
    log: Log,
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> tuple[int, str]:
    """Runs a command in a process group of its own, so that an interrupt can reach all of it. Gives its status and output."""
    words = [str(word) for word in command]
    shown = " ".join(words)
    log.write(f"$ {shown[:_LONGEST_COMMAND]}{' …' if len(shown) > _LONGEST_COMMAND else ''}")
    before = len(log.text())
    with log.path.open("ab") as stream:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(_PLAIN | dict(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(process)
        try:
            status = process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            _running.discard(process)
    output = log.text()[before:]
    if check and status != 0:
        raise Failed(f"{words[0].rsplit('/', 1)[-1]} ended with status {status}")
    return status, output


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=_GRACE_S)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def need(*commands: str) -> None:
    """Refuses to pass a check whose tool is missing."""
    path = environment()["PATH"]
    missing = [command for command in commands if not shutil.which(command, path=path)]
    if missing:
        raise Failed(f"not installed: {', '.join(missing)}. scripts/bootstrap installs it")


def run_steps(steps: Sequence[Step], kind: str) -> list[Ended]:
    """Runs all steps, also after a failure; says of each how it ended, and shows the log of one that failed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    width = max(len(step.name) for step in steps)
    numbers = {step.name: number for number, step in enumerate(steps, 1)}

    def announce(step: Step, text: str) -> None:
        print(f"[{numbers[step.name]:>2}/{len(steps)}] {step.name:<{width}} {text}", flush=True)

    def run(step: Step) -> Ended:
        announce(step, "  ...")
        end = _end_of(step, kind)
        announce(step, f"{end.seconds:7.1f} s  {end.result}")
        if end.result != "ok":
            _show(end)
        return end

    ended = [run(step) for step in steps if not step.beside]
    with ThreadPoolExecutor(_LANES) as lanes:
        jobs = [lanes.submit(run, step) for step in steps if step.beside]
        try:
            ended += [job.result() for job in jobs]
        except BaseException:
            for job in jobs:
                job.cancel()
            for process in list(_running):
                _stop(process)
            raise
    return ended


def _end_of(step: Step, kind: str) -> Ended:
    """Runs one step."""
    log = Log(LOGS / f"{kind}-{step.name.replace('/', '-')}.log")
    log.path.unlink(missing_ok=True)
    start = time.monotonic()
    end = Ended(step, 0.0, Count(passed=1), log=log)
    try:
        end.count = step.run(log) or Count(passed=1)
    except Failed as failure:
        end.result = f"FAILED: {failure}"
        end.count = failure.count if isinstance(failure, FailedCount) else Count(failed=1)
    except Exception as fault:
        # A fault of the step itself: the other steps still run.
        log.write(traceback.format_exc())
        end.result = f"FAILED: {type(fault).__name__}: {fault}"
        end.count = Count(failed=1)
    end.seconds = time.monotonic() - start
    return end


def _show(end: Ended) -> None:
    text = end.log.text().rstrip()
    if text:
        print(
            f"----- {end.step.name}: {end.log.path.relative_to(ROOT)}\n{text}\n----- end of {end.step.name}",
            flush=True,
        )


def table(ended: Sequence[Ended], title: str) -> str:
    """One row a step: name, seconds, tests, result."""
    rows = [(title, "seconds", "tests", "result")]
    rows += [(end.step.name, f"{end.seconds:.1f}", str(end.count), end.result) for end in ended]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {seconds:>{widths[1]}}  {tests:>{widths[2]}}  {result}"
        for name, seconds, tests, result in rows
    )


def total(ended: Sequence[Ended]) -> Count:
    return Count(
        sum(end.count.passed for end in ended),
        sum(end.count.failed for end in ended),
        sum(end.count.skipped for end in ended),
    )


def choose(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The named steps in their own order; a name also stands for all that begin with it and a slash. None named: all."""
    if not names:
        return list(steps)
    chosen = [
        step
        for step in steps
        if any(step.name == name or step.name.startswith(name + "/") for name in names)
    ]
    unknown = [
        name
        for name in names
        if not any(step.name == name or step.name.startswith(name + "/") for step in steps)
    ]
    if unknown:
        sys.exit(
            f"unknown: {', '.join(unknown)}. There are: {', '.join(step.name for step in steps)}"
        )
    return chosen


def stop_on_signals() -> None:
    """Lets SIGTERM and SIGHUP end a run as SIGINT does: commands stopped, hosts taken down."""

    def interrupt(number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
