# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``PYTHONPATH=molecule python3 -m testhost COMMAND …``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from . import checks, commands
from .process import HostError, Interrupted, interruptible, say
from .recipes import RECIPES

GRACE = "seconds before the power is cut (default: %(default)s)"
MIRROR = "Debian archive (default: ONEHOP_MIRROR, or what apt uses here)"
ENVIRONMENT = "ONEHOP_CACHE=/var/cache/onehop, ONEHOP_STATE=/run/onehop-testhost, ONEHOP_MIRROR"
USERS = ("root", "admin")


def add_up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME[@SUITE]")
    parser.add_argument("--suite", default="trixie", choices=RECIPES, help="for names without one")
    parser.add_argument(
        "--bind-ro", action="append", default=[], metavar="SRC:DST", help="show a path inside"
    )
    parser.add_argument("--bridge-address", metavar="A.B.C.D/N", help="default: 198.18.87.1/24")
    parser.add_argument("--mirror", help=MIRROR)
    parser.add_argument(
        "--timeout", type=float, default=90, help="seconds a boot may take (default: 90)"
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="testhost",
        description="Throwaway Debian hosts with systemd. They reach each other and this machine.",
        epilog=f"Environment: {ENVIRONMENT}.",
    )
    sub = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = sub.add_parser("check", help="say what this machine lacks")
    check.add_argument(
        "--install", action="store_true", help="install missing commands with apt-get"
    )
    build = sub.add_parser("build", help="make root filesystems that are missing (up does it too)")
    build.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(RECIPES)}")
    build.add_argument("--mirror", help=MIRROR)
    up = sub.add_parser("up", help="make and boot hosts, wait until they run")
    add_up_options(up)
    up.add_argument("--owner-pid", type=int, metavar="PID", help="the hosts go with this process")
    down = sub.add_parser("down", help="shut hosts down and remove them")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="every host on record")
    down.add_argument("--grace", type=float, default=5, help=GRACE)
    kill = sub.add_parser("kill", help="cut a host's power, keep its disk")
    kill.add_argument("names", nargs="+", metavar="NAME")
    off = sub.add_parser("off", help="shut a host down, keep its disk")
    off.add_argument("names", nargs="+", metavar="NAME")
    off.add_argument("--grace", type=float, default=90, help=GRACE)
    boot = sub.add_parser("boot", help="boot hosts that are off from the disk they have")
    boot.add_argument("names", nargs="+", metavar="NAME")
    boot.add_argument("--timeout", type=float, default=90)
    listing = sub.add_parser("list", help="hosts on record")
    listing.add_argument("--json", action="store_true", dest="as_json")
    execute = sub.add_parser("exec", help="run a command inside: exec NAME -- CMD…")
    execute.add_argument("name", metavar="NAME")
    execute.add_argument("--user", default="root")
    inventory = sub.add_parser("inventory", help="an Ansible inventory on stdout")
    inventory.add_argument("names", nargs="*", metavar="NAME")
    inventory.add_argument("--user", default="root", choices=USERS)
    address = sub.add_parser("address", help="a host's address")
    address.add_argument("name", metavar="NAME")
    run = sub.add_parser(
        "run", help="up, CMD with TESTHOST_INVENTORY set, always down: run NAME… -- CMD…"
    )
    add_up_options(run)
    run.add_argument("--user", default="root", choices=USERS)
    return parser


def dispatch(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Call what was asked for; its exit status."""
    checks.require_root()
    match args.command:
        case "check":
            if args.install:
                checks.install()
            checks.require()
            print(checks.describe())
        case "build":
            commands.build(args.suites or ["trixie", "forky"], args.mirror)
        case "up":
            commands.up(commands.wish(args, args.owner_pid))
        case "run":
            return commands.run(commands.wish(args, os.getpid()), rest, args.user)
        case "down":
            commands.down(args.names, args.all, args.grace)
        case "kill":
            commands.power_off(args.names, 0)
        case "off":
            commands.power_off(args.names, args.grace)
        case "boot":
            commands.boot(args.names, args.timeout)
        case "list":
            rows = commands.listing()
            print(json.dumps(rows, indent=1) if args.as_json else commands.table(rows))
        case "exec":
            commands.execute(args.name, rest, args.user)
        case "inventory":
            print(commands.inventory_text(args.names, args.user), end="")
        case "address":
            print(commands.address(args.name))
    return 0


def main(argv: Sequence[str]) -> int:
    own, rest = list(argv), []
    if "--" in own:
        split = own.index("--")
        own, rest = own[:split], own[split + 1 :]
    # A shell that came by `su` has no sbin in its PATH, where half of what is called here lies.
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    parser = build_parser()
    args = parser.parse_args(own)
    if rest and args.command not in ("exec", "run"):
        parser.error(f"{args.command} takes no command after --")
    try:
        with interruptible():
            return dispatch(args, rest)
    except (HostError, OSError) as error:
        say(str(error))
        return 1
    except Interrupted as interrupted:
        say(f"stopped by {interrupted}")
        return 128 + interrupted.signum


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
