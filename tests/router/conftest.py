# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the router's package and this folder's harness on the path (nothing is installed), and fixtures."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
for folder in (ROOT / "roles" / "router" / "files", ROOT / "tests" / "router"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
def config(tmp_path):
    """Writes a configuration file and gives its path."""

    def write(**settings):
        path = tmp_path / "router.json"
        path.write_text(json.dumps({"port": 0, **settings}))
        return path

    return write


@pytest.fixture
def systemd(tmp_path):
    from router_harness import Systemd

    double = Systemd(tmp_path)
    yield double
    double.close()
