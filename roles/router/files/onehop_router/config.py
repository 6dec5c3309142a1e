# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file: JSON, read strictly, every error at once, each with its path."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import secrets
from .headers import NOT_CONFIGURABLE
from .paths import DEFAULT_ALLOWED_PATHS, pattern_fault
from .urls import UpstreamUrl, parse_upstream_url

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MISSING: Any = object()


class UpstreamConfig(msgspec.Struct, frozen=True):
    """One replica of a model: where it listens and which header fields it gets."""

    url: UpstreamUrl
    headers: tuple[tuple[str, str], ...] = ()


class ModelConfig(msgspec.Struct, frozen=True):
    """A model by its route name."""

    upstreams: tuple[UpstreamConfig, ...]
    unlisted: bool = False


class ClientKeyConfig(msgspec.Struct, frozen=True):
    """A client's key; `models` is None where it opens every model."""

    key: str
    models: tuple[str, ...] | None = None


class Config(msgspec.Struct, frozen=True):
    """The whole file. Sizes are bytes, times seconds; a limit of 0 is none."""

    host: str = "127.0.0.1"
    port: int = 8080
    max_body_bytes: int = 104857600
    max_concurrent_requests: int = 0
    max_buffered_bytes: int = 1073741824
    drain_seconds: float = 300
    allow_anonymous: bool = False
    allowed_paths: tuple[str, ...] | None = DEFAULT_ALLOWED_PATHS
    client_keys: dict[str, ClientKeyConfig] = {}
    models: dict[str, ModelConfig] = {}
    fingerprint: str = ""
    """The first digits of the file's SHA-256; no key of the file."""

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant."""
        return [
            f"client_keys.{name}.models: there is no model {model!r} at the moment"
            for name, one in self.client_keys.items()
            for model in one.models or ()
            if model not in self.models
        ]


class ConfigError(ValueError):
    """Everything wrong with a configuration; `problems` holds one line each, no secrets."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
        data = json.loads(text, object_pairs_hook=_Object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"the file is not one JSON value: {error}"]) from None
    reader = _Reader(environ)
    config = reader.config(data)
    if reader.problems:
        raise ConfigError(reader.problems)
    return config


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys were there twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, dummy in pairs]
        self.repeated = sorted({name for name in names if names.count(name) > 1})


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list",
    }  # fmt: skip
    return names.get(type(value), "an object")


class _Reader:
    """Walks the decoded JSON, collecting problems instead of stopping."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.problems: list[str] = []
        self._environ = environ

    def bad(self, path: str, value: object, problem: str) -> None:
        """Note a problem with a value that may be shown."""
        shown = json.dumps(value, ensure_ascii=False)
        self.problems.append(f"{path}: {shown if len(shown) <= 120 else '...'}: {problem}")

    def bad_secret(self, path: str, problem: str) -> None:
        """Note a problem with a value that may not be shown."""
        self.problems.append(f"{path}: {problem}")

    def config(self, data: object) -> Config:
        """The whole file. What is wrong is in `problems`, and the result is then worthless."""
        known = tuple(name for name in Config.__struct_fields__ if name != "fingerprint")
        top = self._object("", data, known)
        if top is None:
            return Config()
        kept: dict[str, Any] = {}
        for name, read in {
            "host": self._host, "port": self._port, "max_body_bytes": self._limit,
            "max_concurrent_requests": self._limit, "max_buffered_bytes": self._limit,
            "drain_seconds": self._seconds, "allow_anonymous": self._flag,
            "allowed_paths": self._paths, "client_keys": self._keys, "models": self._models,
        }.items():  # fmt: skip
            if name in top:
                kept[name] = read(name, top[name])
        return Config(**kept)

    def _object(self, path: str, data: object, known: tuple[str, ...] | None) -> _Object | None:
        if not isinstance(data, _Object):
            # The value itself is not shown: it may be a key in the wrong place.
            where = path or "the file"
            self.problems.append(f"{where}: this is {_kind(data)}; write an object, {{...}}")
            return None
        for name in data.repeated:
            self.problems.append(f"{_join(path, name)}: the key stands more than once; keep one")
        for name in data:
            if known is not None and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.problems.append(f"{_join(path, name)}: unknown key; {mend}")
        return data

    def _host(self, path: str, value: object) -> str:
        if not isinstance(value, str) or re.search(r"[^!-~]", value):
            self.bad(path, value, 'write an address or a name, like "127.0.0.1"; "" is every one')
            return ""
        return value

    def _integer(self, path: str, value: object, low: int, high: int | None) -> int:
        if (
            isinstance(value, int)
            and not isinstance(value, bool)  # which is an integer to Python
            and value >= low
            and (high is None or value <= high)
        ):
            return value
        size = f"from {low} to {high}" if high is not None else f"of {low} or more"
        self.bad(path, value, f"write a whole number {size}")
        return low

    def _port(self, path: str, value: object) -> int:
        return self._integer(path, value, 0, 65535)

    def _limit(self, path: str, value: object) -> int:
        return self._integer(path, value, 0, None)

    def _seconds(self, path: str, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1e9:
            return float(value)
        self.bad(path, value, "write a number of seconds, 0 or more")
        return 0

    def _flag(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.bad(path, value, "write true or false")
            return False
        return value

    def _paths(self, path: str, value: object) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            self.bad(path, value, "write a list of paths, or null for every path")
            return ()
        for number, one in enumerate(value):
            fault = pattern_fault(one) if isinstance(one, str) else f"this is {_kind(one)}"
            if fault:
                self.bad(f"{path}[{number}]", one, f'{fault}; write one like "/v1/*" or "/v1/**"')
        return tuple(one for one in value if isinstance(one, str))

    def _keys(self, path: str, value: object) -> dict[str, ClientKeyConfig]:
        keys: dict[str, ClientKeyConfig] = {}
        holders: dict[str, str] = {}
        for name, data in (self._object(path, value, None) or {}).items():
            where = _join(path, name)
            one = self._object(where, data, ClientKeyConfig.__struct_fields__)
            if one is None:
                continue
            key = self._secret(f"{where}.key", one.get("key", _MISSING))
            if key is not None:
                self._check_key(f"{where}.key", key)
                if key in holders:
                    self.bad_secret(f"{where}.key", f"this is also the key of {holders[key]!r}")
                holders.setdefault(key, name)
            models = one.get("models")
            if models is not None and not (
                isinstance(models, list) and all(isinstance(model, str) for model in models)
            ):
                self.bad(f"{where}.models", models, "write a list of model names, or null for all")
                models = None
            allowed = None if models is None else tuple(models)
            keys[name] = ClientKeyConfig(key or "", allowed)
        return keys

    def _check_key(self, path: str, key: str) -> None:
        if not key:
            self.bad_secret(path, "the key is empty; write a reference such as ${cred:NAME}")
        elif _CONTROL.search(key) or _unencodable(key):
            self.bad_secret(path, "the key holds a control character or a line end")
        elif key != key.strip(" \t"):
            self.bad_secret(path, "the key begins or ends with a space, which no client can send")

    def _secret(self, path: str, value: object) -> str | None:
        """A value that may hold references: expanded, or checked where there is no environment."""
        if value is _MISSING:
            self.bad_secret(path, "missing; write a reference such as ${cred:NAME}")
            return None
        if not isinstance(value, str):
            self.bad_secret(path, f"this is {_kind(value)}; write a string such as ${{cred:NAME}}")
            return None
        try:
            if self._environ is not None:
                return secrets.expand(value, self._environ)
            secrets.validate(value)
        except secrets.SecretError as error:
            for problem in error.problems:
                self.bad_secret(path, problem)
            return None
        return value

    def _models(self, path: str, value: object) -> dict[str, ModelConfig]:
        models = {}
        for name, data in (self._object(path, value, None) or {}).items():
            where = _join(path, name)
            if not name or _unencodable(name):
                self.problems.append(f"{where}: the model needs a name that a client can write")
            one = self._object(where, data, ModelConfig.__struct_fields__)
            if one is None:
                continue
            unlisted = self._flag(f"{where}.unlisted", one.get("unlisted", False))
            models[name] = ModelConfig(self._upstreams(f"{where}.upstreams", one), unlisted)
        return models

    def _upstreams(self, path: str, model: _Object) -> tuple[UpstreamConfig, ...]:
        data = model.get("upstreams", _MISSING)
        if not isinstance(data, list) or not data:
            problem = 'write a list of at least one upstream, [{"url": "..."}]'
            if data is _MISSING:
                self.problems.append(f"{path}: missing; {problem}")
            else:
                self.bad(path, data, problem)
            return ()
        found = [self._upstream(f"{path}[{number}]", one) for number, one in enumerate(data)]
        return tuple(one for one in found if one is not None)

    def _upstream(self, path: str, data: object) -> UpstreamConfig | None:
        one = self._object(path, data, UpstreamConfig.__struct_fields__)
        if one is None:
            return None
        headers = self._headers(f"{path}.headers", one.get("headers", _Object([])))
        url = one.get("url", _MISSING)
        if not isinstance(url, str):
            if url is _MISSING:
                self.problems.append(f"{path}.url: missing; write the upstream's address")
            else:
                self.bad(f"{path}.url", url, f"this is {_kind(url)}; write a URL")
            return None
        try:
            return UpstreamConfig(parse_upstream_url(url), headers)
        except ValueError as error:
            # Credentials in a URL are a secret in the wrong place: they are not repeated.
            shown = "..." if "@" in url else url
            self.bad(f"{path}.url", shown, str(error))
            return None

    def _headers(self, path: str, data: object) -> tuple[tuple[str, str], ...]:
        fields = []
        met: dict[str, str] = {}
        for name, value in (self._object(path, data, None) or {}).items():
            where = _join(path, name)
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                self.problems.append(f"{where}: invalid header name; write letters, digits and -")
            elif lower in NOT_CONFIGURABLE:
                self.problems.append(f"{where}: the router writes this header itself; leave it out")
            elif lower in met:
                self.problems.append(f"{where}: duplicate header, beside {met[lower]!r}; keep one")
            met.setdefault(lower, name)
            text = self._secret(where, value)
            if text is not None and _CONTROL.search(text):
                self.bad_secret(where, "the value holds a control character or a line end")
            elif text is not None and _unencodable(text):
                self.bad_secret(where, "the value is no Unicode text")
            fields.append((name, text or ""))
        return tuple(fields)


def _unencodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _join(path: str, name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    step = name if plain else json.dumps(name, ensure_ascii=False)
    return f"{path}.{step}" if path else step
