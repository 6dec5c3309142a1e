# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an image archive, told from its tables of contents, with nothing unpacked.

An OCI archive has an ``index.json`` that names manifests by digest, a Docker archive a
``manifest.json`` with tags (image-spec, image-layout.md; docker-archive of containers/image). A
compressed one would have to be read whole, and is left alone.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import platform
import tarfile

_TABLE = 4 * 1024 * 1024
"""Bytes that an index, a manifest or a configuration may have, as in containers/image."""
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstd begin."""
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_DAMAGED = (
    OSError,
    tarfile.TarError,
    EOFError,
    ValueError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
)
"""What comes of an archive that is cut, or whose tables are not what they should be."""
_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
"""The processor's name in images, by its name in the kernel."""


def complaints(needs):
    """Findings: ``check``, ``level`` and ``said``. Files that are not there are not judged here."""
    for need in needs:
        if not os.path.isfile(need["path"]):
            continue
        for level, said in _judged(need["path"], need["image"]):
            yield {
                "check": "archive",
                "level": level,
                "said": "%s = %s: %s" % (need["variable"], need["path"], said),
            }


def _judged(path, image):
    try:
        if _compressed(path):
            return
        with tarfile.open(path, "r:") as archive:
            held = contents(archive)
    except _DAMAGED as error:
        yield (
            "error",
            "is cut short, or no archive of an image (%s). Copy it anew, or make it with podman "
            "save --format oci-archive." % (str(error) or type(error).__name__),
        )
        return
    machine = _MACHINES.get(platform.machine())
    if machine and held["machines"] and machine not in held["machines"]:
        yield (
            "error",
            "holds an image for %s, and the host is %s. Make it with podman pull --arch %s."
            % (", ".join(held["machines"]), machine, machine),
        )
    digest = image.partition("@")[2]
    if digest and digest not in held["digests"]:
        yield (
            "error",
            "holds no image of this digest%s. Make it with podman save --format oci-archive %s."
            % (" (it has %s)" % ", ".join(held["digests"]) if held["digests"] else "", image),
        )
    if not digest and held["names"] and not any(_same(name, image) for name in held["names"]):
        yield (
            "warn",
            "holds %s, and is loaded as %s all the same. Name the image that is in it, if that is "
            "not meant." % (", ".join(held["names"]), image),
        )


def _compressed(path):
    with open(path, "rb") as file:
        return file.read(6).startswith(_COMPRESSED)


def contents(archive):
    """``names``, ``digests`` and ``machines`` of the images in an open archive; each sorted."""
    members = {os.path.normpath(member.name): member for member in archive}
    if "index.json" in members and "oci-layout" in members:
        return _oci(archive, members)
    if "manifest.json" in members:
        return _docker(archive, members)
    raise ValueError("neither index.json nor manifest.json is in it")


def _oci(archive, members):
    names: set = set()
    digests: set = set()
    machines: set = set()
    for entry in _table(archive, members, "index.json")["manifests"]:
        notes = entry.get("annotations") or {}
        names |= {notes[key] for key in _NAMES if notes.get(key)}
        _manifest(archive, members, entry, digests, machines)
    return {"names": sorted(names), "digests": sorted(digests), "machines": sorted(machines)}


def _manifest(archive, members, entry, digests, machines):
    """Note an entry of an index, and what it leads to, as far as that is in the archive."""
    if entry["digest"] in digests:
        return
    digests.add(entry["digest"])
    path = _blob(entry["digest"])
    said = (entry.get("platform") or {}).get("architecture")
    if path not in members:
        return
    manifest = _table(archive, members, path)
    for inner in manifest.get("manifests") or []:
        _manifest(archive, members, inner, digests, machines)
    if "config" in manifest:
        config = _table(archive, members, _blob(manifest["config"]["digest"]))
        said = config.get("architecture") or said
        if said and said != "unknown":
            machines.add(said)


def _docker(archive, members):
    names, machines = set(), set()
    for entry in _table(archive, members, "manifest.json"):
        names |= set(entry.get("RepoTags") or [])
        config = _table(archive, members, os.path.normpath(entry["Config"]))
        if config.get("architecture"):
            machines.add(config["architecture"])
        for layer in entry.get("Layers") or []:
            if os.path.normpath(layer) not in members:
                raise ValueError("the layer %s is missing" % layer)
    return {"names": sorted(names), "digests": [], "machines": sorted(machines)}


def _blob(digest):
    kind, dummy, number = digest.partition(":")
    return "blobs/%s/%s" % (kind, number)


def _table(archive, members, path):
    member = members[path]
    if member.issym() or member.islnk():
        # As Docker writes a layer that two images share.
        member = members[os.path.normpath(os.path.join(os.path.dirname(path), member.linkname))]
    if member.size > _TABLE:
        raise ValueError("%s has %d bytes" % (path, member.size))
    file = archive.extractfile(member)
    if file is None:
        raise ValueError("%s is no file" % path)
    return json.loads(file.read().decode("utf-8"))


def _same(name, image):
    """Whether an archive's name for its image may stand for ``image``: a bare tag, or the rest of it."""
    return image == name or image.endswith((":" + name, "/" + name))
