# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module does to a Prometheus' files, in a directory and by a real promtool.

systemctl is a double that notes its verbs, and Prometheus one that has read anew when it was told.
"""

from __future__ import annotations

import grp
import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _owned, _prometheus
from tooling import promtool

JOB = '{"job_name": "a", "static_configs": [{"targets": ["127.0.0.1:1"]}]}'
MADE = _owned.MARK.decode()
GOOD = f'# {MADE}\n{{"rule_files": ["onehop/rules.yml"], "scrape_configs": [{JOB}]}}\n'
RULES = 'groups: [{name: a, rules: [{record: "a:b", expr: up}]}]\n'
FOREIGN = "scrape_configs: []\n"


class Double:
    """A host with systemd and Prometheus on it."""

    def __init__(self) -> None:
        self.verbs: list[str] = []
        self.state = "active"
        self.read_at = 0.0

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        if command[0] == "promtool":
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        verb = command[1]
        if verb == "--version":
            return 0, "systemd 257\n", ""
        if verb == "show":
            return 0, f"LoadState=loaded\nActiveState={self.state}\n", ""
        if verb in ("start", "reload"):
            self.verbs.append(verb)
            self.state, self.read_at = "active", time.time()
        return 0, "", ""

    def values(self) -> dict[str, float]:
        return {_prometheus._GOOD: 1.0, _prometheus._RELOADED: self.read_at}


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "promtool").symlink_to(promtool.find())
    (programs / "systemctl").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Double()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "prometheus" / "prometheus.yml"
    path.parent.mkdir()
    path.write_text(FOREIGN)
    return path


def prometheus(double: Double, config: Path, *, check_mode: bool = False) -> _prometheus.Prometheus:
    found = _prometheus.Prometheus(
        double.run, check_mode, str(config), "prometheus.service", "root", "http://127.0.0.1:9"
    )
    found._values = double.values
    return found


def files(text: str = GOOD, key: str | None = "secret") -> list[tuple[str, str | None, bool]]:
    return [
        ("onehop/keys/gpu1", key, True),
        ("onehop/rules.yml", RULES, False),
        ("prometheus.yml", text, False),
    ]


def test_a_whole_configuration_and_its_end(double: Double, config: Path) -> None:
    foretold = prometheus(double, config, check_mode=True)
    assert foretold.bring(files(), []) is True
    assert (config.read_text(), double.verbs) == (FOREIGN, [])
    done = prometheus(double, config)
    assert done.bring(files(), []) is True
    assert [one["after_header"] for one in foretold.diffs] == [
        one["after_header"] for one in done.diffs
    ]
    assert "secret\n" not in str([one["after"] for one in done.diffs if "keys/" in str(one)][1:])
    assert double.verbs == ["reload"]
    key = config.parent / "onehop" / "keys" / "gpu1"
    assert (oct(key.stat().st_mode)[-3:], oct(key.parent.stat().st_mode)[-3:]) == ("640", "750")
    assert prometheus(double, config).bring(files(), []) is False
    # A key that is not asked for now stays; another one needs no reload.
    assert prometheus(double, config).bring(files(key=None), []) is False
    assert prometheus(double, config).bring(files(key="other"), []) is True
    assert (key.read_text(), double.verbs) == ("other", ["reload"])
    assert prometheus(double, config, check_mode=True).remove() is True
    assert config.read_text() == GOOD
    assert prometheus(double, config).remove() is True
    assert (config.read_text(), double.verbs) == (FOREIGN, ["reload", "reload"])
    assert [path.name for path in config.parent.iterdir()] == ["prometheus.yml"]
    assert prometheus(double, config).remove() is False


def test_a_run_that_died_before_the_reload_is_repaired(double: Double, config: Path) -> None:
    prometheus(double, config).bring(files(), [])
    double.read_at = os.stat(config).st_mtime - 1
    assert prometheus(double, config, check_mode=True).bring(files(), []) is True
    assert prometheus(double, config).bring(files(), []) is True
    double.state = "inactive"
    assert prometheus(double, config).bring(files(), []) is True
    assert double.verbs == ["reload", "reload", "start"]


def test_nothing_is_replaced_by_what_promtool_refuses(double: Double, config: Path) -> None:
    with pytest.raises(_prometheus.PrometheusError, match=r"Nothing was replaced"):
        prometheus(double, config).bring(files('{"scrape_config": []}\n'), [])
    assert (config.read_text(), double.verbs) == (FOREIGN, [])
    assert not (config.parent / "onehop").exists()


def test_a_configuration_that_does_not_name_ours_is_refused(double: Double, config: Path) -> None:
    wanted = [
        ("onehop/scrape.yml", f'{{"scrape_configs": [{JOB}]}}\n', False),
        ("onehop/rules.yml", RULES, False),
    ]
    for text in (
        FOREIGN,
        "# scrape_config_files: [onehop/scrape.yml]\n# rule_files: [onehop/rules.yml]\n",
        "rule_files: [onehop/rules.yml]\n",
    ):
        config.write_text(text)
        said = (
            r"does not read what this role writes. Add scrape_config_files: \[onehop/scrape.yml\]"
        )
        with pytest.raises(_prometheus.PrometheusError, match=said.replace("Add ", "Add .*")):
            prometheus(double, config, check_mode=True).bring(wanted, [])
    config.write_text(
        f"scrape_config_files: ['onehop/*.yml']\nrule_files:\n  - {config.parent}/onehop/rules.yml\n"
    )
    assert prometheus(double, config, check_mode=True).bring(wanted, []) is True


def test_what_others_wrote_badly_puts_everything_back(double: Double, config: Path) -> None:
    """The copy that is checked first holds only what is ours."""
    config.write_text("no_such_key: 1\n")
    others = prometheus(double, config)
    others._refuse_unread = lambda *dummy: None
    with pytest.raises(_prometheus.PrometheusError, match=r"Everything is as it was before"):
        others.bring([("onehop/rules.yml", RULES, False)], [])
    assert not (config.parent / "onehop" / "rules.yml").exists()
    assert double.verbs == []


def test_keys_that_are_put_back_are_as_closed_as_before(double: Double, config: Path) -> None:
    """One that another value takes the place of, one that goes, and one that is gone already."""
    group = grp.getgrnam("adm")
    ours = [("onehop/rules.yml", RULES, False)]
    keys = [(f"onehop/keys/{name}", "secret", True) for name in ("gpu1", "gpu2", "gpu3")]
    config.write_text("rule_files: [onehop/rules.yml]\n")
    found = prometheus(double, config)
    found.group = group.gr_name
    found.bring(ours + keys, [])
    home = config.parent / "onehop" / "keys"
    (home / "gpu3").unlink()
    config.write_text("rule_files: [onehop/rules.yml]\nno_such_key: 1\n")
    with pytest.raises(_prometheus.PrometheusError, match=r"Everything is as it was before"):
        found.bring([*ours, ("onehop/keys/gpu1", "other", True)], [])
    for name in ("gpu1", "gpu2"):
        state = (home / name).stat()
        assert (home / name).read_text() == "secret"
        assert (state.st_mode & 0o777, state.st_gid) == (0o640, group.gr_gid)
    assert not (home / "gpu3").exists()
    config.write_text("rule_files: [onehop/rules.yml]\n")
    found.bring([*ours, ("onehop/keys/gpu1", "other", True)], [])
    assert [path.name for path in home.iterdir()] == ["gpu1"]


def test_a_configuration_that_somebody_wrote_over_is_theirs(double: Double, config: Path) -> None:
    prometheus(double, config).bring(files(), [])
    theirs = "rule_files: [onehop/rules.yml]\n"
    config.write_text(theirs)
    assert prometheus(double, config).bring(files()[:2], []) is True
    assert prometheus(double, config).bring(files()[:2], []) is False
    assert config.read_text() == theirs
    prometheus(double, config).remove()
    kept = config.parent / (config.name + _prometheus.KEPT)
    assert (config.read_text(), kept.read_text()) == (theirs, FOREIGN)


def test_a_configuration_of_ours_makes_way_for_the_former(double: Double, config: Path) -> None:
    config.write_text("rule_files: [onehop/rules.yml]\n")
    prometheus(double, config).bring(files(), [])
    prometheus(double, config).bring(files()[:2], [])
    assert config.read_text() == "rule_files: [onehop/rules.yml]\n"
    assert prometheus(double, config).bring(files()[:2], []) is False


def test_dashboards_and_what_goes(double: Double, config: Path, tmp_path: Path) -> None:
    board = str(tmp_path / "grafana" / "a.json")
    done = prometheus(double, config)
    done.bring(files(), [(board, '{"uid": "a"}')])
    told = [one for one in done.diffs if one["after_header"] == board]
    assert told[0]["after"].startswith("(a program of onehop.llm, SHA-256 ")
    assert prometheus(double, config).bring(files(), []) is True
    assert not Path(board).exists()
