# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the container image of a real SGLang model gateway: ``gateway_image.py [OUT.tar]``, as root.

It prints the path of an archive in ``/var/cache/onehop/images`` (``ONEHOP_CACHE``) whose name
changes with its recipe: made once in half a minute, then found at once. With OUT.tar it is copied
there. ``podman load -i`` names the image NAME below, or as ``--name`` says.

``--package smg``, the default, is today's gateway, which has an image of another name, too. NAME is
the name under which its predecessor came out, ``--package sglang-router``: that one knows half of
the options, leads requests for any model to any worker, and needs the internet for
``--enable-igw``. Both are run in the same way:

    python3 -m sglang_router.launch_router --host H --port P --worker-urls URL …

As in both published images there is no curl: a health check is Python's to do. What smg needs only
to start engines itself, and for gRPC, is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "molecule"))

from llama_archive import ArchiveError  # noqa: E402
from oci import Image, ImageError, write_image  # noqa: E402
from standin_image import (  # noqa: E402
    FILES,
    FOLDERS,
    LINKS,
    UNUSED,
    built_rootfs,
    compiled,
    needed,
)

from testhost.disk import remove_tree  # noqa: E402
from testhost.process import HostError, Interrupted, interruptible  # noqa: E402
from testhost.state import cache_directory, locked  # noqa: E402

NAME = "docker.io/lmsysorg/sgl-model-gateway:latest"
ENTRYPOINT = ("python3", "-m", "sglang_router.launch_router")
ENVIRONMENT = ("PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8")

COMMANDS = ("dash", "env", "cat", "ls", "id", "sleep")

REQUIREMENTS = {
    "smg": ("smg==1.13.0", "setproctitle==1.3.8"),
    "sglang-router": (
        "sglang-router==0.3.2",
        "aiohappyeyeballs==2.7.1",
        "aiohttp==3.14.5",
        "aiosignal==1.4.0",
        "annotated-doc==0.0.7",
        "annotated-types==0.8.0",
        "anyio==4.16.0",
        "attrs==26.1.0",
        "click==8.5.1",
        "fastapi==0.136.3",
        "frozenlist==1.8.0",
        "h11==0.16.0",
        "idna==3.20",
        "multidict==7.2.1",
        "orjson==3.13.0",
        "propcache==0.5.4",
        "pydantic==2.14.3",
        "pydantic-core==2.50.4",
        "setproctitle==1.3.8",
        "starlette==1.10.0",
        "typing-extensions==4.16.0",
        "typing-inspection==0.4.5",
        "uvicorn==0.54.0",
        "yarl==1.25.1",
    ),
}

PREDECESSOR = {
    "sglang_router/__init__.py": "",
    "sglang_router/launch_router.py": (
        'from smg.launch_router import main\n\nif __name__ == "__main__":\n    main()\n'
    ),
}
"""smg under the module name that the image's entrypoint has."""


def say(message: str) -> None:
    print(f"gateway_image: {message}", file=sys.stderr, flush=True)


def fingerprint(package: str, image: Image, root: Path) -> str:
    """Twelve hexadecimal digits that change when anything in the image would."""
    everything = [package, asdict(image), root.name, COMMANDS, REQUIREMENTS[package], PREDECESSOR]
    everything += [FILES, FOLDERS, LINKS, UNUSED]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:12]


def install(package: str, python: str, packages: Path) -> None:
    """Have pip of whatever Python runs this fetch what is named, for the image's; nothing is built.

    ``python`` is the name of the image's: python3.13.
    """
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    argv += ["--no-input", f"--target={packages}", "--only-binary=:all:", "--implementation=cp"]
    argv += [f"--python-version={python.removeprefix('python')}", *REQUIREMENTS[package]]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)


def furnish(root: Path, tree: Path, package: str) -> None:
    """Python, a few commands and their libraries from a test host's tree, and the gateway."""
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
    packages = tree / "usr/local/lib" / python.name / "dist-packages"
    install(package, python.name, packages)
    if package == "smg":
        for name, text in PREDECESSOR.items():
            (packages / name).parent.mkdir(exist_ok=True)
            (packages / name).write_text(text)
    (tree / "usr/bin").mkdir()
    programs = [python, *(root / "usr/bin" / name for name in COMMANDS)]
    for program in programs:
        shutil.copy2(program, tree / "usr/bin" / program.name)
    extensions = [*library.glob("lib-dynload/*.so"), *packages.rglob("*.so")]
    for file in sorted(set(needed(root, [*programs, *extensions]))):
        goal = tree / file.relative_to(root)
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.resolve(), goal)
    for name, text in FILES.items():
        (tree / name).write_text(text)
    for name, target in (LINKS | {"usr/bin/python3": python.name}).items():
        (tree / name).symlink_to(target)
    for folder in (tree / library.relative_to(root), packages):
        compiled(tree, str(folder.relative_to(tree)))


def build(package: str, name: str = NAME, rootfs: Path | None = None) -> Path:
    """The archive, made if it is missing; parallel calls wait for the first."""
    image = Image(name, ENTRYPOINT, environment=ENVIRONMENT)
    image.check()
    root = (rootfs or built_rootfs()).resolve()
    store = cache_directory() / "images"
    target = store / f"{package}-{fingerprint(package, image, root)}.tar"
    if target.exists():
        return target
    with locked(store / ".locks" / package, f"{package} image: waiting for another build of it"):
        if target.exists():
            return target
        work = store / f".build-{package}"
        # Whoever holds the lock is the only builder: what lies here, a killed build left.
        remove_tree(work)
        try:
            say(f"building {target}")
            tree = work / "tree"
            tree.mkdir(parents=True)
            furnish(root, tree, package)
            write_image(tree, work / "image.tar", image)
            (work / "image.tar").rename(target)
        finally:
            remove_tree(work)
        # Two names may be in use at a time; an archive is made again in half a minute.
        archives = sorted(
            store.glob(f"{package}-????????????.tar"), key=lambda old: old.stat().st_mtime
        )
        for old in archives[:-2]:
            old.unlink()
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the image of a model gateway.")
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT.tar", help="copy it there")
    parser.add_argument("--package", choices=sorted(REQUIREMENTS), default="smg")
    parser.add_argument("--name", default=NAME, help=f"in full (default: {NAME})")
    parser.add_argument(
        "--rootfs", type=Path, help="a test host's tree (default: `testhost build trixie`)"
    )
    args = parser.parse_args()
    try:
        with interruptible():
            archive = build(args.package, args.name, args.rootfs)
            if args.out:
                shutil.copyfile(archive, args.out)
            print(args.out or archive)
    except (ArchiveError, HostError, ImageError, OSError, subprocess.CalledProcessError) as error:
        say(str(error))
        return 1
    except Interrupted as interrupted:
        say(f"stopped by {interrupted}")
        return 128 + interrupted.signum
    return 0


if __name__ == "__main__":
    sys.exit(main())
