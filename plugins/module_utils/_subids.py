# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subordinate ids: who has which range, which range is free, and giving one out.

The files are those of subuid(5) and subgid(5). They are written under the lock that useradd and
usermod take (lckpwdf(3): a POSIX lock on /etc/.pwd.lock), so that there are never two writers.

This module util is private to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import grp
import os
import pwd
import re
import tempfile
import time

from ansible_collections.onehop.llm.plugins.module_utils._accounts import login_default

FILES = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
LOCK = "/etc/.pwd.lock"
NSSWITCH = "/etc/nsswitch.conf"
LAST = 2**32 - 2
"""The last id that there is: the one behind it stands for none."""
_EVERYBODY = ("nobody", "nogroup")
"""Names of what stands for all that is not mapped."""
_PATIENCE = 15
"""Seconds that lckpwdf(3) waits for the lock."""


class SubidError(Exception):
    """What cannot be given, in words for the operator."""


class Range(collections.namedtuple("Range", "owner start count")):
    """A line: ``owner`` is a name or a uid."""

    __slots__ = ()

    @property
    def end(self):
        """The first id behind it."""
        return self.start + self.count

    def overlaps(self, start, count):
        """Whether it shares an id with another range."""
        return self.start < start + count and start < self.end


def ranges(path):
    """All ranges of a file; lines that are none are left out, as shadow's tools do."""
    try:
        with open(path) as file:
            lines = file.read().split("\n")
    except OSError:
        return []
    found = []
    for line in lines:
        match = re.match(r"([^:#\s]+):(\d+):(\d+)\s*$", line)
        if match:
            found.append(Range(match.group(1), int(match.group(2)), int(match.group(3))))
    return found


def names_of(user):
    """What a file may call the user."""
    try:
        return (user, str(pwd.getpwnam(user).pw_uid))
    except KeyError:
        return (user,)


def of(user, known):
    """The user's own ranges."""
    names = names_of(user)
    return [item for item in known if item.owner in names]


def others(user, known):
    """Everybody else's ranges."""
    names = names_of(user)
    return [item for item in known if item.owner not in names]


def used(kind, start, count):
    """Pairs of an id among ``count`` from ``start`` on and the name of the account or group."""
    if kind == "uid":
        entries = [(entry.pw_uid, entry.pw_name) for entry in pwd.getpwall()]
    else:
        entries = [(entry.gr_gid, entry.gr_name) for entry in grp.getgrall()]
    return [(number, name) for number, name in entries if start <= number < start + count]


def holder(kind, user, known, start, count):
    """Whose range or id ``start`` and ``count`` would overlap; ``None`` if nobody's."""
    for item in others(user, known):
        if item.overlaps(start, count):
            return "%s, who has %d to %d" % (item.owner, item.start, item.end - 1)
    for number, name in used(kind, start, count):
        if name not in _EVERYBODY:
            what = "account" if kind == "uid" else "group"
            return "the %s %s, whose %s is %d" % (what, name, kind, number)
    return None


def free(kind, user, known, count):
    """The start of the first free range of ``count`` ids that login.defs(5) allows."""
    name = "SUB_UID" if kind == "uid" else "SUB_GID"
    start = login_default(name + "_MIN", 100000)
    last = login_default(name + "_MAX", 600100000)
    taken = sorted(others(user, known), key=lambda item: item.start)
    for item in taken:
        if item.overlaps(start, count):
            start = item.end
    while start + count - 1 <= min(last, LAST):
        clash = [item.end for item in taken if item.overlaps(start, count)]
        clash += [number + 1 for number, dummy in used(kind, start, count)]
        if not clash:
            return start
        start = max(clash)
    raise SubidError("No range of %d %ss is free below %d." % (count, kind, last))


def wanted(kind, user, start, count):
    """The range that the user shall have, and whether the host has it already."""
    known = ranges(FILES[kind])
    own = of(user, known)
    for item in own:
        if start is None and item.count >= count:
            return item, True
        if (item.start, item.count) == (start, count):
            return item, len(own) == 1
    if start is None:
        start = free(kind, user, known, count)
    return Range(user, start, count), False


def give(kind, user, start, count):
    """Make it so, under the lock: the range that the user has now."""
    with locked():
        item, has = wanted(kind, user, start, count)
        if has:
            return item
        if item.end - 1 > LAST:
            raise SubidError("%s to %s ends behind %d." % (item.start, item.end - 1, LAST))
        clash = holder(kind, user, ranges(FILES[kind]), item.start, item.count)
        if clash:
            raise SubidError("%s to %s overlaps %s." % (item.start, item.end - 1, clash))
        _write(FILES[kind], user, item)
        return item


def _write(path, user, item):
    """The file with the user's lines replaced by one, whole or not at all."""
    names = names_of(user)
    try:
        with open(path) as file:
            lines = file.read().split("\n")
        state = os.stat(path)
        mode, owner, group = state.st_mode & 0o777, state.st_uid, state.st_gid
    except OSError:
        lines, mode, owner, group = [], 0o644, 0, 0
    kept = [line for line in lines if line and line.split(":")[0] not in names]
    text = "\n".join(kept + ["%s:%d:%d" % item, ""])
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".onehop-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), owner, group)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def locked():
    """Hold the lock of the account files."""
    handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
                if time.monotonic() > end:
                    raise SubidError(
                        "%s is held by another program, such as useradd. Try again." % LOCK
                    ) from error
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def source():
    """Where the host takes its ranges from, by nsswitch.conf(5): ``files`` unless it says more."""
    try:
        with open(NSSWITCH) as file:
            found = re.findall(r"^[ \t]*subid:[ \t]*(\S+)", file.read(), re.MULTILINE)
    except OSError:
        found = []
    return found[-1] if found else "files"


def _is_there(user):
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def complaints(needs):
    """A sentence for each range that cannot be what is declared."""
    for need in needs:
        account = need["container"]
        if not account:
            continue
        if source() != "files":
            yield (
                "%s_user = %s: this host takes subordinate ids from %s, not from files. Give the "
                "account its ranges there, and name it in %s_user."
                % (need["variable"], account["name"], source(), need["variable"])
            )
            continue
        for kind in sorted(FILES):
            given = account["sub%ss" % kind]
            known = ranges(FILES[kind])
            variable = "%s_sub%s_start" % (need["variable"], kind)
            if account["managed"]:
                if given["start"] is None:
                    continue
                clash = holder(kind, account["name"], known, given["start"], given["count"])
                if clash:
                    yield "%s = %d: with %d ids it overlaps %s. Write another, or leave it out." % (
                        variable,
                        given["start"],
                        given["count"],
                        clash,
                    )
            elif not _is_there(account["name"]):
                # Another complaint says so.
                continue
            elif not any(item.count >= given["count"] for item in of(account["name"], known)):
                yield (
                    "%s_user = %s: has no range of %d ids in %s. Give it one: usermod --add-sub%ss "
                    "FIRST-LAST %s."
                    % (
                        need["variable"],
                        account["name"],
                        given["count"],
                        FILES[kind],
                        kind,
                        account["name"],
                    )
                )
