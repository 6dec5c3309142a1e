# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a Quadlet that the host's generator refuses: its own words, and no more."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.onehop.llm.plugins.module_utils import _files, _unit_places

from .harness import Generator


def run(command: list[str]) -> tuple[int, str, str]:
    if command[0] == "systemd-analyze":
        return 0, "", ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Container]\nImage=docker.io/x:v1\n", []),
        (
            "[Container]\nImage=docker.io/x:v1\nFoo=b\n",
            [
                "converting \"vllm-a.container\": unsupported key 'Foo' in group 'Container' in "
                "vllm-a.container"
            ],
        ),
        (
            "[Container]\nImage=docker.io/x:v1\nNetwork=none.network\n",
            ['converting "vllm-a.container": requested Quadlet unit none.network was not found'],
        ),
        (
            "[Container]\nImage=docker.io/x:v1\nno key\n",
            [
                'error loading "vllm-a.container", file contains line 3: \u201cno key\u201d which is not a '
                "key-value pair, group, or comment"
            ],
        ),
    ],
)
def test_the_generators_words(
    generator: Generator, monkeypatch: pytest.MonkeyPatch, text: str, said: list[str]
) -> None:
    monkeypatch.setattr(_unit_places, "GENERATORS", (str(generator.path),))
    file = _files.File("/etc/containers/systemd/users/995/vllm-a.container", text)
    assert _unit_places.UserPlace(run, "nobody", 995).complaints([file]) == said
