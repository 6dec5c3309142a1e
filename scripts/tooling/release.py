# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is released of this commit: scripts/release. The next version: scripts/release --version X.Y.Z.

Without words it builds the collection and the router's wheel from the last commit into dist/, and checks both.
With --version it prepares the next version, in a copy unless --write is said: galaxy.yml, the router's package, and
the changelog, which takes up the fragments.
"""

from __future__ import annotations

import argparse
import datetime
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from tooling import artifacts
from tooling.steps import (
    BIN,
    CACHE,
    LOGS,
    ROOT,
    Count,
    Failed,
    Log,
    Step,
    call,
    run_steps,
    stop_on_signals,
    table,
)
from tooling.tree import copy_project

DIST = ROOT / "dist"
COPY = CACHE / "release" / "ansible_collections" / "onehop" / "llm"
"""Where the next version is prepared for a look."""
ROUTER_VERSION = artifacts.ROUTER / "onehop_router" / "__init__.py"
_NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_IN_GALAXY = re.compile(r"^version: .*$", re.MULTILINE)
_IN_ROUTER = re.compile(r'^__version__ = ".*"$', re.MULTILINE)
_CHANGED = ("galaxy.yml", str(ROUTER_VERSION), "CHANGELOG.md", "changelogs")


def version_of(home: Path = ROOT) -> str:
    """The version that galaxy.yml names, which is where it is written."""
    return str(yaml.safe_load((home / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def released(home: Path = ROOT) -> list[str]:
    """The versions that the changelog has, oldest first."""
    changelog = home / "changelogs" / "changelog.yaml"
    if not changelog.exists():
        return []
    known = yaml.safe_load(changelog.read_text(encoding="utf-8"))["releases"]
    return sorted((str(one) for one in known), key=_numbers)


def _numbers(version: str) -> tuple[int, int, int]:
    found = _NUMBERS.fullmatch(version)
    if not found:
        raise Failed(f"{version} is no version: write three numbers, such as 1.2.3")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def next_versions(current: str, known: Iterable[str]) -> list[str]:
    """What may come behind the last release; before the first one, what is written already, or 1.0.0."""
    releases = sorted(known, key=_numbers)
    if not releases:
        return list(dict.fromkeys([current, "1.0.0"]))
    major, minor, patch = _numbers(releases[-1])
    return [
        f"{major}.{minor}.{patch + 1}",
        f"{major}.{minor + 1}.0",
        f"{major + 1}.0.0",
    ]


def git(*words: str, home: Path = ROOT) -> str:
    done = subprocess.run(["git", *words], cwd=home, check=False, capture_output=True)
    if done.returncode:
        raise Failed(f"git {words[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace").strip()


def refuse_dirty(home: Path = ROOT) -> None:
    """A release is made of a commit, so all that is meant has to be in it."""
    changed = git("status", "--porcelain", home=home).splitlines()
    if changed:
        named = ", ".join(line.split()[-1] for line in changed[:5])
        raise Failed(f"not committed: {named}{' ...' if len(changed) > 5 else ''}")


def refuse_other_tag(version: str, home: Path = ROOT) -> None:
    """A tag of the commit is the version of what is built from it."""
    tags = git("tag", "--points-at", "HEAD", home=home).split()
    if tags and version not in tags:
        raise Failed(f"the commit is tagged {', '.join(tags)}, and galaxy.yml says {version}")


def export(to: Path, home: Path = ROOT) -> int:
    """The last commit's files below ``to``, and its time."""
    packed = subprocess.run(
        ["git", "archive", "HEAD"], cwd=home, check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(to, filter="data")
    return int(git("log", "-1", "--format=%ct", home=home))


def prepare(log: Log, version: str, home: Path, date: str) -> None:
    """Write the version and the changelog of a copy of the project, which is its own."""
    allowed = next_versions(version_of(home), released(home))
    _numbers(version)
    if version not in allowed:
        raise Failed(f"{version} does not come next: write one of {', '.join(allowed)}")
    for path, pattern, line in (
        (home / "galaxy.yml", _IN_GALAXY, f"version: {version}"),
        (home / ROUTER_VERSION, _IN_ROUTER, f'__version__ = "{version}"'),
    ):
        text, count = pattern.subn(line, path.read_text(encoding="utf-8"))
        if count != 1:
            raise Failed(f"{path} names its version {count} times")
        path.write_text(text, encoding="utf-8")
    words = ["release", "--version", version, "--date", date]
    call(log, [BIN / "antsibull-changelog", *words], cwd=home)
    call(log, [BIN / "antsibull-changelog", "lint"], cwd=home)


def prepare_next(version: str, date: str, *, write: bool) -> str:
    """Prepare a version in a copy, and with ``write`` bring that back; what is to be done next."""
    log = Log(LOGS / "release-prepare.log")
    log.path.parent.mkdir(parents=True, exist_ok=True)
    log.path.unlink(missing_ok=True)
    refuse_dirty()
    shutil.rmtree(COPY, ignore_errors=True)
    prepare(log, version, copy_project(log, COPY), date)
    if not write:
        return (
            f"prepared in {COPY.relative_to(ROOT)}: git diff shows it there. --write brings it here"
        )
    for name in _CHANGED:
        source, target = COPY / name, ROOT / name
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    return f"written. Look at git diff, then: git commit -am 'Release {version}' && git tag {version} && make release"


def steps(scratch: Path) -> list[Step]:
    """Of a release, each of what the one before it made."""
    source, made = scratch / "source", scratch / "made"
    files: list[Path] = []

    def commit(dummy: Log) -> None:
        refuse_dirty()
        refuse_other_tag(version_of())

    def build(log: Log) -> Count:
        epoch = export(source)
        made.mkdir()
        files.append(artifacts.collection(log, source, made, epoch))
        files.append(artifacts.wheel(log, source, made, epoch))
        artifacts.refuse_strays(log, files[0])
        return Count(passed=3)

    def again(log: Log) -> None:
        other = scratch / "again"
        epoch = export(other / "source")
        artifacts.collection(log, other / "source", other, epoch)
        artifacts.wheel(log, other / "source", other, epoch)
        for file in _built(files):
            if file.read_bytes() != (other / file.name).read_bytes():
                raise Failed(f"{file.name}: a second build has other bytes")

    def galaxy(log: Log) -> None:
        artifacts.import_to_galaxy(log, _built(files)[0], scratch / "import", lint=True)

    def install(log: Log) -> Count:
        archive, wheel = _built(files)
        playbooks = artifacts.install_collection(log, archive, scratch / "install")
        version = artifacts.install_wheel(log, wheel, scratch / "install")
        if version != version_of():
            raise Failed(f"{wheel.name} says {version}, and galaxy.yml {version_of()}")
        return Count(passed=playbooks + 2)

    return [
        Step("commit", "all is committed, and a tag names the version", commit),
        Step("build", "the collection and the router's wheel", build),
        Step("again", "a second build has the same bytes", again),
        Step("galaxy", "Galaxy takes the collection, without a warning", galaxy),
        Step("install", "both install, and run from there", install),
    ]


def _built(files: list[Path]) -> list[Path]:
    if len(files) != 2:
        raise Failed("nothing was built")
    return files


def build_all() -> int:
    """Run all steps, and put what they made into dist/."""
    with tempfile.TemporaryDirectory(prefix="onehop-release-") as name:
        scratch = Path(name)
        ended = run_steps(steps(scratch), "release")
        print("\n" + table(ended, "step"))
        if any(end.result != "ok" for end in ended):
            return 1
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(scratch / "made", DIST)
    files = sorted(DIST.iterdir())
    artifacts.checksums(DIST, files)
    print(f"\n{(DIST / 'SHA256SUMS').read_text()}in {DIST.relative_to(ROOT)}/")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--version", metavar="X.Y.Z", help="prepare this version, and build nothing"
    )
    parser.add_argument("--write", action="store_true", help="in the checkout, not in a copy")
    parser.add_argument("--date", help="of the version, as 2026-11-30; today unless given")
    chosen = parser.parse_args()
    stop_on_signals()
    try:
        if chosen.version:
            date = chosen.date or datetime.datetime.now(datetime.UTC).date().isoformat()
            print(prepare_next(chosen.version, date, write=chosen.write))
            return 0
        return build_all()
    except Failed as failure:
        print(f"scripts/release: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
