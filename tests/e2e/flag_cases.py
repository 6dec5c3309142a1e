# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings made from an engine's flag table, right ones and wrong ones, with our verdict on each.

``flag_cases.py make`` prints cases for vLLM 0.32.0 as JSON lines, with the words that they make:
the same ones for the same ``--seed``. ``flag_cases.py compare`` reads them again, then a line
``---``, then the answers of flag_verdicts.py, which asks the engine's own parser, and names each
difference; its exit status is 1 if there are any. Both want the collection in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _flag_table, _plan
from ansible_collections.onehop.llm.plugins.plugin_utils._flag_table import Flag
from ansible_collections.onehop.llm.plugins.plugin_utils._vllm import VLLM

VERSION = "0.32.0"
_APART = frozenset(("config", "lora-modules", "mm-processor-device"))
"""Flags with a value that no table describes: a file, a language, what is installed."""

_TYPED: dict[str | None, list[Any]] = {
    "int": [7, "12", 0],
    "float": [0.25, 3, "1e-3"],
    "human_int": [8192, "8k", "2K", "25.6k"],
    "str": ["text", "/srv/x y", "a=b,c", "${cred:k}"],
    "json": [{}, {"a": [1, None]}],
    None: ["text", 5, 0.5],
}
_UNFIT: dict[str | None, list[Any]] = {
    "int": ["many", 1.5, {"a": 1}],
    "float": ["hot", {"a": 1}],
    "human_int": ["8q", 1.5, "1.5K", "k"],
}


def _scalars(flag: Flag) -> list[Any]:
    choices = [choice for choice in flag.choices if choice is not None]
    return [*(choices or _TYPED[flag.type]), *flag.also]


def right(flag: Flag) -> Iterator[Any]:
    """Values that a flag takes."""
    if flag.kind in ("flag", "bool"):
        yield True
        if flag.kind == "bool" or flag.default is not True:
            yield False
    elif flag.kind in ("json", "json_or_str"):
        yield {}
        # What is in it is for the engine: many of these have keys of their own.
        yield "{}" if flag.kind == "json" else "text"
    else:
        scalars = _scalars(flag)
        yield from scalars
        if flag.kind in ("list", "repeat"):
            yield scalars[:1]
            yield scalars
        if flag.kind == "optional":
            yield True


def wrong(flag: Flag) -> Iterator[Any]:
    """Values that a flag refuses, and so does the engine's parser."""
    unfit = [*_UNFIT.get(flag.type, []), *(["no-such-choice"] if flag.choices else [])]
    if flag.kind in ("flag", "bool"):
        yield from ("x", 3, [1], {"a": 1})
        return
    if flag.kind in ("json", "json_or_str"):
        yield from (True, "{", "text") if flag.kind == "json" else (True,)
        return
    yield from unfit
    if flag.kind in ("list", "repeat"):
        yield from ([item] for item in unfit)
        yield from ([*_scalars(flag)[:1], item] for item in unfit)
    if flag.kind == "value" and not {"on", "true", "yes", "enabled"} & set(map(str, flag.choices)):
        yield True
    if flag.kind == "value" and flag.type is not None:
        yield [*_scalars(flag)[:1], "two"]


def misspelt(name: str, dice: random.Random) -> Iterator[str]:
    """A name with two letters swapped, one missing, one too many."""
    place = dice.randrange(1, max(2, len(name) - 1))
    yield name[:place] + name[place : place + 2][::-1] + name[place + 2 :]
    yield name[:place] + name[place + 1 :]
    yield name[:place] + name[place] + name[place:] if place < len(name) else name + "x"


def verdict(settings: dict[str, Any]) -> tuple[bool, list[str], list[str]]:
    """Whether a plan takes a model's settings, the words they make, and what it says of them."""
    model = {"model": "a/b", "settings": settings, "credentials": {"k": "/etc/k"}}
    variables = {
        "gpu_host_checks": {"devices": "off", "memory": "off"},
        "vllm_tag": f"v{VERSION}",
        "vllm_models": {"m": model},
    }
    plan = _plan.make([_plan.Host("gpu1", variables, list(variables))])
    (worker,) = plan.hosts["gpu1"]["engines"]["vllm"]["workers"]
    return not plan.problems, VLLM.command_line(worker), [str(one) for one in plan.problems]


def cases(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """So many settings, every second one wrong; none that the role itself would refuse."""
    dice = random.Random(seed)
    table = _flag_table.table("vllm")
    flags = table.at(_flag_table.choose(table, VERSION).known)
    refused = {*VLLM.managed, *VLLM.secret_flags, *_APART}
    own = [flag for flag in flags.flags if flag.spellings and not refused & set(flag.names)]
    gone = [flag.name for flag in table.flags if not flags.find(flag.name)]
    for number in range(count):
        flag = dice.choice(own)
        if number % 2 == 0:
            name = dice.choice([name for name in flag.names if f"--{name}" in flag.spellings])
            yield _case(name, dice.choice(list(right(flag))))
            continue
        values = list(wrong(flag))
        way = dice.randrange(4)
        if way == 0 or not values:
            name = dice.choice([n for n in misspelt(flag.name, dice) if not _begins(n, flags)])
            yield _case(name, dice.choice(list(right(flag))))
        elif way == 1 and gone:
            yield _case(dice.choice([n for n in gone if not _begins(n, flags)]), "1")
        else:
            yield _case(flag.name, dice.choice(values))


def _begins(name: str, flags: _flag_table.Flags) -> bool:
    """The parser takes the beginning of a flag for the flag, and we do not."""
    return any(other.startswith(name.replace("_", "-")) for other in flags.names())


def _case(name: str, value: Any) -> dict[str, Any]:
    ours, words, said = verdict({name: value})
    return {"settings": {name: value}, "words": words, "ours": ours, "said": said}


def compare(made: list[dict[str, Any]], answers: list[dict[str, Any]]) -> list[str]:
    """Where the engine's parser says something else, in a line each."""
    if len(made) != len(answers):
        return [f"{len(made)} cases and {len(answers)} answers"]
    return [
        f"{case['settings']}: ours {case['ours']} {case['said']}, its {answer}"
        for case, answer in zip(made, answers, strict=True)
        if case["ours"] != answer["accepted"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Our verdicts on settings, against an engine's.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="print cases as JSON lines")
    making.add_argument("--seed", type=int, default=5)
    making.add_argument("--count", type=int, default=200)
    commands.add_parser("compare", help="compare cases with answers, from standard input")
    args = parser.parse_args()
    if args.command == "make":
        for case in cases(args.seed, args.count):
            print(json.dumps(case))
        return 0
    parts = sys.stdin.read().split("\n---\n")
    made, answers = ([json.loads(line) for line in part.splitlines()] for part in parts)
    differences = compare(made, answers)
    taken = sum(case["ours"] for case in made)
    print(f"{len(made)} cases, {taken} taken, {len(made) - taken} refused")
    print("\n".join(differences) or "the parser agrees with each")
    return 1 if differences or not 0 < taken < len(made) else 0


if __name__ == "__main__":
    sys.exit(main())
