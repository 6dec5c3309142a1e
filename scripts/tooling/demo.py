# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two models and the router on a throwaway host, and an answer of each: scripts/demo."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tooling.steps import BIN, CACHE, ROOT, environment, stop_on_signals

HOST = "onehop-demo"
DEMO = CACHE / "demo"
SUITE = "forky"
"""The first Debian with a package of llama.cpp."""
INVENTORY = ("scripts/demo.yml", ".cache/demo/hosts.yml")
TESTHOST = (BIN / "python", "-m", "testhost")


class Unexpected(Exception):
    """The demo did not show what it is there to show."""


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def run(*words: str | Path, key: str = "") -> None:
    subprocess.run(words, cwd=ROOT, check=True, env=environment({"DEMO_KEY": key}))


def output_of(*words: str | Path) -> str:
    return subprocess.run(
        words, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, env=environment()
    ).stdout


def make_model() -> Path:
    """A folder with a model small enough to be made on the spot. It speaks nonsense, fluently."""
    folder = DEMO / "models"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tiny.gguf").exists():
        run(BIN / "python", "tests/assets/tiny_gguf.py", folder / "tiny.gguf.new")
        (folder / "tiny.gguf.new").rename(folder / "tiny.gguf")
    return folder


def boot(models: Path) -> str:
    """The host's address; a host that an earlier run left is replaced."""
    run(*TESTHOST, "down", HOST)
    owner = ("--owner-pid", str(os.getpid()))
    run(*TESTHOST, "up", f"{HOST}@{SUITE}", "--bind-ro", f"{models}:/srv/models", *owner)
    (DEMO / "hosts.yml").write_text(output_of(*TESTHOST, "inventory", HOST), encoding="utf-8")
    return output_of(*TESTHOST, "address", HOST).strip()


def playbook(name: str, key: str, *options: str, quiet: bool = False) -> str:
    """Runs a playbook of the collection and gives its last lines, which count what it changed."""
    words: list[str | Path] = [BIN / "ansible-playbook", f"onehop.llm.{name}", *options]
    words += [word for path in INVENTORY for word in ("-i", path)]
    env = {"DEMO_KEY": key, "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}
    if quiet:
        env["ANSIBLE_DISPLAY_OK_HOSTS"] = "false"
    with subprocess.Popen(
        words, cwd=ROOT, text=True, stdout=subprocess.PIPE, env=environment(env)
    ) as process:
        lines = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return "".join(lines).rpartition("PLAY RECAP")[2]


def ask(url: str, key: str, body: dict[str, object] | None = None) -> str:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return str(answer.read().decode())


def chat(base: str, key: str, model: str) -> None:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": "One hop to every model?"}],
        "max_tokens": 24,
    }
    start = time.monotonic()
    answer = json.loads(ask(f"{base}/v1/chat/completions", key, body))
    text = " ".join(answer["choices"][0]["message"]["content"].split())
    print(f"{model:<10}{(time.monotonic() - start) * 1000:5.0f} ms  {text}")


def show() -> None:
    key = secrets.token_urlsafe(24)
    start = time.monotonic()
    say("A model, made on the spot: random weights, so it speaks gibberish")
    models = make_model()
    say("A host, booted from a file system that is built once (some minutes) and kept")
    address = boot(models)
    base = f"http://{address}:8080"
    say("ansible-playbook onehop.llm.site")
    playbook("site", key)
    say("The second run changes nothing")
    if " changed=0 " not in playbook("site", key, quiet=True):
        raise Unexpected("the second run changed something")
    say("ansible-playbook onehop.llm.status")
    playbook("status", key)
    say(f"A chat with each model that {base}/v1/models lists, with a client's key")
    for model in json.loads(ask(f"{base}/v1/models", key))["data"]:
        chat(base, key, model["id"])
    print(
        f"\nllama-server made these words on {HOST} ({address}), {time.monotonic() - start:.0f} s "
        "after the start. Gibberish is expected: the same playbook serves real GGUF files."
    )
    if sys.stdin.isatty() and sys.stdout.isatty():
        linger(base, address, key)


def linger(base: str, address: str, key: str) -> None:
    """Leaves the host up for a person to try, until Enter."""
    body = '{"model": "tiny", "messages": [{"role": "user", "content": "One hop?"}]}'
    print(
        f"\nThe host is up at {address}. Try it from another terminal:\n\n"
        f"  curl {base}/v1/chat/completions \\\n"
        f"    -H 'Authorization: Bearer {key}' \\\n"
        f"    -d '{body}'\n\n"
        f"  molecule/testhost/testhost exec {HOST} -- systemctl status 'llama-cpp-*' onehop-router\n"
    )
    with contextlib.suppress(EOFError):
        input("Enter stops it. ")


def main() -> int:
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args()
    stop_on_signals()
    DEMO.mkdir(parents=True, exist_ok=True)
    finished = False
    try:
        show()
        finished = True
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        failed = " ".join(str(word) for word in error.cmd)
        print(f"\nfailed with status {error.returncode}: {failed}", file=sys.stderr)
    except Unexpected as error:
        print(f"\n{error}", file=sys.stderr)
    except (urllib.error.URLError, OSError, ValueError) as error:
        print(f"\nthe router gave no answer: {error}", file=sys.stderr)
    finally:
        subprocess.run([*TESTHOST, "down", HOST], cwd=ROOT, check=False, env=environment())
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
