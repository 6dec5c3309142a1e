# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the router's package, its tests' harness and the table on the path."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in (
    ROOT / "roles" / "router" / "files",
    ROOT / "tests" / "router",
    ROOT / "tests" / "conformance",
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
