# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an AWX or automation controller has of ours: credential types, job templates, a workflow.

As data in the shape that people keep in git: the lists ``controller_credential_types``,
``controller_templates`` and ``controller_workflows`` of the collection infra.aap_configuration.

This plugin util is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _questions

DEPLOY = (
    "llama_cpp_models",
    "llama_cpp_enable",
    "vllm_models",
    "vllm_tag",
    "vllm_enable",
    "sglang_models",
    "sglang_tag",
    "sglang_enable",
    "router_models",
    "router_host",
    "router_port",
    "router_hold_seconds",
    "router_max_concurrent_requests",
)
"""The variables that a deployment is asked for: what operators change from one run to the next."""

PLAYBOOKS = {
    "deploy": "site",
    "plan": "plan",
    "status": "status",
    "smoke": "smoke",
    "rotate": "rotate",
    "remove": "remove",
}
"""Playbooks of ours by the file of a project that imports each."""

_LAUNCH = ("inventory", "limit", "verbosity", "credential")


@dataclass(frozen=True)
class Names:
    """What the controller has already and templates refer to; an empty text is nothing."""

    organization: str = "Default"
    project: str = "OneHop"
    inventory: str = ""
    execution_environment: str = ""
    credentials: list[str] | str = ""
    playbooks: str = "extensions/patterns/onehop/playbooks"


def credential_types() -> list[dict[str, Any]]:
    """Secrets that a job gets as extra variables, which ``_answers.py`` and the roles understand.

    No file is injected: its path lies on the controller and is another one for each job. All values
    are texts, since older controllers take nothing else.
    """
    return [
        _credential_type(
            "OneHop: Hugging Face token",
            "Fetches gated and private weights, in place of llama_cpp_hub_token, vllm_hub_token and "
            "sglang_hub_token.",
            [_secret("token", "Token", "A token that may read the repositories.")],
            {"onehop_hub_token": "{{ token }}"},
        ),
        _credential_type(
            "OneHop: registry login",
            "Pulls images of engines, beside vllm_registries and sglang_registries.",
            [
                _field("registry", "Registry", "Its name, such as docker.io."),
                _field("username", "Username", "The account's name."),
                _secret("password", "Password or token", "Of this account."),
            ],
            {
                "onehop_registry": "{{ registry }}",
                "onehop_registry_username": "{{ username }}",
                "onehop_registry_password": "{{ password }}",
            },
        ),
        _credential_type(
            "OneHop: router credentials",
            "Keys of clients and of hosted providers, beside router_credentials.",
            [
                _secret(
                    "credentials",
                    "Credentials",
                    "A line for each secret, NAME: SECRET, where the name is one of those that "
                    "router_client_keys and router_models refer to.",
                    multiline=True,
                )
            ],
            {"onehop_router_credentials": "{{ credentials }}"},
        ),
    ]


def _credential_type(
    name: str, doc: str, fields: list[dict[str, Any]], variables: dict[str, str]
) -> dict[str, Any]:
    return {
        "name": name,
        "description": doc,
        "kind": "cloud",
        "inputs": {"fields": fields, "required": [field["id"] for field in fields]},
        "injectors": {"extra_vars": variables},
    }


def _field(name: str, label: str, doc: str) -> dict[str, Any]:
    return {"id": name, "label": label, "type": "string", "help_text": doc}


def _secret(name: str, label: str, doc: str, *, multiline: bool = False) -> dict[str, Any]:
    lines = {"multiline": True} if multiline else {}
    return {**_field(name, label, doc), "secret": True, **lines}


def templates(names: Names) -> list[dict[str, Any]]:
    """Job templates.

    The job type of a deployment is asked at launch, so that one template tries and does. A check has
    a template of its own beside it, which can do nothing else: for schedules that look for drift, and
    for people who may look and not touch, as a right to launch is one to choose the job type.
    """
    return [
        {
            **_template(names, "deploy", "Brings hosts to what the inventory declares."),
            "ask_job_type_on_launch": True,
            "ask_diff_mode_on_launch": True,
            **_survey("deploy", *_deploy_questions()),
        },
        {
            **_template(names, "check", "Tells what a deployment would change.", playbook="deploy"),
            "job_type": "check",
            "diff_mode": True,
            **_survey("check", *_deploy_questions()),
        },
        {
            **_template(
                names, "plan", "Shows what would run where, without a connection to any host."
            ),
            "become_enabled": False,
            "allow_simultaneous": True,
            **_survey("plan", *_plan_questions(), *_deploy_questions()),
        },
        {
            **_template(names, "status", "Shows how every worker and router is doing."),
            "allow_simultaneous": True,
        },
        {
            **_template(
                names, "smoke", "Asks every route of each router for one tiny answer.", "smoke test"
            ),
            "allow_simultaneous": True,
            **_survey("smoke test", *_smoke_questions()),
        },
        {
            **_template(names, "rotate", "Gives routers and edges new keys and certificates."),
            **_survey("rotate", *_rotate_questions()),
        },
        {
            **_template(names, "remove", "Removes all that this collection made on the hosts."),
            "ask_job_type_on_launch": True,
            "ask_diff_mode_on_launch": True,
            **_survey("remove", *_remove_questions()),
        },
    ]


def title(name: str) -> str:
    """The name of a template or a workflow."""
    return f"OneHop: {name}"


def _template(
    names: Names, name: str, doc: str, called: str = "", *, playbook: str = ""
) -> dict[str, Any]:
    return {
        "name": title(called or name),
        "description": doc,
        "organization": names.organization,
        "project": names.project,
        "inventory": names.inventory,
        "execution_environment": names.execution_environment,
        "credentials": names.credentials or [],
        "playbook": f"{names.playbooks}/{playbook or name}.yml",
        "job_type": "run",
        "become_enabled": True,
        **{f"ask_{what}_on_launch": True for what in _LAUNCH},
    }


def _survey(name: str, *questions: dict[str, Any]) -> dict[str, Any]:
    return {
        "survey_enabled": True,
        "survey_spec": _questions.specification(title(name), list(questions)),
    }


def _deploy_questions() -> list[dict[str, Any]]:
    known = _questions.options()
    return [_questions.about(known[name]) for name in DEPLOY]


def _plan_questions() -> list[dict[str, Any]]:
    return [
        _questions.text(
            "plan_models",
            "Models",
            "Names of models, with commas between them; all of them and the routers unless given.",
        ),
        _questions.choice("plan_units", "Show the files of units", "", ["true", "false"]),
        _questions.text(
            "plan_podman",
            "Version of Podman",
            "What hosts that run containers have, such as 4.9.3; a new one unless given.",
        ),
    ]


def _smoke_questions() -> list[dict[str, Any]]:
    return [
        _questions.text(
            "smoke_models",
            "Models",
            "Names of models, with commas between them; every route unless given.",
        ),
        _questions.password(
            "smoke_key",
            "Client's key",
            "For routers that want one, if it is not among their credentials.",
        ),
        _questions.number(
            "smoke_timeout", "Seconds", "How long an answer may take.", 120, (1, 3600)
        ),
    ]


def _rotate_questions() -> list[dict[str, Any]]:
    doc = "How long the old and the new are both valid: as long as a router holds a request."
    return [_questions.number("rotate_wait", "Seconds", doc, 45, (0, 3600))]


def _remove_questions() -> list[dict[str, Any]]:
    return [
        _questions.choice(
            "remove_caches",
            "Remove weights too",
            "They stay unless told otherwise, and their size is shown.",
            ["false", "true"],
        )
    ]


def workflows(names: Names) -> list[dict[str, Any]]:
    """Plan, check, wait for a person, deploy, ask every model.

    A step that fails ends the workflow, which has failed then: no path leads on from a failure, since
    AWX would call it handled.
    """
    return [
        {
            "name": title("plan, approve, deploy, smoke test"),
            "description": "Shows what would change, waits for approval, deploys, asks every model.",
            "organization": names.organization,
            "inventory": names.inventory,
            "ask_inventory_on_launch": True,
            "ask_limit_on_launch": True,
            "allow_simultaneous": False,
            **_survey("plan, approve, deploy, smoke test", *_deploy_questions()),
            "simplified_workflow_nodes": [
                _node("plan", title("plan"), "check"),
                _node("check", title("check"), "approve"),
                {
                    "identifier": "approve",
                    "approval_node": {
                        "name": title("approve the deployment"),
                        "description": "Read what plan and check say, then approve or deny.",
                        "timeout": 86400,
                    },
                    "success_nodes": ["deploy"],
                },
                _node("deploy", title("deploy"), "smoke"),
                _node("smoke", title("smoke test")),
            ],
        }
    ]


def _node(name: str, template: str, then: str = "") -> dict[str, Any]:
    node: dict[str, Any] = {"identifier": name, "unified_job_template": template}
    return {**node, "success_nodes": [then]} if then else node
