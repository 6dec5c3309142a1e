# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets of accounts on a host: where they lie, who checks them, and how they come and go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import (
    _files,
    _owned,
    _stamp,
    _systemd,
    _unit_places,
    _unit_set,
    _user_manager,
)
from ansible_collections.onehop.llm.plugins.module_utils._systemd import PROPERTIES

IDS = {"vllm": 995, "llm": 994}

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root() -> None:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"


class Host:
    """Stands in for a host's managers: each command is remembered, and units are as ``states``."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.asked: list[list[str]] = []

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        self.asked.append(command)
        if "show" not in command:
            return 0, "", ""
        blocks = []
        for unit in command[command.index("--") + 1 :]:
            state = self.states.get(unit.partition(".")[0].replace("-", "_"), "inactive")
            shown = dict.fromkeys(PROPERTIES, "") | {"ActiveState": state, "MainPID": "0"}
            blocks.append("".join(f"{name}={value}\n" for name, value in shown.items()))
        return 0, "\n".join(blocks), ""

    @property
    def did(self) -> list[str]:
        """What was asked of a manager, beside questions."""
        return [" ".join(command) for command in self.asked if "show" not in command]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A host's directories below a temporary one."""
    found = SimpleNamespace(
        quadlets=tmp_path / "quadlets",
        units=tmp_path / "units",
        user=tmp_path / "user",
        run=tmp_path / "run",
        owned=tmp_path / "owned",
        secrets=tmp_path / "etc" / "credentials",
    )
    found.run.mkdir()
    monkeypatch.setattr(_user_manager, "QUADLETS", str(found.quadlets))
    monkeypatch.setattr(_unit_places, "UNITS", str(found.units))
    monkeypatch.setattr(_unit_places, "GENERATORS", (str(tmp_path / "no-generator"),))
    monkeypatch.setattr(_unit_set, "_VOLATILE", str(found.run))
    emptied = (str(tmp_path / "etc"), str(found.user), str(found.run))
    monkeypatch.setattr(_unit_set, "_EMPTIED", emptied)
    monkeypatch.setattr(_owned, "DIRECTORY", str(found.owned))
    monkeypatch.setattr(_stamp, "KEY", str(tmp_path / "key"))
    monkeypatch.setattr(_user_manager, "uid_of", IDS.get)
    monkeypatch.setattr(_user_manager, "runs", lambda account: account in IDS)
    return found


def unit(name: str = "vllm-alpha.service", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "content": "[Container]\n", "wanted_by": None}
    made |= {"stamp": None, "inputs": [], "secrets": [], "states": [], "caches": []}
    return made | more


def unit_set(host: Host, units: list[dict[str, Any]], **more: Any) -> _unit_set.UnitSet:
    given: dict[str, Any] = {"files": [], "secrets": [], "check_mode": False, "account": "vllm"}
    return _unit_set.UnitSet(host.run, owner="vllm", units=units, **(given | more))


def secret(path: Path, **more: Any) -> dict[str, Any]:
    given = {"path": str(path), "content": None, "source": None, "variable": None, "group": None}
    return given | more


def test_where_the_units_of_an_account_are(places: SimpleNamespace) -> None:
    place = _unit_places.place(Host().run, "vllm", 7)
    assert place.path("vllm-a.b.service") == f"{places.quadlets}/995/vllm-a.b.container"
    assert place.noted("vllm-a.service") == "vllm/vllm-a.service"
    assert place.links([unit(wanted_by="default.target")]) == []
    assert (place.kind, place.manager.account) == ("user_units", "vllm")
    # One that is not there yet will have the uid that was foretold.
    new = _unit_places.place(Host().run, "new", 7)
    assert new.path("x.service") == f"{places.quadlets}/7/x.container"


def test_where_the_units_of_the_system_are(places: SimpleNamespace) -> None:
    place = _unit_places.place(Host().run)
    assert (place.kind, place.account) == ("units", None)
    assert place.path("a.service") == f"{places.units}/a.service"
    assert place.noted("a.service") == "a.service"
    (link,) = place.links([unit("a.service", wanted_by="x.target"), unit("b.service")])
    assert (link.path, link.target) == (f"{places.units}/x.target.wants/a.service", "../a.service")


def test_the_places_of_an_owner() -> None:
    owned = _owned.Owned("vllm")
    owned.add("user_units", ["vllm/b.service", "llm/a.service", "vllm/a.service"])
    found = [(place.account, names) for place, names in _unit_places.of(Host().run, owned)]
    assert found == [("llm", ["a.service"]), ("vllm", ["a.service", "b.service"])]
    owned.add("units", ["x.service"])
    assert _unit_places.of(Host().run, owned)[0][1] == ["x.service"]


STAND_IN = """#!/bin/sh
# Stands in for Podman's generator: it refuses keys called Bad, in the generator's words, and ends
# without a word where it finds the file "silent" beside the Quadlets.
[ -e "$QUADLET_UNIT_DIRS"/silent.container ] && exit 3
[ "$*" = "-dryrun -user" ] || exit 99
status=0
for file in "$QUADLET_UNIT_DIRS"/*.container; do
    echo "quadlet-generator[7]: Loading source unit file $file" >&2
    if grep -q ^Bad "$file"; then
        echo "quadlet-generator[7]: converting \\"$(basename "$file")\\": unsupported key 'Bad' in \
group 'Container' in $file" >&2
        status=1
    elif ! grep -q "^[[]Container]" "$file"; then
        echo "quadlet-generator[7]: No files parsed from [$QUADLET_UNIT_DIRS]" >&2
        echo "quadlet-generator[7]: error loading \\"$file\\", file contains line 1: \u201cx\u201d which is \
not a key-value pair, group, or comment" >&2
        status=1
    else
        name=$(basename "$file" .container).service
        printf -- '---%s---\\n[Service]\\nExecStart=/usr/bin/podman run\\n\\n' "$name"
    fi
done
[ "$status" = 0 ] || echo "quadlet-generator[7]: processing encountered some errors" >&2
exit $status
"""


class Generating(Host):
    """Runs the generator; systemd's parser refuses the second line of every unit that it is shown."""

    verified: list[str]

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        import subprocess

        if command[0] == "env":
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        if command[0] == "systemd-analyze":
            assert "--user" in command
            paths = [word for word in command if word.startswith("/")]
            self.verified = [Path(path).read_text() for path in paths]
            # What it says of others is not ours to judge.
            said = [f"{path}:2: Unknown key" for path in [*paths, "/usr/lib/other.service"]]
            return 1, "", "\n".join(said)
        return super().run(command)


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stand-in-generator"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setattr(_unit_places, "GENERATORS", ("/nowhere", str(path)))


@pytest.mark.usefixtures("generator")
def test_quadlets_are_shown_to_their_generator_and_what_it_makes_to_systemd() -> None:
    host = Generating()
    good, bad = "[Container]\nImage=x\n", "[Container]\nBad=x\n"
    units = [unit("vllm-good.service", content=good), unit("vllm-bad.service", content=bad)]
    assert unit_set(host, units).problems() == [
        "converting \"vllm-bad.container\": unsupported key 'Bad' in group 'Container' in "
        "vllm-bad.container",
        "vllm-good.service, line 2: Unknown key",
    ]
    assert host.verified == ["\n[Service]\nExecStart=/usr/bin/podman run\n\n"]


@pytest.mark.usefixtures("generator")
def test_whatever_a_generator_that_fails_says_is_told() -> None:
    host = Generating()
    assert unit_set(host, [unit("vllm-x.service", content="x\n")]).problems() == [
        'error loading "vllm-x.container", file contains line 1: \u201cx\u201d which is not a key-value pair, '
        "group, or comment",
    ]
    (said,) = unit_set(host, [unit("silent.service")]).problems()
    assert said.endswith("stand-in-generator ended with status 3")


@pytest.mark.usefixtures("generator")
def test_a_host_without_systemds_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Generating()
    monkeypatch.setattr(shutil, "which", lambda dummy, **more: None)
    assert unit_set(host, [unit()]).problems() == []
    assert [command[0] for command in host.asked] == []


def test_a_host_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    monkeypatch.setattr(shutil, "which", lambda dummy, **more: None)
    assert _systemd.Systemd(host.run).version() == 0
    assert host.asked == []


def test_whose_journal_it_is() -> None:
    manager = _user_manager.UserSystemd(Host().run, "vllm")
    assert manager.journal_of("vllm-a.service", "") == [
        ["CONTAINER_NAME=systemd-vllm-a", "_UID=995"],
        ["_SYSTEMD_USER_UNIT=vllm-a.service", "_UID=995"],
    ]


@pytest.mark.usefixtures("generator")
def test_quadlets_that_are_there_already_are_not_checked_again() -> None:
    host = Generating()
    unit_set(host, [unit()]).converge()
    assert unit_set(host, [unit()]).problems() == []


def test_a_host_without_a_generator_yet() -> None:
    host = Host()
    assert unit_set(host, [unit()]).problems() == []
    assert host.asked == []


def test_somebody_elses_quadlet(places: SimpleNamespace) -> None:
    path = places.quadlets / "995" / "vllm-alpha.container"
    path.parent.mkdir(parents=True)
    path.write_text("[Container]\nImage=mine\n")
    (said,) = unit_set(Host(), [unit()]).problems()
    assert said.startswith(f"{path} exists, and this collection did not make it.")


def test_a_unit_comes_and_goes(places: SimpleNamespace) -> None:
    host = Host()
    drop_in = places.user / "vllm-alpha.service.d" / "onehop.conf"
    files = [{"path": str(drop_in), "content": "[Service]\n", "mode": "0644"}]
    assert unit_set(host, [unit()], files=files).converge()["changed"] is True
    assert host.did == ["systemctl --user --machine=vllm@.host daemon-reload"]
    path = places.quadlets / "995" / "vllm-alpha.container"
    assert path.read_text() == "[Container]\n"
    assert _owned.Owned("vllm").things["user_units"] == ["vllm/vllm-alpha.service"]
    assert unit_set(Host(), [unit()], files=files).converge()["changed"] is False

    host = Host(vllm_alpha="active")
    result = unit_set(host, []).converge()
    assert (result["changed"], result["removed"]) == (True, ["vllm-alpha.service"])
    assert host.did == [
        "systemctl --user --machine=vllm@.host stop vllm-alpha.service",
        "systemctl --user --machine=vllm@.host daemon-reload",
    ]
    assert not path.exists()
    # Nothing of it stays, not even an empty directory of drop-ins.
    assert not drop_in.parent.exists()
    assert not list(places.owned.iterdir())


def test_the_last_unit_of_an_account_goes_without_the_account_being_named() -> None:
    unit_set(Host(), [unit()]).converge()
    host = Host(vllm_alpha="failed")
    assert unit_set(host, [], account=None).converge()["removed"] == ["vllm-alpha.service"]
    assert host.did == [
        "systemctl --user --machine=vllm@.host reset-failed vllm-alpha.service",
        "systemctl daemon-reload",
        "systemctl --user --machine=vllm@.host daemon-reload",
    ]


def test_a_unit_that_moves_to_another_account(places: SimpleNamespace) -> None:
    """The manager that runs it stops it; its salt goes along, or it would be restarted again."""
    stamped = unit(stamp="# {stamp}\n")
    unit_set(Host(), [stamped]).converge()
    owned = _owned.Owned("vllm")
    owned.salts["vllm-alpha.service"] = "salt"
    owned.save()
    host = Host(vllm_alpha="active")
    moved = unit_set(host, [stamped], account="llm")
    stamps = dict(moved.stamps)
    assert moved.converge()["removed"] == ["vllm-alpha.service"]
    assert host.did == [
        "systemctl --user --machine=vllm@.host stop vllm-alpha.service",
        "systemctl --user --machine=llm@.host daemon-reload",
        "systemctl --user --machine=vllm@.host daemon-reload",
    ]
    assert not (places.quadlets / "995" / "vllm-alpha.container").exists()
    assert (places.quadlets / "994" / "vllm-alpha.container").exists()
    assert _owned.Owned("vllm").things["user_units"] == ["llm/vllm-alpha.service"]
    again = unit_set(Host(), [stamped], account="llm")
    assert again.stamps == stamps
    assert again.converge()["changed"] is False


def test_an_account_that_is_gone_already(monkeypatch: pytest.MonkeyPatch) -> None:
    unit_set(Host(), [unit()]).converge()
    monkeypatch.setattr(_user_manager, "uid_of", lambda account: None)
    monkeypatch.setattr(_user_manager, "runs", lambda account: False)
    host = Host(vllm_alpha="active")
    assert unit_set(host, [], account=None).converge()["removed"] == ["vllm-alpha.service"]
    assert host.did == ["systemctl daemon-reload"]


def test_in_check_mode_nothing_is_touched(places: SimpleNamespace) -> None:
    unit_set(Host(), [unit()]).converge()
    host = Host(vllm_alpha="active")
    result = unit_set(host, [unit("vllm-b.service")], check_mode=True).converge()
    assert (result["changed"], result["removed"]) == (True, ["vllm-alpha.service"])
    assert host.did == []
    assert [path.name for path in (places.quadlets / "995").iterdir()] == ["vllm-alpha.container"]


def test_a_units_secret_as_a_file_and_as_a_variable(
    places: SimpleNamespace, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"hunter\xff2\n\n")
    home = places.secrets / "vllm-alpha.service"
    secrets = [
        secret(home / "file", source=str(source), group="adm"),
        secret(home / "both", source=str(source), variable="KEY", group="adm"),
        secret(home / "line", content="hunter3\n", variable="TOKEN"),
    ]
    made = unit_set(Host(), [unit()], secrets=secrets).converge()
    assert (home / "file").read_bytes() == b"hunter\xff2\n\n"
    assert (home / "both").read_bytes() == b"KEY=hunter\xff2\n"
    assert (home / "line").read_text() == "TOKEN=hunter3\n"
    assert _files.group_name((home / "file").stat().st_gid) == "adm"
    # Its group reads a worker's secret; without one only root does.
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
    assert modes == {"file": 0o640, "both": 0o640, "line": 0o600}
    assert "hunter" not in str(made)
    # Another secret makes another stamp.
    stamped = [unit(stamp="# {stamp}", secrets=[str(home / "file")])]
    before = unit_set(Host(), stamped, secrets=secrets).stamps
    source.write_bytes(b"hunter4")
    assert unit_set(Host(), stamped, secrets=secrets).stamps != before
    assert unit_set(Host(), [], account=None).converge()["changed"] is True
    assert not places.secrets.exists()


def test_a_variable_cannot_have_several_lines(tmp_path: Path) -> None:
    wrong = secret(tmp_path / "key", content="hunter2\nhunter3\n", variable="KEY")
    with pytest.raises(
        _unit_set.UnitSetError, match="the secret for KEY has several lines"
    ) as said:
        unit_set(Host(), [unit()], secrets=[wrong])
    assert "hunter" not in str(said.value)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    missing = [secret(tmp_path / "key", source=str(tmp_path / "gone"))]
    with pytest.raises(_unit_set.UnitSetError, match=r"gone is not there"):
        unit_set(Host(), [unit()], secrets=missing)
    assert unit_set(Host(), [unit()], secrets=missing, check_mode=True).converge()["changed"]


def test_directories_come_before_what_lies_in_them(places: SimpleNamespace) -> None:
    home = places.secrets / "vllm-alpha.service"
    directory = {"path": str(home), "mode": "0750", "owner": None, "group": "adm"}
    secrets = [secret(home / "key", content="x", group="adm")]
    unit_set(Host(), [unit()], secrets=secrets, directories=[directory]).converge()
    # Made by the secret alone it would be closed to the group.
    assert home.stat().st_mode & 0o777 == 0o750
    assert _files.group_name(home.stat().st_gid) == "adm"
    unit_set(Host(), [unit()]).converge()
    assert not places.secrets.exists()


def test_a_directory_of_sockets_goes_with_its_unit(places: SimpleNamespace) -> None:
    home = places.run / "onehop" / "vllm-alpha"
    directory = {"path": str(home), "mode": "2750", "owner": "nobody", "group": "adm"}
    unit_set(Host(), [unit()], directories=[directory]).converge()
    (home / "http.sock").write_text("left behind")
    result = unit_set(Host(), []).converge()
    assert "(a directory)" in str(result["diff"])
    assert not home.parent.exists()
    assert places.run.exists()


def test_a_directory_elsewhere_keeps_what_somebody_put_there(tmp_path: Path) -> None:
    home = tmp_path / "etc" / "kept"
    directory = {"path": str(home), "mode": "0750", "owner": None, "group": None}
    unit_set(Host(), [unit()], directories=[directory]).converge()
    (home / "mine").write_text("x")
    unit_set(Host(), []).converge()
    assert (home / "mine").read_text() == "x"


def test_what_engines_share_stays_as_long_as_one_has_it(tmp_path: Path) -> None:
    program = {"path": str(tmp_path / "bin" / "shared"), "content": "x", "mode": "0755"}

    def converge(owner: str, files: list[dict[str, str]]) -> None:
        units = [unit()] if files else []
        _unit_set.UnitSet(
            Host().run, owner, units, files, [], False, account="vllm" if units else None
        ).converge()

    converge("one", [program])
    converge("two", [program])
    converge("one", [])
    assert os.path.exists(program["path"])
    converge("two", [])
    assert not os.path.exists(program["path"])


def test_what_podman_notes_of_itself_is_no_last_word() -> None:
    said = (
        "2026-11-21 12:34:48.458 +0000 UTC m=+0.125 container create 54c401 (image=x, name=y)\n"
        "Error: statfs /srv/gone: no such file or directory\n"
    )
    manager = _user_manager.UserSystemd(lambda command: (0, said, ""), "vllm")
    assert manager.journal("vllm-a.service", "1f", 15) == [
        "Error: statfs /srv/gone: no such file or directory"
    ]
