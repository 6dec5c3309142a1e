# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the configuration file, key by key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from .auth import hash_fault
from .config import (
    ClientKeyConfig,
    Config,
    ListenerTlsConfig,
    ModelConfig,
    UpstreamConfig,
    UpstreamTlsConfig,
)
from .config_values import (
    MISSING,
    ConfigError,
    JsonObject,
    ValueReader,
    join,
    kind,
    uncontrolled,
    unencodable,
)
from .headers import NOT_CONFIGURABLE
from .paths import pattern_fault
from .urls import parse_upstream_url

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BALANCES = ("least_outstanding", "affinity")
# Fields of an entry of /v1/models that are the router's own.
_OWN_CARD_FIELDS = ("id", "object", "created", "owned_by")


def load(path: Path, environ: Mapping[str, str] | None) -> Config:
    """Read and check a file; with `environ`, expand the secrets in it as well.

    Raises ConfigError. Without `environ` only the syntax of references is checked, and values
    keep their references.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    fingerprint = hashlib.sha256(content).hexdigest()[:12]
    return msgspec.structs.replace(parse(text, environ), fingerprint=fingerprint)


def parse(text: str, environ: Mapping[str, str] | None) -> Config:
    """Like `load`, from the file's text."""
    try:
        # Not msgspec: it lets the last of two equal keys win, and stops at the first error.
        data = json.loads(text, object_pairs_hook=JsonObject, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"the file is not one JSON value: {error}"]) from None
    reader = ConfigReader(environ)
    config = reader.config(data)
    if reader.problems:
        raise ConfigError(reader.problems)
    return config


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class ConfigReader(ValueReader):
    """One method for each kind of object in the file."""

    def config(self, data: object) -> Config:
        """The whole file. What is wrong is in `problems`, and the result is then worthless."""
        known = tuple(name for name in Config.__struct_fields__ if name != "fingerprint")
        top = self.mapping("", data, known)
        if top is None:
            return Config()
        config = Config(
            **self.fields(
                "",
                top,
                {
                    "host": self._host,
                    "port": partial(self.integer, low=0, high=65535),
                    "tls": self._listener_tls,
                    "stamp": self.text,
                    "processes": partial(self.integer, low=1, high=64),
                    "max_body_bytes": self.limit,
                    "max_concurrent_requests": self.limit,
                    "max_buffered_bytes": self.limit,
                    "max_queued_requests": self.limit,
                    "queue_seconds": self.seconds,
                    "max_held_requests": self.limit,
                    "hold_seconds": self.seconds,
                    "health_seconds": self.seconds,
                    "answer_seconds": self.seconds,
                    "idle_stream_seconds": self.seconds,
                    "drain_seconds": self.seconds,
                    "allow_anonymous": self.flag,
                    "access_log": self.flag,
                    "allowed_paths": self._paths,
                    "default_model": self.name,
                    "client_keys": self._keys,
                    "models": self._models,
                },
            )
        )
        self._check_names(config)
        return config

    def _check_names(self, config: Config) -> None:
        """What models say of each other."""
        owners: dict[str, str] = {}
        for name, model in config.models.items():
            where = join("models", name)
            for alias in model.aliases:
                if alias in config.models:
                    self.bad(f"{where}.aliases", alias, "this is the name of another model")
                elif alias in owners:
                    self.bad(
                        f"{where}.aliases", alias, f"this is an alias of {owners[alias]!r} too"
                    )
                owners[alias] = name
            for other in model.fallbacks:
                if other not in config.models or other == name:
                    self.bad(f"{where}.fallbacks", other, "write the name of another model here")
        default = config.default_model
        if default is not None and default not in config.models and default not in owners:
            self.bad("default_model", default, "write the name of one of the models")

    def _host(self, path: str, value: object) -> str:
        if not isinstance(value, str) or re.search(r"[^!-~]", value):
            self.bad(path, value, 'write an address or a name, like "127.0.0.1"; "" is every one')
            return ""
        return value

    def _listener_tls(self, path: str, data: object) -> ListenerTlsConfig | None:
        if data is None:
            return None
        one = self.mapping(path, data, ListenerTlsConfig.__struct_fields__)
        if one is None:
            return None
        for name in ("certificate", "key"):
            if one.get(name) is None:
                self.problems.append(f"{path}.{name}: missing; write the path of a PEM file")
        files = dict.fromkeys(ListenerTlsConfig.__struct_fields__, self.file)
        return ListenerTlsConfig(**{"certificate": "", "key": "", **self.fields(path, one, files)})

    def _paths(self, path: str, value: object) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            self.bad(path, value, "write a list of paths, or null for every path")
            return ()
        for number, one in enumerate(value):
            fault = pattern_fault(one) if isinstance(one, str) else f"this is {kind(one)}"
            if fault:
                self.bad(f"{path}[{number}]", one, f'{fault}; write one like "/v1/*" or "/v1/**"')
        return tuple(one for one in value if isinstance(one, str))

    def _keys(self, path: str, value: object) -> dict[str, ClientKeyConfig]:
        clients: dict[str, ClientKeyConfig] = {}
        holders: dict[str, str] = {}
        for name, data in (self.mapping(path, value, None) or {}).items():
            where = join(path, name)
            one = self.mapping(where, data, ClientKeyConfig.__struct_fields__)
            if one is None:
                continue
            keys = self._client_keys(f"{where}.keys", one.get("keys", MISSING))
            for place, key in keys:
                if key in holders:
                    self.bad_secret(place, f"this is also the key of {holders[key]!r}")
                holders.setdefault(key, name)
            clients[name] = ClientKeyConfig(
                tuple(key for dummy, key in keys),
                **self.fields(
                    where,
                    one,
                    {
                        "models": self._models_of_key,
                        "paths": self._paths,
                        "max_concurrent_requests": self.limit,
                    },
                ),
            )
        return clients

    def _client_keys(self, path: str, value: object) -> list[tuple[str, str]]:
        """Pairs of a key's place and the key."""
        if not isinstance(value, list) or not value:
            self.bad_secret(path, 'write a list of at least one key, ["${cred:NAME}"]')
            return []
        found = []
        for number, data in enumerate(value):
            place = f"{path}[{number}]"
            key = self.secret(place, data)
            if key is not None:
                self._check_key(place, key)
                found.append((place, key))
        return found

    def _check_key(self, path: str, key: str) -> None:
        if not key:
            self.bad_secret(path, "the key is empty; write a reference such as ${cred:NAME}")
        elif not uncontrolled(key) or unencodable(key):
            self.bad_secret(path, "the key holds a control character or a line end")
        elif key != key.strip(" \t"):
            self.bad_secret(path, "the key begins or ends with a space, which no client can send")
        elif self.expands and (fault := hash_fault(key)) is not None:
            self.bad_secret(path, fault)

    def _models_of_key(self, path: str, value: object) -> tuple[str, ...] | None:
        return None if value is None else self.names(path, value)

    def _models(self, path: str, value: object) -> dict[str, ModelConfig]:
        models = {}
        for name, data in (self.mapping(path, value, None) or {}).items():
            where = join(path, name)
            if not name or unencodable(name):
                self.problems.append(f"{where}: the model needs a name that a client can write")
            one = self.mapping(where, data, ModelConfig.__struct_fields__)
            if one is None:
                continue
            models[name] = ModelConfig(
                self._upstreams(f"{where}.upstreams", one),
                **self.fields(
                    where,
                    one,
                    {
                        "unlisted": self.flag,
                        "aliases": self.names,
                        "list_aliases": self.flag,
                        "balance": self._balance,
                        "fallbacks": self.names,
                        "max_concurrent_requests": self.limit,
                        "card": self._card,
                    },
                ),
            )
        return models

    def _balance(self, path: str, value: object) -> str:
        if value not in _BALANCES:
            self.bad(path, value, f"write one of {', '.join(_BALANCES)}")
        return str(value)

    def _card(self, path: str, value: object) -> dict[str, Any]:
        card = dict(self.mapping(path, value, None) or {})
        for name in _OWN_CARD_FIELDS:
            if name in card:
                self.problems.append(f"{path}.{name}: the router writes this field itself")
        return card

    def _upstreams(self, path: str, model: JsonObject) -> tuple[UpstreamConfig, ...]:
        data = model.get("upstreams", MISSING)
        if not isinstance(data, list) or not data:
            problem = 'write a list of at least one upstream, [{"url": "..."}]'
            if data is MISSING:
                self.problems.append(f"{path}: missing; {problem}")
            else:
                self.bad(path, data, problem)
            return ()
        found = [self._upstream(f"{path}[{number}]", one) for number, one in enumerate(data)]
        return tuple(one for one in found if one is not None)

    def _upstream(self, path: str, data: object) -> UpstreamConfig | None:
        one = self.mapping(path, data, UpstreamConfig.__struct_fields__)
        if one is None:
            return None
        more = self.fields(
            path,
            one,
            {
                "headers": self._headers,
                "model": self.name,
                "weight": partial(self.integer, low=1, high=1000),
                "health": self._health,
                "tls": self._upstream_tls,
            },
        )
        url = one.get("url", MISSING)
        if not isinstance(url, str):
            if url is MISSING:
                self.problems.append(f"{path}.url: missing; write the upstream's address")
            else:
                self.bad(f"{path}.url", url, f"this is {kind(url)}; write a URL")
            return None
        try:
            parsed = parse_upstream_url(url)
        except ValueError as error:
            # Credentials in a URL are a secret in the wrong place: they are not repeated.
            shown = "..." if "@" in url else url
            self.bad(f"{path}.url", shown, str(error))
            return None
        if more.get("tls") is not None and parsed.address.scheme != "https":
            self.bad(f"{path}.tls", url, "the url is not https; leave tls out or write https")
        return UpstreamConfig(parsed, **more)

    def _health(self, path: str, value: object) -> str | None:
        if value is None or (isinstance(value, str) and re.fullmatch(r"/[!-~]*", value)):
            return value
        self.bad(path, value, 'write a path such as "/health", or null')
        return None

    def _upstream_tls(self, path: str, data: object) -> UpstreamTlsConfig | None:
        if data is None:
            return None
        one = self.mapping(path, data, UpstreamTlsConfig.__struct_fields__)
        if one is None:
            return None
        readers = {"ca": self.file, "certificate": self.file, "key": self.file}
        tls = UpstreamTlsConfig(
            **self.fields(path, one, {**readers, "server_name": self._server_name})
        )
        if (tls.certificate is None) != (tls.key is None):
            self.problems.append(f"{path}: certificate and key come together; write both or none")
        return tls

    def _server_name(self, path: str, value: object) -> str | None:
        if value is None or (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.:_-]+", value)):
            return value
        self.bad(path, value, "write the name in the server's certificate")
        return None

    def _headers(self, path: str, data: object) -> tuple[tuple[str, str], ...]:
        fields = []
        met: dict[str, str] = {}
        for name, value in (self.mapping(path, data, None) or {}).items():
            where = join(path, name)
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                self.problems.append(f"{where}: invalid header name; write letters, digits and -")
            elif lower in NOT_CONFIGURABLE:
                self.problems.append(f"{where}: the router writes this header itself; leave it out")
            elif lower in met:
                self.problems.append(f"{where}: duplicate header, beside {met[lower]!r}; keep one")
            met.setdefault(lower, name)
            text = self.secret(where, value)
            if text is not None and not uncontrolled(text):
                self.bad_secret(where, "the value holds a control character or a line end")
            elif text is not None and unencodable(text):
                self.bad_secret(where, "the value is no Unicode text")
            fields.append((name, text or ""))
        return tuple(fields)
