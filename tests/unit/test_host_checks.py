# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight looks at on a host: listeners, servers to download from, archives, clock, linger."""

from __future__ import annotations

import io
import json
import os
import platform
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import (
    _clock,
    _image_archive,
    _lingering,
    _ports,
    _preflight_files,
    _reach,
)

ARCH = _image_archive._MACHINES[platform.machine()]
OTHER_ARCH = "s390x" if ARCH != "s390x" else "amd64"


@pytest.mark.parametrize(
    ("family", "theirs", "ours", "clash"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", True),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1", True),
        (socket.AF_INET, "127.0.0.1", "0.0.0.0", True),
        (socket.AF_INET, "127.0.0.2", "127.0.0.1", False),
        (socket.AF_INET, "127.0.0.1", "::", True),
        (socket.AF_INET, "0.0.0.0", "::1", False),
        (socket.AF_INET6, "::", "127.0.0.1", True),
        (socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1", True),
        (socket.AF_INET6, "::1", "127.0.0.1", False),
        (socket.AF_INET6, "::1", "0.0.0.0", False),
        (socket.AF_INET6, "::1", "::", True),
    ],
)
def test_who_is_in_the_way_of_a_listener(family: int, theirs: str, ours: str, clash: bool) -> None:
    """As the kernel sees it: the same is tried with a socket."""
    with socket.socket(family) as foreign:
        foreign.bind((theirs, 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        found = _ports.listeners({port: [ours]})
        assert [one["pid"] for one in found.values()] == [os.getpid()] * clash
        with socket.socket(socket.AF_INET6 if ":" in ours else socket.AF_INET) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                own.bind((ours, port))
                own.listen()
            except OSError:
                assert clash
            else:
                assert not clash


def test_datagrams_are_in_nobodys_way() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign:
        foreign.bind(("0.0.0.0", 0))
        assert _ports.listeners({foreign.getsockname()[1]: ["0.0.0.0"]}) == {}


def test_another_namespace_is_in_nobodys_way() -> None:
    """A process with a network of its own listens there; its loopback is not ours."""
    program = (
        "import socket, sys\n"
        "s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()\n"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    command = ["unshare", "--net", sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdin
        line = other.stdout.readline()
        assert line, "unshare needs root, as the README says of the suite"
        assert _ports.listeners({int(line): ["0.0.0.0", "::"]}) == {}
        other.stdin.close()


# Servers to download from.


def need(where: str, **more: Any) -> dict[str, Any]:
    return {
        "variable": "vllm_models.m.model",
        "kind": "repository",
        "what": "a/b",
        "where": where,
        "places": ["/nowhere"],
        "proxy": "",
        "instead": "Write a path.",
    } | more


@pytest.fixture
def server() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_server_that_answers_is_none_to_speak_of(server: int) -> None:
    assert _reach.complaints([need(f"http://127.0.0.1:{server}")], {}) == []


def test_a_server_that_does_not(closed: int) -> None:
    (said,) = _reach.complaints([need(f"https://127.0.0.1:{closed}/hub")], {})
    assert said == (
        f"vllm_models.m.model = a/b: comes from https://127.0.0.1:{closed}/hub, and "
        f"127.0.0.1:{closed} gives no connection (Connection refused). Write a path."
    )


def test_a_name_that_nobody_knows() -> None:
    (said,) = _reach.complaints([need("https://hub.invalid")], {})
    assert "and hub.invalid:443 cannot be resolved (" in said


def test_a_proxy_that_cannot_be_read() -> None:
    """Of a password with a # in it a part would be taken for the port."""
    proxies = {"https": "http://me:hunt#er2@proxy.example"}
    (said,) = _reach.complaints([need("https://hub.example")], proxies)
    assert "the proxy's address cannot be read" in said and "hunt" not in said


def test_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is full, so that a connection is neither taken nor refused."""
    monkeypatch.setattr(_reach, "SECONDS", 1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for dummy in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        (said,) = _reach.complaints([need(f"http://127.0.0.1:{port}")], {})
        for one in waiting:
            one.close()
    assert "gives no connection within 1 s" in said


def test_a_proxy_stands_in_for_what_is_behind_it(server: int, closed: int) -> None:
    hub = need("https://hub.invalid")
    good = {"https": f"http://ann:secret@127.0.0.1:{server}"}
    assert _reach.complaints([hub], good) == []
    (said,) = _reach.complaints([hub], {"https": f"http://ann:secret@127.0.0.1:{closed}"})
    assert f"and the proxy 127.0.0.1:{closed} gives no connection" in said
    assert "secret" not in said
    (said,) = _reach.complaints([hub], good | {"no": "hub.invalid"})
    assert "hub.invalid:443 cannot be resolved" in said
    # The worker's own wins.
    own = need("https://hub.invalid", proxy=f"http://127.0.0.1:{server}")
    assert _reach.complaints([own], {}) == []


def test_a_registry_that_the_host_redirects_is_left_to_podman(tmp_path: Path, closed: int) -> None:
    where = f"127.0.0.1:{closed}"
    image = need(where, kind="image", what=f"{where}/a/b:v1")
    mirrors = tmp_path / "registries.conf"
    mirrors.write_text(f'# location = "{where}"\n')
    assert len(_reach.complaints([image], {}, [str(mirrors)])) == 1
    mirrors.write_text(f'[aliases]\n"debian" = "{where}/library/debian"\n')
    assert len(_reach.complaints([image], {}, [str(mirrors)])) == 1
    mirrors.write_text(f'[[registry]]\nlocation = "{where}"\nmirror = []\n')
    assert _reach.complaints([image], {}, [str(mirrors)]) == []


def test_addresses_of_registries_and_hubs() -> None:
    assert _reach.address("docker.io") == ("registry-1.docker.io", 443)
    assert _reach.address("quay.io") == ("quay.io", 443)
    assert _reach.address("registry.example:5000") == ("registry.example", 5000)
    assert _reach.address("http://hub.example/x") == ("hub.example", 80)


def test_what_the_host_has_is_not_fetched(tmp_path: Path) -> None:
    image = need("docker.io", kind="image", what="docker.io/a/b:v1", account="vllm")
    hub = need("https://hub.invalid", places=["/nowhere", str(tmp_path)])

    def ids(account: str, images: list[str]) -> dict[str, str | None]:
        return dict.fromkeys(images, "0123" if account == "vllm" else None)

    assert _reach.missing([image, hub], ids) == [hub]
    (tmp_path / "0123").mkdir()
    assert _reach.missing([image | {"account": "other"}, hub], ids) == [
        image | {"account": "other"}
    ]


# Archives of images.


def archive(path: Path, members: dict[str, Any], mode: str = "w") -> str:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return str(path)


def oci(name: str | None = "docker.io/a/b:v1", arch: str = ARCH) -> dict[str, Any]:
    notes = {"org.opencontainers.image.ref.name": name} if name else None
    return {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"manifests": [{"digest": "sha256:aa", "annotations": notes}]},
        "blobs/sha256/aa": {"config": {"digest": "sha256:bb"}, "layers": []},
        "blobs/sha256/bb": {"architecture": arch},
    }


def docker(arch: str = ARCH, layer: str = "l.tar") -> dict[str, Any]:
    entry = {"Config": "c.json", "RepoTags": ["docker.io/a/b:v1"], "Layers": ["l.tar"]}
    return {layer: b"x", "c.json": {"architecture": arch}, "manifest.json": [entry]}


def judged(path: str, image: str = "docker.io/a/b:v1") -> list[tuple[str, str]]:
    wanted = {"variable": "v", "path": path, "image": image}
    found = list(_image_archive.complaints([wanted]))
    assert {item["check"] for item in found} <= {"archive"}
    return [(item["level"], item["said"]) for item in found]


@pytest.mark.parametrize("members", [oci(), oci("v1"), oci(None), docker()])
def test_an_archive_that_holds_its_image(tmp_path: Path, members: dict[str, Any]) -> None:
    assert judged(archive(tmp_path / "a.tar", members)) == []


def test_an_archive_of_another_image(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", oci("docker.io/a/b:v2"))
    assert judged(path) == [
        (
            "warn",
            f"v = {path}: holds docker.io/a/b:v2, and is loaded as docker.io/a/b:v1 all the same. "
            "Name the image that is in it, if that is not meant.",
        )
    ]
    assert judged(path, "docker.io/a/b@sha256:aa") == []
    ((level, said),) = judged(path, "docker.io/a/b@sha256:cc")
    assert level == "error"
    assert "holds no image of this digest (it has sha256:aa)" in said


def test_an_archive_for_another_processor(tmp_path: Path) -> None:
    for members in (oci(arch=OTHER_ARCH), docker(arch=OTHER_ARCH)):
        ((level, said),) = judged(archive(tmp_path / "a.tar", members))
        assert level == "error"
        assert f"holds an image for {OTHER_ARCH}, and the host is {ARCH}." in said


def test_an_index_in_an_index(tmp_path: Path) -> None:
    """As Docker writes an image for several processors: one of them is the host's."""
    members = oci()
    members["blobs/sha256/dd"] = {
        "manifests": [
            {"digest": "sha256:aa"},
            {"digest": "sha256:gone", "platform": {"architecture": OTHER_ARCH}},
        ]
    }
    members["index.json"] = {"manifests": [{"digest": "sha256:dd"}]}
    assert judged(archive(tmp_path / "a.tar", members), "docker.io/a/b@sha256:dd") == []


def test_an_index_that_leads_to_itself(tmp_path: Path) -> None:
    members = oci()
    again = [{"digest": f"sha256:{number}"} for number in range(30)] * 2
    members |= {f"blobs/sha256/{number}": {"manifests": again} for number in range(30)}
    members["index.json"] = {"manifests": again}
    assert judged(archive(tmp_path / "a.tar", members)) == []


def test_no_archive_of_an_image(tmp_path: Path) -> None:
    whole = Path(archive(tmp_path / "a.tar", docker()))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:1000])
    text = tmp_path / "text.tar"
    text.write_text("<html>")
    other = archive(tmp_path / "other.tar", {"readme": b"x"})
    short = archive(tmp_path / "short.tar", docker(layer="other.tar"))
    for path in (str(cut), str(text), other, short):
        ((level, said),) = judged(path)
        assert level == "error"
        assert "is cut short, or no archive of an image (" in said, path
    for manifests in ("x", ["x"], [{"digest": 7}], [{"digest": "sha256:aa", "annotations": "x"}]):
        members = oci() | {"index.json": {"manifests": manifests}}
        ((level, said),) = judged(archive(tmp_path / "wrong.tar", members))
        assert "is cut short, or no archive of an image (" in said
    # What would have to be read whole, and what is not there, is not judged.
    assert judged(archive(tmp_path / "a.tar.gz", {"readme": b"x"}, "w:gz")) == []
    assert judged("/nowhere") == []


# Clock, linger, files.


@pytest.mark.parametrize(
    ("off", "downloads", "wanted"),
    [
        (0, [1], None),
        (-290, [1], None),
        (-720, [1], ("warn", "12 minutes behind")),
        (90000, [1], ("error", "1500 minutes ahead of")),
        (90000, [], ("warn", "1500 minutes ahead of")),
        (-3 * 86400, [1], ("error", "3 days behind")),
    ],
)
def test_a_clock(off: int, downloads: list[int], wanted: tuple[str, str] | None) -> None:
    found = _clock.complaints(2e9 + off, 2e9, downloads)
    if wanted is None:
        assert found == []
    else:
        (one,) = found
        assert (one["check"], one["level"]) == ("clock", wanted[0])
        assert f"The host's clock is {wanted[1]} the controller's" in one["said"]
    assert _clock.complaints(0, None, [1]) == []


class Manager:
    """Stands in for systemd: what it knows of units."""

    def __init__(self, logind: str = "loaded", template: str = "loaded") -> None:
        self.states = {"systemd-logind.service": logind, "user@0.service": template}

    def show(self, units: list[str]) -> dict[str, dict[str, str]]:
        return {unit: {"LoadState": self.states[unit]} for unit in units}


def test_whether_an_account_can_linger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [{"variable": "vllm", "container": {"name": "not-made-yet"}}]
    loginctl = tmp_path / "loginctl"
    loginctl.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    place = str(tmp_path / "linger")
    assert _lingering.complaints(needs, Manager(), place) == []
    assert _lingering.complaints([], Manager("not-found"), place) == []
    (said,) = _lingering.complaints(needs, Manager("masked"), place)
    assert said == (
        "vllm_user = not-made-yet: cannot linger, which its containers need to run without a login: "
        "systemd-logind.service is masked. Run systemctl unmask systemd-logind.service."
    )
    (said,) = _lingering.complaints(needs, Manager(template="not-found"), place)
    assert "the host has no user@.service." in said
    with monkeypatch.context() as read_only:
        # As of a mount that nothing writes to.
        state = SimpleNamespace(f_flag=os.ST_RDONLY)
        read_only.setattr(os, "statvfs", lambda dummy_path: state)
        (said,) = _lingering.complaints(needs, Manager(), place)
    assert f"{tmp_path} is mounted read-only, and logind keeps it below {place}." in said
    loginctl.unlink()
    (said,) = _lingering.complaints(needs, Manager(), place)
    assert "the host has no loginctl." in said


def test_a_key_of_the_routers_is_read_by_its_account(tmp_path: Path) -> None:
    """Its mode stays closed to others."""
    for parent in [tmp_path, *tmp_path.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    key = tmp_path / "key.pem"
    key.touch(0o600)
    wanted = {"path": str(key), "variable": "router_tls.key", "executable": False}
    wanted |= {"reader": "daemon", "reading": "service"}
    (said,) = _preflight_files.complaints([wanted])
    assert said == (
        f"router_tls.key = {key}: cannot be read by daemon. Give it mode 0640 and a group that daemon "
        "is in, and the directories above it mode 0755."
    )
