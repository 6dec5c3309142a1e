# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit that failed, or an image that did not come, for the operator: what, why, and the mend.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _finding,
    _progress,
    _signature_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import ENGINES

PAGE = "docs/diagnoses.md"
"""Where each row of the table is explained."""
LINES = 15
"""Of its journal, that an operator is shown."""


@dataclass(frozen=True)
class Diagnosis:
    """What is known to be behind a failure."""

    id: str
    cause: str
    mend: str
    line: str
    """The line that tells; empty where the way in which it ended does."""


def diagnosis(unit: str, report: Mapping[str, Any]) -> Diagnosis | None:
    """What is known to be behind a failed unit's report."""
    found = _finding.finding(_rows(), report)
    if found is None:
        return None
    words = names(unit)
    return Diagnosis(
        found["row"]["id"],
        _finding.cause(found, words),
        _finding.mend(found, words),
        found["line"],
    )


@cache
def _rows() -> list[dict[str, Any]]:
    return _signature_table.rows()


def names(unit: str) -> dict[str, str]:
    """How the inventory calls what a unit serves."""
    mine = [engine for engine in ENGINES.values() if unit.startswith(f"{engine.prefix}-")]
    role = mine[0].role if mine else None
    found: dict[str, str] = _finding.names(role, unit, _signature_table.VARIABLES)
    return found


def explain(unit: str, report: Mapping[str, Any]) -> str:
    """A unit that is not ready: what it was at and for how long, cause and mend, its last lines."""
    known = diagnosis(unit, report)
    last = _finding.excerpt(report["journal"], LINES)
    told = f"{unit} is not ready: {report['state']}, result {report['result']}, exit status "
    told += f"{report['exit_status']}."
    told += _at(unit, report)
    if known:
        told += f" Likely {known.cause}. {known.mend} ({PAGE}#{known.id})"
        if known.line and not any(known.line[:100] in line for line in last):
            told += f" It said:\n    {known.line[: _finding.SHOWN]}\n "
    said = "".join(f"\n    {line}" for line in last) or "\n    (nothing)"
    return f"{told} Its last words:{said}"


def _at(unit: str, report: Mapping[str, Any]) -> str:
    """What it was doing, for how long, and which option gives it more time."""
    stage = _progress.look(report["journal"])
    took = report.get("seconds")
    told = ""
    if stage and stage.phase != _progress.READY:
        told += f" It was {replace(stage, left=None).phrase()}"
    elif took is not None:
        told += " It was up" if stage else " It was starting"
    if told and took is not None:
        told += f", {_progress.span(took)} after its start"
    told += "." if told else ""
    if report["result"] == "timeout" or report.get("outcome") == "pending":
        told += f" {names(unit)['model']}.start_timeout says how long it may take."
    return told


_IMAGES: tuple[tuple[str, str], ...] = (
    (
        r"(?i)unauthorized|authentication required|denied",
        "the registry wants a login. Give it in registries of the engine's role, such as "
        "vllm_registries, and look whether the name is right",
    ),
    (r"(?i)manifest unknown|not found", "the registry has no such tag or digest"),
    (
        r"(?i)no such host|could not resolve|name resolution|connection refused|i/o timeout|network is"
        r" unreachable",
        "the host cannot reach the registry. Bring the image as an archive, and name it in "
        "its role's image_archives, such as vllm_image_archives",
    ),
    (
        r"(?i)toomanyrequests|429",
        "the registry takes no more requests from this address for now. Wait, or give a login in "
        "registries of the engine's role, such as vllm_registries",
    ),
    (
        r"(?i)no space left on device",
        "the disk is full. Make room where the role's data_dir lies, and in /var/tmp, which Podman "
        "unpacks by",
    ),
    (
        r"(?i)potentially insufficient UIDs or GIDs",
        "the account's range of subordinate ids is too small for the image. Raise "
        "its role's subuid_count",
    ),
    (r"(?i)x509|certificate", "the registry's certificate is not trusted by the host"),
    (r"(?i)unexpected EOF|connection reset", "the connection broke. Run the playbook again"),
)


def image(name: str, report: Mapping[str, Any]) -> str:
    """An image that could not be fetched, for the operator."""
    lines: Sequence[str] = _finding.tidy(report["said"])
    causes = [text for line in lines for pattern, text in _IMAGES if re.search(pattern, line)]
    likely = f" Likely {causes[-1]}." if causes else ""
    said = "".join(f"\n    {line}" for line in lines) or "\n    (nothing)"
    return f"{name} could not be fetched.{likely} Podman's last words:{said}"
