# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of the GPU: not seen, drivers, CDI, faults, links between GPUs, kernels and graphs.

This plugin util is private to the collection.
"""

from __future__ import annotations

from ansible_collections.onehop.llm.plugins.plugin_utils._signature import (
    CLOSE,
    EFFECT,
    GENERIC,
    LIKELY,
    Signature,
)

_CLEAR = "Clear what was compiled before: onehop {role} clear-caches on the host"

ROWS = (
    Signature(
        id="no-gpu",
        example="RuntimeError: Failed to infer device type",
        patterns=(
            r"Failed to infer device type",
            r"No CUDA GPUs are available",
            r"Found no NVIDIA driver on your system",
            r"No (?:supported )?accelerator \(CUDA",
            r"no CUDA-capable device is detected",
            r"NVML(?:Error_LibraryNotFound|: Driver Not Loaded|Error_DriverNotLoaded)",
        ),
        cause="the engine sees no GPU",
        mend="Name the GPUs in {model}.devices or {role}_devices, such as nvidia.com/gpu=all, and look "
        "whether nvidia-smi and nvidia-ctk cdi list see them on the host.",
    ),
    Signature(
        id="no-gpu-library",
        example="ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        patterns=(
            r"(lib(?:cuda|nvidia-ml)\.so\.1): cannot open shared object file",
            r"failed to initialize (?:CUDA|ROCm|HIP): (.+)",
        ),
        cause="the driver's library is not there ({0}): no GPU was given to the worker",
        mend="Name the GPUs in {model}.devices or {role}_devices, such as nvidia.com/gpu=all.",
        mends={
            "llama_cpp": "Look whether nvidia-smi sees the GPU, and whether the build is for it."
        },
        rank=LIKELY,
    ),
    Signature(
        id="driver-old",
        example=(
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12040). Please "
            "update your GPU driver by downloading and installing a new version"
        ),
        patterns=(
            r"The NVIDIA driver on your system is too old \(found version (\d+)\)",
            r"CUDA driver version is insufficient for CUDA runtime version",
            r"unsatisfied condition: (cuda\s*>=\s*[\d.]+)",
            r"provided PTX was compiled with an unsupported toolchain",
        ),
        cause="the host's driver is too old for the image's CUDA",
        mend="Update the host's driver, or use an image for an older CUDA: {role}_tag.",
        mends={"llama_cpp": "Update the host's driver, or use a build for an older CUDA."},
        rank=CLOSE,
    ),
    Signature(
        id="driver-mixed",
        example=(
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has "
            "unsupported display driver / cuda driver combination"
        ),
        patterns=(
            r"Error 803: system has unsupported display driver",
            r"Driver/library version mismatch",
            r"API version mismatch: the NVIDIA kernel module",
        ),
        cause="two versions of the driver meet: the kernel's and a library's are not the same",
        mend="Reboot the host after a driver's update, and make its CDI spec anew (nvidia-ctk cdi "
        "generate). Where the image brings libraries of its own, set {model}.environment."
        "LD_LIBRARY_PATH to /usr/local/nvidia/lib64.",
        rank=CLOSE,
    ),
    Signature(
        id="fabric-manager",
        example=(
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet "
            "initialized"
        ),
        patterns=(r"Error 802: system not yet initialized",),
        cause="the GPUs' switch is not set up",
        mend="Start nvidia-fabricmanager, in the driver's own version, and have it start at boot.",
        rank=CLOSE,
    ),
    Signature(
        id="card-not-built-for",
        example="RuntimeError: CUDA error: no kernel image is available for execution on the device",
        patterns=(
            r"no kernel image is available for execution on the device",
            r"GPUs with compute capability below (\S+) are not supported",
            r"is not compatible with the current PyTorch installation",
        ),
        cause="the image was not built for this generation of GPUs",
        mend="Use an image that was: {role}_image and {role}_tag, or another GPU: {model}.devices.",
        mends={"llama_cpp": "Use a build for this GPU."},
    ),
    Signature(
        id="cdi-device",
        example="Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=7",
        patterns=(r"unresolvable CDI devices (.+)",),
        cause="no CDI spec of the host knows {0}",
        mend="Look at nvidia-ctk cdi list, and name one of these in {model}.devices or {role}_devices; "
        "make the spec anew where a GPU is missing from it.",
    ),
    Signature(
        id="cdi-stale",
        example=(
            "Error: setting up CDI devices: failed to inject devices: failed to stat CDI host device "
            '"/dev/dri/renderD129": no such file or directory'
        ),
        patterns=(r'failed to stat CDI host device "?([^":\s]+)',),
        cause="the CDI spec names {0}, which the host does not have any more",
        mend="Make it anew: systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate "
        "--output=/etc/cdi/nvidia.yaml. Remove an old file that says otherwise.",
    ),
    Signature(
        id="gpu-permission",
        example="Failed to initialize NVML: Insufficient Permissions",
        patterns=(
            r"Failed to initialize NVML: Insufficient Permissions",
            r"NVMLError_NoPermission",
            r"/dev/(?:nvidia|dri|kfd)\S*: Permission denied",
        ),
        cause="the container may not open the GPU's device nodes",
        mend="With SELinux: setsebool -P container_use_devices on. Otherwise the nodes are closed to "
        "others (ls -l /dev/nvidia*): NVreg_DeviceFileMode=0666 for the driver's module opens them.",
        rank=CLOSE,
    ),
    Signature(
        id="ecc",
        example="RuntimeError: CUDA error: uncorrectable ECC error encountered",
        patterns=(r"uncorrectable ECC error encountered",),
        cause="the GPU's memory has a fault that it cannot correct",
        mend="Reset the GPU or reboot the host (nvidia-smi -q -d ECC,ROW_REMAPPER tells more). Where it "
        "comes back, replace the card, and leave it out of {model}.devices until then.",
        mends={
            "sglang": "Reset the GPU or reboot the host. Where only capturing fails, {settings}."
            "disable-cuda-graph: true gets past it; where it comes back, replace the card."
        },
    ),
    Signature(
        id="xid",
        example="NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        patterns=(
            r"NVRM: Xid \(([^)]+)\): (\d+)",
            r"(GPU has fallen off the bus)",
            r"(GPU is lost)",
        ),
        cause="the driver reported a fault of the GPU ({0} {1})",
        mend="Look the number up in NVIDIA's list of Xid errors. 48, 63, 64, 79, 94 and 95 are the card's "
        "or its slot's: reset it or reboot, and replace it where that comes back.",
    ),
    Signature(
        id="gpu-crash",
        example="torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        patterns=(
            r"CUDA error: an (illegal memory access|illegal instruction) was encountered",
            r"CUDA error: (unspecified launch failure|misaligned address|device-side assert triggered)",
        ),
        cause="a kernel of the engine crashed on the GPU ({0})",
        mend="It starts again by itself. Where it comes back, try {settings}.enforce-eager: true, another "
        "attention-backend or another version, and look for Xid lines in journalctl -k.",
        mends={
            "sglang": "It starts again by itself. Where it comes back, try {settings}.disable-cuda-graph: "
            "true, another attention-backend or another version, and look for Xid lines in "
            "journalctl -k."
        },
        rank=LIKELY,
    ),
    Signature(
        id="nccl-interface",
        example="Bootstrap : no socket interface found",
        patterns=(
            r"Bootstrap : no (?:socket|NCCL_SOCKET_IFNAME) interface found",
            r"Unable to find address for: (\S+)",
            r"No network interface found matching",
        ),
        cause="NCCL or Gloo finds no network interface to meet the other processes by",
        mend="Take NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME out of {model}.environment and "
        "{role}_environment, or set them to an interface that the container has: lo within one host.",
    ),
    Signature(
        id="peer-access",
        example="RuntimeError: CUDA error: peer access is not supported between these two devices",
        patterns=(
            r"peer access is not supported between these two devices",
            r"Error happened when batch testing peer-to-peer access",
        ),
        cause="the GPUs cannot read each other's memory",
        mend="Set {settings}.disable-custom-all-reduce to true, and NCCL_P2P_DISABLE=1 in "
        "{model}.environment.",
        mends={
            "sglang": "Set {settings}.enable-p2p-check to true, and where that is not enough "
            "disable-custom-all-reduce."
        },
    ),
    Signature(
        id="nccl-timeout",
        example=(
            "[rank1]:[E ProcessGroupNCCL.cpp:563] [Rank 1] Watchdog caught collective operation "
            "timeout: WorkNCCL(SeqNum=158046, OpType=GATHER, NumelIn=2867200, NumelOut=0, "
            "Timeout(ms)=600000) ran for 600027 milliseconds before timing out."
        ),
        patterns=(
            r"Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=\d+, OpType=(\w+)",
        ),
        cause="the GPUs waited for each other in vain ({0}): one process died or hangs, or a link is down",
        mend="Look for the first error of another rank, and for Xid lines in journalctl -k. Where links "
        "are at fault, NCCL_P2P_DISABLE=1 or NCCL_IB_DISABLE=1 in {model}.environment gets past them.",
        rank=LIKELY,
    ),
    Signature(
        id="nccl",
        example=(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)"
        ),
        patterns=(
            r"NCCL error: (unhandled \w+ error)",
            r"(ncclSystemError|ncclInternalError|ncclUnhandledCudaError): ",
        ),
        cause="the GPUs cannot talk to each other ({0})",
        mend="Set NCCL_DEBUG=INFO in {model}.environment: its own words then tell why. Mostly it is shared "
        "memory ({model}.shm_size), a network interface, or links that need NCCL_P2P_DISABLE=1.",
        rank=GENERIC,
    ),
    Signature(
        id="compiler-missing",
        example=(
            "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist"
        ),
        patterns=(
            r"(?:Could not find|No such file or directory:) '?(nvcc|ninja|gcc|g\+\+|cc)\b",
            r"bin/(nvcc): not found",
            r"Failed to find (C) compiler",
            r"(Ninja) is required to load C\+\+ extensions",
            r"fatal error: (?:Python\.h|stddef\.h|cuda_runtime\.h|cuda_fp8\.h): No such file",
        ),
        cause="kernels have to be compiled, and the image lacks the compiler for it ({0})",
        mend="Use an image that brings it, not a runtime or slim one: {role}_image and {role}_tag. Another "
        "{settings}.attention-backend, or VLLM_USE_FLASHINFER_SAMPLER=0 in {model}.environment, may do "
        "without.",
        mends={
            "sglang": "Use an image that brings it, not a runtime one: {role}_image and {role}_tag. "
            "{settings}.attention-backend and sampling-backend of other kinds may do without."
        },
        rank=CLOSE,
    ),
    Signature(
        id="kernel-cache",
        example=(
            "RuntimeError: vLLM failed to compile the model. The most likely reason for this is that a "
            "previous compilation failed, leading to a corrupted compilation artifact."
        ),
        patterns=(
            r"previous compilation failed, leading to a corr",
            r"failed to get the hash of the compiled graph",
            r"(?<!\S)\S{0,300}?(?:/flashinfer/|/\.cache/|cached_ops|torch_extensions|/triton/|torch_compile_cache)\S{0,300}: "
            r"(?:undefined symbol|file too short|invalid ELF header)",
        ),
        cause="kernels that were compiled before are damaged, or of another version",
        mend=f"{_CLEAR}, then start the model again.",
        rank=CLOSE,
    ),
    Signature(
        id="kernel-build",
        example="RuntimeError: Ninja build failed. Ninja output:",
        patterns=(
            r"Ninja build failed",
            r"ninja: build stopped: subcommand failed",
            r"Command '\['ninja'.* returned non-zero exit status",
            r"nvcc fatal\s*: (.+)",
        ),
        cause="kernels could not be compiled for this GPU",
        mend=f"{_CLEAR}. Where it fails again, use another attention-backend in {{settings}}, or another "
        "version of the image.",
        rank=LIKELY,
    ),
    Signature(
        id="graphs-failed",
        example=(
            "Exception: Capture cuda graph failed: BatchDecodeWithPagedKVCache failed to dispatch "
            "head_dim 96"
        ),
        patterns=(
            r"(?i)Capture cuda graph failed: (.+)",
            r"CUDA error: (operation not permitted when stream is capturing)",
            r"CUDA error: (operation failed due to a previous error during capture)",
        ),
        cause="CUDA graphs cannot be captured: {0}",
        mend="Do without them: {settings}.enforce-eager: true. It is slower.",
        mends={
            "sglang": "Try another attention-backend (triton), or do without graphs: {settings}."
            "disable-cuda-graph: true, which is slower."
        },
        rank=LIKELY,
    ),
    Signature(
        id="library-missing",
        example="ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
        patterns=(
            r"(?:ImportError|OSError|error while loading shared libraries): (lib\S+\.so[\d.]*): "
            r"cannot open shared object file",
        ),
        cause="the library {0} is missing",
        mend="The image does not fit together, or is for another CUDA: use another {role}_tag.",
        mends={"llama_cpp": "Install the package that brings it, or use another build."},
        rank=GENERIC,
    ),
    Signature(
        id="engine-dead",
        example=(
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack "
            "trace (above) for the root cause."
        ),
        patterns=(
            r"EngineDeadError: ",
            r"EngineCore encountered a fatal error",
            r"Engine core (?:initialization failed|process \S+ died unexpectedly)",
            r"Worker proc (\S+) died unexpectedly",
            r"WorkerProc initialization failed due to an exception",
            r"(?:Received sigquit|SIGQUIT received).* one child failed|Received sigquit from a child",
            r"Scheduler hit an exception",
            r"Subprocess (\S+) \(pid=\d+\) crashed with exit code",
        ),
        cause="one of the engine's processes died, and the rest ended with it, also where the exit status "
        "is 0",
        mend="The root cause stands further up in its journal: onehop {role} logs MODEL -n 400.",
        rank=EFFECT,
    ),
)
