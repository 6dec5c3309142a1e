# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian packages come from: the machine's own apt configuration says it."""

from __future__ import annotations

import os
import shlex

from .process import HostError, run

INDEX_FORMAT = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"
"""Fields of apt-get indextargets; the first two are known once apt has the Release file."""

SCHEMES = ("http:", "https:", "file:")
"""What debootstrap can read; apt knows more."""


def choose(targets: str) -> str | None:
    """The main archive's address in lines of INDEX_FORMAT, None where Debian's is not there."""
    for line in targets.splitlines():
        origin, label, component, uri = line.split("|", 3)
        # The security archive has Origin Debian too, but another label, and no full suite.
        main_archive = (origin, label, component) == ("Debian", "Debian", "main")
        if main_archive and uri.startswith(SCHEMES):
            return uri
    return None


def discover(given: str | None = None) -> str:
    """The mirror: --mirror, ONEHOP_MIRROR, or what apt uses here."""
    named = given or os.environ.get("ONEHOP_MIRROR")
    if named:
        return named
    found = choose(run(["apt-get", "indextargets", "--format", INDEX_FORMAT]))
    if not found:
        raise HostError(
            "apt knows no Debian archive on this machine (run `apt-get update` first on Debian);"
            " name one with --mirror URL or ONEHOP_MIRROR"
        )
    return found


def proxy_environment() -> dict[str, str]:
    """http_proxy for debootstrap, as apt has it: it does not read apt's own setting."""
    wanted = ("http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy")
    text = run(["apt-config", "shell", *wanted])
    pairs = (word.partition("=") for line in text.splitlines() for word in shlex.split(line))
    return {name: value for name, dummy, value in pairs if value and value != "DIRECT"}
