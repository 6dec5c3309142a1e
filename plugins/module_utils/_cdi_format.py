# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a CDI spec may say: the fields, names and versions that the CDI library knows.

It refuses a whole file for one unknown field, and so is a file read here.

This module util is private to the collection.
"""

from __future__ import annotations

import json
import re

from ansible_collections.onehop.llm.plugins.module_utils._yaml_subset import YamlError, read

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
KIND = re.compile("%s/%s" % (_HALF, _HALF))
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
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


def parse(path, content):
    """A file's data, and why the library refuses the whole file, if it does."""
    try:
        data = _load(path, content)
        return data, _faults(data)
    except (YamlError, ValueError) as error:
        return {}, [str(error)]


def _load(path, content):
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


def said(value):
    """A scalar as text, as the library takes numbers for it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _all_edits(data):
    return [data.get("containerEdits") or {}] + [
        entry.get("containerEdits") or {} for entry in data.get("devices") or ()
    ]


def devices(data):
    """The whole names of a spec's devices, such as ``nvidia.com/gpu=0``."""
    return ["%s=%s" % (said(data["kind"]), said(entry["name"])) for entry in data["devices"]]


def host_paths(data):
    """What of the host a spec gives to containers or runs, each once, by name."""
    return sorted({path for edits in _all_edits(data) for path in _paths_in(edits)})


def _paths_in(edits):
    for node in edits.get("deviceNodes") or ():
        yield said(node.get("hostPath")) or said(node["path"])
    for mount in edits.get("mounts") or ():
        # A tmpfs, say, has no path there.
        if said(mount["hostPath"]).startswith("/"):
            yield said(mount["hostPath"])
    for hook in edits.get("hooks") or ():
        yield said(hook["path"])


def _faults(data):
    """Why the library refuses the whole; its words come first where a shape is wrong."""
    if not isinstance(data, dict):
        return ["it has no cdiVersion, kind and devices"]
    version = said(data.get("cdiVersion"))
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
    kind = said(data.get("kind"))
    if not kind:
        found.append("kind is missing")
    elif not KIND.fullmatch(kind):
        found.append("kind = %s is none, such as nvidia.com/gpu" % kind)
    found += _edit_faults(data.get("containerEdits") or {}, "containerEdits")
    return found + list(_device_faults(data.get("devices") or []))


def _device_faults(devices):
    if not devices:
        yield "devices are missing"
    names = [said(entry.get("name")) for entry in devices]
    for position, entry in enumerate(devices):
        where = "devices[%d]" % position
        name = names[position]
        if not NAME.fullmatch(name):
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
            if said(entry).find("=") < 1:
                yield "%s.env has %s, which is no NAME=VALUE" % (place, entry)
    for field, needed in (
        ("deviceNodes", ("path",)),
        ("mounts", ("hostPath", "containerPath")),
        ("hooks", ("hookName", "path")),
        ("netDevices", ("hostInterfaceName", "name")),
    ):
        for position, entry in enumerate(edits.get(field) or ()):
            for name in needed:
                if not said(entry.get(name)):
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
        if said(node.get("type")) not in ("", "b", "c", "u", "p"):
            yield "%s.type = %s is none of b, c, u, p" % (place, node["type"])
        if not re.fullmatch("[rwm]*|none", said(node.get("permissions"))):
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
    if "." in said(data.get("kind")).partition("/")[2]:
        yield "0.6.0", "a dot in the kind's class"
    for entry in data.get("devices") or ():
        if re.match("[^A-Za-z]", said(entry.get("name"))):
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
