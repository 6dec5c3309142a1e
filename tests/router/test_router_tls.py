# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: the listeners' certificates, and upstreams verified by the system's or given ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from router_harness import (
    CHAT,
    Message,
    Running,
    ScriptedBackend,
    Wire,
    backend,
    endless,
    get,
    model,
    post,
    router,
    run,
    until,
)

from onehop_router import server as server_module
from onehop_router.config_reader import parse
from onehop_router.config_values import ConfigError
from onehop_router.server import Server


def make_certificate(folder: Path, name: str, *more: str) -> None:
    """A certificate for localhost, made for this run: NAME.pem and its key NAME.key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", *(more or ["-nodes"])],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates and keys of two servers and a client, and one key that is encrypted."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "two", "client"):
        make_certificate(folder, name)
    make_certificate(folder, "locked", "-passout", "pass:x")
    return folder


def pair(folder: Path, name: str) -> dict[str, str]:
    return {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}


async def tls_backend(
    folder: Path, *, client_ca: Path | None = None, script=None, raw: bool = False
) -> ScriptedBackend:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "one.pem", folder / "one.key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    one = ScriptedBackend(script, raw=raw) if script else ScriptedBackend()
    one._server = await asyncio.start_server(one._serve, "127.0.0.1", 0, ssl=context)
    one.url = f"https://localhost:{one._server.sockets[0].getsockname()[1]}"
    return one


# -- upstreams


def test_a_trusted_upstream_is_reused_and_gets_its_own_host(certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "one.pem"))

    async def work():
        engine = await tls_backend(certificates)
        async with router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for dummy in range(3):
                wire.send(post(CHAT))
                assert (await wire.read()).json["body"] == CHAT
            assert engine.connections == 1
            assert engine.last.get("host") == engine.url.removeprefix("https://")
            assert engine.last.get("x-forwarded-host") == "client.example"
            assert engine.last.get("x-forwarded-proto") == "http"
        engine.stop()

    run(work())


@pytest.mark.parametrize("fault", ["unknown authority", "another name"])
def test_an_untrusted_upstream_is_never_spoken_to(certificates, monkeypatch, fault):
    if fault == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "one.pem"))

    async def work():
        engine = await tls_backend(certificates)
        url = engine.url
        if fault == "another name":
            url = url.replace("localhost", "127.0.0.1")
        async with router({"m": model(url)}) as front:
            assert (await front.ask(post(CHAT))).status == 502
            assert engine.requests == []
        engine.stop()

    run(work())


def with_tls(url: str, **tls: str) -> dict[str, object]:
    return {"upstreams": [{"url": url, "tls": tls}]}


def test_a_pinned_upstream_by_another_name_and_one_pool_for_each_kind_of_tls(certificates):
    async def work():
        engine = await tls_backend(certificates)
        url = engine.url.replace("localhost", "127.0.0.1")
        ca = str(certificates / "one.pem")
        models = {
            "pinned": with_tls(url, ca=ca, server_name="localhost"),
            "misnamed": with_tls(url, ca=ca, server_name="elsewhere.example"),
            "foreign": with_tls(url, ca=str(certificates / "two.pem"), server_name="localhost"),
            "plain": model(url),
        }
        async with router(models) as front:
            for name, status in [("pinned", 200), ("misnamed", 502), ("foreign", 502)] * 2:
                answer = await front.ask(post(CHAT.replace('"m"', f'"{name}"')))
                assert (name, answer.status) == (name, status)
            assert (await front.ask(post(CHAT.replace('"m"', '"plain"')))).status == 502
            assert engine.connections == 1
        engine.stop()

    run(work())


def test_an_upstream_that_wants_a_certificate_gets_one(certificates):
    async def work():
        engine = await tls_backend(certificates, client_ca=certificates / "client.pem")
        ca = str(certificates / "one.pem")
        models = {
            "known": with_tls(engine.url, ca=ca, **pair(certificates, "client")),
            "stranger": with_tls(engine.url, ca=ca, **pair(certificates, "two")),
        }
        async with router(models) as front:
            answer = await front.ask(post(CHAT.replace('"m"', '"known"')))
            assert answer.status == 200
            answer = await front.ask(post(CHAT.replace('"m"', '"stranger"')))
            assert answer.status == 502
            assert len(engine.requests) == 1
        engine.stop()

    run(work())


def test_an_answer_without_a_length_that_tls_did_not_end_is_not_whole(certificates):
    """Where no goodbye was said, somebody may have cut it: a connection that ends is no end."""

    async def cut(request: Message, wire: Wire) -> None:
        await wire.read()
        wire.send("HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await wire.writer.drain()
        await asyncio.sleep(0.05)
        # The raw connection ends, without TLS knowing.
        with socket.socket(fileno=os.dup(wire.writer.get_extra_info("socket").fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)
        await wire.ended()

    async def work():
        engine = await tls_backend(certificates, script=cut, raw=True)
        models = {"m": with_tls(engine.url, ca=str(certificates / "one.pem"))}
        async with router(models) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await wire.read_head()
            assert await wire.read_chunk() == b"half of it"
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await wire.read_chunk()
        engine.stop()

    run(work())


# -- listeners


class Front(Running):
    """A Server in this process, on a loopback port, with clients that speak TLS."""

    def __init__(self, one: Server, port: int) -> None:
        super().__init__(one._running, port)
        self.server = one

    async def meet(self, folder: Path, name: str = "one", client: str | None = None) -> Wire:
        """Connect to a server that shows this certificate."""
        context = ssl.create_default_context(cafile=str(folder / f"{name}.pem"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        if client:
            context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
        return Wire(
            *await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname="localhost"
            )
        )

    async def load(self, **settings) -> None:
        await self.server.load(parse(json.dumps(settings), {}))


@contextlib.asynccontextmanager
async def front(**settings):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        one = Server(parse(json.dumps(settings), {}), [sock])
        await one.start()
        try:
            yield Front(one, sock.getsockname()[1])
        finally:
            force = asyncio.Event()
            force.set()
            await one.drain(force, patient=False)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_listener_with_a_certificate(certificates):
    async def work():
        async with backend() as engine:
            tls = pair(certificates, "one")
            async with front(tls=tls, models={"m": model(engine.url)}, max_body_bytes=999) as one:
                wire = await one.meet(certificates)
                assert wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == (
                    "http/1.1"
                )
                for dummy in range(2):
                    wire.send(post(CHAT))
                    assert (await wire.read()).json["body"] == CHAT
                assert engine.last.get("x-forwarded-proto") == "https"
                # A refusal arrives although its body does not, and the connection ends.
                wire.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n")
                wire.send("Content-Length: 99999\r\n\r\n{")
                assert (await wire.read()).status == 413
                wire.close()
                # Who speaks no TLS, or an old one, is not spoken to.
                plain = await one.connect()
                plain.send(get("/health"))
                assert b"200" not in await plain.read_to_end()
                old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
                old.set_ciphers("ALL:@SECLEVEL=0")
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await asyncio.open_connection("127.0.0.1", one.port, ssl=old)

    run(work())


def test_large_bodies_and_slow_readers_over_tls(certificates):
    body = json.dumps({"model": "m", "text": "x" * 3_000_000})

    async def work():
        async with backend() as engine:
            tls = pair(certificates, "one")
            async with front(tls=tls, models={"m": model(engine.url)}) as one:
                wire = await one.meet(certificates)
                wire.send(post(body))
                wire.stop_reading()
                await asyncio.sleep(0.2)
                wire.read_on()
                assert (await wire.read()).json["body"] == body
                wire.close()

    run(work())


def test_a_cut_is_no_goodbye(certificates):
    """An HTTP/1.0 client reads until the end: only TLS can tell it that there was none."""

    async def dies(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await wire.writer.drain()
        await asyncio.sleep(0.1)
        wire.reset()

    def ask(port: int) -> str:
        context = ssl.create_default_context(cafile=str(certificates / "one.pem"))
        got = b""
        with socket.create_connection(("127.0.0.1", port)) as raw:
            with context.wrap_socket(
                raw, server_hostname="localhost", suppress_ragged_eofs=False
            ) as sock:
                sock.sendall(post(CHAT).replace(b"HTTP/1.1", b"HTTP/1.0"))
                try:
                    while data := sock.recv(65536):
                        got += data
                except (ssl.SSLEOFError, ConnectionResetError):
                    return "cut"
        return "ended"

    async def work():
        async with backend(dies) as engine, backend() as whole:
            tls = pair(certificates, "one")
            async with front(tls=tls, models={"m": model(engine.url)}) as one:
                assert await asyncio.to_thread(ask, one.port) == "cut"
                await one.load(tls=tls, models={"m": model(whole.url)})
                assert await asyncio.to_thread(ask, one.port) == "ended"

    run(work())


def test_a_client_that_says_goodbye_or_none_is_gone(certificates):
    async def waits(request: Message, wire: Wire) -> None:
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await wire.ended()

    async def work():
        async with backend(waits) as engine:
            tls = pair(certificates, "one")
            async with front(tls=tls, models={"m": model(engine.url)}) as one:
                for way in ("goodbye", "reset"):
                    wire = await one.meet(certificates)
                    wire.send(post(CHAT))
                    await wire.read_head()
                    assert engine.open == 1
                    if way == "goodbye":
                        wire.close()
                    else:
                        wire.reset()
                    await until(lambda: engine.open == 0)
                assert not one.router.clients

    run(work())


def test_a_renewed_certificate_is_shown_after_a_reload_and_streams_go_on(certificates, tmp_path):
    async def work():
        gate = asyncio.Event()
        for kind in ("pem", "key"):
            (tmp_path / f"now.{kind}").write_bytes((certificates / f"one.{kind}").read_bytes())
        tls = pair(tmp_path, "now")
        async with backend(endless(gate)) as engine:
            settings = {"tls": tls, "models": {"m": model(engine.url)}}
            async with front(**settings) as one:
                stream = await one.meet(certificates)
                stream.send(post(CHAT))
                await stream.read_head()
                assert await stream.read_chunk() == b"first"

                (tmp_path / "now.pem").write_bytes((certificates / "two.pem").read_bytes())
                with pytest.raises(ConfigError, match="is not the key of"):
                    await one.load(**settings)
                (await one.meet(certificates)).close()

                (tmp_path / "now.key").write_bytes((certificates / "two.key").read_bytes())
                await one.load(**settings)
                (await one.meet(certificates, "two")).close()
                with pytest.raises(ssl.SSLCertVerificationError):
                    await one.meet(certificates, "one")
                gate.set()
                assert await stream.read_chunk() == b"last"
                assert await stream.read_chunk() == b""
                stream.close()
                # And away with it.
                await one.load(models={})
                assert (await one.ask(get("/health"))).status == 200

    run(work())


def test_clients_that_need_a_certificate(certificates):
    async def health(one: Front, client: str | None) -> int:
        wire = await one.meet(certificates, client=client)
        wire.send(get("/health"))
        return (await wire.read()).status

    async def work():
        tls = {**pair(certificates, "one"), "client_ca": str(certificates / "client.pem")}
        async with front(tls=tls) as one:
            assert await health(one, "client") == 200
            for stranger in ("two", None):
                # By TLS 1.3 a client hears of it when it reads.
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await health(one, stranger)

    run(work())


def test_a_handshake_has_its_time_and_a_drain_waits_for_it(certificates, monkeypatch):
    async def work():
        async with front(tls=pair(certificates, "one")) as one:
            monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 0.2)
            await one.load(tls=pair(certificates, "one"))
            silent = await one.connect()
            await until(lambda: one.router.arriving)
            assert await silent.ended()

            monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 20.0)
            await one.load(tls=pair(certificates, "one"))
            # Accepted before the drain begins, and its handshake comes after.
            slow = await one.connect()
            await until(lambda: len(one.router.arriving) == 1)
            drain = asyncio.create_task(one.server.drain(asyncio.Event(), patient=True))
            await asyncio.sleep(0.05)
            transport = slow.writer.transport
            reader = asyncio.StreamReader()
            context = ssl.create_default_context(cafile=str(certificates / "one.pem"))
            upgraded = await asyncio.get_running_loop().start_tls(
                transport,
                asyncio.StreamReaderProtocol(reader),
                context,
                server_hostname="localhost",
            )
            reader.set_transport(upgraded)
            upgraded.write(get("/health"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            assert b"Connection: close" in await reader.read()
            upgraded.close()
            assert await drain == 0

    run(work())


# -- files that are wrong


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"certificate": "/nowhere.pem"}, "tls.certificate: '/nowhere.pem': No such file"),
        ({"key": "/nowhere.key"}, "tls.key: '/nowhere.key': No such file"),
        ({"certificate": "key"}, "key': holds no certificate in PEM"),
        ({"key": "pem"}, "pem': holds no private key in PEM"),
        ({"certificate": "two"}, "is not the key of "),
        ({"key": "locked"}, "is encrypted"),
        ({"key": "broken"}, "cannot be used with "),
        ({"client_ca": "/nowhere.pem"}, "tls.client_ca: '/nowhere.pem': No such file"),
        ({"client_ca": "key"}, "one.key': holds no certificate in PEM"),
    ],
)
def test_what_is_wrong_with_a_listeners_files(certificates, tls, said):
    broken = certificates / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----\n")
    places = {
        "key": certificates / "one.key",
        "pem": certificates / "one.pem",
        "two": certificates / "two.pem",
        "locked": certificates / "locked.key",
        "broken": broken,
    }
    given = {key: str(places.get(path, path)) for key, path in tls.items()}

    async def work():
        with pytest.raises(ConfigError) as caught:
            async with front(tls={**pair(certificates, "one"), **given}):
                pass
        assert said in str(caught.value)
        assert "BEGIN" not in str(caught.value)

    run(work())


def test_what_is_wrong_with_upstreams_files_is_said_for_all_of_them(certificates):
    async def work():
        key = str(certificates / "one.key")
        models = {
            "a": with_tls("https://localhost:1", ca="/nowhere.pem"),
            "b.c": with_tls("https://localhost:1", certificate=key, key=key),
        }
        with pytest.raises(ConfigError) as caught:
            async with router(models):
                pass
        assert caught.value.problems == [
            "models.a.upstreams[0].tls.ca: '/nowhere.pem': No such file or directory",
            f"models.\"b.c\".upstreams[0].tls.certificate: '{key}': holds no certificate in PEM",
        ]

    run(work())
