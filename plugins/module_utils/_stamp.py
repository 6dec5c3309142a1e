# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stamp that a unit carries into its process: what the process was started from.

Secrets enter it by an HMAC under a key that only this host's root has, so that a stamp, which
every user can read in the unit, tells nothing of them.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from ansible_collections.onehop.llm.plugins.module_utils._files import File, read
from ansible_collections.onehop.llm.plugins.module_utils._owned import HOME

KEY = HOME + "/stamp.key"


def host_key(make):
    """The host's key; made where there is none yet and ``make`` is true."""
    key = read(KEY)
    if key is None:
        key = os.urandom(32)
        if make:
            File(KEY, key, mode=0o600, secret=True).write()
    return key


def stamp(key, texts, secrets):
    """A stamp over ``texts`` and over ``secrets`` (pairs of name and bytes)."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8")).digest())
    for name, content in sorted(secrets):
        digest.update(hmac.new(key, name.encode("utf-8") + b"\0" + content, "sha256").digest())
    return digest.hexdigest()[:32]
