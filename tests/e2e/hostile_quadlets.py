# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether podman is told exactly what was declared: judged by a host's own generator and systemd.

``hostile_quadlets.py render FOLDER`` renders Quadlets whose arguments, environment and mounts hold
everything that has a meaning on the way, as FOLDER/units.tar, and what podman is to be told as
FOLDER/expected.json. A host unpacks them in /run, and there, as root,
``python3 /run/onehop-hostile-quadlets/hostile_quadlets.py run`` makes an account, has the host's
generator for users' units read them and the account's systemd start what it made, with a program in
place of podman that writes down its words; seen.tar holds those. ``hostile_quadlets.py compare
FOLDER`` holds FOLDER/seen.tar against what was expected, and says what differs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

NAME = "onehop-hostile"
HOME = Path("/run/onehop-hostile-quadlets")
SEEN = HOME / "seen"
GENERATOR = "/usr/lib/systemd/user-generators/podman-user-generator"
PODMAN = "ExecStart=/usr/bin/podman "
DROP_IN = """\
[Service]
Type=oneshot
Restart=no
ExecStop=
ExecStopPost=
"""
"""Everything of the service stays but what only podman could do."""
SECONDS = 120


def render(folder: Path, seed: int) -> int:
    """Write the Quadlets and what is expected of them; how many words there are."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / ".cache" / "collections")]
    from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _quadlet
    from e2e import hostile_units

    models = {"m": {"model": "org/m", "port": 18001}}
    made = _plan.make([_plan.Host("h", {"vllm_tag": "v1", "vllm_models": models})])
    (base,) = made.hosts["h"]["engines"]["vllm"]["workers"]
    facts = {"podman": "5.4.2", "devices": [], "selinux": False, "python": "/usr/bin/python3"}
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {}
    files = {"hostile_quadlets.py": Path(__file__).read_text(encoding="utf-8")}
    given = hostile_units.words(seed)
    for number, start in enumerate(range(0, len(given), hostile_units.BATCH)):
        name = f"{NAME}-{number:03}"
        batch = given[start : start + hostile_units.BATCH]
        short = [word for word in batch if len(word) < hostile_units.LONG // 10]
        bits = [
            "".join(letter for letter in word if letter >= " " and letter != ":") for word in short
        ]
        spec = {
            **base,
            "unit": f"{name}.service",
            "extra_args": batch,
            "settings": {"list": short, "text": short[0]},
            "environment": {f"V{index}": word for index, word in enumerate(short)},
            "environment_files": [f"/etc/{bits[0]}"],
            "volumes": dict.fromkeys(f"/srv/{bit}" for bit in bits),
        }
        files[f"quadlets/{name}.container"] = _quadlet.worker(spec, facts)
        expected[name] = {
            "behind the image": [
                "org/m",
                "--host=0.0.0.0",
                *("--list", *short),
                *("--port=8000", "--served-model-name=m", f"--text={short[0]}"),
                *batch,
            ],
            "--env": [f"{key}={text}" for key, text in sorted(spec["environment"].items())],
            "--env-file": spec["environment_files"],
            "-v": [f"{path}:{path}:ro" for path in sorted(spec["volumes"])],
        }
    with tarfile.open(folder / "units.tar", "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{HOME.name}/{name}")
            content = text.encode()
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return sum(len(words) for parts in expected.values() for words in parts.values())


def run() -> None:
    """On the host: generate, start, and leave what was seen."""
    _call("useradd", "--system", "--no-create-home", "--home-dir", str(HOME / "home"), NAME)
    try:
        _call("loginctl", "enable-linger", NAME)
        account = pwd.getpwnam(NAME)
        runtime = Path("/run/user") / str(account.pw_uid)
        for folder in (HOME / "home", HOME / "generated", SEEN):
            folder.mkdir()
            os.chown(folder, account.pw_uid, account.pw_gid)
        _wait_for(runtime / "systemd" / "private")
        _as(runtime, f"QUADLET_UNIT_DIRS={HOME}/quadlets", GENERATOR, *[f"{HOME}/generated"] * 3)
        units = runtime / "systemd" / "user"
        units.mkdir(exist_ok=True)
        names = sorted(path.name for path in (HOME / "quadlets").iterdir())
        for name in names:
            _put(units, f"{Path(name).stem}.service")
        _as(runtime, "systemctl", "--user", "daemon-reload")
        for name in names:
            # One after the other: a unit that does not start must not hide the others.
            _as(runtime, "systemctl", "--user", "start", f"{Path(name).stem}.service", check=False)
        with tarfile.open(HOME / "seen.tar", "w") as tar:
            tar.add(SEEN, "seen")
    finally:
        _call("loginctl", "disable-linger", NAME)
        _call("loginctl", "terminate-user", NAME, check=False)
        _leave()


def _put(units: Path, name: str) -> None:
    """A generated service with this program for podman, and without its wait for the network."""
    text = (HOME / "generated" / name).read_bytes().decode()
    if text.count(f"\n{PODMAN}") != 1:
        raise SystemExit(f"{name}: not what a generator makes")
    mine = f"ExecStart=/usr/bin/python3 -I {HOME}/hostile_quadlets.py record "
    lines = text.replace(f"\n{PODMAN}", f"\n{mine}").split("\n")
    kept = [line for line in lines if not line.startswith(("Wants=", "After="))]
    (units / name).write_bytes("\n".join(kept).encode())
    folder = units / f"{name}.d"
    folder.mkdir()
    (folder / "seen.conf").write_text(DROP_IN, encoding="utf-8")


def _leave() -> None:
    deadline = time.monotonic() + SECONDS
    # Its systemd takes a moment to end.
    while (
        subprocess.run(["userdel", NAME], capture_output=True, check=False).returncode
        and time.monotonic() < deadline
    ):
        time.sleep(0.5)
    for name in ("home", "generated", "seen"):
        shutil.rmtree(HOME / name, ignore_errors=True)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} does not appear")
        time.sleep(0.1)


def _as(runtime: Path, *words: str, check: bool = True) -> None:
    env = ["env", f"XDG_RUNTIME_DIR={runtime}"]
    _call("runuser", "--user", NAME, "--", *env, *words, check=check)


def _call(*words: str, check: bool = True) -> int:
    ended = subprocess.run(words, timeout=SECONDS, check=False)
    if check and ended.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {ended.returncode}")
    return ended.returncode


def record(words: list[str]) -> None:
    """In podman's place: write down the words."""
    unit = words[words.index("--name") + 1].removeprefix("systemd-")
    (SEEN / f"{unit}.json").write_text(json.dumps(words), encoding="utf-8")


def compare(folder: Path) -> list[str]:
    """A line for each word that podman would have been told otherwise."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    found = _seen(folder / "seen.tar")
    wrong = []
    for name, parts in expected.items():
        if name not in found:
            wrong.append(f"{name}: did not run")
            continue
        for part, wanted in parts.items():
            got = _part(found[name], part)
            if len(got) != len(wanted):
                wrong.append(f"{name}: {part}: {len(got)} words, not {len(wanted)}")
            wrong += [
                f"{name}: {part}: {_short(word)} became {_short(seen)}"
                for word, seen in zip(wanted, got, strict=False)
                if word != seen
            ]
    return wrong


def _seen(archive: Path) -> dict[str, list[str]]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file:
                found[Path(member.name).stem] = json.load(file)
    return found


def _part(words: list[str], part: str) -> list[str]:
    image = words.index("docker.io/vllm/vllm-openai:v1")
    if part == "behind the image":
        return words[image + 1 :]
    values = [words[at + 1] for at in range(image) if words[at] == part]
    own = _of_the_role()
    return [value for value in values if not value.startswith(own)]


def _of_the_role() -> tuple[str, ...]:
    """What variables and mounts of the role's own begin with."""
    sys.path[:0] = [str(ROOT / ".cache" / "collections")]
    from ansible_collections.onehop.llm.plugins.plugin_utils._vllm import VLLM

    return (*(f"{name}=" for name in VLLM.environment), "/var/cache/vllm:")


def _short(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 200 else f"{shown[:200]}… ({len(shown)} characters)"


def main() -> int:
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["render", "run", "compare"])
    parser.add_argument("folder", type=Path, nargs="?", help="of the controller")
    parser.add_argument("--seed", type=int, default=20261120)
    given = parser.parse_args()
    if given.command == "run":
        run()
    elif given.folder is None:
        parser.error("which folder?")
    elif given.command == "render":
        print(f"{render(given.folder, given.seed)} words, seed {given.seed}")
    else:
        wrong = compare(given.folder)
        print("\n".join(wrong) or "every word arrived as it was declared")
        return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
