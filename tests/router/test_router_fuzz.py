# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mangled requests within bounds: both parsers, the reference, llhttp and a whole router agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import router_fuzz as fuzz
import router_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from router_harness import FILES, run

NUMBER = st.integers(0, 4095)
EDITS = st.lists(st.tuples(st.integers(0, fuzz.KINDS - 1), NUMBER, NUMBER), max_size=6)
PLACES = st.lists(NUMBER, max_size=5)


@pytest.mark.parametrize("data", fuzz.CORPUS)
def test_the_corpus_is_fine_wherever_it_is_cut(data):
    assert reference.read(data).end == len(data)
    for at in range(len(data)):
        fuzz.check_parsers(data, [at])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(fuzz.CORPUS) - 1), EDITS, PLACES)
def test_mangled_requests_are_read_alike(start, edits, places):
    fuzz.check_parsers(fuzz.mangle(start, edits), places)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(fuzz.FRAGMENTS), max_size=12), PLACES)
def test_fragments_behind_a_fine_line_are_read_alike(parts, places):
    fuzz.check_parsers(b"POST / HTTP/1.1\r\nHost: a\r\n" + b"".join(parts) + b"\r\n\r\n", places)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(fuzz.FRAGMENTS), max_size=12), PLACES)
def test_fragments_for_chunks_are_read_alike(parts, places):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    fuzz.check_parsers(head + b"".join(parts) + b"0\r\n\r\n", places)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), PLACES)
def test_any_bytes_are_read_alike(data, places):
    fuzz.check_parsers(data, places)


def test_a_whole_router_relays_what_was_sent_and_nothing_else():
    async def work():
        stack = fuzz.Stack()

        @settings(max_examples=300, deadline=None)
        @given(st.integers(0, len(fuzz.CORPUS) - 1), EDITS, PLACES)
        def mangled(start, edits, places):
            stack.check(fuzz.cut(fuzz.mangle(start, edits), places))

        try:
            mangled()
        finally:
            stack.close()

    run(work())


def test_the_command_for_long_runs():
    command = Path(fuzz.__file__).with_name("fuzz_router.py")
    done = subprocess.run(
        [sys.executable, str(command), "--seconds", "0.5", "--seed", "7"],
        env={"PYTHONPATH": str(FILES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "seed 7" in done.stdout
