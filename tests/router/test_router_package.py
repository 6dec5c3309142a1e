# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package promises about itself: dependencies, their lock, sizes, licences."""

from __future__ import annotations

import re
import tomllib

from router_harness import FILES

PACKAGE = FILES / "onehop_router"


def names(text: str) -> set[str]:
    return {
        re.split(r"[=><~; ]", line)[0]
        for line in text.splitlines()
        if line and not line.startswith(("#", " "))
    }


def test_the_dependencies_are_everywhere_the_same():
    project = tomllib.loads((FILES / "pyproject.toml").read_text())["project"]
    wanted = {"httptools", "libpass", "msgspec", "prometheus-client", "uvloop", "zstandard"}
    assert set(project["dependencies"]) == wanted
    assert names((FILES / "requirements.in").read_text()) == wanted
    assert names((FILES / "requirements.txt").read_text()) == wanted


def test_the_lock_is_pinned_hashed_and_names_no_host():
    text = (FILES / "requirements.txt").read_text()
    pins = re.findall(r"^\S+==\S+ \\$", text, re.MULTILINE)
    assert len(pins) == 6
    for pin in pins:
        assert "--hash=sha256:" in text.split(pin)[1].splitlines()[1]
    assert "://" not in text


def test_every_file_has_its_licence_and_one_job():
    for path in PACKAGE.rglob("*.py"):
        # REUSE-IgnoreStart
        lines = path.read_text().splitlines()
        assert lines[0] == "# SPDX-FileCopyrightText: The OneHop authors", path
        assert lines[1] == "# SPDX-License-Identifier: GPL-3.0-or-later", path
        # REUSE-IgnoreEnd
        assert lines[2].startswith('"""'), path


def test_the_default_configuration_hides_the_secrets_module_from_nobody():
    # A module named secrets must stay inside the package: the standard library has one as well.
    import secrets

    assert hasattr(secrets, "token_hex")
