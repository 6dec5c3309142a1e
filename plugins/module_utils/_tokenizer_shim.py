# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots whose tokenizer has a class that an engine does not know: shadowed, with one file patched.

A shadow is a directory with links to all files of the snapshot and a ``tokenizer_config.json`` of its
own. In the cache the links are relative, so that they hold where a container sees the cache.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import os
import shutil

from ansible_collections.onehop.llm.plugins.module_utils import _hub_cache

HOME = "onehop/tokenizers"
"""Where shadows are, below the cache."""
FILE = "tokenizer_config.json"
_LONGEST = 64 << 20


def patched(place, classes):
    """The text that the snapshot's file ought to have; ``None`` where it is fine as it is."""
    try:
        with _hub_cache.opened(os.path.join(place, FILE)) as file:
            given = json.loads(file.read(_LONGEST).decode("utf-8"))
        replacement = classes.get(given.get("tokenizer_class"))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    if replacement is None:
        return None
    given["tokenizer_class"] = replacement
    return json.dumps(given, indent=2, sort_keys=True) + "\n"


def path_of(cache, repo, commit):
    """Where the shadow of a snapshot is."""
    return os.path.join(cache, HOME, "%s--%s" % (_hub_cache.folder(repo), commit))


def links(cache, place, shadow):
    """What the shadow's links lead to, by the names of files."""
    inside = place.startswith(cache + "/")
    return {
        name: os.path.relpath(
            os.path.join(place, name), os.path.dirname(os.path.join(shadow, name))
        )
        if inside
        else os.path.join(place, name)
        for name in _hub_cache.files(place)
        if name != FILE
    }


def differs(cache, place, shadow, text):
    """Whether the shadow is missing, or another one."""
    wanted = links(cache, place, shadow)
    if not os.path.isdir(shadow) or set(_hub_cache.files(shadow)) != set(wanted) | {FILE}:
        return True
    if any(_target(os.path.join(shadow, name)) != target for name, target in wanted.items()):
        return True
    try:
        with _hub_cache.opened(os.path.join(shadow, FILE)) as file:
            return file.read(_LONGEST).decode("utf-8") != text
    except (OSError, ValueError):
        return True


def make(cache, place, shadow, text):
    """Make the shadow anew; it takes the old one's place when it is whole."""
    new = "%s.%d.new" % (shadow, os.getpid())
    if os.path.isdir(new):
        shutil.rmtree(new)
    os.makedirs(new)
    for name, target in links(cache, place, shadow).items():
        path = os.path.join(new, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    with open(os.path.join(new, FILE), "w") as file:
        file.write(text)
    if os.path.isdir(shadow):
        shutil.rmtree(shadow)
    os.rename(new, shadow)


def stale(cache, wanted):
    """The shadows that none of ``wanted`` is."""
    home = os.path.join(cache, HOME)
    try:
        names = sorted(os.listdir(home))
    except OSError:
        return []
    return [path for path in (os.path.join(home, name) for name in names) if path not in wanted]


def remove(paths):
    """Remove shadows, and the directories that they were in once those are empty."""
    for path in paths:
        shutil.rmtree(path)
    for home in {os.path.dirname(path) for path in paths}:
        for directory in (home, os.path.dirname(home)):
            try:
                os.rmdir(directory)
            except OSError:
                break


def _target(path):
    try:
        return os.readlink(path)
    except OSError:
        return None
