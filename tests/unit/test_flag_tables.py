# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped tables of command-line flags, and the command that adds a version to them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tooling.flags import fetch, pages, tables
from tooling.flags.__main__ import main
from tooling.flags.engines import ENGINES
from tooling.flags.found import spellings
from tooling.flags.order import order
from tooling.flags.tables import Table

from . import flag_samples as samples

KINDS = "flag bool value optional list repeat json json_or_str positional".split()
TYPES = "int float str human_int json".split()
KEYS = {
    "name": str,
    "since": str,
    "until": (str, type(None)),
    "spellings": list,
    "negations": list,
    "kind": str,
    "type": str,
    "also": list,
    "choices": list,
    "default": object,
    "env": str,
    "replaced_by": str,
}
COUNTS = {
    # Tables made in another way have the same names for vLLM 0.12.0, 0.25.1 and 0.33.0, SGLang 0.5.3, 0.5.9, 0.5.20 and 0.5.23.
    # vLLM 0.11 has four flags more than are found without following a loop.
    "vllm": {
        "0.9.2": 165, "0.10.2": 177, "0.11.0": 184, "0.11.2": 201, "0.12.0": 195, "0.14.1": 205,
        "0.17.1": 223, "0.20.2": 240, "0.25.1": 271, "0.29.0": 293, "0.32.0": 317, "0.33.0": 321,
    },
    "sglang": {
        "0.4.10.post2": 185, "0.5.3": 246, "0.5.6.post2": 292, "0.5.9": 331, "0.5.12": 387,
        "0.5.16": 460, "0.5.20": 494, "0.5.23": 531,
    },
    "llama_cpp": {"b9093": 234, "0.5.0": 251, "0.6.0": 251},
    "gateway": {"0.3.1": 93, "0.3.2": 98, "1.13.0": 212},
}  # fmt: skip


def shipped(engine: str) -> dict:
    return json.loads((tables.FOLDER / f"{engine}.json").read_text("utf-8"))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_table_says_only_what_it_may_say(engine: str) -> None:
    table = shipped(engine)
    versions = table["versions"]
    assert table["engine"] == engine
    assert versions == sorted(set(versions), key=order)
    assert set(table.get("builds", versions)) == set(versions)
    for row in table["flags"]:
        for key, value in row.items():
            assert isinstance(value, KEYS[key]), row
        assert {"name", "since", "until", "kind"} <= set(row)
        assert row["kind"] in KINDS
        assert row.get("type", "str") in TYPES
        assert not row["name"].startswith("-")
        assert row["since"] in versions
        assert row["until"] in (*versions, None)
        assert (row["kind"] == "bool") == ("negations" in row), row
        for key in ("spellings", "negations", "choices", "also"):
            assert row.get(key, [1]), row
        for spelling in (*row.get("spellings", []), *row.get("negations", [])):
            assert spelling.startswith("-"), row
        assert row["until"] or "replaced_by" not in row


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_rows_are_sorted_and_never_overlap(engine: str) -> None:
    table = shipped(engine)
    versions = table["versions"]
    keys = [(row["name"], versions.index(row["since"])) for row in table["flags"]]
    assert keys == sorted(keys)
    seen: set[tuple[str, str]] = set()
    for row in table["flags"]:
        spans = {(row["name"], version) for version in tables.span(row, versions)}
        assert spans
        assert not spans & seen, row
        seen |= spans


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_no_spelling_stands_for_two_flags_of_a_version(engine: str) -> None:
    for version, rows in tables.load(engine).versions.items():
        owners: dict[str, str] = {}
        for row in rows.values():
            for spelling in spellings(row):
                owner = owners.setdefault(spelling, row["name"])
                assert owner == row["name"], (version, spelling)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_what_is_used_instead_is_there(engine: str) -> None:
    """A name that replaces a flag is one of some later version."""
    table = shipped(engine)
    names = {row["name"] for row in table["flags"]}
    for row in table["flags"]:
        instead = row.get("replaced_by", "use")
        assert instead.partition(" ")[0] == "use" or instead in names, row
        for word in instead.replace(",", " ").split():
            if word.startswith("--"):
                known = {text for one in table["flags"] for text in spellings(one)}
                assert word in known, row


def test_every_hand_kept_replacement_is_of_a_flag_that_went() -> None:
    for engine, said in json.loads(tables.REPLACED.read_text()).items():
        gone = {row["name"] for row in shipped(engine)["flags"] if "replaced_by" in row}
        assert set(said) <= gone


@pytest.mark.parametrize("engine", sorted(COUNTS))
def test_versions_have_as_many_flags_as_are_known(engine: str) -> None:
    table = tables.load(engine)
    assert {v: len(table.versions[v]) for v in COUNTS[engine]} == COUNTS[engine]


@pytest.mark.parametrize(
    ("engine", "version", "name", "what"),
    [
        ("vllm", "0.33.0", "gpu-memory-utilization", {"type": "float", "default": 0.92}),
        ("vllm", "0.17.1", "gpu-memory-utilization", {"type": "float", "default": 0.9}),
        ("vllm", "0.33.0", "max-model-len", {"type": "human_int", "also": ["auto"]}),
        ("vllm", "0.33.0", "use-tqdm-on-load", {"kind": "bool", "default": True}),
        ("vllm", "0.33.0", "served-model-name", {"kind": "list"}),
        ("vllm", "0.33.0", "middleware", {"kind": "repeat"}),
        ("vllm", "0.33.0", "hf-overrides", {"kind": "json_or_str"}),
        ("vllm", "0.33.0", "compilation-config", {"kind": "json", "spellings": ["-cc"]}),
        ("vllm", "0.33.0", "tensor-parallel-size", {"type": "int", "spellings": ["-tp"]}),
        ("sglang", "0.5.23", "tp-size", {"type": "int", "default": 1}),
        ("sglang", "0.5.23", "served-model-name", {"kind": "value", "type": "str"}),
        ("sglang", "0.5.3", "model-path", {"spellings": ["--model"]}),
        ("llama_cpp", "0.6.0", "ctx-size", {"type": "int", "env": "LLAMA_ARG_CTX_SIZE"}),
        ("llama_cpp", "0.6.0", "kv-unified", {"negations": ["-no-kvu", "--no-kv-unified"]}),
        ("gateway", "1.13.0", "worker-urls", {"kind": "list"}),
        ("gateway", "0.3.2", "policy", {"default": "cache_aware"}),
    ],
)
def test_facts_that_operators_lean_on(engine: str, version: str, name: str, what: dict) -> None:
    row = tables.load(engine).versions[version][name]
    assert {key: row.get(key) for key in what} == what


@pytest.mark.parametrize(
    ("name", "until", "instead"),
    [
        ("guided-decoding-backend", "0.11.2", "use backend of --structured-outputs-config"),
        ("task", "0.12.0", "use --runner and --convert"),
        ("cuda-graph-sizes", "0.12.0", "cudagraph-capture-sizes"),
    ],
)
def test_what_vllm_has_removed(name: str, until: str, instead: str) -> None:
    row = [row for row in shipped("vllm")["flags"] if row["name"] == name][-1]
    before = [v for v in shipped("vllm")["versions"] if order(v) <= order(row["until"])]
    assert order(before[-1]) >= order(until)
    assert row["replaced_by"] == instead


def test_a_flag_that_got_another_name_is_replaced_by_it() -> None:
    row = [row for row in shipped("sglang")["flags"] if row["name"] == "tensor-parallel-size"][-1]
    assert row["replaced_by"] == "tp-size"


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_table_is_written_as_it_was_read(engine: str) -> None:
    text = (tables.FOLDER / f"{engine}.json").read_text("utf-8")
    assert tables.text(tables.load(engine)) == text


def test_intervals_of_a_flag_that_changes_goes_and_comes_back() -> None:
    one, two = {"name": "x", "kind": "flag"}, {"name": "x", "kind": "value"}
    table = Table("none", {"0.9": {"x": one}, "0.10": {"x": two}, "0.11": {}, "0.12": {"x": two}})
    table.replaced["x"] = "y"
    assert tables.merged(table) == [
        {"name": "x", "since": "0.9", "until": "0.9", "kind": "flag"},
        {"name": "x", "since": "0.10", "until": "0.10", "kind": "value", "replaced_by": "y"},
        {"name": "x", "since": "0.12", "until": None, "kind": "value"},
    ]


def test_versions_are_ordered_by_number() -> None:
    said = ["0.5.10", "b10156", "0.5.9.post1", "0.5.9", "1.0.0", "b9093"]
    assert sorted(said, key=order) == ["b9093", "b10156", "0.5.9", "0.5.9.post1", "0.5.10", "1.0.0"]
    with pytest.raises(ValueError, match="latest"):
        order("latest")


def test_each_version_has_its_page_and_there_is_no_other() -> None:
    wanted = {path.name for path in pages.files()}
    assert {path.name for path in pages.FOLDER.iterdir()} == wanted
    assert sum(path.stat().st_size for path in pages.FOLDER.iterdir()) < 3_000_000


def test_a_page_names_every_spelling() -> None:
    for engine in ENGINES.values():
        table = tables.load(engine.name)
        version = list(table.versions)[-1]
        page = pages.page(engine, table, version)
        for row in table.versions[version].values():
            for spelling in spellings(row):
                assert f"`{spelling}`" in page


# -- The command -------------------------------------------------------------------------------------

BACKEND = """
import pathlib
pathlib.Path("MARK").write_text("run")
def prepare_metadata_for_build_wheel(*words, **more): raise SystemExit(1)
def build_wheel(*words, **more): raise SystemExit(1)
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages instead of a registry: pip itself, and no network."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(fetch, "DOWNLOADS", tmp_path / "downloads")
    monkeypatch.setattr(fetch, "PYTHONS", fetch.PYTHONS[:1])
    return folder


def sdist(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    top = f"{name}-{version}"
    with tarfile.open(folder / f"{top}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    info = f"{name}-{version}.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {
            **files,
            f"{info}/METADATA": meta,
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": "",
        }.items():
            archive.writestr(path, text)


def add(folder: Path, *words: str) -> int:
    return main(["add", "--tables", str(folder), *words])


def test_a_source_distribution_is_read_and_nothing_of_it_runs(
    registry: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    meta = "Metadata-Version: 2.1\nName: vllm\nVersion: 9.9.9\n"
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "vllm"\nversion = "9.9.9"\n'
    )
    papers = {
        "PKG-INFO": meta,
        "pyproject.toml": project,
        "backend.py": BACKEND.replace("MARK", str(mark)),
        "setup.py": f"open({str(mark)!r}, 'w')",
        "docs/large.txt": "not wanted",
    }
    sdist(registry, "vllm", "9.9.9", samples.VLLM | papers)
    assert add(tmp_path / "tables", "vllm", "9.9.9") == 0
    table = tables.load("vllm", tmp_path / "tables")
    assert len(table.versions["9.9.9"]) == 28
    assert not mark.exists()
    kept = tmp_path / "downloads" / "vllm-9.9.9"
    assert not (kept / "docs").exists()


def test_a_wheel_is_read(registry: Path, tmp_path: Path) -> None:
    wheel(registry, "sglang", "9.9.9", samples.SGLANG_FIELDS)
    assert add(tmp_path / "tables", "sglang", "9.9.9") == 0
    assert len(tables.load("sglang", tmp_path / "tables").versions["9.9.9"]) == 10


def test_a_version_that_is_nowhere(registry: Path, tmp_path: Path, capsys) -> None:
    assert add(tmp_path / "tables", "sglang", "9.9.9") == 1
    assert "pip has no sglang 9.9.9" in capsys.readouterr().err
    assert not (tmp_path / "tables").exists()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A table with two versions, read from samples."""
    root = samples.write(tmp_path / "one", samples.GATEWAY)
    assert add(tmp_path / "tables", "--source", str(root), "gateway", "1.2.0", "1.10.0") == 0
    return tmp_path / "tables"


def test_a_version_that_is_there_already_changes_nothing(there: Path, tmp_path: Path) -> None:
    before = (there / "gateway.json").read_bytes()
    assert add(there, "gateway", "1.10.0") == 0
    assert (there / "gateway.json").read_bytes() == before
    assert add(there, "--again", "--source", str(tmp_path / "one"), "gateway", "1.10.0") == 0
    assert (there / "gateway.json").read_bytes() == before


def test_a_version_between_two_others(there: Path, tmp_path: Path) -> None:
    root = samples.write(tmp_path / "two", samples.GATEWAY)
    path = root / "smg" / "router_args.py"
    path.write_text(path.read_text().replace("selector", "chooser"))
    assert add(there, "--source", str(root), "gateway", "1.9.0") == 0
    said = json.loads((there / "gateway.json").read_text())
    assert said["versions"] == ["1.2.0", "1.9.0", "1.10.0"]
    spans = [(r["name"], r["since"], r["until"]) for r in said["flags"] if "er" in r["name"][-4:]]
    assert spans == [("chooser", "1.9.0", "1.9.0")]
    around = [(r["since"], r["until"]) for r in said["flags"] if r["name"] == "selector"]
    assert around == [("1.2.0", "1.2.0"), ("1.10.0", None)]


def test_a_version_that_would_be_incomplete_is_not_written(
    there: Path, tmp_path: Path, capsys
) -> None:
    before = (there / "gateway.json").read_bytes()
    root = samples.write(tmp_path / "two", samples.GATEWAY)
    path = root / "smg" / "router_args.py"
    path.write_text(path.read_text().replace('f"--{prefix}policy"', "unheard_of()"))
    assert add(there, "--source", str(root), "gateway", "1.11.0") == 1
    assert "cannot be read" in capsys.readouterr().err
    assert (there / "gateway.json").read_bytes() == before


def test_builds_of_llama_cpp_are_known_by_what_they_call_themselves(tmp_path: Path, capsys) -> None:
    root = samples.write(tmp_path / "one", samples.LLAMA_CPP)
    folder = tmp_path / "tables"
    assert add(folder, "--source", str(root), "llama_cpp", "700") == 0
    said = json.loads((folder / "llama_cpp.json").read_text())
    assert (said["versions"], said["builds"]) == (["0.9.1"], {"0.9.1": 700})
    before = (folder / "llama_cpp.json").read_bytes()
    assert add(folder, "llama_cpp", "700") == 0
    assert add(folder, "--source", str(root), "llama_cpp", "800") == 1
    assert "0.9.1 is there, from build 700" in capsys.readouterr().err
    assert (folder / "llama_cpp.json").read_bytes() == before
    assert add(folder, "--again", "--source", str(root), "llama_cpp", "800") == 0
    assert tables.load("llama_cpp", folder).builds == {"0.9.1": 800}


def test_what_a_parser_says_of_a_flag_that_is_gone_is_kept(tmp_path: Path) -> None:
    """Also by versions that do not know it any more."""
    folder, root = tmp_path / "tables", samples.write(tmp_path / "one", samples.LLAMA_CPP)
    options, papers = root / "common" / "arg.cpp", root / "CMakeLists.txt"
    now, project = options.read_text(), papers.read_text()

    def build(number: int, text: str) -> dict:
        options.write_text(text)
        papers.write_text(project.replace("MINOR 9", f"MINOR {number}"))
        assert add(folder, "--source", str(root), "llama_cpp", str(number)) == 0
        flags = json.loads((folder / "llama_cpp.json").read_text())["flags"]
        return next(row for row in flags if row["name"] == "draft-max")

    alive = now.replace('arg_removed("use --spec-max instead")', "params.n = 1")
    assert build(1, alive)["until"] is None
    gone = build(2, now)
    assert (gone["until"], gone["replaced_by"]) == ("0.1.1", "use --spec-max")
    assert build(3, now.replace('{"--draft", "--draft-max"}', '{"--other"}')) == gone


def test_what_there_is(capsys) -> None:
    assert main(["list"]) == 0
    assert "vllm: 0.9.2" in capsys.readouterr().out
