# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the stand-in of a controller, and what it takes as one."""

from __future__ import annotations

import copy
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from standin_controller_checks import Refused, check_credential_type, check_survey

FIELDS: dict[str, Any] = json.loads(
    Path(__file__).with_name("controller_fields.json").read_text(encoding="utf-8")
)
PAGE = 3
"""Objects on a page, however many are asked for: so that pages are needed."""
WRITABLE = tuple(FIELDS)
OTHERS = (
    *("organizations", "projects", "inventories", "execution_environments", "credentials"),
    *("labels", "instance_groups", "notification_templates"),
)
TYPES = {
    "credential_types": "credential_type",
    "job_templates": "job_template",
    "workflow_job_templates": "workflow_job_template",
    "workflow_job_template_nodes": "workflow_job_template_node",
    "workflow_approval_templates": "workflow_approval_template",
    "organizations": "organization",
    "projects": "project",
    "inventories": "inventory",
    "execution_environments": "execution_environment",
    "credentials": "credential",
    "labels": "label",
    "instance_groups": "instance_group",
    "notification_templates": "notification_template",
}
REFERENCES = {
    "organization": ("organizations",),
    "project": ("projects",),
    "inventory": ("inventories",),
    "execution_environment": ("execution_environments",),
    "webhook_credential": ("credentials",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": (
        "job_templates",
        "workflow_job_templates",
        "projects",
        "workflow_approval_templates",
    ),
}
LINKS = ("success_nodes", "failure_nodes", "always_nodes")
SURVEYS = ("job_templates", "workflow_job_templates")
KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "id": (int, type(None)),
    "str": (str, type(None)),
    "dict": (dict,),
    "list": (list,),
    "any": (object,),
}


class Controller:
    """The objects, by endpoint and id."""

    def __init__(self, *, gateway: bool = False) -> None:
        self.root = "/api/controller/v2/" if gateway else "/api/v2/"
        self.gateway = gateway
        self.objects: dict[str, dict[int, dict[str, Any]]] = {
            name: {} for name in (*WRITABLE, *OTHERS)
        }
        self.surveys: dict[tuple[str, int], dict[str, Any]] = {}
        self.associated: dict[tuple[str, int, str], list[int]] = {}
        self.requests: list[tuple[str, str]] = []
        self.last = 0
        self.lock = threading.Lock()

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were not for reading."""
        return [one for one in self.requests if one[0] not in ("GET", "OPTIONS")]

    def add(self, endpoint: str, **fields: Any) -> int:
        """Put an object there as a user of the web pages would have."""
        self.last += 1
        self.objects[endpoint][self.last] = {"id": self.last, **fields}
        return self.last

    def named(self, endpoint: str, name: str) -> dict[str, Any]:
        """The object as the API shows it."""
        (number,) = [n for n, one in self.objects[endpoint].items() if one["name"] == name]
        return self.show(endpoint, number)

    # Showing

    def show(self, endpoint: str, number: int) -> dict[str, Any]:
        kept = self.objects[endpoint][number]
        url = f"{self.root}{endpoint}/{number}/"
        shown = {
            name: _empty(said) for name, said in FIELDS.get(endpoint, {}).get("fields", {}).items()
        }
        shown |= copy.deepcopy(kept) | {"type": TYPES[endpoint], "url": url}
        related: dict[str, str] = {}
        summary: dict[str, Any] = {}
        for field, places in REFERENCES.items():
            if shown.get(field) is not None:
                place = next(one for one in places if shown[field] in self.objects[one])
                related[field] = f"{self.root}{place}/{shown[field]}/"
                other = self.objects[place][shown[field]]
                summary[field] = {"id": other["id"], "name": other["name"]}
                if field == "unified_job_template":
                    kind = TYPES[place].removesuffix("_template")
                    summary[field]["unified_job_type"] = kind.removesuffix("_job")
        for name in FIELDS.get(endpoint, {}).get("associations", ()):
            related[name] = f"{url}{name}/"
            if name in LINKS:
                shown[name] = list(self.associated.get((endpoint, number, name), ()))
        if endpoint in SURVEYS:
            related["survey_spec"] = f"{url}survey_spec/"
        if endpoint == "workflow_job_templates":
            related["workflow_nodes"] = f"{url}workflow_nodes/"
        if endpoint == "workflow_job_template_nodes":
            related["create_approval_template"] = f"{url}create_approval_template/"
        return {**shown, "related": related, "summary_fields": summary}

    def listed(self, endpoint: str, numbers: list[int], path: str, query: str) -> dict[str, Any]:
        """A page of objects."""
        asked = dict(parse_qsl(query))
        number = int(asked.pop("page", "1"))
        asked.pop("page_size", None)
        asked.pop("order_by", None)
        shown = [self.show(endpoint, one) for one in numbers]
        for field, value in asked.items():
            if shown and field not in shown[0]:
                title = TYPES[endpoint].title().replace("_", "")
                raise Refused(400, {"detail": f"{title} has no field named '{field}'"})
            shown = [one for one in shown if _text(one[field]) == value]
        pages = max(1, -(-len(shown) // PAGE))
        if not 1 <= number <= pages:
            raise Refused(404, {"detail": "Invalid page."})
        here = f"{path}?{urlencode({**asked, 'page': number + 1})}"
        return {
            "count": len(shown),
            "next": here if number < pages else None,
            "previous": None,
            "results": shown[(number - 1) * PAGE : number * PAGE],
        }

    def options(self, endpoint: str) -> dict[str, Any]:
        fields = {
            name: {"type": _api_type(said), "required": bool(said.get("required"))}
            | ({"choices": [[one, one] for one in said["choices"]]} if "choices" in said else {})
            for name, said in FIELDS.get(endpoint, {"fields": {}})["fields"].items()
        }
        return {"name": endpoint, "actions": {"POST": fields}, "search_fields": ["name"]}

    # Writing

    def make(self, endpoint: str, data: dict[str, Any]) -> int:
        self.check(endpoint, data)
        missing = [
            name
            for name, said in FIELDS[endpoint]["fields"].items()
            if said.get("required") and name not in data
        ]
        if missing:
            raise Refused(400, {name: ["This field is required."] for name in missing})
        self.check_whole(endpoint, data, None)
        return self.add(endpoint, **copy.deepcopy(data))

    def change(self, endpoint: str, number: int, data: dict[str, Any]) -> None:
        self.check(endpoint, data)
        self.check_whole(endpoint, {**self.objects[endpoint][number], **data}, number)
        self.objects[endpoint][number].update(copy.deepcopy(data))

    def check(self, endpoint: str, data: dict[str, Any]) -> None:
        """Each field for itself."""
        wrong: dict[str, list[str]] = {}
        known = FIELDS[endpoint]["fields"]
        for name, value in data.items():
            said = known.get(name)
            if said is None:
                wrong[name] = ["No client of this API documents the field."]
            elif not isinstance(value, KINDS[said["type"]]) or (
                isinstance(value, bool) and said["type"] not in ("bool", "any")
            ):
                wrong[name] = [f"Not a valid {said['type']}."]
            elif "choices" in said and value not in said["choices"]:
                wrong[name] = [f'"{value}" is not a valid choice.']
            elif said["type"] == "id" and value is not None and not self._is_there(name, value):
                wrong[name] = [f'Invalid pk "{value}" - object does not exist.']
        if wrong:
            raise Refused(400, wrong)

    def _is_there(self, field: str, number: int) -> bool:
        return any(number in self.objects[place] for place in REFERENCES[field])

    def check_whole(self, endpoint: str, whole: dict[str, Any], number: int | None) -> None:
        """What fields say of each other."""
        for other, one in self.objects[endpoint].items():
            keys = ["name", "organization"]
            if endpoint == "workflow_job_template_nodes":
                keys = ["identifier", "workflow_job_template"]
            if endpoint == "workflow_approval_templates" or other == number:
                continue
            if all(one.get(key) == whole.get(key) for key in keys):
                said = (
                    f"{TYPES[endpoint]} with this ({', '.join(keys)}) combination already exists."
                )
                raise Refused(400, {"__all__": [said]})
        if endpoint == "job_templates":
            self._check_template(whole)
        elif endpoint == "workflow_job_template_nodes":
            self._check_node(whole)
        elif endpoint == "credential_types":
            check_credential_type(whole)

    def _check_template(self, whole: dict[str, Any]) -> None:
        if not whole.get("project"):
            raise Refused(400, {"project": ["This field is required."]})
        if not whole.get("playbook"):
            raise Refused(400, {"playbook": ["Must select playbook for project."]})
        if not whole.get("inventory") and not whole.get("ask_inventory_on_launch"):
            said = "Job Template must provide 'inventory' or allow prompting for it."
            raise Refused(400, {"inventory": [said]})
        files = self.objects["projects"][whole["project"]].get("playbooks")
        if files is not None and whole["playbook"] not in files:
            raise Refused(400, {"playbook": ["Playbook not found for project."]})

    def _check_node(self, whole: dict[str, Any]) -> None:
        template = self.objects["job_templates"].get(whole.get("unified_job_template") or 0, {})
        for field in ("inventory", "limit", "job_type", "diff_mode", "verbosity"):
            if whole.get(field) and template and not template.get(f"ask_{field}_on_launch"):
                raise Refused(400, {field: ["Field is not configured to prompt on launch."]})

    def remove(self, endpoint: str, number: int) -> None:
        if endpoint == "credential_types":
            users = [
                one
                for one in self.objects["credentials"].values()
                if one.get("credential_type") == number
            ]
            if users:
                raise Refused(403, {"detail": "Credential types that are in use cannot be deleted"})
        del self.objects[endpoint][number]
        if endpoint == "workflow_job_templates":
            nodes = self.objects["workflow_job_template_nodes"]
            for node in [n for n, one in nodes.items() if one["workflow_job_template"] == number]:
                self.remove("workflow_job_template_nodes", node)
        for numbers in self.associated.values():
            if number in numbers:
                numbers.remove(number)

    def associate(self, endpoint: str, number: int, name: str, data: dict[str, Any]) -> None:
        place = endpoint if name in LINKS else name
        if name.startswith("notification_templates"):
            place = "notification_templates"
        if set(data) - {"id", "associate", "disassociate"} or not isinstance(data.get("id"), int):
            raise Refused(400, {"msg": '"id" is required to disassociate'})
        if data["id"] not in self.objects[place]:
            raise Refused(400, {"msg": f"{place} with id={data['id']} does not exist"})
        kept = self.associated.setdefault((endpoint, number, name), [])
        if data.get("disassociate"):
            kept.remove(data["id"])
            return
        if name == "credentials":
            kinds = [self.objects[place][one].get("credential_type") for one in kept]
            if self.objects[place][data["id"]].get("credential_type") in kinds:
                raise Refused(
                    400, {"error": "Cannot assign multiple credentials of the same type."}
                )
        if name in LINKS and self._leads_to(data["id"], number):
            raise Refused(400, {"Error": "Cycle detected."})
        kept.append(data["id"])

    def _leads_to(self, begin: int, end: int) -> bool:
        if begin == end:
            return True
        place = "workflow_job_template_nodes"
        after = [n for link in LINKS for n in self.associated.get((place, begin, link), ())]
        return any(self._leads_to(one, end) for one in after)

    def approve(self, number: int, data: dict[str, Any]) -> dict[str, Any]:
        """An approval for a node that has nothing to run yet."""
        node = self.objects["workflow_job_template_nodes"][number]
        if node.get("unified_job_template"):
            raise Refused(400, {"detail": "The node has a template already."})
        made = self.make("workflow_approval_templates", data)
        node["unified_job_template"] = made
        return self.show("workflow_approval_templates", made)

    def survey(self, endpoint: str, number: int, spec: dict[str, Any]) -> None:
        check_survey(spec)
        self.surveys[endpoint, number] = copy.deepcopy(spec)

    def shown_survey(self, endpoint: str, number: int) -> dict[str, Any]:
        spec = copy.deepcopy(self.surveys.get((endpoint, number), {}))
        for question in spec.get("spec", ()):
            if question["type"] == "password" and question.get("default"):
                question["default"] = "$encrypted$"
        return spec


def _empty(said: dict[str, Any]) -> Any:
    return {"bool": False, "int": 0, "dict": {}, "list": [], "id": None}.get(said["type"], "")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _api_type(said: dict[str, Any]) -> str:
    names = {"bool": "boolean", "int": "integer", "dict": "json", "str": "string", "any": "field"}
    return names.get(said["type"], said["type"])
