# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known signatures of a worker that does not start, with what to do: rows, first match wins.

The messages are the engines' own (llama.cpp 0.7.0, vLLM 0.32, SGLang 0.5), Podman's and systemd's.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_ROWS: tuple[tuple[str, str], ...] = (
    (
        r"error: invalid argument: (\S+)",
        "llama-server does not know {0}. Look it up in llama-server --help; settings are written "
        "without the leading dashes",
    ),
    (
        r"error: unrecognized arguments: (.+)",
        "the engine of this version does not know {0}. Look it up in its documentation; settings are "
        "written without the leading dashes",
    ),
    (
        r"error: argument (\S+): (.+)",
        "the engine refuses what {0} is set to: {1}",
    ),
    (
        r"(?i)Free memory on device .* is less than desired GPU memory utilization",
        "other processes hold memory of the GPU. Lower gpu-memory-utilization, or give the model "
        "another of its devices",
    ),
    (
        r"(?i)No available memory for the cache blocks|KV cache is needed, which is larger than",
        "the model leaves too little memory for its context. Lower max-model-len, or raise "
        "gpu-memory-utilization",
    ),
    (
        r"(?i)Not enough memory.*mem-fraction-static|mem_fraction_static",
        "the model leaves too little memory. Raise mem-fraction-static, or lower context-length",
    ),
    (
        r"(?i)unresolvable CDI devices (.+)",
        "no CDI spec of the host knows {0}. See podman and nvidia-ctk cdi list",
    ),
    (
        r"(?i)error: (?:.*: )?(\S+): image not known",
        "the account does not have the image {0} any more. The next run fetches it",
    ),
    (
        r"(?i)couldn't bind|bind.*(?:address already in use|failed)|address already in use",
        "something else listens there. Write another port",
    ),
    (
        r"(?i)failed to open GGUF file '?([^'\n]+?)'?(?: \(|$)|failed to open ([^\s:]+\.gguf)",
        "the model file cannot be read by the worker. It has to be readable for every user, and "
        "outside of /home, /root and /tmp, which the sandbox hides",
    ),
    (
        r"(?i)invalid magic|not a gguf|wrong magic|failed to read magic",
        "the model file is no GGUF file, or only part of one. Fetch it again",
    ),
    (
        r"(?i)unknown model architecture: '?(\w+)",
        "this llama.cpp does not know the architecture {0} yet. Use a newer build",
    ),
    (
        r"(?i)cudaMalloc failed|out of memory|failed to allocate|unable to allocate",
        "there is not enough memory. Lower ctx-size or n-gpu-layers, or use a smaller quantisation",
    ),
    (
        r"(?i)\b401\b.*(?:unauthori[sz]ed|client error)|gated repo|access to model .* is restricted",
        "the hub wants a token for this model. Put HF_TOKEN= into a file and name it in "
        "environment_file, or for a container make it a credential with environment: HF_TOKEN",
    ),
    (
        r"(?i)could not resolve host|name resolution|failed to download|HTTP request failed",
        "the host cannot reach the hub. Stage the file and name it in settings.model",
    ),
    (
        r"(?i)illegal instruction|SIGILL",
        "the processor lacks an instruction that this build uses. Use a portable build",
    ),
    (r"(?i)no space left on device", "the disk is full"),
)
_STATUSES: dict[int, str] = {
    200: "its working directory is missing",
    203: "its program cannot be executed, or is not there",
    216: "its group is not on the host",
    217: "its user is not on the host",
    226: "the sandbox could not be set up. In a container, allow namespaces",
    243: "a credential cannot be read",
}
"""Exit statuses that systemd itself gives (systemd.exec(5), Process Exit Codes)."""


def diagnosis(report: Mapping[str, Any]) -> str | None:
    """What is known to be behind a failed unit's report, with the mend."""
    for line in reversed(report["journal"]):
        for pattern, text in _ROWS:
            found = re.search(pattern, line)
            if found:
                return text.format(*(group or "" for group in found.groups()))
    if report["result"] == "timeout":
        return "it was not ready in time. Raise start_timeout, or look what it waits for"
    if report["result"] == "oom-kill":
        return "the kernel ended it for want of memory"
    return _STATUSES.get(report["exit_status"])


def explain(unit: str, report: Mapping[str, Any]) -> str:
    """A failed unit for the operator: state, cause and mend where known, last lines."""
    lines: Sequence[str] = report["journal"]
    cause = diagnosis(report)
    said = "".join(f"\n    {line}" for line in lines) or "\n    (nothing)"
    return (
        f"{unit} is not ready: {report['state']}, result {report['result']}, exit status "
        f"{report['exit_status']}." + (f" Likely {cause}." if cause else "") + f" Its last words:"
        f"{said}"
    )


_IMAGES: tuple[tuple[str, str], ...] = (
    (
        r"(?i)unauthorized|authentication required|denied",
        "the registry wants a login. Give it in registries of the engine's role, such as vllm_registries, and look whether the name is right",
    ),
    (r"(?i)manifest unknown|not found", "the registry has no such tag or digest"),
    (
        r"(?i)no such host|could not resolve|name resolution|connection refused|i/o timeout|network is"
        r" unreachable",
        "the host cannot reach the registry. Bring the image as an archive, and name it in "
        "its role's image_archives, such as vllm_image_archives",
    ),
    (r"(?i)no space left on device", "the disk is full"),
    (
        r"(?i)potentially insufficient UIDs or GIDs",
        "the account's range of subordinate ids is too small for the image. Raise "
        "its role's subuid_count",
    ),
    (r"(?i)x509|certificate", "the registry's certificate is not trusted by the host"),
)


def image(name: str, report: Mapping[str, Any]) -> str:
    """An image that could not be fetched, for the operator."""
    lines: Sequence[str] = report["said"]
    causes = [text for line in lines for pattern, text in _IMAGES if re.search(pattern, line)]
    likely = f" Likely {causes[-1]}." if causes else ""
    said = "".join(f"\n    {line}" for line in lines) or "\n    (nothing)"
    return f"{name} could not be fetched.{likely} Podman's last words:{said}"
