# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that say where an engine's weights come from.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

WAYS = ("stage", "found", "engine")

_WAYS_DOC = (
    "Where weights come from. V(stage) fetches what is missing before the worker is started, "
    "and then the engine needs no internet. V(found) fetches nothing: a model that is whole in the "
    "cache or in a bundle is started without the internet, others are left to the engine. With "
    "V(engine) all is left to the engine."
)


def role_options(role: str, credential: tuple[Option, ...]) -> tuple[Option, ...]:
    """Variables of every engine's role; ``credential`` are the keys of a secret."""
    return (
        Option(f"{role}_weights", "str", _WAYS_DOC, default="stage", choices=WAYS, example="found"),
        Option(
            f"{role}_weights_bundles",
            "list",
            "Directories of the host that hold weights in the layout of the hub's cache: the "
            "directories C(models--ORG--NAME), or C(hub) with these in it. They are only read.",
            default=[],
            elements="path",
            example=["/srv/models"],
        ),
        Option(
            f"{role}_weights_sources",
            "map",
            "What to fill the cache from instead of the hub, by repository: a directory or a tar "
            "archive of the host with the files of a snapshot. C(ORG/NAME@REVISION) is for one "
            "revision.",
            default={},
            key_type="repository",
            elements="path",
            example={"Qwen/Qwen3-8B": "/srv/artefacts/qwen3-8b.tar"},
        ),
        Option(
            f"{role}_weights_prune",
            "bool",
            "Whether weights in the cache that no model names any more are removed.",
            default=False,
        ),
        Option(
            f"{role}_weights_timeout",
            "positive",
            "Seconds that fetching the weights may take.",
            default=86400,
            example=172800,
        ),
        Option(
            f"{role}_hub_endpoint",
            "url",
            "Address of a mirror of the hub.",
            default=None,
            example="https://hub.example.org",
        ),
        Option(
            f"{role}_hub_token",
            "dict",
            "Token for gated and private repositories, only for fetching weights: C(source), a path "
            "on the host, or C(content), the token itself; a bare string is a source.",
            default=None,
            keys=credential,
            shorthand="source",
            example={"content": "{{ vault_hub_token }}"},
        ),
    )


def model_key(role: str) -> Option:
    """What a model may say of its own."""
    return Option(
        "weights",
        "str",
        f"O({role}_weights) for this model.",
        default=None,
        choices=WAYS,
        example="engine",
    )
