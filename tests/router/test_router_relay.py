# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers relayed whole, over loopback, against a scripted backend."""

from __future__ import annotations

import asyncio

from router_harness import CHAT, Message, Wire, backend, get, model, post, router, run


def test_a_thousand_requests_on_one_connection_use_one_upstream_connection():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            for number in range(1000):
                wire.send(post(CHAT))
                answer = await wire.read()
                assert answer.status == 200, number
            assert len(engine.requests) == 1000
            assert engine.connections == 1

    run(work())


def test_body_goes_through_byte_for_byte_with_the_length_it_had():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            body = '{ "x":"\\u00e9\\/",\t"model" : "m" , "x":1}\n'
            answer = await front.ask(post(body, "/v1/chat/completions?a=1;b=%zz&c"))
            assert answer.json["body"] == body
            assert answer.json["target"] == "/v1/chat/completions?a=1;b=%zz&c"
            assert engine.last.get("content-length") == str(len(body))
            assert answer.get("x-request-id")

    run(work())


def test_chunked_upload_is_routed_by_body_and_forwarded_with_a_length():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            answer = await front.ask(
                "POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                '8;x=y\r\n{"model"\r\n6\r\n: "m"}\r\n0\r\nX-Check: ok\r\n\r\n'
            )
            assert answer.json["body"] == '{"model": "m"}'
            assert engine.last.get("content-length") == "14"
            assert engine.last.get("transfer-encoding") is None

    run(work())


def test_path_routed_body_streams_without_being_read():
    seen = []

    async def script(wire_message: Message, wire: Wire) -> None:
        head = await wire.read_head()
        seen.append(head)
        for dummy in range(2):
            chunk = await wire.read_chunk()
            seen.append(chunk)
            if chunk == b"one":
                wire.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert await wire.read_chunk() == b""
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await wire.reader.read()

    async def work():
        async with backend(script, raw=True) as engine:
            async with router({"org/m": model(engine.url + "/base?k=v")}) as front:
                wire = await front.connect()
                wire.send(
                    "POST /route/org%2Fm/v1/audio/transcriptions?q=1 HTTP/1.1\r\nHost: a\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
                )
                # The backend answers to the first piece, so the piece cannot have been held.
                assert (await wire.read_head()).status == 103
                wire.send("3\r\ntwo\r\n0\r\n\r\n")
                assert (await wire.read()).body == b"ok"
                assert seen[0].target == "/base/v1/audio/transcriptions?k=v&q=1"
                assert seen[0].get("transfer-encoding") == "chunked"
                assert seen[1:] == [b"one", b"two"]

    run(work())


def test_events_pass_one_by_one_as_they_come():
    more = asyncio.Queue()

    async def script(request: Message, wire: Wire) -> None:
        wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(5):
            event = f"data: {number}\n\n"
            wire.send(f"{len(event):x}\r\n{event}\r\n")
            await more.get()
        wire.send("0\r\nX-Trailer: t\r\n\r\n")

    async def work():
        async with backend(script) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(post(CHAT))
            await wire.read_head()
            for number in range(5):
                assert await wire.read_chunk() == f"data: {number}\n\n".encode()
                more.put_nowait(None)
            assert await wire.read_chunk() == b""
            assert await wire.reader.readline() == b"X-Trailer: t\r\n"
            assert await wire.reader.readline() == b"\r\n"
            wire.send(get("/health"))
            assert (await wire.read()).status == 200

    run(work())


def answering(text: str):
    async def script(request: Message, wire: Wire) -> None:
        wire.send(text)
        if "close" in text:
            wire.close()

    return script


def test_answers_of_every_framing_reach_the_client_and_keep_what_can_be_kept():
    cases = [
        # answer, request, status, body, upstream connections after two requests
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", post(CHAT), 200, b"ok", 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
         post(CHAT), 200, b"ok", 1),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", post(CHAT), 204, b"", 1),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
         get("/route/m/v1/models"), 304, b"", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
         get("/route/m/v1/models", method="HEAD"), 200, b"", 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         get("/route/m/v1/models", method="HEAD"), 200, b"", 1),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", post(CHAT), 200, b"ok", 2),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", post(CHAT), 200, b"ok", 2),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
         post(CHAT), 200, b"ok", 1),
        ("HTTP/1.1 500\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nno", post(CHAT), 500, b"no", 1),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
         post(CHAT), 302, b"", 1),
    ]  # fmt: skip

    async def work():
        for text, request, status, body, connections in cases:
            async with backend(answering(text)) as engine, router({"m": model(engine.url)}) as f:
                wire = await f.connect()
                for dummy in range(2):
                    wire.send(request)
                    head = await wire.read_head()
                    empty = request[:4] == b"HEAD" or status in (204, 304)
                    answer = head if empty else await wire.read_body(head)
                    assert (answer.status, answer.body) == (status, body), text
                assert engine.connections == connections, text
                if "99" in text:
                    assert answer.get("content-length") == "99"
                if status == 204:
                    assert answer.get("content-length") is None

    run(work())


def test_a_close_delimited_answer_ends_an_http_1_0_clients_connection():
    async def work():
        text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
        async with backend(answering(text)) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            wire.send(f"POST /v1/completions HTTP/1.0\r\nContent-Length: {len(CHAT)}\r\n\r\n{CHAT}")
            raw = await wire.read_to_end()
            assert raw.endswith(b"\r\n\r\nok")
            assert b"chunked" not in raw

    run(work())


def test_an_upgrade_becomes_a_tunnel_in_both_directions():
    async def script(message: Message, wire: Wire) -> None:
        request = await wire.read_head()
        assert request.get("connection") == "Upgrade"
        assert request.get("upgrade") == "websocket"
        assert request.get("sec-websocket-protocol") == "realtime"
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: x\r\n\r\nfirst"
        )
        while data := await wire.reader.read(100):
            wire.send(data.upper())
            if data == b"bye":
                return

    async def work():
        async with backend(script, raw=True) as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            upgrade = ("Connection: keep-alive, Upgrade", "Upgrade: websocket")
            wire.send(get("/route/m/v1/realtime", *upgrade, "Sec-WebSocket-Protocol: realtime"))
            head = await wire.read_head()
            assert head.status == 101
            assert head.get("upgrade") == "websocket"
            assert await wire.reader.readexactly(5) == b"first"
            wire.send(b"\x00\xffabc")
            assert await wire.reader.readexactly(5) == b"\x00\xffABC"
            wire.send(b"bye")
            assert await wire.read_to_end() == b"BYE"

    run(work())


def test_pipelined_requests_are_answered_in_order():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            wire = await front.connect()
            bodies = [f'{{"model": "m", "n": {n}}}' for n in range(20)]
            wire.send(b"\r\n".join(post(body) for body in bodies) + get("/health"))
            for body in bodies:
                assert (await wire.read()).json["body"] == body
            assert (await wire.read()).json == {"status": "ok", "models": 1}
            assert engine.connections == 1

    run(work())


def test_a_request_cut_at_every_byte_is_read_the_same():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            request = post('{"model": "m"}')
            for cut in range(1, len(request)):
                wire = await front.connect()
                wire.send(request[:cut])
                await asyncio.sleep(0)
                wire.send(request[cut:])
                assert (await wire.read()).json["body"] == '{"model": "m"}', cut
                wire.close()
            assert engine.connections < 10

    run(work())


def test_unix_upstream_and_its_socket():
    async def work():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            async with backend(path=f"{folder}/a b.sock") as engine:
                url = engine.url.replace(" ", "%20")
                async with router({"m": model(url)}) as front:
                    answer = await front.ask(post(CHAT))
                    assert answer.status == 200
                    assert engine.last.get("host") == "client.example"

    run(work())


def test_a_client_on_a_unix_listener_has_no_address_to_forward():
    async def work():
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            async with backend() as engine, router({"m": model(engine.url)}) as front:
                loop = asyncio.get_running_loop()
                path = f"{folder}/front.sock"
                server = await loop.create_unix_server(front.router.connection, path)
                wire = Wire(*await asyncio.open_unix_connection(path))
                wire.send(post(CHAT))
                assert (await wire.read()).status == 200
                assert engine.last.get("x-forwarded-for") is None
                assert engine.last.get("x-forwarded-host") == "client.example"
                server.close()

    run(work())


def test_request_ids_are_kept_if_sane_and_made_if_not():
    async def work():
        async with backend() as engine, router({"m": model(engine.url)}) as front:
            seen = set()
            for given, kept in (("abc-1.2", True), ("x y", False), ("x" * 200, False), ("", False)):
                for request in (post(CHAT, "/v1/completions", f"X-Request-ID: {given}"),
                                get("/health", f"X-Request-ID: {given}")):  # fmt: skip
                    answer = await front.ask(request)
                    mine = answer.get("x-request-id")
                    assert (mine == given) is kept
                    assert mine not in seen or kept
                    seen.add(mine)
                assert engine.last.all("x-request-id") == [engine.last.get("x-request-id")]

    run(work())


def test_replicas_share_the_load_and_a_refused_one_is_passed_over():
    async def work():
        async with backend() as one, backend() as two, backend() as dead:
            dead.stop()
            await asyncio.sleep(0)
            urls = (one.url, dead.url, two.url)
            async with router({"m": model(*urls)}) as front:
                for dummy in range(30):
                    assert (await front.ask(post(CHAT))).status == 200
                assert len(one.requests) >= 8 and len(two.requests) >= 8
                assert len(one.requests) + len(two.requests) == 30
                upstreams = front.router._upstreams.values()
                assert [upstream.outstanding for upstream in upstreams] == [0, 0, 0]

    run(work())


def test_the_replica_with_fewer_requests_outstanding_is_chosen():
    async def work():
        gate = asyncio.Event()

        async def slow(request: Message, wire: Wire) -> None:
            await gate.wait()
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        async with backend(slow) as busy, backend() as idle:
            async with router({"m": model(busy.url, idle.url)}) as front:
                first = await front.connect()
                first.send(post(CHAT))
                while not busy.requests:
                    if idle.requests:
                        break
                    await asyncio.sleep(0.002)
                for dummy in range(6):
                    await front.ask(post(CHAT))
                assert len(busy.requests) == 1
                assert len(idle.requests) == 6
                gate.set()
                assert (await first.read()).status == 200

    run(work())
