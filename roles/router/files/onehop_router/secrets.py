# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to secrets in configuration values: ${cred:}, ${env:} and ${file:}.

A value is text with references in it; `$$` stands for one dollar sign. What a reference yields
is never looked at again, so a secret may hold anything. No message here repeats a value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

# "$$", "${...}", or a dollar sign that looks like the begin of something: "${" without its end,
# and every name that a shell would expand. Other dollar signs are text.
_TOKEN = re.compile(r"\$(?:(\$)|\{([^{}]*)\}|\{|[A-Za-z_0-9*#@!?-])")
_WAYS = "write ${cred:NAME}, ${env:NAME} or ${file:/PATH}, and $$ for a literal $"


class SecretError(ValueError):
    """All faults of one value; `problems` holds one sentence each, without any secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def validate(text: str) -> None:
    """Check the syntax of every reference, reading nothing. Raises SecretError."""
    _parse(text)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The value with every reference replaced by its secret. Raises SecretError.

    Credentials are read from the directory that $CREDENTIALS_DIRECTORY in `environ` names.
    One trailing line end is taken off what comes from a file.
    """
    parts = []
    problems = []
    for scheme, name in _parse(text):
        try:
            parts.append(_fetch(scheme, name, environ) if scheme else name)
        except SecretError as error:
            problems += error.problems
    if problems:
        raise SecretError(problems)
    return "".join(parts)


def file(text: str, environ: Mapping[str, str] | None) -> str:
    """The path of a file that is named by an absolute path or by ${cred:NAME} alone.

    Without `environ` a reference stays as it is. Raises SecretError.
    """
    parts = [part for part in _parse(text) if part != ("", "")]
    if len(parts) == 1 and parts[0][0] == "cred":
        return text if environ is None else str(_credential(parts[0][1], environ))
    if any(scheme for scheme, dummy in parts) or not text.startswith("/") or "\0" in text:
        raise SecretError(["write an absolute path, or ${cred:NAME} for a credential's file"])
    return "".join(name for dummy, name in parts)


def _credential(name: str, environ: Mapping[str, str]) -> Path:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SecretError(
            [f"the credential {name!r} is wanted, but $CREDENTIALS_DIRECTORY is not set"]
        )
    return Path(directory, name)


def _parse(text: str) -> list[tuple[str, str]]:
    """Pairs of (scheme, name); literal text has the scheme ''."""
    parts: list[tuple[str, str]] = []
    problems: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(("", text[end : match.start()]))
        end = match.end()
        dollar, reference = match.groups()
        where = f"the $ at character {match.start() + 1}"
        if dollar:
            parts.append(("", "$"))
        elif reference is None:
            problems.append(f"{where} begins no cred:, env: or file: reference; {_WAYS}")
        else:
            scheme, dummy, name = reference.partition(":")
            fault = _fault(scheme, name)
            if fault:
                problems.append(f"{where}: {fault}")
            else:
                parts.append((scheme, name))
    if problems:
        raise SecretError(problems)
    parts.append(("", text[end:]))
    return parts


def _fault(scheme: str, name: str) -> str | None:
    if scheme == "cred":
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            return f"invalid credential name {name!r}; write the plain name of one credential"
    elif scheme == "env":
        if not name or "=" in name or "\0" in name:
            return f"invalid environment variable name {name!r}"
    elif scheme == "file":
        if not name.startswith("/") or "\0" in name:
            return f"the secret file {name!r} needs an absolute path"
    else:
        # Nothing of the text is shown: where the scheme is wrong, it may be part of a secret.
        return f"not a cred:, env: or file: reference; {_WAYS}"
    return None


def _fetch(scheme: str, name: str, environ: Mapping[str, str]) -> str:
    if scheme == "env":
        value = environ.get(name)
        if value is None:
            raise SecretError([f"the environment variable {name!r} is not set"])
        return value
    path = _credential(name, environ) if scheme == "cred" else Path(name)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unreadable"
        raise SecretError([f"cannot read the secret file {str(path)!r}: {reason}"]) from None
    except UnicodeDecodeError:
        raise SecretError([f"the secret file {str(path)!r} is not UTF-8 text"]) from None
    if text.endswith("\n"):
        text = text[:-2] if text.endswith("\r\n") else text[:-1]
    return text
