# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API of AWX and of the automation controller: requests, pages, and errors in words.

This module util is private to the collection.
"""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin

from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.urls import open_url

_PAGE = 200
"""The most that a controller gives at once."""


class ApiError(Exception):
    """What went wrong, in one sentence for whoever runs the play."""


class Api:
    """One controller.

    ``host`` is its address; an AWX has its API at /api/v2/, a platform with a gateway elsewhere, which
    /api/ tells.
    """

    def __init__(self, host, token=None, username=None, password=None, certs=True, timeout=30):
        self.host = (host if "://" in host else "https://" + host).rstrip("/") + "/"
        self._options = {"validate_certs": certs, "timeout": timeout}
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = "Bearer " + token
        elif username:
            self._options.update(
                url_username=username, url_password=password, force_basic_auth=True
            )
        self._root: str | None = None
        self._fields: dict[str, dict] = {}

    @property
    def root(self):
        """The path that all endpoints begin with."""
        if self._root is None:
            found = self.request("GET", "/api/")
            if "apis" in found:
                found = self.request("GET", found["apis"].get("controller", "/api/controller/"))
            if "current_version" not in found:
                raise ApiError("%sapi/ is not the API of an AWX or a controller" % self.host)
            self._root = found["current_version"]
        return self._root

    def get(self, path):
        """What lies at a path: one below the root, or an absolute one."""
        return self.request("GET", self._at(path))

    def find(self, path, **query):
        """All that matches, over all pages."""
        path = self._at(path) + "?" + urlencode(sorted(dict(query, page_size=_PAGE).items()))
        found: list[dict] = []
        while path:
            page = self.request("GET", path)
            found += page["results"]
            path = page["next"]
        return found

    def fields(self, path):
        """The fields that may be written there, by name, as the controller itself says."""
        if path not in self._fields:
            actions = self.request("OPTIONS", self._at(path)).get("actions", {})
            if "POST" not in actions:
                raise ApiError("%s: the token or user may not make any" % path)
            self._fields[path] = actions["POST"]
        return self._fields[path]

    def post(self, path, data):
        """The answer to a new object, an association, or a survey."""
        return self.request("POST", self._at(path), data)

    def patch(self, path, data):
        """The object as it is then."""
        return self.request("PATCH", self._at(path), data)

    def delete(self, path):
        """Remove what lies there."""
        return self.request("DELETE", self._at(path))

    def _at(self, path):
        return path if path.startswith("/") else self.root + path

    def request(self, method, path, data=None):
        """One request; an answer without a body is an empty dictionary."""
        try:
            answer = open_url(
                urljoin(self.host, path),
                method=method,
                headers=self._headers,
                data=None if data is None else json.dumps(data),
                **self._options,
            )
            text = to_text(answer.read())
        except HTTPError as error:
            said = _words(to_text(error.read()))
            raise ApiError("%s %s answered %d: %s" % (method, path, error.code, said)) from error
        except Exception as error:  # what a broken connection raises is many things
            raise ApiError("%s cannot be asked: %s" % (self.host, to_text(error))) from error
        try:
            return json.loads(text) if text.strip() else {}
        except ValueError:
            raise ApiError("%s %s answered what is no JSON" % (method, path)) from None


def _words(text):
    """What a controller complains of: a text, or a list of them for each field."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()[:200] or "nothing"
    if not isinstance(found, dict):
        return to_text(found)
    parts = []
    for field, said in sorted(found.items()):
        words = "; ".join(map(to_text, said)) if isinstance(said, list) else to_text(said)
        parts.append(words if field in ("detail", "error") else "%s: %s" % (field, words))
    return ", ".join(parts)
