# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NVIDIA GPUs of this host, as nvidia-smi tells of them.

``--query-gpu`` has one line a GPU, with ``[N/A]`` and the like where the card, or its driver, does
not know. ``compute_cap`` is known from driver 510 on; an unknown field fails the whole question.
What it says of its own trouble goes to its output, and its status is 9 where no driver answers,
18 where the driver in the kernel is another one than its library (nvidia-smi(1)).

This module util is private to the collection.
"""

from __future__ import annotations

import re
import shutil

FIELDS = (
    "index",
    "uuid",
    "name",
    "memory.total",
    "memory.used",
    "compute_cap",
    "driver_version",
    "mig.mode.current",
)
_ALWAYS_THERE = FIELDS[:5] + FIELDS[6:7]
"""Those that every driver since 2014 knows."""
_SECONDS = 30
"""A driver that initialises eight cards without its persistence daemon takes about as long."""
_MIB = 1024 * 1024
_MIG = re.compile(
    r"^\s+MIG (?P<profile>\S+)\s+Device\s+(?P<index>\d+): \(UUID: (?P<uuid>MIG-[^)]+)\)"
)


class Unreadable(ValueError):
    """An answer of nvidia-smi that is not what its manual says."""


def found(run):
    """``gpus``, ``mig`` (their instances) and ``gpu_fault``, what nvidia-smi says where it fails.

    ``run`` takes an argument list and gives (status, out, err).
    """
    nothing: dict = {"gpus": [], "mig": [], "gpu_fault": None}
    if shutil.which("nvidia-smi") is None:
        return nothing
    status, out, err = _ask(run, _query(FIELDS))
    fields: tuple = FIELDS
    if status and "not a valid field" in out + err:
        fields = _ALWAYS_THERE
        status, out, err = _ask(run, _query(fields))
    if status or _says_none(out):
        return dict(nothing, gpu_fault=_trouble(status, out + "\n" + err))
    try:
        gpus = parse(out, fields)
    except Unreadable as error:
        return dict(nothing, gpu_fault=str(error))
    dummy, shown, dummy_err = _ask(run, ["-q", "-d", "COMPUTE"])
    cuda = cuda_version(shown)
    instances = []
    if any(gpu["mig"] for gpu in gpus):
        dummy, shown, dummy_err = _ask(run, ["-L"])
        instances = parse_instances(shown)
    return {"gpus": [dict(gpu, cuda=cuda) for gpu in gpus], "mig": instances, "gpu_fault": None}


def _query(fields):
    return ["--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"]


def _ask(run, words):
    return run(["timeout", "--kill-after=5", str(_SECONDS), "nvidia-smi"] + words)


def _says_none(out):
    return out.strip().lower().startswith("no devices")


def _trouble(status, text):
    if status == 124 or status == 137:
        return "nvidia-smi gave no answer within %d s" % _SECONDS
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[0] if lines else "nvidia-smi failed with status %d and no word" % status


def parse(text, fields=FIELDS):
    """The GPUs in an answer, in its order; what is not known is ``None``."""
    return [_gpu(line, fields) for line in text.split("\n") if line.strip()]


def _gpu(line, fields):
    words = [word.strip() for word in line.split(",")]
    more = len(words) - len(fields)
    if more < 0:
        raise Unreadable("nvidia-smi said %r where %d fields were asked" % (line, len(fields)))
    # Whatever else has a comma in it is a card's name.
    words[2 : 3 + more] = [", ".join(words[2 : 3 + more])]
    row = {field: _known(word) for field, word in zip(fields, words)}
    uuid = row["uuid"] or ""
    if not (row["index"] or "").isdigit() or not uuid.startswith("GPU-"):
        raise Unreadable("nvidia-smi said %r, which begins with no index and UUID" % line)
    capability = row.get("compute_cap") or ""
    return {
        "index": int(row["index"]),
        "uuid": uuid,
        "name": row["name"] or "unknown",
        "memory": _bytes(row["memory.total"]),
        "used": _bytes(row["memory.used"]),
        "capability": capability if re.match(r"\d+\.\d+\Z", capability) else None,
        "driver": row["driver_version"],
        "mig": row.get("mig.mode.current") == "Enabled",
    }


def _known(word):
    """``None`` for [N/A], [Not Supported], [Unknown Error], [GPU requires reset] and the like."""
    if word.startswith("[") or word in ("", "N/A", "Unknown Error"):
        return None
    return word


def _bytes(word):
    return int(word) * _MIB if word and word.isdigit() else None


def parse_instances(text):
    """The MIG instances in an answer to ``-L``: ``gpu``, ``index``, ``profile`` and ``uuid``."""
    instances = []
    gpu = None
    for line in text.split("\n"):
        card = re.match(r"GPU (\d+):", line)
        gpu = int(card.group(1)) if card else gpu
        match = _MIG.match(line)
        if match and gpu is not None:
            instances.append(dict(match.groupdict(), gpu=gpu, index=int(match.group("index"))))
    return instances


def cuda_version(text):
    """The newest CUDA that the driver serves, such as 12.4, from an answer to ``-q``."""
    match = re.search(r"^CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", text, re.MULTILINE)
    return match.group(1) if match else None
