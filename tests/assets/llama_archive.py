# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack the llama-server of a forky root filesystem so that it runs on older systems.

``llama_archive.py OUT.tar.gz [--rootfs TREE]`` prints the archive's sha256, which is the same for
the same tree. It is the real engine for a host without an archive: unpack it anywhere, run
``llama-VERSION/llama-server``.

    llama-VERSION/llama-server          what one runs: a script that only execs
    llama-VERSION/libexec/llama-server  forky's dynamic loader under the name that ps, /proc/PID/exe
                                        and journals are to show
    llama-VERSION/libexec/llama-server.bin, libggml-cpu-*.so
                                        the program, and the backends: ggml looks for them beside
                                        /proc/self/exe
    llama-VERSION/lib/                  every library it needs, glibc too: the loader and libc must
                                        be of one version, and older systems lack the one it needs
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

TESTHOST = Path(__file__).resolve().parents[2] / "molecule" / "testhost" / "testhost"
PROGRAM = "usr/bin/llama-server"
PACKAGE = "llama.cpp-tools"

LAUNCHER = """\
#!/bin/sh
# Runs llama-server with the libraries of this archive. It only execs: the service's main process,
# its environment and its signals are llama-server's own.
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd) || exit 127
exec "$here/libexec/llama-server" --inhibit-cache --library-path "$here/lib" --argv0 "$0" \\
    "$here/libexec/llama-server.bin" "$@"
"""


class ArchiveError(Exception):
    """The tree lacks something."""


def only(found: Iterable[Path], what: str) -> Path:
    """The one path that a pattern has to match."""
    paths = sorted(found)
    if len(paths) != 1:
        raise ArchiveError(f"expected one {what}, found {[str(path) for path in paths]}")
    return paths[0]


def version_of(package: str, dpkg_status: str) -> str:
    """An installed package's version in the text of /var/lib/dpkg/status, without its epoch."""
    pattern = rf"^Package: {re.escape(package)}\n(?:.+\n)*?Version: (?:\d+:)?(\S+)$"
    found = re.search(pattern, dpkg_status, re.MULTILINE)
    if not found:
        raise ArchiveError(f"the tree has no package {package}: is it forky's?")
    return found[1]


def libraries(listing: str) -> dict[str, Path]:
    """Name and file of each library in the output of the loader's --list."""
    found = {}
    for line in listing.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if not arrow:
            continue
        if rest.startswith("not found"):
            raise ArchiveError(f"the tree lacks {name}")
        # The loader itself is named by its path, and is packed as the program's name.
        if "/" not in name:
            found[name] = Path(rest.rpartition(" (")[0])
    return found


def collect(root: Path) -> tuple[str, dict[str, bytes]]:
    """The archive's folder, and its files by their path in it."""
    loader = only([*root.glob("usr/lib64/ld-linux-*"), *root.glob("usr/lib/ld-linux-*")], "loader")
    backends = sorted(root.glob("usr/lib/*/ggml/backends*/libggml-*.so"))
    if not backends:
        raise ArchiveError(f"no ggml backend in {root}")
    system = backends[0].parents[2]
    path = f"{system}:{system / 'llama'}"
    needed: dict[str, Path] = {}
    for program in [root / PROGRAM, *backends]:
        # The tree's own loader, so that the machine's libraries stay out of it.
        command = [str(loader), "--inhibit-cache", "--library-path", path, "--list", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        needed |= libraries(done.stdout)
    foreign = [name for name, file in needed.items() if not file.is_relative_to(root)]
    if foreign:
        raise ArchiveError(f"libraries from outside the tree: {foreign}")
    files = {
        "llama-server": LAUNCHER.encode(),
        "libexec/llama-server": loader.read_bytes(),
        "libexec/llama-server.bin": (root / PROGRAM).read_bytes(),
    }
    files |= {f"libexec/{each.name}": each.read_bytes() for each in backends}
    files |= {f"lib/{name}": file.read_bytes() for name, file in needed.items()}
    version = version_of(PACKAGE, (root / "var/lib/dpkg/status").read_text())
    return f"llama-{version}", files


def pack(folder: str, files: dict[str, bytes]) -> bytes:
    """A tar.gz without anything in it that changes from run to run."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("", "/lib", "/libexec"):
            entry = tarfile.TarInfo(folder + name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            entry.mode = 0o644 if ".so" in name else 0o755
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def built_rootfs() -> Path:
    """Forky's cached tree, made if it is missing."""
    command = [str(TESTHOST), "build", "forky"]
    return Path(
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Pack forky's llama-server for older systems.")
    parser.add_argument("out", type=Path, metavar="OUT.tar.gz")
    parser.add_argument(
        "--rootfs", type=Path, help="a forky tree (default: `testhost build forky`)"
    )
    args = parser.parse_args()
    try:
        content = pack(*collect((args.rootfs or built_rootfs()).resolve()))
    except (ArchiveError, OSError, subprocess.CalledProcessError) as error:
        print(f"llama_archive: {error}", file=sys.stderr)
        return 1
    args.out.write_bytes(content)
    print(hashlib.sha256(content).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
