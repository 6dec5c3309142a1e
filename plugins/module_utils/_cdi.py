# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's CDI specs: which devices they name, what is wrong with them, who makes them anew.

They are read as the CDI library reads them, which refuses a whole file for one unknown field.

This module util is private to the collection.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import stat
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils import _files
from ansible_collections.onehop.llm.plugins.module_utils._systemd import Systemd, SystemdError
from ansible_collections.onehop.llm.plugins.module_utils._yaml_subset import YamlError, read

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Where specs are; what a later one says of a device counts."""
REFRESH = "nvidia-cdi-refresh.service"
"""The unit of NVIDIA's toolkit, since 1.18, that makes the spec at boot and for a new driver."""
REFRESH_SETTINGS = "/etc/nvidia-container-toolkit/nvidia-cdi-refresh.env"
_OUTPUT = "NVIDIA_CTK_CDI_OUTPUT_FILE_PATH"
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

VERSIONS = (
    "0.1.0",
    "0.2.0",
    "0.3.0",
    "0.4.0",
    "0.5.0",
    "0.6.0",
    "0.7.0",
    "0.8.0",
    "1.0.0",
    "1.1.0",
)
_HALF = r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_KIND = re.compile("%s/%s" % (_HALF, _HALF))
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
_HOOKS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)

_TEXT, _NUMBER, _TRUTH, _TEXTS = "text", "a number", "true or false", "texts by name"
_EDITS = {
    "env": [_TEXT],
    "deviceNodes": [
        {
            "path": _TEXT,
            "hostPath": _TEXT,
            "type": _TEXT,
            "major": _NUMBER,
            "minor": _NUMBER,
            "fileMode": _NUMBER,
            "permissions": _TEXT,
            "uid": _NUMBER,
            "gid": _NUMBER,
        }
    ],
    "netDevices": [{"hostInterfaceName": _TEXT, "name": _TEXT}],
    "hooks": [
        {"hookName": _TEXT, "path": _TEXT, "args": [_TEXT], "env": [_TEXT], "timeout": _NUMBER}
    ],
    "mounts": [{"hostPath": _TEXT, "containerPath": _TEXT, "options": [_TEXT], "type": _TEXT}],
    "intelRdt": {
        "closID": _TEXT,
        "l3CacheSchema": _TEXT,
        "memBwSchema": _TEXT,
        "schemata": [_TEXT],
        "enableMonitoring": _TRUTH,
        "enableCMT": _TRUTH,
        "enableMBM": _TRUTH,
    },
    "additionalGids": [_NUMBER],
}
_SPEC = {
    "cdiVersion": _TEXT,
    "kind": _TEXT,
    "annotations": _TEXTS,
    "devices": [{"name": _TEXT, "annotations": _TEXTS, "containerEdits": _EDITS}],
    "containerEdits": _EDITS,
}
_DRIVER = re.compile(r"(.*/lib(?:cuda|nvidia-ml)\.so\.)([0-9]{3,}(?:\.[0-9]+)+)")
"""Two of the driver's libraries, named for its version; others have versions of their own."""


class Host(object):
    """What a spec is held against. ``root`` is where the host's files are, for tests."""

    def __init__(self, root=""):
        self.root = root

    def at(self, path):
        """Where a path of the host is."""
        return self.root + path

    def exists(self, path):
        """Whether the host has it."""
        return os.path.exists(self.at(path))

    def text(self, path):
        """A file's text, or nothing."""
        try:
            return (_files.read(self.at(path)) or b"").decode("utf-8", "replace")
        except OSError:
            return ""

    def driver(self):
        """The version of the NVIDIA driver that is loaded, or nothing."""
        version = self.text("/sys/module/nvidia/version").strip()
        if version:
            return version
        found = re.search(r"\s([0-9]{3,}(?:\.[0-9]+)+)\s", self.text("/proc/driver/nvidia/version"))
        return found.group(1) if found else ""


class Spec(object):
    """One file.

    ``faults`` say why the CDI library refuses it, ``gone`` are the host's paths that it names and
    that are missing, ``moved`` tells of a driver that is another now, and ``reboot`` of one that is
    installed and not loaded.
    """

    def __init__(self, path, content, host):
        self.path = path
        self.kind = ""
        self.names: list = []
        self.gone: list = []
        self.moved = self.reboot = ""
        text = content.decode("utf-8", "replace")
        try:
            data = _parse(path, content)
            self.faults = _faults(data)
        except (YamlError, ValueError) as error:
            self.faults = [str(error)]
        if self.faults:
            # Whose it is, as far as that can be told: it may be mended, or read by somebody else.
            found = re.search(r"[\"']?kind[\"']?:\s*[\"']?(%s)" % _KIND.pattern, text)
            self.kind = found.group(1) if found else ""
            return
        self.kind = _said(data["kind"])
        self.names = ["%s=%s" % (self.kind, _said(entry["name"])) for entry in data["devices"]]
        paths = sorted({path for edits in _all_edits(data) for path in _host_paths(edits)})
        self.gone = [path for path in paths if not host.exists(path)]
        self._hold_against_driver(paths, host)

    def _hold_against_driver(self, paths, host):
        loaded = host.driver()
        libraries = [match for match in map(_DRIVER.fullmatch, paths) if match]
        for library in libraries if loaded else ():
            if library.group(2) == loaded:
                continue
            said = "is for the NVIDIA driver %s, and %s is loaded" % (library.group(2), loaded)
            if host.exists(library.group()) and not host.exists(library.group(1) + loaded):
                self.reboot = said
            else:
                self.moved = said

    @property
    def fresh(self):
        """Whether making it anew would help nothing."""
        return not (self.faults or self.gone or self.moved)

    def problems(self):
        """A sentence for each thing that is wrong with it, and what mends it."""
        if self.faults:
            yield "%s: is refused whole, as %s. Mend it, or: %s" % (
                self.path,
                "; ".join(fault.rstrip(".") for fault in self.faults),
                self.remedy(),
            )
        if self.gone:
            yield "%s: names %s, which the host does not have. %s" % (
                self.path,
                _some(self.gone),
                self.remedy(),
            )
        if self.moved:
            yield "%s: %s. %s" % (self.path, self.moved, self.remedy())
        if self.reboot:
            yield "%s: %s. Restart the host, so that the installed driver is loaded." % (
                self.path,
                self.reboot,
            )

    def remedy(self):
        """What to do about a stale one."""
        for tool in TOOLS:
            if self.kind == tool.kind and self.path.startswith(DIRECTORIES[0]):
                return "Make it anew with %s cdi generate --output=%s, or remove it." % (
                    tool.program,
                    self.path,
                )
        if self.kind == TOOLS[0].kind:
            return "Make it anew with systemctl restart %s, or remove it." % REFRESH
        return "Make it anew with what made it, or remove it."


class Registry(object):
    """All specs: ``specs``, ``devices`` (file by name), ``conflicts``, ``problems``.

    ``instead`` has files that are to be taken for others than they are: bytes by path, or ``None``
    for a file that is to be taken for gone.
    """

    def __init__(self, directories=DIRECTORIES, root="", instead=None):
        self.host = Host(root)
        self.directories = directories
        self.problems: list = []
        self.specs: list = []
        self.devices: dict = {}
        self.conflicts: dict = {}
        self._instead = instead or {}
        shadowed: dict = {}
        places: dict = {}
        for priority, directory in enumerate(directories):
            for spec in self._read(directory):
                self.specs.append(spec)
                for name in spec.names:
                    other = places.get(name)
                    if other and other[0] == priority:
                        self.conflicts.setdefault(name, [other[1].path]).append(spec.path)
                        continue
                    if other:
                        shadowed.setdefault((other[1], spec), []).append(name)
                    places[name] = (priority, spec)
        self.devices = {
            name: places[name][1].path for name in sorted(places) if name not in self.conflicts
        }
        for spec in self.specs:
            self.problems += spec.problems()
        self._say_conflicts()
        for (lower, upper), names in shadowed.items():
            self._say_shadow(lower, upper, names)

    def at(self, path):
        """The spec in a file, or ``None``."""
        return next((spec for spec in self.specs if spec.path == path), None)

    def _read(self, directory):
        place = self.host.at(directory)
        if os.path.islink(place):
            self.problems.append(
                "%s: is a link, and specs behind one are not read. Make it a directory." % directory
            )
            return
        try:
            names = set(os.listdir(place))
            self._say_mode(directory, 0o005, "0755")
        except (FileNotFoundError, NotADirectoryError):
            names = set()
        except OSError as error:
            names = set()
            self.problems.append("%s: cannot be read: %s." % (directory, error.strerror))
        names |= {
            os.path.basename(path) for path in self._instead if os.path.dirname(path) == directory
        }
        for name in sorted(names):
            if name.endswith((".json", ".yaml")):
                spec = self._load("%s/%s" % (directory, name))
                if spec is not None:
                    yield spec

    def _load(self, path):
        if path in self._instead:
            content = self._instead[path]
            return None if content is None else Spec(path, content, self.host)
        if os.path.isdir(self.host.at(path)):
            return None
        try:
            with open(self.host.at(path), "rb") as file:
                content = file.read()
            self._say_mode(path, 0o004, "0644")
        except OSError as error:
            self.problems.append("%s: cannot be read: %s. Remove it." % (path, error.strerror))
            return None
        return Spec(path, content, self.host)

    def _say_mode(self, path, needed, better):
        mode = stat.S_IMODE(os.stat(self.host.at(path)).st_mode)
        if mode & needed != needed:
            self.problems.append(
                "%s: has mode %04o, so that rootless containers cannot use it. Give it mode %s."
                % (path, mode, better)
            )

    def _say_conflicts(self):
        groups: dict = {}
        for name, paths in sorted(self.conflicts.items()):
            groups.setdefault(tuple(paths), []).append(name)
        for paths, names in groups.items():
            self.problems.append(
                "%s: is in %s, and so in none of them counts. Remove all of these files but one."
                % (_some(names), " and in ".join(paths))
            )

    def _say_shadow(self, lower, upper, names):
        said = "%s: %s is in %s too, which counts" % (lower.path, _some(names), upper.path)
        only = [name for name in lower.names if self.devices.get(name) == lower.path]
        if only and not lower.fresh:
            said += "; and what only %s has, %s, is stale" % (lower.path, _some(only))
        if lower.fresh and not upper.fresh:
            self.problems.append("%s, and is stale. %s" % (said, upper.remedy()))
        else:
            self.problems.append("%s. Remove %s." % (said, lower.path))


def default_devices(names):
    """All GPUs, as far as the host's specs name any."""
    gpus = sorted(name for name in names if name.partition("=")[0].endswith("/gpu"))
    for kind in [tool.kind for tool in TOOLS] + [name.partition("=")[0] for name in gpus]:
        if kind + "=all" in gpus:
            return [kind + "=all"]
    return gpus


def complaints(needs, registry, predicted=()):
    """A sentence for each device that the host does not have.

    ``needs`` have ``device`` and ``variable``; ``predicted`` are names of devices that will be
    there by the time they are needed.
    """
    for need in needs:
        device = need["device"]
        if device.lstrip("-").startswith("/"):
            said = _path_complaint(device, registry.host)
        else:
            said = _name_complaint(device, registry, predicted)
        if said:
            yield "%s = %s: %s" % (need["variable"], device, said)


def _path_complaint(device, host):
    optional = device.startswith("-")
    path, *rest = device[1 if optional else 0 :].split(":")
    for position, part in enumerate(rest):
        is_path = part.startswith("/") and position == 0
        if not is_path and (position != len(rest) - 1 or not re.fullmatch("[rwm]+", part)):
            return (
                "%s is neither a path in the container nor made of r, w and m. Write it as "
                "/dev/dri or /dev/dri:/dev/dri:rwm." % (part or "what follows the colon")
            )
    try:
        mode = os.stat(host.at(path)).st_mode
    except OSError:
        if optional:
            return ""
        return (
            "is not on the host. Load its driver, write another path, or -%s where it may be missing."
            % device
        )
    if any(test(mode) for test in (stat.S_ISCHR, stat.S_ISBLK, stat.S_ISFIFO, stat.S_ISDIR)):
        return ""
    return "is neither a device nor a directory of devices. Write one, such as /dev/dri."


def _name_complaint(device, registry, predicted):
    if device in predicted or device in registry.devices:
        return ""
    kind, dummy, name = device.partition("=")
    if not _KIND.fullmatch(kind) or not _NAME.fullmatch(name):
        return "is neither a CDI name, such as nvidia.com/gpu=all, nor a path, such as /dev/dri."
    if device in registry.conflicts:
        return "is in %s, and so in none of them counts. Remove all of these files but one." % (
            " and in ".join(registry.conflicts[device])
        )
    refused = [spec for spec in registry.specs if spec.faults and spec.kind in (kind, "")]
    if refused:
        return "no CDI spec that can be used knows it. " + " ".join(
            sentence for spec in refused for sentence in spec.problems()
        )
    known = sorted(set(registry.devices) | set(predicted))
    near = [other for other in known if other.startswith(kind + "=")]
    near = near or difflib.get_close_matches(device, known, n=5, cutoff=0.6)
    if near:
        ranked = sorted(
            near, key=lambda other: -difflib.SequenceMatcher(None, device, other).ratio()
        )
        return "no CDI spec of the host knows it. Write one that is there: %s." % ", ".join(
            ranked[:5]
        )
    paths = [spec.path for spec in registry.specs]
    return "no CDI spec of the host knows it (read: %s). %s" % (
        ", ".join(paths) or "none, as %s have none" % " and ".join(registry.directories),
        _how_to_make(kind),
    )


def _how_to_make(kind):
    for tool in TOOLS:
        if kind == tool.kind:
            return "Install the driver and %s, which comes with %s." % (tool.program, tool.package)
    return "Make one with the tool of the device's vendor, or name a path, such as /dev/dri."


class Tool(object):
    """A vendor's program that writes a spec: what for, where to, and what shows its hardware."""

    def __init__(self, kind, program, package, options, path, signs):
        self.kind = kind
        self.program = program
        self.package = package
        self.options = options
        self.path = path
        self.signs = signs

    def make(self, run, host, suffix=".json"):
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
        faults = Spec(self.path, content, host).faults
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


class Plan(object):
    """What is to be done, so that the host has a spec for each GPU that somebody can make one for.

    ``instead`` are files as they shall be, for :class:`Registry`; ``refresh`` is the file that the
    toolkit's own unit is to make anew; ``made`` are the files that it or we make; ``failures`` say
    what could not be found out.
    """

    def __init__(self, run, owned, root=""):
        self.run = run
        self.owned = owned
        self.root = root
        self.host = Host(root)
        self.instead: dict = {}
        self.refresh = ""
        self.made: list = []
        self.failures: list = []

    def present(self):
        """Plan for specs that are there and fresh."""
        registry = self.registry()
        for tool in TOOLS:
            if not any(self.host.exists(sign) for sign in tool.signs):
                continue
            output = self._output() if tool is TOOLS[0] else ""
            if output:
                self._leave_to_unit(tool, output)
            else:
                self._write(tool, registry)
        return self

    def absent(self):
        """Plan for the removal of what we made."""
        for tool in TOOLS:
            if self._ours(tool.path):
                self._remove(tool.path)
        return self

    def registry(self):
        """The specs as they will be."""
        return Registry(root=self.root, instead=self.instead)

    def _fresh(self, path):
        content = _files.read(self.host.at(path))
        return content is not None and Spec(path, content, self.host).fresh

    def _ours(self, path):
        return path in self.owned.things["paths"]

    def _remove(self, path):
        if os.path.lexists(self.host.at(path)):
            self.instead[path] = None

    def _output(self):
        """The file that the toolkit's own unit writes; nothing where there is no such unit."""
        if find_program("systemctl") is None:
            return ""
        try:
            if Systemd(self.run).show([REFRESH])[REFRESH].get("LoadState") != "loaded":
                return ""
        except SystemdError:
            return ""
        dummy, out, dummy_err = self.run(["systemctl", "show", "--property=Environment", REFRESH])
        output = "/var/run/cdi/nvidia.yaml"
        for line in out.split("\n") + self.host.text(REFRESH_SETTINGS).split("\n"):
            found = re.search(r"\b%s=[\"']?([^\"'\s]+)" % _OUTPUT, line)
            if found and not line.lstrip().startswith("#"):
                output = found.group(1)
        return "/var" + output if output.startswith("/run/") else output

    def _leave_to_unit(self, tool, output):
        self.made.append(output)
        if not self._fresh(output):
            predicted, dummy = tool.make(self.run, self.host, os.path.splitext(output)[1])
            if predicted is None or predicted != _files.read(self.host.at(output)):
                self.refresh = output
            if predicted is not None and self.refresh:
                self.instead[output] = predicted
        if self._ours(tool.path) and tool.path != output:
            self._remove(tool.path)

    def _write(self, tool, registry):
        others = [
            spec for spec in registry.specs if spec.kind == tool.kind and not self._ours(spec.path)
        ]
        current = registry.at(tool.path)
        if others:
            # A second file with the same names would make both useless.
            if all(spec.fresh for spec in others) and self._ours(tool.path):
                self._remove(tool.path)
            return
        if find_program(tool.program) is None:
            return
        self.made.append(tool.path)
        if current is not None and current.fresh and current.reboot:
            return
        content, why = tool.make(self.run, self.host)
        if content is None:
            self.failures.append(
                "%s: could not be made: %s. Mend that, or remove %s."
                % (tool.path, why.rstrip("."), tool.program)
            )
            return
        before = _files.read(self.host.at(tool.path))
        if before is not None and same(before, content):
            content = before
        if _files.File(self.host.at(tool.path), content).differs():
            self.instead[tool.path] = content

    def diff(self):
        """Before and after of each file, as far as that can be told."""
        found = []
        for path, content in sorted(self.instead.items()):
            if content is None:
                found.append(_files.removal(self.host.at(path)))
            else:
                found.append(_files.File(self.host.at(path), content).diff())
        if self.refresh and self.refresh not in self.instead:
            found.append(
                {
                    "before_header": self.refresh,
                    "after_header": self.refresh,
                    "before": "",
                    "after": "(what %s makes)\n" % REFRESH,
                }
            )
        return found

    def carry_out(self):
        """Do it; before and after of each file that changed."""
        done = []
        if self.refresh:
            done += self._run_unit()
        done += self.diff()
        for path, content in sorted(self.instead.items()):
            if content is None:
                os.unlink(self.host.at(path))
            else:
                self.owned.add("paths", [path])
                self.owned.save()
                _files.File(self.host.at(path), content).write()
        paths = [tool.path for tool in TOOLS]
        self.owned.drop("paths", [path for path in paths if not self.host.exists(path)])
        self.owned.save()
        self.instead = {}
        return done

    def _run_unit(self):
        output, self.refresh = self.refresh, ""
        self.instead.pop(output, None)
        path = self.host.at(output)
        before = _files.read(path)
        systemd = Systemd(self.run)
        systemd.forgive([REFRESH])
        try:
            systemd.do("restart", [REFRESH])
        except SystemdError as error:
            self.failures.append(
                "%s: %s. See what journalctl --unit=%s says." % (output, error, REFRESH)
            )
        if not self._fresh(output):
            # Ours is better than none.
            self.instead.pop(TOOLS[0].path, None)
        after = _files.read(path)
        if before == after:
            return []
        header = {"before_header": output, "after_header": output}
        return [
            dict(
                header,
                before=(before or b"").decode("utf-8", "replace"),
                after=(after or b"").decode("utf-8", "replace"),
            )
        ]


def find_program(name):
    """Where a program is; ``None`` where it is not installed."""
    return shutil.which(name, path="%s:%s" % (os.environ.get("PATH", ""), _PLACES))


def same(one, other):
    """Whether two specs in JSON say the same, in whatever order."""
    try:
        return _ordered(json.loads(one.decode("utf-8"))) == _ordered(
            json.loads(other.decode("utf-8"))
        )
    except ValueError:
        return one == other


def _ordered(value):
    if isinstance(value, dict):
        return {key: _ordered(entry) for key, entry in value.items()}
    if isinstance(value, list):
        entries = [_ordered(entry) for entry in value]
        if all(isinstance(entry, dict) for entry in entries):
            # Of devices, nodes, mounts and hooks; the words of a command stay in theirs.
            entries.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
        return entries
    return value


def _some(things):
    """The first of many."""
    if len(things) > 3:
        return "%s and %d more" % (", ".join(things[:2]), len(things) - 2)
    return ", ".join(things)


def _parse(path, content):
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    if path.endswith(".json") and text.lstrip().startswith("{"):
        return json.loads(text, object_pairs_hook=_once)
    return read(text)


def _once(pairs):
    found: dict = {}
    for key, value in pairs:
        if key in found:
            raise ValueError("the key %s is there twice" % key)
        found[key] = value
    return found


def _said(value):
    """A scalar as text, as the library takes numbers for it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _all_edits(data):
    return [data.get("containerEdits") or {}] + [
        entry.get("containerEdits") or {} for entry in data.get("devices") or ()
    ]


def _host_paths(edits):
    for node in edits.get("deviceNodes") or ():
        yield _said(node.get("hostPath")) or _said(node["path"])
    for mount in edits.get("mounts") or ():
        # A tmpfs, say, has no path there.
        if _said(mount["hostPath"]).startswith("/"):
            yield _said(mount["hostPath"])
    for hook in edits.get("hooks") or ():
        yield _said(hook["path"])


def _faults(data):
    """Why the library refuses the whole; its words come first where a shape is wrong."""
    if not isinstance(data, dict):
        return ["it has no cdiVersion, kind and devices"]
    version = _said(data.get("cdiVersion"))
    newer = _newer(version)
    found = list(_misshapen(data, _SPEC, "", newer))
    if found:
        return found
    if not version:
        found.append("cdiVersion is missing")
    elif version.lstrip("v") not in VERSIONS and not newer:
        found.append("cdiVersion = %s is no version of CDI" % version)
    else:
        needed, what = max(_versions_needed(data), key=lambda pair: _number(pair[0]))
        if _number(version) < _number(needed):
            found.append("cdiVersion = %s is too low for %s; write %s" % (version, what, needed))
    kind = _said(data.get("kind"))
    if not kind:
        found.append("kind is missing")
    elif not _KIND.fullmatch(kind):
        found.append("kind = %s is none, such as nvidia.com/gpu" % kind)
    found += _edit_faults(data.get("containerEdits") or {}, "containerEdits")
    return found + list(_device_faults(data.get("devices") or []))


def _device_faults(devices):
    if not devices:
        yield "devices are missing"
    names = [_said(entry.get("name")) for entry in devices]
    for position, entry in enumerate(devices):
        where = "devices[%d]" % position
        name = names[position]
        if not _NAME.fullmatch(name):
            yield "%s.name = %s is none, such as 0 or all" % (where, name or "(nothing)")
        elif name in names[:position]:
            yield "%s.name = %s is there twice" % (where, name)
        edits = entry.get("containerEdits") or {}
        if not any(edits.values()):
            yield "%s.containerEdits are missing" % where
        yield from _edit_faults(edits, where + ".containerEdits")


def _edit_faults(edits, where):
    for place, env in [(where, edits.get("env"))] + [
        ("%s.hooks[%d]" % (where, position), hook.get("env"))
        for position, hook in enumerate(edits.get("hooks") or ())
    ]:
        for entry in env or ():
            if _said(entry).find("=") < 1:
                yield "%s.env has %s, which is no NAME=VALUE" % (place, entry)
    for field, needed in (
        ("deviceNodes", ("path",)),
        ("mounts", ("hostPath", "containerPath")),
        ("hooks", ("hookName", "path")),
        ("netDevices", ("hostInterfaceName", "name")),
    ):
        for position, entry in enumerate(edits.get(field) or ()):
            for name in needed:
                if not _said(entry.get(name)):
                    yield "%s.%s[%d].%s is missing" % (where, field, position, name)
    for position, hook in enumerate(edits.get("hooks") or ()):
        if hook.get("hookName") and hook["hookName"] not in _HOOKS:
            yield "%s.hooks[%d].hookName = %s is none of %s" % (
                where,
                position,
                hook["hookName"],
                ", ".join(_HOOKS),
            )
    for position, node in enumerate(edits.get("deviceNodes") or ()):
        place = "%s.deviceNodes[%d]" % (where, position)
        if _said(node.get("type")) not in ("", "b", "c", "u", "p"):
            yield "%s.type = %s is none of b, c, u, p" % (place, node["type"])
        if not re.fullmatch("[rwm]*|none", _said(node.get("permissions"))):
            yield "%s.permissions = %s is not made of r, w and m" % (place, node["permissions"])
        for name in ("major", "minor"):
            if (node.get(name) or 0) < 0:
                yield "%s.%s = %d is negative" % (place, name, node[name])


def _misshapen(value, shape, where, lenient):
    """What is no such value as the library reads there; an unknown field, unless ``lenient``."""
    if value is None:
        return
    if isinstance(shape, list):
        if not isinstance(value, list):
            yield "%s has to be a list" % where
            return
        for position, entry in enumerate(value):
            place = "%s[%d]" % (where, position)
            if entry is None:
                yield "%s is empty" % place
            yield from _misshapen(entry, shape[0], place, lenient)
    elif isinstance(shape, dict) or shape == _TEXTS:
        if not isinstance(value, dict):
            yield "%s has to have fields" % where
            return
        for key, entry in value.items():
            place = "%s.%s" % (where, key) if where else key
            if isinstance(shape, dict) and key not in shape:
                if not lenient:
                    yield "%s is no field that CDI knows" % place
                continue
            inner = shape[key] if isinstance(shape, dict) else _TEXT
            yield from _misshapen(entry, inner, place, lenient)
    elif not _is(value, shape):
        yield "%s has to be %s" % (where, shape)


def _is(value, shape):
    if shape == _TRUTH:
        return isinstance(value, bool)
    if shape == _NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (str, int))


def _newer(version):
    """Whether it is a version that came after those that are known here."""
    return bool(re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+", version)) and (
        _number(version) > _number(VERSIONS[-1])
    )


def _number(version):
    return tuple(int(part) for part in version.lstrip("v").split("."))


def _versions_needed(data):
    """Each thing that an old version of CDI does not have, with the version that it came with."""
    yield "0.3.0", "any spec that is read today"
    if data.get("annotations") or any(
        entry.get("annotations") for entry in data.get("devices") or ()
    ):
        yield "0.6.0", "annotations"
    if "." in _said(data.get("kind")).partition("/")[2]:
        yield "0.6.0", "a dot in the kind's class"
    for entry in data.get("devices") or ():
        if re.match("[^A-Za-z]", _said(entry.get("name"))):
            yield "0.5.0", "a device's name that begins with no letter"
    for edits in _all_edits(data):
        rdt = edits.get("intelRdt") or {}
        if edits.get("netDevices") or rdt.get("schemata") or rdt.get("enableMonitoring"):
            yield "1.1.0", "netDevices, schemata and enableMonitoring"
        if edits.get("intelRdt") is not None or edits.get("additionalGids"):
            yield "0.7.0", "intelRdt and additionalGids"
        if any(node.get("hostPath") for node in edits.get("deviceNodes") or ()):
            yield "0.5.0", "the hostPath of a device node"
        if any(mount.get("type") for mount in edits.get("mounts") or ()):
            yield "0.4.0", "the type of a mount"
