# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDI specs: as they are read, what is said of bad ones, and who makes them anew.

The vendors' programs and systemctl are stood in for by shell scripts; specs have the form in which
nvidia-ctk and amd-ctk write them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.module_utils import _cdi, _files, _owned, _yaml_subset
from ansible_collections.onehop.llm.plugins.modules import cdi_spec

OLD, NEW = "550.54.14", "560.35.03"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

NVIDIA_117 = """---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidia-uvm
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    - --link
    - libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  - args:
    - nvidia-cdi-hook
    - enable-cuda-compat
    - --host-driver-version=550.54.14
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  mounts:
  - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
    hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
    options:
    - ro
    - nosuid
    - nodev
    - bind
  - containerPath: /usr/lib/x86_64-linux-gnu/libnvidia-egl-gbm.so.1.1.1
    hostPath: /usr/lib/x86_64-linux-gnu/libnvidia-egl-gbm.so.1.1.1
    options:
    - ro
    - nosuid
    - nodev
    - bind
  - containerPath: /run/nvidia-persistenced/socket
    hostPath: /run/nvidia-persistenced/socket
    options:
    - ro
    - nosuid
    - nodev
    - bind
    - noexec
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/dri/renderD128
    hooks:
    - args:
      - nvidia-cdi-hook
      - create-symlinks
      - --link
      - ../renderD128::/dev/dri/by-path/pci-0000:01:00.0-render
      hookName: createContainer
      path: /usr/bin/nvidia-cdi-hook
  name: "0"
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/dri/renderD128
  name: all
kind: nvidia.com/gpu
"""

NVIDIA_118 = """---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
    - name: "0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
    - name: GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
    - name: "1:0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
    - name: all
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              hostPath: /dev/nvidia0
containerEdits:
    env:
        - NVIDIA_VISIBLE_DEVICES=void
    hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args:
            - nvidia-cdi-hook
            - update-ldcache
            - --folder
            - /usr/lib/x86_64-linux-gnu
          env:
            - NVIDIA_CTK_DEBUG=false
    mounts:
        - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
          containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14
          options:
            - ro
            - nosuid
            - nodev
            - rbind
            - rprivate
"""

_KFD: dict[str, Any] = {
    "path": "/dev/kfd",
    "type": "c",
    "major": 235,
    "fileMode": 8624,
    "permissions": "rwm",
    "uid": 0,
    "gid": 110,
}
_RENDER = _KFD | {"path": "/dev/dri/renderD128", "major": 226, "minor": 128}
AMD = json.dumps(
    {
        "cdiVersion": "0.6.0",
        "kind": "amd.com/gpu",
        "devices": [
            {"name": name, "containerEdits": {"deviceNodes": [_RENDER, _KFD]}}
            for name in ("0", "all")
        ],
        "containerEdits": {},
    },
    indent=2,
)

DEVICE = {"name": "0", "containerEdits": {"env": ["A=b"]}}
PLAIN: dict[str, Any] = {"cdiVersion": "0.6.0", "kind": "x.org/gpu", "devices": [DEVICE]}
NOWHERE = "/var/run/cdi/nvidia.yaml"


class Machine:
    """A host under a directory: its files, its programs, and what is asked of those."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[list[str]] = []
        (root / "bin").mkdir()

    def put(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def driver(self, version: str) -> None:
        """Have the driver loaded and all that its spec names."""
        for path in ("nvidia0", "nvidiactl", "nvidia-uvm", "dri/renderD128"):
            self.put("/dev/" + path)
        for path in ("/usr/bin/nvidia-cdi-hook", "/run/nvidia-persistenced/socket"):
            self.put(path)
        self.put(f"{LIBRARIES}/libnvidia-egl-gbm.so.1.1.1")
        self.put(f"{LIBRARIES}/libcuda.so.{version}")
        self.put("/sys/module/nvidia/version", version + "\n")

    def program(self, name: str, script: str) -> None:
        """A stand-in."""
        self.put("/bin/" + name, "#!/bin/sh\n" + script, 0o755)

    def tool(self, name: str, text: str) -> None:
        """A stand-in for a vendor's tool that writes a spec to where it is told to."""
        source = self.put(f"/standin/{name}", text)
        self.program(
            name,
            'for word; do case "$word" in --output=*) out="${word#--output=}" ;; esac; done\n'
            f'cp {source} "$out"\n',
        )

    def unit(self, script: str = "true", state: str = "loaded", settings: str = "") -> None:
        """A stand-in for systemctl, which knows the refresh unit; ``script`` is what that does."""
        self.program(
            "systemctl",
            'case "$*" in\n'
            f"*=Environment*) echo 'Environment={settings}' ;;\n"
            f"show*) echo LoadState={state} ;;\n"
            f"restart*) {script} ;;\n"
            "esac\n",
        )

    def run(self, command: list[str], **dummy: object) -> tuple[int, str, str]:
        self.asked.append(command)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def spec(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / name.lstrip("/")).read_text())
        return found

    def registry(self) -> _cdi.Registry:
        return _cdi.Registry(root=str(self.root))

    def plan(self) -> _cdi.Plan:
        return _cdi.Plan(self.run, _owned.Owned("cdi"), root=str(self.root)).present()

    def converge(self) -> list[dict[str, str]]:
        """The diff of a run, which has to be the one that was foretold, and no other run's."""
        foretold = self.plan()
        expected = [entry["after"] for entry in foretold.diff()]
        devices = list(foretold.registry().devices)
        plan = self.plan()
        diff: list[dict[str, str]] = plan.carry_out()
        assert not plan.failures
        assert [entry["after"] for entry in diff] == expected
        assert list(self.registry().devices) == devices
        assert self.plan().carry_out() == []
        return diff


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    assert os.geteuid() == 0, "the suite runs as root, as the README says"
    monkeypatch.setattr(_owned, "DIRECTORY", str(tmp_path / "owned"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    made = Machine(tmp_path)
    made.unit(state="not-found")
    return made


class Dumper(yaml.SafeDumper):
    """Writes a value out wherever it stands, as the vendors' tools do, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(value: object, **options: Any) -> str:
    text: str = yaml.dump(value, Dumper=Dumper, **options)
    return text


def as_json(text: str, version: str = OLD) -> str:
    return json.dumps(yaml.safe_load(text.replace(OLD, version)))


# Reading


def test_specs_of_the_vendors_tools_are_read(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/dev/kfd")
    for text, names in (
        (NVIDIA_117, ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]),
        (
            NVIDIA_118,
            [
                "nvidia.com/gpu=0",
                "nvidia.com/gpu=1:0",
                "nvidia.com/gpu=GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5",
                "nvidia.com/gpu=all",
            ],
        ),
    ):
        machine.put("/etc/cdi/nvidia.yaml", text)
        machine.put("/etc/cdi/amd.json", AMD)
        registry = machine.registry()
        assert registry.problems == []
        assert list(registry.devices) == ["amd.com/gpu=0", "amd.com/gpu=all", *names]
        assert registry.devices["nvidia.com/gpu=all"] == "/etc/cdi/nvidia.yaml"
        assert _yaml_subset.read(text) == yaml.safe_load(text)


def test_a_host_without_specs(machine: Machine) -> None:
    registry = machine.registry()
    assert (registry.devices, registry.problems, registry.specs) == ({}, [], [])


def test_only_files_that_the_library_reads_are_read(machine: Machine) -> None:
    text = json.dumps(PLAIN)
    for name in ("a.yml", "a.json.bak", "deeper/a.json", "directory.json/a.txt"):
        machine.put(f"/etc/cdi/{name}", text)
    assert (machine.registry().specs, machine.registry().problems) == ([], [])
    machine.put("/etc/cdi/json.yaml", text)
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


def test_a_number_may_stand_for_a_text(machine: Machine) -> None:
    machine.put(
        "/etc/cdi/x.yaml",
        "cdiVersion: 0.5.0\nkind: x.org/gpu\n"
        "devices: [{name: 7, containerEdits: {env: [A=b]}}] # by hand\n",
    )
    registry = machine.registry()
    assert registry.problems == []
    assert list(registry.devices) == ["x.org/gpu=7"]


def edits(**fields: object) -> dict[str, object]:
    return {"devices": [{"name": "a", "containerEdits": {"env": ["A=b"], **fields}}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cdiVersion": None}, "cdiVersion is missing"),
        ({"cdiVersion": "0.5"}, "cdiVersion = 0.5 is no version of CDI"),
        ({"cdiVersion": "0.2.0", **edits()}, "cdiVersion = 0.2.0 is too low for any spec"),
        ({"kind": None}, "kind is missing"),
        ({"kind": "gpu"}, "kind = gpu is none"),
        ({"kind": "x.org/gpu-"}, "kind = x.org/gpu- is none"),
        ({"devices": []}, "devices are missing"),
        ({"devices": None}, "devices are missing"),
        ({"devices": {"name": "0"}}, "devices has to be a list"),
        ({"devices": [DEVICE, DEVICE]}, "devices[1].name = 0 is there twice"),
        ({"devices": [DEVICE | {"name": "-0"}]}, "devices[0].name = -0 is none"),
        ({"devices": [DEVICE | {"name": None}]}, "devices[0].name = (nothing) is none"),
        ({"devices": [None]}, "devices[0] is empty"),
        ({"devices": [{"name": "0"}]}, "devices[0].containerEdits are missing"),
        ({"devices": ["0"]}, "devices[0] has to have fields"),
        ({"vendor": "x"}, "vendor is no field that CDI knows"),
        (edits(mount=[]), "devices[0].containerEdits.mount is no field that CDI knows"),
        (edits(env=["=x"]), "devices[0].containerEdits.env has =x, which is no NAME=VALUE"),
        (edits(env=[["A=b"]]), "devices[0].containerEdits.env[0] has to be text"),
        (edits(hooks=[{"hookName": "poststop"}]), "hooks[0].path is missing"),
        (edits(hooks=[{"path": "/x"}]), "hooks[0].hookName is missing"),
        (edits(hooks=[{"path": "/x", "hookName": "x"}]), "hooks[0].hookName = x is none of"),
        (
            edits(hooks=[{"path": "/x", "hookName": "poststop", "env": ["x"]}]),
            "hooks[0].env has x",
        ),
        (edits(mounts=[{"hostPath": "/x"}]), "mounts[0].containerPath is missing"),
        (edits(mounts=[{"containerPath": "/x"}]), "mounts[0].hostPath is missing"),
        (edits(deviceNodes=[{"type": "c"}]), "deviceNodes[0].path is missing"),
        (edits(deviceNodes=[{"path": "/x", "type": "d"}]), "deviceNodes[0].type = d is none of"),
        (edits(deviceNodes=[{"path": "/x", "permissions": "rx"}]), "permissions = rx is not"),
        (edits(deviceNodes=[{"path": "/x", "major": -1}]), "deviceNodes[0].major = -1 is negative"),
        (edits(deviceNodes=[{"path": "/x", "major": "1"}]), "major has to be a number"),
        (edits(deviceNodes=[{"path": "/x", "major": True}]), "major has to be a number"),
        (edits(intelRdt={"enableCMT": 1}), "enableCMT has to be true or false"),
        (
            edits(netDevices=[{"name": "a"}]) | {"cdiVersion": "1.1.0"},
            "netDevices[0].hostInterfaceName is missing",
        ),
        (edits(netDevices=[{"name": "a"}]), "is too low for netDevices"),
        (edits(additionalGids=[44]), "cdiVersion = 0.6.0 is too low for intelRdt and additional"),
        (edits(intelRdt={}), "too low for intelRdt and additionalGids; write 0.7.0"),
        ({"cdiVersion": "0.5.0", "annotations": {"a": "b"}}, "too low for annotations"),
        ({"cdiVersion": "0.5.0", "kind": "x.org/g.pu"}, "too low for a dot in the kind's class"),
        ({"cdiVersion": "0.4.0"}, "too low for a device's name that begins with no letter"),
        (
            {"cdiVersion": "0.4.0", **edits(deviceNodes=[{"path": "/x", "hostPath": "/y"}])},
            "too low for the hostPath of a device node; write 0.5.0",
        ),
        (
            {
                "cdiVersion": "0.3.0",
                **edits(mounts=[{"hostPath": "t", "containerPath": "/t", "type": "tmpfs"}]),
            },
            "too low for the type of a mount; write 0.4.0",
        ),
    ],
)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_spec_with_a_fault_is_refused_whole(
    machine: Machine, form: str, change: dict[str, object], said: str
) -> None:
    data = PLAIN | change
    data = {key: value for key, value in data.items() if value is not None or key == "devices"}
    machine.put(f"/etc/cdi/x.{form}", json.dumps(data) if form == "json" else dump(data))
    registry = machine.registry()
    assert registry.devices == {}
    (problem,) = registry.problems
    assert problem.startswith(f"/etc/cdi/x.{form}: is refused whole, as ")
    assert said in problem


def test_all_faults_are_said_at_once(machine: Machine) -> None:
    machine.put("/etc/cdi/x.json", json.dumps({"kind": "gpu", "devices": [DEVICE, DEVICE]}))
    (problem,) = machine.registry().problems
    assert (
        "cdiVersion is missing; kind = gpu is none, such as nvidia.com/gpu; devices[1]" in problem
    )


def test_a_version_of_cdi_that_came_later_may_have_other_fields(machine: Machine) -> None:
    machine.put("/etc/cdi/x.json", json.dumps(PLAIN | {"cdiVersion": "1.2.0", "new": 1}))
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", b'{"kind": "x.org/gpu",', "Expecting property name"),
        ("x.json", b'{"kind": "x.org/gpu", "kind": "y.org/gpu"}', "the key kind is there twice"),
        ("x.yaml", b"kind: x.org/gpu\nkind: y\n", "line 2: the key kind is there twice"),
        ("x.yaml", b"kind: x.org/gpu\ndevices: *all\n", "line 2: *all is more of YAML"),
        ("x.yaml", b"\xff", "it is no text"),
        ("x.yaml", b"", "it has no cdiVersion, kind and devices"),
        ("x.json", b"[]", "it has no cdiVersion, kind and devices"),
    ],
)
def test_what_cannot_be_parsed(machine: Machine, name: str, content: bytes, said: str) -> None:
    machine.put(f"/etc/cdi/{name}").write_bytes(content)
    registry = machine.registry()
    assert registry.devices == {}
    assert f"/etc/cdi/{name}: is refused whole, as {said}" in registry.problems[0]


# YAML


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: &x b", 1, "&x b is more of YAML"),
        ("a:\n- !!str b", 2, "!!str b is more of YAML"),
        ("a:\n  <<: {}", 2, "<< is text to some"),
        ("a: >\n  b", 2, "is more of YAML"),
        ("a: b: c", 1, "a colon in a text"),
        ("a:\n\t- b", 2, "a tab"),
        ("a: [b", 1, "a bracket is opened and never closed"),
        ("a: [b c: d]", 1, "a comma or a ] is missing"),
        ("a: {b}", 1, "something else than a text with a colon"),
        ("a: {b: 1, b: 2}", 1, "the key b is there twice"),
        ("a: 'b\nc: d", 1, "a quote is opened and never closed"),
        ("a: 'b' c", 1, "something stands behind a closing '"),
        ('a: "\\q"', 1, "\\q stands for no character"),
        ('a: "\\ud800"', 1, "\\ud800 stands for no character"),
        ("a: b\n c: d", 2, "a colon in a text"),
        ("a:\n  b: c\n d: e", 3, "is indented more"),
        ("a: b\n- c", 2, "is not part of what stands above it"),
        ("a:\n  - b\n    c: d", 3, "a colon in a text"),
        ("a: # no text\n  b: c\n    d: e", 3, "a colon in a text"),
        ("a: b # c\n  d", 2, "is indented more"),
        ("a: b\n---\nc: d", 2, "is no key with a colon"),
        ("--- a", 1, "something stands behind ---"),
        ("1: b", 1, "the key 1 is no text"),
        ("a: |x\n  b", 1, "|x begins no block of text"),
        ("- " * 5000 + "a", 1, "is nested too deeply"),
    ],
)
def test_what_is_not_read_names_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(_yaml_subset.YamlError) as caught:
        _yaml_subset.read(text)
    assert str(caught.value).startswith(f"line {line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("word", ["yes", "Off", "y", "1_0", "1e5", "08", "0.5", ".inf", "0o17"])
def test_what_yaml_readers_disagree_about_has_to_be_quoted(word: str) -> None:
    with pytest.raises(_yaml_subset.YamlError, match="write it in quotes"):
        _yaml_subset.read(f"name: {word}\n")
    assert _yaml_subset.read(f"name: '{word}'\n") == {"name": word}


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n  b\n   c\n\n  d\ne: |-\n  f\n\ng: |+\n  h\n\n",
        "a: |2\n   b\n  c\nd: e\n",
        "a: b\n  c\n\n  d\ne: 'it''s\n\n  f'\n",
        '"a b": "c\\\n  d \\x41\\u00e9\\U0001F600"\n',
        "a: [b, # c\n  'd,', {e: f, g: [http://h/#i]}]\n",
        "- - a\n  - b\n-\n  c: d\n- ~\n-\n",
        "# a\n---\na: b # c\n\n# d\ne:\n# f\n- g\n",
        "\ufeffa: 0\r\nb: -7\r\nc: 0666\r\nd: 0x1f\r\ne: true\r\nf: 0.5.0\r\n",
        '{"a": [1, null, "b"],\n  "c": {}}\n',
        "",
    ],
)
def test_the_rest_is_read_as_others_read_it(text: str) -> None:
    assert _yaml_subset.read(text) == yaml.safe_load(text)


WORDS = st.from_regex(r"[A-Za-z/][A-Za-z0-9 _./:=-]{0,120}[0-9A-Za-z]", fullmatch=True).filter(
    lambda word: word.lower() not in ("no", "on", "yes", "off")
)
NUMBERS = st.integers(min_value=0, max_value=2**32)
NODES = st.fixed_dictionaries({"path": WORDS}, optional={"major": NUMBERS, "uid": NUMBERS})
HOOKS = st.fixed_dictionaries({"hookName": WORDS, "path": WORDS, "args": st.lists(WORDS)})
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "env": st.lists(WORDS),
        "deviceNodes": st.lists(NODES),
        "hooks": st.lists(HOOKS),
        "intelRdt": st.fixed_dictionaries({"enableCMT": st.booleans(), "closID": WORDS}),
    },
)
SPECS = st.fixed_dictionaries(
    {
        "cdiVersion": st.from_regex(r"[0-9]\.[0-9]\.[0-9]", fullmatch=True),
        "kind": WORDS,
        "devices": st.lists(
            st.fixed_dictionaries(
                {"name": WORDS | st.from_regex("(0|[1-9][0-9]{0,2})(:[0-9])?", fullmatch=True)},
                optional={"containerEdits": EDITS | st.none()},
            )
        ),
    },
    optional={"containerEdits": EDITS, "annotations": st.dictionaries(WORDS, WORDS)},
)


@given(spec=SPECS, indent=st.sampled_from([2, 4]), width=st.sampled_from([20, 80, 4096]))
def test_any_spec_is_read_as_it_was_written(spec: object, indent: int, width: int) -> None:
    text = dump(spec, default_flow_style=False, indent=indent, width=width)
    assert _yaml_subset.read(text) == spec


@given(
    value=st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=8,
    ),
    flow=st.sampled_from([None, False, True]),
    unicode=st.booleans(),
)
def test_no_text_is_taken_for_another(value: object, flow: bool | None, unicode: bool) -> None:
    text = dump(value, default_flow_style=flow, allow_unicode=unicode)
    try:
        found = _yaml_subset.read(text)
    except _yaml_subset.YamlError:
        return
    assert found == value or text.endswith("...\n")


# Which file counts, and what is stale


def test_the_later_directory_counts_and_the_other_is_told_of(machine: Machine) -> None:
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/var/run/cdi/b.json", json.dumps(PLAIN))
    registry = machine.registry()
    assert registry.devices == {"x.org/gpu=0": "/var/run/cdi/b.json"}
    assert registry.problems == [
        "/etc/cdi/a.json: x.org/gpu=0 is in /var/run/cdi/b.json too, which counts. Remove "
        "/etc/cdi/a.json."
    ]


def test_a_device_in_two_files_of_a_directory_is_in_none(machine: Machine) -> None:
    other = PLAIN | {"devices": [DEVICE, DEVICE | {"name": "1"}]}
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/etc/cdi/b.yaml", dump(other))
    registry = machine.registry()
    assert registry.devices == {"x.org/gpu=1": "/etc/cdi/b.yaml"}
    assert registry.problems == [
        "x.org/gpu=0: is in /etc/cdi/a.json and in /etc/cdi/b.yaml, and so in none of them counts. "
        "Remove all of these files but one."
    ]
    # The library drops the name for good, whatever a later directory says.
    machine.put("/var/run/cdi/c.json", json.dumps(PLAIN))
    assert "x.org/gpu=0" not in machine.registry().devices


def test_a_path_that_is_gone(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert machine.registry().problems == []
    for path in (
        "/dev/dri/renderD128",
        "/usr/bin/nvidia-cdi-hook",
        f"{LIBRARIES}/libcuda.so.{OLD}",
    ):
        (machine.root / path[1:]).unlink()
    (problem,) = machine.registry().problems
    assert problem == (
        "/etc/cdi/nvidia.yaml: names /dev/dri/renderD128, /usr/bin/nvidia-cdi-hook, "
        f"{LIBRARIES}/libcuda.so.{OLD}, which the host does not have. Make it anew with nvidia-ctk "
        "cdi generate --output=/etc/cdi/nvidia.yaml, or remove it."
    )


def test_the_path_on_the_host_is_the_one_that_has_to_be_there(machine: Machine) -> None:
    node = {"path": "/dev/inside", "hostPath": "/dev/outside"}
    mount = {"hostPath": "tmpfs", "containerPath": "/t", "type": "tmpfs"}
    spec = PLAIN | edits(deviceNodes=[node], mounts=[mount])
    machine.put("/etc/cdi/x.json", json.dumps(spec))
    assert "names /dev/outside, which" in machine.registry().problems[0]
    machine.put("/dev/outside")
    assert machine.registry().problems == []


def test_a_driver_that_moved_on(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.driver(NEW)
    (problem,) = machine.registry().problems
    assert f"is for the NVIDIA driver {OLD}, and {NEW} is loaded. Make it anew" in problem
    (machine.root / "sys/module/nvidia/version").unlink()
    assert machine.registry().problems == []
    line = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {NEW}  Fri Aug 16 2024\n"
    machine.put("/proc/driver/nvidia/version", line)
    assert machine.registry().problems == [problem]


def test_a_driver_that_is_installed_and_not_loaded(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.put("/sys/module/nvidia/version", "535.183.01\n")
    assert machine.registry().problems == [
        f"/etc/cdi/nvidia.yaml: is for the NVIDIA driver {OLD}, and 535.183.01 is loaded. Restart "
        "the host, so that the installed driver is loaded."
    ]


def test_a_stale_hand_made_file_beside_a_fresh_one(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_118)
    machine.put(NOWHERE, NVIDIA_117.replace(OLD, NEW))
    problems = machine.registry().problems
    assert f"names {LIBRARIES}/libcuda.so.{OLD}" in problems[0]
    assert f"is for the NVIDIA driver {OLD}" in problems[1]
    assert problems[2] == (
        "/etc/cdi/nvidia.yaml: nvidia.com/gpu=0, nvidia.com/gpu=all is in "
        "/var/run/cdi/nvidia.yaml too, which counts; and what only /etc/cdi/nvidia.yaml has, "
        "nvidia.com/gpu=GPU-955ef018-3bd9-5f27-80b3-fa20ee8d19c5, nvidia.com/gpu=1:0, is stale. "
        "Remove /etc/cdi/nvidia.yaml."
    )
    assert len(problems) == 3


def test_a_fresh_file_that_a_stale_one_hides(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117.replace(OLD, NEW))
    machine.put(NOWHERE, NVIDIA_117)
    assert machine.registry().problems[-1] == (
        "/etc/cdi/nvidia.yaml: nvidia.com/gpu=0, nvidia.com/gpu=all is in "
        "/var/run/cdi/nvidia.yaml too, which counts, and is stale. Make it anew with systemctl "
        "restart nvidia-cdi-refresh.service, or remove it."
    )


def test_what_rootless_containers_cannot_read(machine: Machine) -> None:
    path = machine.put("/etc/cdi/x.json", json.dumps(PLAIN), mode=0o640)
    path.parent.chmod(0o750)
    assert machine.registry().problems == [
        "/etc/cdi: has mode 0750, so that rootless containers cannot use it. Give it mode 0755.",
        "/etc/cdi/x.json: has mode 0640, so that rootless containers cannot use it. Give it mode "
        "0644.",
    ]
    assert list(machine.registry().devices) == ["x.org/gpu=0"]


def test_links(machine: Machine) -> None:
    target = machine.put("/srv/x.json", json.dumps(PLAIN))
    (machine.root / "etc/cdi").mkdir(parents=True)
    (machine.root / "etc/cdi/x.json").symlink_to(target)
    assert list(machine.registry().devices) == ["x.org/gpu=0"]
    target.unlink()
    (problem,) = machine.registry().problems
    assert problem == "/etc/cdi/x.json: cannot be read: No such file or directory. Remove it."
    (machine.root / "etc/cdi/x.json").unlink()
    (machine.root / "etc/cdi").rmdir()
    (machine.root / "etc/cdi").symlink_to(target.parent)
    assert "/etc/cdi: is a link" in machine.registry().problems[0]


# What models are given and what they ask for


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["nvidia.com/gpu=0", "nvidia.com/gpu=all", "amd.com/gpu=all"], ["nvidia.com/gpu=all"]),
        (["amd.com/gpu=0", "amd.com/gpu=all", "a.com/gpu=all"], ["amd.com/gpu=all"]),
        (["intel.com/gpu=gpu0", "x.com/gpu=all"], ["x.com/gpu=all"]),
        (
            ["intel.com/gpu=gpu1", "intel.com/gpu=gpu0"],
            ["intel.com/gpu=gpu0", "intel.com/gpu=gpu1"],
        ),
        (["x.com/nic=all", "x.com/gpus=all"], []),
    ],
)
def test_the_default_is_all_gpus(names: list[str], expected: list[str]) -> None:
    assert _cdi.default_devices(names) == expected


def complaint(machine: Machine, device: str, predicted: tuple[str, ...] = ()) -> str:
    needs = [{"device": device, "variable": "models[0].devices"}]
    found = list(_cdi.complaints(needs, machine.registry(), predicted))
    if not found:
        return ""
    (said,) = found
    assert said.startswith(f"models[0].devices = {device}: ")
    return str(said.partition(": ")[2])


def test_a_device_that_no_spec_knows(machine: Machine) -> None:
    assert complaint(machine, "nvidia.com/gpu=0") == (
        "no CDI spec of the host knows it (read: none, as /etc/cdi and /var/run/cdi have none). "
        "Install the driver and nvidia-ctk, which comes with nvidia-container-toolkit-base."
    )
    assert "amd-ctk, which comes with amd-container-toolkit." in complaint(machine, "amd.com/gpu=0")
    assert "the tool of the device's vendor" in complaint(machine, "intel.com/gpu=gpu0")
    assert complaint(machine, "nvidia.com/gpu=0", ("nvidia.com/gpu=0",)) == ""
    machine.driver(OLD)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert complaint(machine, "nvidia.com/gpu=0") == ""
    assert complaint(machine, "nvidia.com/gpu=1") == (
        "no CDI spec of the host knows it. Write one that is there: nvidia.com/gpu=0, "
        "nvidia.com/gpu=all."
    )
    assert "Write one that is there: nvidia.com/gpu=0" in complaint(machine, "nvida.com/gpu=0")
    assert "(read: /etc/cdi/nvidia.yaml). Install" in complaint(machine, "amd.com/xgmi=9") + (
        complaint(machine, "amd.com/gpu=wholly-other-thing")
    )


def test_a_device_of_a_spec_that_is_refused_or_at_odds(machine: Machine) -> None:
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN | {"new": 1}))
    said = complaint(machine, "x.org/gpu=0")
    assert said.startswith("no CDI spec that can be used knows it. /etc/cdi/a.json: is refused")
    machine.put("/etc/cdi/a.json", json.dumps(PLAIN))
    machine.put("/etc/cdi/b.json", json.dumps(PLAIN))
    assert complaint(machine, "x.org/gpu=0").startswith("is in /etc/cdi/a.json and in /etc/cdi/b")


def test_paths_of_devices(machine: Machine) -> None:
    (machine.root / "dev/dri").mkdir(parents=True)
    machine.put("/dev/file")
    os.mkfifo(machine.root / "dev/node")
    for device in (
        "/dev/dri",
        "/dev/node",
        "/dev/node:/dev/inside",
        "/dev/node:rw",
        "/dev/node:/dev/inside:rwm",
        "-/dev/dri",
        "-/dev/missing",
    ):
        assert complaint(machine, device) == "", device
    assert complaint(machine, "/dev/missing") == (
        "is not on the host. Load its driver, write another path, or -/dev/missing where it may be "
        "missing."
    )
    assert "is neither a device nor a directory" in complaint(machine, "/dev/file")
    for device in ("/dev/node:x", "/dev/node:rw:/dev/inside", "/dev/node:/a:/b", "/dev/node:"):
        assert "neither a path in the container nor made of" in complaint(machine, device), device
    for device in ("gpu", "nvidia.com/gpu", "nvidia.com/gpu=", "-nvidia.com/gpu=0", "all", ""):
        assert "is neither a CDI name" in complaint(machine, device), device


def test_every_need_is_complained_of(machine: Machine) -> None:
    needs = [{"device": device, "variable": "v"} for device in ("a", "/dev/b", "c.d/e=f")]
    assert len(list(_cdi.complaints(needs, machine.registry()))) == 3


# Making them anew


def test_a_host_without_gpu_or_tool(machine: Machine) -> None:
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.unit()
    assert machine.converge() == []
    machine.driver(OLD)
    (machine.root / "bin/nvidia-ctk").unlink()
    machine.unit(state="not-found")
    assert machine.converge() == []
    assert not (machine.root / "etc").exists()
    assert not (machine.root / "owned").exists()


def test_a_host_without_systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cdi, "_PLACES", "")
    machine.driver(OLD)
    (machine.root / "bin/systemctl").unlink()
    monkeypatch.setenv("PATH", f"{machine.root}/bin")
    assert machine.plan().carry_out() == []
    assert machine.asked == []


def test_the_tools_write_what_is_missing_or_stale(machine: Machine) -> None:
    machine.driver(OLD)
    machine.put("/dev/kfd")
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.tool("amd-ctk", AMD)
    diff = machine.converge()
    assert [entry["before"] for entry in diff] == ["", ""]
    assert machine.spec("/etc/cdi/nvidia.json")["kind"] == "nvidia.com/gpu"
    assert machine.spec("/etc/cdi/amd.json")["kind"] == "amd.com/gpu"
    assert (machine.root / "etc/cdi/amd.json").stat().st_mode & 0o777 == 0o644
    assert _owned.Owned("cdi").things["paths"] == ["/etc/cdi/amd.json", "/etc/cdi/nvidia.json"]
    machine.driver(NEW)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117, NEW))
    assert len(machine.converge()) == 1
    assert NEW in (machine.root / "etc/cdi/nvidia.json").read_text()
    assert machine.registry().problems == []
    (machine.root / "etc/cdi/nvidia.json").chmod(0o600)
    assert "owner or mode" in machine.converge()[0]["before"]


def test_another_order_is_no_change(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    turned = yaml.safe_load(NVIDIA_117)
    turned["containerEdits"]["mounts"].reverse()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert machine.converge() == []
    turned["containerEdits"]["hooks"][0]["args"].reverse()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert len(machine.converge()) == 1
    turned["containerEdits"]["mounts"].pop()
    machine.tool("nvidia-ctk", json.dumps(turned))
    assert len(machine.converge()) == 1


def test_ours_is_written_anew_whatever_became_of_it(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/etc/cdi/nvidia.json", '{"kind": "nvidia.com/gpu"')
    assert len(machine.converge()) == 1
    (machine.root / "etc/cdi/nvidia.json").unlink()
    assert len(machine.converge()) == 1
    assert machine.spec("/etc/cdi/nvidia.json")


def test_a_spec_is_on_the_list_before_it_is_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    write = _files.File.write

    def full(file: _files.File) -> None:
        if file.path.endswith("/etc/cdi/nvidia.json"):
            raise OSError("the disk is full")
        write(file)

    monkeypatch.setattr(_files.File, "write", full)
    with pytest.raises(OSError, match="full"):
        machine.plan().carry_out()
    assert _owned.Owned("cdi").things["paths"] == ["/etc/cdi/nvidia.json"]


def test_foretelling_writes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(machine.root / "tmp"))
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    plan = machine.plan()
    assert list(plan.registry().devices) == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert not (machine.root / "etc").exists()
    assert list((machine.root / "tmp").iterdir()) == []
    assert machine.registry().devices == {}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no NVML >&2; exit 1\n", "nvidia-ctk cdi generate: no NVML. Mend that, or remove"),
        ("exit 0\n", "nvidia-ctk cdi generate: wrote nothing"),
        ("", "what nvidia-ctk cdi generate wrote is refused, as new is no field"),
    ],
)
def test_a_tool_that_fails(machine: Machine, script: str, said: str) -> None:
    machine.driver(OLD)
    if script:
        machine.program("nvidia-ctk", script)
    else:
        machine.tool("nvidia-ctk", json.dumps(PLAIN | {"new": 1}))
    plan = machine.plan()
    (failure,) = plan.failures
    assert failure.startswith("/etc/cdi/nvidia.json: could not be made: ")
    assert said in failure
    assert plan.carry_out() == []


def test_nothing_is_written_beside_a_file_of_somebody_else(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    for text in (NVIDIA_117, NVIDIA_117.replace(OLD, NEW), NVIDIA_117 + "new: 1\n"):
        machine.put("/etc/cdi/nvidia.yaml", text)
        assert machine.converge() == []
        assert (machine.root / "etc/cdi/nvidia.yaml").read_text() == text
        assert not (machine.root / "etc/cdi/nvidia.json").exists()
    assert "is refused whole" in machine.registry().problems[0]
    (machine.root / "etc/cdi/nvidia.yaml").unlink()
    machine.put("/etc/cdi/nvidia.json", as_json(NVIDIA_118))
    assert machine.converge() == []
    assert machine.spec("/etc/cdi/nvidia.json") == yaml.safe_load(NVIDIA_118)


def test_ours_goes_when_somebody_else_makes_a_fresh_one(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117.replace(OLD, NEW))
    assert machine.converge() == [], "that one is stale: ours stays"
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    assert machine.registry().devices == {}
    (gone,) = machine.converge()
    assert gone["after"] == ""
    assert list(machine.registry().devices) == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert _owned.Owned("cdi").things["paths"] == []


def test_a_driver_that_waits_for_a_restart_is_not_fought(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.put("/sys/module/nvidia/version", "535.183.01\n")
    machine.program("nvidia-ctk", "exit 1\n")
    plan = machine.plan()
    assert (plan.failures, plan.carry_out()) == ([], [])


def refresh(machine: Machine, text: str, path: str = NOWHERE) -> str:
    """What the stand-in for the unit does: put a spec in its place."""
    (machine.root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    return f"cp {machine.put('/standin/spec', text)} {machine.root}{path}"


def test_the_toolkits_own_unit_is_run_when_its_spec_is_missing_or_stale(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", NVIDIA_117)
    machine.unit(refresh(machine, NVIDIA_117))
    diff = machine.converge()
    assert [(entry["before"], entry["after"]) for entry in diff] == [("", NVIDIA_117)]
    assert (machine.root / NOWHERE.lstrip("/")).exists()
    assert not (machine.root / "etc").exists()
    assert not (machine.root / "owned").exists()
    machine.asked.clear()
    assert machine.plan().carry_out() == []
    assert not [command for command in machine.asked if "restart" in command]
    machine.driver(NEW)
    machine.tool("nvidia-ctk", NVIDIA_117.replace(OLD, NEW))
    machine.unit(refresh(machine, NVIDIA_117.replace(OLD, NEW)))
    assert len(machine.converge()) == 1
    assert machine.registry().problems == []


@pytest.mark.parametrize("by", ["unit", "settings"])
def test_the_unit_may_write_elsewhere(machine: Machine, by: str) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", NVIDIA_117)
    path = "/etc/cdi/toolkit.yaml"
    setting = f"NVIDIA_CTK_CDI_OUTPUT_FILE_PATH={path}"
    default = "NVIDIA_CTK_CDI_OUTPUT_FILE_PATH=/run/cdi/nvidia.yaml"
    machine.put(_cdi.REFRESH_SETTINGS, f"# {default}\n" + (setting if by == "settings" else ""))
    machine.unit(
        refresh(machine, NVIDIA_117, path),
        settings=f"A=b {setting if by == 'unit' else default}",
    )
    assert len(machine.converge()) == 1
    assert machine.registry().devices["nvidia.com/gpu=0"] == path


def test_a_masked_unit_is_none(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.unit(state="masked")
    assert len(machine.converge()) == 1
    assert machine.spec("/etc/cdi/nvidia.json")


def test_ours_goes_when_the_toolkit_brings_its_unit(machine: Machine) -> None:
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    machine.converge()
    machine.tool("nvidia-ctk", NVIDIA_117)
    machine.unit("true")
    plan = machine.plan()
    assert plan.carry_out() == []
    assert machine.spec("/etc/cdi/nvidia.json"), "a unit that makes nothing is no replacement"
    machine.unit(refresh(machine, NVIDIA_117))
    plan = machine.plan()
    assert len(plan.carry_out()) == 2
    assert not (machine.root / "etc/cdi/nvidia.json").exists()
    assert machine.registry().problems == []


def test_a_stale_file_by_hand_stays_beside_the_unit_and_is_told_of(machine: Machine) -> None:
    machine.driver(NEW)
    machine.put("/etc/cdi/nvidia.yaml", NVIDIA_117)
    machine.tool("nvidia-ctk", NVIDIA_117.replace(OLD, NEW))
    machine.unit(refresh(machine, NVIDIA_117.replace(OLD, NEW)))
    assert len(machine.converge()) == 1
    assert (machine.root / "etc/cdi/nvidia.yaml").read_text() == NVIDIA_117
    assert machine.registry().problems[-1].endswith("Remove /etc/cdi/nvidia.yaml.")


def test_a_unit_that_fails(machine: Machine) -> None:
    machine.driver(OLD)
    machine.program("nvidia-ctk", "exit 1\n")
    machine.unit("echo the control process exited >&2; exit 1")
    plan = machine.plan()
    assert plan.failures == []
    assert plan.diff()[0]["after"] == "(what nvidia-cdi-refresh.service makes)\n"
    assert plan.carry_out() == []
    (failure,) = plan.failures
    assert failure.startswith("/var/run/cdi/nvidia.yaml: systemctl restart nvidia-cdi-refresh")
    assert "the control process exited. See what journalctl" in failure
    verbs = [command[1] for command in machine.asked if command[0] == "systemctl"]
    assert verbs[-2:] == ["reset-failed", "restart"], "an earlier start limit does not count"


def test_a_unit_without_its_tool(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.driver(OLD)
    machine.unit()
    monkeypatch.setattr(_cdi, "_PLACES", "")
    monkeypatch.setenv("PATH", f"{machine.root}/bin")
    assert machine.plan().refresh == NOWHERE


# The module


class Ended(Exception):
    """What the module came back with."""


class StandIn:
    """Stands in for AnsibleModule."""

    def __init__(self, machine: Machine, state: str, check_mode: bool) -> None:
        self.params = {"owner": "cdi", "state": state}
        self.check_mode = check_mode
        self.run_command = machine.run
        self.warned: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    def exit_json(self, **result: object) -> None:
        raise Ended({"warned": self.warned, **result})

    def fail_json(self, **result: object) -> None:
        raise Ended({"failed": True, **result})


@pytest.fixture
def call(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Any:
    plan = _cdi.Plan
    monkeypatch.setattr(_cdi, "Plan", lambda run, owned: plan(run, owned, root=str(machine.root)))

    def called(state: str = "present", check_mode: bool = False) -> dict[str, Any]:
        module = StandIn(machine, state, check_mode)
        monkeypatch.setattr(cdi_spec, "AnsibleModule", lambda **dummy: module)
        with pytest.raises(Ended) as caught:
            cdi_spec.main()
        found: dict[str, Any] = caught.value.args[0]
        return found

    return called


def test_the_module_makes_foretells_and_takes_back(machine: Machine, call: Any) -> None:
    nothing = {"devices": [], "default": [], "generated": [], "problems": [], "warned": []}
    for state in ("present", "absent"):
        assert call(state) == {"changed": False, "diff": [], **nothing}
    machine.driver(OLD)
    machine.tool("nvidia-ctk", as_json(NVIDIA_117))
    foretold = call(check_mode=True)
    assert not (machine.root / "etc").exists()
    done = call()
    assert foretold == done
    assert done["changed"] is True
    assert done["devices"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]
    assert done["default"] == ["nvidia.com/gpu=all"]
    assert done["generated"] == ["/etc/cdi/nvidia.json"]
    assert call()["changed"] is False
    assert call("absent", check_mode=True)["changed"] is True
    assert machine.spec("/etc/cdi/nvidia.json")
    assert call("absent") | nothing == call("absent", check_mode=True) | nothing | {
        "changed": True,
        "diff": [
            {
                "before_header": f"{machine.root}/etc/cdi/nvidia.json",
                "after_header": f"{machine.root}/etc/cdi/nvidia.json",
                "before": as_json(NVIDIA_117),
                "after": "",
            }
        ],
    }
    assert not (machine.root / "etc/cdi/nvidia.json").exists()


def test_the_module_takes_back_only_what_is_ours(machine: Machine, call: Any) -> None:
    machine.put("/etc/cdi/nvidia.json", as_json(NVIDIA_117))
    assert call("absent")["changed"] is False
    assert machine.spec("/etc/cdi/nvidia.json")


def test_the_module_warns_and_fails(machine: Machine, call: Any) -> None:
    machine.put("/etc/cdi/x.json", json.dumps(PLAIN), mode=0o600)
    said = call()
    assert said["warned"] == said["problems"]
    assert "has mode 0600" in said["problems"][0]
    assert said["default"] == ["x.org/gpu=0"]
    machine.driver(OLD)
    machine.program("nvidia-ctk", "exit 1\n")
    for check_mode in (True, False):
        assert call(check_mode=check_mode)["failed"] is True
    machine.unit("exit 1")
    assert "failed" not in call(check_mode=True)
    assert "journalctl" in call()["msg"]
