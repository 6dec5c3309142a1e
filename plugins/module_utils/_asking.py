# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an OpenAI-compatible endpoint for one tiny answer of each model.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.urls import open_url

AT_A_TIME = 4
"""Models that are asked at the same time."""
_SHOWN = 60
_OTHER_KIND = (400, 404, 405, 422, 500, 501)
"""What engines answer to a chat where the model is of another kind."""
_WAYS = (
    (
        "chat",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8},
        lambda answer: answer["choices"][0]["message"].get("content") or "",
    ),
    (
        "embeddings",
        "/v1/embeddings",
        {"input": "hello"},
        lambda answer: "%d numbers" % len(answer["data"][0]["embedding"]),
    ),
    (
        "rerank",
        "/v1/rerank",
        {"query": "hello", "documents": ["hello", "goodbye"]},
        lambda answer: "%d ranks" % len(answer["results"]),
    ),
)


_ONLY_HASHES = "the host holds no key of who may ask, but hashes: give a key to ask with"


def is_hash(key):
    """Whether a router's credential is no key but the hash of one."""
    return key.startswith("sha256:") or (key.startswith("$") and key.count("$") > 2)


class Endpoint:
    """One endpoint; ``socket`` is the path of a unix socket to reach it by."""

    def __init__(self, url, socket=None, timeout=120):
        self.url = url.rstrip("/")
        self.socket = socket
        self.timeout = timeout

    def ask_all(self, questions):
        """A row for each of the questions, pairs of a model and a key, in their order.

        The key is empty where none is wanted, and None where there is none to ask with.
        """
        with ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
            return list(pool.map(lambda one: self.ask(*one), questions))

    def ask(self, model, key=""):
        """A row: ``model``, ``ok``, ``seconds``, the ``kind`` of answer, and what was ``said``."""
        if key is None:
            return {
                "model": model,
                "ok": False,
                "kind": "chat",
                "seconds": 0.0,
                "said": _ONLY_HASHES,
            }
        first = None
        begin = time.monotonic()
        for kind, path, body, read in _WAYS:
            status, text = self._post(path, dict(body, model=model), key)
            row = {"model": model, "ok": False, "kind": kind}
            try:
                said = read(json.loads(text)) if status == 200 else None
            except (ValueError, KeyError, IndexError, TypeError, AttributeError):
                said, text = None, "it is no answer of this kind: " + text
            row.update(ok=said is not None, said=_short(said if said is not None else text))
            if status != 200:
                row["said"] = _short(("%d: " % status if status else "") + _message(text))
            row["seconds"] = round(time.monotonic() - begin, 1)
            first = first or row
            if row["ok"] or status not in _OTHER_KIND:
                break
        return row if row["ok"] else first

    def _post(self, path, body, key):
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = "Bearer " + key
        try:
            answer = open_url(
                self.url + path,
                data=json.dumps(body),
                headers=headers,
                method="POST",
                timeout=self.timeout,
                unix_socket=self.socket,
                use_proxy=False,
                # It is asked on its own host, whose certificate is for another name.
                validate_certs=False,
            )
            return answer.getcode(), to_text(answer.read())
        except HTTPError as error:
            return error.code, to_text(error.read())
        except Exception as error:  # what a broken connection raises is many things
            return 0, to_text(error)


def _message(text):
    """What an error object says, or all of it."""
    try:
        error = json.loads(text)["error"]
        return error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        return text


def _short(text):
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN * 4 else text[: _SHOWN * 4 - 1] + "…"


def table(rows):
    """The rows as lines."""
    head = ("MODEL", "ANSWERS", "SECONDS", "KIND", "SAID")
    lines = [head] + [
        (
            row["model"],
            "yes" if row["ok"] else "no",
            str(row["seconds"]),
            row["kind"],
            row["said"][:_SHOWN],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    ]
