# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings credential types, job templates and workflows of a controller to what is declared.

All that is declared is looked at first, and nothing is written where anything of it cannot be: a
name that the controller does not have, or a field that it does not know. Check mode takes the same
way and leaves out the writing alone.

This module util is private to the collection.
"""

from __future__ import annotations

import json

from ansible_collections.onehop.llm.plugins.module_utils._awx_nodes import Nodes
from ansible_collections.onehop.llm.plugins.module_utils._controller_api import ApiError

KINDS = {
    "credential_types": "credential type",
    "job_templates": "job template",
    "workflow_job_templates": "workflow",
}
"""What this file knows, by endpoint and in the order in which one needs the other."""
LOOKED_UP = {
    "organization": "organizations",
    "project": "projects",
    "inventory": "inventories",
    "execution_environment": "execution_environments",
    "webhook_credential": "credentials",
}
"""Fields that name another object, and where that is."""
ASSOCIATED = {
    "credentials": "credentials",
    "labels": "labels",
    "instance_groups": "instance_groups",
    "notification_templates_started": "notification_templates",
    "notification_templates_success": "notification_templates",
    "notification_templates_error": "notification_templates",
    "notification_templates_approvals": "notification_templates",
}
"""Lists of names of other objects."""
_NODES = "simplified_workflow_nodes"
_HIDDEN = "$encrypted$"
NEW = 0
"""The id of what check mode would make."""


class Objects:
    """What is declared, on one controller."""

    def __init__(self, api, check_mode):
        self.api = api
        self.check_mode = check_mode
        self.diffs = []
        self.problems = []
        self._ids = {}
        self._planned = set()

    def present(self, declared):
        """Bring all there: ``declared`` are lists by endpoint."""
        planned = []
        for endpoint in KINDS:
            for one in declared.get(endpoint) or []:
                self._planned.add((endpoint, one.get("name")))
        for endpoint in KINDS:
            for one in declared.get(endpoint) or []:
                self._guarded(
                    endpoint, one, lambda e=endpoint, o=one: planned.append(self._look(e, o))
                )
        self._raise()
        for wanted in planned:
            self._guarded(wanted["endpoint"], wanted, lambda w=wanted: self._bring(w))
            # What comes later may need this one.
            self._raise()

    def absent(self, declared):
        """Remove all that is declared, in the reverse order."""
        for endpoint in reversed(list(KINDS)):
            for one in declared.get(endpoint) or []:
                self._guarded(endpoint, one, lambda e=endpoint, o=one: self._remove(e, o))
        self._raise()

    def _raise(self):
        if self.problems:
            raise ApiError("\n".join(self.problems))

    def _guarded(self, endpoint, one, act):
        """Note what goes wrong with one object under its name, and go on."""
        name = one.get("name") or "(without a name)"
        try:
            act()
        except ApiError as error:
            self.problems += [
                "%s %s: %s." % (KINDS[endpoint], name, line.rstrip("."))
                for line in str(error).split("\n")
            ]

    @staticmethod
    def same(have, wanted):
        """Whether a field is as wanted; a controller has null where an empty text was given."""
        if have in (None, "") and wanted in (None, "", [], {}):
            return True
        if isinstance(wanted, str) and isinstance(have, str) and have != wanted:
            return _parsed(have) == _parsed(wanted)
        if isinstance(wanted, str) != isinstance(have, str):
            return str(have).lower() == str(wanted).lower()
        return have == wanted

    # Looking

    def _look(self, endpoint, declared):
        """What one object is to be, with all names looked up, and what is there of it."""
        declared = dict(declared)
        wrong: list[str] = []
        if not declared.get("name"):
            raise ApiError("name: is missing")
        survey = declared.pop("survey_spec", declared.pop("survey", None))
        nodes = declared.pop(_NODES, None)
        associated = {
            key: self._ids_of(endpoint, key, declared.pop(key), wrong)
            for key in list(declared)
            if key in ASSOCIATED
        }
        known = self.api.fields(endpoint + "/")
        fields: dict = {}
        # The organization first, in which projects are looked for.
        for key, value in sorted(declared.items(), key=lambda item: item[0] != "organization"):
            if key not in known:
                wrong.append("%s: the controller does not know this field" % key)
            elif key in LOOKED_UP:
                more = (
                    {"organization": fields["organization"]}
                    if key == "project" and fields.get("organization")
                    else {}
                )
                fields[key] = self._id(LOOKED_UP[key], key, value, wrong, **more) if value else None
            elif key == "extra_vars" and isinstance(value, dict):
                fields[key] = json.dumps(value, sort_keys=True)
            else:
                fields[key] = value
        if wrong:
            raise ApiError("\n".join(wrong))
        have = self._existing(endpoint, fields["name"], fields.get("organization"))
        wanted = {"endpoint": endpoint, "name": fields["name"], "fields": fields, "have": have}
        wanted.update(associated=associated, survey=survey)
        if nodes is not None:
            wanted["nodes"] = Nodes(self, have, nodes)
        return wanted

    def _existing(self, endpoint, name, organization=None):
        query = {"name": name}
        if organization:
            query["organization"] = organization
        found = self.api.find(endpoint + "/", **query)
        if len(found) > 1:
            raise ApiError("there are %d of this name; give its organization" % len(found))
        return found[0] if found else None

    def _ids_of(self, endpoint, key, names, wrong):
        if not isinstance(names, list):
            wrong.append("%s = %s: is not a list of names" % (key, names))
            return []
        if endpoint == "credential_types":
            wrong.append("%s: a credential type has none" % key)
            return []
        return [(name, self._id(ASSOCIATED[key], key, name, wrong)) for name in names]

    def _id(self, endpoint, field, name, wrong, **more):
        """The id of another object by its name."""
        if (endpoint, name) not in self._ids:
            found = self.api.find(endpoint + "/", name=name, **more)
            if len(found) != 1:
                many = "has %d of this name" % len(found) if found else "has none of this name"
                wrong.append(
                    "%s = %s: the controller %s among its %s" % (field, name, many, endpoint)
                )
                return None
            self._ids[endpoint, name] = found[0]["id"]
        return self._ids[endpoint, name]

    def template_id(self, name):
        """The id of a template that a node runs; ``NEW`` for one that this run makes."""
        found = self.api.find("unified_job_templates/", name=name)
        if len(found) == 1:
            return found[0]["id"]
        if not found and any((kind, name) in self._planned for kind in KINDS):
            return NEW
        raise ApiError(
            "unified_job_template = %s: the controller has %d of this name" % (name, len(found))
        )

    def credential_id(self, name):
        """The id of a credential."""
        wrong: list[str] = []
        found = self._id("credentials", "credentials", name, wrong)
        if wrong:
            raise ApiError(wrong[0])
        return found

    # Bringing

    def _bring(self, wanted):
        endpoint, have = wanted["endpoint"], wanted["have"]
        title = "%s %s" % (KINDS[endpoint], wanted["name"])
        changes = {
            key: value
            for key, value in wanted["fields"].items()
            if have is None or not self.same(have.get(key), value)
        }
        if changes:
            before = None if have is None else {key: have.get(key) for key in changes}
            self.note(title, before, changes)
            if not self.check_mode and have is None:
                have = self.api.post(endpoint + "/", changes)
            elif not self.check_mode:
                have = self.api.patch(have["url"], changes)
        if wanted["survey"] is not None:
            self._bring_survey(title, have, wanted["survey"])
        for key, pairs in wanted["associated"].items():
            self.associate(title, have, key, pairs)
        if "nodes" in wanted:
            wanted["nodes"].bring(title, have)

    def _bring_survey(self, title, have, survey):
        there = self.api.get(have["related"]["survey_spec"]) if have else {}
        if _same_survey(there, survey):
            return
        self.note(title + ": survey", _shown(there) or None, _shown(survey))
        if self.check_mode:
            return
        if survey:
            self.api.post(have["related"]["survey_spec"], survey)
        else:
            self.api.delete(have["related"]["survey_spec"])

    def associate(self, title, have, key, pairs):
        """Have exactly these other objects there: pairs of a name and an id."""
        there = self.api.find(have["related"][key]) if have else []
        names = {one["id"]: one["name"] for one in there}
        wanted = {pair[1]: pair[0] for pair in pairs}
        if set(names) == set(wanted):
            return
        self.note(
            title, {key: sorted(names.values())} if names else None, {key: sorted(wanted.values())}
        )
        if self.check_mode:
            return
        for number in sorted(set(names) - set(wanted)):
            self.api.post(have["related"][key], {"id": number, "disassociate": True})
        for number in wanted:
            if number not in names:
                self.api.post(have["related"][key], {"id": number})

    def note(self, title, before, after):
        """One entry of the diff."""
        self.diffs.append(
            {
                "before_header": title,
                "after_header": title,
                "before": "" if before is None else _text(before),
                "after": "" if after is None else _text(after),
            }
        )

    # Removing

    def _remove(self, endpoint, declared):
        wrong: list[str] = []
        organization = declared.get("organization")
        number = (
            self._id("organizations", "organization", organization, wrong) if organization else None
        )
        have = None if wrong else self._existing(endpoint, declared.get("name"), number)
        if have is None:
            return
        fields = {key: have[key] for key in declared if key in have and key not in LOOKED_UP}
        self.note("%s %s" % (KINDS[endpoint], have["name"]), fields, None)
        if not self.check_mode:
            self.api.delete(have["url"])


def _parsed(text):
    """The object of a JSON text, or the text: extra variables come back with other spaces."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


def _same_survey(have, wanted):
    """Whether a survey asks the same; a controller never tells the default of a password."""
    return _questions(have) == _questions(wanted) and all(
        (have.get(key) or "") == (wanted.get(key) or "") for key in ("name", "description")
    )


def _questions(survey):
    questions = []
    for question in survey.get("spec") or []:
        question = dict(question)
        if isinstance(question.get("choices"), str):
            question["choices"] = question["choices"].splitlines()
        if question.get("type") == "password" and question.get("default"):
            question["default"] = _HIDDEN
        questions.append(question)
    return questions


def _shown(survey):
    return dict(survey, spec=_questions(survey)) if survey else survey


def _text(value):
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
