# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LLMhop's documented examples: what its Quadlets say, what ours say, and every difference.

Its texts are those of LLMhop 1.2.4 and of quadlet-nix 1.4.5, from which they are made. Both go
through the same generator, and all that comes out is compared: a difference that
:data:`DIFFERENCES` does not name fails, and so does one that is named and is none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _quadlet
from ansible_collections.onehop.llm.plugins.plugin_utils._container_options import COMPILED

from .harness import FACTS, Generator, Run, planned, problems, section

UID = "503"
_SERVER = """\
[Container]
AddDevice=nvidia.com/gpu=all
DropCapability=all
{entrypoint}Exec={words}
HealthCmd=curl --fail --silent --show-error http://localhost:{inside}/health
HealthInterval=10s
HealthStartPeriod=30m
HealthTimeout=5s
Image={image}
NoNewPrivileges=true
Notify=healthy
PublishPort=127.0.0.1:{port}:{inside}
Pull=newer
ShmSize=32g
Tmpfs=/tmp
Ulimit=host
Volume=/var/cache/{engine}:/root/.cache/huggingface

[Install]
WantedBy=default.target

[Service]
ExecStartPre=/nix/store/x-prestart/bin/prestart
LimitNOFILE=1048576
Restart=always
RestartSec=30
TimeoutStartSec=3600

[Unit]
{after}ConditionUser=503
Description=Podman container {engine}-{name}
StartLimitBurst=3
StartLimitIntervalSec=3600
"""
_GATEWAY = """\
[Container]
DropCapability=all
Exec={words}
HealthCmd=curl --fail --silent --show-error http://localhost:30000/health
HealthInterval=10s
HealthStartPeriod=5m
HealthTimeout=5s
Image=docker.io/lmsysorg/sgl-model-gateway:latest
Network=host
NoNewPrivileges=true
Notify=healthy
Pull=newer
Tmpfs=/tmp

[Install]
WantedBy=default.target

[Service]
ExecStartPre=/nix/store/x-prestart/bin/prestart
LimitNOFILE=1048576
Restart=always
RestartSec=10
TimeoutStartSec=600

[Unit]
After=sglang-qwen3-8b.service
ConditionUser=503
Description=Podman container sglang-gateway
Requires=sglang-qwen3-8b.service
StartLimitBurst=5
StartLimitIntervalSec=600
"""


def _vllm(name: str, model: str, port: int, words: str, after: str = "") -> str:
    return _SERVER.format(
        engine="vllm",
        name=name,
        entrypoint="",
        words=f"{model} '--host=0.0.0.0' {words}'--port=8000' '--served-model-name={name}'",
        inside=8000,
        image="docker.io/vllm/vllm-openai:v0.11.0",
        port=port,
        after=after,
    )


THEIRS = {
    "vllm-qwen2-5-7b": _vllm("qwen2-5-7b", "Qwen/Qwen2.5-7B-Instruct", 18001, ""),
    "vllm-llama-3-8b": _vllm(
        "llama-3-8b",
        "meta-llama/Meta-Llama-3-8B-Instruct",
        18002,
        "'--max-model-len=8192' ",
        "After=vllm-qwen2-5-7b.service\n",
    ),
    "sglang-qwen3-8b": _SERVER.format(
        engine="sglang",
        name="qwen3-8b",
        entrypoint='Entrypoint=["sglang","serve"]\n',
        words="'--cuda-graph-max-bs=4' '--host=0.0.0.0' '--mem-fraction-static=0.600000' "
        "'--model-path=Qwen/Qwen3-8B' '--port=30000' '--reasoning-parser=qwen3' "
        "'--served-model-name=qwen3-8b' '--tool-call-parser=qwen3_coder'",
        inside=30000,
        image="docker.io/lmsysorg/sglang:latest",
        port=19001,
        after="",
    ),
    "sglang-gateway": _GATEWAY.format(
        words="'--api-key=sk-in-the-store' --enable-igw '--host=127.0.0.1' '--port=30000' "
        "'--prometheus-host=127.0.0.1' '--prometheus-port=29000' "
        "'--tls-cert-path=/etc/ssl/gateway.pem' '--tls-key-path=/etc/ssl/gateway.key' "
        "--worker-urls http://127.0.0.1:19001",
    ),
}
INLINE = {"api-key": "sk-in-the-store", "tls-cert-path": "/etc/ssl/gateway.pem"}
VARIABLES: dict[str, Any] = {
    # Two models that take nearly all of one device each: these are their words, not a host to be.
    "gpu_host_checks": {"memory": "off"},
    "vllm_tag": "v0.11.0",
    "vllm_models": {
        "qwen2-5-7b": {"model": "Qwen/Qwen2.5-7B-Instruct", "port": 18001},
        "llama-3-8b": {
            "model": "meta-llama/Meta-Llama-3-8B-Instruct",
            "port": 18002,
            "settings": {"max-model-len": 8192},
        },
    },
    "sglang_tag": "latest",
    "sglang_models": {
        "qwen3-8b": {
            "model": "Qwen/Qwen3-8B",
            "port": 19001,
            "settings": {
                "reasoning-parser": "qwen3",
                "tool-call-parser": "qwen3_coder",
                "mem-fraction-static": 0.6,
                "cuda-graph-max-bs": 4,
            },
        }
    },
    "sglang_gateway": {
        "enable": True,
        "port": 30000,
        "settings": {
            "tls-cert-path": "/etc/ssl/gateway.pem",
            "tls-key-path": "/etc/ssl/gateway.key",
        },
        "credentials": {"api_key": {"source": "/etc/llm/key", "flag": "api-key"}},
    },
}


Texts = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What only LLMhop's says, what only ours says, and why."""

    fact: str
    theirs: Texts
    ours: Texts
    why: str
    units: Texts = tuple(THEIRS)


VLLMS = ("vllm-qwen2-5-7b", "vllm-llama-3-8b")
SGLANG = ("sglang-qwen3-8b",)
SERVERS = (*VLLMS, *SGLANG)
GATEWAY = ("sglang-gateway",)
ABOUT = {
    "vllm-qwen2-5-7b": {"title": "vLLM", "ask": '"http://127.0.0.1:18001" "/health"'},
    "vllm-llama-3-8b": {"title": "vLLM", "ask": '"http://127.0.0.1:18002" "/health"'},
    "sglang-qwen3-8b": {"title": "SGLang", "ask": '"http://127.0.0.1:19001" "/health_generate"'},
    "sglang-gateway": {
        "title": "SGL Model Gateway",
        "ask": '"https://127.0.0.1:30000" "/readiness"',
    },
}
"""What stands in braces in the table."""

_CURL = "curl --fail --silent --show-error "
_PYTHON = (
    "python3 -c 'import ssl, urllib.request as u; "
    "u.build_opener(u.HTTPSHandler(context=ssl._create_unverified_context()))"
    """.open("https://127.0.0.1:30000/liveness", timeout=5)'"""
)
_LOST = "The message of Notify=healthy was seen lost: the unit forks, and a program asks the worker"
_LIVE = "A worker that was alive and does not answer any more is killed and so started again"
_HANGS = "A question has a limit of its own, since the one of Podman 5.4 waits for the command"
_WARM = "Until the first success nothing is counted, however long it takes"
_DRAIN = "Answers that are being given may end"
_KEY = "A key is no word of a command line: it is a file, which becomes a flag in the process"
_NAMES = "For people"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "[Unit] Description", ("Podman container {unit}",), ("{title} serving {name}",), _NAMES
    ),
    Difference("[Unit] Documentation", (), ("https://github.com/onehop/onehop.llm",), _NAMES),
    Difference(
        "[Unit] ConditionUser", (UID,), (), "Files lie below the uid's own directory of Quadlets"
    ),
    Difference("podman --pull", ("newer",), ("never",), "Roles pull, before they start anything"),
    Difference("podman --sdnotify", ("healthy",), ("conmon",), _LOST),
    Difference("podman --conmon-pidfile", (), ("/run/user/987/{unit}.pid",), _LOST),
    Difference("[Service] Type", ("notify",), ("forking",), _LOST),
    Difference("[Service] PIDFile", (), ("%t/%N.pid",), _LOST),
    Difference(
        "[Service] ExecStartPost",
        (),
        ('"/usr/bin/python3" "-I" "/opt/onehop/bin/wait-ready" $MAINPID {ask}',),
        _LOST,
    ),
    Difference(
        "[Service] ExecStartPre",
        ("/nix/store/x-prestart/bin/prestart",),
        (),
        "quadlet-nix loads images there, and roles do so before",
    ),
    Difference("[Service] TimeoutStopSec", (), ("75",), _DRAIN, SERVERS),
    Difference("[Service] TimeoutStopSec", (), ("210",), _DRAIN, GATEWAY),
    Difference("podman --stop-timeout", (), ("60",), _DRAIN, SERVERS),
    Difference("podman --stop-timeout", (), ("195",), _DRAIN, GATEWAY),
    Difference("podman --health-on-failure", (), ("kill",), _LIVE),
    Difference("podman --health-retries", (), ("12",), _LIVE),
    Difference("podman --health-start-period", ("30m",), (), _WARM, SERVERS),
    Difference("podman --health-start-period", ("5m",), (), _WARM, GATEWAY),
    Difference("podman --health-startup-interval", (), ("10s",), _WARM),
    Difference("podman --health-startup-timeout", (), ("5s",), _WARM),
    *(
        Difference(
            "podman --health-cmd",
            (f"{_CURL}http://localhost:{port}/health",),
            (f"{_CURL}--max-time 5 http://localhost:{port}/health",),
            _HANGS,
            units,
        )
        for port, units in ((8000, VLLMS), (30000, SGLANG))
    ),
    *(
        Difference(
            "podman --health-startup-cmd",
            (),
            (f"{_CURL}--max-time 5 http://localhost:{port}/health",),
            _WARM,
            units,
        )
        for port, units in ((8000, VLLMS), (30000, SGLANG))
    ),
    Difference(
        "podman --health-cmd",
        (f"{_CURL}http://localhost:30000/health",),
        (_PYTHON,),
        "The image has no curl; where it listens and whether by TLS is followed",
        GATEWAY,
    ),
    Difference("podman --health-startup-cmd", (), (_PYTHON,), _WARM, GATEWAY),
    Difference(
        "podman --entrypoint",
        (),
        ('["vllm","serve"]',),
        "The image's own is another one before 0.11.1",
        VLLMS,
    ),
    Difference(
        "podman --entrypoint",
        ('["sglang","serve"]',),
        ('["python3","-m","sglang.launch_server"]',),
        "Older images have no sglang serve",
        SGLANG,
    ),
    Difference(
        "podman --env",
        (),
        tuple(
            sorted(
                [
                    *(f"{name}={path}" for name, path in COMPILED.items()),
                    "HF_HOME=/root/.cache/huggingface",
                    "VLLM_CACHE_ROOT=/root/.cache/huggingface/jit/vllm",
                    "VLLM_NO_USAGE_STATS=1",
                ]
            )
        ),
        "Compiled kernels are kept with the weights, and nothing is told to strangers",
        VLLMS,
    ),
    Difference(
        "podman --env",
        (),
        tuple(
            sorted(
                [
                    *(f"{name}={path}" for name, path in COMPILED.items()),
                    "HF_HOME=/root/.cache/huggingface",
                    "SGLANG_CACHE_DIR=/root/.cache/huggingface/jit/sglang",
                    "SGLANG_DG_CACHE_DIR=/root/.cache/huggingface/jit/deep-gemm",
                    "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION=0",
                ]
            )
        ),
        "Compiled kernels are kept with the weights, and asking for liveness costs nothing",
        SGLANG,
    ),
    Difference(
        "words",
        ("--mem-fraction-static=0.600000",),
        ("--mem-fraction-static=0.6",),
        "A number as it was written, as in LLMhop 2",
        SGLANG,
    ),
    Difference(
        "words",
        ("--api-key=sk-in-the-store", "--enable-igw"),
        (),
        f"{_KEY}. Beside --enable-igw the workers are ignored",
        GATEWAY,
    ),
    Difference(
        "podman --entrypoint",
        (),
        (
            '["python3","/opt/onehop/bin/with-secrets",'
            '"sglang_router.launch_router,smg.launch_router","api-key=/run/secrets/api_key","--"]',
        ),
        _KEY,
        GATEWAY,
    ),
    Difference(
        "podman --user", (), ("0",), "The account itself, which can read its secrets", GATEWAY
    ),
    Difference("podman --ulimit", (), ("host",), "As many connections as the unit allows", GATEWAY),
    Difference(
        "podman -v",
        (),
        (
            "/opt/onehop/bin/with-secrets:/opt/onehop/bin/with-secrets:ro",
            "/etc/onehop/credentials/sglang-gateway.service/api_key:/run/secrets/api_key:ro",
            "/etc/ssl/gateway.key:/etc/ssl/gateway.key:ro",
            "/etc/ssl/gateway.pem:/etc/ssl/gateway.pem:ro",
        ),
        f"{_KEY}. Files of the host that a setting names are in the container, too",
        GATEWAY,
    ),
    Difference(
        "[Unit] RequiresMountsFor",
        (),
        (
            "/opt/onehop/bin/with-secrets",
            "/etc/onehop/credentials/sglang-gateway.service/api_key",
            "/etc/ssl/gateway.key",
            "/etc/ssl/gateway.pem",
        ),
        "Follows from the mounts",
        GATEWAY,
    ),
)
SAME = (
    *("image", "words", "podman --cap-drop", "podman --security-opt", "podman --tmpfs"),
    *("[Install] WantedBy", "[Unit] StartLimitBurst", "[Unit] StartLimitIntervalSec"),
    *("[Service] LimitNOFILE", "[Service] Restart", "[Service] RestartSec"),
    "[Service] TimeoutStartSec",
)
"""What both have to say; the table tells where they say it differently."""
SAME_OF_SERVERS = (
    *("podman --device", "podman --publish", "podman --shm-size", "podman --ulimit", "podman -v"),
)


def facts(unit: str, text: str, service: str, drop_in: str = "") -> dict[str, Texts]:
    """All that a generated service says, by what says it."""
    run = Run.of(unit, service)
    found: dict[str, list[str]] = {"image": [run.image], "words": run.words}
    for option, value in run.options:
        found.setdefault(f"podman {option}", []).append(value)
    for where in ("Unit", "Service"):
        keys = section(service, where) | (section(drop_in, where) if drop_in else {})
        found |= {f"[{where}] {key}": values for key, values in keys.items()}
    found["[Install] WantedBy"] = section(text, "Install")["WantedBy"]
    for name in ("[Service] ExecStart", "[Unit] SourcePath"):
        del found[name]
    return {fact: tuple(values) for fact, values in found.items()}


def both(generator: Generator) -> dict[str, tuple[dict[str, Texts], dict[str, Texts]]]:
    workers = {worker["unit"].removesuffix(".service"): worker for worker in planned(VARIABLES)}
    ours = {unit: _quadlet.worker(worker, FACTS) for unit, worker in workers.items()}
    assert set(ours) == set(THEIRS)
    made, theirs = generator.services(ours), generator.services(THEIRS)
    return {
        unit: (
            facts(unit, THEIRS[unit], theirs[unit]),
            facts(unit, ours[unit], made[unit], _quadlet.drop_in(workers[unit], FACTS)),
        )
        for unit in THEIRS
    }


def differing(theirs: dict[str, Texts], ours: dict[str, Texts]) -> dict[str, tuple[Texts, Texts]]:
    """Each fact that is not the same, with what only one of them says."""
    found = {}
    for fact in theirs.keys() | ours.keys():
        one, other = theirs.get(fact, ()), ours.get(fact, ())
        if one != other:
            only = Counter(one) - Counter(other), Counter(other) - Counter(one)
            found[fact] = (tuple(only[0].elements()), tuple(only[1].elements()))
    return found


@pytest.mark.parametrize("unit", THEIRS)
def test_every_difference_is_known(unit: str, generator: Generator) -> None:
    theirs, ours = both(generator)[unit]
    wanted: dict[str, tuple[Texts, Texts]] = {}
    about = {**ABOUT[unit], "unit": unit, "name": unit.partition("-")[2]}

    def filled(texts: Texts) -> Texts:
        # Only ours have braces of their own, and none in a text that is to be filled in.
        return tuple(text.format(**about) for text in texts)

    for row in DIFFERENCES:
        if unit in row.units:
            assert row.why and row.fact not in wanted
            wanted[row.fact] = (filled(row.theirs), filled(row.ours))
    assert differing(theirs, ours) == wanted
    for fact in (*SAME, *(SAME_OF_SERVERS if unit in SERVERS else ("podman --network",))):
        assert theirs[fact], fact
        assert ours[fact], fact


@pytest.mark.parametrize("unit", THEIRS)
def test_words_that_both_have_are_in_the_same_order(unit: str, generator: Generator) -> None:
    theirs, ours = (set_of["words"] for set_of in both(generator)[unit])
    assert [word for word in theirs if word in ours] == [word for word in ours if word in theirs]


def test_a_key_inline_is_refused_with_the_mend() -> None:
    """LLMhop writes it into the store and on the command line."""
    gateway = {**VARIABLES["sglang_gateway"], "settings": INLINE}
    found = problems({**VARIABLES, "sglang_gateway": gateway})
    assert found == [
        "gpu1: sglang_gateway.settings: has one of tls-cert-path and tls-key-path. Give both, or "
        "neither.",
        "gpu1: sglang_gateway.settings.api-key: is a secret, which every user of the host could "
        "read in the argument list. Make it a credential that the gateway gets as this flag: "
        "credentials: {api_key: {source: /path, flag: api-key}}.",
    ]
    assert INLINE["api-key"] not in "".join(found)


def test_a_digest_is_not_pulled_at_the_start_either() -> None:
    """LLMhop leaves Pull= out beside a digest, and podman's own is to pull what is missing."""
    digest = "sha256:" + "0" * 64
    (worker,) = planned(
        {"vllm_digest": digest, "vllm_models": {"m": {"model": "org/m", "port": 18001}}}
    )
    container = section(_quadlet.worker(worker, FACTS), "Container")
    assert container["Image"] == [f"docker.io/vllm/vllm-openai@{digest}"]
    assert container["Pull"] == ["never"]
