# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay as one writes it with aiohttp in an afternoon: a double of such routers, for comparison.

Reads the body, finds the model in it, checks the key, relays the answer as it comes.
Run as `python aiohttp_relay.py PORT BACKEND_PORT KEY LOGGED`; imports nothing of the bench.
"""

from __future__ import annotations

import json
import logging
import sys

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

_NOT_RELAYED = {"host", "connection", "content-length", "transfer-encoding", "authorization"}


def application(backend_port: int, key: str) -> web.Application:
    """One model, one key."""
    models = {"bench": f"http://127.0.0.1:{backend_port}"}
    app = web.Application(client_max_size=0)

    async def session(app: web.Application):
        app["session"] = ClientSession(
            connector=TCPConnector(limit=0),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
        )
        yield
        await app["session"].close()

    async def relay(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": {"code": "invalid_api_key"}}, status=401)
        body = await request.read()
        backend = models[json.loads(body)["model"]]
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_RELAYED}
        async with app["session"].request(
            request.method, backend + request.path_qs, data=body, headers=headers
        ) as answer:
            kept = {
                k: v
                for k, v in answer.headers.items()
                if k.lower() not in ("connection", "transfer-encoding")
            }
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", relay)
    return app


if __name__ == "__main__":
    port, backend_port, key, logged = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    uvloop.install()
    web.run_app(
        application(int(backend_port), key),
        host="127.0.0.1",
        port=int(port),
        backlog=4096,
        access_log=logging.getLogger("access") if logged == "1" else None,
        print=None,
    )
