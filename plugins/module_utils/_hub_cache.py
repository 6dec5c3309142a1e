# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's cache on a disk: which commit a revision is, and whether what a worker needs is whole.

The layout is huggingface_hub's: ``models--ORG--NAME`` with ``refs/REVISION`` (the name of a commit),
``snapshots/COMMIT`` (links) and ``blobs`` (what they lead to). A wanted item is a dictionary, as the
plan makes it: ``repo``, ``revision``, ``kind`` (``model``, ``config``, ``adapter`` or ``gguf``),
``choose`` (patterns of a gguf file's name) and ``optional``.

Standard library only; this module util is private to the collection.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import stat

CONFIG = {"model": "config.json", "adapter": "adapter_config.json"}
"""The file without which a snapshot of this kind is none; it is linked last."""
SMALL = ("config.json", "tokenizer_config.json", "tokenizer.json", "params.json")
"""What makes a tokenizer or a configuration; one of them is enough."""
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_LONGEST = 64 << 20
"""Bytes of an index that are read."""


def folder(repo):
    """The name of a repository's directory."""
    return "models--" + repo.replace("/", "--")


def hub_of(directory):
    """The directory that holds the repositories: the one given, or ``hub`` in it."""
    below = os.path.join(directory, "hub")
    return below if os.path.isdir(below) else directory


def opened(path):
    """A regular file to read; :class:`OSError` where it is none.

    An account may put a pipe, which would hold up who reads it, or a device without an end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is no regular file", path)
    return os.fdopen(handle, "rb")


def commit_of(hub, repo, revision):
    """The commit that the cache has for a revision; ``None`` where it has none."""
    place = os.path.join(hub, folder(repo))
    if not re.match(r"\w[\w./-]*\Z", revision) or ".." in revision:
        return None
    if _COMMIT.match(revision) or (
        "/" not in revision and os.path.isdir(os.path.join(place, "snapshots", revision))
    ):
        return revision
    try:
        with opened(os.path.join(place, "refs", revision)) as file:
            commit = file.read(100).decode("ascii", "replace").strip()
    except OSError:
        return None
    return commit if re.match(r"[\w.-]+\Z", commit) and commit not in (".", "..") else None


def snapshot(hub, repo, commit):
    """The directory of a snapshot."""
    return os.path.join(hub, folder(repo), "snapshots", commit)


def look(hub, item):
    """What the cache has of an item.

    A dictionary: ``commit`` (``None`` where the revision is not known), ``snapshot`` (its path
    below the hub), ``lacks`` (a word on what is not there, empty where it is whole) and for gguf
    ``file``.
    """
    commit = commit_of(hub, item["repo"], item["revision"])
    found = {"commit": commit, "snapshot": None, "file": None, "lacks": "it is not in the cache"}
    if commit is None:
        return found
    place = snapshot(hub, item["repo"], commit)
    if not os.path.isdir(place):
        return found
    found["snapshot"] = os.path.relpath(place, hub)
    names = list(files(place))
    gone = [name for name in names if not os.path.isfile(os.path.join(place, name))]
    if gone:
        found["lacks"] = "%s leads nowhere" % gone[0]
    elif item["kind"] == "gguf":
        chosen = choose(names, item["choose"])
        found["file"] = chosen[0] if chosen else None
        found["lacks"] = "" if chosen or item["optional"] else "no file fits"
    else:
        found["lacks"] = _lacks(place, names, item["kind"])
    return found


def files(place):
    """The names of all files below a directory, in order."""
    for base, directories, names in os.walk(place):
        directories.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(base, name), place)


def _lacks(place, names, kind):
    if kind == "config":
        return "" if set(SMALL) & set(names) else "none of %s" % ", ".join(SMALL)
    if CONFIG[kind] not in names:
        return CONFIG[kind]
    indexes = [name for name in INDEXES if name in names]
    if kind == "model" and indexes:
        return _lacks_of_index(place, names, indexes)
    return "" if any(name.endswith(WEIGHTS) for name in names) else "a file with weights"


def _lacks_of_index(place, names, indexes):
    """The first shard that is missing, where no index has all of its own: two formats are rare."""
    lacks = ""
    for index in indexes:
        try:
            with opened(os.path.join(place, index)) as file:
                shards = set(json.loads(file.read(_LONGEST).decode("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            lacks = lacks or "%s cannot be read" % index
            continue
        missing = sorted(shards - set(names))
        if not missing:
            return ""
        lacks = lacks or missing[0]
    return lacks


def choose(names, patterns):
    """The file of the first pattern that any fits, with its other shards; nothing where none is.

    A projector is taken for no model. Where a shard is missing the file counts as not there.
    """
    for pattern in patterns:
        fitting = [
            name
            for name in sorted(names)
            if fnmatch.fnmatch(os.path.basename(name).lower(), pattern.lower()) or name == pattern
        ]
        if "mmproj" not in pattern:
            fitting = [name for name in fitting if "mmproj" not in name.lower() or name == pattern]
        for name in fitting:
            shard = _SHARD.match(name)
            if name.endswith(".gguf") and not shard:
                return [name]
            if shard:
                total = int(shard.group(2))
                whole = [
                    "%s-%05d-of-%05d.gguf" % (shard.group(1), number, total)
                    for number in range(1, total + 1)
                ]
                if set(whole) <= set(names):
                    return whole
    return []


def wanted(names, item):
    """What of a repository's files an item needs."""
    if item["kind"] == "gguf":
        return choose(names, item["choose"])
    kept = [name for name in names if not name.lower().endswith(_NEVER) and not _aside(name)]
    if item["kind"] == "config":
        return [name for name in kept if not name.lower().endswith(WEIGHTS)]
    if any(name.endswith(".safetensors") for name in kept):
        # The same weights in another format.
        kept = [name for name in kept if not name.endswith((".bin", ".pt", ".pth"))]
        kept = [name for name in kept if name != "pytorch_model.bin.index.json"]
    return kept


_NEVER = (".gguf", ".onnx", ".onnx_data", ".h5", ".msgpack", ".ot", ".tflite", ".mlmodel")
"""Formats that no engine in a container reads."""


def _aside(name):
    """Whether a file lies in a directory for other programs."""
    return name.split("/")[0] in ("original", "onnx", "openvino", "coreml", "metal", "runs")


def prune(hub, keep, dry):
    """Remove what none of ``keep`` names, a list of (repo, commit); the paths that go, and their bytes."""
    gone: list = []
    size = 0
    try:
        names = sorted(name for name in os.listdir(hub) if name.startswith("models--"))
    except OSError:
        return gone, size
    wanted_folders: dict = {folder(repo): set() for repo, dummy in keep}
    for repo, commit in keep:
        wanted_folders[folder(repo)].add(commit)
    for name in names:
        place = os.path.join(hub, name)
        if os.path.islink(place):
            continue
        if name not in wanted_folders:
            size += _remove(place, dry)
            gone.append(name)
            continue
        removed, freed = _prune_repo(place, wanted_folders[name], dry)
        gone += ["%s/%s" % (name, item) for item in removed]
        size += freed
    return gone, size


def _prune_repo(place, commits, dry):
    """Snapshots that nobody wants, their refs, and blobs that then no snapshot leads to."""
    shots = os.path.join(place, "snapshots")
    have = sorted(os.listdir(shots)) if os.path.isdir(shots) else []
    gone = [commit for commit in have if commit not in commits]
    if not gone or None in commits:
        return [], 0
    used = set()
    for commit in have:
        if commit in commits:
            root = os.path.join(shots, commit)
            used |= {os.path.realpath(os.path.join(root, name)) for name in files(root)}
    size = sum(_remove(os.path.join(shots, commit), dry) for commit in gone)
    refs = os.path.join(place, "refs")
    for name in list(files(refs)):
        # A branch that is wanted again is then what the hub has.
        if commit_of(os.path.dirname(place), _repo_of(place), name) in gone:
            size += _remove(os.path.join(refs, name), dry)
    blobs = os.path.join(place, "blobs")
    for name in os.listdir(blobs) if os.path.isdir(blobs) else []:
        path = os.path.join(blobs, name)
        if os.path.realpath(path) not in used:
            size += _remove(path, dry)
    return ["snapshots/" + commit for commit in gone], size


def _repo_of(place):
    return os.path.basename(place)[len("models--") :].replace("--", "/")


def _remove(path, dry):
    """Remove a file or a directory with all in it; its bytes."""
    if not os.path.isdir(path) or os.path.islink(path):
        size = os.lstat(path).st_size
        if not dry:
            os.unlink(path)
        return size
    size = 0
    for base, directories, names in os.walk(path, topdown=False):
        for name in names:
            size += _remove(os.path.join(base, name), dry)
        for name in directories:
            below = os.path.join(base, name)
            if os.path.islink(below):
                size += _remove(below, dry)
            elif not dry:
                os.rmdir(below)
    if not dry:
        os.rmdir(path)
    return size
