# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smoke test: who is asked what, and the playbook against a stand-in of the router."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan, _smoke

from .playbooks import ROOT, play

KEY = "sesame-alice"


class StandinRouter(BaseHTTPRequestHandler):
    """A test double of the router: it knows a key, models that chat, one for embeddings, a broken one."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body["model"]))  # type: ignore[attr-defined]
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.say(401, {"error": {"message": "That key is unknown."}})
        elif body["model"] == "broken":
            self.say(503, {"error": {"message": "The model is down."}})
        elif self.path == "/v1/chat/completions" and body["model"] != "vectors":
            self.say(200, {"choices": [{"message": {"content": f"I am {body['model']}"}}]})
        elif self.path == "/v1/embeddings" and body["model"] == "vectors":
            self.say(200, {"data": [{"embedding": [0.5, 0.25]}]})
        else:
            self.say(501, {"error": {"message": "This server does not support completions."}})

    def say(self, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def router() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandinRouter)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def variables(place: Path, port: int, models: list[str]) -> dict[str, Any]:
    (place / "alice.key").write_text(KEY + "\n")
    (place / "bob.key").write_text(f"sha256:{'0' * 64}")
    return {
        "router_port": port,
        "router_models": {name: {"url": "http://127.0.0.1:9"} for name in [*models, "hashed"]},
        "router_client_keys": {
            "bob": {"credential": "bob_key", "models": [models[0], "hashed"]},
            "alice": {"credential": "alice_key", "models": models},
        },
        "router_credentials": {
            name: {"source": str(place / f"{name.removesuffix('_key')}.key")}
            for name in ("alice_key", "bob_key")
        },
    }


def smoke(place: Path, told: dict[str, Any], *words: str) -> tuple[int, str]:
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    inventory = {"all": {"children": {"llm_routers": {"hosts": {"front": {**host, **told}}}}}}
    run = play(place, ROOT / "playbooks" / "smoke.yml", inventory, *words)
    return run.returncode, run.stdout + run.stderr


def test_every_route_is_asked_and_the_failed_ones_told(
    router: ThreadingHTTPServer, tmp_path: Path
) -> None:
    told = variables(tmp_path, router.server_port, ["small", "vectors", "broken"])
    status, shown = smoke(tmp_path, told, "-e", "smoke_models=", "-vvv", "--check")
    assert status != 0
    assert "I am small" in shown and "2 numbers" in shown
    assert (
        "front: no answer of broken (503: The model is down.), hashed (the host holds no" in shown
    )
    assert KEY not in shown
    assert len(router.asked) == 4  # type: ignore[attr-defined]


def test_only_what_is_named(router: ThreadingHTTPServer, tmp_path: Path) -> None:
    told = variables(tmp_path, router.server_port, ["small", "broken"])
    words = ("-e", '{"smoke_models": "small", "smoke_timeout": "5"}')
    status, shown = smoke(tmp_path, told, *words)
    assert status == 0, shown
    assert router.asked == [("/v1/chat/completions", "small")]  # type: ignore[attr-defined]
    status, shown = smoke(tmp_path, told, "-e", "smoke_models=smal")
    assert status != 0 and "no router has a route for smal" in shown


def test_another_key(router: ThreadingHTTPServer, tmp_path: Path) -> None:
    told = variables(tmp_path, router.server_port, ["small"])
    status, shown = smoke(tmp_path, told, "-e", "smoke_key=wrong-sesame", "-vvv")
    assert status != 0
    assert "small (401: That key is unknown.)" in shown
    assert len(router.asked) == 2  # type: ignore[attr-defined]
    assert "wrong-sesame" not in shown.replace("smoke_key=wrong-sesame", "")


def test_a_router_that_is_down(tmp_path: Path) -> None:
    status, shown = smoke(tmp_path, variables(tmp_path, 9, ["small"]))
    assert status != 0 and "small (" in shown and "refused" in shown


def planned(**told: Any) -> dict[str, Any]:
    told.setdefault("router_models", {"small": {"url": "http://127.0.0.1:9"}})
    plan = _plan.make([_plan.Host("front", told)])
    assert not plan.problems
    return plan.data()


@pytest.mark.parametrize(
    ("told", "url", "socket"),
    [
        ({}, "http://127.0.0.1:8080", None),
        ({"router_host": "0.0.0.0"}, "http://127.0.0.1:8080", None),
        ({"router_host": "::", "router_port": 81}, "http://[::1]:81", None),
        ({"router_host": "192.0.2.1"}, "http://192.0.2.1:8080", None),
        ({"router_tls": {"certificate": "/c", "key": "/k"}}, "https://127.0.0.1:8080", None),
        ({"router_tls": {"certificate": "/c", "key": "/k", "client_ca": "/a"}}, None, None),
        (
            {
                "router_tls": {"certificate": "/c", "key": "/k", "client_ca": "/a"},
                "router_socket": "/run/onehop/r.sock",
            },
            "http://localhost",
            "/run/onehop/r.sock",
        ),
    ],
)
def test_the_door(told: dict[str, Any], url: str | None, socket: str | None) -> None:
    plan = planned(router_allow_anonymous=True, **told)
    assert _smoke.door(plan["hosts"]["front"]["router"]) == {"url": url, "socket": socket}


def test_each_model_is_asked_for_by_a_client_who_may() -> None:
    place = {"url": "http://127.0.0.1:9"}
    plan = planned(
        router_models={"a": place, "b": {**place, "aliases": ["bee"]}, "c": place, "d": place},
        router_credentials={"one": "/one", "two": {"content": "x"}, "three": "/three"},
        router_client_keys={
            "list": {"credential": "three", "paths": ["/v1/models"]},
            "ann": {"credential": "one", "models": ["a"]},
            "bob": {"credential": "two", "models": ["a", "bee", "d"]},
        },
    )
    kept = "/etc/onehop/credentials/onehop-router.service/two"
    asked, nobody = _smoke.questions(plan, "front")
    assert asked == [
        {"model": "a", "key_paths": ["/one", kept]},
        {"model": "b", "key_paths": [kept]},
        {"model": "d", "key_paths": [kept]},
    ]
    assert nobody == ["c"]
    assert _smoke.questions(plan, "front", ["d"])[0] == asked[2:]
    assert _smoke.unknown(plan, ["a", "x"]) == ["x"]
