# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a starting worker is at, from real lines, and what an operator is told of it and when.

Each line says where it is from: ``repository#number`` of a public tracker, or a release's source.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onehop.llm.plugins.plugin_utils import _progress
from ansible_collections.onehop.llm.plugins.plugin_utils._telling import AGAIN, QUIET, Teller

PHRASES = [
    # vLLM
    (
        "flashinfer: deepseek-ai/DeepGEMM#359",
        "Loading safetensors checkpoint shards:  89% Completed | 41/46 [00:22<00:02,  1.78it/s]\n"
        "(Worker_TP0 pid=677) ",
        "loading weights 89 % (41 of 46), 2 s left",
    ),
    (
        "vllm-project/vllm#38820",
        "(Worker_TP0 pid=34322) INFO 05-06 20:59:57 [default_loader.py:384] Loading weights took 24.84 seconds",
        "measuring memory and laying out the KV cache",
    ),
    (
        "vllm-project/vllm#38820",
        "(Worker_TP0 pid=34322) INFO 05-06 21:00:16 [backends.py:1069] Using cache directory: "
        "/home/bobos/.cache/vllm/torch_compile_cache/7b98594710/rank_0_0/backbone for vLLM's torch.compile\n"
        "(Worker_TP0 pid=34322) INFO 05-06 21:00:16 [backends.py:1128] Dynamo bytecode transform time: 3.54 s",
        "compiling",
    ),
    (
        "vllm-project/vllm#17979",
        "INFO 05-07 02:14:18 [monitor.py:33] torch.compile takes 17.00 s in total",
        "measuring memory and laying out the KV cache",
    ),
    (
        "a log of vLLM 0.11 in a public repository",
        "(EngineCore_DP0 pid=41565) INFO 10-06 15:57:53 [kv_cache_utils.py:1087] GPU KV cache size: 100,752 tokens\n"
        "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE): 100%|█████| 67/67 [00:11<00:00,  5.66it/s]\n"
        "Capturing CUDA graphs (decode, FULL):  34%|███▍      | 12/35 [00:02<00:03,  6.23it/s]",
        "capturing graphs 12 of 35, 3 s left",
    ),
    (
        "OptimalScale/LMFlow#942",
        "INFO 04-03 14:16:33 model_runner.py:1430] Graph capturing finished in 14 secs.",
        "warming up",
    ),
    (
        "vllm 0.33.0, v1/worker/gpu_model_runner.py:4979",
        "(EngineCore pid=1) INFO 09-01 10:00:00 [gpu_model_runner.py:4979] Starting to load model Qwen/Qwen3-8B...",
        "loading weights",
    ),
    ("uvicorn in vLLM", "(APIServer pid=1) INFO:     Application startup complete.", "ready"),
    # SGLang
    (
        "sgl-project/sglang#17157",
        "[2026-01-15 13:31:50 DP0 TP0] Load weight begin. avail mem=60.40 GB\n"
        "Loading safetensors checkpoint shards:  62% Completed | 8/13 [01:06<00:41,  8.21s/it]",
        "loading weights 62 % (8 of 13), 41 s left",
    ),
    (
        "sgl-project/sglang#7227",
        "[2025-06-19 15:12:27] Capture cuda graph begin. This can take up to several minutes. avail mem=2.85 GB\n"
        "[2025-06-19 15:12:27] Capture cuda graph bs [1, 2, 4, 8]\n"
        "Capturing batches (avail_mem=2.85 GB):   0%|          | 0/4 [00:00<?, ?it/s]",
        "capturing graphs 0 of 4",
    ),
    (
        "sglang 0.5.23, decode_cuda_graph_runner.py:1343, as tqdm paints it",
        "Capturing batches (bs=8 avail_mem=2.61 GB):  75%|███████▌  | 3/4 [00:03<00:01,  1.00s/it]",
        "capturing graphs 3 of 4, 1 s left",
    ),
    (
        "sgl-project/sglang#4233",
        "[2025-03-09 14:40:46 TP4] Capture cuda graph end. Time elapsed: 1334.38 s",
        "warming up",
    ),
    (
        "sglang 0.5.23, entrypoints/http_server.py:2600",
        "[2026-08-13 10:00:00] The server is fired up and ready to roll!",
        "ready",
    ),
    # llama.cpp
    (
        "ggml-org/llama.cpp#11699",
        "0.00.189.952 I load_tensors: loading model tensors, this can take a while... (mmap = true)",
        "loading weights",
    ),
    (
        "ollama/ollama#4225 (llama.cpp's own dots)",
        ".........................................................................................",
        "loading weights 89 %",
    ),
    (
        "llama.cpp 0.7.0, common/common.cpp:1417",
        "warming up the model with an empty run - please wait ... (--no-warmup to disable)",
        "warming up",
    ),
    ("llama.cpp", "main: server is listening on http://127.0.0.1:8080", "ready"),
    (
        "llama.cpp 0.7.0, tools/server/server.cpp:513",
        "srv  llama_server: listening on http://127.0.0.1:8080",
        "ready",
    ),
    # The hub's library
    (
        "replicate/cog-vllm#38",
        "  4%|▍         | 1.30G/29.9G [00:05<01:36, 318MB/s, file=model-00001-of-00004.safetensors, n=7/17]",
        None,
    ),
    (
        "immich-app/immich#30680",
        "Fetching 11 files:  36%|███▋      | 4/11 [00:00<00:00, 12.19it/s]",
        "downloading 36 % (4 of 11)",
    ),
    (
        "huggingface/diffusers#5064, one file",
        "Downloading (…)del.fp16.safetensors:  31%|███       | 1.38G/4.52G [00:28<00:57, 54.3MB/s]",
        "downloading 1.4 of 4.5 GB, 57 s left",
    ),
    (
        "vllm-project/vllm#36734, two of its files, as they run",
        "model.safetensors-00008-of-00039.safeten(…): 100%|████| 1.69G/1.69G [00:27<00:00, 61.1MB/s]\n"
        "model.safetensors-00009-of-00039.safeten(…):  50%|██  | 845M/1.69G [00:19<00:19, 88.7MB/s]",
        "downloading 2.5 of 3.4 GB, 19 s left",
    ),
    (
        "huggingface_hub 2.4.0, _snapshot_download.py:454",
        "Downloading bytes:  43%|████▎     | 6.10G/14.2G [01:00<01:20, 101MB/s]",
        "downloading 6.1 of 14.2 GB, 80 s left",
    ),
    # Podman
    (
        "podman-container-tools/podman#14886",
        "Trying to pull docker.io/library/mysql:latest...\nGetting image source signatures\n"
        "Copying blob sha256:87f3aa8373015766399afc3280b7482559b01b7e66cf7a908895b763411030ac",
        "pulling",
    ),
    ("nothing that tells", "(Worker_TP0 pid=677) INFO Priority not set for op rms_norm", None),
]


@pytest.mark.parametrize(("source", "lines", "phrase"), PHRASES, ids=[row[0] for row in PHRASES])
def test_phrases(source: str, lines: str, phrase: str | None) -> None:
    stage = _progress.look(lines.split("\n"))
    assert (stage.phrase() if stage else None) == phrase, source


def test_a_bar_that_is_repainted_within_a_line() -> None:
    line = "".join(
        f"\rLoading safetensors checkpoint shards: {n}0% Completed | {n}/10" for n in range(8)
    )
    stage = _progress.look(["Load weight begin. avail mem=60.40 GB", line])
    assert stage is not None
    assert stage.share == 0.7


@pytest.mark.parametrize(
    ("text", "seconds", "said"),
    [("00:02", 2, "2 s"), ("01:40", 100, "2 min"), ("1:02:03", 3723, "62 min"), ("?", None, "")],
)
def test_times(text: str, seconds: int | None, said: str) -> None:
    assert _progress.seconds(text) == seconds
    if seconds is not None:
        assert _progress.span(seconds) == said
    assert _progress.span(7500) == "2 h 5 min"


def unit(
    *journal: str, outcome: str = "pending", seconds: int | None = 30, **more: Any
) -> dict[str, Any]:
    return {"outcome": outcome, "journal": list(journal), "seconds": seconds, **more}


SHARDS = "Loading safetensors checkpoint shards:  {}% Completed | {}/10"


def test_one_line_for_all_units_of_a_host() -> None:
    reports = {
        "vllm-a.service": unit("Capture cuda graph begin."),
        "vllm-b.service": unit(seconds=None),
        "vllm-c.service": unit(seconds=None),
        "vllm-d.service": unit(outcome="ready"),
    }
    told = Teller().units(0, reports)
    assert told == "1 of 4 ready; vllm-a: capturing graphs (30 s); 2 wait for their turn"
    assert Teller().units(0, {"a.service": unit(outcome="ready")}) is None


def test_many_at_once_stay_readable() -> None:
    told = Teller().units(0, {f"vllm-{n}.service": unit() for n in range(9)})
    assert told is not None
    assert "; 6 more are starting" in told
    assert told.count("starting the engine") == 3


def test_only_news_is_told() -> None:
    teller = Teller()
    same = {"vllm-a.service": unit(SHARDS.format(30, 3))}
    assert teller.units(0, same)
    assert teller.units(5, same) is None
    assert teller.units(10, {"vllm-a.service": unit(SHARDS.format(40, 4))})
    assert teller.units(10 + AGAIN, {"vllm-a.service": unit(SHARDS.format(40, 4))})


def test_the_rest_is_reckoned_from_what_was_seen() -> None:
    teller = Teller()
    teller.units(0, {"vllm-a.service": unit(SHARDS.format(20, 2))})
    told = teller.units(60, {"vllm-a.service": unit(SHARDS.format(50, 5))})
    assert told and "loading weights 50 % (5 of 10), about 2 min left" in told


def test_a_silence_is_told() -> None:
    teller = Teller()
    stuck = {"vllm-a.service": unit("Dynamo bytecode transform time: 3.54 s", written=5 * 10**8)}
    teller.units(0, stuck)
    told = teller.units(QUIET + 60, stuck)
    assert told and "compiling, nothing new for 3 min" in told
    moving = {"vllm-a.service": unit("Dynamo bytecode transform time: 3.54 s", written=6 * 10**8)}
    told = teller.units(QUIET + 65, moving)
    assert told and "nothing new" not in told


def test_a_download_without_a_bar_is_told_by_what_was_written() -> None:
    reports = {
        "vllm-a.service": unit(
            "I common_download: downloading from https://h to /c/x.gguf", written=61 * 10**8
        )
    }
    told = Teller().units(0, reports)
    assert told and "downloading, 6.1 GB written" in told


def image(*said: str, got: int = 0, total: int = 0) -> dict[str, Any]:
    return {
        "state": "fetching",
        "said": list(said),
        "bytes": 3 * got,
        "fetched": got,
        "total": total,
    }


def test_images() -> None:
    name = "docker.io/vllm/vllm-openai:v0.33.0"
    assert Teller().images(0, {name: image("Copying blob sha256:87f3")}) == f"{name}: pulling (0 s)"
    assert (
        Teller().images(0, {name: image(got=43 * 10**8)}) == f"{name}: pulling, 4.3 GB so far (0 s)"
    )
    told = Teller().images(0, {name: image(got=43 * 10**8, total=10**10)})
    assert told == f"{name}: pulling 43 % (0 s)"
    assert Teller().images(0, {name: image(got=9, total=9)}) == f"{name}: unpacking (0 s)"
    assert Teller().images(0, {name: {**image(), "state": "done"}}) is None


@pytest.mark.parametrize(
    "line",
    [
        "Downloading model 50% ../../x",
        "Fetching 3 files: 5% 1.2.3/4",
        "Downloading: 5% 1G/2G [1<" + "9" * 400,
        "Downloading: 5% " + "9" * 400 + "/1",
        "Fetching 3 files: 5%" + "1." * 2000,
        "Fetching \u0661 files: \u0665% \u0661/\u0662",
    ],
)
def test_lines_that_only_look_like_bars(line: str) -> None:
    report = {"outcome": "pending", "journal": [line], "seconds": 3}
    assert Teller().units(1, {"vllm-m.service": report}) is not None
