# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers of a host promise to use together, and whether it adds up.

:func:`check` needs the plan alone, :func:`complaints` and :func:`table` what the host is like too.

This plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _budget_host,
    _budget_memory,
    _budget_names,
    _cards,
    _checks,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems, Verdict


def verdict(host: Mapping[str, Any], kind: str, problems: Problems) -> Verdict:
    """Where notes of this kind go."""
    given = (host["gpu_host"] or {}).get("gpu_host_checks") or _checks.DEFAULTS
    return Verdict(given[kind], problems)


def workers(
    host: Mapping[str, Any], roles: list[str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The workers of a host by their role, in the order in which they start."""
    return {
        role: engine["workers"]
        for role, engine in host["engines"].items()
        if roles is None or role in roles
    }


def uses(
    host: Mapping[str, Any], facts: Mapping[str, Any] | None = None, roles: list[str] | None = None
) -> dict[str, list[_cards.Use]]:
    """What the workers take of the host's cards, by role, in the order in which they start."""
    gpus = (facts or {}).get("gpus") or []
    found = {
        role: [_cards.use(worker, gpus) for worker in group]
        for role, group in workers(host, roles).items()
    }
    return {role: [use for use in group if use] for role, group in found.items()}


def check(host: Mapping[str, Any], problems: Problems) -> None:
    """Note what the plan of a host itself shows not to add up."""
    _budget_names.names(host, problems)
    _budget_names.accounts(host, problems)
    _budget_names.ports(host, verdict(host, "ports", problems))
    found = uses(host)
    every = [worker for group in workers(host).values() for worker in group]
    _budget_memory.sizes(every, verdict(host, "devices", problems))
    _budget_memory.devices(found, verdict(host, "devices", problems))
    _budget_memory.shares(found, verdict(host, "memory", problems))


def complaints(
    plan: Mapping[str, Any], host: str, roles: list[str] | None, facts: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """What does not add up on this very host: errors and warnings, a sentence each.

    ``roles`` are those that are looked at the host for; what others have there counts as well,
    and is judged when it is their turn.
    """
    if not facts:
        return [], []
    one = plan["hosts"][host]
    problems = Problems(host)
    if roles is None or any(workers(one, roles).values()):
        found = uses(one, facts)
        gpus = facts.get("gpus") or []
        if gpus:
            _budget_memory.on_host(found, gpus, verdict(one, "devices", problems))
            _budget_memory.fits(found, facts, verdict(one, "memory", problems))
        _budget_host.memory(one, found, facts, verdict(one, "shared_memory", problems))
        _budget_host.disk(one, roles, facts, verdict(one, "disk", problems))
    return (
        [problem.sentence for problem in problems.found],
        [problem.sentence for problem in problems.warned],
    )


def table(
    plan: Mapping[str, Any],
    host: str,
    facts: Mapping[str, Any] | None,
    roles: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Rows of who takes what of which card; what is not known is ``None``.

    ``device``, ``model``, ``engine``, ``share`` and ``of`` what it is one (all, free, needed), then
    bytes on this device: ``weights``, ``kv_cache``, ``total``, and ``memory`` of the device.
    """
    one = plan["hosts"][host]
    rows = _budget_memory.table(uses(one, facts), facts or {})
    looked_at = [worker["engine"] for group in workers(one, roles).values() for worker in group]
    return [row for row in rows if row["engine"] in looked_at]
