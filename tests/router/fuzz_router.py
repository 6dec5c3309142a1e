# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes the router's heads, chunks and connections for as long as it is told; see router_fuzz.

Run it with the project's Python: `.venv/bin/python tests/router/fuzz_router.py --seconds 600`. What
it finds is printed as Python bytes, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "roles" / "router" / "files")]

import router_fuzz as fuzz  # noqa: E402


def main() -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(description="Fuzz the router's parsers and connections.")
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run (random)")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    return asyncio.run(fuzz_for(options.seconds, random.Random(seed)))


async def fuzz_for(seconds: float, source: random.Random) -> int:
    """Mangle until the time is over, or something is found."""
    stack = fuzz.Stack()
    end = time.monotonic() + seconds
    count = 0
    try:
        while time.monotonic() < end:
            data = fuzz.mangle(*fuzz.random_edits(source))
            places = [source.randrange(4096) for dummy in range(source.randrange(5))]
            try:
                fuzz.check_parsers(data, places)
                stack.check(fuzz.cut(data, places))
            except Exception:
                traceback.print_exc()
                print(f"found after {count} requests: {data!r}, cut at {places}")
                return 1
            count += 1
            if count % 1000 == 0:
                await asyncio.sleep(0)
    finally:
        stack.close()
    print(f"{count} requests, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
