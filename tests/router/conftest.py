# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the router's package and this folder's harness on the path: nothing is installed."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in (ROOT / "roles" / "router" / "files", ROOT / "tests" / "router"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
