# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker's settings name on the hub, and the same settings with paths in its place.

One walk does both: each repository that the settings name is shown to a function, and what that
gives takes its place. Which flags name repositories is part of an engine's description.

This plugin util is private to the collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _credentials
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine, Naming
from ansible_collections.onehop.llm.plugins.plugin_utils._problems import Problems

_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*\Z")
_REVISION = re.compile(r"\w[\w./-]*\Z")
_LONGEST = 96
_MAIN = "main"
"""The branch that is meant where no revision is given."""
_PROJECTOR = ("*mmproj*.gguf",)
_QUANTISED = ("*Q4_K_M[.-]*", "*.gguf")
"""What llama.cpp takes where no quantisation is named: the first that the repository has."""


@dataclass(frozen=True)
class Repo:
    """A repository as a setting names it.

    ``kind`` says what of it is needed: all of a ``model``, the small files of a ``config``, an
    ``adapter``, or one ``gguf`` file with its other shards, by the first pattern of ``choose`` that
    any file fits. One that is ``optional`` may lack such a file.
    """

    name: str
    revision: str
    kind: str
    variable: str
    choose: tuple[str, ...] = ()
    optional: bool = False

    @property
    def key(self) -> str:
        """What tells it from others: the same repository may be wanted in several ways."""
        choice = f"#{self.choose[0]}" if self.choose else ""
        return f"{self.name}@{self.revision}:{self.kind}{choice}"

    def data(self) -> dict[str, Any]:
        """As plain data, for the plan."""
        return {
            "key": self.key,
            "repo": self.name,
            "revision": self.revision,
            "kind": self.kind,
            "choose": list(self.choose),
            "optional": self.optional,
            "variable": self.variable,
        }


Use = Callable[[Repo], str | None]
"""Gives the path that takes a repository's place; ``None`` leaves it as it is."""


def read(role: str, variables: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """What the workers of an engine share of it. The token's own text is no part of the plan."""
    bundles = [path.rstrip("/") for path in variables[f"{role}_weights_bundles"]]
    for path in bundles:
        if ":" in path:
            problems.add(
                f"{role}_weights_bundles",
                "holds a colon, and Podman cannot mount such a path",
                "Write another",
                path,
            )
    token = variables[f"{role}_hub_token"]
    if token:
        _credentials.check_one(f"{role}_hub_token", token, problems)
    return {
        "bundles": bundles,
        "sources": variables[f"{role}_weights_sources"],
        "prune": variables[f"{role}_weights_prune"],
        "timeout": variables[f"{role}_weights_timeout"],
        "endpoint": variables[f"{role}_hub_endpoint"],
        "token_source": token["source"] if token else None,
        "token_content": bool(token and token["content"]),
    }


def named(engine: Engine, spec: Mapping[str, Any], way: str) -> list[dict[str, Any]]:
    """Every repository that a worker's settings name, each once, as plain data.

    Each says whether it is to be fetched (``stage``), which it is where the ``way`` is so, and which
    classes of ``tokenizers`` have to be called otherwise for the worker.
    """
    unknown = _unknown_tokenizers(engine, spec.get("image", ""))
    found: dict[str, dict[str, Any]] = {}

    def note(repo: Repo) -> None:
        found.setdefault(repo.key, repo.data() | {"stage": way == "stage", "tokenizers": unknown})

    replaced(engine, spec, note)
    return list(found.values())


def _unknown_tokenizers(engine: Engine, image: str) -> dict[str, str]:
    """Classes that an image's version does not know; where it cannot be told it gets those it does.

    Newer versions know the older names, too.
    """
    tag = re.search(r":v?(\d+)\.(\d+)\.(\d+)(?![^-+.]*/)", image)
    version = tuple(map(int, tag.groups())) if tag else (0, 0, 0)
    return {
        name: instead
        for name, (instead, since) in engine.tokenizers.items()
        if version < tuple(map(int, since.split(".")))
    }


def replaced(engine: Engine, spec: Mapping[str, Any], use: Use) -> dict[str, Any]:
    """The worker with what ``use`` gives in the place of each repository that it names."""
    settings = dict(spec["settings"])
    changed = dict(spec) | {"settings": settings}
    for naming in engine.naming:
        revision = _take(settings, naming.revision)
        before = dict(settings)
        if naming.flag is None:
            where = f"{spec['variable']}.model"
            changed["model"] = _plain(spec["model"], _repo(naming, revision, where), use)
            same = changed["model"] == spec["model"]
        else:
            _setting(naming, revision, spec["variable"], settings, use)
            same = settings == before
        if not same and naming.revision:
            settings.pop(_spelt(settings, naming.revision) or "", None)
    return changed


def _setting(
    naming: Naming, revision: str | None, variable: str, settings: dict[str, Any], use: Use
) -> None:
    flag = _spelt(settings, naming.flag)
    if flag is None:
        return
    make = _repo(naming, revision, f"{variable}.settings.{flag}")
    if naming.form == "gguf":
        _gguf(naming, make, flag, settings, use)
    else:
        settings[flag] = _FORMS[naming.form](settings[flag], make, use)


Make = Callable[..., Repo | None]


def _repo(naming: Naming, revision: str | None, variable: str) -> Make:
    """What makes a repository of a name; of what cannot be one it makes nothing."""

    def make(name: Any, **more: Any) -> Repo | None:
        if not isinstance(name, str) or not _is_name(name):
            return None
        given = {"revision": revision or _MAIN, "kind": naming.kind, "variable": variable} | more
        return Repo(name, **given) if _is_revision(given["revision"]) else None

    return make


def _is_name(text: str) -> bool:
    """Whether a text can be a repository's name, by the hub's own rules."""
    if len(text) > _LONGEST or "--" in text or ".." in text or text.endswith((".git", ".gguf")):
        return False
    return bool(_REPO.match(text))


def _is_revision(text: str) -> bool:
    """Whether a text can be a branch, a tag or a commit: it becomes a path in the cache."""
    return bool(_REVISION.match(text)) and ".." not in text


def _spelt(settings: Mapping[str, Any], flag: str | None) -> str | None:
    """The flag as the settings spell it: parsers take _ for -."""
    return next((name for name in settings if name.replace("_", "-") == flag), None)


def _take(settings: Mapping[str, Any], flag: str | None) -> str | None:
    name = _spelt(settings, flag)
    value = None if name is None else settings[name]
    # A revision of digits only is a number for YAML, and a text for the engine.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _plain(value: Any, make: Make, use: Use) -> Any:
    repo = make(value)
    path = use(repo) if repo else None
    return value if path is None else path


def _adapters(value: Any, make: Make, use: Use) -> Any:
    """``name=repo``, a repository alone, or an object with a path; one of them or a list."""
    if isinstance(value, list):
        return [_adapters(item, make, use) for item in value]
    if isinstance(value, Mapping):
        key = next((key for key in ("path", "lora_path") if key in value), None)
        return value if key is None else {**value, key: _plain(value[key], make, use)}
    if not isinstance(value, str):
        return value
    parsed = _parsed(value)
    if parsed is not None:
        changed = _adapters(parsed, make, use)
        return value if changed == parsed else changed
    name, equals, path = value.rpartition("=")
    return f"{name}{equals}{_plain(path, make, use)}"


def _draft(value: Any, make: Make, use: Use) -> Any:
    """An object that may have a model and its revision."""
    given = _parsed(value) if isinstance(value, str) else value
    if not isinstance(given, Mapping) or "model" not in given:
        return value
    revision = given.get("revision")
    more = {"revision": revision} if isinstance(revision, str) else {}
    repo = make(given["model"], **more)
    path = use(repo) if repo else None
    if path is None:
        return value
    kept = {key: item for key, item in given.items() if key != "revision"}
    return {**kept, "model": path}


def _parsed(text: str) -> Any:
    """The object in a text of JSON; ``None`` where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_FORMS: dict[str, Callable[[Any, Make, Use], Any]] = {
    "plain": _plain,
    "adapters": _adapters,
    "draft": _draft,
}


def _gguf(naming: Naming, make: Make, flag: str, settings: dict[str, Any], use: Use) -> None:
    """``org/name``, ``org/name:quantisation``, or a file of it that another flag names."""
    value = settings[flag]
    name, dummy, tag = value.partition(":") if isinstance(value, str) else ("", "", "")
    file = _take(settings, naming.file)
    if file:
        choose: tuple[str, ...] = (file,)
    elif tag and tag != "latest":
        choose = (f"*{tag}[.-]*",)
    else:
        choose = _QUANTISED
    repo = make(name, choose=choose)
    path = use(repo) if repo else None
    projector = _projector(naming, make, name, settings, use)
    if path is None:
        return
    del settings[flag]
    settings.pop(_spelt(settings, naming.file) or "", None)
    settings[naming.instead] = path
    if projector is not None:
        settings["mmproj"] = projector


def _projector(
    naming: Naming, make: Make, name: str, settings: Mapping[str, Any], use: Use
) -> str | None:
    """llama.cpp takes what makes a model see from the same repository, unless told otherwise."""
    told = {"mmproj", "mmproj-url", "mm", "mmu"} & {flag.replace("_", "-") for flag in settings}
    refused = settings.get("no-mmproj") or settings.get("mmproj-auto") is False
    if naming.instead != "model" or told or refused or settings.get("no-mmproj-auto"):
        return None
    repo = make(name, choose=_PROJECTOR, optional=True)
    return use(repo) if repo else None


def union(workers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the workers of an engine name, each once. It is fetched if any of them wants that.

    Where workers have images of several versions, tokenizers are what the oldest of them knows.
    """
    items = [item for worker in workers for item in worker.get("weights", [])]
    for index, item in enumerate(items):
        same = [other for other in items if other["key"] == item["key"]]
        if same[0] is items[index]:
            unknown = {name: one for other in same for name, one in other["tokenizers"].items()}
            yield item | {"stage": any(other["stage"] for other in same), "tokenizers": unknown}
