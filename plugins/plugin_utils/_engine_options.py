# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and model keys that engines share, so that they mean the same everywhere.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _routes, _weight_options
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

FLAG_CHECKS = ("error", "warn", "off")
"""What may become of what is wrong with an engine's flags."""
SOCKET_DIRECTORY = "/run/onehop"


@dataclass(frozen=True)
class Examples:
    """What an engine's examples are written with."""

    version: str
    settings: Mapping[str, Any]
    """Flags with their values."""
    extra_args: tuple[str, ...]
    """Words of a command line."""


CREDENTIAL_KEYS = (
    Option(
        "source",
        "path",
        "Absolute path of a file on the host that holds the secret. Only root needs to read it.",
        default=None,
        # What is no path may well be the secret itself, written in the wrong place.
        secret=True,
        example="/etc/llm/alice.key",
    ),
    Option(
        "content",
        "str",
        "The secret itself, from a vaulted variable. It is kept in a file that only root can read.",
        default=None,
        secret=True,
        example="{{ vault_alice_key }}",
    ),
)


_SECTION = (
    "Keys for the unit's {} section, behind those of the role: the last word wins, lists add up, "
    "as in a drop-in. A list repeats the key, an empty text resets it."
)


_IN_SECTIONS = {
    "Unit": {"RequiresMountsFor": "/srv/models"},
    "Container": {"Volume": ["/srv/adapters:/srv/adapters:ro"]},
    "Service": {"MemoryMax": "64G"},
}


def section(name: str, title: str) -> Option:
    """Overrides of a unit's section."""
    return Option(
        name,
        "map",
        _SECTION.format(f"C([{title}])"),
        default={},
        key_type="str",
        elements="json",
        example=_IN_SECTIONS[title],
    )


def flags(name: str, doc: str, example: Mapping[str, Any]) -> Option:
    """A dictionary of a command line's flags."""
    return Option(
        name, "map", doc, default={}, key_type="str", elements="json", example=dict(example)
    )


def extra_args(example: tuple[str, ...]) -> Option:
    """Words of a command line that are no settings."""
    return Option(
        "extra_args",
        "list",
        "Words put at the end of the command line, as they are.",
        default=[],
        elements="str",
        example=list(example),
    )


def flag_check(doc: str) -> Option:
    """What becomes of what is wrong with flags, where it differs from the role's word."""
    return Option("flag_check", "flag_check", doc, default=None, choices=FLAG_CHECKS, example="off")


def environment(name: str, doc: str) -> Option:
    """A dictionary of environment variables."""
    return Option(
        name,
        "map",
        doc,
        default={},
        key_type="environment_name",
        elements="environment_value",
        secret=True,
        example={"OMP_NUM_THREADS": "8"},
    )


def credentials(name: str, doc: str, more: tuple[Option, ...] = ()) -> Option:
    """A dictionary of secrets; ``more`` are keys beside where the secret comes from."""
    return Option(
        name,
        "map",
        f"{doc} Each has either a C(source), a path on the host, or a C(content), "
        "the secret itself; a bare string is a source.",
        default={},
        key_type="credential_name",
        keys=CREDENTIAL_KEYS + more,
        shorthand="source",
        example={"alice_key": {"source": "/etc/llm/alice.key"}},
    )


def role_options(
    role: str, title: str, told: str, examples: Examples, *, sockets: bool = True
) -> tuple[Option, ...]:
    """Variables that every engine's role has; ``sockets`` where the engine can listen on one.

    ``told`` is what tells the engine's version, in words.
    """
    options = (
        Option(
            f"{role}_enable",
            "bool",
            f"Whether this host serves models with {title}. When false, its workers are removed as "
            "if no model were declared.",
            default=True,
        ),
        flags(
            f"{role}_model_settings",
            "Command-line flags of the engine for every model, without the leading dashes. A "
            "model's own C(settings) win.",
            examples.settings,
        ),
        environment(
            f"{role}_environment", "Environment variables for every model. A model's own win."
        ),
        Option(
            f"{role}_environment_file",
            "path",
            "File on the host with C(NAME=value) lines for every model, read as root when a "
            "worker starts. The place for secrets that the engine takes from its environment.",
            default=None,
            example="/etc/llm/all.env",
        ),
        Option(
            f"{role}_version",
            "engine_version",
            f"The version of {title} that flags are checked and written for; unless given, {told} "
            "tells it, if it can.",
            default=None,
            example=examples.version,
        ),
        Option(
            f"{role}_flag_check",
            "flag_check",
            "What becomes of a flag that the version does not know, or of a value that it would "
            "refuse: an C(error), a warning (C(warn)), or nothing (C(off)).",
            default="error",
            choices=FLAG_CHECKS,
            example="warn",
        ),
        Option(
            f"{role}_open_files_limit",
            "positive",
            "Number of files that a worker may have open.",
            default=1048576,
            example=65536,
        ),
        Option(
            f"{role}_startup_ordering",
            "bool",
            "Whether models start one after the other, by ascending port, then by name, each when "
            "the one before it is ready.",
            default=True,
        ),
        Option(
            f"{role}_start_timeout",
            "positive",
            "Seconds that a model may take from its start until it is ready.",
            default=3600,
            example=7200,
        ),
        Option(
            f"{role}_socket_directory",
            "socket_directory",
            "Directory below /run for the unix sockets of models without a port.",
            default=SOCKET_DIRECTORY,
            example="/run/llm",
        ),
    )
    weights = _weight_options.role_options(role, CREDENTIAL_KEYS)
    return (*(options if sockets else options[:-1]), *weights)


_PORT = "TCP port on the loopback address that the worker listens on."
_OR_SOCKET = " Without one it listens on a unix socket that only the router can reach."


def model_keys(
    role: str,
    examples: Examples,
    *,
    sockets: bool = True,
    credential_keys: tuple[Option, ...] = (),
) -> tuple[Option, ...]:
    """Keys that a model of every engine has."""
    return (
        Option("enable", "bool", "Whether the model is served.", default=True),
        Option(
            "name",
            "label",
            "The name that clients ask for; the key in the dictionary unless given.",
            default=None,
            example="qwen3",
        ),
        Option(
            "port", "port", _PORT + (_OR_SOCKET if sockets else ""), default=None, example=18001
        ),
        flags(
            "settings",
            "Command-line flags of the engine, without the leading dashes. V(true) is the bare "
            "flag, V(false) its negation, a list is given as the engine wants it, a dictionary "
            "as JSON, V(null) not at all. C(${cred:NAME}) is the path of a credential.",
            examples.settings,
        ),
        extra_args(examples.extra_args),
        flag_check(f"O({role}_flag_check) for this model."),
        environment(
            "environment", "Environment variables. C(${cred:NAME}) is the path of a credential."
        ),
        Option(
            "environment_file",
            "path",
            f"File on the host with C(NAME=value) lines, read after O({role}_environment_file).",
            default=None,
            example="/etc/llm/qwen3.env",
        ),
        credentials("credentials", "Secrets that the worker gets as files.", credential_keys),
        Option(
            "start_timeout",
            "positive",
            f"Seconds until it must be ready; O({role}_start_timeout) unless given.",
            default=None,
            example=1800,
        ),
        _weight_options.model_key(role),
        Option(
            "route",
            "dict",
            "How the router treats the model.",
            default=_routes.NOTHING_SAID,
            keys=(*_routes.OPTIONS, _routes.WEIGHT),
            example={"aliases": ["gpt-4o-mini"]},
        ),
    )
