# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a unit's credentials to a router that runs.

systemd hands credentials over when a service starts, and before version 260 not when it reloads.
So the unit runs this as root ahead of `--reload`: it copies them to where the router's account
alone can read them, all of them or none, and takes away what is no longer declared.

    python -I -m onehop_router.credentials DIRECTORY ACCOUNT [NAME=PATH ...]
"""

from __future__ import annotations

import os
import pwd
import stat
import sys

_MAX_BYTES = 1024 * 1024
_NEW = ".new-"


def bring(directory: str, account: str, paths: dict[str, str]) -> list[str]:
    """Copy the files of `paths` (by name); returns what is wrong, and then nothing has changed.

    The account may write to the directory, so nothing in there is trusted: no link is followed.
    """
    contents = {}
    problems = []
    for name, path in paths.items():
        try:
            contents[name] = _read(path)
        except OSError as error:
            problems.append(f"credential {name!r}: {path!r}: {error.strerror or error}")
    if problems:
        return problems
    user = pwd.getpwnam(account)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(folder):
            if name.startswith(_NEW):
                os.unlink(name, dir_fd=folder)
        for name, content in contents.items():
            _write(folder, _NEW + name, content, user)
        for name in contents:
            os.rename(_NEW + name, name, src_dir_fd=folder, dst_dir_fd=folder)
        for name in set(os.listdir(folder)) - set(contents):
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)
    return []


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError("larger than 1 MiB, which systemd does not take either")
    return content


def _write(folder: int, name: str, content: bytes, user: pwd.struct_passwd) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o400, dir_fd=folder), "wb") as file:
        file.write(content)
        os.fchown(file.fileno(), user.pw_uid, user.pw_gid)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if len(arguments) < 2 or not all("=" in one for one in arguments[2:]):
        print("usage: onehop_router.credentials DIRECTORY ACCOUNT [NAME=PATH ...]", file=sys.stderr)
        return 2
    directory, account, *pairs = arguments
    try:
        problems = bring(directory, account, dict(one.split("=", 1) for one in pairs))
    except (OSError, KeyError) as error:
        problems = [f"{directory!r}: {error}"]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
