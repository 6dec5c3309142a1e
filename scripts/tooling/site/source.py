# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sphinx reads: our Markdown under the paths of the site, its links led there, and the navigation.

Every page finds its section by itself: SECTIONS names those that stand elsewhere than among the how-tos.
"""

from __future__ import annotations

import functools
import html
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import yaml

from tooling.steps import ROOT, Failed

SECTIONS = {
    "Start": ("tutorial",),
    "How-to": ("gpu-box", "several-hosts", "air-gapped", "*"),
    "Clients": ("clients", "clients/*"),
    "Moving here": ("moving/*",),
    "Reference": ("roles/*", "collection/index", "router", "preflight", "flags", "flags/README"),
    "Explanation": ("security", "internals", "budget", "containers", "edges", "comparison"),
    "Runbooks": ("diagnoses", "runbook*"),
}
"""By caption, patterns of pages in their order. What no other section names is a how-to."""
FRONT = "index"
REPOSITORY = str(yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"])
_OVERVIEW = "Modules, filters and roles"
LINK = re.compile(r"\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_OURS = re.compile(re.escape(REPOSITORY) + r"/(?:blob|tree)/main/")
_CODE = re.compile(r"`([^`]*)`")
_CELLS = re.compile(r"(?<!\\)\|")


def pages() -> dict[str, str]:
    """The text of each file that Sphinx reads, by its path on the site. Raises Failed with the links that lead nowhere."""
    found, problems = {}, []
    for path, site in files().items():
        try:
            found[site] = translated(path)
        except Failed as failure:
            problems.append(str(failure))
    if problems:
        raise Failed("; ".join(problems))
    names = [posixpath.splitext(site)[0] for site in found] + ["collection/index"]
    shown = [name for name in names if not _is_version(name) and name != FRONT]
    found[f"{FRONT}.md"] += "".join(toctree(caption, rows) for caption, rows in sections(shown))
    return found


@functools.cache
def files() -> dict[Path, str]:
    """Each page's path in the checkout, and where it is on the site."""
    docs = ROOT / "docs"
    found = {path: path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))}
    for path in sorted((ROOT / "roles").glob("*/README.md")):
        found[path] = f"roles/{path.parent.name}.md"
    return found | {ROOT / "CONTRIBUTING.md": "contributing.md"}


@functools.cache
def pictures() -> dict[Path, str]:
    docs = ROOT / "docs"
    found = [path for path in docs.rglob("*") if path.suffix in (".svg", ".png")]
    return {path: path.relative_to(docs).as_posix() for path in found}


def of_collection(text: str) -> str:
    """A page that antsibull-docs wrote, without the list of its parts that the theme shows itself, and with short names in
    the list of pages.
    """
    text = re.sub(r"^\.\. contents::\n(?: +:.*\n)+\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^( {4})(\w+)_module$", r"\1\2 <\2_module>", text, flags=re.MULTILINE)
    text = re.sub(r"^( {4})(\w+)_(role|filter)$", r"\1\2, \3 <\2_\3>", text, flags=re.MULTILINE)
    return re.sub(
        r"^Onehop\.Llm\n=+$", _OVERVIEW + "\n" + "=" * len(_OVERVIEW), text, flags=re.MULTILINE
    )


def sections(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The pages of each section. A page stands where a pattern other than ``*`` takes it."""
    taken = {
        name
        for patterns in SECTIONS.values()
        for pattern in patterns
        for name in names
        if pattern != "*" and fnmatch(name, pattern)
    }
    for caption, patterns in SECTIONS.items():
        rows: list[str] = []
        for pattern in patterns:
            left = set(names) - taken if pattern == "*" else set(names)
            rows += sorted(name for name in left if fnmatch(name, pattern) and name not in rows)
        yield caption, rows


def toctree(caption: str, rows: list[str]) -> str:
    lines = ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *rows, "```", ""]
    return "\n".join(lines)


def translated(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    here = path.relative_to(ROOT).as_posix()
    parts = re.split(r"(?ms)(^ *```.*?^ *```$)", text)
    text = "".join(
        part
        if part.lstrip(" ").startswith("```")
        else LINK.sub(lambda found: led(here, found), part)
        for part in parts
    )
    if _is_version(posixpath.splitext(files_on_site(here) or "")[0]):
        return "---\norphan: true\nhide-toc: true\n---\n" + tables_as_html(text)
    return text


def _is_version(name: str) -> bool:
    """The flags of one version: 75 pages that their overview leads to, and no list of pages."""
    return name.startswith("flags/") and name != "flags/README"


def files_on_site(path: str) -> str | None:
    """Where a file of the checkout is on the site, if it is there."""
    return files().get(ROOT / path) or pictures().get(ROOT / path)


def led(here: str, found: re.Match[str]) -> str:
    """A link of ``here``, which counts from the checkout, as one of the site; to the repository where the site has no such
    page. Raises Failed where there is no such file.
    """
    target, anchor = found["target"], found["anchor"] or ""
    ours = _OURS.match(target)
    if ours:
        path = target[ours.end() :]
    elif re.match(r"[a-z]+:", target):
        return found[0]
    else:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    if not (ROOT / path).exists():
        raise Failed(f"{here}: {target} leads to nothing")
    page = files_on_site("docs/index.md" if path == "README.md" else path)
    if page is None:
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{path}{anchor})"
    start = posixpath.dirname(files_on_site(here) or "") or "."
    return f"]({PurePosixPath(posixpath.relpath(page, start))}{anchor})"


def tables_as_html(text: str) -> str:
    """A page whose tables are HTML already: Sphinx would take a second for each of them."""
    made: list[str] = []
    for is_table, lines in _runs(text.split("\n")):
        made += ["```{raw} html", *_table(lines), "```"] if is_table else lines
    return "\n".join(made)


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    run: list[str] = []
    for line in lines:
        if run and run[-1].startswith("|") != line.startswith("|"):
            yield run[-1].startswith("|"), run
            run = []
        run.append(line)
    yield bool(run) and run[-1].startswith("|"), run


def _table(lines: list[str]) -> Iterator[str]:
    """Each row can be linked to by the first word in it."""
    yield '<div class="table-wrapper docutils container"><table class="docutils align-default flags">'
    head, dummy, *rows = ([cell.strip() for cell in _CELLS.split(line)[1:-1]] for line in lines)
    yield (
        "<thead><tr>" + "".join(f"<th>{_html(cell)}</th>" for cell in head) + "</tr></thead><tbody>"
    )
    for row in rows:
        name = html.escape(row[0].strip("`").lstrip("-"), quote=True)
        yield f'<tr id="{name}">' + "".join(f"<td>{_html(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def _html(cell: str) -> str:
    text = html.escape(cell.replace("\\|", "|"))
    return _CODE.sub(r'<code class="docutils literal notranslate">\1</code>', text)
