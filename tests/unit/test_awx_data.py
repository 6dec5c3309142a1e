# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept in git for AWX: templates, surveys, credential types, workflow and pattern."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import yaml
from galaxy_importer import config, constants
from galaxy_importer.file_parser import PatternsParser
from galaxy_importer.finder import PatternsFinder
from galaxy_importer.loaders.content import PatternsLoader
from standin_controller_checks import check_credential_type, check_survey

from ansible_collections.onehop.llm.plugins.plugin_utils import _awx, _plan, _questions, _schema
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems
from tooling import awx

from .playbooks import ROOT

TEMPLATES = _awx.templates(_awx.Names())
SURVEYS = [one["survey_spec"] for one in TEMPLATES if "survey_spec" in one]
QUESTIONS = [question for survey in SURVEYS for question in survey["spec"]]


class _Loader(yaml.SafeLoader):
    """Reads what Ansible is to leave alone as the text that it is."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.mark.parametrize("survey", SURVEYS, ids=lambda one: one["name"])
def test_a_controller_takes_every_survey(survey: dict[str, Any]) -> None:
    check_survey(survey)


@pytest.mark.parametrize("kind", _awx.credential_types(), ids=lambda one: one["name"])
def test_a_controller_takes_every_credential_type(kind: dict[str, Any]) -> None:
    check_credential_type(kind)
    assert "file" not in kind["injectors"]
    assert any(field.get("secret") for field in kind["inputs"]["fields"])


@pytest.mark.parametrize("option", _questions.options().values(), ids=lambda one: one.name)
def test_every_variable_makes_a_question_that_may_be_left_alone(option: _schema.Option) -> None:
    question = _questions.about(option)
    check_survey(_questions.specification("x", [question]))
    assert not question["required"]
    assert question["default"] in ("", _questions.KEEP)
    assert question.get("min", 0) == 0


def test_secrets_are_not_asked_for_in_plain_text() -> None:
    assert not [name for name in _questions.options() if name.endswith(("_token", "_registries"))]
    assert "router_credentials" not in _questions.options()
    for question in QUESTIONS:
        if "key" in question["variable"].split("_"):
            assert question["type"] == "password"


def test_what_is_not_asked_is_what_roles_read_by_themselves() -> None:
    known = [option.name for option in _plan.known_options()]
    assert set(_questions.NOT_ASKED) <= set(known)


@pytest.mark.parametrize("name", _awx.DEPLOY)
def test_an_answer_of_each_question_reads_as_its_variable(name: str) -> None:
    """The first real choice of a question is a value of its variable."""
    question = _questions.about(_questions.options()[name])
    if question["type"] == "multiplechoice":
        option = _questions.options()[name]
        problems = Problems("h")
        for choice in question["choices"][1:]:
            _schema.read([option], {name: choice}, problems)
        assert not problems.found


def test_no_text_of_ours_is_a_template() -> None:
    """Ansible would render it, or the controller."""
    texts = json.dumps([SURVEYS, [one["description"] for one in TEMPLATES]])
    assert "{{" not in texts and "{%" not in texts


def test_the_files_say_what_the_tables_say() -> None:
    folder = ROOT / "playbooks" / "vars" / "awx"
    for name, data in awx.lists().items():
        found = yaml.load((folder / f"{name}.yml").read_text(), Loader=_Loader)
        assert found == {name: data}
    assert {path.stem for path in folder.iterdir()} == set(awx.lists())


def test_every_template_runs_a_playbook_that_is_there() -> None:
    for template in TEMPLATES:
        path = ROOT / template["playbook"]
        (play,) = yaml.safe_load(path.read_text())
        name = play["ansible.builtin.import_playbook"].rpartition(".")[2]
        assert (ROOT / "playbooks" / f"{name}.yml").is_file()


def test_the_variables_of_other_questions_are_those_of_their_playbooks() -> None:
    for template in TEMPLATES:
        play = yaml.safe_load((ROOT / template["playbook"]).read_text())[0]
        name = play["ansible.builtin.import_playbook"].rpartition(".")[2]
        text = (ROOT / "playbooks" / f"{name}.yml").read_text()
        for question in template.get("survey_spec", {"spec": []})["spec"]:
            if not question["variable"].startswith(_questions.PREFIX):
                assert question["variable"] in text


def test_a_check_can_do_nothing_else() -> None:
    (check,) = [one for one in TEMPLATES if one["name"] == "OneHop: check"]
    assert check["job_type"] == "check" and check["diff_mode"]
    assert "ask_job_type_on_launch" not in check
    (deploy,) = [one for one in TEMPLATES if one["name"] == "OneHop: deploy"]
    for what in ("job_type", "diff_mode", "limit", "verbosity", "inventory"):
        assert deploy[f"ask_{what}_on_launch"]


def test_the_answers_of_the_workflow_reach_its_jobs() -> None:
    """A node's job takes only what its own template asks for."""
    (workflow,) = _awx.workflows(_awx.Names())
    asked = {one["variable"] for one in workflow["survey_spec"]["spec"]}
    spec = {one["name"]: one.get("survey_spec", {"spec": []})["spec"] for one in TEMPLATES}
    for node in workflow["simplified_workflow_nodes"]:
        name = node.get("unified_job_template", "")
        if name in ("OneHop: plan", "OneHop: check", "OneHop: deploy"):
            assert asked <= {one["variable"] for one in spec[name]}


def test_galaxy_takes_the_pattern() -> None:
    """Found and parsed as galaxy-importer does it, with no warning."""
    complaints: list[str] = []
    log = logging.getLogger("pattern")
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    finder = PatternsFinder(str(ROOT), log)
    kind = constants.ContentType.PATTERNS
    found = list(finder.find_content(kind, str(ROOT / "extensions" / "patterns" / "onehop")))
    cfg = config.Config(config_data={})
    contents = [
        PatternsLoader(one.content_type, one.path, str(ROOT), "onehop.llm", cfg, log).load()
        for one in found
    ]
    (pattern,) = PatternsParser(str(ROOT), contents).get_meta_patterns()
    assert not complaints and not finder.omit_patterns
    templates = pattern["aap_resources"]["controller_job_templates"]
    assert [one["name"] for one in templates if one.get("primary")] == ["OneHop: deploy"]
    folder = ROOT / "extensions" / "patterns" / pattern["name"]
    for template in templates:
        assert (folder / "playbooks" / template["playbook"]).is_file()
    made = {
        yaml.safe_load(path.read_text())["name"] for path in (folder / "template_surveys").iterdir()
    }
    assert made == {one["survey"]["name"] for one in templates if "survey" in one}
