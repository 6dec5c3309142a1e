# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that fetches weights, with the real huggingface_hub, from a stand-in for the hub."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from standin_hub import Hub, blob

from ansible_collections.onehop.llm.plugins.module_utils import _hub_cache

PROGRAM = "ansible_collections.onehop.llm.plugins.module_utils._hub_fetch"
COLLECTIONS = Path(__file__).parents[2] / ".cache" / "collections"
INDEX = {
    "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
}
MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}" * 700,
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-00001-of-00002.safetensors": bytes(range(256)) * 4096,
    "model-00002-of-00002.safetensors": bytes(reversed(range(256))) * 2048,
    "pytorch_model.bin": b"the same again",
    "original/consolidated.pth": b"and again",
    "README.md": b"",
}
TAKEN = sorted(set(MODEL) - {"pytorch_model.bin", "original/consolidated.pth"})
LARGE = "model-00001-of-00002.safetensors"


@pytest.fixture
def hub() -> Hub:
    made = Hub()
    made.add("a/b", MODEL)
    return made


@pytest.fixture
def address(hub: Hub) -> Iterator[str]:
    with hub.serve() as found:
        yield found


def item(
    repo: str = "a/b", revision: str = "main", kind: str = "model", **more: Any
) -> dict[str, Any]:
    return {
        "key": f"{repo}@{revision}:{kind}",
        "repo": repo,
        "revision": revision,
        "kind": kind,
        "choose": [],
        "optional": False,
    } | more


class Cache:
    """A cache on the disk, which the program fills."""

    def __init__(self, tmp_path: Path, address: str) -> None:
        self.home = tmp_path
        self.path = tmp_path / "hub"
        self.address = address

    def run(
        self, *items: dict[str, Any], verb: str = "fetch", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        request = self.home / "request.json"
        given = {"hub": str(self.path), "endpoint": self.address, "items": items}
        request.write_text(json.dumps(given), encoding="utf-8")
        variables = {
            "HOME": str(self.home),
            "PYTHONPATH": str(COLLECTIONS),
            "ONEHOP_HUB_PAUSE": "0.01",
        }
        variables |= more.pop("variables", {})
        return subprocess.run(
            [sys.executable, "-m", PROGRAM, verb, str(request)],
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **more,
        )

    def fetch(self, *items: dict[str, Any], **more: Any) -> None:
        said = self.run(*items, **more)
        assert (said.returncode, said.stdout) == (0, ""), said.stderr

    def fails(self, *items: dict[str, Any], **more: Any) -> str:
        said = self.run(*items, **more)
        assert said.returncode == 1, said.stderr
        return said.stderr.strip().splitlines()[-1]

    def look(self, wanted: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = _hub_cache.look(str(self.path), wanted)
        return found


@pytest.fixture
def cache(tmp_path: Path, address: str) -> Cache:
    return Cache(tmp_path, address)


def test_a_model_is_fetched_whole_and_as_the_hub_lays_it_out(cache: Cache, hub: Hub) -> None:
    assert cache.look(item())["lacks"] == "it is not in the cache"
    cache.fetch(item())
    found = cache.look(item())
    commit = hub.repos["a/b"].refs["main"]
    assert found == {
        "commit": commit,
        "snapshot": f"models--a--b/snapshots/{commit}",
        "file": None,
        "lacks": "",
    }
    assert sorted(_hub_cache.files(str(cache.path / found["snapshot"]))) == TAKEN
    # The library itself takes it for a cache of its own, and finds it without the hub.
    path = huggingface_hub.snapshot_download("a/b", cache_dir=cache.path, local_files_only=True)
    assert Path(path) == cache.path / found["snapshot"]
    scanned = huggingface_hub.scan_cache_dir(cache.path)
    assert [repo.repo_id for repo in scanned.repos] == ["a/b"] and scanned.warnings == []
    for name in TAKEN:
        assert (Path(path) / name).read_bytes() == MODEL[name]
        assert os.readlink(Path(path) / name) == f"../../blobs/{blob(MODEL[name])}"
    asked = len(hub.asked)
    cache.fetch(item())
    assert [path for dummy, path, dummy_span in hub.asked[asked:]] == [
        f"/api/models/a/b/revision/{commit}"
    ]


def test_a_branch_stays_what_it_was_when_it_was_fetched(cache: Cache, hub: Hub) -> None:
    cache.fetch(item())
    commit = hub.repos["a/b"].refs["main"]
    hub.add("a/b", MODEL | {"config.json": b"{}"})
    cache.fetch(item())
    assert cache.look(item())["commit"] == commit
    newest = hub.repos["a/b"].refs["main"]
    cache.fetch(item(revision=newest))
    assert cache.look(item(revision=newest))["lacks"] == ""


def test_a_cut_connection_goes_on_where_it_was(cache: Cache, hub: Hub) -> None:
    hub.cuts[LARGE] = [300_000]
    cache.fetch(item())
    assert cache.look(item())["lacks"] == ""
    assert hub.gets(LARGE) == [None, f"bytes={1 << 18}-"]


def test_what_another_run_left_is_gone_on_with(cache: Cache, hub: Hub) -> None:
    blobs = cache.path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{blob(MODEL[LARGE])}.incomplete").write_bytes(MODEL[LARGE][:700_000])
    cache.fetch(item())
    assert hub.gets(LARGE) == ["bytes=700000-"]
    assert not list(blobs.glob("*.incomplete"))


def test_a_damaged_part_is_fetched_anew(cache: Cache, hub: Hub) -> None:
    blobs = cache.path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{blob(MODEL[LARGE])}.incomplete").write_bytes(b"x" * 1000)
    cache.fetch(item())
    assert hub.gets(LARGE) == ["bytes=1000-", None]
    assert (blobs / blob(MODEL[LARGE])).read_bytes() == MODEL[LARGE]


def test_a_wrong_hash_is_not_taken(cache: Cache, hub: Hub) -> None:
    hub.wrong[LARGE] = 1
    cache.fetch(item())
    assert cache.look(item())["lacks"] == ""


@pytest.mark.parametrize("name", [LARGE, "config.json"])
def test_a_hash_that_stays_wrong_is_an_error(cache: Cache, hub: Hub, name: str) -> None:
    hub.wrong[name] = 9
    assert f"a/b: {name} has another hash than the hub says" in cache.fails(item())
    assert cache.look(item())["lacks"] == "it is not in the cache"


def test_too_many_questions(cache: Cache, hub: Hub) -> None:
    hub.refusals = {"/api": [(429, {"Retry-After": "0"})], "/a/b": [(429, {"Retry-After": "0"})]}
    cache.fetch(item())
    hub.refusals = {"/api": [(429, {"Retry-After": "0"})] * 9}
    assert "wants fewer questions (429)" in cache.fails(item("a/b", "v2"))


def test_a_hub_that_stumbles(cache: Cache, hub: Hub) -> None:
    hub.refusals = {"/api": [(503, {})], "/a/b": [(502, {})]}
    cache.fetch(item())


def test_a_gated_repository(cache: Cache, hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    hub.repos["a/b"].gated = True
    said = cache.fails(item())
    assert said.startswith("a/b: is gated.") and "hub_token" in said
    (tmp_path / "token").write_text("hf_secret\n", encoding="utf-8")
    cache.fetch(item(), variables={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    (tmp_path / "token").write_text("hf_other\n", encoding="utf-8")
    other = cache.fails(item("a/b", "v2"), variables={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "hf_other" not in other


def test_what_is_not_on_the_hub(cache: Cache, hub: Hub) -> None:
    assert cache.fails(item("a/none")).startswith("a/none: the hub has no such repository")
    assert cache.fails(item(revision="v9")) == "a/b: has no revision v9."
    hub.token = "hf_secret"
    assert "or it is private" in cache.fails(item())


def test_a_hub_out_of_reach(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        cache = Cache(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}")
        said = cache.fails(item())
    assert "cannot reach the hub" in said and "hub_endpoint" in said


def test_a_full_disk(cache: Cache) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    assert "the disk is full" in cache.fails(item(), preexec_fn=limited)
    assert cache.look(item())["lacks"] == "it is not in the cache"
    # What fitted stays for the next run.
    cache.fetch(item())


def test_a_disk_that_is_too_small(cache: Cache, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.onehop.llm.plugins.module_utils import _hub_fetch

    repository = _hub_fetch.Repository({"hub": str(cache.path)}, None, item())
    repository.files = [_hub_fetch.File("x", 10**18, None, "0" * 40)]
    with pytest.raises(_hub_fetch.FetchFailed, match=r"1000000000\.0 GB are to be fetched"):
        _hub_fetch._room(str(cache.path), [repository])


def test_the_small_files_alone(cache: Cache) -> None:
    cache.fetch(item(kind="config"))
    found = cache.look(item(kind="config"))
    assert found["lacks"] == ""
    assert cache.look(item())["lacks"] == LARGE
    cache.fetch(item())
    assert cache.look(item())["lacks"] == ""


def gguf(*patterns: str, **more: Any) -> dict[str, Any]:
    return item("a/g", kind="gguf", choose=list(patterns), **more)


def test_one_file_of_a_repository(cache: Cache, hub: Hub) -> None:
    files = {
        "README.md": b"x",
        "big-Q8_0-00001-of-00002.gguf": b"1" * 2000,
        "big-Q8_0-00002-of-00002.gguf": b"2" * 2000,
        "big-q4_k_m.gguf": b"4" * 2000,
        "mmproj-big-f16.gguf": b"m" * 2000,
    }
    hub.add("a/g", files)
    eight, default = gguf("*Q8_0[.-]*"), gguf("*Q4_K_M[.-]*", "*.gguf")
    projector = gguf("*mmproj*.gguf", optional=True)
    cache.fetch(eight)
    assert cache.look(eight)["file"] == "big-Q8_0-00001-of-00002.gguf"
    assert not hub.gets("README.md") and not hub.gets("q4_k_m.gguf")
    assert cache.look(gguf("*Q4_K_M[.-]*"))["lacks"] == "no file fits"
    assert cache.look(projector) | {"commit": "", "snapshot": ""} == {
        "commit": "",
        "snapshot": "",
        "file": None,
        "lacks": "",
    }
    cache.fetch(default, projector)
    assert cache.look(default)["file"] == "big-q4_k_m.gguf"
    assert cache.look(projector)["file"] == "mmproj-big-f16.gguf"
    assert "no file that fits *IQ1[.-]*" in cache.fails(gguf("*IQ1[.-]*"))
    place = cache.path / str(cache.look(eight)["snapshot"])
    (place / "big-Q8_0-00002-of-00002.gguf").unlink()
    assert cache.look(eight)["lacks"] == "no file fits"


def test_an_adapter(cache: Cache, hub: Hub) -> None:
    hub.add("a/l", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x" * 2000})
    adapter = item("a/l", kind="adapter")
    cache.fetch(adapter)
    assert cache.look(adapter)["lacks"] == ""


def write(place: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def test_a_directory_of_the_host(cache: Cache, hub: Hub, tmp_path: Path) -> None:
    source = write(tmp_path / "model", MODEL)
    cache.fetch(item(source=str(source)))
    assert cache.look(item())["lacks"] == "" and hub.asked == []
    commit = cache.look(item())["commit"]
    cache.fetch(item(revision="v2", source=str(source)))
    assert cache.look(item(revision="v2"))["commit"] == commit


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_of_the_host(cache: Cache, tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "model.tar"
    with tarfile.open(path, mode) as archive:
        archive.add(write(tmp_path / "model", MODEL), "some/where/model")
    cache.fetch(item(source=str(path)))
    found = cache.look(item())
    assert found["lacks"] == ""
    assert sorted(_hub_cache.files(str(cache.path / found["snapshot"]))) == TAKEN


def test_an_archive_of_a_cache_keeps_its_commit(cache: Cache, hub: Hub, tmp_path: Path) -> None:
    cache.fetch(item())
    commit = hub.repos["a/b"].refs["main"]
    path = tmp_path / "hub.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(cache.path, "hub")
    other = Cache(tmp_path / "other", "http://127.0.0.1:9")
    other.home.mkdir()
    other.fetch(item(source=str(path)))
    assert other.look(item())["commit"] == commit and other.look(item())["lacks"] == ""


def test_a_source_serves_all_that_is_named_of_a_repository(cache: Cache, tmp_path: Path) -> None:
    """As llama.cpp names it: a file, and a projector that the repository may lack."""
    files = {"x-Q8_0.gguf": b"8" * 2000, "x-Q4_K_M.gguf": b"4" * 2000}
    source = str(write(tmp_path / "model", files))
    four, eight = gguf("*Q4_K_M[.-]*", source=source), gguf("*Q8_0[.-]*", source=source)
    projector = gguf("*mmproj*.gguf", optional=True, source=source)
    cache.fetch(four, projector)
    assert cache.look(four)["lacks"] == "" and cache.look(projector)["lacks"] == ""
    cache.fetch(eight)
    assert cache.look(eight)["lacks"] == "" and cache.look(four)["lacks"] == ""


def test_a_source_for_a_commit(cache: Cache, hub: Hub, tmp_path: Path) -> None:
    pinned = item(revision="a" * 40, source=str(write(tmp_path / "model", MODEL)))
    cache.fetch(pinned)
    assert cache.look(pinned)["lacks"] == ""
    cache.fetch(item())
    other = item(revision="b" * 40, source=str(cache.path))
    assert f"holds commit {'a' * 40} of a/b, and {'b' * 40} is wanted" in cache.fails(other)


def test_a_source_with_several_snapshots_has_the_one_of_the_revision(
    cache: Cache, hub: Hub, tmp_path: Path
) -> None:
    found = {}
    for revision in ("main", "other"):
        hub.add("a/b", MODEL | {"config.json": revision.encode()}, revision)
        cache.fetch(item(revision=revision))
        found[revision] = cache.look(item(revision=revision))["commit"]
    copy = Cache(tmp_path / "copy", "http://127.0.0.1:9")
    copy.home.mkdir()
    for revision, commit in found.items():
        copy.fetch(item(revision=revision, source=str(cache.path)))
        assert copy.look(item(revision=revision))["commit"] == commit


def test_the_hub_takes_over_from_a_source(cache: Cache, hub: Hub, tmp_path: Path) -> None:
    """It does not know the commit that the source was given."""
    cache.fetch(item(kind="config", source=str(write(tmp_path / "model", {"config.json": b"{}"}))))
    cache.fetch(item())
    assert cache.look(item())["commit"] == hub.repos["a/b"].refs["main"]


def test_what_a_copy_that_was_cut_left_does_not_stay(cache: Cache, tmp_path: Path) -> None:
    source = item(source=str(write(tmp_path / "model", MODEL)))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    assert "the disk is full" in cache.fails(source, preexec_fn=limited)
    blobs = cache.path / "models--a--b" / "blobs"
    assert not list(blobs.glob("*.incomplete"))
    (blobs / "source.incomplete").write_bytes(b"x")
    cache.fetch(source)
    assert not list(blobs.glob("*.incomplete"))


def test_an_archive_larger_than_the_disk(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.onehop.llm.plugins.module_utils import _hub_fetch

    monkeypatch.setattr(_hub_fetch, "_SPARE", 10**18)
    given = item(source=str(write(tmp_path / "model", MODEL)))
    source = _hub_fetch.Source({"hub": str(cache.path)}, None, given)
    with pytest.raises(_hub_fetch.FetchFailed, match=r"model: the disk of .* is full before"):
        source.take()


@pytest.mark.parametrize("link", ["nowhere", "config.json", "pipe", "../../etc/passwd"])
def test_an_archive_with_links_that_lead_nowhere(cache: Cache, tmp_path: Path, link: str) -> None:
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("pipe", tarfile.FIFOTYPE), ("config.json", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member)
    said = cache.fails(item(kind="config", source=str(path)))
    assert said.startswith(f"{path}") and ("damaged" in said or "leads to no file" in said)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_an_archive_that_was_cut(cache: Cache, tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "model.tar"
    with tarfile.open(path, mode) as archive:
        archive.add(write(tmp_path / "model", MODEL | {"x.bin": os.urandom(300_000)}), "model")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in cache.fails(item(source=str(path)))


def test_sources_that_are_none(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"no archive")
    assert "is no tar archive" in cache.fails(item(source=str(path)))
    assert "holds no file that fits model of a/b" in cache.fails(
        item(source=str(write(tmp_path / "empty", {"x.gguf": b""})))
    )
    assert "/nowhere" in cache.fails(item(source="/nowhere"))


def test_asking_changes_nothing(cache: Cache, hub: Hub) -> None:
    said = cache.run(item(), item("a/none"), verb="ask")
    size = sum(len(MODEL[name]) for name in TAKEN)
    assert json.loads(said.stdout) == {
        "a/b@main:model": {"commit": hub.repos["a/b"].refs["main"], "bytes": size},
        "a/none@main:model": {
            "error": "a/none: the hub has no such repository, or it is private. Look at the name, or "
            "give a token that may read it in hub_token"
        },
    }
    assert not cache.path.exists()


def test_a_slow_hub(cache: Cache, hub: Hub) -> None:
    hub.rate = 3_000_000
    cache.fetch(item())
    assert cache.look(item())["lacks"] == ""


def test_systemd_is_told_how_far_it_is(cache: Cache, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(10)
        cache.fetch(item(), variables={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        told = json.loads(server.recv(4096).decode().removeprefix("STATUS="))
    assert told["total"] == sum(len(MODEL[name]) for name in TAKEN)
    assert told["repo"] == "a/b" and told["done"] <= told["total"]


def test_a_hub_that_lies(cache: Cache, tmp_path: Path) -> None:
    from ansible_collections.onehop.llm.plugins.module_utils import _hub_fetch

    file = _hub_fetch.File("x.bin", 10, None, "0" * 40)
    with _hub_fetch._Part(str(tmp_path / "part"), "a/b", file) as part:
        part.write(b"1234567890")
        with pytest.raises(_hub_fetch.FetchFailed, match=r"sends more of x\.bin than it says"):
            part.write(b"x")
    for wrong in ({"size": -1}, {"size": None}, {"blob_id": "../../x"}):
        sibling = SimpleNamespace(**{"lfs": None, "size": 1, "blob_id": "0" * 40} | wrong)
        with pytest.raises(_hub_fetch.FetchFailed):
            _hub_fetch._file(item(), "x", sibling)
    for name in ("/x", "../x", "a/../../x"):
        with pytest.raises(_hub_fetch.FetchFailed):
            _hub_fetch._file(item(), name, sibling)


def test_a_commit_that_leads_elsewhere(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.onehop.llm.plugins.module_utils import _hub_fetch

    given = SimpleNamespace(sha="../../../x", siblings=[])
    monkeypatch.setattr(_hub_fetch.Repository, "_info", lambda *dummy: given)
    with pytest.raises(_hub_fetch.FetchFailed, match="names a commit"):
        _hub_fetch.Repository({"hub": str(cache.path)}, None, item()).ask()
