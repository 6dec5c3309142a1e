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
from pathlib import Path

import python_tree
from llama_archive import ArchiveError
from oci import Image, ImageError, words, write_image

HERE = Path(__file__).resolve().parent

COMMANDS = ("curl", "dash", "env", "cat", "ls", "id", "sleep")

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


def furnish(root: Path, tree: Path) -> None:
    """Python and a few commands from a test host's root filesystem, and the stand-in."""
    python_tree.furnish(root, tree, COMMANDS, add)
    (tree / "usr/bin/vllm").write_text(VLLM)
    (tree / "usr/bin/vllm").chmod(0o755)


def add(packages: Path) -> None:
    """The stand-in, and the names under which it is asked for."""
    python_tree.put(packages, PACKAGE)
    shutil.copy(HERE / "standin_engine.py", packages)


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
            furnish((args.rootfs or python_tree.built_rootfs()).resolve(), tree)
            print(write_image(tree, args.out, image))
    except (ArchiveError, ImageError, OSError, subprocess.CalledProcessError) as error:
        print(f"standin_image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
