# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that take a while to make: made once, kept in ``/var/cache/onehop/images``, then found.

``ONEHOP_CACHE`` leads elsewhere. The test hosts' package has to be found: ``PYTHONPATH=molecule``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from testhost.disk import remove_tree
from testhost.process import HostError, Interrupted, interruptible
from testhost.state import cache_directory, locked


def say(message: str) -> None:
    print(f"{Path(sys.argv[0]).stem}: {message}", file=sys.stderr, flush=True)


def kept(name: str, recipe: list[object], make: Callable[[Path], Path], most: int = 1) -> Path:
    """The archive of an image, made if it is missing; parallel calls wait for the first.

    Its name changes with the recipe, which is written as JSON. ``make`` makes the archive below the
    folder that it is given; of the archives of this name the ``most`` youngest are kept.
    """
    store = cache_directory() / "images"
    text = json.dumps(recipe, sort_keys=True)
    target = store / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.tar"
    if target.exists():
        return target
    with locked(store / ".locks" / name, f"{name} image: waiting for another build of it"):
        if target.exists():
            return target
        work = store / f".build-{name}"
        # Whoever holds the lock is the only builder: what lies here, a killed build left.
        remove_tree(work)
        try:
            say(f"building {target}")
            work.mkdir(parents=True)
            make(work).rename(target)
        finally:
            remove_tree(work)
        archives = sorted(store.glob(f"{name}-{'?' * 12}.tar"), key=lambda old: old.stat().st_mtime)
        for old in archives[:-most]:
            old.unlink()
    return target


def ended(work: Callable[[], object], mistakes: tuple[type[Exception], ...]) -> int:
    """The exit status of a program that does this work, and says which mistake or signal ended it."""
    expected: tuple[type[Exception], ...] = (HostError, OSError, *mistakes)
    try:
        with interruptible():
            work()
    except expected as error:
        say(str(error))
        return 1
    except Interrupted as interrupted:
        say(f"stopped by {interrupted}")
        return 128 + interrupted.signum
    return 0
