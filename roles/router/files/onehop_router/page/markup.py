# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the status page: one HTML document that needs nothing else.

Everything is written here, at each look. The script only fetches the page anew and takes over what
differs, so the page is the same without it. What is not ours passes `_text` or `_name`.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from . import facts
from .plots import along, plot
from .words import count, duration, moment, rate, share, span

_HOME = Path(__file__).parent
_STYLE = (_HOME / "page.css").read_text()
_SCRIPT = (_HOME / "page.js").read_text()
# A green dot in a ring, for the browser's tab.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle "
    "cx='8' cy='8' r='6.5' fill='none' stroke='%234775c4' stroke-width='2'/%3E%3Ccircle cx='8' "
    "cy='8' r='3' fill='%234775c4'/%3E%3C/svg%3E"
)
Write = Callable[[float | None], str]

_LONGEST_NAME = 80
_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SPAN_SECONDS = 600.0


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_hash(_SCRIPT)}",
        f"style-src {_hash(_STYLE)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


def page(status: facts.Status, refresh: float) -> tuple[bytes, str]:
    """The document, and its Content-Security-Policy. `refresh` is in seconds."""
    places = along([status.time - one for one in status.times], _SPAN_SECONDS)
    return (
        f"""<!DOCTYPE html>
<html lang="en" data-refresh="{refresh:g}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_title(status)}</title>
<link rel="icon" href="{_ICON}">
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#models">Skip to the models</a>
<div id="page">
<header>
{_head(status)}
</header>
<main>
{_tiles(status.total, places)}
{_models(status.models, places)}
{_replicas(status.models)}
</main>
</div>
<div id="controls" hidden>
<button type="button" id="pause" aria-pressed="false">Pause updates</button>
<span id="age">as of {moment(status.time)}</span>
</div>
<p id="lost" class="banner down" hidden></p>
<div id="said" class="unseen" role="status"></div>
<footer>
<noscript><p>As of {moment(status.time)}. Load the page again for newer figures.</p></noscript>
<p>Rates and times are those of the last minute, plots those of the last ten minutes. Errors are answers of 5xx.
Tokens count when an answer ends, where it tells them. <a href="/status.json">The same as JSON</a></p>
</footer>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode(),
        POLICY,
    )


def _title(status: facts.Status) -> str:
    bad = [one for one in status.models if one.state != "ready"]
    state = f"{len(bad)} of {len(status.models)} not ready" if bad else status.state
    return f"{state} – OneHop router {_text(status.router.host)}"


# -- the head


def _head(status: facts.Status) -> str:
    router, config = status.router, status.configuration
    began = "running for" if router.began == "start" else "took over"
    said = span(router.uptime_seconds) + ("" if router.began == "start" else " ago")
    parts = [
        (began, said),
        ("version", router.version),
        ("configuration", f"{config.fingerprint or '–'}, loaded {moment(config.loaded)}"),
        ("reloads", _reloads(config)),
        ("processes", str(router.processes)),
        ("connections", count(router.connections)),
    ]
    listed = "".join(f"<div><dt>{one}</dt><dd>{_text(two)}</dd></div>" for one, two in parts)
    return (
        f'<div class="name"><h1>OneHop router</h1><p class="host">{_name(router.host)}</p>'
        f"{_state(status.state, 'router')}</div><dl>{listed}</dl>{_banners(status)}"
    )


def _reloads(config: facts.Configuration) -> str:
    failed = f", {count(config.failed_reloads)} failed" if config.failed_reloads else ""
    return f"{count(config.reloads + config.failed_reloads)}{failed}"


def _banners(status: facts.Status) -> str:
    found = []
    if status.router.draining:
        found.append(
            '<p class="banner draining">Draining: this process takes no new clients, and ends when '
            "its requests have ended.</p>"
        )
    last = status.configuration.last_reload
    if last is not None and last.problems:
        problems = "".join(f"<li>{_text(one)}</li>" for one in last.problems)
        found.append(
            f'<div class="banner down"><p>The reload at {moment(last.time)} failed; the '
            f"configuration before it stays in force.</p><ul>{problems}</ul></div>"
        )
    return "".join(found)


# -- all models together


def _tiles(total: facts.Total, places: Sequence[str]) -> str:
    recent, history = total.recent, total.history
    waiting = f"{count(total.queued)} queued, {count(total.held)} held"
    tiles = (
        ("In flight", count(total.in_flight), "", waiting, history.in_flight, count),
        (
            "Requests",
            rate(recent.requests_per_minute),
            "/min",
            f"{rate(recent.turned_away_per_minute)}/min turned away",
            history.requests_per_minute,
            rate,
        ),
        (
            "Errors",
            rate(recent.errors_per_minute),
            "/min",
            _error_share(recent),
            history.errors_per_minute,
            rate,
        ),
        (
            "Time to first token",
            duration(recent.ttft_p50_seconds),
            "",
            f"95 % within {duration(recent.ttft_p95_seconds)}",
            history.ttft_p50_seconds,
            duration,
        ),
        (
            "Tokens",
            rate(recent.output_tokens_per_second),
            "/s",
            f"{rate(recent.input_tokens_per_second)}/s read",
            history.output_tokens_per_second,
            rate,
        ),
    )
    return (
        '<section aria-labelledby="all"><h2 id="all" class="unseen">All models</h2>'
        '<ul class="tiles">'
        + "".join(
            f'<li class="{"bad" if name == "Errors" and recent.errors_per_minute else "tile"}"><h3>{name}</h3>'
            f'<p class="figure"><b>{figure}</b>{_unit(unit)}</p><p class="more">{more}</p>'
            f'<div class="scaled">{_plot(name, values, places, write)}'
            f'<span class="most" aria-hidden="true">{_most(values, write)}</span></div></li>'
            for name, figure, unit, more, values, write in tiles
        )
        + "</ul></section>"
    )


def _error_share(recent: facts.Recent) -> str:
    if not recent.requests_per_minute:
        return "of no requests"
    return f"{share(recent.errors_per_minute / recent.requests_per_minute)} of requests"


# -- models


_MODEL_COLUMNS = (
    ("Model", ""),
    ("State", ""),
    ("In flight", "number"),
    ("Waiting", "number"),
    ("Requests /min", "number wide"),
    ("Errors /min", "number"),
    ("First token", "number wide"),
    ("Tokens /s", "number wide"),
)


def _models(models: Sequence[facts.Model], places: Sequence[str]) -> str:
    rows = "".join(_model(one, places) for one in models)
    return _table("models", "Models", _MODEL_COLUMNS, rows, "There is no model.")


def _model(one: facts.Model, places: Sequence[str]) -> str:
    recent, history = one.recent, one.history
    limit = f"<small> of {count(one.limit)}</small>" if one.limit else ""
    held = f"<small>{count(one.held)} held</small>" if one.held else ""
    tail = (
        f"<small>p95 {duration(recent.ttft_p95_seconds)}</small>" if recent.ttft_p95_seconds else ""
    )
    cells = (
        _state(one.state, f"model {one.name}") + _up(one),
        _figure(one.in_flight, count) + limit,
        _figure(one.queued + one.held, count) + held,
        _with_plot(_figure(recent.requests_per_minute, rate), "", "Requests", history.requests_per_minute, places, rate),
        _figure(recent.errors_per_minute, rate, "bad"),
        _with_plot(_figure(recent.ttft_p50_seconds, duration), tail, "Time to first token", history.ttft_p50_seconds, places, duration),
        _with_plot(_figure(recent.output_tokens_per_second, rate), "", "Tokens", history.output_tokens_per_second, places, rate),
    )  # fmt: skip
    aliases = ", ".join(map(_name, one.aliases))
    also = f"<small>also {aliases}</small>" if aliases else ""
    return _row(f"{_name(one.name)}{also}", cells, _MODEL_COLUMNS)


def _up(one: facts.Model) -> str:
    ready = sum(replica.state == "ready" for replica in one.replicas)
    if len(one.replicas) > 1:
        said = f"{ready} of {len(one.replicas)} replicas"
    else:
        said = ""
    if not ready and one.fallbacks:
        said += f"{', ' if said else ''}falls back to {_name(one.fallbacks[0])}"
    return f"<small>{said}</small>" if said else ""


def _with_plot(
    figure: str,
    more: str,
    name: str,
    values: Sequence[float | None],
    places: Sequence[str],
    write: Write,
) -> str:
    return (
        f'<span class="plotted"><span class="figures">{figure}{more}</span>'
        f"{_plot(name, values, places, write)}</span>"
    )


# -- replicas


_REPLICA_COLUMNS = (
    ("Model", ""),
    ("Replica", ""),
    ("State", ""),
    ("In flight", "number"),
    ("Weight", "number"),
    ("Failures", "number"),
    ("Known by", ""),
)


def _replicas(models: Sequence[facts.Model]) -> str:
    rows = "".join(
        _replica(model, one, again=number > 0)
        for model in models
        for number, one in enumerate(model.replicas)
    )
    return _table("replicas", "Replicas", _REPLICA_COLUMNS, rows, "There is no replica.")


def _replica(model: facts.Model, one: facts.Replica, *, again: bool) -> str:
    reason = f'<small class="reason">{_name(one.reason)}</small>' if one.reason else ""
    cells = (
        f"<code>{_name(one.address)}</code>",
        _state(one.state, f"replica {one.address} of {model.name}") + reason,
        _figure(one.in_flight, count),
        count(one.weight),
        _figure(one.failures, count, "bad"),
        "checks" if one.checked else "requests",
    )
    name = _name(model.name)
    head = f'<span class="again">{name}</span>' if again else name
    return _row(head, cells, _REPLICA_COLUMNS)


# -- pieces


def _table(
    key: str, title: str, columns: Sequence[tuple[str, str]], rows: str, nothing: str
) -> str:
    # Roles are written out because a table that is laid out as cards loses its own.
    heads = "".join(
        f'<th scope="col" role="columnheader" class="{kind}">{name}</th>' for name, kind in columns
    )
    body = rows or f'<tr role="row"><td role="cell" colspan="{len(columns)}">{nothing}</td></tr>'
    return (
        f'<section id="{key}" aria-labelledby="{key}-title" tabindex="-1"><h2 id="{key}-title">{title}</h2>'
        f'<table role="table" class="{key}" aria-labelledby="{key}-title"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{body}</tbody></table></section>'
    )


def _row(head: str, cells: Iterable[str], columns: Sequence[tuple[str, str]]) -> str:
    written = "".join(
        f'<td role="cell" class="{kind}" data-label="{name}">{cell}</td>'
        for cell, (name, kind) in zip(cells, columns[1:], strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{head}</th>{written}</tr>'


def _state(state: str, what: str) -> str:
    return (
        f'<span class="state {state}" data-of="{_text(what)}">'
        f'<span class="mark" aria-hidden="true"></span>{state}</span>'
    )


def _figure(number: float | None, write: Write, kind: str = "some") -> str:
    """A number, quiet where there is nothing to see."""
    return f'<b class="{kind if number else "none"}">{write(number)}</b>'


def _unit(unit: str) -> str:
    return f"<small>{unit}</small>" if unit else ""


def _plot(name: str, values: Sequence[float | None], places: Sequence[str], write: Write) -> str:
    known = [one for one in values if one is not None]
    last = f"now {write(known[-1])}, at most {write(max(known))}" if known else "nothing yet"
    return plot(values, places, f"{name} of the last ten minutes: {last}")


def _most(values: Sequence[float | None], write: Write) -> str:
    most = max((one for one in values if one), default=0.0)
    return f"max {write(most)}" if most else ""


def _text(text: object) -> str:
    """Text that is not ours, for content and attributes. What cannot be seen becomes a sign."""
    return escape("".join("\ufffd" if _hidden(one) else one for one in str(text)))


def _hidden(sign: str) -> bool:
    """Whether a sign is none, or only turns the direction of others: a name could look like another."""
    return unicodedata.category(sign) in ("Cc", "Cs") or sign in _TURNS


def _name(name: str) -> str:
    """A name that others gave: apart, so that its direction does not turn what is beside it."""
    if len(name) <= _LONGEST_NAME:
        return f'<bdi dir="auto">{_text(name)}</bdi>'
    return f'<bdi dir="auto" title="{_text(name)}">{_text(name[:_LONGEST_NAME])}…</bdi>'
