# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host gets to where it has to download from: a name, and a connection.

Nothing is asked there, so a registry that wants a login or a hub that refuses a token is none of
this. A proxy of the environment stands in for what is behind it.

This module util is private to the collection.
"""

from __future__ import annotations

import glob
import os
import re
import socket
import threading
from urllib.parse import urlsplit
from urllib.request import (  # type: ignore[attr-defined]
    getproxies_environment,
    proxy_bypass_environment,
)

SECONDS = 3
"""How long a connection may take."""
_RESOLVING = 6
"""How long a name may take: glibc asks a name server for 5 s before it asks the next."""
_STANDING_IN = {"docker.io": "registry-1.docker.io"}
"""Where a registry answers under another name."""
_REGISTRIES = (
    "/etc/containers/registries.conf",
    "/etc/containers/registries.conf.d/*.conf",
    "/usr/share/containers/registries.conf",
)
_PLACE = re.compile(r"\s*(location|prefix)\s*=")
"""What leads elsewhere; short names, which distributions bring a list of, do not."""
_PORTS = {"http": 80, "https": 443}


def missing(needs, ids):
    """The downloads that are still to be made.

    ``ids`` tells for an account and a list of images which of them it has. A repository of the hub
    that has a snapshot in the cache may lack a file of it: that is not looked at here.
    """
    wanted = []
    for need in needs:
        if need["kind"] == "image":
            if ids(need["account"], [need["what"]])[need["what"]] is None:
                wanted.append(need)
        elif not any(os.path.isdir(place) and os.listdir(place) for place in need["places"]):
            wanted.append(need)
    return wanted


def complaints(needs, environment=None, registries=_REGISTRIES):
    """A finding for each need whose server is out of reach; each server is tried once, all at once."""
    proxies = getproxies_environment() if environment is None else environment
    named = _text_of(registries)
    probes = {}
    unreadable: list = []
    for need in needs:
        host, port = address(need["where"])
        if need["kind"] == "image" and (host in named or need["where"] in named):
            # Mirrors and blocks are Podman's to follow.
            continue
        try:
            via = need["proxy"] or _proxy(host, proxies)
            target = address(via) if via else (host, port)
        except ValueError:
            # Such as a password with a # in it; nothing of it is for the eyes of who reads this.
            unreadable.append(
                "%s = %s: comes from %s, and the proxy's address cannot be read. Write it as "
                "http://HOST:PORT, and what is special in a password as %%23."
                % (need["variable"], need["what"], need["where"])
            )
            continue
        probes[id(need)] = (target, bool(via))
    threads = {target: Probe(*target) for target in {target for target, dummy in probes.values()}}
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(_RESOLVING + SECONDS)
    found = []
    for need in needs:
        target, through = probes.get(id(need), (None, False))
        wrong = threads[target].said if target else ""
        if wrong:
            server = "%s:%d" % target
            found.append(
                "%s = %s: comes from %s, and %s%s. %s"
                % (
                    need["variable"],
                    need["what"],
                    need["where"],
                    "the proxy " + server + " " if through else server + " ",
                    wrong,
                    need["instead"],
                )
            )
    return found + unreadable


def address(where):
    """Host and port of a registry's name, or of a URL."""
    url = urlsplit(where if "://" in where else "https://" + where)
    host = url.hostname or ""
    return _STANDING_IN.get(host, host), url.port or _PORTS.get(url.scheme, 443)


def _proxy(host, proxies):
    """The proxy for https to ``host``, without its credentials; empty where there is none."""
    given = proxies.get("https") or proxies.get("all") or ""
    if not given or proxy_bypass_environment(host, proxies):
        return ""
    url = urlsplit(given if "://" in given else "http://" + given)
    return "%s://%s:%d" % (url.scheme, url.hostname, url.port or _PORTS.get(url.scheme, 1080))


def _text_of(patterns):
    text = ""
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        try:
            with open(path) as file:
                lines = file.read().split("\n")
        except (OSError, ValueError):
            continue
        text += "\n".join(line for line in lines if _PLACE.match(line))
    return text


class Probe(threading.Thread):
    """Tries one server; ``said`` is what is wrong, empty where it answers.

    A thread, since nothing limits how long the C library looks for a name.
    """

    def __init__(self, host, port):
        threading.Thread.__init__(self, daemon=True)
        self.host = host
        self.port = port
        self.said = "does not get a name resolved within %d s" % _RESOLVING

    def run(self):
        """Resolve, then connect."""
        try:
            places = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.said = "cannot be resolved (%s)" % getattr(error, "strerror", error)
            return
        self.said = "gives no connection within %d s" % SECONDS
        try:
            # The first of each family: one way out is enough.
            self.said = _connect(list({place[0]: place for place in reversed(places)}.values()))
        except OSError as error:
            self.said = "gives no connection (%s)" % error.strerror


def _connect(places):
    said = ""
    for family, kind, protocol, dummy, where in places:
        with socket.socket(family, kind, protocol) as client:
            client.settimeout(SECONDS)
            try:
                client.connect(where)
                return ""
            except socket.timeout:
                said = "gives no connection within %d s" % SECONDS
            except OSError as error:
                said = "gives no connection (%s)" % error.strerror
    return said
