# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures are explained: each signature by a real message, and harmless lines by none."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.module_utils import _why
from ansible_collections.onehop.llm.plugins.plugin_utils import (
    _diagnoses,
    _finding,
    _signature_table,
)
from ansible_collections.onehop.llm.plugins.plugin_utils._signature import Signature

from .signature_cases import CASES, HARMLESS, LLAMA, SGLANG, VLLM, Case

NOISE = (
    "INFO 09-01 10:00:00 [api_server.py:1034] vLLM API server version 0.33.0",
    "[2025-08-06 20:26:18] server_args=ServerArgs(mem_fraction_static=0.88, watchdog_timeout=300)",
    "Loading safetensors checkpoint shards: 100% Completed | 4/4 [00:53<00:00, 13.39s/it]",
)
CHAIN = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    "[2025-04-05 00:01:19] Received sigquit from a child process. It usually means the child failed.",
    "vllm-alpha.service: Main process exited, code=exited, status=1/FAILURE",
    "vllm-alpha.service: Failed with result 'exit-code'.",
)
"""What comes after any failure, and must not hide it."""


def report(
    *journal: str, result: str = "exit-code", status: int = 1, **more: Any
) -> dict[str, Any]:
    state = "activating (auto-restart)"
    return {
        "journal": list(journal),
        "result": result,
        "exit_status": status,
        "state": state,
        **more,
    }


def name(case: Case) -> str:
    return f"{case.id}-{case.source[:30]}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_real_message_is_explained(case: Case) -> None:
    found = _diagnoses.diagnosis(case.unit, report(*case.journal.split("\n")))
    assert found is not None
    assert found.id == case.id
    assert case.says in f"{found.cause}. {found.mend}"
    assert "{" not in found.cause + found.mend.replace("{SecurityLabelDisable: true}", "").replace(
        "{PidsLimit: -1}", ""
    ).replace("{TasksMax: infinity}", "").replace("{hf_token", "")


@pytest.mark.parametrize("case", CASES, ids=name)
def test_it_is_found_between_what_else_an_engine_says(case: Case) -> None:
    if case.id == "engine-dead":
        return
    found = _diagnoses.diagnosis(case.unit, report(*NOISE, *case.journal.split("\n"), *CHAIN))
    assert found is not None
    if found.id != case.id:
        assert case.id in ("architecture-unread", "restarted-too-often"), found.id
        assert found.id == "engine-dead"


@pytest.mark.parametrize("case", HARMLESS, ids=name)
def test_harmless_lines_explain_nothing(case: Case) -> None:
    assert _diagnoses.diagnosis(case.unit, report(*case.journal.split("\n"))) is None


CHAINS = [
    (
        "driver-old",
        "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 12040).",
        "RuntimeError: Failed to infer device type",
    ),
    (
        "fabric-manager",
        "UserWarning: CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
        "RuntimeError: No CUDA GPUs are available",
    ),
    (
        "weights-memory-trace",
        "[2025-08-06 20:26:10 TP0] Load weight begin. avail mem=78.84 GB",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "[2025-08-06 20:26:20] Received sigquit from a child process. It usually means the child failed.",
    ),
    (
        "shared-memory",
        "misc/shmutils.cc:88 NCCL WARN Error: failed to extend /dev/shm/nccl-WU88OE to 9637892 bytes, error: No space left on device (28)",
        "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ),
    (
        "gated",
        "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-67)",
        "Access to model a/b is restricted. You must have access to it and be authenticated to access it. Please log in.",
        "The above exception was the direct cause of the following exception:",
        "ValueError: Invalid repository ID or local directory specified: 'a/b'.",
    ),
    (
        "ecc",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "[rank1]:[E ProcessGroupNCCL.cpp:563] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1, OpType=ALLREDUCE)",
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.",
    ),
    (
        "compiler-missing",
        "/bin/sh: 1: /usr/local/cuda/bin/nvcc: not found",
        "RuntimeError: Ninja build failed. Ninja output:",
        "Exception: Capture cuda graph failed: Ninja build failed.",
    ),
]
"""The root of a chain is told, though what follows from it has a row as well and comes later.

Each is put together from messages of the cases: such chains were not seen whole.
"""


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: str(chain[0]))
def test_the_root_of_a_chain_is_told(chain: tuple[str, ...]) -> None:
    found = _diagnoses.diagnosis(VLLM, report(*NOISE, *chain[1:], *CHAIN))
    assert found is not None
    assert found.id == chain[0]


@given(st.lists(st.text(max_size=200), max_size=20))
def test_any_journal_can_be_read(lines: list[str]) -> None:
    found = report(*lines)
    assert _diagnoses.explain(VLLM, found)
    assert all(len(line) <= _finding.SHOWN for line in _finding.excerpt(lines, 15))


def test_what_goes_to_hosts_is_old_python() -> None:
    for module in (_finding, _why):
        ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))


def test_every_signature_is_proved() -> None:
    ids = [row.id for row in _signature_table.SIGNATURES]
    assert len(ids) == len(set(ids))
    assert set(ids) == {case.id for case in CASES}


@pytest.mark.parametrize("row", _signature_table.SIGNATURES, ids=lambda row: str(row.id))
def test_a_row_is_whole(row: Signature) -> None:
    """Its own example shows it, its texts can be filled, and it speaks the inventory's language."""
    lines = row.example.split("\n")
    assert any(re.search(pattern, line) for pattern in row.patterns for line in lines)
    assert row.cause and row.mend.endswith(".") and not row.cause.endswith(".")
    for role in ("vllm", "sglang", "llama_cpp", None):
        words = _finding.names(role, f"{(role or 'x').replace('_', '-')}-a.service", {})
        found = {"row": {"cause": row.cause, "mend": row.mend, "mends": row.mends}, "groups": ()}
        for text in (_finding.cause(found, words), _finding.mend(found, words)):
            assert "--" not in text.replace("--output", "").replace("--help", ""), text


@pytest.mark.parametrize(
    ("found", "id", "said"),
    [
        (report(result="timeout"), "start-timeout", "was not ready in time"),
        (report(result="oom-kill"), "host-memory", "want of memory"),
        (report(result="signal", status=4), "illegal-instruction", "lacks an instruction"),
        (report(result="core-dump", status=11), "crash", "crashed"),
        (report(result="signal", status=9), "killed", "killed it"),
        (report(status=132), "illegal-instruction", "lacks an instruction"),
        (report(status=137), "killed", "killed it"),
        (report(status=203), "program-missing", "cannot be executed"),
        (report(status=216), "group-missing", "its group is not on the host"),
        (report(status=243), "credential", "a credential cannot be read"),
    ],
)
def test_how_it_ended_tells_where_its_words_do_not(
    found: dict[str, Any], id: str, said: str
) -> None:
    known = _diagnoses.diagnosis(VLLM, found)
    assert known is not None
    assert known.id == id
    assert said in _diagnoses.explain(VLLM, found)


def test_words_win_over_the_way_it_ended() -> None:
    found = report("OSError: [Errno 98] Address already in use", result="oom-kill")
    known = _diagnoses.diagnosis(VLLM, report("ModuleNotFoundError: No module named 'x'"))
    assert known is not None and known.id == "module-missing"
    known = _diagnoses.diagnosis(VLLM, found)
    assert known is not None and known.id == "port-in-use"


@pytest.mark.parametrize(
    "line",
    [
        "(APIServer pid=1) WARNING 11-20 10:00:00 [usage_lib.py:200] Failed to collect usage data: "
        "Max retries exceeded with url: /",
        "WARNING: Could not find nvcc, JIT disabled",
        "2026-11-20 10:00:00 - huggingface_hub.file_download - WARNING - 429 Client Error",
        "Port 8000 is already in use, trying port 8001",
        "srv    operator(): HTTP request failed, retrying",
    ],
)
def test_what_an_engine_got_over_is_not_told_of_what_ended_it(line: str) -> None:
    oom = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 350.00 MiB."
    for lines in ((line, oom), (oom, line)):
        known = _diagnoses.diagnosis(VLLM, report(*lines))
        assert known is not None and known.id == "gpu-memory"
    known = _diagnoses.diagnosis(VLLM, report(line, result="oom-kill"))
    assert known is not None and known.id == "host-memory"
    # Where nothing else tells, it may be the cause all the same.
    assert _diagnoses.diagnosis(VLLM, report(line)) is not None


@pytest.mark.parametrize(
    "line",
    ["nvidia-smi: 0 uncorrectable ECC errors", "signal handlers installed: SIGSEGV SIGILL SIGBUS"],
)
def test_words_that_are_also_said_of_what_is_well(line: str) -> None:
    assert _diagnoses.diagnosis(VLLM, report(line)) is None


FRAME = "(EngineCore pid=57) ERROR 05-13 16:41:28 [core.py:1136] "
PACKAGES = "/usr/local/lib/python3.12/dist-packages"
TAIL = f"""\
(EngineCore pid=57) INFO 05-13 16:41:20 [gpu_model_runner.py:4858] Starting to load model Qwen/Qwen3-8B...
\x1b[1;36m(EngineCore pid=57)\x1b[0;0m \rLoading safetensors checkpoint shards:   0% Completed | 0/37 [00:00<?, ?it/s]\r\
Loading safetensors checkpoint shards:   3% Completed | 1/37 [00:02<01:39,  2.77s/it]
{FRAME}EngineCore failed to start.
{FRAME}Traceback (most recent call last):
{FRAME}    return func(*args, **kwargs)
{FRAME}           ^^^^^^^^^^^^^^^^^^^^^
{FRAME}  File "{PACKAGES}/vllm/v1/executor/abstract.py", line 109, in __init__
{FRAME}    self._init_executor()
{FRAME}  File "{PACKAGES}/vllm/v1/executor/uniproc_executor.py", line 65, in _init_executor
{FRAME}    self.driver_worker.load_model()
{FRAME}  File "{PACKAGES}/vllm/v1/worker/gpu_worker.py", line 343, in load_model
{FRAME}    self.model_runner.load_model(load_dummy_weights=load_dummy_weights)
{FRAME}  File "{PACKAGES}/vllm/model_executor/layers/quantization/gptq_marlin.py", line 412, in create_weights
{FRAME}    data=torch.empty(
{FRAME}         ^^^^^^^^^^^^
{FRAME}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 80.00 MiB. GPU 0 has a total capacity of \
139.72 GiB of which 60.69 MiB is free. Process 691170 has 139.65 GiB memory in use. Of the allocated memory 139.21 GiB is \
allocated by PyTorch, and 12.81 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try \
setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory Management  \
(https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)
(EngineCore pid=57) Process EngineCore:
(EngineCore pid=57) Traceback (most recent call last):
(EngineCore pid=57)   File "/usr/lib/python3.12/multiprocessing/process.py", line 314, in _bootstrap
(EngineCore pid=57)     self.run()
(EngineCore pid=57)   File "{PACKAGES}/vllm/v1/engine/core.py", line 1140, in run_engine_core
(EngineCore pid=57)     raise e
(EngineCore pid=57) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 80.00 MiB. GPU 0 has a total capacity of \
139.72 GiB of which 60.69 MiB is free. Process 691170 has 139.65 GiB memory in use.

[rank0]:[W1224 08:50:36.247935068 ProcessGroupNCCL.cpp:1524] Warning: WARNING: destroy_process_group() was not called before \
program exit, which can leak resources. For more info, please see \
https://pytorch.org/docs/stable/distributed.html#shutdown (function operator())
(APIServer pid=1) Traceback (most recent call last):
(APIServer pid=1)   File "/usr/local/bin/vllm", line 10, in <module>
(APIServer pid=1)     sys.exit(main())
(APIServer pid=1)              ^^^^^^
(APIServer pid=1)     raise RuntimeError(
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
"""Lines of real reports, put together, as none was at hand whole.

The frames are those of noonghunna/club-3090#120 and #60 (vLLM 0.20); the last error, the bar and
PyTorch's warning those of vllm-project/vllm#31273 (0.13); the server's end is that of #29639. Their
process ids, times and paths are made the same. How a terminal's colours and the bar's first state
are written is not seen, but after vLLM's and tqdm's format.
"""


def test_a_whole_tail_is_explained_and_shortened() -> None:
    found = report(*TAIL.split("\n"), seconds=131)
    said = _diagnoses.explain(VLLM, found)
    assert "vllm-alpha.service is not ready: activating (auto-restart), result exit-code" in said
    assert "It was loading weights 3 % (1 of 37), 2 min after its start." in said
    assert "Likely the GPU's memory does not hold the weights." in said
    assert "vllm_models.alpha.settings.tensor-parallel-size" in said
    assert "(docs/diagnoses.md#weights-memory-trace)" in said
    assert "torch.OutOfMemoryError: CUDA out of memory" in said
    assert "^^^^" not in said and "sys.exit(main())" not in said and "\x1b" not in said
    assert "0% Completed" not in said
    assert max(len(line) for line in said.split("\n")[1:]) <= _finding.SHOWN + 4


def test_the_line_that_tells_is_shown_also_where_it_is_far_up() -> None:
    words = [f"retrying {number}" for number in range(200)]
    said = _diagnoses.explain(VLLM, report("RuntimeError: Failed to infer device type", *words))
    assert "It said:\n    RuntimeError: Failed to infer device type" in said
    assert "retrying 199" in said and "retrying 100" not in said


def test_one_that_timed_out_says_where_it_was_and_what_to_raise() -> None:
    painted = "Capturing CUDA graphs (decode, FULL):  34%|███▍      | 12/35 [00:05<00:10,  2.1it/s]"
    said = _diagnoses.explain(VLLM, report(painted, result="timeout", seconds=3600))
    assert "It was capturing graphs 12 of 35, 60 min after its start." in said
    assert "vllm_models.alpha.start_timeout" in said


def test_what_is_not_known_is_not_guessed() -> None:
    said = _diagnoses.explain("x.service", report("something nobody has seen"))
    assert "Likely" not in said
    assert "something nobody has seen" in said
    assert "(nothing)" in _diagnoses.explain("x.service", report())


@pytest.mark.parametrize(
    ("unit", "model"),
    [
        (VLLM, "vllm_models.alpha"),
        (SGLANG, "sglang_models.beta"),
        (LLAMA, "llama_cpp_models.gamma"),
        ("vllm-qwen3-8b.v1.service", "vllm_models.qwen3-8b.v1"),
        ("sglang-gateway.service", "sglang_gateway"),
        ("onehop-router.service", "the model"),
    ],
)
def test_what_a_unit_is_called_in_an_inventory(unit: str, model: str) -> None:
    assert _diagnoses.names(unit)["model"] == model


def test_the_table_goes_to_hosts_as_it_is() -> None:
    table = json.loads(_signature_table.for_hosts())
    assert [row["id"] for row in table["rows"]] == [row.id for row in _signature_table.SIGNATURES]
    for case in CASES:
        found = _finding.finding(table["rows"], report(*case.journal.split("\n")))
        assert found and found["row"]["id"] == case.id


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["a\rb\r\rc"], ["a", "b", "c"]),
        (["x:  1%|  | 1/9\rx:  2%|  | 2/9", "x:  3%|  | 3/9"], ["x:  3%|  | 3/9"]),
        (["\x1b[31mred\x1b[0m", " ", "\x07bell"], ["red", "bell"]),
    ],
)
def test_lines_are_tidied(lines: list[str], kept: list[str]) -> None:
    assert _finding.tidy(lines) == kept
