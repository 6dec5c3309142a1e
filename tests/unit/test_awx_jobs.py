# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario controllers rests on tests/e2e/awx_jobs.py: what it lays out, and that it finds what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import awx_jobs

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "molecule" / "controllers"
FILES = sorted((SCENARIO / "jobs").glob("*.yml"))
SITE = {"inventory": {"all": {"children": []}, "_meta": {"hostvars": {"gpu1": {}}}}}


def test_every_template_is_launched() -> None:
    jobs = [job["template"] for path in FILES for job in yaml.safe_load(path.read_text())["jobs"]]
    assert set(jobs) == set(awx_jobs.data("controller_templates"))


def test_every_type_of_credential_is_injected() -> None:
    given = [yaml.safe_load(path.read_text()).get("credentials", {}) for path in FILES]
    types = {name for one in given for name in one}
    assert types == set(awx_jobs.data("controller_credential_types"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_secrets_that_are_given_are_looked_for(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    given = [job["become_password"] for job in found["jobs"] if "become_password" in job]
    given += [
        job["answers"]["smoke_key"]
        for job in found["jobs"]
        if "smoke_key" in job.get("answers", {})
    ]
    assert set(given) <= set(found["secrets"])


def test_what_a_job_is_given(tmp_path: Path) -> None:
    job = awx_jobs.Job(
        "OneHop: check", limit="gpu1", answers={"survey_router_port": "8081"}, become_password="x"
    )
    token = {"OneHop: Hugging Face token": {"token": "hf_{{ text }}"}}
    awx_jobs.lay_out(tmp_path / "job", 7, job, SITE, token)
    env = tmp_path / "job" / "env"
    assert (env / "cmdline").read_text() == (
        f"--check -u admin --become --diff --ask-become-pass -l gpu1 -e @{env}/tmp0"
    )
    extra_vars = (env / "extravars").read_text()
    assert "!unsafe 'survey_router_port': !unsafe '8081'" in extra_vars
    assert "!unsafe 'survey_vllm_tag': !unsafe ''" in extra_vars
    assert "!unsafe 'tower_job_id': 7" in extra_vars
    assert (env / "tmp0").read_text() == "!unsafe 'onehop_hub_token': !unsafe 'hf_{{ text }}'\n"
    assert (tmp_path / "job" / "project" / awx_jobs.playbook(job)).is_file()
    job = awx_jobs.Job("OneHop: check", answers={"nonsense": ""})
    with pytest.raises(ValueError, match="does not ask for nonsense"):
        awx_jobs.lay_out(tmp_path / "other", 7, job, SITE, {})


def event(kind: str = "runner_on_ok", **data: Any) -> dict[str, Any]:
    return {"event": kind, "stdout": "", "event_data": data}


GOOD = [event(host="gpu1", res={"a": ["b"]}), event("playbook_on_stats", changed={"gpu1": 0})]


@pytest.mark.parametrize(
    ("events", "output", "wrong"),
    [
        ([], "done", []),
        ([event(task="T", res={"a": ["is s3cret!"]})], "", ["stands in runner_on_ok of: T"]),
        ([event("playbook_on_stats", changed={"gpu1": 1})], "", ["changed {'gpu1': 1}"]),
        ([event(host="gpu2")], "", ["tells of ['gpu1', 'gpu2']"]),
        ([], "the s3cret", ["stands in the output"]),
        ([], "oops", ["says: oops"]),
    ],
)
def test_what_is_wrong_is_found(events: list[Any], output: str, wrong: list[str]) -> None:
    job = awx_jobs.Job("OneHop: status", hosts=["gpu1"], changed=False, omits=["oops"])
    found = awx_jobs.complaints(job, "successful", GOOD + events, output, ["s3cret"])
    assert len(found) == len(wrong)
    for part, sentence in zip(wrong, found, strict=True):
        assert part in sentence


def test_a_secret_in_what_is_left_behind_is_found(tmp_path: Path) -> None:
    place = tmp_path / "artifacts" / "1" / "fact_cache"
    place.mkdir(parents=True)
    (place / "gpu1").write_text(json.dumps({"key": "s3cret"}))
    assert len(awx_jobs.left_behind(tmp_path, ["s3cret"])) == 1
    assert awx_jobs.left_behind(tmp_path, ["another"]) == []
