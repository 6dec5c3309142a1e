# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request paths: which part is the route, which paths are safe, which are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .errors import Refusal

# What vLLM, SGLang and llama.cpp offer for inference; docs/router.md has the list as a table. All
# else that an engine listens to stays behind the router: metrics, profiling, weight updates,
# aborts, slots, and /server_info, which hands out the engine's own keys.
DEFAULT_ALLOWED_PATHS = (
    # Chat and text
    "/v1/chat/completions",
    "/v1/chat/completions/batch",
    "/v1/chat/completions/input_tokens",
    "/v1/chat/completions/render",
    "/v1/completions",
    "/v1/completions/render",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/responses/*",
    "/v1/responses/*/cancel",
    "/v1/responses/*/input_items",
    # Sound and pictures
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/realtime",
    # Vectors, classes, ranks
    "/v1/embeddings",
    "/v2/embed",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
    "/v1/reranking",
    "/reranking",
    "/v1/score",
    "/score",
    "/generative_scoring",
    "/v1/classify",
    "/classify",
    "/v1/moderations",
    "/v1/decisions",
    "/pooling",
    # Tokens
    "/tokenize",
    "/detokenize",
    "/v1/tokenize",
    "/v1/detokenize",
    "/apply-template",
    # The engines' own
    "/generate",
    "/inference/v1/generate",
    "/encode",
    "/parse_function_call",
    "/separate_reasoning",
    "/get_model_info",
    "/model_info",
    "/completion",
    "/completions",
    "/chat/completions",
    "/chat/completions/input_tokens",
    "/responses",
    "/responses/input_tokens",
    "/audio/transcriptions",
    "/infill",
    "/embedding",
    "/embeddings",
    "/api/chat",
    "/api/generate",
    # What the router answers itself; an engine's by /route/{model}/
    "/v1/models",
    "/v1/models/*",
    "/health",
    "/liveness",
)

_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")


class RoutedPath(NamedTuple):
    """A request path, split.

    `model` is the name in /route/{model}/, or None where the body names it. `rest` is the path
    as the upstream gets it, escapes kept; `segments` is `rest` decoded and split at '/'.
    """

    model: str | None
    rest: str
    segments: tuple[str, ...]


@lru_cache(maxsize=256)
def split_path(path: str) -> RoutedPath:
    """Split a raw path (no query). Raises Refusal (400) where an engine may read it otherwise.

    Refused are broken escapes and segments that are empty, '.' or '..', written plainly or as
    escapes; a single slash at the end is let through.
    """
    if _ESCAPES.search(path):
        raise Refusal("invalid_path", "The path holds a % that begins no escape.")
    model = None
    head, dummy, tail = path[1:].partition("/")
    if _decode(head) == "route":
        name, slash, tail = tail.partition("/")
        model = _decode(name).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if not model:
            raise Refusal("unknown_path", "A path under /route needs a model: /route/{model}/...")
        path = f"/{tail}" if slash else "/"
    segments = tuple(_decode(path[1:]).split("/"))
    checked = segments[:-1] if segments[-1] == "" else segments
    # Windows-minded servers take a backslash for a slash, so it may hide a segment as well.
    if any(part in ("", ".", "..") for one in checked for part in one.split("\\")):
        raise Refusal("invalid_path", "The path holds an empty, '.' or '..' segment.")
    return RoutedPath(model, path, segments)


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    # Bytes that are no UTF-8 stay distinct, so that two paths never become one.
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


class AllowedPaths:
    """A set of path patterns: whole segments, '*' for any one, '/**' at the end for a subtree."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[tuple[str, ...]] = set()
        self._loose: list[tuple[tuple[str, ...], bool]] = []
        for pattern in patterns:
            subtree = pattern.endswith("/**")
            segments = tuple(pattern.removesuffix("/**").split("/")[1:])
            if subtree or "*" in segments:
                self._loose.append((segments, subtree))
            else:
                self._exact.add(segments)

    def match(self, segments: tuple[str, ...]) -> bool:
        """Whether some pattern covers the decoded segments of a path."""
        return segments in self._exact or any(
            _covers(pattern, subtree, segments) for pattern, subtree in self._loose
        )


def _covers(pattern: tuple[str, ...], subtree: bool, segments: tuple[str, ...]) -> bool:
    if len(segments) < len(pattern) or (len(segments) > len(pattern) and not subtree):
        return False
    # A subtree's own root ("/a" for "/a/**") counts, and so does all below it.
    return all(
        want == got or (want == "*" and got != "")
        for want, got in zip(pattern, segments, strict=False)
    )


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern of `allowed_paths`, or None."""
    if not pattern.startswith("/"):
        return "a pattern begins with /"
    segments = pattern.removesuffix("/**").split("/")[1:]
    if any("*" in one and one != "*" for one in segments):
        return "* stands for one whole segment, and /** only at the end"
    if any(one in (".", "..") for one in segments) or "" in segments[:-1]:
        return "a pattern holds no empty, '.' or '..' segment"
    if segments and segments[0] == "route":
        return "patterns match what follows /route/{model}; leave that part out"
    return None
