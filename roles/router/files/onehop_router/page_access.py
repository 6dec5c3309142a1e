# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see the status page: a client whose own paths name it, and nobody without a key.

Browsers ask people for a name and a password, so here, and only here, a key may come as the
password of HTTP Basic. Nothing can be done with the page, so it does not matter that browsers send
it along unasked.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from .auth import Identity, Keyring
from .config import Config
from .errors import Refusal

PAGE_PATH = "/status"
DATA_PATH = "/status.json"
PATHS = frozenset((PAGE_PATH, DATA_PATH))

# How a browser learns to ask.
_ASK = (("WWW-Authenticate", 'Basic realm="OneHop router", charset="UTF-8"'),)


def readers(config: Config) -> frozenset[str]:
    """The clients that may see it: with none the page does not exist."""
    return frozenset(
        name for name, one in config.client_keys.items() if PAGE_PATH in (one.paths or ())
    )


def reader(headers: Mapping[bytes, bytes], keys: Keyring, config: Config) -> Identity:
    """Who wants to see the page. Raises Refusal where they may not, and auth.Unverified.

    `headers` maps lower-case names to the first value of that name.
    """
    allowed = readers(config)
    password = _password(headers.get(b"authorization", b""))
    if password is not None:
        headers = {b"authorization": b"Bearer " + password}
    who = keys.identify(headers) if keys else None
    if who is not None and who.name in allowed:
        return who
    # A browser that has the wrong key has to be refused with 401 to ask for another one.
    if allowed and (who is None or password is not None):
        raise Refusal("invalid_api_key", "The API key is missing or wrong.", more_headers=_ASK)
    if keys and who is None:
        raise Refusal("invalid_api_key", "The API key is missing or wrong.")
    raise Refusal("unknown_path", "This path is not served here.")


def _password(authorization: bytes) -> bytes | None:
    """The password of `Basic ...`; None where there is none."""
    scheme, dummy, text = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        dummy_name, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None
