# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generators of the Podmans that hosts have, out of the trees that throwaway hosts are made of."""

from __future__ import annotations

import subprocess

import pytest

from testhost import checks, rootfs

from .harness import Generator

SUITES = {"5.4": "trixie", "5.8": "forky"}
"""Where each version is; a tree that is missing is built, which takes root and a minute."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden", action="store_true", help="write tests/quadlet/golden anew instead of comparing"
    )


@pytest.fixture(scope="session", params=sorted(SUITES))
def generator(request: pytest.FixtureRequest) -> Generator:
    suite = SUITES[request.param]
    if not rootfs.tree(suite).is_dir():
        checks.require()
        rootfs.build(suite)
    path = rootfs.tree(suite) / "usr" / "libexec" / "podman" / "quadlet"
    said = subprocess.run(
        [path, "-version"], capture_output=True, text=True, timeout=60, check=True
    )
    version = said.stdout.strip()
    assert version.startswith(f"{request.param}."), f"{path} is {version}"
    return Generator(version, path)
