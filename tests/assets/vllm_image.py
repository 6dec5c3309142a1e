# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the container image of a real vLLM that runs on processors; print its archive's path.

``vllm_image.py [--torch-index INDEX] [--mirror MIRROR]``, as root, with ``PYTHONPATH=molecule``,
which leads to the test hosts' package. The archive is kept in ``/var/cache/onehop/images``
(``ONEHOP_CACHE``) under a name that changes with its recipe: made once in a minute or two, then
found at once. ``podman load -i`` names the image NAME below.

A Debian with Python 3.11, the packages of vllm_image.txt, PyTorch's build for processors. pip of
whatever Python runs this fetches them; that PyTorch is in no public package index but its own, so
where pip's configuration does not lead to it, ``--torch-index`` or ``ONEHOP_TORCH_INDEX`` has to
name an index or a folder of wheels. Exit status 3: it was not found, there is no image.

What a unit of it needs, beside what any vLLM needs:

    Environment=VLLM_TARGET_DEVICE=cpu VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind
    Exec=MODEL … --dtype=float32 --enforce-eager

The first line is in the image. ``--enforce-eager``: there is no compiler in it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from kept_image import ended, kept, say
from oci import Image, ImageError, write_image

from testhost import mirror
from testhost.rootfs import JAIL, KEYRING, SCRIPTS
from testhost.state import cache_directory

HERE = Path(__file__).resolve().parent
NAME = "docker.io/vllm/vllm-openai:v0.32.0"
"""The name of upstream's image for accelerators, of the same version: the deployment is to be the
same, and a test host cannot fetch the other."""

SUITE = "bookworm"
"""The Debian release whose Python is 3.11, which the wheels are for."""
PYTHON = "3.11"
PACKAGES = ("python3", "curl", "ca-certificates", "libnuma1", "libgomp1")
TORCH = "torch==2.13.0+cpu"
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"

FILES = {
    "usr/local/bin/vllm": (
        "#!/usr/bin/python3\n"
        "import sys\n\n"
        # vLLM starts its processes by running this file again under another name.
        'if __name__ == "__main__":\n'
        "    from vllm.entrypoints.cli.main import main\n\n"
        "    sys.exit(main())\n"
    ),
    # The packages call themselves vllm-cpu; vLLM asks for the version of vllm, and reads from it
    # that it was built for processors.
    f"{SITE}/vllm-0.32.0+cpu.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
    ),
}

KERNELS = ("_C.abi3.so", "_C_AVX512.abi3.so")
PLAIN_KERNELS = "_C_AVX2.abi3.so"
"""vLLM loads one of three builds of its kernels by what the processor knows. All three names lead
to the plainest here: 320 MB less, and the newest instructions have ended in SIGILL on a guest."""

USELESS = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache/debconf",
    "var/log",
    f"{SITE}/bin",
    f"{SITE}/mistral_common/data/*",
    f"{SITE}/pycountry/locales",
    f"{SITE}/torch/bin/*Test",
    f"{SITE}/torch/bin/protoc*",
    f"{SITE}/torch/bin/test_*",
    f"{SITE}/torch/include",
    f"{SITE}/torch/test",
)
"""Patterns of what is removed."""
EMPTY = ("dev", "run", "tmp")
TESTS = ("tests", "__pycache__")
"""Folders of these names are removed from the packages; then everything is compiled once."""

IMAGE = Image(
    NAME,
    entrypoint=("vllm", "serve"),
    environment=(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "VLLM_TARGET_DEVICE=cpu",
        "VLLM_CPU_KVCACHE_SPACE=1",
        "VLLM_CPU_OMP_THREADS_BIND=nobind",
        "VLLM_NO_USAGE_STATS=1",
    ),
)

COMPILE = (
    *("python3", "-m", "compileall", "-q", "-f"),
    # By default a compiled file is held against its source's time, which an image does not keep.
    *("--invalidation-mode", "unchecked-hash", f"/usr/lib/python{PYTHON}", f"/{SITE}"),
)

MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")
"""Ends a command with this program, however that ends: it would write into the next one's tree."""

NO_TORCH = (
    f"no {TORCH} for Python {PYTHON} where pip looks: name PyTorch's index for processors, or a"
    " folder with the wheel, by --torch-index or ONEHOP_TORCH_INDEX"
)
NO_TORCH_STATUS = 3


class NoTorch(Exception):
    """The one package that cannot be had everywhere."""


def requirements() -> list[str]:
    """The lines of vllm_image.txt, without PyTorch."""
    lines = (HERE / "vllm_image.txt").read_text().split("\n")
    return [line for line in lines if line and not line.startswith("#") and line != TORCH]


def recipe() -> list[object]:
    """All that makes another image when it changes."""
    everything = [asdict(IMAGE), SUITE, PACKAGES, TORCH, requirements(), FILES, KERNELS]
    return [*everything, PLAIN_KERNELS, USELESS, EMPTY, TESTS, COMPILE]


def logged(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Run a command with a log file of what it says; its exit status."""
    with log.open("a") as stream:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "LC_ALL": "C.UTF-8"},
            check=False,
        ).returncode


def need(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    """Run a command that has to succeed."""
    status = logged(argv, log, environment)
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise ImageError(f"{' '.join(argv)} failed ({status}); {log} ends with:\n{tail}")


def debootstrap(target: Path, archive: str, log: Path) -> None:
    """The system below the packages."""
    argv = [*JAIL, "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    if KEYRING.exists():
        argv.append(f"--keyring={KEYRING}")
    argv += [SUITE, str(target), archive]
    if not (SCRIPTS / SUITE).exists():
        argv.append(str(SCRIPTS / "sid"))
    need(argv, log, mirror.proxy_environment())


def pip(target: Path) -> list[str]:
    """pip of this Python, for the image's: exactly what is named, and nothing is built."""
    argv = [*MORTAL, sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile"]
    argv += ["--no-input", "--progress-bar=off", f"--target={target / SITE}"]
    return [*argv, "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]


def source_options(index: str | None) -> list[str]:
    """pip's options for an index, or for a folder of wheels."""
    if not index:
        return []
    return [f"--find-links={index}" if Path(index).is_dir() else f"--extra-index-url={index}"]


def install(target: Path, index: str | None, log: Path) -> None:
    """The packages; PyTorch first, because without it there is no use in fetching the others."""
    if not importlib.util.find_spec("pip"):
        raise ImageError(f"{sys.executable} has no pip: run this with a Python that has it")
    say(f"fetching {TORCH}")
    if logged([*pip(target), *source_options(index), TORCH], log, {}):
        raise NoTorch(NO_TORCH)
    say(f"fetching {len(requirements())} packages")
    need([*pip(target), *requirements()], log, {})


def named(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Folders of these names at any depth."""
    for path, folders, dummy in os.walk(folder):
        for name in [each for each in folders if each in names]:
            folders.remove(name)
            yield Path(path, name)


def remove(path: Path) -> None:
    """Delete a file, or a folder and what is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def furnish(target: Path, log: Path) -> None:
    """The image's own files; away with what nobody there needs; compile the rest."""
    for name, text in FILES.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "bin/" in name else 0o644)
    for name in KERNELS:
        path = target / SITE / "vllm" / name
        path.unlink()
        path.hardlink_to(path.with_name(PLAIN_KERNELS))
    for pattern in USELESS:
        for path in target.glob(pattern):
            remove(path)
    for name in EMPTY:
        shutil.rmtree(target / name)
        (target / name).mkdir()
    (target / "tmp").chmod(0o1777)
    for path in named(target / SITE, TESTS):
        shutil.rmtree(path)
    # Its status says nothing: some packages bring templates that are no Python.
    logged([*JAIL, "chroot", str(target), *COMPILE], log, {})
    if not (target / SITE / "vllm/__pycache__").is_dir():
        raise ImageError(f"the packages could not be compiled: see {log}")


def build(index: str | None = None, given_mirror: str | None = None) -> Path:
    """The archive, made if it is missing."""

    def make(work: Path) -> Path:
        log = cache_directory() / "images" / "vllm.log"
        log.write_text("")
        tree = work / "tree"
        tree.mkdir()
        # What may be missing comes first.
        install(tree, index, log)
        say(f"installing {SUITE}")
        debootstrap(tree, mirror.discover(given_mirror), log)
        furnish(tree, log)
        say("packing")
        write_image(tree, work / "image.tar", IMAGE)
        return work / "image.tar"

    return kept("vllm", recipe(), make)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the image of a vLLM for processors.")
    parser.add_argument(
        "--torch-index",
        default=os.environ.get("ONEHOP_TORCH_INDEX"),
        metavar="INDEX",
        help="where PyTorch's build for processors is: an index, or a folder of wheels",
    )
    parser.add_argument("--mirror", help="Debian archive (default: what apt uses here)")
    args = parser.parse_args()
    if os.geteuid():
        say("run it as root: it makes a system in a folder")
        return 1
    try:
        return ended(lambda: print(build(args.torch_index, args.mirror)), (ImageError,))
    except NoTorch as error:
        say(str(error))
        return NO_TORCH_STATUS


if __name__ == "__main__":
    sys.exit(main())
