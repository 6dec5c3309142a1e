# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys and certificates of an edge, in a directory and by a real openssl."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _edge_keys, _owned
from ansible_collections.onehop.llm.plugins.modules import edge_key, preflight

NAME = "onehop-edge"


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"
    monkeypatch.setattr(_edge_keys, "HOME", str(tmp_path / "edge"))
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    return tmp_path / "edge"


def keys(*, check_mode: bool = False) -> _edge_keys.EdgeKeys:
    return _edge_keys.EdgeKeys(run, check_mode)


def given(front: str) -> tuple[str, int]:
    """The key, and how many certificates come with it."""
    found = keys().given(front)
    return found["key"], found["certificate"].count("BEGIN CERTIFICATE")


def test_made_once_and_kept(home: Path) -> None:
    foretold = keys(check_mode=True).make(["a", "b"], NAME)
    assert not home.exists()
    diffs = keys().make(["a", "b"], NAME)
    assert [diff["after_header"] for diff in foretold] == [diff["after_header"] for diff in diffs]
    assert keys().make(["a", "b"], NAME) == []
    assert {path.name: oct(path.stat().st_mode)[-3:] for path in home.iterdir()} == {
        "keys.json": "600",
        "tls.pem": "600",
    }
    key, certificates = given("a")
    assert len(key) >= 40
    assert certificates == 1
    assert key != given("b")[0]
    assert keys().hashes()["a"] == [_edge_keys.hashed(key)]
    assert key not in json.dumps(diffs) + json.dumps(keys().hashes())
    assert "PRIVATE" not in json.dumps(diffs) + keys().given("a")["certificate"]
    assert _owned.Owned("edge").things["directories"] == [str(home)]


def test_a_new_front_gets_a_key_and_one_that_left_has_none(home: Path) -> None:
    keys().make(["a", "b"], NAME)
    before = given("b")
    assert len(keys().make(["b", "c"], NAME)) == 1
    assert list(keys().hashes()) == ["b", "c"]
    assert given("b") == before
    assert given("a")[0] == ""


def test_without_fronts_all_of_it_goes(home: Path) -> None:
    keys().make(["a"], NAME)
    assert len(keys(check_mode=True).make([], None)) == 1
    assert home.exists()
    assert len(keys().make([], None)) == 1
    assert not home.exists()
    assert keys().make([], None) == []
    assert "edge" not in _owned.owners()


def test_a_rotation(home: Path) -> None:
    keys().make(["a", "b"], NAME)
    old, pinned = given("a")[0], keys().given("a")["certificate"]
    keys().add(["a", "b"], NAME)
    new, certificates = given("a")
    assert keys().hashes()["a"] == [_edge_keys.hashed(new), _edge_keys.hashed(old)]
    assert certificates == 2
    # A run in between changes nothing, and neither does another beginning of a rotation.
    assert keys().make(["a", "b"], NAME) == []
    assert keys().add(["a", "b"], NAME) == []
    # One front was out of reach: it keeps its old key and the certificate that it knows.
    keys().drop(["a"])
    assert len(keys().hashes()["a"]) == 1
    assert len(keys().hashes()["b"]) == 2
    assert (home / "next.pem").exists()
    assert pinned in (home / "tls.pem").read_text()
    # It comes back for the next rotation, which gives the other one a third key.
    keys().add(["a", "b"], NAME)
    assert [len(found) for found in keys().hashes().values()] == [2, 2]
    keys().drop(["a", "b"])
    assert [len(found) for found in keys().hashes().values()] == [1, 1]
    assert not (home / "next.pem").exists()
    assert pinned not in (home / "tls.pem").read_text()
    assert given("a")[1] == 1
    assert keys().drop(["a", "b"]) == []


def test_a_rotation_that_was_cut_off_before_the_certificate(home: Path) -> None:
    keys().make(["a"], NAME)
    keys().add(["a"], None)
    assert not (home / "next.pem").exists()
    key = given("a")[0]
    keys().add(["a"], NAME)
    assert given("a") == (key, 2)


def test_check_mode_foretells_a_rotation(home: Path) -> None:
    keys().make(["a"], NAME)
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    assert len(keys(check_mode=True).add(["a"], NAME)) == 2
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_a_mode_that_somebody_changed_is_mended(home: Path) -> None:
    keys().make(["a"], NAME)
    os.chmod(home / "keys.json", 0o644)
    os.chmod(home / "tls.pem", 0o644)
    assert len(keys().make(["a"], NAME)) == 2
    assert keys().make(["a"], NAME) == []


def test_damaged_keys_are_told(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "keys.json").write_text("{")
    with pytest.raises(_edge_keys.EdgeKeyError, match=r"is damaged\. Remove it"):
        keys()


def test_the_certificate_lasts(home: Path) -> None:
    keys().make(["a"], NAME)
    assert keys().ends_soon() is False


def test_what_a_front_fetches(home: Path) -> None:
    assert edge_key.fetched(keys(), ["a"], False) == {
        "key": "",
        "certificate": "",
        "foretold": False,
    }
    assert edge_key.fetched(keys(), ["a"], True)["foretold"] is True
    keys().make(["a", "b"], NAME)
    for check_mode in (False, True):
        assert edge_key.fetched(keys(), ["a"], check_mode)["key"] == given("a")[0]
    with pytest.raises(_edge_keys.EdgeKeyError, match="is for one router"):
        edge_key.fetched(keys(), ["a", "b"], False)


def test_an_edge_counts_as_known_when_all_of_its_copies_are_there(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("x")
    needs = [
        {"variable": host, "path": str(tmp_path / name)}
        for host, name in (("gpu1", "one"), ("gpu1", "two"), ("gpu2", "three"), ("gpu2", "four"))
    ]
    assert preflight.copies(needs) == ["gpu1"]


def test_a_client_that_pins_the_certificate_takes_it_and_no_other(
    home: Path, tmp_path: Path
) -> None:
    """By Python's ssl, as the router does it, and with the strict checks of newer Pythons."""
    keys().make(["a"], NAME)
    pin = tmp_path / "pin.pem"
    pin.write_text(keys().given("a")["certificate"])
    other = tmp_path / "other.pem"
    keys().add(["a"], NAME)
    other.write_text((home / "next.pem").read_text())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(str(home / "tls.pem"), str(home / "tls.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for dummy in range(3):
                connection = listener.accept()[0]
                try:
                    server.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        def connect(authorities: Path, name: str = NAME) -> None:
            client = ssl.create_default_context(cafile=str(authorities))
            client.verify_flags |= ssl.VERIFY_X509_STRICT
            with socket.create_connection(listener.getsockname(), timeout=20) as plain:
                client.wrap_socket(plain, server_hostname=name).close()

        connect(pin)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(other)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(pin, "elsewhere")
        thread.join(20)
