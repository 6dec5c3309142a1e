# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation's site in .cache/site/html; a warning is a failure: scripts/docs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tooling.site.build import HTML, build
from tooling.steps import LOGS, Failed, Log


def main() -> int:
    argparse.ArgumentParser(prog="scripts/docs", description=__doc__).parse_args()
    log = Log(LOGS / "docs.log")
    log.path.unlink(missing_ok=True)
    try:
        count = build(log)
    except Failed as failure:
        print(f"{log.text()}\nscripts/docs: {failure}", file=sys.stderr)
        return 1
    print(f"{count.passed} pages: {Path(HTML / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
