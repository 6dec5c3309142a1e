# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendors' programs that write CDI specs, and the unit that runs one of them.

This module util is private to the collection.
"""

from __future__ import annotations

import os
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils import _cdi_format, _files

REFRESH = "nvidia-cdi-refresh.service"
"""The unit of NVIDIA's toolkit, since 1.18, that makes the spec at boot and for a new driver."""
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name):
    """Where a program is; ``None`` where it is not installed."""
    return shutil.which(name, path="%s:%s" % (os.environ.get("PATH", ""), _PLACES))


class Tool(object):
    """A vendor's program that writes a spec: what for, where to, and what shows its hardware."""

    def __init__(self, kind, program, package, options, path, signs):
        self.kind = kind
        self.program = program
        self.package = package
        self.options = options
        self.path = path
        self.signs = signs

    def make(self, run, suffix=".json"):
        """What it would write now: content and nothing, or ``None`` and why not."""
        program = find_program(self.program)
        if program is None:
            return None, "%s is not installed" % self.program
        directory = tempfile.mkdtemp(prefix="onehop-cdi-")
        try:
            path = os.path.join(directory, "spec" + suffix)
            command = [program, "cdi", "generate"] + [
                option % suffix[1:] for option in self.options
            ]
            status, out, err = run(command + ["--output=" + path])
            content = _files.read(path)
        finally:
            shutil.rmtree(directory)
        if status != 0 or content is None:
            said = (err.strip() or out.strip() or "wrote nothing")[-800:]
            return None, "%s cdi generate: %s" % (self.program, said)
        dummy, faults = _cdi_format.parse(self.path, content)
        if faults:
            return None, "what %s cdi generate wrote is refused, as %s" % (
                self.program,
                "; ".join(faults),
            )
        return content, ""


TOOLS = (
    Tool(
        "nvidia.com/gpu",
        "nvidia-ctk",
        "nvidia-container-toolkit-base",
        ["--format=%s"],
        "/etc/cdi/nvidia.json",
        ("/sys/module/nvidia", "/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"),
    ),
    Tool(
        "amd.com/gpu",
        "amd-ctk",
        "amd-container-toolkit",
        [],
        "/etc/cdi/amd.json",
        ("/dev/kfd",),
    ),
)
