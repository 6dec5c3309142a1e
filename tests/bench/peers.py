# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxies that are compared: how each is configured and started, and what it lacks here."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import environments
from bench.machine import find
from bench.wire import KEY, MODEL

MAX_STREAMS = 9000
"""How many streams every peer is configured for."""


@dataclass(frozen=True)
class Order:
    """What a peer is started for. `duties`: it checks keys, logs every request, and counts."""

    port: int
    backend: int
    folder: Path
    duties: bool


@dataclass(frozen=True)
class Peer:
    """A proxy. `command` writes what configuration it needs and says how to start it."""

    name: str
    what: str
    command: Callable[[Order], list[str]]
    duties: bool = True
    environ: dict[str, str] = field(default_factory=dict)
    starts_within: float = 20.0


def nginx(program: str, *, duties: bool) -> Peer:
    """nginx with one worker, relaying unbuffered as streams need it."""

    def command(order: Order) -> list[str]:
        log = f"{order.folder}/access.log" if order.duties else "off"
        check = "if ($known = 0) { return 401; }" if order.duties else ""
        temporary = "\n".join(
            f"{one}_temp_path {order.folder}/{one};"
            for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = order.folder / "nginx.conf"
        config.write_text(
            f"""
daemon off; worker_processes 1; user root;
pid {order.folder}/pid; error_log stderr error;
events {{ worker_connections {2 * MAX_STREAMS + 100}; }}
worker_rlimit_nofile {2 * MAX_STREAMS + 200};
http {{
    access_log {log}; {temporary}
    keepalive_requests 1000000000; keepalive_timeout 600s;
    client_max_body_size 0; client_body_buffer_size 256k;
    map_hash_bucket_size 256;
    map $http_authorization $known {{ default 0; "Bearer {KEY}" 1; }}
    upstream backend {{
        server 127.0.0.1:{order.backend};
        keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{order.port} backlog=4096;
        location / {{
            {check}
            proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Request-Id $request_id;
            proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600s;
        }}
    }}
}}
"""
        )
        return [program, "-e", "stderr", "-c", str(config)]

    version = _said([program, "-v"]).rpartition("/")[2]
    name = "nginx" if duties else "nginx-bare"
    return Peer(name, f"nginx {version}", command, duties)


def haproxy(program: str) -> Peer:
    """HAProxy with one thread."""

    def command(order: Order) -> list[str]:
        log = "log stdout format raw local0" if order.duties else ""
        check = (
            f'http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str "Bearer {KEY}" }}'
            if order.duties
            else ""
        )
        config = order.folder / "haproxy.cfg"
        config.write_text(
            f"""
global
    nbthread 1
    maxconn {MAX_STREAMS}
    {log}
defaults
    mode http
    {"log global" if order.duties else ""}
    {"option httplog" if order.duties else ""}
    option http-no-delay
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    http-reuse always
frontend front
    bind 127.0.0.1:{order.port} backlog 4096
    {check}
    option forwardfor
    default_backend back
backend back
    server one 127.0.0.1:{order.backend} pool-max-conn 1024
"""
        )
        return [program, "-db", "-q", "-f", str(config)]

    version = _said([program, "-v"]).split()[2]
    return Peer("haproxy", f"HAProxy {version}", command)


def onehop(name: str, python: Path, source: Path) -> Peer:
    """OneHop's router from a folder that holds the package."""

    def command(order: Order) -> list[str]:
        config: dict[str, object] = {
            "port": order.port,
            "models": {MODEL: {"upstreams": [{"url": f"http://127.0.0.1:{order.backend}"}]}},
        }
        if order.duties:
            # Three clients, and ours is the last of them.
            keys = {f"other{count}": {"keys": [f"{KEY}{count}"]} for count in range(2)}
            config["client_keys"] = {**keys, "bench": {"keys": [KEY]}}
        path = order.folder / "router.json"
        words = [str(python), "-m", "onehop_router", "--config", str(path)]
        # A checkout from before the access log knows no such key.
        for more in ({"access_log": order.duties}, {}):
            path.write_text(json.dumps(config | more))
            checked = subprocess.run(
                [*words, "--check"],
                env={"PYTHONPATH": str(source)},
                capture_output=True,
                text=True,
                check=False,
            )
            if checked.returncode == 0:
                return words
        raise RuntimeError(f"{name} does not take its configuration: {checked.stderr}")

    version = _said([str(python), "-V"])
    return Peer(name, f"onehop_router on {version}", command, environ={"PYTHONPATH": str(source)})


def aiohttp_relay(python: Path) -> Peer:
    """Our double of a relay made with aiohttp."""

    def command(order: Order) -> list[str]:
        relay = Path(__file__).with_name("aiohttp_relay.py")
        logged = "1" if order.duties else "0"
        return [str(python), str(relay), str(order.port), str(order.backend), KEY, logged]

    return Peer("aiohttp", f"relay with {environments.AIOHTTP[0]} and uvloop", command)


def go_relay(program: Path) -> Peer:
    """Our double of a router made with Go's standard library."""

    def command(order: Order) -> list[str]:
        logged = "1" if order.duties else "0"
        return [str(program), str(order.port), str(order.backend), KEY, logged]

    return Peer("go", f"relay with net/http, {environments.GO[0]}", command)


def litellm(python: Path) -> Peer:
    """LiteLLM's proxy with one worker and a master key, no database."""

    def command(order: Order) -> list[str]:
        config = order.folder / "litellm.json"
        upstream = {
            "model": f"openai/{MODEL}",
            "api_base": f"http://127.0.0.1:{order.backend}/v1",
            "api_key": "none",
        }
        # YAML reads JSON.
        config.write_text(
            json.dumps(
                {
                    "model_list": [{"model_name": MODEL, "litellm_params": upstream}],
                    "general_settings": {"master_key": KEY},
                }
            )
        )
        words = ["--config", str(config), "--host", "127.0.0.1", "--port", str(order.port)]
        return [str(python.with_name("litellm")), *words]

    return Peer(
        "litellm",
        environments.LITELLM[0],
        command,
        environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
        starts_within=120.0,
    )


def custom(text: str) -> Peer:
    """A peer given as NAME=COMMAND.

    In the command stand {port}, {backend} (a URL), {key}, {model}, and {config}: a file in the
    form that LLMhop reads. Raises ValueError.
    """
    name, mark, template = text.partition("=")
    if not name or not mark or not template.strip():
        raise ValueError(f"--peer {text}: write NAME=COMMAND")

    def command(order: Order) -> list[str]:
        backend = f"http://127.0.0.1:{order.backend}"
        config = order.folder / "config.json"
        config.write_text(
            json.dumps(
                {
                    "host": "127.0.0.1",
                    "port": order.port,
                    "maxConcurrentRequests": 0,
                    "authTokens": [f"{KEY}0", f"{KEY}1", KEY] if order.duties else [],
                    "models": {MODEL: {"url": backend}},
                }
            )
        )
        known = {"port": order.port, "backend": backend, "key": KEY, "model": MODEL}
        return [word.format(config=config, **known) for word in shlex.split(template)]

    return Peer(name, template, command)


def installed() -> tuple[list[Peer], list[str]]:
    """The peers that this machine has as programs, and how to get the ones it lacks."""
    peers, missing = [], []
    program = find("nginx")
    if program:
        peers += [nginx(program, duties=False), nginx(program, duties=True)]
    else:
        missing.append("nginx: apt-get install nginx")
    program = find("haproxy")
    if program:
        peers.append(haproxy(program))
    else:
        missing.append("HAProxy: apt-get install haproxy")
    if not find("wrk"):
        missing.append(
            "wrk: apt-get install wrk (small requests are then sent by Python, which is the slower)"
        )
    return peers, missing


def _said(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]
