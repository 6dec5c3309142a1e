# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of the host and of the network: hub, files, disk, ports, limits, Podman, systemd.

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

_TOKEN = (
    "Put HF_TOKEN=... into a file and name it in {model}.environment_file or {role}_environment_file, "
    "or make it a credential with environment: HF_TOKEN"
)

ROWS = (
    Signature(
        id="gated",
        example=(
            "Access to model meta-llama/Llama-3.2-1B-Instruct is restricted. You must have access to "
            "it and be authenticated to access it. Please log in."
        ),
        patterns=(
            r"You are trying to access a gated repo",
            r"Cannot access gated repo for url",
            r"GatedRepoError: 401",
            r"Access to model (\S+) is restricted\. You must",
            r"401 Client Error: Unauthorized for url",
        ),
        cause="the hub wants a token for this model",
        mend=f"{_TOKEN}. Its account has to have accepted the licence on the model's page.",
        mends={
            "llama_cpp": "Put HF_TOKEN=... into a file and name it in {model}.environment_file or "
            "llama_cpp_environment_file. Its account has to have accepted the licence on the model's "
            "page."
        },
    ),
    Signature(
        id="gated-refused",
        example=(
            "Access to model google/gemma-2-2b is restricted and you are not in the authorized list. "
            "Visit https://huggingface.co/google/gemma-2-2b to ask for access."
        ),
        patterns=(
            r"Access to model (\S+) is restricted and you are not in the authorized list",
            r"GatedRepoError: 403",
            r"Invalid credentials in Authorization header",
        ),
        cause="the token's account may not have this model, or the token is not valid any more",
        mend="Accept the licence on the model's page with the token's account, or use another token.",
        rank=CLOSE,
    ),
    Signature(
        id="repo-missing",
        example=(
            "Repository Not Found for url: https://huggingface.co/api/models/org/private/revision/main."
        ),
        patterns=(
            r"Repository Not Found for url: (\S+?)\.?$",
            r"(?<!\S)(\S+) is not a local folder and is not a valid model identifier",
            r"Revision Not Found for url: (\S+?)\.?$",
        ),
        cause="the hub has no such model or revision, or hides it from who has no token ({0})",
        mend="Look whether {model}.model and revision are written right. For a private one: "
        + _TOKEN
        + ".",
    ),
    Signature(
        id="hub-unreachable",
        example=(
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't "
            "find them in the cached files."
        ),
        patterns=(
            r"We couldn't connect to '(\S+)' to load",
            r"Failed to resolve '(\S+)'",
            r"Temporary failure in name resolution",
            r"An error happened while trying to locate the files? on the Hub",
            r"Max retries exceeded with url",
            r"(?i)could not resolve host",
            r"download failed after \d+ attempts",
            r"failed to download model from|HTTP request failed",
        ),
        cause="the host cannot reach the hub",
        mend="Stage the model into the cache beforehand, or name a directory on the host in {model}.model. "
        "By a proxy or a mirror: HTTPS_PROXY or HF_ENDPOINT in {role}_environment.",
        mends={
            "llama_cpp": "Stage the file and name it in {settings}.model. By a proxy or a mirror: "
            "HTTPS_PROXY or HF_ENDPOINT in llama_cpp_environment."
        },
    ),
    Signature(
        id="hub-offline",
        example=(
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the "
            "disk cache and outgoing traffic has been disabled."
        ),
        patterns=(
            r"outgoing traffic has been disabled",
            r"Cannot reach (\S+): offline mode is enabled",
        ),
        cause="the model is not whole in the cache, and the worker may not ask the hub",
        mend="Stage the model again, with every repository that its settings name, or take "
        "HF_HUB_OFFLINE out of {model}.environment.",
        rank=CLOSE,
    ),
    Signature(
        id="hub-transfer",
        example=(
            "RuntimeError: Data processing error: CAS service error : ReqwestMiddleware Error: Request "
            "failed after 5 retries"
        ),
        patterns=(
            r"CAS service error",
            r"An error occurred while downloading using `hf_transfer`",
            r"'hf_transfer' package is not available",
        ),
        cause="one of the hub's faster ways of transfer fails on this host",
        mend="Set HF_HUB_DISABLE_XET=1 in {role}_environment, and with older images "
        "HF_HUB_ENABLE_HF_TRANSFER=0: weights then come by plain HTTPS.",
    ),
    Signature(
        id="hub-busy",
        example="huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url",
        patterns=(
            r"429 Client Error|(?i:HTTPError: .*too many requests)",
            r"429 Too Many Requests: you have reached your '\w+' rate limit",
        ),
        cause="the hub takes no more requests from this address for now",
        mend=f"Wait some minutes. With a token the limits are higher: {_TOKEN}.",
    ),
    Signature(
        id="image-missing",
        example="Error: docker.io/vllm/vllm-openai:v0.33.0: image not known",
        patterns=(r"[Ee]rror: (?:.*: )?(\S+): image not known",),
        cause="the account does not have the image {0} any more",
        mend="The next run of the playbook fetches it.",
    ),
    Signature(
        id="image-wrong",
        example=(
            "Error: crun: executable file `vllm` not found in $PATH: No such file or directory: OCI "
            "runtime attempted to invoke a command that was not found"
        ),
        patterns=(r"executable file [`'\"]?([^`'\"\s]+)[`'\"]? not found in \$PATH",),
        cause="the image has no program {0}",
        mend="Name an image of this engine in {role}_image and {role}_tag.",
    ),
    Signature(
        id="disk-full",
        example="OSError: [Errno 28] No space left on device",
        patterns=(r"(?i)no space left on device", r"(?i)disk quota exceeded"),
        cause="the disk is full",
        mend="Make room where {role}_cache_dir and {role}_data_dir lie, or move them: df -h shows which.",
        mends={"llama_cpp": "Make room in /var/cache: df -h shows how much there is."},
        rank=LIKELY,
    ),
    Signature(
        id="disk-small",
        example=(
            "UserWarning: Not enough free disk space to download the file. The expected file size is: "
            "4983.51 MB. The target location /root/.cache/huggingface/hub only has 2.10 MB free disk "
            "space."
        ),
        patterns=(
            r"Not enough free disk space to download the file\. The expected file size is: "
            r"([\d.]+ MB)",
        ),
        cause="the disk has no room for the next file of the weights ({0})",
        mend="Make room where {role}_cache_dir lies, or move it.",
        rank=LIKELY,
    ),
    Signature(
        id="permission",
        example="PermissionError: [Errno 13] Permission denied: '/models/qwen/config.json'",
        patterns=(
            r"PermissionError: \[Errno 13\] Permission denied: '([^']+)'",
            r"Permission denied \(os error 13\)[^/]*(/\S+)?",
        ),
        cause="the worker may not read or write {0}",
        mend="Files of the host have to be readable for every user, with every directory above them, and "
        "in the cache they belong to the account. With SELinux they need container_file_t as well: "
        "ausearch -m avc -ts recent shows what was refused.",
        rank=LIKELY,
    ),
    Signature(
        id="selinux",
        example="Error: lsetxattr(label=system_u:object_r:container_file_t:s0) /srv/models: operation not permitted",
        patterns=(
            r"lsetxattr.*: (?:operation not permitted|operation not supported)",
            r"SELinux relabeling of (\S+) is not allowed",
            r"avc:\s+denied\s+\{ (\w+)",
        ),
        cause="SELinux refuses the container a file",
        mend="Label it: semanage fcontext -a -t container_file_t '/srv/models(/.*)?' and restorecon -R "
        "/srv/models, or {model}.container_config: {{SecurityLabelDisable: true}}.",
    ),
    Signature(
        id="mount-missing",
        example="Error: statfs /srv/models/qwen: no such file or directory",
        patterns=(r"statfs (\S+): no such file or directory",),
        cause="{0}, which the container is to see, is not on the host",
        mend="Bring it there, or write another path in {model}.",
    ),
    Signature(
        id="read-only",
        example="OSError: [Errno 30] Read-only file system: '/models/cache'",
        patterns=(r"Read-only file system: '([^']+)'",),
        cause="the engine wants to write to {0}, which it may only read",
        mend="Point the setting behind it into the cache; paths of the host are mounted read-only.",
    ),
    Signature(
        id="port-in-use",
        example="OSError: [Errno 98] Address already in use",
        patterns=(
            r"(?i)couldn't bind|address already in use",
            r"(?i)(?:cannot|failed to) bind (?:to )?(?:address|port|socket|\S+:\d+)",
            r"EADDRINUSE",
            r"Port (?:\d+ )?is already in use",
            r"rootlessport .*already",
        ),
        cause="something else listens there",
        mend="Write another port, {model}.port; ss -ltnp shows who has this one.",
    ),
    Signature(
        id="open-files",
        example="OSError: [Errno 24] Too many open files",
        patterns=(r"(?i)too many open files",),
        cause="the worker may not open as many files and connections as it needs",
        mend="Raise {role}_open_files_limit.",
    ),
    Signature(
        id="processes",
        example=(
            "OpenBLAS blas_thread_init: pthread_create failed for thread 22 of 48: Resource temporarily "
            "unavailable"
        ),
        patterns=(
            r"pthread_create failed",
            r"can't start new thread",
            r"fork: retry: Resource temporarily unavailable",
            r"std::system_error'?\s*$|what\(\):\s+Resource temporarily unavailable",
        ),
        cause="the worker may not start as many threads as it needs",
        mend="Raise the limit: {model}.container_config: {{PidsLimit: -1}}, and TasksMax in "
        "service_config; or start fewer: OMP_NUM_THREADS in {model}.environment.",
        mends={
            "llama_cpp": "Raise {model}.service_config: {{TasksMax: infinity}}, or lower threads."
        },
    ),
    Signature(
        id="illegal-instruction",
        example="vllm-alpha.service: Main process exited, code=dumped, status=4/ILL",
        patterns=(
            r"(?i)illegal instruction(?! was encountered)",
            r"^(?!.*\bhandlers?\b).*\bSIGILL\b|status=4/ILL",
            r"trap invalid opcode",
            r"(?i)exit ?code:? ?-4\b",
        ),
        cause="the processor lacks an instruction that this build uses",
        mend="Use a portable build: an image for older processors ({role}_tag), or another host.",
        mends={"llama_cpp": "Use a portable build: llama_cpp_archive or llama_cpp_binary."},
        statuses=(132,),
        signals=(4,),
    ),
    Signature(
        id="crash",
        example="!!!!!!! Segfault encountered !!!!!!!",
        patterns=(
            r"Segfault encountered",
            r"(?i)segmentation fault",
            r"(?i)exit ?code:? ?-11\b",
            r"GGML_ASSERT\((.+)\) failed",
        ),
        cause="the engine crashed",
        mend="Try another version, and report it to the engine's makers with the journal.",
        rank=GENERIC,
        statuses=(139, 134),
        signals=(6, 11),
    ),
    Signature(
        id="scheduler-hangs",
        role="sglang",
        example="Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)",
        patterns=(r"watchdog timeout \(self\.watchdog_timeout=(\d+)",),
        cause="the engine hung for {0} s, and ended itself",
        mend="Raise {settings}.watchdog-timeout where a long compilation or request is expected. "
        "Otherwise look for the first error above it, and for Xid lines in journalctl -k.",
    ),
    Signature(
        id="engine-timeout",
        example=(
            "TimeoutError: Timed out waiting for engine core processes to start. This is often caused by "
            "slow weight loading for large models. Waited 600s (configured by "
            "VLLM_ENGINE_READY_TIMEOUT_S)."
        ),
        patterns=(
            r"Timed out waiting for engine core processes to start\..*Waited (\d+)s",
            r"(RPC call to \w+) timed out",
        ),
        cause="the engine gave up on its own processes ({0})",
        mend="Raise VLLM_ENGINE_READY_TIMEOUT_S in {model}.environment, up to the model's start_timeout.",
    ),
    Signature(
        id="ids-too-few",
        example=(
            "potentially insufficient UIDs or GIDs available in user namespace (requested 65534:65534 for "
            "/etc/x)"
        ),
        patterns=(r"potentially insufficient UIDs or GIDs",),
        cause="the account's range of subordinate ids is too small for the image",
        mend="Raise {role}_subuid_count.",
    ),
    Signature(
        id="user-namespace",
        example='Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1',
        patterns=(r"cannot set ?up namespace using", r"newuidmap: .*(?:not allowed|failed)"),
        cause="the account's container cannot have its own ids",
        mend="Look at /etc/subuid and /etc/subgid, and whether newuidmap is installed and setuid; the next "
        "run of the playbook mends the ranges.",
    ),
    Signature(
        id="start-timeout",
        example="vllm-alpha.service: start operation timed out. Terminating.",
        patterns=(
            r"[Ss]tart(?:-post)? operation timed out\. (?:Terminating|Aborting|Killing|Stopping)",
        ),
        cause="it was not ready in time",
        mend="Raise {model}.start_timeout, or {role}_start_timeout, or look what it waits for.",
        rank=GENERIC,
        results=("timeout",),
    ),
    Signature(
        id="restarted-too-often",
        example="vllm-alpha.service: Start request repeated too quickly.",
        patterns=(r"Start request repeated too quickly",),
        cause="it failed several times in a row, and systemd does not start it any more",
        mend="Mend what is behind it, then: onehop {role} restart MODEL. A run of the playbook tries "
        "again as well.",
        rank=EFFECT,
        results=("start-limit-hit",),
    ),
    Signature(
        id="watchdog",
        example="vllm-alpha.service: Watchdog timeout (limit 1min)!",
        patterns=(r"Watchdog timeout \(limit",),
        cause="it did not answer any more, and was ended for it",
        mend="Look what it did then: onehop {role} logs MODEL. Under load, raise "
        "{role}_liveness_timeout or {role}_liveness_retries.",
        rank=LIKELY,
        results=("watchdog",),
    ),
    Signature(
        id="working-directory",
        example="x.service: Failed at step CHDIR spawning /usr/bin/x: No such file or directory",
        patterns=(r"Failed at step CHDIR spawning",),
        cause="its working directory is missing",
        mend="The next run of the playbook makes it.",
        statuses=(200,),
    ),
    Signature(
        id="program-missing",
        example="x.service: Failed at step EXEC spawning /usr/bin/x: No such file or directory",
        patterns=(r"Failed at step EXEC spawning (\S+):",),
        cause="its program cannot be executed, or is not there",
        mend="Install it again; the next run of the playbook does where a package or an archive brings it.",
        statuses=(203, 127, 126),
    ),
    Signature(
        id="group-missing",
        example="x.service: Failed at step GROUP spawning /usr/bin/x: No such process",
        patterns=(r"Failed at step GROUP spawning",),
        cause="its group is not on the host",
        mend="The next run of the playbook makes it.",
        statuses=(216,),
    ),
    Signature(
        id="user-missing",
        example="x.service: Failed at step USER spawning /usr/bin/x: No such process",
        patterns=(r"Failed at step USER spawning",),
        cause="its user is not on the host",
        mend="The next run of the playbook makes it, unless it is somebody else's.",
        statuses=(217,),
    ),
    Signature(
        id="sandbox",
        example="x.service: Failed at step NAMESPACE spawning /usr/bin/x: Permission denied",
        patterns=(r"Failed at step NAMESPACE spawning",),
        cause="the sandbox could not be set up",
        mend="In a container, allow namespaces.",
        statuses=(226,),
    ),
    Signature(
        id="credential",
        example="x.service: Failed at step CREDENTIALS spawning /usr/bin/x: No such file or directory",
        patterns=(r"Failed at step CREDENTIALS spawning|Failed to set up credentials",),
        cause="a credential cannot be read",
        mend="Look whether each source of {model}.credentials is on the host and not empty.",
        statuses=(243,),
    ),
)
