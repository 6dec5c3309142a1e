# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: check a configuration, or serve it."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import sys
from pathlib import Path

import uvloop

from . import __version__, processes, succession
from .config_reader import load
from .config_values import ConfigError
from .lifecycle import MainProcess
from .listeners import StartError, check_exposure
from .server import Server
from .systemd import ActivationError

log = logging.getLogger("onehop_router")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 well, 1 failed, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="onehop-router", description="One endpoint in front of many inference workers."
    )
    parser.add_argument("--config", type=Path, required=True, help="the JSON configuration file")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only check the configuration: silent and 0 if it is good; reads no secret",
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="have the running router take the configuration, or a successor its place",
    )
    parser.add_argument(
        "--credentials", type=Path, help="with --reload: the directory that credentials are in now"
    )
    parser.add_argument("--version", action="version", version=f"onehop-router {__version__}")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.check:
            check(options.config)
        elif options.reload:
            log.info("%s", succession.reload(options.config, os.environ, options.credentials))
        else:
            serve(options.config)
    except ConfigError as error:
        for problem in error.problems:
            log.error("config: %s", problem)
        return 1
    except ActivationError as error:
        log.error("socket activation: %s", error)
        return 1
    except StartError as error:
        log.error("%s", error)
        return 1
    return 0


def serve(path: Path) -> None:
    """Serve to the end. Raises ConfigError, ActivationError or StartError."""
    # systemd's watchdog ends a process that hangs with SIGABRT: it then says where it hung.
    faulthandler.enable()
    main_process = MainProcess(path, os.environ)
    if main_process.config.processes > 1:
        processes.serve(main_process)
        return
    server = Server(main_process.config, main_process.sockets)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main_process.run(server))


def check(path: Path) -> None:
    """Check a file without reading secrets or listening. Raises ConfigError."""
    config = load(path, None)
    check_exposure(config, [config.host])


if __name__ == "__main__":
    sys.exit(main())
