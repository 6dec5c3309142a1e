# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the router against LLMhop 2.2.1, row by row: what each case asks, what we do, and why."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import conformance_exchanges
import conformance_files
import conformance_lives
import conformance_process
import conformance_requests
import conformance_wire
import pytest
from conformance_case import CONFIGS, ROWS, Case, M
from conformance_case import ask as request_for
from router_harness import FILES, Message, Running, Wire, backend, echo, get, router, run, until

from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError

CASES = [
    *conformance_requests.CASES,
    *conformance_wire.CASES,
    *conformance_files.CASES,
    *conformance_process.CASES,
]
SCENARIOS = {**vars(conformance_exchanges), **vars(conformance_lives)}


# -- the backend, a test double that says which model and path a request came for, or plays an act

ACTS = {
    "/act/babble": b"lol\r\n\r\n",
    "/act/cut": b"HTTP/1.1 200 OK\r\nX-Backend: yes\r\nContent-Length: 9\r\n\r\nabc",
    "/act/cut-chunks": b"HTTP/1.1 200 OK\r\nX-Backend: yes\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n",
    "/act/close": b"",
}


async def which(request: Message, wire: Wire) -> None:
    act = ACTS.get(request.target)
    if act is not None:
        wire.send(act)
        wire.close()
        return
    if request.target == "/act/stall":
        await wire.reader.read()
    status = request.target.removeprefix("/act/") if request.target.startswith("/act/") else "200"
    body = f"{request.get('x-model')} {request.target}".encode()
    wire.send(f"HTTP/1.1 {status} X\r\nX-Backend: yes\r\nContent-Length: {len(body)}\r\n\r\n")
    wire.send(b"" if request.method == "HEAD" else body)


def served(name: str, url: str) -> dict[str, Any]:
    """A configuration of the table, its models' requests marked with their name."""
    text = json.dumps(CONFIGS[name]).replace("BACKEND", url)
    # Port 9 is "discard"; nothing on a test machine listens there.
    settings: dict[str, Any] = json.loads(text.replace("DEAD", "http://127.0.0.1:9"))
    for key, one in settings["models"].items():
        one["upstreams"][0].setdefault("headers", {})["X-Model"] = key
    return settings


def play(case: Case, script, act) -> Any:
    """What `act(front, engine)` sees with the case's configuration and this backend."""

    async def work() -> Any:
        async with backend(script) as engine:
            async with router(**served(case.config, engine.url)) as front:
                if case.config == "busy":
                    occupant = await front.connect()
                    occupant.send(request_for("POST /act/stall", M))
                    await until(lambda: front.router.limits.active)
                return await act(front, engine)

    return run(work())


def outcome(answer: Message) -> str:
    if not answer.get("x-backend"):
        return str(answer.status)
    return answer.body.decode() or "relayed" if answer.status == 200 else f"{answer.status} relayed"


# -- one runner for each way of asking: what came of it, and what was said


def ask(case: Case) -> tuple[str, str]:
    async def act(front: Running, engine: Any) -> tuple[str, str]:
        try:
            answer = await front.ask(case.request)
        except (asyncio.IncompleteReadError, ConnectionError):
            return "cut", ""
        return outcome(answer), answer.body.decode()

    return play(case, which, act)


def twice(case: Case) -> tuple[str, str]:
    async def act(front: Running, engine: Any) -> tuple[str, str]:
        wire = await front.connect()
        wire.send(case.request)
        answer = await wire.read()
        wire.send(get("/health"))
        try:
            kept = (await wire.read()).status == 200
        except (asyncio.IncompleteReadError, ConnectionError):
            kept = False
        return f"{answer.status}, {'kept' if kept else 'closed'}", answer.body.decode()

    return play(case, which, act)


def sent(case: Case) -> tuple[str, str]:
    field, request = case.request

    async def act(front: Running, engine: Any) -> tuple[str, str]:
        assert (await front.ask(request)).status == 200
        seen = engine.last
        if field == "trailers":
            return " ".join(seen.trailers) or "none", ""
        if field == "names":
            ours = ("x-forwarded", "x-request-id", "x-model")
            names = [name for name, dummy in seen.fields if not name.lower().startswith(ours)]
            return " ".join(name for name in names if name.lower().startswith("x-")), ""
        value = seen.get(field)
        if value is None:
            return "absent", ""
        return "its own" if f"http://{value}" == engine.url else value, ""

    return play(case, which, act)


def answer(case: Case) -> tuple[str, str]:
    field, status, fields = case.request

    async def answering(request: Message, wire: Wire) -> None:
        lines = "".join(f"{one}\r\n" for one in fields)
        wire.send(f"HTTP/1.1 {status}\r\n{lines}Content-Length: 2\r\n\r\nok")

    async def act(front: Running, engine: Any) -> tuple[str, str]:
        value = (await front.ask(b"GET /route/m/x HTTP/1.1\r\nHost: a\r\n\r\n")).get(field)
        return "some" if value and field == "x-request-id" else value or "absent", ""

    return play(case, answering, act)


def refusal(case: Case) -> tuple[str, str]:
    field, line, body = case.request
    head = f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"

    async def act(front: Running, engine: Any) -> tuple[str, str]:
        said = await front.ask(head + body)
        assert not [one for one in engine.requests if one.target != "/act/stall"]
        return said.get(field) or "absent", said.body.decode()

    return play(case, which, act)


def verbatim(case: Case) -> tuple[str, str]:
    body = case.request.encode() if isinstance(case.request, str) else case.request
    head = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def act(front: Running, engine: Any) -> tuple[str, str]:
        await front.ask(head + body)
        return "verbatim" if engine.last.body == body else "changed", ""

    return play(case, echo, act)


def listed(case: Case) -> tuple[str, str]:
    async def act(front: Running, engine: Any) -> tuple[str, str]:
        models = (await front.ask(get("/v1/models"))).json["data"]
        return " ".join(dict.fromkeys(one[case.request] for one in models)), ""

    return play(case, which, act)


def join(case: Case) -> tuple[str, str]:
    base, asked = case.request

    async def work() -> tuple[str, str]:
        async with backend() as engine:
            models = {"m": {"upstreams": [{"url": engine.url + base}]}}
            async with router(models, allowed_paths=None) as front:
                await front.ask(get(f"/route/m{asked}"))
                return engine.last.target, ""

    return run(work())


def config(case: Case) -> tuple[str, str]:
    try:
        parse(case.request, None)
    except ConfigError as error:
        assert "hunter2" not in str(error)
        return "refused", str(error)
    return "taken", ""


def url(case: Case) -> tuple[str, str]:
    text = json.dumps({"models": {"m": {"upstreams": [{"url": case.request}]}}})
    return config(case._replace(request=text))


def setting(case: Case) -> tuple[str, str]:
    name, text = case.request
    return str(getattr(parse(text, {}), name)), ""


@pytest.fixture
def folder(tmp_path):
    """A credentials directory, and the files that the cases name."""
    files = {
        "tok": b"v\n", "one-line-end": b"x\n", "two-line-ends": b"x\n\n", "crlf": b"x\r\n",
        "cr": b"x\r", "cr-crlf": b"x\r\r\n", "line-end": b"\n", "nested": b"${env:E}\n",
        "nul": b"a\0b",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def secret(case: Case, folder) -> tuple[str, str]:
    value = case.request.replace("FOLDER", str(folder))
    upstream = {"url": "http://x", "headers": {"X-Secret": value}}
    environ = {
        "E": "secret", "X": "one", "Y": "two", "F": "a\nb", "E:x": "odd", "EMPTY": "",
        "NESTED": "${env:E}", "CREDENTIALS_DIRECTORY": str(folder),
    }  # fmt: skip
    try:
        found = parse(json.dumps({"models": {"m": {"upstreams": [upstream]}}}), environ)
    except ConfigError as error:
        return "refused", str(error)
    return dict(found.models["m"].upstreams[0].headers)["X-Secret"], ""


def command(case: Case, folder) -> tuple[str, str]:
    path = folder / "router.json"
    path.write_text('{"port":0}')
    done = subprocess.run(
        [sys.executable, "-m", "onehop_router"]
        + [str(path) if one == "CONFIG" else one for one in case.request],
        env={"PYTHONPATH": str(FILES)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return str(done.returncode), done.stderr


def check(case: Case, folder) -> tuple[str, str]:
    path = folder / "checked.json"
    path.write_text(case.request)
    return command(case._replace(request=("--config", str(path), "--check")), folder)


def scenario(case: Case) -> tuple[str, str]:
    saw = run(SCENARIOS[case.request]())
    return (saw, "") if isinstance(saw, str) else saw


RUNNERS = {
    one.__name__: one
    for one in (
        ask, twice, sent, answer, refusal, verbatim, listed, join, config, url, setting, scenario
    )
}  # fmt: skip
RUNNERS_WITH_FILES = {"secret": secret, "command": command, "check": check}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section}-{case.row} {case.name}")
def test_case(case, folder):
    if case.how in RUNNERS_WITH_FILES:
        saw, said = RUNNERS_WITH_FILES[case.how](case, folder)
    else:
        saw, said = RUNNERS[case.how](case)
    assert saw == case.ours
    assert case.says in said


# -- the table about itself


def test_every_row_has_a_case():
    rows = {(section, row) for section, count in ROWS.items() for row in range(1, count + 1)}
    assert {(case.section, case.row) for case in CASES} == rows


def test_every_difference_has_a_reason_and_every_reason_a_difference():
    assert [case for case in CASES if (case.theirs != case.ours) != bool(case.why)] == []
    assert [case for case in CASES if case.old and case.old == case.theirs] == []


def test_every_case_is_one_of_its_own_and_asserts_something():
    names = Counter((case.section, case.row, case.name) for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []
    # An outcome may be empty only where a value is what the case is about.
    values = ("sent", "secret", "setting")
    assert [case for case in CASES if not case.ours and case.how not in values] == []
    assert {case.how for case in CASES} == {*RUNNERS, *RUNNERS_WITH_FILES}


def test_every_scenario_is_played():
    written = {
        name
        for module in (conformance_exchanges, conformance_lives)
        for name, one in vars(module).items()
        if asyncio.iscoroutinefunction(one) and one.__module__ == module.__name__
        if not name.startswith("_") and name != "serves"
    }
    assert written == {case.request for case in CASES if case.how == "scenario"}
