# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of the listeners and towards upstreams: contexts from the files of a configuration."""

from __future__ import annotations

import os
import ssl

from .config import Config, ListenerTlsConfig, UpstreamTlsConfig
from .config_values import ConfigError, join

# HTTP/1.1 is all that either side speaks.
_PROTOCOLS = ["http/1.1"]


class _TlsError(Exception):
    """What is wrong with a file, which is named by its key in the configuration."""

    def __init__(self, key: str, path: str, reason: str) -> None:
        super().__init__(f"{key}: {path!r}: {reason}")


def check(config: Config) -> None:
    """Read every certificate and key of a configuration. Raises ConfigError."""
    problems = []
    if config.tls is not None:
        try:
            listener_context(config.tls)
        except ConfigError as error:
            problems += error.problems
    try:
        upstream_contexts(config)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)


def listener_context(tls: ListenerTlsConfig) -> ssl.SSLContext:
    """What clients are met with. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    try:
        _load_pair(context, tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            _load_authorities(context, "client_ca", tls.client_ca)
    except _TlsError as error:
        raise ConfigError([f"tls.{error}"]) from None
    return context


def system_context() -> ssl.SSLContext:
    """What upstreams without `tls` are verified with: the system's certificates."""
    context = ssl.create_default_context()
    _harden(context)
    return context


def upstream_contexts(config: Config) -> dict[UpstreamTlsConfig | None, ssl.SSLContext]:
    """The context of each `tls` that an upstream has. Raises ConfigError with all that is wrong."""
    contexts: dict[UpstreamTlsConfig | None, ssl.SSLContext] = {}
    problems = []
    for name, model in config.models.items():
        for number, upstream in enumerate(model.upstreams):
            tls = upstream.tls
            if tls is None or tls in contexts:
                continue
            try:
                contexts[tls] = _upstream_context(tls)
            except _TlsError as error:
                where = f"{join('models', name)}.upstreams[{number}].tls"
                problems.append(f"{where}.{error}")
    if problems:
        raise ConfigError(problems)
    return contexts


def _upstream_context(tls: UpstreamTlsConfig) -> ssl.SSLContext:
    if tls.ca is None:
        context = system_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _harden(context)
        # The certificate of a server, found there, is as good as its authority's: it is pinned.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _load_authorities(context, "ca", tls.ca)
    if tls.certificate is not None and tls.key is not None:
        _load_pair(context, tls.certificate, tls.key)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)


def _load_authorities(context: ssl.SSLContext, key: str, path: str) -> None:
    _read(key, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise _TlsError(key, path, "holds no certificate in PEM") from None


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    chain, secret = _read("certificate", certificate), _read("key", key)
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        raise _TlsError("certificate", certificate, "holds no certificate in PEM")
    if b"PRIVATE KEY-----" not in secret:
        raise _TlsError("key", key, "holds no private key in PEM")

    def no_password() -> str:
        raise _TlsError("key", key, "is encrypted; write the path of a key without a password")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _TlsError("key", key, f"is not the key of {certificate!r}") from None
        # OpenSSL does not say which of the two it could not read.
        reason = f"cannot be used with {key!r}: {error.reason or 'not PEM'}"
        raise _TlsError("certificate", certificate, reason) from None


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unreadable"
        raise _TlsError(key, path, reason) from None
