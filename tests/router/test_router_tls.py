# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""https upstreams: verified against the system's certificates, called by their own name."""

from __future__ import annotations

import asyncio
import ssl
import subprocess

import pytest
from router_harness import CHAT, ScriptedBackend, model, post, router, run


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost and its key, made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


async def tls_backend(certificate) -> ScriptedBackend:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    one = ScriptedBackend()
    one._server = await asyncio.start_server(one._serve, "127.0.0.1", 0, ssl=context)
    one.url = f"https://localhost:{one._server.sockets[0].getsockname()[1]}"
    return one


def test_a_trusted_upstream_is_reused_and_gets_its_own_host(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))

    async def work():
        engine = await tls_backend(certificate)
        async with router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for dummy in range(3):
                wire.send(post(CHAT))
                assert (await wire.read()).json["body"] == CHAT
            assert engine.connections == 1
            assert engine.last.get("host") == engine.url.removeprefix("https://")
            assert engine.last.get("x-forwarded-host") == "client.example"
        engine.stop()

    run(work())


@pytest.mark.parametrize("fault", ["unknown authority", "another name"])
def test_an_untrusted_upstream_is_never_spoken_to(certificate, monkeypatch, fault):
    if fault == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))

    async def work():
        engine = await tls_backend(certificate)
        url = engine.url
        if fault == "another name":
            url = url.replace("localhost", "127.0.0.1")
        async with router({"m": model(url)}) as front:
            assert (await front.ask(post(CHAT))).status == 502
            assert engine.requests == []
        engine.stop()

    run(work())
