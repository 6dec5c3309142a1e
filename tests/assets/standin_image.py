# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a small container image of standin_engine.py: ``standin_image.py OUT.tar --name REFERENCE``.

``standin_image.py OUT.tar --name docker.io/lmsysorg/sglang:v0.5.23`` prints the manifest's digest,
which is the same for the same tree. The image runs the command lines of SGLang and of vLLM:

    python3 -m sglang.launch_server --model-path M --host H --port P
    vllm serve M --host H --port P

Like SGLang's image it has no entrypoint; ``--entrypoint '["vllm", "serve"]'`` makes it look like
vLLM's. In it are Python, curl for health checks, a shell and a few commands, all from a test host's
root filesystem, and the libraries that they need.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from llama_archive import TESTHOST, ArchiveError, libraries, only
from oci import Image, ImageError, words, write_image

HERE = Path(__file__).resolve().parent

COMMANDS = ("curl", "dash", "env", "cat", "ls", "id", "sleep")

LINKS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "sbin": "usr/bin",
    "usr/bin/sh": "dash",
}

FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "etc")

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/os-release": 'PRETTY_NAME="OneHop stand-in for an engine"\n',
}

PACKAGE = {
    "sglang/__init__.py": "",
    "sglang/launch_server.py": (
        "import sys\n\nfrom standin_engine import main\n\n"
        'sys.exit(main(["sglang", *sys.argv[1:]]))\n'
    ),
}
"""Below Python's dist-packages, beside standin_engine.py."""

VLLM = """\
#!/usr/bin/python3
import sys

from standin_engine import main

sys.exit(main(["vllm", *sys.argv[1:]]))
"""

UNUSED = ("test", "idlelib", "tkinter", "ensurepip", "pydoc_data", "venv", "__pycache__")
"""Parts of Python's library that no server needs."""


def compiled(tree: Path, folder: str) -> None:
    """Compile Python's library for good: the times in an image are all the same."""
    command = [*("python3", "-m", "compileall", "-q"), "--invalidation-mode", "unchecked-hash"]
    subprocess.run(["chroot", str(tree), *command, f"/{folder}"], check=True)


def needed(root: Path, programs: list[Path]) -> Iterator[Path]:
    """The libraries of these programs, as paths in the tree."""
    loader = only([*root.glob("usr/lib64/ld-linux-*"), *root.glob("usr/lib/ld-linux-*")], "loader")
    yield loader
    folders = [path.parent for path in root.glob("usr/lib/*/libc.so.6")]
    path = ":".join(str(folder) for folder in folders)
    for program in programs:
        command = [str(loader), "--inhibit-cache", "--library-path", path, "--list", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for file in libraries(done.stdout).values():
            if not file.is_relative_to(root):
                raise ArchiveError(f"a library from outside the tree: {file}")
            yield file


def furnish(root: Path, tree: Path) -> None:
    """Copy from a test host's root filesystem what the stand-in needs, and put it there."""
    for name in FOLDERS:
        (tree / name).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    python = (root / "usr/bin/python3").resolve(strict=True)
    library = root / "usr/lib" / python.name
    shutil.copytree(
        library,
        tree / library.relative_to(root),
        symlinks=True,
        ignore=shutil.ignore_patterns(*UNUSED, "config-*"),
    )
    (tree / "usr/bin").mkdir()
    programs = [python, *(root / "usr/bin" / name for name in COMMANDS)]
    for program in programs:
        shutil.copy2(program, tree / "usr/bin" / program.name)
    extensions = sorted(library.glob("lib-dynload/*.so"))
    for file in sorted(set(needed(root, [*programs, *extensions]))):
        goal = tree / file.relative_to(root)
        goal.parent.mkdir(parents=True, exist_ok=True)
        # Not the link: its goal has the version in its name, which nobody asks for.
        shutil.copy(file.resolve(), goal)
    for name, text in FILES.items():
        (tree / name).write_text(text)
    for name, target in (LINKS | {"usr/bin/python3": python.name}).items():
        (tree / name).symlink_to(target)
    packages = tree / "usr/local/lib" / python.name / "dist-packages"
    for name, text in PACKAGE.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    shutil.copy(HERE / "standin_engine.py", packages)
    (tree / "usr/bin/vllm").write_text(VLLM)
    (tree / "usr/bin/vllm").chmod(0o755)
    for folder in (tree / library.relative_to(root), packages):
        compiled(tree, str(folder.relative_to(tree)))


def built_rootfs() -> Path:
    """Trixie's cached tree, made if it is missing."""
    command = [str(TESTHOST), "build", "trixie"]
    return Path(
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Make an image of the stand-in for engines.")
    parser.add_argument("out", type=Path, metavar="OUT.tar")
    parser.add_argument("--name", required=True, help="in full: docker.io/NAME/NAME:TAG")
    parser.add_argument("--entrypoint", type=words, default=(), help="a JSON list (default: none)")
    parser.add_argument(
        "--rootfs", type=Path, help="a test host's tree (default: `testhost build trixie`)"
    )
    args = parser.parse_args()
    image = Image(
        args.name,
        args.entrypoint,
        environment=("PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"),
    )
    try:
        with tempfile.TemporaryDirectory(prefix="onehop-standin-") as folder:
            tree = Path(folder, "tree")
            tree.mkdir(mode=0o755)
            furnish((args.rootfs or built_rootfs()).resolve(), tree)
            print(write_image(tree, args.out, image))
    except (ArchiveError, ImageError, OSError, subprocess.CalledProcessError) as error:
        print(f"standin_image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
