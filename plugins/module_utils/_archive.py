# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives: fetched, held against their checksum, and unpacked whole or not at all.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

_BLOCK = 1 << 20
_PATIENCE = 60
"""Seconds that a server may stay silent."""


class ArchiveError(Exception):
    """What is wrong with an archive, in words for the operator."""


def complete(home, executable):
    """Whether ``home`` holds the program: it appears there only when all of it does."""
    return os.access(os.path.join(home, executable), os.X_OK)


def install(source, sha256, home, executable):
    """Unpack ``source``, a path or an http address, into ``home`` and link its program there."""
    parent = os.path.dirname(home)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    work = tempfile.mkdtemp(dir=parent, prefix=".onehop-")
    try:
        archive = source
        if not source.startswith("/"):
            archive = os.path.join(work, "archive")
            _fetch(source, archive)
        found = _sha256(archive)
        if found != sha256:
            raise ArchiveError("its SHA-256 is %s, and %s was declared" % (found, sha256))
        content = os.path.join(work, "content")
        extract(archive, content)
        program = _find(content, executable)
        if program is None:
            raise ArchiveError("it holds no program %s" % executable)
        if os.path.dirname(program) != content:
            os.symlink(os.path.relpath(program, content), os.path.join(content, executable))
        os.chmod(content, 0o755)
        if os.path.isdir(home):
            shutil.rmtree(home)
        os.rename(content, home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def extract(archive, directory):
    """Unpack a tar archive; members that would leave ``directory`` are refused."""
    os.mkdir(directory)
    root = os.path.realpath(directory)
    try:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                _check(member, root)
            if hasattr(tarfile, "data_filter"):
                tar.extractall(directory, filter="data")
            else:
                tar.extractall(directory)
    except tarfile.TarError as error:
        raise ArchiveError("it is no tar archive that can be read: %s" % error) from error
    for base, dummy, names in os.walk(directory):
        for path in [base] + [os.path.join(base, name) for name in names]:
            os.chown(path, 0, 0, follow_symlinks=False)


def _check(member, root):
    target = os.path.realpath(os.path.join(root, member.name))
    if target != root and not target.startswith(root + os.sep):
        raise ArchiveError("its member %s leads out of the directory" % member.name)
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise ArchiveError("its member %s is neither a file nor a link" % member.name)
    if member.issym() or member.islnk():
        base = os.path.dirname(member.name) if member.issym() else ""
        link = os.path.realpath(os.path.join(root, base, member.linkname))
        if not link.startswith(root + os.sep):
            raise ArchiveError("its link %s leads out of the directory" % member.name)


def _find(directory, name):
    for base, dummy, names in sorted(os.walk(directory)):
        path = os.path.join(base, name)
        if name in names and os.access(path, os.X_OK):
            return path
    return None


def _fetch(url, path):
    try:
        with open_url(url, timeout=_PATIENCE) as answer, open(path, "wb") as file:
            shutil.copyfileobj(answer, file, _BLOCK)
    except (OSError, UrlError) as error:
        raise ArchiveError("it cannot be fetched: %s" % error) from error


def _sha256(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(_BLOCK), b""):
                digest.update(block)
    except OSError as error:
        raise ArchiveError("it cannot be read: %s" % error) from error
    return digest.hexdigest()
