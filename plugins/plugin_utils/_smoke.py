# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which questions show that a router serves each of its models, and as which client.

Keys are named by the files on the router's host that hold them, so that no secret passes through
the controller.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _plan

PATH = "/v1/chat/completions"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def door(router: Mapping[str, Any]) -> dict[str, Any]:
    """Where the router is asked on its own host: a ``url``, and a ``socket`` where that is the way.

    ``None`` as ``url`` where only a client with a certificate gets in.
    """
    tls = router["router_tls"]
    if tls and tls["client_ca"]:
        socket = router["router_socket"]
        return {"url": "http://localhost" if socket else None, "socket": socket}
    address = router["router_host"].strip("[]")
    address = _EVERYWHERE.get(address, address)
    host = f"[{address}]" if ":" in address else address
    scheme = "https" if tls else "http"
    return {"url": f"{scheme}://{host}:{router['router_port']}", "socket": None}


def questions(
    plan: Mapping[str, Any], host: str, models: Sequence[str] | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """A question for each route of a router, or for those of ``models``.

    Each has the ``model``, and ``key_paths``: the files with keys of all clients who may ask, since one
    may hold no key but its hash; none where no key is wanted. Second come models that no client may
    ask for.
    """
    router = plan["hosts"][host]["router"]
    routes = _plan.table(plan, host)[0]
    asked = [name for name in sorted(routes) if models is None or name in models]
    if not router["router_client_keys"]:
        return [{"model": name, "key_paths": []} for name in asked], []
    found, nobody = [], []
    for name in asked:
        credentials = _credentials(router["router_client_keys"], {name, *_aliases(routes[name])})
        paths = [router["router_credentials"].get(one) for one in credentials]
        if credentials:
            found.append({"model": name, "key_paths": [path for path in paths if path]})
        else:
            nobody.append(name)
    return found, nobody


def _aliases(route: Mapping[str, Any]) -> list[str]:
    return list(route.get("aliases", ()))


def _credentials(clients: Mapping[str, Any], names: set[str]) -> list[str]:
    """Those of the clients who may ask for one of these names."""
    found = []
    for key in clients.values():
        allowed = key["models"] is None or names & set(key["models"])
        paths = key["paths"]
        if allowed and (paths is None or PATH in paths or "/**" in paths or "/v1/**" in paths):
            found.append(str(key["credential"]))
    return found


def unknown(plan: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """Names that no router of the plan has a route for."""
    known = {
        name
        for host, planned in plan["hosts"].items()
        if planned["router"]
        for name in _plan.table(plan, host)[0]
    }
    return sorted(set(models) - known)
