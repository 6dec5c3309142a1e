# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity without containers, and with no download but Python packages.

ansible-test installs the packages of its tests itself. For that it fetches a pip installer from a server of Ansible's own,
which a closed network does not reach; it takes one from its cache instead, where we put a stand-in that asks ensurepip.
Its HOME is a folder of ours, because it keeps its cache and its environments there, and hands on no variables; so what pip
is set up with (index, certificates) is written into that HOME.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tooling.steps import BIN, CACHE, Failed, Log, call, environment, need
from tooling.tree import SANITY, copy_project

_HOME = SANITY / "home"

_LEFT_OUT = re.compile(
    r"WARNING: (Required program|Skipping(?!.* on Python .* could not be found))"
)
"""What ansible-test says of a test that it left out. An older Python that is not installed here is no fault."""
_PYTHONS = [f"python3.{minor}" for minor in range(8, 16)]

_GET_PIP = """\
# Made by scripts/tooling/sanity.py: stands in for the get-pip.py that ansible-test would download.
import ensurepip
import os
import subprocess
import sys

if __name__ == '__main__':
    env = {name: value for name, value in os.environ.items() if name != 'GET_PIP'}
    ensurepip.bootstrap(default_pip=True)
    options = [word for word in sys.argv[1:] if word not in ('--no-setuptools', '--no-wheel')]
    sys.exit(subprocess.call([sys.executable, '-m', 'pip', 'install'] + options, env=env))
"""


def run_sanity(log: Log, bin_folder: Path = BIN, tests: tuple[str, ...] = ()) -> None:
    """Runs all sanity tests, or the named ones, on a copy of the checkout. A warning fails too: it says a test did not run."""
    need("git", "shellcheck")
    copy = copy_project(log)
    _refuse_ignores(copy)
    home = _prepare_home(bin_folder)
    command: list[str | Path] = [bin_folder / "ansible-test", "sanity", "--local", "--color", "no"]
    for test in tests:
        command += ["--test", test]
    env = {"HOME": str(home), "PATH": _path(bin_folder)}
    output = call(log, command, cwd=copy, env=env)[1]
    left_out = [line for line in output.splitlines() if _LEFT_OUT.match(line)]
    if left_out:
        raise Failed(f"{len(left_out)} tests did not run: {left_out[0]}")


def core_environment(log: Log, version: str) -> Path:
    """The bin folder of an environment that holds only that ansible-core, such as 2.18; made once, kept in .cache."""
    venv = CACHE / f"core-{version}"
    if not (venv / "bin" / "ansible-test").exists():
        call(log, [BIN / "python", "-m", "venv", "--clear", venv])
        call(log, [venv / "bin" / "python", "-m", "pip", "install", f"ansible-core=={version}.*"])
    return venv / "bin"


def _refuse_ignores(copy: Path) -> None:
    ignores = sorted(
        str(path.relative_to(copy)) for path in (copy / "tests" / "sanity").glob("ignore*")
    )
    if ignores:
        raise Failed(f"no ignore files here: mend what they hide ({', '.join(ignores)})")


def _prepare_home(bin_folder: Path) -> Path:
    cache = _HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (requirements,) = bin_folder.parent.glob(
        "lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"
    )
    versions = set(re.findall(r"\bpip='([0-9.]+)'", requirements.read_text(encoding="utf-8")))
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(_GET_PIP, encoding="utf-8")
    folder = _HOME / ".config" / "pip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pip.conf").write_text(_pip_settings(), encoding="utf-8")
    return _HOME


def _path(bin_folder: Path) -> str:
    """The search path for ansible-test, which tries every python3.N on it: those of a version manager are added."""
    folders = [Path(name) for name in environment()["PATH"].split(":") if name]
    real: dict[str, Path] = {}
    for name in _PYTHONS:
        for folder in [*folders, *sorted(_version_manager().glob("*/bin"))]:
            if name not in real and (found := _interpreter(folder / name)):
                real[name] = found
    links = SANITY / "bin"
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(parents=True)
    for name, target in real.items():
        (links / name).symlink_to(target)
    return ":".join(map(str, [bin_folder, links, *folders]))


def _version_manager() -> Path:
    return Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def _interpreter(program: Path) -> Path | None:
    if not os.access(program, os.X_OK):
        return None
    words: list[str | Path] = [
        program,
        "-c",
        "import os, sys, venv; print(os.path.realpath(sys._base_executable))",
    ]
    answer = subprocess.run(
        words, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _pip_settings() -> str:
    """What pip is set up with here, by files and by variables, as one file."""
    answer = subprocess.run(
        [BIN / "python", "-m", "pip", "config", "list"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for line in answer.stdout.splitlines():
        name, value = line.split("=", 1)
        section, option = name.rsplit(".", 1)
        section = "global" if section in (":env:", "global") else section
        if option != "config-file":
            text = value.strip("'\"").replace("\\n", "\n")
            sections.setdefault(section, {})[option] = " ".join(text.split())
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{option} = {value}" for option, value in options.items())]
    return "\n".join(lines) + "\n"
