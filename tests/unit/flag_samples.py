# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small sources in the layouts of the engines, written for the tests of the extractors. Doubles of what is published."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


VLLM = {
    "vllm/__init__.py": "",
    "vllm/config/__init__.py": "from vllm.config.model import ModelConfig\n",
    "vllm/config/model.py": '''
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional, Union
from pydantic import Field, SkipValidation
from vllm.config.utils import config
if TYPE_CHECKING:
    from somewhere import LoadFormats
else:
    LoadFormats = str

Runner = Literal["auto", "generate", "pooling"]
Sizes = Literal[8, 16]


class Backend(Enum):
    SLOW = "slow"
    FAST = "fast"


@config
class Inner:
    depth: int = 1


@config
class Base:
    seed: int = 0
    """A seed."""


@config
class ModelConfig(Base):
    limit: ClassVar[int] = 3
    model: str = "tiny"
    runner: Runner = "auto"
    tokenizer_mode: Union[Literal["auto", "slow"], str] = "auto"
    block_size: SkipValidation[Sizes] = None
    max_model_len: int = Field(default=None, gt=0)
    max_batch: Optional[int] = None
    share: float = 0.9
    trust_remote_code: bool = False
    use_bar: bool = True
    hf_token: Optional[Union[bool, str]] = None
    names: Optional[Union[str, list[str]]] = None
    traces: Optional[list[Runner]] = None
    pair: tuple[int, int] = (1, 2)
    overrides: dict[str, Any] = Field(default_factory=dict)
    map_location: Union[str, dict[str, str]] = "cpu"
    inner: Inner = Field(default_factory=Inner)
    backend: Backend = Backend.FAST
    load_format: Union[str, LoadFormats] = "auto"
    origins: list[str] = Field(default_factory=lambda: ["*"])
''',
    "vllm/config/utils.py": "def config(cls):\n    return cls\n",
    "vllm/utils/__init__.py": "",
    "vllm/utils/argparse_utils.py": "class EnableDisableAction:\n    pass\n",
    "vllm/engine/arg_utils.py": """
import argparse
import json
import sys
from vllm.config import ModelConfig
from vllm.utils.numbers import human_readable_int, human_readable_int_or_auto


def optional_type(inner):
    def _optional_type(value):
        return None if value == "" else inner(value)
    return _optional_type


def get_kwargs(cls):
    for field in fields(cls):
        if type_hints == {bool, str, type(None)}:
            pass
        elif contains_type(type_hints, int):
            large = {"max_batch"}
            if name == "max_model_len":
                kwargs[name]["type"] = human_readable_int_or_auto
            elif name in large:
                kwargs[name]["type"] = human_readable_int


class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kwargs = get_kwargs(ModelConfig)
        group = parser.add_argument_group(title="Model")
        if not "--help" in sys.argv:
            group.add_argument("--model", **kwargs["model"])
        group.add_argument("--seed", **kwargs["seed"])
        group.add_argument("--runner", **kwargs["runner"])
        group.add_argument("--tokenizer-mode", **kwargs["tokenizer_mode"])
        group.add_argument("--block-size", **kwargs["block_size"])
        group.add_argument("--max-model-len", "-m", **kwargs["max_model_len"])
        group.add_argument("--max_batch", **{**kwargs["max_batch"], "default": 7})
        group.add_argument("--share", **kwargs["share"])
        group.add_argument("--trust-remote-code", **kwargs["trust_remote_code"])
        group.add_argument("--use-bar", **kwargs["use_bar"])
        group.add_argument("--hf-token", **kwargs["hf_token"])
        group.add_argument("--names", **kwargs["names"])
        kwargs["traces"]["choices"] += ["all"]
        group.add_argument("--traces", **kwargs["traces"])
        group.add_argument("--pair", **kwargs["pair"])
        group.add_argument("--overrides", **kwargs["overrides"])
        group.add_argument("--map-location", **kwargs["map_location"])
        group.add_argument("--inner", **kwargs["inner"])
        group.add_argument("--backend", **kwargs["backend"])
        group.add_argument("--load-format", **kwargs["load_format"])
        for name, kind in [("--old-one", int), ("--old-two", bool)]:
            group.add_argument(name, type=kind, deprecated=True)
        kwargs["inner"]["type"] = optional_type(json.loads)
        group.add_argument("--enable-x", "-x", action=argparse.BooleanOptionalAction)
        return parser
""",
    "vllm/utils/numbers.py": "def human_readable_int(v): ...\ndef human_readable_int_or_auto(v): ...\n",
    "vllm/entrypoints/openai/cli_args.py": """
import json
from vllm.engine.arg_utils import EngineArgs
from vllm.config.utils import config
from dataclasses import field


@config
class BaseFrontendArgs:
    chat_template: str | None = None

    @classmethod
    def _customize(cls, kwargs):
        return kwargs

    @classmethod
    def add_cli_args(cls, parser):
        from vllm.engine.arg_utils import get_kwargs
        kwargs = cls._customize(get_kwargs(cls))
        for key, value in kwargs.items():
            parser.add_argument(f"--{key.replace('_', '-')}", **value)
        return parser


@config
class FrontendArgs(BaseFrontendArgs):
    port: int = 8000
    middleware: list[str] = field(default_factory=lambda: [])
    origins: list[str] = field(default_factory=list)

    @classmethod
    def _customize(cls, kwargs):
        kwargs = super()._customize(kwargs)
        kwargs["origins"]["type"] = json.loads
        del kwargs["origins"]["nargs"]
        kwargs["middleware"]["action"] = "append"
        if "nargs" in kwargs["middleware"]:
            del kwargs["middleware"]["nargs"]
        return kwargs


def make_arg_parser(parser):
    parser.add_argument("model_tag", type=str, nargs="?")
    parser.add_argument("--headless", action="store_true", default=False)
    parser = FrontendArgs.add_cli_args(parser)
    return EngineArgs.add_cli_args(parser)
""",
    "vllm/entrypoints/cli/serve.py": """
from vllm.entrypoints.openai.cli_args import make_arg_parser


class ServeSubcommand:
    def subparser_init(self, subparsers):
        return make_arg_parser(subparsers.add_parser("serve"))
""",
}

_SGLANG_ACTIONS = """
import argparse


class Gone(argparse.Action):
    def __init__(self, option_strings, dest, new_flag=None, nargs=0, default=False, **kwargs):
        super().__init__(option_strings, dest, nargs=nargs, default=default, **kwargs)


class Paths(argparse.Action):
    pass
"""

SGLANG_CALLS = {
    "sglang/srt/actions.py": _SGLANG_ACTIONS,
    "sglang/srt/server_args.py": """
import argparse
import json
from sglang.srt.actions import Gone, Paths

FORMATS = ["auto", "gguf"]
FORMATS += ["dummy"]


class ServerArgs:
    host: str = "127.0.0.1"
    share: float = None

    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--model-path", "--model", type=str, required=True)
        parser.add_argument("--host", type=str, default=ServerArgs.host)
        parser.add_argument("--load-format", choices=FORMATS, default="auto")
        parser.add_argument("--trust", action="store_true")
        parser.add_argument("--labels", type=json.loads, default=None)
        parser.add_argument("--lora-paths", type=str, nargs="*", action=Paths)
        parser.add_argument("--old", action=Gone)
        parser.add_argument("--older", action=Gone, error_message="use --host")
        names = [one for one in FORMATS if one != "auto"]
        parser.add_argument("--parser", choices=["auto"] + names)
        parser.add_argument("--device", choices=list_devices())
""",
}

_FIELDS = """
    model_path: A[str, Arg(help="Where.", aliases=["--model"])]
    host: A[str, "The host."] = "127.0.0.1"
    tp_size: A[
        int,
        Arg(help="How many.", cli_name="--tp", aliases=["--tensor-parallel-size"]),
    ] = 1
    share: A[Optional[float], "A share."] = None
    trust: A[bool, "Trust."] = False
    mode: A[Optional[Literal["fast", "slow"]], "Mode."] = None
    sizes: A[Optional[List[int]], Arg(help="Sizes.", nargs="*")] = None
    labels: A[Optional[Dict[str, str]], Arg(help="Labels.", type_parser=json.loads)] = None
    overlap: A[
        bool,
        Arg(help="Overlap.", action=argparse.BooleanOptionalAction),
    ] = True
    hidden: A[bool, Arg(no_cli=True)] = False
    handler: A[Optional[str], NS("device")] = None  # "only inside"
    plain: int = 3
"""
_IMPORTS = """
import argparse
import json
from typing import Dict, List, Literal, Optional
from sglang.srt.arg_groups.arg_utils import A, Arg, add_cli_args_from_dataclass
"""
_METHOD = """
    @staticmethod
    def add_cli_args(parser):
        add_cli_args_from_dataclass(parser, ServerArgs)
        parser.add_argument("--config", type=str)
"""
_UTILS = "A = object\n\n\ndef add_cli_args_from_dataclass(parser, cls):\n    fields(cls)\n"

SGLANG_FIELDS = {
    "sglang/srt/arg_groups/arg_utils.py": _UTILS,
    "sglang/srt/server_args.py": f"{_IMPORTS}\n\nclass ServerArgs:{_FIELDS}{_METHOD}",
}

SGLANG_NAMESPACES = {
    "sglang/srt/arg_groups/arg_utils.py": _UTILS,
    "sglang/srt/arg_groups/fields/__init__.py": "",
    "sglang/srt/arg_groups/fields/serving.py": (
        f'{_IMPORTS}\n\nclass Serving:\n    _NS_PATH = "serving"\n{_FIELDS}'
    ),
    "sglang/srt/server_args.py": f"{_IMPORTS}\n\nclass ServerArgs:{_METHOD}",
}

LLAMA_CPP = {
    "CMakeLists.txt": (
        "set(LLAMA_VERSION_MAJOR 0)\nset(LLAMA_VERSION_MINOR 9)\nset(LLAMA_VERSION_PATCH 1)\n"
    ),
    "common/arg.cpp": r"""
// add_opt(common_arg({"--comment"}, "", [](common_params &) {}));
static bool is_truthy(const std::string & value) {
    return value == "on" || value == "1";
}
static std::set<enum llama_example> mm_examples = {LLAMA_EXAMPLE_MTMD, LLAMA_EXAMPLE_SERVER};

common_params_context common_params_parser_init(common_params & params, llama_example ex) {
    auto add_opt = [&](common_arg arg) { ctx_arg.options.push_back(std::move(arg)); };
    add_opt(common_arg(
        {"-h", "--help", "--usage"},
        "print usage and exit",
        [](common_params & params) {
            params.usage = true;
        }
    ));
    add_opt(common_arg(
        {"-t", "--threads"}, "N",
        string_format("number of threads, of (\"%d\")", params.n),
        [](common_params & params, int value) { params.n = value; }
    ).set_env("LLAMA_ARG_THREADS"));
    add_opt(common_arg(
        {"--color"},
        "only for the command line",
        [](common_params & params) { params.color = true; }
    ).set_examples({LLAMA_EXAMPLE_CLI}));
    add_opt(common_arg(
        {"--mmproj-offload"},
        {"--no-mmproj-offload"},
        "a pair",
        [](common_params & params, bool value) { params.offload = value; }
    ).set_examples(mm_examples).set_env("LLAMA_ARG_MMPROJ_OFFLOAD"));
    add_opt(common_arg(
        {"-fa", "--flash-attn"}, "[on|auto]",
        "words",
        [](common_params & params, const std::string & value) {
            if (is_truthy(value)) { params.fa = 1; }
            else if (value == "auto") { params.fa = 2; }
            else { throw std::invalid_argument(string_format("what is '%s'", value.c_str())); }
        }
    ));
    add_opt(common_arg(
        {"-ngl", "--gpu-layers"}, "N",
        "a number or a word",
        [](common_params & params, const std::string & value) {
            if (value == "all") { params.ngl = -2; } else { params.ngl = std::stoi(value); }
        }
    ));
    add_opt(common_arg(
        {"--lora"}, "FNAME",
        R"(a raw "text", with a bracket: ))",
        [](common_params & params, const std::string & value) { params.lora.push_back(value); }
    ).set_examples({LLAMA_EXAMPLE_COMMON}));
    add_opt(common_arg(
        {"--host"}, "HOST",
        "a list that is begun anew",
        [](common_params & params, const std::string & value) {
            params.hosts.clear();
            for (auto & host : parse_csv_row(value)) { params.hosts.push_back(host); }
        }
    ));
    add_opt(common_arg(
        {"--breaker"}, "STRING",
        "a list whose defaults go at first",
        [](common_params & params, const std::string & value) {
            static bool cleared = false;
            if (!cleared) { params.breakers.clear(); cleared = true; }
            params.breakers.emplace_back(value);
        }
    ));
    add_opt(common_arg(
        {"--layer-range"}, "START", "END",
        "two values",
        [](common_params & params, const std::string & start, const std::string & end) {}
    ));
    add_opt(common_arg(
        {"--draft", "--draft-max"}, "N",
        "gone",
        [](common_params &, int) { arg_removed("use --spec-max instead"); }
    ).set_examples({LLAMA_EXAMPLE_SERVER}));
    add_opt(common_arg(
        {"--not-here"},
        "not for the server",
        [](common_params &) {}
    ).set_excludes({LLAMA_EXAMPLE_SERVER}));
    if (ex == LLAMA_EXAMPLE_SERVER) {
        add_opt(common_arg(
            {"-np", "--parallel"}, "N", "slots",
            [](common_params & params, int value) {}
        ).set_examples({LLAMA_EXAMPLE_SERVER}));
    } else {
        add_opt(common_arg(
            {"-np", "--parallel"}, "N", "sequences",
            [](common_params & params, int value) {}
        ));
    }
    return ctx_arg;
}
""",
}

GATEWAY = {
    "smg/launch_router.py": """
import argparse
from smg.router_args import RouterArgs


def parse_router_args(args):
    parser = argparse.ArgumentParser(description="A router")
    RouterArgs.add_cli_args(parser, use_router_prefix=False)
    return RouterArgs.from_cli_args(parser.parse_args(args))
""",
    "smg/router_args.py": """
import dataclasses

POLICIES = ("random", "cache_aware")


@dataclasses.dataclass
class RouterArgs:
    worker_urls: list[str] = dataclasses.field(default_factory=list)
    host: str = "0.0.0.0"
    policy: str = "cache_aware"

    @staticmethod
    def add_cli_args(parser, use_router_prefix=False, exclude_host_port=False):
        prefix = "router-" if use_router_prefix else ""
        if use_router_prefix:
            parser.add_argument("--router-only", action="store_true")
        if not exclude_host_port:
            parser.add_argument("--host", type=str, default=RouterArgs.host)
        parser.add_argument("--worker-urls", type=str, nargs="*", action="extend", default=[])
        parser.add_argument(f"--{prefix}policy", choices=POLICIES, default=RouterArgs.policy)
        parser.add_argument(f"--{prefix}selector", type=str, action="append")
""",
}
