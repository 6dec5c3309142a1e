# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double of the REST API of AWX: it keeps objects, and runs no job.

It is stricter than the real one, which ignores fields that it does not know: a field, type or choice that
neither awxkit nor the collection awx.awx documents is refused with 400 (``controller_fields.json``,
made by ``tooling.controller_fields``). What a survey, an input and an injector may hold follows the
checks in AWX's own source (see ``standin_controller_checks.py``). Errors have the controller's
form, lists have pages, and objects have ids, names in URLs, ``related`` and ``summary_fields``.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from standin_controller_checks import Refused
from standin_controller_objects import FIELDS, LINKS, REFERENCES, SURVEYS, WRITABLE, Controller

TOKEN = "a-token-of-the-standin"
PASSWORD = "a-password-of-the-standin"


class Handler(BaseHTTPRequestHandler):
    """HTTP around a :class:`Controller`."""

    protocol_version = "HTTP/1.1"
    controller: Controller

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        try:
            with self.controller.lock:
                self.controller.requests.append((self.command, self.path))
                status, said = self.route(parts.path, parts.query, json.loads(body) if body else {})
        except Refused as refused:
            status, said = refused.status, refused.said
        text = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def __getattr__(self, name: str) -> Any:
        """Every method has the one way."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's output."""

    def route(self, path: str, query: str, data: dict[str, Any]) -> tuple[int, Any]:
        controller = self.controller
        if not path.endswith("/"):
            raise Refused(404, {"detail": "The path has no slash at its end."})
        if path == "/api/" and controller.gateway:
            return 200, {"apis": {"gateway": "/api/gateway/", "controller": "/api/controller/"}}
        if path in ("/api/", "/api/controller/") and controller.root.startswith(path):
            return 200, {
                "description": "AWX REST API",
                "current_version": controller.root,
                "available_versions": {"v2": controller.root},
            }
        self.authenticate()
        if path == controller.root:
            return 200, {name: f"{controller.root}{name}/" for name in controller.objects}
        endpoint, *rest = path.removeprefix(controller.root).strip("/").split("/")
        if endpoint == "unified_job_templates" and self.command == "GET":
            return 200, self.unified(path, query)
        if endpoint not in controller.objects or not path.startswith(controller.root):
            raise Refused(404, {"detail": "The requested resource could not be found."})
        if self.command == "OPTIONS":
            return 200, controller.options(rest[1] if len(rest) > 1 else endpoint)
        if not rest:
            return self.on_list(endpoint, path, query, data)
        number = self.number(endpoint, unquote(rest[0]))
        if len(rest) == 1:
            return self.on_object(endpoint, number, data)
        return self.on_part(endpoint, number, rest[1], path, query, data)

    def authenticate(self) -> None:
        basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Basic {basic}"):
            raise Refused(401, {"detail": "Authentication credentials were not provided."})

    def number(self, endpoint: str, name: str) -> int:
        """The id of an object, which may be named: NAME, or NAME++ORGANIZATION."""
        kept = self.controller.objects[endpoint]
        if name.isdigit() and int(name) in kept:
            return int(name)
        called, dummy, organization = name.partition("++")
        for number, one in kept.items():
            place = self.controller.objects["organizations"].get(one.get("organization") or 0, {})
            if one.get("name") == called and place.get("name", "") == organization:
                return number
        raise Refused(404, {"detail": "Not found."})

    def unified(self, path: str, query: str) -> dict[str, Any]:
        controller = self.controller
        asked = dict(parse_qsl(query))
        found = [
            controller.show(place, number)
            for place in REFERENCES["unified_job_template"]
            for number, one in controller.objects[place].items()
            if one.get("name") == asked.get("name")
        ]
        return {"count": len(found), "next": None, "previous": None, "results": found}

    def on_list(
        self, endpoint: str, path: str, query: str, data: dict[str, Any]
    ) -> tuple[int, Any]:
        controller = self.controller
        if self.command == "GET":
            return 200, controller.listed(
                endpoint, sorted(controller.objects[endpoint]), path, query
            )
        if (
            self.command == "POST"
            and endpoint in WRITABLE
            and endpoint != "workflow_approval_templates"
        ):
            return 201, controller.show(endpoint, controller.make(endpoint, data))
        raise Refused(405, {"detail": f'Method "{self.command}" not allowed.'})

    def on_object(self, endpoint: str, number: int, data: dict[str, Any]) -> tuple[int, Any]:
        controller = self.controller
        if self.command == "PATCH" and endpoint in WRITABLE:
            controller.change(endpoint, number, data)
        elif self.command == "DELETE" and endpoint in WRITABLE:
            controller.remove(endpoint, number)
            return 204, None
        elif self.command != "GET":
            raise Refused(405, {"detail": f'Method "{self.command}" not allowed.'})
        return 200, controller.show(endpoint, number)

    def on_part(
        self, endpoint: str, number: int, part: str, path: str, query: str, data: dict[str, Any]
    ) -> tuple[int, Any]:
        controller = self.controller
        if part == "survey_spec" and endpoint in SURVEYS:
            if self.command == "POST":
                controller.survey(endpoint, number, data)
                return 200, None
            if self.command == "DELETE":
                controller.surveys.pop((endpoint, number), None)
                return 200, None
            return 200, controller.shown_survey(endpoint, number)
        if part == "workflow_nodes" and self.command == "GET":
            nodes = controller.objects["workflow_job_template_nodes"]
            own = [n for n, one in nodes.items() if one["workflow_job_template"] == number]
            return 200, controller.listed("workflow_job_template_nodes", own, path, query)
        if part == "create_approval_template" and self.command == "POST":
            return 201, controller.approve(number, data)
        if part in FIELDS.get(endpoint, {"associations": ()})["associations"]:
            if self.command == "POST":
                controller.associate(endpoint, number, part, data)
                return 204, None
            place = endpoint if part in LINKS else part
            if part.startswith("notification_templates"):
                place = "notification_templates"
            kept = controller.associated.get((endpoint, number, part), [])
            return 200, controller.listed(place, kept, path, query)
        raise Refused(404, {"detail": "The requested resource could not be found."})


class Server:
    """The stand-in on a port of the loopback, for as long as a ``with``."""

    def __init__(self, *, gateway: bool = False) -> None:
        self.controller = Controller(gateway=gateway)
        handler = type("BoundHandler", (Handler,), {"controller": self.controller})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
