# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a workflow: jobs, approvals, and what follows on what.

This module util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.module_utils._controller_api import ApiError

LINKS = ("success_nodes", "failure_nodes", "always_nodes")
_ENDPOINT = "workflow_job_template_nodes"
_APPROVAL = ("name", "description", "timeout")


class Nodes:
    """All nodes of one workflow, as declared: what is not declared is removed.

    ``objects`` looks names up and notes changes; ``workflow`` is what the controller has of it.
    """

    def __init__(self, objects, workflow, declared):
        self.objects = objects
        self.api = objects.api
        self.there = {}
        if workflow:
            found = self.api.find(_ENDPOINT + "/", workflow_job_template=workflow["id"])
            self.there = {node["identifier"]: node for node in found}
        self.wanted = {}
        wrong = []
        for node in declared:
            try:
                read = self._read(dict(node))
                self.wanted[read["identifier"]] = read
            except ApiError as error:
                wrong.append("node %s: %s" % (node.get("identifier"), error))
        for name, node in self.wanted.items():
            for link in LINKS:
                missing = sorted(set(node["links"][link]) - set(self.wanted))
                if missing:
                    wrong.append(
                        "node %s: %s = %s: no node is called so" % (name, link, missing[0])
                    )
        if wrong:
            raise ApiError("\n".join(wrong))

    def _read(self, node):
        identifier = node.pop("identifier", None)
        if not identifier:
            raise ApiError("identifier: is missing")
        read = {"identifier": identifier, "approval": node.pop("approval_node", None)}
        read["links"] = {link: list(node.pop(link, None) or []) for link in LINKS}
        names = node.pop("credentials", None)
        read["credentials"] = (
            None if names is None else [(name, self.objects.credential_id(name)) for name in names]
        )
        template = node.pop("unified_job_template", None)
        if bool(template) == bool(read["approval"]):
            raise ApiError("wants either unified_job_template or approval_node")
        unknown = sorted(set(node) - set(self.api.fields(_ENDPOINT + "/")))
        if unknown:
            raise ApiError("%s: the controller does not know this field" % ", ".join(unknown))
        if read["approval"]:
            unknown = sorted(set(read["approval"]) - set(_APPROVAL))
            if unknown:
                raise ApiError("approval_node.%s: is no field of an approval" % unknown[0])
        else:
            node["unified_job_template"] = self.objects.template_id(template)
            read["template"] = template
        read["fields"] = node
        return read

    def bring(self, title, workflow):
        """Make, mend and remove nodes; ``workflow`` is ``None`` where check mode would make it."""
        for name in sorted(set(self.there) - set(self.wanted)):
            self._remove(title, name)
        for name, node in self.wanted.items():
            have = self.there.get(name)
            if have and bool(node["approval"]) != self._is_approval(have):
                self._remove(title, name)
            self._bring(title, workflow, name, node)
        for name, node in self.wanted.items():
            self._link(title, name, node)

    def _remove(self, title, name):
        node = self.there.pop(name)
        self.objects.note("%s: node %s" % (title, name), {"identifier": name}, None)
        if not self.objects.check_mode:
            self.api.delete(node["url"])

    @staticmethod
    def _is_approval(have):
        template = have.get("summary_fields", {}).get("unified_job_template") or {}
        # One whose approval was never made has no template at all.
        return template.get("unified_job_type") == "workflow_approval" or not template

    def _bring(self, title, workflow, name, node):
        title = "%s: node %s" % (title, name)
        have = self.there.get(name) or {}
        fields = dict(node["fields"])
        if fields.get("unified_job_template") == 0 and not self.objects.check_mode:
            fields["unified_job_template"] = self.objects.template_id(node["template"])
        changes = {
            key: value
            for key, value in fields.items()
            if not have or not self.objects.same(have.get(key), value)
        }
        if not have or changes:
            before = None if not have else {key: have.get(key) for key in changes}
            shown = dict(changes)
            if "unified_job_template" in shown:
                shown["unified_job_template"] = node["template"]
                if before is not None:
                    before["unified_job_template"] = self._called(have)
            self.objects.note(title, before, dict(shown, identifier=name))
        if not self.objects.check_mode and not have:
            made = dict(changes, identifier=name, workflow_job_template=workflow["id"])
            have = self.api.post(_ENDPOINT + "/", made)
        elif not self.objects.check_mode and changes:
            have = self.api.patch(have["url"], changes)
        if have:
            self.there[name] = have
        if node["approval"]:
            self._bring_approval(title, name, node["approval"])
        if node["credentials"] is not None:
            self.objects.associate(title, have, "credentials", node["credentials"])

    @staticmethod
    def _called(have):
        return (have.get("summary_fields", {}).get("unified_job_template") or {}).get("name")

    def _bring_approval(self, title, name, wanted):
        have = self.there.get(name) or {}
        place = have["related"].get("unified_job_template") if have else None
        there = self.api.get(place) if place else {}
        changes = {key: value for key, value in wanted.items() if there.get(key) != value}
        if not changes:
            return
        before = {key: there.get(key) for key in changes} if there else None
        self.objects.note(title + ": approval", before, changes)
        if self.objects.check_mode:
            return
        if there:
            self.api.patch(place, changes)
        else:
            self.api.post(have["related"]["create_approval_template"], wanted)

    def _link(self, title, name, node):
        have = self.there.get(name) or {}
        names = {one["id"]: identifier for identifier, one in self.there.items()}
        for link in LINKS:
            there = [names[number] for number in have.get(link, []) if number in names]
            if sorted(there) == sorted(node["links"][link]):
                continue
            title_of_node = "%s: node %s" % (title, name)
            self.objects.note(
                title_of_node,
                {link: sorted(there)} if there else None,
                {link: sorted(node["links"][link])},
            )
            if self.objects.check_mode:
                continue
            place = have["related"][link]
            for identifier in sorted(set(there) - set(node["links"][link])):
                self.api.post(place, {"id": self.there[identifier]["id"], "disassociate": True})
            for identifier in node["links"][link]:
                if identifier not in there:
                    self.api.post(place, {"id": self.there[identifier]["id"]})
