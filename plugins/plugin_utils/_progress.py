# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker that is starting is at, read from its journal: a phase, and how far it is.

The lines are those of vLLM 0.9 to 0.33, SGLang 0.4 to 0.5.23, llama.cpp 0.7, of tqdm, of the hub's
library and of Podman. The newest line that tells something counts.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.onehop.llm.plugins.plugin_utils._finding import tidy

STARTING = "starting the engine"
PULLING = "pulling"
DOWNLOADING = "downloading"
LOADING = "loading weights"
MEASURING = "measuring memory and laying out the KV cache"
COMPILING = "compiling"
CAPTURING = "capturing graphs"
WARMING = "warming up"
READY = "ready"

_BYTES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BAR = re.compile(
    r"^(?P<what>.*?):?\s*(?P<percent>\d{1,3})%"
    r"(?:.{,200}?(?<![\d.])(?P<done>\d{1,15}(?:\.\d{1,9})?)(?P<scale>[kKMGT]?)"
    r"/(?P<total>\d{1,15}(?:\.\d{1,9})?)(?P<total_scale>[kKMGT]?)B?(?![\d./])"
    r"(?: \[[\d:]{1,20}<(?P<left>\d{1,6}(?::\d\d){0,2}|\?))?)?",
    re.ASCII,
)
_LONGEST = 1000
"""Characters of a line that are looked at: a bar with all of its names has fewer."""
_FILES = re.compile(r"\.(?:safetensors|gguf|bin|pt|pth|json|model|txt)\b|safeten\(…\)|\(…\)")
_BARS: tuple[tuple[str, str], ...] = (
    (r"Loading .*(?:checkpoint shards|safetensors|weights)|Loading pt|Prefetching", LOADING),
    (r"Captur(?:ing|e) ", CAPTURING),
    (r"Compiling|Autotun|Tuning", COMPILING),
    (r"(?i)warm", WARMING),
    (r"Fetching \d+ files|Downloading|Reconstructing", DOWNLOADING),
)
"""What a progress bar is called, and the phase that it belongs to."""
_MARKS: tuple[tuple[str, str], ...] = (
    (r"Application startup complete|fired up and ready to roll|server is listening", READY),
    (r"\blistening on (?:http|unix)", READY),
    (r"Graph capturing finished|Capture .*graph.* end\b|init engine \(", WARMING),
    (r"warming up the model|Waiting for application startup|Uvicorn running on", WARMING),
    (r"Starting vLLM (?:API )?server|Started server process|\bmodel loaded\b", WARMING),
    (
        r"Capturing the model for CUDA graphs|Capture .*graph.* begin\b|Capture cuda graph bs",
        CAPTURING,
    ),
    (r"torch\.compile (?:took|takes) .* in total|torch\.compile and initial profiling", MEASURING),
    (
        r"KV Cache is allocated|Memory pool end|GPU KV cache size|# GPU blocks|KV buffer size",
        MEASURING,
    ),
    (r"Available KV cache memory|Free memory after profiling|Maximum concurrency", MEASURING),
    (
        r"torch_compile_cache|Dynamo bytecode transform|Compil(?:e|ing) (?:a )?(?:graph|and)",
        COMPILING,
    ),
    (r"Cache the graph|\bnvcc\b.* -c |ninja: Entering directory|Tuning|autotun", COMPILING),
    (
        r"Loading weights took|Model loading took|Load weight end|loading model weights took",
        MEASURING,
    ),
    (r"Starting to load model|Load weight begin|Beginning to load weights", LOADING),
    (r"Time spent downloading weights|load_tensors: |loading model tensors", LOADING),
    (r"srv +load_model: loading model|llama_model_loader: ", LOADING),
    (r"common_download|downloading from \S+ to|Downloading \S+\.gguf", DOWNLOADING),
    (r"Writing manifest to image destination|Storing signatures|Copying config", PULLING),
    (r"Copying blob|Trying to pull|Getting image source signatures|Loading image", PULLING),
    (r"vLLM API server version|Initializing a V\d LLM engine|Init torch distributed", STARTING),
    (r"server_args=|init_distributed|vLLM is using nccl|Resolved architecture", STARTING),
)
"""Lines that say what begins now, or what has just ended before the next."""
_DOTS = re.compile(r"^(?:[\d.]+ I )?(\.{3,100})$")
"""llama.cpp's progress: a dot for each hundredth."""


@dataclass(frozen=True)
class Stage:
    """What a worker is at. ``done`` and ``total`` are bytes or pieces, where they are known."""

    phase: str
    done: float | None = None
    total: float | None = None
    pieces: bool = True
    percent: int | None = None
    left: int | None = None
    """Seconds that it will take, as far as its program can tell."""

    @property
    def share(self) -> float | None:
        """How much of the phase is done, from 0 to 1."""
        if self.total:
            return min(1.0, (self.done or 0.0) / self.total)
        return None if self.percent is None else self.percent / 100

    def phrase(self) -> str:
        """Such as ``loading weights 62 % (5 of 8)`` or ``downloading 6.1 of 14.2 GB``."""
        said = self.phase
        if self.total and not self.pieces:
            done = self.done or 0.0
            unit, scale = ("GB", 1e9) if self.total >= 1e9 else ("MB", 1e6)
            said += f" {done / scale:.1f} of {self.total / scale:.1f} {unit}"
        elif self.total and self.phase == CAPTURING:
            said += f" {self.done or 0:.0f} of {self.total:.0f}"
        elif self.share is not None:
            said += f" {self.share * 100:.0f} %"
            if self.total:
                said += f" ({self.done or 0:.0f} of {self.total:.0f})"
        if self.left:
            said += f", {span(self.left)} left"
        return said


def look(lines: Sequence[str]) -> Stage | None:
    """What the newest telling line tells; ``None`` where none does."""
    clean = [line[:_LONGEST] for line in tidy(lines)]
    for index in range(len(clean) - 1, -1, -1):
        stage = _read(clean[index])
        if stage is None:
            continue
        if stage.phase == DOWNLOADING and not stage.pieces:
            return _downloads(clean[: index + 1]) or stage
        return stage
    return None


def _read(line: str) -> Stage | None:
    gauge = _BAR.match(line)
    phase = _bar_phase(gauge["what"]) if gauge else None
    if gauge and phase:
        return _of_bar(gauge, phase)
    dots = _DOTS.match(line)
    if dots:
        return Stage(LOADING, percent=len(dots[1]))
    for pattern, begun in _MARKS:
        if re.search(pattern, line):
            return Stage(begun)
    return None


def _bar_phase(what: str) -> str | None:
    for pattern, phase in _BARS:
        if re.search(pattern, what):
            return phase
    return DOWNLOADING if _FILES.search(what) else None


def _of_bar(gauge: re.Match[str], phase: str) -> Stage:
    percent = int(gauge["percent"])
    if gauge["total"] is None:
        return Stage(phase, percent=percent)
    pieces = not (gauge["scale"] or gauge["total_scale"])
    return Stage(
        phase,
        done=float(gauge["done"]) * _BYTES[gauge["scale"]],
        total=float(gauge["total"]) * _BYTES[gauge["total_scale"]],
        pieces=pieces,
        percent=percent,
        left=seconds(gauge["left"]),
    )


def _downloads(lines: Sequence[str]) -> Stage | None:
    """Several files come at once, each with a bar of its own: their sum."""
    files: dict[str, Stage] = {}
    for line in lines:
        gauge = _BAR.match(line)
        if gauge and gauge["total"] and _FILES.search(gauge["what"]):
            files[gauge["what"].strip()] = _of_bar(gauge, DOWNLOADING)
    if len(files) < 2:
        return None
    return Stage(
        DOWNLOADING,
        done=sum(stage.done or 0.0 for stage in files.values()),
        total=sum(stage.total or 0.0 for stage in files.values()),
        pieces=False,
        left=max(stage.left or 0 for stage in files.values()) or None,
    )


def seconds(text: str | None) -> int | None:
    """``01:40`` or ``1:02:03`` in seconds; ``None`` where tqdm cannot tell."""
    if not text or "?" in text:
        return None
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part or 0)
    return total


def span(seconds: float) -> str:
    """A time for people: ``45 s``, ``2 min``, ``1 h 5 min``."""
    whole = int(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
