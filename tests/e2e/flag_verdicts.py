# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM's own parser says of command lines; it runs inside of vLLM's image, with its Python.

Standard input: JSON lines, each an object whose ``words`` follow ``vllm serve``. Standard output: a
line for each, ``{"accepted": BOOLEAN, "said": TEXT}``. Nothing is served, no model is looked at.
"""

import contextlib
import io
import json
import os
import sys

ANSWERS = os.fdopen(os.dup(1), "w")
# vLLM writes its log to standard output.
os.dup2(2, 1)


def make_parser():
    """The parser as the command ``vllm`` makes it, with ``serve`` alone."""
    from vllm.entrypoints.cli.serve import cmd_init  # type: ignore[import-not-found,unused-ignore]
    from vllm.utils.argparse_utils import (  # type: ignore[import-not-found,unused-ignore]
        FlexibleArgumentParser,
    )

    parser = FlexibleArgumentParser(prog="vllm")
    commands = parser.add_subparsers(dest="subparser")
    for command in cmd_init():
        command.subparser_init(commands)
    return parser


def verdict(parser, words):
    """Whether it takes the words, and the end of what it says of them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parser.parse_args(["serve", *words])
    except (Exception, SystemExit) as refusal:
        return {"accepted": False, "said": (said.getvalue() or repr(refusal))[-300:]}
    return {"accepted": True, "said": ""}


def main():
    parser = make_parser()
    for line in sys.stdin:
        print(json.dumps(verdict(parser, json.loads(line)["words"])), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
