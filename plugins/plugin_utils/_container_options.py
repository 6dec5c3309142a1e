# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and model keys that engines in containers share.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils import _engine_options as shared
from ansible_collections.onehop.llm.plugins.plugin_utils._schema import Option

CREDENTIAL_KEYS = (
    Option(
        "environment",
        "environment_name",
        "Environment variable that gets the secret's text, for what the engine reads from nowhere "
        "else. Otherwise the secret is the file C(${cred:NAME}).",
        default=None,
        example="HF_TOKEN",
    ),
)
DIGEST = "sha256:" + "0123456789abcdef" * 4
"""One for examples."""
SECTIONS = ("unit_config", "container_config", "service_config")
"""Keys of a model that are sections of its unit."""
SHM_SIZE = "32g"
"""Of /dev/shm, unless told: what engines' makers advise between GPUs. It is a limit and takes no memory."""
CACHE = "/root/.cache/huggingface"
"""Where a container finds its cache."""
MANAGED_ENVIRONMENT = dict.fromkeys(
    ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"),
    "Remove it: weights lie in the role's cache_dir, which the worker finds there",
)
JIT = f"{CACHE}/jit"
"""Where a container keeps what it compiles: all of it, so that it survives a restart, and goes with
``onehop ENGINE clear-caches``."""
COMPILED = {
    "CUDA_CACHE_PATH": f"{JIT}/cuda",
    "CUTE_DSL_CACHE_DIR": f"{JIT}/cute-dsl",
    "DG_JIT_CACHE_DIR": f"{JIT}/deep-gemm",
    "FLASHINFER_WORKSPACE_BASE": f"{JIT}/flashinfer",
    "TILELANG_CACHE_DIR": f"{JIT}/tilelang",
    "TORCHINDUCTOR_CACHE_DIR": f"{JIT}/inductor",
    "TORCH_EXTENSIONS_DIR": f"{JIT}/torch-extensions",
    "TRITON_CACHE_DIR": f"{JIT}/triton",
    "TVM_FFI_CACHE_DIR": f"{JIT}/tvm-ffi",
}
"""Compilers that both engines in containers use. Each makes its directory."""
KEPT = "Remove it: the weights stay in the role's cache_dir, for the next start too"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def by_environment(credential: str, variable: str) -> str:
    """The mend for a secret that an engine reads from its environment."""
    return (
        f"Make it a credential: credentials: {{{credential}: {{source: /path, "
        f"environment: {variable}}}}}"
    )


def sections() -> tuple[Option, ...]:
    """Overrides of a Quadlet's sections."""
    return (
        shared.section("unit_config", "Unit"),
        shared.section("container_config", "Container"),
        shared.section("service_config", "Service"),
    )


def image_options(prefix: str, image: str, tag: str | None, example: str) -> tuple[Option, ...]:
    """Which image: ``prefix`` stands before each name, and ``example`` is a tag."""
    return (
        Option(
            f"{prefix}image",
            "image",
            "The image, without a tag.",
            default=image,
            example=f"registry.example.org/{image.partition('/')[2]}",
        ),
        Option(
            f"{prefix}tag",
            "tag",
            "Tag of the image. A digest wins over a default tag.",
            default=tag,
            example=example,
        ),
        Option(
            f"{prefix}digest",
            "checksum",
            "Digest of the image instead of a tag: C(sha256:) and 64 hexadecimal digits.",
            default=None,
            example=DIGEST,
        ),
    )


def role_options(role: str, image: str, version: str) -> tuple[Option, ...]:
    """Variables of a role whose workers are rootless containers; ``version`` is one for examples."""
    return (
        *image_options(f"{role}_", image, None, f"v{version}"),
        Option(
            f"{role}_image_archives",
            "map",
            "Archives to load images from instead of pulling them, by the image with its tag or "
            "digest: paths on the host of OCI or Docker archives.",
            default={},
            key_type="image_reference",
            elements="path",
            example={f"{image}:v{version}": f"/srv/images/{role}.tar"},
        ),
        Option(
            f"{role}_registries",
            "map",
            "Registries that want a login, by their name.",
            default={},
            key_type="route_name",
            keys=(
                Option("username", "str", "The account's name.", example="ann"),
                Option(
                    "password",
                    "str",
                    "Its password or token, from a vault.",
                    secret=True,
                    example="{{ vault_docker_token }}",
                ),
            ),
            example={"docker.io": {"username": "ann", "password": "{{ vault_docker_token }}"}},
        ),
        Option(
            f"{role}_user",
            "account",
            f"The system account that runs the containers. The role makes C({role}); with another "
            "name the account is its owner's, and only checked.",
            default=role,
            example="llm",
        ),
        Option(f"{role}_uid", "id", "Its uid; a free one unless given.", default=None, example=503),
        Option(
            f"{role}_group",
            "account",
            f"Its primary group; O({role}_user) unless given.",
            default=None,
            example="llm",
        ),
        Option(
            f"{role}_gid",
            "id",
            f"The group's gid; O({role}_uid) unless given, or else a free one.",
            default=None,
            example=503,
        ),
        Option(
            f"{role}_data_dir",
            "path",
            "The account's home, which holds its images. Its file system has to carry overlayfs.",
            default=f"/var/lib/{role}",
            example=f"/srv/{role}",
        ),
        Option(
            f"{role}_cache_dir",
            "path",
            "Directory for weights and compiled kernels, shared by the workers of this engine.",
            default=f"/var/cache/{role}",
            example=f"/srv/cache/{role}",
        ),
        Option(
            f"{role}_subuid_start",
            "id",
            "First of the uids that its containers' users map to; a free range unless given.",
            default=None,
            example=300000,
        ),
        Option(
            f"{role}_subuid_count", "positive", "How many these are.", default=65536, example=131072
        ),
        Option(
            f"{role}_subgid_start",
            "id",
            f"First of the gids; O({role}_subuid_start) unless given.",
            default=None,
            example=300000,
        ),
        Option(
            f"{role}_subgid_count",
            "positive",
            f"How many these are; O({role}_subuid_count) unless given.",
            default=None,
            example=131072,
        ),
        Option(
            f"{role}_devices",
            "list",
            "Devices for every model: CDI names or device nodes. Unless given, all GPUs where a "
            "CDI spec lists some, and none otherwise.",
            default=None,
            elements="device",
            example=["nvidia.com/gpu=0"],
        ),
        *liveness_options(f"{role}_", 12),
    )


def liveness_options(prefix: str, retries: int) -> tuple[Option, ...]:
    """When a worker that was ready is taken for dead."""
    return (
        Option(
            f"{prefix}liveness_interval",
            "positive",
            "Seconds between two questions whether a worker is alive.",
            default=10,
            example=30,
        ),
        Option(
            f"{prefix}liveness_timeout",
            "positive",
            "Seconds that it may take for an answer.",
            default=5,
            example=10,
        ),
        Option(
            f"{prefix}liveness_retries",
            "positive",
            "How many questions in a row it may leave unanswered before it is restarted.",
            default=retries,
            example=6,
        ),
    )


def model_keys(role: str, examples: shared.Examples, *, sockets: bool) -> tuple[Option, ...]:
    """Keys of a model that a rootless container serves."""
    return (
        Option(
            "model",
            "str",
            "What is served: a repository of the Hugging Face hub, or a path on the host, which "
            "the worker gets to see read-only.",
            example="Qwen/Qwen3-8B",
        ),
        *shared.model_keys(role, examples, sockets=sockets, credential_keys=CREDENTIAL_KEYS),
        Option(
            "tag",
            "tag",
            f"O({role}_tag) for this model.",
            default=None,
            example=f"v{examples.version}",
        ),
        Option(
            "digest", "checksum", f"O({role}_digest) for this model.", default=None, example=DIGEST
        ),
        Option(
            "version",
            "engine_version",
            f"O({role}_version) for this model.",
            default=None,
            example=examples.version,
        ),
        Option(
            "devices",
            "list",
            f"O({role}_devices) for this model; they replace them.",
            default=None,
            elements="device",
            example=["nvidia.com/gpu=1"],
        ),
        Option(
            "shm_size",
            "size",
            "Size of the container's own /dev/shm, which engines use between GPUs.",
            default=SHM_SIZE,
            example="16g",
        ),
        *sections(),
    )
