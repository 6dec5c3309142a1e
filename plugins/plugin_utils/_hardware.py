# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the models of a host ask of its hardware, held against what the host has.

What a host does not tell is not judged: a card without a known capability fits.

This plugin util is private to the collection.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.onehop.llm.plugins.plugin_utils import _cuda
from ansible_collections.onehop.llm.plugins.plugin_utils._catalogue import DESCRIPTIONS
from ansible_collections.onehop.llm.plugins.plugin_utils._checks import ERROR, WARN, Finding
from ansible_collections.onehop.llm.plugins.plugin_utils._demands import Hardware, Limit, Processor

Worker = Mapping[str, Any]
Gpu = Mapping[str, Any]

_MOVING = ("latest", "latest-runtime", "nightly", "dev")
_NEWEST: _cuda.Version = (999,)
_FAULTS = {
    "version mismatch": "Reboot it, or unload the old driver's modules and load the new ones",
    "communicate with the nvidia driver": "Load its module with modprobe nvidia, or install the driver",
    "no devices": "See lspci and dmesg for the card",
    "no answer": "See dmesg for a card that hangs",
}
"""The mend by a part of what nvidia-smi says, in lower case."""
_NVIDIA = re.compile(r"nvidia\.com/|-?/dev/nvidia")


def findings(
    plan: Mapping[str, Any], host: str, roles: list[str] | None, facts: Mapping[str, Any]
) -> list[Finding]:
    """What the host's hardware cannot do of what is declared, or may not."""
    return [
        finding
        for role, engine in plan["hosts"][host]["engines"].items()
        if roles is None or role in roles
        for worker in engine["workers"]
        for finding in _of_worker(worker, facts)
    ]


def _of_worker(worker: Worker, facts: Mapping[str, Any]) -> Iterator[Finding]:
    hardware = DESCRIPTIONS[worker["engine"]].hardware
    if worker.get("gpu") == "always" and not facts.get("gpu"):
        said = "is always, and the host has no device node of a GPU. Load its driver, or write auto"
        yield Finding("gpu", WARN, f"{worker['variable']}.gpu: {said}.")
    if hardware is None or "image" not in worker:
        return
    name, tag = split(worker["image"])
    kind = accelerator(hardware, name, tag)
    known = version_of(tag)
    yield from _processor(worker, hardware, kind, known, facts)
    if kind == "rocm" and not facts.get("amd"):
        yield _without(worker, "an AMD GPU, and the host has no /dev/kfd. Load amdgpu")
    if kind == "cuda":
        gpus = given(worker, facts.get("gpus") or [])
        yield from _presence(worker, facts)
        yield from _driver(worker, hardware, tag, known, gpus)
        yield from _capability(worker, hardware, known, gpus)


def computes_on(worker: Worker) -> str | None:
    """What a worker's image computes on, as far as it tells."""
    hardware = DESCRIPTIONS[worker["engine"]].hardware
    if hardware is None or "image" not in worker:
        return None
    return accelerator(hardware, *split(worker["image"]))


def split(image: str) -> tuple[str, str]:
    """An image's name and its tag; a digest is no tag."""
    name, dummy, tag = image.partition("@")[0].rpartition(":")
    if "/" in tag or not name:
        return image.partition("@")[0], ""
    return name, tag


def accelerator(hardware: Hardware, name: str, tag: str) -> str | None:
    """What an image computes on, as far as its name tells."""
    for word in re.split(r"[-_.]", tag):
        for beginning, kind in hardware.tags.items():
            if word.startswith(beginning):
                return kind
    return hardware.images.get(name.rpartition("/")[2])


def version_of(tag: str) -> _cuda.Version:
    """The engine's version that a tag names; empty where it cannot be told."""
    return _NEWEST if tag in _MOVING else _cuda.version(tag)


def given(worker: Worker, gpus: list[Gpu]) -> list[Gpu]:
    """The NVIDIA GPUs that a worker gets: all where it names none."""
    devices = worker["devices"]
    if devices is None:
        return gpus
    return [gpu for gpu in gpus if any(_is(device, gpu) for device in devices)]


def _is(device: str, gpu: Gpu) -> bool:
    name = re.sub(r"^(nvidia\.com/[a-z]+=|-?/dev/nvidia(?=\d))", "", device)
    if name == device:
        return False
    # 0:1 is an instance of the first card.
    return name in ("all", gpu["uuid"]) or name.partition(":")[0] == str(gpu["index"])


def _presence(worker: Worker, facts: Mapping[str, Any]) -> Iterator[Finding]:
    devices = worker["devices"]
    if facts.get("gpus") and (devices is None or devices):
        return
    fault = facts.get("gpu_fault")
    if devices == []:
        yield _without(worker, "an NVIDIA GPU, and devices gives it none. Name one")
    elif fault and (devices is None or any(_NVIDIA.match(device) for device in devices)):
        mend = next(
            (mend for part, mend in _FAULTS.items() if part in fault.lower()),
            "Mend what nvidia-smi says on the host",
        )
        said = f"gets NVIDIA GPUs, and the host's driver does not answer ({fault}). {mend}."
        yield Finding("gpu", ERROR, f"{worker['variable']}.devices: {said}")
    elif devices is None:
        yield _without(worker, "an NVIDIA GPU, and the host shows none. Install its driver")


def _without(worker: Worker, wants: str) -> Finding:
    said = f"{worker['variable']} = {worker['image']}: is built for {wants}"
    return Finding("gpu", WARN, f"{said}, or write an image for what the host has.")


def _driver(
    worker: Worker, hardware: Hardware, tag: str, known: _cuda.Version, gpus: list[Gpu]
) -> Iterator[Finding]:
    cuda = _cuda.of_tag(tag) or _row(hardware.cuda, known)
    if cuda is None:
        return
    what = f"{worker['variable']} = {worker['image']}"
    for gpu in gpus[:1]:
        driver = gpu.get("driver")
        least, brought = _cuda.least(cuda), _cuda.brought(cuda)
        if driver is None or least is None:
            return
        if _older(driver, least):
            forward = hardware.forward
            asked = forward is not None and worker["environment"].get(forward) in ("1", "true")
            also = f", or set {forward}: '1' on a card for data centres" if forward else ""
            yield Finding(
                "driver",
                WARN if asked else ERROR,
                f"{what}: is built with CUDA {cuda}, which needs driver {least} or newer, and "
                f"{shown(gpu)} has {driver}. Upgrade the driver, or write a tag for an older "
                f"CUDA{also}.",
            )
        elif brought and _older(driver, brought):
            yield Finding(
                "driver",
                WARN,
                f"{what}: is built with CUDA {cuda}, which came with driver {brought}, and "
                f"{shown(gpu)} has {driver}. It serves that by minor version compatibility; where "
                "kernels compiled at run time fail, upgrade the driver.",
            )


def _older(one: str, other: str) -> bool:
    return _cuda.version(one) < _cuda.version(other)


def _capability(
    worker: Worker, hardware: Hardware, known: _cuda.Version, gpus: list[Gpu]
) -> Iterator[Finding]:
    cards = [(gpu, _cuda.version(gpu["capability"])) for gpu in gpus if gpu.get("capability")]
    if not cards:
        return
    gpu, lowest = min(cards, key=lambda card: card[1])
    least = _row(hardware.kernels, known)
    if least is not None and lowest < least:
        yield Finding(
            "capability",
            ERROR,
            f"{worker['variable']} = {worker['image']}: has kernels for compute capability "
            f"{_dotted(least)} and more, and {shown(gpu)} has {_dotted(lowest)}. Write an older tag, "
            "or other devices.",
        )
        return
    said = list(asked(worker, hardware))
    for where, flag, value in said:
        for limit in hardware.limits:
            if flag in limit.flags and _holds(limit, known) and _means(limit, value):
                for card, has in cards:
                    if has < limit.capability or (limit.only and has[0] not in limit.only):
                        yield Finding(
                            "capability",
                            limit.level,
                            f"{where} = {value}: {_wants(limit)}, and {shown(card)} has "
                            f"{_dotted(has)}. {limit.instead}.",
                        )
                        break
    flags = {flag for dummy, flag, dummy_value in said}
    for advice in hardware.advice:
        if lowest < advice.below and advice.flag not in flags:
            yield Finding(
                "capability",
                WARN,
                f"{worker['variable']}.settings.{advice.flag}: is not given, {shown(gpu)} has compute "
                f"capability {_dotted(lowest)}, and {advice.why}. {advice.instead}.",
            )


def _wants(limit: Limit) -> str:
    if limit.only:
        return f"is for compute capability {' and '.join(f'{major}.x' for major in limit.only)}"
    return f"needs compute capability {_dotted(limit.capability)} or more"


def _means(limit: Limit, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value.lower(), pattern) for pattern in limit.values)


def asked(worker: Worker, hardware: Hardware) -> Iterator[tuple[str, str, str]]:
    """Every flag with a single value: the variable, the flag, and the value."""
    where = worker["variable"]
    for flag, value in worker["settings"].items():
        name = flag.replace("_", "-")
        for key, item in value.items() if isinstance(value, Mapping) else ():
            if isinstance(item, (str, int, float)):
                yield f"{where}.settings.{flag}.{key}", f"{name}.{key}", str(item)
        if isinstance(value, (str, int, float)):
            yield f"{where}.settings.{flag}", name, str(value)
    words = worker["extra_args"]
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        flag, joined, value = word.partition("=")
        if flag.startswith("--"):
            name = flag.removeprefix("--").replace("_", "-")
            yield f"{where}.extra_args", name, value if joined else following
    for variable, flag in hardware.environment.items():
        if variable in worker["environment"]:
            yield f"{where}.environment.{variable}", flag, worker["environment"][variable]


def _processor(
    worker: Worker,
    hardware: Hardware,
    kind: str | None,
    known: _cuda.Version,
    facts: Mapping[str, Any],
) -> Iterator[Finding]:
    flags = facts.get("cpu_flags") or []
    for row in hardware.processors:
        if row.accelerator != kind or row.arch != facts.get("arch") or not _holds(row, known):
            continue
        if flags and row.flag not in flags:
            yield Finding(
                "cpu",
                row.level,
                f"{worker['variable']} = {worker['image']}: is built for processors with {row.title}, "
                f"and the host's has no {row.flag}. {row.instead}.",
            )


def _holds(row: Limit | Processor, known: _cuda.Version) -> bool:
    """Whether a row is for a version; of an unknown one, those are taken that hold to this day."""
    if not known:
        return row.until is None
    before = row.until is None or known < _cuda.version(row.until)
    return before and known >= _cuda.version(row.since)


def _row(rows: tuple[tuple[str, Any], ...], known: _cuda.Version) -> Any:
    """The value of the last row that has begun by a version; ``None`` before the first."""
    found = None
    for since, value in rows:
        if known and known >= _cuda.version(since):
            found = value
    return found


def shown(gpu: Gpu) -> str:
    """A card for people."""
    return f"GPU {gpu['index']} ({gpu['name']})"


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)
