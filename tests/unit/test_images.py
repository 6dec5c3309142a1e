# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: what is asked of an account's manager and of Podman, and how their answers are taken."""

from __future__ import annotations

import io
import platform
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _images, _systemd, _user_manager
from ansible_collections.onehop.llm.plugins.module_utils._systemd import PROPERTIES

TAGGED = "docker.io/vllm/vllm-openai:v0.33.0"
DIGESTED = "docker.io/vllm/vllm-openai@sha256:" + "a" * 64
IDENTITY = "b" * 64


class Manager:
    """Stands in for an account's manager and its Podman."""

    def __init__(self, state: str = "inactive", said: list[str] | None = None) -> None:
        self.state = state
        self.said = said or []
        self.images: dict[str, str] = {}
        self.group = ""
        self.starts = (0, "", "")
        self.asked: list[list[str]] = []

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        self.asked.append(command)
        if "show" in command and "--value" in command:
            return 0, f"{self.group}\n", ""
        if "show" in command:
            shown = dict.fromkeys(PROPERTIES, "") | {"ActiveState": self.state, "MainPID": "0"}
            return 0, "".join(f"{name}={value}\n" for name, value in shown.items()), ""
        if command[0] == "journalctl":
            return 0, "".join(f"{line}\n" for line in self.said), ""
        if "inspect" in command:
            found = self.images.get(command[-1])
            return (0, f"{found}\n", "") if found else (125, "", "no such image")
        if "tag" in command:
            if command[-2] not in self.images.values():
                return 125, "", f"{command[-2]}: image not known\n"
            self.images[command[-1]] = command[-2]
            return 0, "", ""
        return self.starts if "pull" in command else (0, "", "")

    def of(self, *words: str) -> list[list[str]]:
        """What was asked that has these words."""
        return [command for command in self.asked if set(words) <= set(command)]


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_images, _user_manager):
        monkeypatch.setattr(module, "runs", lambda account: account == "vllm")


def images(host: Manager, account: str = "vllm") -> _images.Images:
    return _images.Images(host.run, account)


def tar(path: Path, *names: str, mode: str = "w") -> str:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"{}"))
    return str(path)


def test_which_images_an_account_has() -> None:
    host = Manager()
    host.images[TAGGED] = IDENTITY
    assert images(host).ids([TAGGED, DIGESTED]) == {TAGGED: IDENTITY, DIGESTED: None}
    asked = host.of("inspect")[0]
    assert asked[0] == "systemd-run"
    assert "--machine=vllm@.host" in asked
    assert asked[asked.index("--") + 1 :] == [
        "podman",
        "image",
        "inspect",
        "--format={{.Id}}",
        TAGGED,
    ]


def test_an_account_without_a_manager_has_none() -> None:
    host = Manager()
    host.images[TAGGED] = IDENTITY
    assert images(host, "not-made-yet").ids([TAGGED]) == {TAGGED: None}
    assert host.asked == []


@pytest.mark.parametrize(
    ("authentication", "words"),
    [
        (None, ["podman", "pull", TAGGED]),
        (
            "/etc/onehop/credentials/x/registries.json",
            ["podman", "pull", "--authfile=/etc/onehop/credentials/x/registries.json", TAGGED],
        ),
    ],
)
def test_a_pull_is_begun(authentication: str | None, words: list[str]) -> None:
    host = Manager()
    assert images(host).begin(TAGGED, None, authentication, 60) == ""
    unit = _images.unit_of(TAGGED)
    dummy, forgiven, pulled = host.asked
    assert forgiven[-2:] == ["reset-failed", unit]
    assert pulled == [
        "systemd-run",
        "--user",
        "--machine=vllm@.host",
        "--quiet",
        f"--unit={unit}",
        "--service-type=exec",
        "--property=RuntimeMaxSec=60",
        "--",
        *words,
    ]


@pytest.mark.parametrize("state", ["activating", "active", "deactivating"])
def test_a_pull_that_a_cut_run_began_goes_on(state: str) -> None:
    host = Manager(state)
    host.starts = (1, "", "Failed to start transient service unit: already loaded\n")
    assert images(host).begin(TAGGED, None, None, 60) == ""
    assert host.of("pull") == []


def test_every_image_has_a_unit_of_its_own() -> None:
    assert _images.unit_of(TAGGED) == _images.unit_of(TAGGED)
    assert _images.unit_of(TAGGED) != _images.unit_of(DIGESTED)


def test_a_pull_that_cannot_be_begun() -> None:
    host = Manager()
    host.starts = (1, "", "Failed to start transient service unit: already loaded\n")
    assert images(host).begin(TAGGED, None, None, 60).endswith("unit: already loaded")


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["blobs/sha256/x", "index.json", "oci-layout"], "oci-archive"),
        (["./oci-layout"], "oci-archive"),
        (["0123.json", "manifest.json", "repositories"], "docker-archive"),
        # As newer Dockers save, both ways in one; the first is taken.
        (["manifest.json", "oci-layout"], "docker-archive"),
        (["somewhere/oci-layout"], "docker-archive"),
        ([], "docker-archive"),
    ],
)
def test_the_kind_of_an_archive(tmp_path: Path, names: list[str], kind: str) -> None:
    host = Manager()
    path = tar(tmp_path / "image.tar", *names)
    # A login is for registries: podman refuses it beside an archive.
    assert images(host).begin(TAGGED, path, "/etc/logins.json", 60) == ""
    (pulled,) = host.of("pull")
    assert pulled[pulled.index("--") + 1 :] == ["podman", "pull", f"{kind}:{path}"]


def test_an_archive_that_is_packed(tmp_path: Path) -> None:
    assert _images.is_oci(tar(tmp_path / "image.tar.gz", "oci-layout", mode="w:gz"))


@pytest.mark.parametrize("content", [b"<html>", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", None])
def test_what_is_no_archive(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "image.tar"
    if content is not None:
        path.write_bytes(content)
    host = Manager()
    said = images(host).begin(TAGGED, str(path), None, 60)
    assert said.startswith(f"{path} is no tar archive: ")
    assert host.of("pull") == []


@pytest.mark.parametrize("state", ["activating", "active", "deactivating"])
def test_while_an_image_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    host = Manager(state, ["Copying blob sha256:0123"])
    host.group = "/user.slice/x.service"
    group = tmp_path / "user.slice" / "x.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("self\nnobody\n")
    monkeypatch.setattr(_systemd, "CGROUPS", (str(tmp_path),))
    report = images(host).look(TAGGED, None)
    assert (report["state"], report["said"]) == ("fetching", ["Copying blob sha256:0123"])
    # It read what this very process has written.
    assert 0 < report["bytes"] <= _written()


def _written() -> int:
    text = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in text.split("\n") if line.startswith("wchar:"))


SINGLE = (
    'Error: parsing manifest blob "{\\"schemaVersion\\": 2, \\"config\\": {\\"size\\": 7000}, \\"layers\\": '
    '[{\\"size\\": 30009328}, {\\"size\\": 20006330}]}" as a '
    '"application/vnd.oci.image.manifest.v1+json": not a list'
)
"""As Podman 5.4.2 says it of an image that is no list, seen with a registry of our own."""


@pytest.mark.parametrize(
    ("answers", "size"),
    [
        ([(125, "", SINGLE)], 50015658),
        ([(0, '{"manifests": [{"digest": "sha256:ab", "platform": {"architecture": "amd64"}}]}', ""),
          (125, "", SINGLE)], 50015658),
        ([(0, '{"manifests": [{"digest": "sha256:ab", "platform": {"architecture": "s390x"}}]}', "")], 0),
        ([(124, "", "")], 0),
        ([(0, '{"manifests": [{"platform": null}]}', "")], 0),
        ([(0, '{"manifests": [{"platform": {"architecture": "amd64"}}]}', "")], 0),
        ([(0, '{"manifests": 7}', "")], 0),
        ([(125, "", "Error: pinging container registry: connection refused")], 0),
    ],
)  # fmt: skip
def test_how_large_an_image_is(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, str, str]], size: int
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        return answers[len(asked) - 1]

    assert _images.Images(run, "vllm").size(TAGGED, "/auth.json") == size
    assert asked[0][-1] == TAGGED and "--authfile=/auth.json" in asked[0]
    if len(answers) == 2:
        assert asked[1][-1] == TAGGED.rpartition(":")[0] + "@sha256:ab"


def test_what_has_come_is_in_podmans_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with Podman 5.4.2: each layer's file grows as it comes, and stays until the end."""
    place = tmp_path / "container_images_storage123"
    place.mkdir()
    (place / "1").write_bytes(b"x" * 1000)
    host = Manager("active")
    host.group = "/g"
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "cgroup.procs").write_text("self\n")
    monkeypatch.setattr(_systemd, "CGROUPS", (str(tmp_path),))
    with (place / "2").open("wb") as file:
        file.write(b"x" * 234)
        file.flush()
        assert images(host).look(TAGGED, None)["fetched"] == 1234
    assert images(host).look(TAGGED, None)["fetched"] == 0


def test_a_pull_that_failed_is_told_each_time_it_is_looked_at() -> None:
    """While other images are still on their way, it is looked at again and again."""
    host = Manager("failed", ["Error: unauthorized"])
    for dummy in range(2):
        report = images(host).look(TAGGED, None)
        assert report == {"state": "failed", "said": ["Error: unauthorized"], "bytes": 0}
    assert host.of("reset-failed") == []


def test_an_image_that_is_there() -> None:
    host = Manager(said=[IDENTITY])
    host.images[TAGGED] = IDENTITY
    for archive in (None, "/srv/x.tar"):
        assert images(host).look(TAGGED, archive)["state"] == "done"
    assert host.of("tag") == []


def test_an_archive_with_another_name_gets_the_one_asked_for() -> None:
    host = Manager(said=["c" * 64, "Loaded image", f"  {IDENTITY}"])
    host.images["localhost/other:latest"] = IDENTITY
    assert images(host).look(TAGGED, "/srv/x.tar")["state"] == "done"
    assert host.images[TAGGED] == IDENTITY


def test_a_name_that_cannot_be_given() -> None:
    host = Manager(said=[IDENTITY])
    report = images(host).look(TAGGED, "/srv/x.tar")
    assert (report["state"], report["said"]) == ("failed", [f"{IDENTITY}: image not known"])


@pytest.mark.parametrize(
    ("reference", "archive", "said"),
    [
        (DIGESTED, "/srv/x.tar", [IDENTITY]),
        (TAGGED, "/srv/x.tar", ["nothing that looks like an id"]),
        (TAGGED, None, [IDENTITY]),
    ],
)
def test_another_image_is_not_passed_off_as_it(
    reference: str, archive: str | None, said: list[str]
) -> None:
    host = Manager(said=said)
    host.images["localhost/other:latest"] = IDENTITY
    report: dict[str, Any] = images(host).look(reference, archive)
    assert report["state"] == "failed"
    assert report["said"][-1] == f"what was fetched is another image than {reference}"
    assert reference not in host.images
