# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp's server, as a description.

Facts: its flags and ``LLAMA_ARG_*`` variables are those of ``common/arg.cpp``; it speaks no
sd_notify and takes no inherited sockets (0.7.0); ``/health`` is 503 while it loads and 200 after,
without a key. After a signal to stop it computes nothing more, and yet waits for those who are
connected (0.7.0, seen): more time would only keep their requests from another replica.

This plugin util is private to the collection.
"""

from __future__ import annotations

import re

from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._engines import Engine, Naming, Native
from ansible_collections.onehop.llm.plugins.plugin_utils._flags import Dialect
from ansible_collections.onehop.llm.plugins.plugin_utils._promises import (
    Given,
    Layout,
    Promises,
    setting,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

ROLE = "llama_cpp"
_EXAMPLES = shared.Examples("b9093", {"ctx-size": 16384}, ("--seed", "7"))

_GPU = ("auto", "always", "never")
_GPU_DOC = (
    "Whether the workers' sandbox lets them use a GPU. C(auto) does so where the host has a device "
    "node of one. A sandbox without GPU is tighter."
)
_BY_CREDENTIAL = (
    "Put the secret into a credential and give its path: "
    "credentials: {{{0}: {{source: /path}}}} and settings: {{{0}-file: '${{cred:{0}}}'}}"
)
_BY_FILE = "Put it as a {}= line into a file that only root reads, and name it in environment_file"

_LAYERS = setting("n-gpu-layers", "gpu-layers", "ngl", variable="LLAMA_ARG_N_GPU_LAYERS")
_DEVICE = setting("device", "dev", variable="LLAMA_ARG_DEVICE")
_SPLIT_MODE = setting("split-mode", "sm", variable="LLAMA_ARG_SPLIT_MODE")
_SPLIT = setting("tensor-split", "ts", variable="LLAMA_ARG_TENSOR_SPLIT")
_MAIN = setting("main-gpu", "mg", variable="LLAMA_ARG_MAIN_GPU")


def layout(given: Given) -> Layout:
    """The devices that it names, or all that it sees, of which it takes them as they come."""
    named = given.get(_DEVICE)
    if named is not None:
        numbers = re.findall(r"[A-Za-z]+([0-9]{1,9})", str(named))
        return Layout(tuple(int(number) for number in numbers))
    if given.get(_SPLIT_MODE) == "none":
        return Layout((given.whole(_MAIN, 0),))
    parts = given.get(_SPLIT)
    if isinstance(parts, (str, list)):
        shares = parts if isinstance(parts, list) else re.split(r"[,/]", parts)
        return Layout(tuple(at for at, part in enumerate(shares) if str(part).strip("0. ")))
    return Layout(None)


def offloaded(given: Given) -> int | None:
    """Layers that go to the devices: a number; ``all``, ``auto`` and -1 are as many as fit."""
    number = given.number(_LAYERS)
    return None if number is None else int(number)


def wants(given: Given) -> bool:
    """Whether it was told to put layers on a device."""
    return given.get(_LAYERS) is not None and offloaded(given) != 0


LLAMA_CPP = Engine(
    role=ROLE,
    title="llama.cpp",
    prefix="llama-cpp",
    runtime=Native(
        executable="llama-server",
        command=("{binary}",),
        drain=5,
        gpu_environment={
            "CUDA_CACHE_PATH": "{cache}/jit/cuda",
            "MIOPEN_CUSTOM_CACHE_DIR": "{cache}/jit/miopen",
            "MIOPEN_USER_DB_PATH": "{cache}/jit/miopen",
            "NEO_CACHE_DIR": "{cache}/jit/neo",
            "NEO_CACHE_PERSISTENT": "1",
            "SYCL_CACHE_DIR": "{cache}/jit/sycl",
            "SYCL_CACHE_PERSISTENT": "1",
        },
    ),
    role_options=(
        *shared.role_options(ROLE, "llama.cpp", "the name of the archive or the binary", _EXAMPLES),
        Option(
            f"{ROLE}_package",
            "str",
            "The distribution's package that brings llama-server. It is used unless O(llama_cpp_"
            "archive) or O(llama_cpp_binary) is given.",
            default="llama.cpp",
            example="llama-cpp",
        ),
        Option(
            f"{ROLE}_archive",
            "dict",
            "A tar archive that holds llama-server and its libraries, such as a release of "
            "llama.cpp.",
            default=None,
            keys=(
                Option(
                    "source",
                    "str",
                    "An http or https address that the host fetches, or a path on the controller.",
                    example="/srv/artefacts/llama-b9000-bin-ubuntu-x64.tar.gz",
                ),
                Option(
                    "checksum",
                    "checksum",
                    "C(sha256:) and the archive's SHA-256.",
                    example="sha256:" + "0" * 64,
                ),
            ),
            example={
                "source": "/srv/artefacts/llama-b9000-bin-ubuntu-x64.tar.gz",
                "checksum": "sha256:" + "0" * 64,
            },
        ),
        Option(
            f"{ROLE}_binary",
            "path",
            "Path of a llama-server that is on the host already.",
            default=None,
            example="/usr/local/bin/llama-server",
        ),
        Option(
            f"{ROLE}_user",
            "account",
            "An existing account to run the workers as. Without one, each gets a user of its own "
            "that exists only while it runs.",
            default=None,
            example="llm",
        ),
        Option(f"{ROLE}_gpu", "str", _GPU_DOC, default="auto", choices=_GPU, example="never"),
        Option(
            f"{ROLE}_weights_dir",
            "path",
            "Directory for the weights that the role fetches, shared by all workers of this engine.",
            default="/var/cache/onehop-models",
            example="/srv/cache/models",
        ),
    ),
    model_keys=(
        *shared.model_keys(ROLE, _EXAMPLES),
        Option(
            "gpu",
            "str",
            f"O({ROLE}_gpu) for this model.",
            default=None,
            choices=_GPU,
            example="never",
        ),
        shared.section("unit_config", "Unit"),
        shared.section("service_config", "Service"),
    ),
    dialect=Dialect(repeat=True, negate=True),
    flag_table=ROLE,
    example={"port": 18001, "settings": {"hf-repo": "unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL"}},
    health_path="/health",
    model_flags={"alias": "{name}"},
    port_flags={"host": "127.0.0.1", "port": "{port}"},
    socket_flags={"host": "{socket}"},
    managed_instead={
        "alias": "Use the model's name",
        "host": "Remove it: a worker listens on loopback or on a unix socket",
        "port": "Use the model's port",
    },
    secret_flags={
        "api-key": _BY_CREDENTIAL.format("api-key"),
        "hf-token": _BY_FILE.format("HF_TOKEN"),
    },
    secret_environment={
        "HF_TOKEN": _BY_FILE.format("HF_TOKEN"),
        "LLAMA_API_KEY": _BY_CREDENTIAL.format("api-key"),
    },
    path_flags=("chat-template-file", "lora", "mmproj", "model", "model-draft"),
    environment={"LLAMA_CACHE": "{cache}"},
    managed_environment=dict.fromkeys(
        ("HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE"),
        "Remove it: the role fetches weights to llama_cpp_weights_dir, and what a worker fetches "
        "itself goes into its own cache directory",
    ),
    naming=(
        Naming("hf-repo", "gguf", form="gguf", file="hf-file", instead="model"),
        Naming("hf-repo-draft", "gguf", form="gguf", instead="model-draft"),
        Naming("spec-draft-hf", "gguf", form="gguf", instead="spec-draft-model"),
    ),
    flag_environment="LLAMA_ARG_",
    metrics=setting("metrics", variable="LLAMA_ARG_ENDPOINT_METRICS"),
    promises=Promises(
        of="needed",
        layout=layout,
        wants=wants,
        placed_by="another device",
        context=setting("ctx-size", "c", variable="LLAMA_ARG_CTX_SIZE"),
        batch=512,
        kv_dtype=setting("cache-type-k", "ctk", variable="LLAMA_ARG_CACHE_TYPE_K"),
        offloaded=offloaded,
    ),
)
