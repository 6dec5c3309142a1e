# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a container image without a container engine: ``oci.py TREE OUT.tar --name REFERENCE``.

``oci.py TREE OUT.tar --name docker.io/vllm/vllm-openai:v0.32.0 --entrypoint '["vllm", "serve"]'``
packs the folder TREE as the one layer of an OCI image archive and prints the manifest's digest.
The same tree gives the same file, byte for byte: every entry has the time MOMENT. TREE may also be
a tar archive, which becomes the layer as it is. ``podman load -i OUT.tar`` then knows the image
under its full name, and as ``docker.io/vllm/vllm-openai@DIGEST``. Run it as root, so that owners
and devices can be read.

The layer is not compressed: it is for a machine that has it already, and loading is what takes
time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

MOMENT = 1735689600
"""The time of everything in an image: the beginning of 2025."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names, which OCI uses, by the kernel's."""

OCI = "application/vnd.oci.image"
REFERENCE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class ImageError(Exception):
    """What stands in the way of an image."""


@dataclass(frozen=True)
class Image:
    """What an image says about itself."""

    name: str
    """In full, with registry and tag: podman would put localhost/ before a short one."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    """NAME=VALUE."""
    folder: str = "/"

    def check(self) -> None:
        if not REFERENCE.fullmatch(self.name):
            raise ImageError(
                f"{self.name!r} is no full image reference: write it as docker.io/NAME/NAME:TAG"
            )

    def config(self, diff_id: str) -> dict[str, Any]:
        """The image's configuration over a layer of this digest."""
        machine = platform.machine()
        run = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": list(self.environment),
            "WorkingDir": self.folder,
        }
        return {
            "architecture": ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": "2025-01-01T00:00:00Z",
            "config": {key: value for key, value in run.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": "2025-01-01T00:00:00Z", "created_by": "tests/assets/oci.py"}],
        }


class Digester:
    """Passes bytes on, counted and hashed."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.sha256.update(content)
        return self.stream.write(content)


def walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder in an order that does not depend on the disk."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


def write_layer(tree: Path, stream: Digester) -> None:
    """A folder as a tar archive; hard links stay links, sockets are left out."""
    with tarfile.open(
        fileobj=cast("BinaryIO", stream), mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20
    ) as archive:
        for path in walk(tree):
            entry = archive.gettarinfo(path, str(path.relative_to(tree)))
            # None for what tar has no type for, whatever the stubs say.
            if not cast("tarfile.TarInfo | None", entry):
                continue
            entry.mtime, entry.uname, entry.gname = MOMENT, "", ""
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a file of the outer archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, MOMENT, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)


class Archive:
    """An OCI layout in a tar archive, written file by file."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def pad(self, size: int) -> None:
        self.stream.write(bytes(-size % tarfile.BLOCKSIZE))

    def file(self, name: str, content: bytes) -> None:
        self.stream.write(header(name, len(content)) + content)
        self.pad(len(content))

    def blob(self, media_type: str, document: dict[str, Any]) -> dict[str, Any]:
        """Store a JSON document; its descriptor."""
        content = json.dumps(document, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        self.file(f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def layer(self, source: Path) -> dict[str, Any]:
        """Store a folder, or a tar archive, as a layer; its descriptor.

        A layer is named by its digest, which is known once all of it is written: its header is
        written last, in the place kept for it.
        """
        place = self.stream.tell()
        self.stream.write(bytes(tarfile.BLOCKSIZE))
        digester = Digester(self.stream)
        if source.is_dir():
            write_layer(source, digester)
        else:
            with source.open("rb") as content:
                shutil.copyfileobj(content, digester, 1 << 20)
        self.pad(digester.size)
        end = self.stream.tell()
        digest = digester.sha256.hexdigest()
        self.stream.seek(place)
        self.stream.write(header(f"blobs/sha256/{digest}", digester.size))
        self.stream.seek(end)
        return {
            "mediaType": f"{OCI}.layer.v1.tar",
            "digest": f"sha256:{digest}",
            "size": digester.size,
        }

    def close(self) -> None:
        """Two empty blocks end a tar archive."""
        self.stream.write(bytes(2 * tarfile.BLOCKSIZE))


def write_image(source: Path, out: Path, image: Image) -> str:
    """Write the archive, as a whole or not at all; the manifest's digest."""
    image.check()
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("w+b") as stream:
            archive = Archive(stream)
            layer = archive.layer(source)
            config = archive.blob(f"{OCI}.config.v1+json", image.config(layer["digest"]))
            manifest = archive.blob(
                f"{OCI}.manifest.v1+json",
                {
                    "schemaVersion": 2,
                    "mediaType": f"{OCI}.manifest.v1+json",
                    "config": config,
                    "layers": [layer],
                },
            )
            # podman reads the first of the two names that is there; containerd knows only its own.
            names = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
            manifest["annotations"] = dict.fromkeys(names, image.name)
            index = {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.index.v1+json",
                "manifests": [manifest],
            }
            archive.file("index.json", json.dumps(index, sort_keys=True).encode())
            archive.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            archive.close()
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return str(manifest["digest"])


def words(text: str) -> tuple[str, ...]:
    """A JSON list of words, as Containerfiles write them."""
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise argparse.ArgumentTypeError(f'{text!r} is no JSON list of words like ["a", "b"]')
    return tuple(found)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a folder as a container image.")
    parser.add_argument("source", type=Path, metavar="TREE", help="a folder, or a tar archive")
    parser.add_argument("out", type=Path, metavar="OUT.tar")
    parser.add_argument("--name", required=True, help="in full: docker.io/NAME/NAME:TAG")
    parser.add_argument("--entrypoint", type=words, default=(), help="a JSON list")
    parser.add_argument("--cmd", type=words, default=(), help="a JSON list")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    image = Image(args.name, args.entrypoint, args.cmd, tuple(args.env))
    try:
        print(write_image(args.source, args.out, image))
    except (ImageError, OSError) as error:
        print(f"oci: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
