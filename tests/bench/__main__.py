# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares OneHop's router with other proxies, in one run and on cores of their own: scripts/bench.

Every load runs against every peer in turn, each time against a fresh process, and the whole is
repeated; a ratio is taken within a repeat, so that it holds when the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import environments, peers, processes, report
from bench.figures import Run, add_distance
from bench.loads import GROUPS, LOADS, Duration, Load
from bench.machine import Cores, describe, split_cores
from bench.peers import Peer
from bench.window import Proxy

OURS = "onehop"
_NEEDED_FILES = 2 * peers.MAX_STREAMS + 500


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 for a wrong word on it."""
    options = _options(argv)
    try:
        cores = split_cores(sorted(os.sched_getaffinity(0)), options.cores)
        chosen, missing = _peers(options)
        loads = _loads(options)
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for line in missing:
        print(f"not here: {line}")
    _raise_limits()
    # Ended from outside, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *dummy: sys.exit(128 + signal.SIGTERM))
    names = [report.DIRECT, *(peer.name for peer in chosen)]
    base = options.base or next(name for name in names if name != report.DIRECT)
    title = [
        describe(cores),
        "; ".join(f"{one.name}: {one.what}" for one in chosen),
        "keys are checked and requests logged by all but: "
        + (", ".join(one.name for one in chosen if not one.duties) or "none"),
        f"{options.repeats} repeats of {options.seconds:g} s; a cell is the median, then its ratio to "
        f"{base} within a repeat: median, smallest to largest",
    ]
    print("\n".join(title))
    results: dict[str, list[Run]] = {}
    for load in loads:
        runs = _repeat(load, chosen, cores, options)
        results[load.name] = runs
        print(f"\n{load.name}\n{report.plain(report.table(runs, names, base))}", flush=True)
        for note in report.notes(runs, names):
            print(f"note: {note}")
    print("\n" + "\n".join(report.goals(results, OURS)))
    if options.output:
        options.output.write_text(report.document(title, results, names, base, OURS))
    if options.json:
        options.json.write_text(json.dumps({"title": title, "results": results}, indent=1))
    return 0


def _repeat(
    load: Load, chosen: Sequence[Peer], cores: Cores, options: argparse.Namespace
) -> list[Run]:
    duration = Duration(options.warmup, options.seconds)
    runs: list[Run] = []
    for count in range(options.repeats):
        run: dict[str, dict[str, float]] = {}
        _measure(report.DIRECT, run, partial(_direct, load, cores, duration))
        # Who goes first changes from repeat to repeat.
        turn = count % len(chosen)
        for peer in (*chosen[turn:], *chosen[:turn]):
            _measure(peer.name, run, partial(_through, peer, load, cores, duration))
        add_distance(run, "p50 us", "added p50 us", report.DIRECT)
        runs.append(run)
    return runs


def _direct(load: Load, cores: Cores, duration: Duration) -> dict[str, float]:
    with processes.backend(cores) as port:
        return load.measure(port, Proxy(0, cores.proxy), cores, duration)


def _through(peer: Peer, load: Load, cores: Cores, duration: Duration) -> dict[str, float]:
    with (
        processes.backend(cores) as backend,
        processes.running(peer, backend, cores) as (port, proxy),
    ):
        return load.measure(port, proxy, cores, duration)


def _measure(
    name: str, run: dict[str, dict[str, float]], measure: Callable[[], dict[str, float]]
) -> None:
    # One peer that fails under a load leaves a hole in the table, and the others go on.
    try:
        run[name] = measure()
    except (RuntimeError, OSError, ValueError) as error:
        print(f"bench: {name}: {error}", file=sys.stderr, flush=True)


def _peers(options: argparse.Namespace) -> tuple[list[Peer], list[str]]:
    chosen, missing = peers.installed()
    python = environments.router_python(options.python)
    chosen.append(peers.onehop(OURS, python, environments.ROUTER))
    for text in options.router:
        name, mark, folder = text.partition("=")
        if not mark or not Path(folder, "onehop_router").is_dir():
            raise ValueError(f"--router {text}: write NAME=FOLDER, the folder of onehop_router")
        chosen.append(peers.onehop(name, python, Path(folder).resolve()))
    wanted = options.only.split(",") if options.only else None
    if wanted is None or "aiohttp" in wanted:
        relay = environments.environment("aiohttp", options.python, environments.AIOHTTP)
        chosen.append(peers.aiohttp_relay(relay))
    if options.go:
        chosen.append(peers.go_relay(environments.go_relay(options.python)))
    if options.litellm:
        relay = environments.environment("litellm", options.python, environments.LITELLM)
        chosen.append(peers.litellm(relay))
    chosen += [peers.custom(text) for text in options.peer]
    if wanted is not None:
        unknown = set(wanted) - {peer.name for peer in chosen}
        if unknown:
            raise ValueError(f"--only: there is no {', '.join(sorted(unknown))} here")
        chosen = [peer for peer in chosen if peer.name in wanted]
    if options.base and options.base not in {peer.name for peer in chosen}:
        raise ValueError(f"--base: there is no {options.base} here")
    return chosen, missing


def _loads(options: argparse.Namespace) -> list[Load]:
    groups = options.loads.split(",") if options.loads else GROUPS
    unknown = set(groups) - set(GROUPS)
    if unknown:
        raise ValueError(f"--loads {options.loads}: choose from {','.join(GROUPS)}")
    return [load for load in LOADS if load.group in groups and (load.quick or not options.quick)]


def _raise_limits() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _NEEDED_FILES:
        # Root may go beyond the hard limit; others get as far as it allows.
        wanted = max(hard, _NEEDED_FILES) if os.geteuid() == 0 else min(hard, _NEEDED_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer loads, once, under 2 minutes")
    parser.add_argument("--loads", help=f"only these: {','.join(GROUPS)}")
    parser.add_argument("--only", help="only these peers, by name, with commas")
    parser.add_argument("--base", help="the peer that ratios are taken to (default: the first)")
    parser.add_argument("--repeats", type=int, help="default 5, quick 1")
    parser.add_argument("--seconds", type=float, help="of one measurement: default 5, quick 1")
    parser.add_argument("--warmup", type=float, help="seconds before it: default 1, quick 0.5")
    parser.add_argument("--cores", help="PROXY:LOAD[,LOAD], by their numbers")
    parser.add_argument(
        "--python",
        default=environments.system_python(),
        help="the Python under the router and the relays (default: the system's)",
    )
    parser.add_argument(
        "--router",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="another checkout's roles/router/files, as a further peer",
    )
    parser.add_argument(
        "--go",
        action="store_true",
        help="a relay of Go's standard library too, as LLMhop is one (a large download)",
    )
    parser.add_argument("--litellm", action="store_true", help="LiteLLM too (a large download)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="any other proxy; {port}, {backend} (a URL), {key}, {model} and {config} (a file as "
        "LLMhop reads it) are filled in: --peer llmhop='/opt/llmhop -config {config}'",
    )
    parser.add_argument("--output", type=Path, help="write the report there, in Markdown")
    parser.add_argument("--json", type=Path, help="write every figure there")
    options = parser.parse_args(argv)
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 5.0)
    options.warmup = options.warmup or (0.5 if options.quick else 1.0)
    return options


if __name__ == "__main__":
    sys.exit(main())
