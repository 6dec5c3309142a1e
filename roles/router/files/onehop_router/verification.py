# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at keys that are kept as password hashes, away from the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .auth import Identity, Keyring
from .errors import Refusal

# Tokens that wait for their look. Each takes milliseconds: whoever sends wrong ones waits too.
MAX_PENDING = 64


class Verifier:
    """One thread for all slow looks, so that they never take more than one core."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._pending: dict[tuple[int, bytes], list[Callable[[], None]]] = {}

    def verify(self, keys: Keyring, token: bytes, then: Callable[[], None]) -> None:
        """Have `keys` remember whose token this is, then call `then`.

        Raises Refusal (429) where too many tokens wait already.
        """
        place = (id(keys), token)
        if place in self._pending:
            self._pending[place].append(then)
            return
        if len(self._pending) >= MAX_PENDING:
            raise Refusal("queue_full", "Too many keys are being looked at; try again.")
        self._pending[place] = [then]
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "onehop-keys")
        work = asyncio.get_running_loop().run_in_executor(self._executor, keys.verify, token)

        def done(future: asyncio.Future[Identity | None]) -> None:
            failed = future.cancelled() or future.exception() is not None
            keys.remember(token, None if failed else future.result())
            for one in self._pending.pop(place):
                one()

        work.add_done_callback(done)

    def stop(self) -> None:
        """Look at nothing more."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
