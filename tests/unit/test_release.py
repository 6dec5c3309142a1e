# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is released: the same bytes from anywhere, and a version that comes next."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from tooling import artifacts, release
from tooling.steps import ROOT, Failed, Log
from tooling.tree import project_files

EPOCH = 1_700_000_001
BUILD = """\
import sys
from pathlib import Path
from tooling import artifacts
from tooling.steps import Log
source, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir()
log = Log(out.parent / "build.log")
artifacts.collection(log, source, out, {epoch})
artifacts.wheel(log, source, out, {epoch})
"""


def copy(to: Path, *, backwards: bool, modes: int, time: int) -> Path:
    """The project in another directory, whose files came in another order and at another time."""
    for path in sorted(project_files(), reverse=backwards):
        if not (ROOT / path).is_file() or path.parts[0] in ("tests", "molecule"):
            continue
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, to / path)
        os.chmod(to / path, (ROOT / path).stat().st_mode & modes)
        os.utime(to / path, (time, time))
    return to


def build(source: Path, out: Path, umask: int, zone: str) -> dict[str, bytes]:
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(epoch=EPOCH), str(source), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "TZ": zone},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr + (out.parent / "build.log").read_text()
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built twice, under circumstances that have nothing in common."""
    home = tmp_path_factory.mktemp("release")
    one = copy(home / "a" / "source", backwards=False, modes=0o777, time=1_600_000_000)
    other = copy(home / "b" / "x" / "elsewhere", backwards=True, modes=0o700, time=1_000_000_000)
    first = build(one, home / "a" / "out", 0o022, "UTC")
    second = build(other, home / "b" / "out", 0o077, "Pacific/Kiritimati")
    assert sorted(first) == sorted(second)
    for name, content in first.items():
        assert content == second[name], name
    return home / "a" / "out"


def test_two_builds_have_the_same_bytes(built: Path) -> None:
    version = release.version_of()
    assert {path.name for path in built.iterdir()} == {
        f"onehop-llm-{version}.tar.gz",
        f"onehop_router-{version}-py3-none-any.whl",
    }


def test_the_collections_checksums_hold_after_it_was_packed_anew(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        contents = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
        folders = {member.name for member in archive if member.isdir()}
        assert {member.mtime for member in archive} == {EPOCH}
        assert {(member.uid, member.gid, member.uname) for member in archive} == {(0, 0, "")}
        assert {member.mode for member in archive} <= {0o644, 0o755}
    manifest = json.loads(contents["MANIFEST.json"])["file_manifest_file"]
    assert manifest["chksum_sha256"] == hashlib.sha256(contents["FILES.json"]).hexdigest()
    files = json.loads(contents["FILES.json"])["files"]
    names = [entry["name"] for entry in files]
    assert names == sorted(names)
    assert {*names, "MANIFEST.json", "FILES.json"} == {*contents, *folders, "."}
    for entry in files:
        if entry["ftype"] == "file":
            assert entry["chksum_sha256"] == hashlib.sha256(contents[entry["name"]]).hexdigest()


def test_the_wheel_holds_the_router_and_runs(built: Path, tmp_path: Path) -> None:
    (path,) = built.glob("*.whl")
    names = zipfile.ZipFile(path).namelist()
    package = ROOT / artifacts.ROUTER / "onehop_router"
    wanted = {f"onehop_router/{file.name}" for file in package.glob("*.py")}
    assert wanted <= set(names)
    assert not [name for name in names if "__pycache__" in name or "test" in name]
    log = Log(tmp_path / "log")
    assert artifacts.install_wheel(log, path, tmp_path / "install") == release.version_of()


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x")
    artifacts.checksums(tmp_path, [tmp_path / "a b"])
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("current", "known", "allowed"),
    [
        ("0.1.0", [], ["0.1.0", "1.0.0"]),
        ("0.1.0", ["0.1.0"], ["0.1.1", "0.2.0", "1.0.0"]),
        ("1.9.9", ["1.10.0", "1.9.9"], ["1.10.1", "1.11.0", "2.0.0"]),
    ],
)
def test_what_comes_next(current: str, known: list[str], allowed: list[str]) -> None:
    assert release.next_versions(current, known) == allowed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that is a repository of its own."""
    home = copy(tmp_path / "project", backwards=False, modes=0o777, time=1_600_000_000)
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet", "-m", "m"],
    ):
        subprocess.run(["git", *words], cwd=home, check=True)
    return home


def test_what_is_not_committed_is_refused(project: Path) -> None:
    release.refuse_dirty(project)
    (project / "new.txt").write_text("x")
    with pytest.raises(Failed, match=r"not committed: new\.txt"):
        release.refuse_dirty(project)


def test_a_tag_is_the_version(project: Path) -> None:
    release.refuse_other_tag("0.1.0", project)
    subprocess.run(["git", "tag", "0.2.0"], cwd=project, check=True)
    release.refuse_other_tag("0.2.0", project)
    with pytest.raises(Failed, match=r"tagged 0\.2\.0, and galaxy\.yml says 0\.1\.0"):
        release.refuse_other_tag("0.1.0", project)


def test_an_export_is_the_commit_alone(project: Path, tmp_path: Path) -> None:
    (project / "new.txt").write_text("x")
    (project / "README.md").write_text("x")
    assert release.export(tmp_path / "out", project) > EPOCH
    assert not (tmp_path / "out" / "new.txt").exists()
    assert (tmp_path / "out" / "README.md").read_text() != "x"


def test_a_version_is_prepared_and_the_changelog_takes_up_the_fragments(
    project: Path, tmp_path: Path
) -> None:
    log = Log(tmp_path / "log")
    known = release.released(project)
    version = release.next_versions(release.version_of(project), known)[-1]
    for wrong, said in (("9.9.9", "does not come next"), ("1.0", "is no version")):
        with pytest.raises(Failed, match=said):
            release.prepare(log, wrong, project, "2026-11-30")
    release.prepare(log, version, project, "2026-11-30")
    assert release.version_of(project) == version
    assert f'__version__ = "{version}"' in (project / release.ROUTER_VERSION).read_text()
    assert release.released(project) == [*known, version]
    assert not list((project / "changelogs" / "fragments").glob("*.yml"))
    changes = yaml.safe_load((project / "changelogs" / "changelog.yaml").read_text())
    assert changes["releases"][version]["release_date"] == "2026-11-30"
    assert changes["releases"][version]["changes"]
    text = (project / "CHANGELOG.md").read_text()
    assert f"## v{version}".replace(".", "\\.") in text and len(text.splitlines()) > 30
    with pytest.raises(Failed, match="does not come next"):
        release.prepare(log, version, project, "2026-11-30")


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("ERROR    Failed to find onehop.llm.smoke playbook.", True),
        ("ERROR    Failed to find onehop.llm.no_such playbook.", False),
        ("ERROR    Failed to find other.llm.smoke playbook.", False),
        ("ERROR    Failed to find onehop.llm.smoke playbook. And more", False),
        ("playbooks/smoke.yml:1: yaml[line-length]: Line too long", False),
    ],
)
def test_of_galaxys_warnings_only_that_of_a_playbook_which_is_there_passes(
    said: str, passes: bool
) -> None:
    assert artifacts._is_there(said) is passes
