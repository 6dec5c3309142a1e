# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until a server answers 200 on its health path: ``wait-ready PID URL PATH``.

Installed on hosts as ``/opt/onehop/bin/wait-ready`` and run by ``ExecStartPost=``, so that a unit
is activating until its server has loaded. systemd does not act on the death of the main process
meanwhile, so this watches it: exit status 1 when it is gone, 0 when it is ready. There is no time
limit here; the unit's ``TimeoutStartSec=`` is one.

Standard library only; this module util is private to the collection.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

PAUSE = 0.2
"""Seconds between two questions."""
ANSWER = 10
"""Seconds that a server may take for an answer."""


def main(arguments):
    """The program; its exit status."""
    if len(arguments) != 3:
        sys.stderr.write("usage: wait-ready PID URL PATH\n")
        return 2
    process = Process(int(arguments[0]))
    while True:
        if process.gone(PAUSE):
            sys.stderr.write("wait-ready: the server ended before it was ready\n")
            return 1
        if status(arguments[1], arguments[2]) == 200:
            return 0


class Process(object):
    """The main process. A pidfd cannot be fooled by a number that is used again."""

    def __init__(self, pid):
        self.pid = pid
        self.handle = None
        try:
            self.handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        except ProcessLookupError:
            self.pid = None
        except OSError:
            pass

    def gone(self, seconds):
        """Whether it has ended, or ends within ``seconds``."""
        if self.pid is None:
            return True
        if self.handle is not None:
            return bool(select.select([self.handle], [], [], seconds)[0])
        time.sleep(seconds)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def status(url, path, seconds=ANSWER):
    """The status of ``GET path``; ``None`` while nobody answers."""
    connection = connect(url)
    connection.timeout = seconds
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def connect(url):
    """A connection, not yet open, to ``http://HOST:PORT``, ``https://…`` or ``unix:///PATH``."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return UnixConnection(parts.path)
    if parts.scheme == "https":
        # On this host, by address: there is no name that a certificate could be held against.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=ANSWER, context=context
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        http.client.HTTPConnection.__init__(self, "localhost", timeout=ANSWER)
        self.path = path

    def connect(self):
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
