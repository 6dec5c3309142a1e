# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Quadlet says to each Podman: as keys where it knows them, as arguments where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _install, _plan, _quadlet
from ansible_collections.onehop.llm.plugins.plugin_utils._quadlet_keys import FIRST

from . import systemd_text
from .cases import CASES, Case
from .harness import FACTS, Generator, Run, planned, quadlets, section

VERSIONS = ("4.6.2", "4.9.3", "5.0.0", "5.4.2", "5.7.1", "5.8.6", "6.0.0-rc1")
MODEL = {"model": "org/m", "port": 18001}
OURS = {"--entrypoint": "Entrypoint", "--shm-size": "ShmSize", "--ulimit": "Ulimit"} | {
    "--stop-timeout": "StopTimeout"
}
"""What is an argument to a Podman whose Quadlet does not know the key."""
ARGUMENTS = {
    "4.6.2": {"--entrypoint", "--shm-size", "--stop-timeout", "--ulimit"},
    "4.9.3": {"--entrypoint", "--stop-timeout"},
    "5.0.0": set(),
    "5.4.2": set(),
    "5.7.1": set(),
    "5.8.6": set(),
    "6.0.0-rc1": set(),
}
ASKED = {
    "GroupAdd": ("keep-groups", "--group-add", (5, 1)),
    "Memory": ("64g", "--memory", (5, 5)),
    "PidsLimit": (4096, "--pids-limit", (4, 7)),
    "StopSignal": ("SIGINT", "--stop-signal", (5, 2)),
}
"""Keys that an operator may ask for on any Podman: a value, the argument, the first that knows it."""


def container(podman: str, **keys: Any) -> dict[str, list[str]]:
    """The [Container] section of a worker on a host with that Podman."""
    variables = {"vllm_tag": "v1", "vllm_models": {"m": {**MODEL, **keys}}}
    return section(quadlets(variables, {**FACTS, "podman": podman})["vllm-m"], "Container")


def arguments(found: dict[str, list[str]]) -> dict[str, str]:
    """The options of PodmanArgs that are two words."""
    lines = [systemd_text.words(line) for line in found["PodmanArgs"]]
    return {words[0]: words[1] for words in lines if len(words) > 1}


@pytest.mark.parametrize(("podman", "said"), ARGUMENTS.items())
def test_each_dialect(podman: str, said: set[str]) -> None:
    found = container(podman)
    assert set(arguments(found)) == said
    for option, key in OURS.items():
        assert (key in found) is (option not in said)
    newest = container(VERSIONS[-1])
    for option in said:
        assert arguments(found)[option] == newest[OURS[option]][0]


@pytest.mark.parametrize("podman", VERSIONS)
@pytest.mark.parametrize(("key", "row"), ASKED.items(), ids=ASKED)
def test_what_an_operator_asks_for(podman: str, key: str, row: tuple[Any, str, Any]) -> None:
    value, option, first = row
    found = container(podman, container_config={key: value})
    if _quadlet.version(podman) < first:
        assert (arguments(found)[option], key in found) == (str(value), False)
    else:
        assert (found[key], option in arguments(found)) == ([str(value)], False)


def test_a_list_is_an_argument_each() -> None:
    lines = container("5.0.0", container_config={"GroupAdd": ["a", "b c"]})["PodmanArgs"]
    assert lines[-2:] == ['"--group-add" "a"', '"--group-add" "b c"']


def test_their_own_arguments_stay() -> None:
    asked = {"Memory": "64g", "PodmanArgs": ["--cpus 4", "--oom-score-adj=5"]}
    lines = container("5.4.2", container_config=asked)["PodmanArgs"]
    assert lines[1:] == ["--cpus 4", "--oom-score-adj=5", '"--memory" "64g"']


@pytest.mark.parametrize("podman", VERSIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_key_is_newer_than_the_podman(case: Case, podman: str) -> None:
    for text in case.quadlets(podman=podman).values():
        for key in section(text, "Container"):
            assert FIRST[key] <= _quadlet.version(podman), key


def test_older_dialects_say_the_same(generator: Generator) -> None:
    """A Podman that is told in the words of an older one does what it does when told in its own."""
    cases = {case.name: case for case in CASES if len(case.golden()) == 1}

    def told(podman: str) -> dict[str, Run]:
        return generator.runs(
            {
                name: next(iter(case.quadlets(podman=podman).values()))
                for name, case in cases.items()
            }
        )

    wanted = told(generator.version)
    older = [one for one in VERSIONS if _quadlet.version(one) < _quadlet.version(generator.version)]
    assert len(older) >= 3
    for podman in older:
        for name, run in told(podman).items():
            assert (run.image, run.words) == (wanted[name].image, wanted[name].words)
            assert sorted(run.options) == sorted(wanted[name].options), f"{name}, {podman}"


def complaints(podman: str, **config: Any) -> list[tuple[str, str, str]]:
    (spec,) = planned(
        {"vllm_tag": "v1", "vllm_models": {"m": {**MODEL, "container_config": config}}}
    )
    return list(_quadlet.complaints(spec, podman))


@pytest.mark.parametrize(("key", "first"), FIRST.items(), ids=FIRST)
def test_keys_that_are_too_new(key: str, first: tuple[int, int]) -> None:
    (spec,) = planned({"vllm_tag": "v1", "vllm_models": {"m": MODEL}})
    spec["container_config"] = {key: "x"}
    for podman in VERSIONS:
        found = list(_quadlet.complaints(spec, podman))
        # Ours are told as arguments.
        if _quadlet.version(podman) >= first or key in {*ASKED, *OURS.values()}:
            assert found == []
        else:
            assert found == [
                (
                    f"vllm_models.m.container_config.{key}",
                    f"is known from Podman {first[0]}.{first[1]} on, and the host has {podman}",
                    "Remove it, or say it in PodmanArgs as an option of podman run",
                )
            ]


@pytest.mark.parametrize("key", ["Umask", "Volumes", "memory", "KillMode"])
def test_keys_that_no_podman_has(key: str) -> None:
    ((variable, wrong, dummy),) = complaints("6.0.0", **{key: "x"})
    assert variable == f"vllm_models.m.container_config.{key}"
    assert wrong == "is no key of a Quadlet's [Container] section"


@pytest.mark.parametrize("podman", ["3.4.4", "4.4.0", "4.5.1"])
def test_a_podman_that_is_too_old_is_not_judged_key_by_key(podman: str) -> None:
    """It is refused as a whole, by preflight."""
    assert complaints(podman, Memory="1g", Unknown="x") == []


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("5.4.2", (5, 4)),
        ("4.6", (4, 6)),
        ("6", (6, 0)),
        ("5.9.0-dev", (5, 9)),
        ("10.11.1", (10, 11)),
    ],
)
def test_versions(text: str, read: tuple[int, int]) -> None:
    assert _quadlet.version(text) == read


def test_a_host_is_told_in_sentences() -> None:
    config = {"AppArmor": "x", "Nonsense": 1}
    variables = {"vllm_tag": "v1", "vllm_models": {"m": {**MODEL, "container_config": config}}}
    made = _plan.make([_plan.Host("gpu1", variables)]).data()
    assert _install.complaints(made, "gpu1", None, {"podman": "5.4.2"}) == [
        "vllm_models.m.container_config.AppArmor: is known from Podman 5.8 on, and the host has "
        "5.4.2. Remove it, or say it in PodmanArgs as an option of podman run.",
        "vllm_models.m.container_config.Nonsense: is no key of a Quadlet's [Container] section. "
        "See podman-systemd.unit(5).",
    ]
    assert _install.complaints(made, "gpu1", ["sglang"], {"podman": "5.4.2"}) == []
    assert _install.complaints(made, "gpu1", None, {}) == []
