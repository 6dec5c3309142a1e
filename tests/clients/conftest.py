# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet that all clients talk to, and the book of what was shown with it."""

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
for folder in ("roles/router/files", "tests/router", "tests/clients"):
    if str(ROOT / folder) not in sys.path:
        sys.path.insert(0, str(ROOT / folder))

import clients_fleet  # noqa: E402
from clients_seen import Shown  # noqa: E402

SHOWN: list[Shown] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seen",
        action="store_true",
        help="write the table in docs/clients.md instead of comparing",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shows(feature): what is seen working when this passes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The table is made of everything, so it comes last."""
    items.sort(key=lambda item: item.path.stem == "test_clients_table")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and report.passed:
        features = [mark.args[0] for mark in item.iter_markers("shows")]
        block = getattr(item, "callspec", None) and item.callspec.params.get("block")
        features += [block.heading] if block else []
        SHOWN.extend(Shown(one, call.start, call.stop) for one in features)
    return report


@pytest.fixture(scope="session")
def shown() -> list[Shown]:
    """What has been shown so far."""
    return SHOWN


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clients_fleet.Fleet]:
    with clients_fleet.fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Half a second of a square wave, as speech.wav."""
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((b"\x00\x10" * 20 + b"\x00\xf0" * 20) * 200)
    return path
