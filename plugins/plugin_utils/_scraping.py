# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a Prometheus and a Grafana get, out of the plan.

Paths inside are relative to the configuration of Prometheus, so that a copy of all of it elsewhere
can be checked before anything is replaced. The texts are JSON, which YAML's readers read.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _monitoring

MADE = "# Made by the Ansible collection onehop.llm; changes are lost.\n"
SCRAPE = "onehop/scrape.yml"
RULES = "onehop/rules.yml"
KEYS = "onehop/keys"


def files(
    plan: Mapping[str, Any],
    monitor: str,
    given: Mapping[str, Mapping[str, str]],
    key: str | None,
    rules: str,
) -> dict[str, Any]:
    """What stands below the directory of Prometheus' configuration: ``files`` (``path``,
    ``content``, ``secret``), and the ``keyless`` hosts whose edges have given no key yet.

    ``given`` is what the edges gave this host, and ``key`` that of the routers where it comes by
    content. What an edge was not asked for now stays as it is: its ``content`` is ``None``.
    """
    variables = plan["hosts"][monitor]["monitoring"]
    made: list[dict[str, Any]] = []
    configs = []
    for job in _monitoring.jobs(plan, monitor)[0]:
        configs.append(_config(job, variables))
        if job["edge"]:
            made += _edge_files(plan["hosts"][job["edge"]]["edge"], given.get(job["edge"], {}))
    if variables["contents"]:
        made.append({"path": f"{KEYS}/router_key", "content": key, "secret": True})
    if variables["monitoring_rules"]:
        made.append({"path": RULES, "content": rules, "secret": False})
    whole = variables["monitoring_config"] == "whole"
    text = _text(_whole(variables, configs) if whole else {"scrape_configs": configs})
    name = posixpath.basename(variables["monitoring_config_file"]) if whole else SCRAPE
    made.append({"path": name, "content": text, "secret": False})
    keyless = [host for host, one in sorted(given.items()) if not one.get("key")]
    return {"files": made, "keyless": keyless}


def provider(path: str) -> str:
    """The file by which Grafana finds the dashboards in a directory."""
    folder = {"name": "onehop", "folder": "OneHop", "type": "file", "allowUiUpdates": False}
    return _text({"apiVersion": 1, "providers": [{**folder, "options": {"path": path}}]})


def _text(data: Mapping[str, Any]) -> str:
    return MADE + json.dumps(data, indent=2) + "\n"


def _whole(variables: Mapping[str, Any], configs: list[dict[str, Any]]) -> dict[str, Any]:
    interval = variables["monitoring_interval"]
    targets = variables["monitoring_alertmanagers"]
    more = variables["monitoring_scrape_config_files"]
    managers = {"alertmanagers": [{"static_configs": [{"targets": targets}]}]} if targets else {}
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        **({"alerting": managers} if managers else {}),
        "rule_files": [
            *([RULES] if variables["monitoring_rules"] else []),
            *variables["monitoring_rule_files"],
        ],
        # Prometheus before 2.43 knows no such key.
        **({"scrape_config_files": more} if more else {}),
        "scrape_configs": configs,
    }


def _config(job: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """A job as Prometheus has it. The labels of its targets win over those of the job."""
    config: dict[str, Any] = {
        "job_name": job["name"],
        "scrape_interval": variables["monitoring_interval"],
        "scheme": job["scheme"],
    }
    if job["key"]:
        source = variables["monitoring_router_key"] if job["key"] == _monitoring.KEY else None
        config["authorization"] = {"credentials_file": source or f"{KEYS}/{job['key']}"}
    if job["scheme"] == "https":
        authorities = {"ca_file": _ca_file(job["ca"])} if job["ca"] else {}
        config["tls_config"] = {**authorities, "server_name": job["server_name"]}
    config["static_configs"] = [
        {
            "targets": [target["address"]],
            "labels": {**target["labels"], "__metrics_path__": target["path"]},
        }
        for target in job["targets"]
    ]
    return config


def _ca_file(name: str) -> str:
    return name if name.startswith("/") else f"{KEYS}/{name}"


def _edge_files(edge: Mapping[str, Any], given: Mapping[str, str]) -> list[dict[str, Any]]:
    seen = edge["seen"]
    names = {seen["key"]: "key"} | ({seen["certificate"]: "certificate"} if edge["made"] else {})
    return [
        {"path": f"{KEYS}/{name}", "content": given.get(what) or None, "secret": what == "key"}
        for name, what in names.items()
    ]
