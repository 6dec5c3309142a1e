# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a router all the time, and tells what became of each request.

``fleet_load.py BASE_URL KEY MODEL STOP_FILE`` asks until the file is there, half of the requests as
streams, and prints JSON: how many were ``answered`` whole, how many were ``broken`` after their
answer had begun, and which were ``lost`` before. It is run by Molecule's scenario fleet.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

THREADS = 4
LONGEST = 600.0
TOKENS = 24
PAUSE = 0.2
"""Seconds between two requests of a thread: the hosts share a machine with their controller."""


class Count:
    """What became of the requests, of all threads."""

    def __init__(self) -> None:
        self.answered = 0
        self.broken = 0
        self.lost: list[str] = []
        self._lock = threading.Lock()

    def add(self, outcome: str, said: str = "") -> None:
        """Note one request."""
        with self._lock:
            if outcome == "answered":
                self.answered += 1
            elif outcome == "broken":
                self.broken += 1
            else:
                self.lost.append(f"{time.strftime('%H:%M:%S')} {said}")


def ask(address: tuple[str, int], key: str, model: str, *, stream: bool, count: Count) -> None:
    """One request on a connection of its own."""
    body = {"model": model, "prompt": "One hop", "max_tokens": TOKENS, "stream": stream}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(*address, timeout=90)
    begun = False
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        begun = answer.status == http.client.OK
        said = answer.read()
        whole = b"data: [DONE]" in said if stream else said.rstrip().endswith(b"}")
        if begun:
            count.add("answered" if whole else "broken")
        else:
            count.add("lost", f"{answer.status} {said[:300].decode(errors='replace')}")
    except (OSError, http.client.HTTPException) as error:
        count.add("broken" if begun else "lost", repr(error))
    finally:
        connection.close()


def main() -> None:
    """The program."""
    base, key, model, stop = sys.argv[1:]
    parts = urlsplit(base)
    address = (parts.hostname or "", parts.port or 80)
    count, end = Count(), time.monotonic() + LONGEST

    def go_on(number: int) -> None:
        while time.monotonic() < end and not Path(stop).exists():
            ask(address, key, model, stream=number % 2 == 0, count=count)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answered": count.answered, "broken": count.broken, "lost": count.lost}))


if __name__ == "__main__":
    main()
