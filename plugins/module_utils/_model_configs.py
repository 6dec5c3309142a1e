# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of models: their configuration and the size of their weights.

A model is a directory or a file of its own, or a repository in a cache of the Hugging Face hub:
``models--ORG--NAME``, below ``hub`` or not, with ``refs`` that name a commit and ``snapshots`` by commit. A GGUF
file's header is described in ggml's docs/gguf.md.

This module util is private to the collection.
"""

from __future__ import annotations

import glob
import json
import os
import re
import struct

from ansible_collections.onehop.llm.plugins.module_utils import _hub_cache

LARGEST_NUMBER = 1e15
LARGEST = 16 * 1024 * 1024
"""Bytes of a configuration or an index that is read; they are far smaller."""
MOST = 10 * 1000 * 1000
"""Items of a GGUF file's header or list that are passed over; vocabularies are far smaller."""
LONGEST = 256
"""Items of a GGUF file's list that are kept; the lists of its layers are shorter."""
SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf\Z")
WORDS = {
    "_type",
    "dtype",
    "format",
    "general.architecture",
    "hybrid_override_pattern",
    "ignored_layers",
    "layer_types",
    "layers_block_type",
    "model_type",
    "modules_to_not_convert",
    "quant_algo",
    "quant_method",
    "quant_type",
    "torch_dtype",
    "type",
}
"""Keys whose texts say something of a size. Others stay on the host: a worker's account writes its
cache, and could have root read another file for a configuration."""
NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
_DAMAGED = (KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError, struct.error)
"""What comes of files that are not what their names say."""


def found(needs):
    """``config`` and ``bytes`` of each model that the host has, by the name that workers give it."""
    models = {}
    for need in needs:
        for cache in need["caches"]:
            if need["model"] not in models:
                known = look(place(need["model"], cache, need["revision"]))
                if known:
                    models[need["model"]] = known
    return models


def place(model, cache, revision):
    """Where a model is; ``None`` where the cache has no commit for its revision."""
    if model.startswith("/"):
        return model
    hub = _hub_cache.hub_of(cache)
    commit = _hub_cache.commit_of(hub, model, revision)
    return commit and _hub_cache.snapshot(hub, model, commit)


def look(path):
    """The configuration and the bytes of the weights at a path; ``None`` without either."""
    if not path:
        return None
    try:
        if os.path.isfile(path):
            return {"config": gguf(path), "bytes": sum(map(os.path.getsize, parts(path)))}
        config = document(os.path.join(path, "config.json"))
        size = sum(map(os.path.getsize, weights(path)))
        return {"config": plain(config), "bytes": size or None} if config else None
    except _DAMAGED:
        return None


def plain(value, name=""):
    """What of a configuration says something of a size: numbers, and the texts of :data:`WORDS`."""
    if isinstance(value, dict):
        kept = {str(key): plain(item, str(key)) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        return [plain(item, name) for item in value[:LONGEST]]
    if isinstance(value, (int, float)):
        # Neither NaN nor what no size can be reckoned with.
        return value if abs(value) < LARGEST_NUMBER else None
    return value if name in WORDS else None


def parts(path):
    """All files of a GGUF file that may be split."""
    if not SPLIT.search(path):
        return [path]
    return sorted(glob.glob(glob.escape(SPLIT.sub("", path)) + "-*-of-*.gguf"))


def weights(path):
    """The files of a snapshot that hold its weights, as its index names them; none where one is missing."""
    index = document(os.path.join(path, "model.safetensors.index.json"))
    if isinstance(index.get("weight_map"), dict):
        names = sorted(set(index["weight_map"].values()))
        files = [os.path.join(path, name) for name in names]
        return files if all(map(os.path.isfile, files)) else []
    for pattern in ("model*.safetensors", "*.safetensors", "pytorch_model*.bin", "*.gguf"):
        files = sorted(glob.glob(os.path.join(glob.escape(path), pattern)))
        if files:
            return files
    return []


def document(path):
    """A JSON object of a file; empty where there is none."""
    text = read(path)
    try:
        value = json.loads(text) if text else {}
    except (RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read(path):
    """The text of a small file; empty where there is none."""
    try:
        with _hub_cache.opened(path) as file:
            text = file.read(LARGEST + 1)
    except OSError:
        return ""
    return text.decode("utf-8", "replace") if len(text) <= LARGEST else ""


def gguf(path):
    """The header of a GGUF file: numbers, short lists, and how many tokens there are."""
    header: dict = {}
    with _hub_cache.opened(path) as file:
        if file.read(4) != b"GGUF":
            return header
        version, dummy, count = struct.unpack("<IQQ", file.read(20))
        if version < 2:
            return header
        for dummy in range(bounded(count)):
            name = string(file)
            value = one(file, number(file, "I"))
            if not isinstance(value, str) or name in WORDS:
                header[name] = value
            if name == "tokenizer.ggml.tokens" and isinstance(value, int):
                header.setdefault("%s.vocab_size" % header.get("general.architecture"), value)
    return header


def one(file, kind):
    """A value of a header; a list of strings or a long one is its length."""
    if kind == STRING:
        return string(file)
    if kind != ARRAY:
        return number(file, NUMBERS[kind])
    inner, count = number(file, "I"), number(file, "Q")
    if inner in NUMBERS and count <= LONGEST:
        return [number(file, NUMBERS[inner]) for dummy in range(count)]
    if inner == STRING:
        for dummy in range(bounded(count)):
            file.seek(number(file, "Q"), os.SEEK_CUR)
    else:
        file.seek(count * struct.calcsize("<" + NUMBERS[inner]), os.SEEK_CUR)
    return count


def bounded(count):
    """A count; :class:`ValueError` where nobody means it."""
    if count > MOST:
        raise ValueError("%d items" % count)
    return count


def number(file, code):
    """A number, of which little comes first."""
    return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]


def string(file):
    """A text behind its length."""
    return file.read(min(number(file, "Q"), LARGEST)).decode("utf-8", "replace")
