# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that applies all of ours to a controller, against a stand-in of its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standin_controller import PASSWORD, TOKEN, Server
from standin_controller_objects import FIELDS, Controller

from ansible_collections.onehop.llm.plugins.module_utils._awx_objects import Objects
from ansible_collections.onehop.llm.plugins.module_utils._controller_api import Api, ApiError
from ansible_collections.onehop.llm.plugins.plugin_utils import _awx
from tooling import controller_fields

from .playbooks import ROOT, play

WORKFLOW = "OneHop: plan, approve, deploy, smoke test"
PLAYBOOK = ROOT / "playbooks" / "awx.yml"


@pytest.fixture(autouse=True)
def _no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible reads all of the system's for each request, which takes far longer than the request."""
    monkeypatch.setattr("ssl.SSLContext.load_default_certs", lambda *dummy: None)


def furnish(controller: Controller) -> None:
    """What a controller has before we come."""
    organization = controller.add("organizations", name="Default")
    other = controller.add("organizations", name="Other")
    controller.add("projects", name="OneHop", organization=other)
    controller.add("projects", name="OneHop", organization=organization)
    controller.add("inventories", name="Fleet", organization=organization)
    for kind in range(901, 905):
        controller.add("credentials", name=f"key-{kind}", credential_type=kind)
    # Enough of others' that ours are on another page.
    for number in range(5):
        controller.add("job_templates", name=f"Somebody's {number}", organization=organization)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        furnish(server.controller)
        yield server


def apply(place: Path, server: Server, *words: str, **told: Any) -> tuple[int, str]:
    told = {"awx_host": server.url, "awx_token": TOKEN, **told}
    (place / "told.json").write_text(json.dumps({k: v for k, v in told.items() if v is not None}))
    run = play(place, PLAYBOOK, {}, "-e", f"@{place}/told.json", *words)
    shown = run.stdout + run.stderr
    assert TOKEN not in shown and PASSWORD not in shown
    return run.returncode, shown


def ours(**names: Any) -> dict[str, list[dict[str, Any]]]:
    """All that is declared."""
    told = _awx.Names(**names)
    return {
        "credential_types": _awx.credential_types(),
        "job_templates": _awx.templates(told),
        "workflow_job_templates": _awx.workflows(told),
    }


def bring(
    server: Server,
    declared: dict[str, list[dict[str, Any]]],
    *,
    check: bool = False,
    absent: bool = False,
    **login: Any,
) -> list[dict[str, Any]]:
    """The module's work without Ansible around it: its diff."""
    objects = Objects(Api(server.url, **(login or {"token": TOKEN})), check)
    (objects.absent if absent else objects.present)(declared)
    return objects.diffs


def refused(server: Server, declared: dict[str, list[dict[str, Any]]], **how: Any) -> str:
    with pytest.raises(ApiError) as caught:
        bring(server, declared, **how)
    return str(caught.value)


def test_it_is_foretold_made_and_then_left_alone(server: Server, tmp_path: Path) -> None:
    controller = server.controller
    status, foretold = apply(tmp_path, server, "--check", "--diff")
    assert status == 0, foretold
    assert "changed=1" in foretold and "OneHop: deploy" in foretold
    assert controller.writes == []

    status, shown = apply(tmp_path, server, "--diff")
    assert status == 0, shown
    assert lines_of(shown) == lines_of(foretold)
    assert "changed=1" in shown

    made = len(controller.writes)
    status, shown = apply(tmp_path, server)
    assert status == 0 and "changed=0" in shown, shown
    assert len(controller.writes) == made

    deploy = controller.named("job_templates", "OneHop: deploy")
    assert deploy["ask_job_type_on_launch"] and deploy["ask_limit_on_launch"]
    assert deploy["playbook"] == "extensions/patterns/onehop/playbooks/deploy.yml"
    project = controller.objects["projects"][deploy["project"]]
    assert controller.objects["organizations"][project["organization"]]["name"] == "Default"
    survey = controller.surveys["job_templates", deploy["id"]]
    assert "survey_vllm_models" in [one["variable"] for one in survey["spec"]]
    check_workflow(controller)


def check_workflow(controller: Controller) -> None:
    place = "workflow_job_template_nodes"
    nodes = {one["identifier"]: one["id"] for one in controller.objects[place].values()}
    names = {number: name for name, number in nodes.items()}
    shown = {name: controller.show(place, number) for name, number in nodes.items()}
    after = {name: [names[one] for one in node["success_nodes"]] for name, node in shown.items()}
    assert after == {
        "plan": ["check"],
        "check": ["approve"],
        "approve": ["deploy"],
        "deploy": ["smoke"],
        "smoke": [],
    }
    template = shown["approve"]["summary_fields"]["unified_job_template"]
    assert template["unified_job_type"] == "workflow_approval"
    assert not any(node["failure_nodes"] or node["always_nodes"] for node in shown.values())


def lines_of(shown: str) -> list[str]:
    """The diff alone."""
    return [line for line in shown.split("\n") if line.startswith(("+", "-"))]


def test_what_was_changed_by_hand_is_mended(server: Server) -> None:
    controller = server.controller
    declared = ours(credentials=["key-901", "key-902"], inventory="Fleet")
    bring(server, declared)
    deploy = controller.named("job_templates", "OneHop: deploy")
    keys = controller.associated["job_templates", deploy["id"], "credentials"]
    wanted = list(keys)
    keys.pop()
    keys.append(controller.named("credentials", "key-904")["id"])
    controller.objects["job_templates"][deploy["id"]]["ask_limit_on_launch"] = False
    controller.surveys["job_templates", deploy["id"]]["spec"].pop()
    nodes = controller.objects["workflow_job_template_nodes"]
    (approve,) = [n for n, one in nodes.items() if one["identifier"] == "approve"]
    controller.remove("workflow_job_template_nodes", approve)
    workflow = controller.named("workflow_job_templates", WORKFLOW)["id"]
    stranger = {"identifier": "more", "workflow_job_template": workflow}
    controller.make("workflow_job_template_nodes", stranger)

    before = len(controller.writes)
    foretold = bring(server, declared, check=True)
    assert len(controller.writes) == before
    assert bring(server, declared) == foretold
    told = {one["after_header"]: (one["before"], one["after"]) for one in foretold}
    assert list(told) == [
        "job template OneHop: deploy",
        "job template OneHop: deploy: survey",
        f"workflow {WORKFLOW}: node more",
        f"workflow {WORKFLOW}: node approve",
        f"workflow {WORKFLOW}: node approve: approval",
        f"workflow {WORKFLOW}: node check",
    ]
    assert len(foretold) == 8
    assert sorted(keys) == sorted(wanted)
    check_workflow(controller)
    assert bring(server, declared) == []


def test_a_node_that_is_another_kind_is_made_anew(server: Server) -> None:
    declared = ours()
    bring(server, declared)
    nodes = declared["workflow_job_templates"][0]["simplified_workflow_nodes"]
    nodes[2] = {
        "identifier": "approve",
        "unified_job_template": "OneHop: status",
        "failure_nodes": ["smoke"],
        "success_nodes": ["deploy"],
    }
    foretold = bring(server, declared, check=True)
    assert bring(server, declared) == foretold
    assert bring(server, declared) == []


def test_it_goes_again_and_leaves_the_others(server: Server) -> None:
    controller = server.controller
    before = {name: len(kept) for name, kept in controller.objects.items()}
    bring(server, ours())
    foretold = bring(server, ours(), check=True, absent=True)
    assert bring(server, ours(), absent=True) == foretold
    assert len(foretold) == 11
    after = {name: len(kept) for name, kept in controller.objects.items()}
    assert {**after, "workflow_approval_templates": 0} == before
    assert bring(server, ours(), absent=True) == []


def test_a_credential_type_in_use_stays_and_the_error_says_which(server: Server) -> None:
    controller = server.controller
    bring(server, ours())
    kind = controller.named("credential_types", "OneHop: registry login")["id"]
    controller.add("credentials", name="docker", credential_type=kind)
    said = refused(server, ours(), absent=True)
    assert said == (
        f"credential type OneHop: registry login: DELETE /api/v2/credential_types/{kind}/ answered 403: "
        "Credential types that are in use cannot be deleted."
    )
    assert list(controller.objects["credential_types"]) == [kind]


def test_every_name_that_is_not_there_is_told_before_anything_is_written(server: Server) -> None:
    names = {"organization": "Nobody", "inventory": "None", "project": "Gone"}
    said = refused(server, ours(credentials=["lost"], **names)).split("\n")
    for line in (
        "job template OneHop: deploy: organization = Nobody: the controller has none of this name "
        "among its organizations.",
        "job template OneHop: status: project = Gone: the controller has none of this name among its "
        "projects.",
        "job template OneHop: remove: credentials = lost: the controller has none of this name among "
        "its credentials.",
        f"workflow {WORKFLOW}: inventory = None: the controller has none of this name among its "
        "inventories.",
    ):
        assert line in said
    assert server.controller.writes == []


MINE = {"name": "Mine", "project": "OneHop", "organization": "Default", "playbook": "x.yml"}


@pytest.mark.parametrize(
    ("endpoint", "declared", "said"),
    [
        (
            "job_templates",
            {**MINE, "ask_limit_on_lunch": True},
            "job template Mine: ask_limit_on_lunch: the controller does not know this field.",
        ),
        (
            "job_templates",
            {"project": "OneHop"},
            "job template (without a name): name: is missing.",
        ),
        (
            "job_templates",
            {**MINE, "credentials": "key-901"},
            "job template Mine: credentials = key-901: is not a list of names.",
        ),
        (
            "credential_types",
            {"name": "Mine", "kind": "cloud", "credentials": []},
            "credential type Mine: credentials: a credential type has none.",
        ),
    ],
)
def test_what_is_no_object(
    server: Server, endpoint: str, declared: dict[str, Any], said: str
) -> None:
    assert refused(server, {endpoint: [declared]}) == said
    assert server.controller.writes == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "inventory: Job Template must provide 'inventory' or allow prompting for it"),
        ({"job_type": "scan"}, 'job_type: "scan" is not a valid choice.'),
        ({"verbosity": "loud"}, "verbosity: Not a valid int."),
    ],
)
def test_what_the_controller_refuses_is_told_with_object_and_field(
    server: Server, more: dict[str, Any], said: str
) -> None:
    told = refused(server, {"job_templates": [{**MINE, **more}]})
    assert told.startswith("job template Mine: POST /api/v2/job_templates/ answered 400: ")
    assert said in told


def test_nodes_that_lead_nowhere(server: Server) -> None:
    nodes = [
        {"identifier": "a", "unified_job_template": "OneHop: plan", "success_nodes": ["z"]},
        {"identifier": "b", "unified_job_template": "Unheard of"},
        {"identifier": "c"},
        {"identifier": "d", "approval_node": {"name": "d", "timeut": 5}},
        {"identifier": "e", "unified_job_template": "OneHop: plan", "limits": "x"},
    ]
    flow = {"name": "Flow", "organization": "Default", "simplified_workflow_nodes": nodes}
    said = refused(server, {**ours(), "workflow_job_templates": [flow]}).split("\n")
    assert said == [
        "workflow Flow: node b: unified_job_template = Unheard of: the controller has 0 of this name.",
        "workflow Flow: node c: wants either unified_job_template or approval_node.",
        "workflow Flow: node d: approval_node.timeut: is no field of an approval.",
        "workflow Flow: node e: limits: the controller does not know this field.",
        "workflow Flow: node a: success_nodes = z: no node is called so.",
    ]
    assert server.controller.writes == []


def test_behind_a_gateway_and_with_a_password() -> None:
    with Server(gateway=True) as server:
        furnish(server.controller)
        bring(server, ours(), username="admin", password=PASSWORD)
        made = server.controller.named("job_templates", "OneHop: smoke test")
        api = Api(server.url, username="admin", password=PASSWORD)
        named = api.get("job_templates/OneHop:%20smoke%20test++Default/")
        assert named == api.get(f"job_templates/{made['id']}/") == made


def test_who_may_not(server: Server) -> None:
    said = refused(server, ours(), token="a-wrong-one").split("\n")
    assert "answered 401: Authentication credentials were not provided" in said[0]


def test_extra_variables_and_hidden_defaults_are_left_alone(server: Server) -> None:
    question = {
        "question_name": "Key",
        "question_description": "",
        "required": False,
        "type": "password",
        "variable": "key",
        "default": "sesame",
    }
    mine = {
        **MINE,
        "ask_inventory_on_launch": True,
        "extra_vars": {"b": 1, "a": [True]},
        "survey_spec": {"name": "", "description": "", "spec": [question]},
    }
    made = bring(server, {"job_templates": [mine]})
    assert "sesame" not in json.dumps(made)
    kept = server.controller.named("job_templates", "Mine")["id"]
    server.controller.objects["job_templates"][kept]["extra_vars"] = '{"a":[true],"b":1}'
    assert bring(server, {"job_templates": [mine]}) == []
    mine["survey_spec"] = {}
    assert [one["after_header"] for one in bring(server, {"job_templates": [mine]})] == [
        "job template Mine: survey"
    ]
    assert bring(server, {"job_templates": [mine]}) == []


def test_its_own_client_reads_what_was_applied(server: Server) -> None:
    """awxkit, as the command awx uses it: pages, related objects, surveys, nodes."""
    from awxkit import config
    from awxkit.api import ApiV2
    from awxkit.api.client import Connection

    bring(server, ours())
    config.base_url = server.url
    connection = Connection(server.url)
    connection.session.headers["Authorization"] = f"Bearer {TOKEN}"
    v2 = ApiV2(connection, endpoint="/api/v2/").get()
    found = v2.job_templates.get(all_pages=True).results
    assert "OneHop: deploy" in [one.name for one in found]
    (deploy,) = v2.job_templates.get(name="OneHop: deploy").results
    survey = deploy.related.survey_spec.get()
    assert survey.get_required_vars() == []
    assert survey.get_variable_default("survey_vllm_enable") == "as in the inventory"
    (workflow,) = v2.workflow_job_templates.get(name=WORKFLOW).results
    nodes = workflow.related.workflow_nodes.get(all_pages=True).results
    assert [one.identifier for one in nodes] == ["plan", "check", "approve", "deploy", "smoke"]
    approval = nodes[2].related.unified_job_template.get()
    assert (approval.name, approval.timeout) == ("OneHop: approve the deployment", 86400)


@pytest.mark.parametrize(
    ("endpoint", "field", "value"),
    [
        ("job_templates", "ask_limit_on_lunch", True),
        ("job_templates", "become_enabled", "yes"),
        ("job_templates", "job_type", "scan"),
        ("job_templates", "project", 4711),
        ("workflow_job_templates", "project", 1),
        ("workflow_job_template_nodes", "approval_node", {}),
        ("credential_types", "kind", "machine"),
    ],
)
def test_the_standin_refuses_what_no_client_documents(
    server: Server, endpoint: str, field: str, value: Any
) -> None:
    with pytest.raises(ApiError, match=f"answered 400: .*{field}: "):
        Api(server.url, token=TOKEN).post(f"{endpoint}/", {"name": "x", field: value})


@pytest.mark.parametrize("endpoint", controller_fields.PAGES)
def test_the_standin_knows_what_its_client_sends(endpoint: str) -> None:
    """Held to the awxkit that is installed; awx.awx is not, and was read when the table was made."""
    sent = controller_fields.of_awxkit(*controller_fields.PAGES[endpoint])
    assert set(sent) <= set(FIELDS[endpoint]["fields"])
