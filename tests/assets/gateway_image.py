# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the container image of a real SGLang model gateway: ``gateway_image.py [OUT.tar]``, as root.

``PYTHONPATH=molecule`` leads to the test hosts' package, of which it is a part. It prints the path of an
archive in ``/var/cache/onehop/images`` (``ONEHOP_CACHE``) whose name
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
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import python_tree
from kept_image import ended, kept
from llama_archive import ArchiveError
from oci import Image, ImageError, write_image

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


def recipe(package: str, image: Image, root: Path) -> list[object]:
    """All that makes another image when it changes."""
    own = [package, asdict(image), root.name, COMMANDS, REQUIREMENTS[package], PREDECESSOR]
    tree = python_tree
    return [*own, tree.FILES, tree.FOLDERS, tree.LINKS, tree.UNUSED]


def install(package: str, packages: Path) -> None:
    """Have pip of whatever Python runs this fetch what is named, for the image's; nothing is built."""
    python = packages.parent.name.removeprefix("python")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    argv += ["--no-input", f"--target={packages}", "--only-binary=:all:", "--implementation=cp"]
    argv += [f"--python-version={python}", *REQUIREMENTS[package]]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
    if package == "smg":
        python_tree.put(packages, PREDECESSOR)


def build(package: str, name: str = NAME, rootfs: Path | None = None) -> Path:
    """The archive, made if it is missing."""
    image = Image(name, ENTRYPOINT, environment=ENVIRONMENT)
    image.check()
    root = (rootfs or python_tree.built_rootfs()).resolve()

    def make(work: Path) -> Path:
        tree = work / "tree"
        tree.mkdir()
        python_tree.furnish(root, tree, COMMANDS, lambda packages: install(package, packages))
        write_image(tree, work / "image.tar", image)
        return work / "image.tar"

    # Two names may be in use at a time; an archive is made again in half a minute.
    return kept(package, recipe(package, image, root), make, most=2)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the image of a model gateway.")
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT.tar", help="copy it there")
    parser.add_argument("--package", choices=sorted(REQUIREMENTS), default="smg")
    parser.add_argument("--name", default=NAME, help=f"in full (default: {NAME})")
    parser.add_argument(
        "--rootfs", type=Path, help="a test host's tree (default: `testhost build trixie`)"
    )
    args = parser.parse_args()

    def work() -> None:
        archive = build(args.package, args.name, args.rootfs)
        if args.out:
            shutil.copyfile(archive, args.out)
        print(args.out or archive)

    return ended(work, (ArchiveError, ImageError, subprocess.CalledProcessError))


if __name__ == "__main__":
    sys.exit(main())
