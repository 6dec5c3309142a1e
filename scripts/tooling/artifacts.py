# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is released, built to the same bytes wherever and whenever it is built, and the checks of what was built.

``epoch`` is the time that all of a build's files carry, in seconds since 1970: that of the commit.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
from pathlib import Path

from tooling.steps import BIN, ROOT, Failed, Log, call

ROUTER = Path("roles/router/files")
"""Where the router's package lies in the collection."""
LARGEST = 20 * 2**20
"""Bytes of a collection, by the rules of the community package and of Galaxy."""
SHIPPED = re.compile(
    r"""(meta|plugins|roles|playbooks|docs)(/.*)?
    | (MANIFEST|FILES)\.json | README\.md | LICENSE | CHANGELOG\.md | CODE_OF_CONDUCT\.md
    | changelogs | changelogs/changelog\.yaml
    | extensions | extensions/patterns(/.*)?
    | bindep\.txt | requirements\.txt""",
    re.VERBOSE,
)
"""What a built collection may hold."""
RUNNING = {"meta", "plugins", "roles", "playbooks", "MANIFEST.json", "FILES.json"}
"""Of that, what a run may need."""
_NEVER_SHIPPED = re.compile(r"(^|/)(__pycache__|\..*|tests|.*\.(pyc|log|tar\.gz|whl))(/|$)")
_MISSED = re.compile(r"^ERROR\s+Failed to find onehop\.llm\.(\w+) playbook\.$")
PICTURE = re.compile(r"docs/.*\.(png|jpg|svg)")
"""What a page may show."""
_MANIFEST, _FILES = "MANIFEST.json", "FILES.json"
_SAID = re.compile(r"^(WARNING|ERROR): (.*)$", re.MULTILINE)


def collection(log: Log, source: Path, folder: Path, epoch: int) -> Path:
    """The collection's archive, made from ``source`` into ``folder``."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    words: list[str | Path] = ["collection", "build", "--output-path", raw, source]
    call(log, [BIN / "ansible-galaxy", *words], cwd=folder)
    (made,) = raw.glob("*.tar.gz")
    built = folder / made.name
    _repack(made, built, epoch)
    made.unlink()
    raw.rmdir()
    return built


def _repack(made: Path, built: Path, epoch: int) -> None:
    """The same files in an order, with times, owners and a header of gzip that do not depend on the machine.

    ansible-galaxy lists files as the file system hands them out, so the list is sorted, and with it
    changes the checksum that the manifest has of it.
    """
    with tarfile.open(made) as archive:
        members = {member.name: member for member in archive}
        contents = {
            name: b"" if stream is None else stream.read()
            for name, stream in ((name, archive.extractfile(one)) for name, one in members.items())
        }
    listed = json.loads(contents[_FILES])
    listed["files"].sort(key=lambda entry: str(entry["name"]))
    contents[_FILES] = _json(listed)
    manifest = json.loads(contents[_MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents[_FILES]).hexdigest()
    contents[_MANIFEST] = _json(manifest)
    first = [_MANIFEST, _FILES]
    with (
        built.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name in [*first, *sorted(set(members) - set(first))]:
            info = tarfile.TarInfo(name)
            info.type, info.mode = members[name].type, members[name].mode
            info.size, info.mtime = len(contents[name]), epoch
            archive.addfile(info, io.BytesIO(contents[name]))


def _json(data: object) -> bytes:
    """As ansible-galaxy writes it."""
    return json.dumps(data, indent=True).encode()


def wheel(log: Log, source: Path, folder: Path, epoch: int) -> Path:
    """The router's wheel, made from the same ``source``."""
    env = {"SOURCE_DATE_EPOCH": str(epoch)}
    words: list[str | Path] = [
        "--wheel",
        "--no-isolation",
        "--skip-dependency-check",
        "--outdir",
        folder,
    ]
    call(log, [BIN / "python", "-m", "build", *words, source / ROUTER], cwd=folder, env=env)
    (built,) = folder.glob("*.whl")
    return built


def checksums(folder: Path, files: list[Path]) -> Path:
    """Their SHA-256 in a file that ``sha256sum --check`` reads."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    made = folder / "SHA256SUMS"
    made.write_text("".join(lines), encoding="utf-8")
    return made


def refuse_strays(log: Log, built: Path) -> None:
    """Nothing but what users need, no program that a machine alone can read, and not too much of it."""
    with tarfile.open(built) as archive:
        names = archive.getnames()
        modes = {member.mode for member in archive}
        binary = [
            member.name
            for member in archive
            if member.isfile()
            and not PICTURE.fullmatch(member.name)
            and b"\0" in archive.extractfile(member).read()  # type: ignore[union-attr]
        ]
    size = built.stat().st_size
    log.write("\n".join(names))
    log.write(f"{len(names)} files, {size} bytes, modes {sorted(modes)}")
    strays = [name for name in names if not SHIPPED.fullmatch(name) or _NEVER_SHIPPED.search(name)]
    if strays:
        raise Failed(f"not to be shipped (build_ignore of galaxy.yml): {', '.join(strays)}")
    if binary:
        raise Failed(f"binary files: {', '.join(binary)}")
    if size > LARGEST:
        raise Failed(f"{built.name} has {size} bytes, and may have {LARGEST}")


def _is_there(text: str) -> bool:
    """Whether the linter missed a playbook that we have: patterns name the collection's own, and it looks elsewhere."""
    missed = _MISSED.search(text)
    return missed is not None and (ROOT / "playbooks" / f"{missed[1]}.yml").is_file()


def import_to_galaxy(log: Log, built: Path, scratch: Path, *, lint: bool) -> None:
    """Galaxy's own check takes the archive, without a warning; with ``lint`` as it is run there."""
    scratch.mkdir(parents=True, exist_ok=True)
    config = scratch / "galaxy-importer.cfg"
    config.write_text(f"[galaxy-importer]\nrun_ansible_lint = {str(lint).lower()}\n")
    env = {
        "GALAXY_IMPORTER_CONFIG": str(config),
        "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(scratch / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(scratch / "none"),
    }
    dummy, output = call(
        log, [BIN / "python", "-m", "galaxy_importer.main", built], cwd=scratch, env=env
    )
    said = [(level, text) for level, text in _SAID.findall(output) if not _is_there(text)]
    if said:
        raise Failed("galaxy-importer: " + "; ".join(f"{level}: {text}" for level, text in said))


def install_collection(log: Log, built: Path, scratch: Path) -> int:
    """Installs the archive and reads every playbook of it from there; how many there are.

    What is not needed to run, by the rules of the community package, is taken away before.
    """
    env = {"ANSIBLE_COLLECTIONS_PATH": str(scratch / "installed")}

    def ansible(program: str, *words: str | Path) -> None:
        call(log, [BIN / program, *words], env=env, cwd=scratch)

    scratch.mkdir(parents=True, exist_ok=True)
    ansible("ansible-galaxy", "collection", "install", "--offline", "--no-deps", built)
    ansible("ansible-galaxy", "collection", "verify", "--offline", "onehop.llm")
    home = scratch / "installed" / "ansible_collections" / "onehop" / "llm"
    for path in home.iterdir():
        if path.name not in RUNNING:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    playbooks = sorted((home / "playbooks").glob("*.yml"))
    if not playbooks:
        raise Failed("the collection has no playbook")
    for playbook in playbooks:
        name = f"onehop.llm.{playbook.stem}"
        ansible("ansible-playbook", "--syntax-check", "-i", "localhost,", name)
    return len(playbooks)


def install_wheel(log: Log, built: Path, scratch: Path) -> str:
    """Installs the wheel beside the packages of this checkout's environment, and asks it for its version."""
    target = scratch / "wheel"
    scratch.mkdir(parents=True, exist_ok=True)
    words: list[str | Path] = ["--no-index", "--no-deps", "--no-compile", "--target", target, built]
    call(log, [BIN / "python", "-m", "pip", "install", "--quiet", *words], cwd=scratch)
    dummy, said = call(
        log,
        [BIN / "python", "-m", "onehop_router", "--version"],
        cwd=scratch,
        env={"PYTHONPATH": str(target)},
    )
    found = re.search(r"^onehop-router (\S+)$", said, re.MULTILINE)
    if not found:
        raise Failed(f"{built.name}: what it holds does not tell its version")
    return found[1]
