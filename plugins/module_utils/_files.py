# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and links on the host: compared, written whole or not at all, and shown as a diff.

This module util is private to the collection.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
import tempfile


class File(object):
    """A file as it shall be.

    ``secret`` content is never part of a diff, and of a ``program`` of our own there is only its
    hash: hundreds of lines that nobody declared would hide those that somebody did.
    """

    def __init__(self, path, content, mode=0o644, group="root", secret=False, program=False):
        self.path = path
        self.content = content.encode("utf-8") if isinstance(content, str) else content
        self.mode = mode
        self.group = group
        self.secret = secret
        self.program = program

    def differs(self):
        """Whether the host's file is another, in content, mode or owner."""
        try:
            state = os.lstat(self.path)
        except OSError:
            return True
        if not stat.S_ISREG(state.st_mode) or stat.S_IMODE(state.st_mode) != self.mode:
            return True
        if state.st_uid != 0 or group_name(state.st_gid) != self.group:
            return True
        return read(self.path) != self.content

    def diff(self):
        """Before and after, for Ansible's diff."""
        before = read(self.path)
        if self.secret:
            old, new = ("" if before is None else "(a secret)\n"), "(a secret)\n"
            if before is not None and before != self.content:
                new = "(another secret)\n"
        elif self.program:
            old, new = _described(before), _described(self.content)
        else:
            old = (before or b"").decode("utf-8", "replace")
            new = self.content.decode("utf-8", "replace")
        header = {"before_header": self.path, "after_header": self.path}
        if before is not None and old == new:
            return dict(header, before="(owner or mode)\n", after="(root, %04o)\n" % self.mode)
        return dict(header, before=old, after=new)

    def write(self):
        """Put the file in place: whole, with its mode from the start, and on the disk."""
        make_directory(os.path.dirname(self.path), 0o700 if self.secret else 0o755)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(self.path), prefix=".onehop-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.content)
                file.flush()
                os.fchmod(file.fileno(), self.mode)
                os.fchown(file.fileno(), 0, grp.getgrnam(self.group).gr_gid)
                os.fsync(file.fileno())
            os.rename(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise


def _described(program):
    """A program in a diff."""
    if program is None:
        return ""
    return "(a program of onehop.llm, SHA-256 %s)\n" % hashlib.sha256(program).hexdigest()[:16]


class Directory(object):
    """A directory as it shall be; what is in it is not looked at."""

    def __init__(self, path, mode, owner="root", group="root"):
        self.path = path
        self.mode = mode
        self.owner = owner
        self.group = group

    def _is(self):
        state = os.lstat(self.path)
        return (stat.S_IMODE(state.st_mode), user_name(state.st_uid), group_name(state.st_gid))

    def differs(self):
        """Whether the host has none, or one of another owner or mode."""
        if os.path.islink(self.path) or not os.path.isdir(self.path):
            return True
        return self._is() != (self.mode, self.owner, self.group)

    def diff(self):
        """Before and after, for Ansible's diff."""
        before = ""
        if os.path.islink(self.path) or os.path.isfile(self.path):
            before = "(no directory)\n"
        elif os.path.lexists(self.path):
            before = "(%s)\n" % self._words(*self._is())
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": before,
            "after": "(%s)\n" % self._words(self.mode, self.owner, self.group),
        }

    @staticmethod
    def _words(mode, owner, group):
        return "directory of %s:%s, %04o" % (owner, group, mode)

    def write(self):
        """Make it, or give it its owner and mode."""
        if os.path.islink(self.path) or (
            os.path.lexists(self.path) and not os.path.isdir(self.path)
        ):
            os.unlink(self.path)
        make_directory(self.path, 0o755)
        owner, group = pwd.getpwnam(self.owner).pw_uid, grp.getgrnam(self.group).gr_gid
        os.chown(self.path, owner, group)
        os.chmod(self.path, self.mode)


class Link(object):
    """A symbolic link as it shall be."""

    def __init__(self, path, target):
        self.path = path
        self.target = target

    def differs(self):
        """Whether the host has no such link."""
        return not os.path.islink(self.path) or os.readlink(self.path) != self.target

    def diff(self):
        """Before and after, for Ansible's diff."""
        before = ""
        if os.path.islink(self.path):
            before = "-> %s\n" % os.readlink(self.path)
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": before,
            "after": "-> %s\n" % self.target,
        }

    def write(self):
        """Put the link in place, over one that leads elsewhere."""
        make_directory(os.path.dirname(self.path), 0o755)
        temporary = "%s.onehop-%d" % (self.path, os.getpid())
        os.symlink(self.target, temporary)
        os.rename(temporary, self.path)


def removal(path):
    """The diff of a file that goes; secrets are told by their place, not their content."""
    if os.path.islink(path):
        before = "-> %s\n" % os.readlink(path)
    elif os.path.isdir(path):
        before = "(a directory)\n"
    elif not stat.S_ISREG(os.lstat(path).st_mode):
        before = "(a socket)\n"
    elif stat.S_IMODE(os.lstat(path).st_mode) & 0o044:
        before = (read(path) or b"").decode("utf-8", "replace")
    else:
        before = "(a secret)\n"
    return {"before_header": path, "after_header": path, "before": before, "after": ""}


def read(path):
    """The file's bytes; ``None`` where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_directory(path, mode):
    """The directory and those above it; ``mode`` is for the last one made here."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        make_directory(parent, 0o755)
    os.mkdir(path, mode)
    os.chmod(path, mode)


def remove_empty(path, stop):
    """Remove ``path`` and the directories above it that are empty, up to ``stop``, which stays."""
    while path.startswith(stop + "/"):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)


def user_name(uid):
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid):
    """The group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def user_exists(name):
    """Whether the host has the account."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
