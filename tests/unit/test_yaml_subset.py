# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The YAML that is read, as others read it, and the rest, which is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.onehop.llm.plugins.module_utils import _yaml_subset

from .cdi_machine import dump


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
