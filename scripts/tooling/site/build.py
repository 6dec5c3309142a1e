# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the site's sources together, has Sphinx build it, and looks at what came out."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tooling.site import source
from tooling.steps import BIN, CACHE, COLLECTIONS, ROOT, Count, Failed, Log, call

SITE = CACHE / "site"
HTML = SITE / "html"
_SOURCE = SITE / "source"
_CODE = Path(__file__).parent
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?P<source>(?:https?:)?//[^"']+)
    | <link\b(?=[^>]*rel=["'](?:stylesheet|icon|preload|preconnect|dns-prefetch)["'])[^>]*
      \bhref=["'](?P<link>(?:https?:)?//[^"']+)
    | (?:@import\s+(?:url\()?|url\()\s*["']?(?P<style>(?:https?:)?//[^"')]+)""",
    re.VERBOSE,
)
"""What a browser fetches by itself from elsewhere."""


def build(log: Log) -> Count:
    """The number of pages. Raises Failed on a warning, a link that leads nowhere, or an asset of another host."""
    _write_sources()
    env = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "PYTHONPATH": str(ROOT / "scripts")}
    collection = SITE / "collection"
    shutil.rmtree(collection, ignore_errors=True)
    collection.mkdir(parents=True)
    words: list[str | Path] = [BIN / "antsibull-docs", "collection", "--use-current"]
    words += ["--squash-hierarchy", "--fail-on-error", "--dest-dir", collection, "onehop.llm"]
    call(log, words, env=env)
    for page in collection.glob("*.rst"):
        if page.stem != "environment_variables":
            text = source.of_collection(page.read_text(encoding="utf-8"))
            _keep(_SOURCE / "collection" / page.name, text.encode())
    words = [BIN / "sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "-c", _CODE]
    call(log, [*words, "-d", SITE / "trees", _SOURCE, HTML], env=env)
    strays = foreign(HTML)
    if strays:
        raise Failed("loaded from other hosts: " + ", ".join(strays))
    return Count(passed=len(list(HTML.rglob("*.html"))))


def _write_sources() -> None:
    """Only what has changed is written, since Sphinx goes by time; what is no page any more goes."""
    wanted = {_SOURCE / site: text.encode() for site, text in source.pages().items()}
    wanted |= {_SOURCE / site: path.read_bytes() for path, site in source.pictures().items()}
    for path in _SOURCE.rglob("*") if _SOURCE.exists() else ():
        if path.is_file() and path not in wanted and path.parent != _SOURCE / "collection":
            path.unlink()
            for made in (HTML / path.relative_to(_SOURCE).with_suffix(".html"),):
                made.unlink(missing_ok=True)
    for path, content in wanted.items():
        _keep(path, content)


def _keep(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def foreign(folder: Path) -> list[str]:
    """What pages and styles would load from other hosts, each with its file."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".js") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for match in _LOADED.finditer(text):
                address = match["source"] or match["link"] or match["style"]
                found.append(f"{os.path.relpath(path, folder)}: {address}")
    return found
