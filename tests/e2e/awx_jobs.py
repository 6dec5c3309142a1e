# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs jobs as AWX has them run: by ansible-runner, with what AWX lays before it.

``awx_jobs.py SITE JOBS`` runs the jobs of the file JOBS one after the other against the hosts of
the file SITE. What AWX does is a double here; ansible-runner, its events, the controller without
root (:mod:`awx_jail`), ssh through a jump host and sudo are real. SITE has

``inventory``    as ``ansible-inventory --list --export`` prints it
``key``          path of the private key of the machine credential
``known_hosts``  lines for the controller's ssh
``home``         path of a folder that outlives jobs, as a persistent volume does

and JOBS has ``secrets``, which may stand nowhere in what a job leaves behind; ``credentials``, by
the name of their type; and ``jobs``, as :class:`Job` says. Templates and types of credentials are
those of playbooks/vars/awx. Facts on what AWX passes: awx/main/tasks/jobs.py, models/unified_jobs.py.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import jinja2.sandbox
import yaml
from ansible_runner.runner_config import RunnerConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e import awx_jail

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".cache" / "collections"
PLAYBOOKS = "extensions/patterns/onehop/playbooks"
"""Where a project that is this repository has them."""
_MARKS = re.compile(r"\x1b\[K(?:[A-Za-z0-9+/=]+\x1b\[\d+D)+\x1b\[K|\x1b\[[0-9;]*m")
"""Colours, and how events travel in what Ansible prints."""


@dataclass(frozen=True)
class Job:
    """One launch of a job template, and what has to come of it."""

    template: str
    about: str = ""
    job_type: str = ""
    limit: str = ""
    diff_mode: bool | None = None
    """These three as asked at launch; otherwise as in the template."""
    verbosity: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    """Those of the survey that are not its defaults."""
    extra_vars: dict[str, Any] = field(default_factory=dict)
    """Those of the template."""
    user: str = "admin"
    become_password: str = ""
    pipelining: bool = False
    terminal: bool = True
    """Whether ansible-runner gives Ansible one, as it does for AWX, to answer what asks for passwords."""
    fact_cache: bool = False
    status: str = "successful"
    hosts: list[str] = field(default_factory=list)
    """Those that an event tells of."""
    changed: bool | None = None
    says: list[str] = field(default_factory=list)
    """Patterns that its output has."""
    omits: list[str] = field(default_factory=list)


class Marked(yaml.SafeLoader):
    """Reads what is marked as no template."""


Marked.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def data(name: str) -> dict[str, dict[str, Any]]:
    """What the collection hands to a controller, by name."""
    path = ROOT / "playbooks" / "vars" / "awx" / f"{name}.yml"
    found: list[dict[str, Any]] = yaml.load(path.read_text(), Loader=Marked)[name]
    return {one["name"]: one for one in found}


class Unsafe(yaml.SafeDumper):
    """Every text is marked, so that Ansible looks for no templates in what came from a form."""


Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def meta_vars(number: int, job: Job) -> dict[str, Any]:
    """What AWX tells every playbook of its job."""
    said = {
        "job_id": number,
        "job_launch_type": "manual",
        "job_template_id": 10 + number,
        "job_template_name": job.template,
        "project_revision": "0123456789abcdef0123456789abcdef01234567",
        "project_scm_branch": "main",
        "user_id": 1,
        "user_name": "admin",
        "user_email": "admin@example.com",
        "user_first_name": "",
        "user_last_name": "",
        "inventory_id": 1,
        "inventory_name": "GPUs {{ of all kinds }}",
        "workflow_job_id": 100 + number,
        "workflow_job_name": "Deploy with approval",
    }
    return {f"{tool}_{key}": value for tool in ("awx", "tower") for key, value in said.items()}


def environment(number: int, folder: Path, job: Job) -> dict[str, str]:
    """AWX's environment of a job, with the folder in the place of the container's /runner."""
    return {
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
        "ANSIBLE_FORCE_COLOR": "True",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_ROLES_PATH": f"{folder}/requirements_roles:~/.ansible/roles",
        "ANSIBLE_COLLECTIONS_PATH": f"{folder}/requirements_collections:~/.ansible/collections",
        "ANSIBLE_PIPELINING": str(job.pipelining),
        "AWX_PRIVATE_DATA_DIR": str(folder),
        "AWX_HOST": "https://awx.example.com",
        "JOB_ID": str(number),
        "INVENTORY_ID": "1",
        "PROJECT_REVISION": "0123456789abcdef0123456789abcdef01234567",
        "MAX_EVENT_RES": "700000",
    }


def command_line(job: Job, template: dict[str, Any], files: list[Path]) -> str:
    """The options that AWX writes for ansible-playbook; ``files`` have variables of credentials."""
    check = (job.job_type or template["job_type"]) == "check"
    diff = template.get("diff_mode", False) if job.diff_mode is None else job.diff_mode
    words = ["--check"] if check else []
    words += ["-u", job.user]
    words += ["--become"] if template["become_enabled"] else []
    words += ["--diff"] if diff else []
    words += ["--ask-become-pass"] if job.become_password else []
    words += ["-l", job.limit] if job.limit else []
    words += [f"-{'v' * job.verbosity}"] if job.verbosity else []
    words += [word for path in files for word in ("-e", f"@{path}")]
    return ansible_runner.utils.args2cmdline(*words)


def inject(folder: Path, credentials: dict[str, dict[str, str]]) -> list[Path]:
    """Files with the variables of credentials, as their types say."""
    types = data("controller_credential_types")
    made: list[Path] = []
    for name, inputs in credentials.items():
        injectors = dict(types[name]["injectors"])
        templates = injectors.pop("extra_vars")
        if injectors:
            raise NotImplementedError(f"{name} injects {', '.join(injectors)}")
        environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
        given = {
            key: environment.from_string(text).render(**inputs) for key, text in templates.items()
        }
        path = folder / "env" / f"tmp{len(made)}"
        path.write_text(yaml.dump(given, Dumper=Unsafe))
        made.append(path)
    return made


def lay_out(
    folder: Path, number: int, job: Job, site: dict[str, Any], credentials: dict[str, Any]
) -> None:
    """Fill a private data directory."""
    template = data("controller_templates")[job.template]
    for name in ("env", "inventory", "cp"):
        (folder / name).mkdir(mode=0o700, parents=True)
    (folder / "requirements_collections").symlink_to(COLLECTIONS)
    shutil.copytree(ROOT / PLAYBOOKS, folder / "project" / PLAYBOOKS)
    survey = template.get("survey_spec", {}).get("spec", [])
    unknown = job.answers.keys() - {one["variable"] for one in survey}
    if unknown:
        raise ValueError(f"{job.template} does not ask for {', '.join(sorted(unknown))}")
    given = {one["variable"]: one["default"] for one in survey}
    given |= {**job.extra_vars, **job.answers, **meta_vars(number, job)}
    (folder / "env" / "extravars").write_text(yaml.dump(given, Dumper=Unsafe))
    files = inject(folder, credentials)
    (folder / "env" / "cmdline").write_text(command_line(job, template, files))
    settings = {"job_timeout": 600, "suppress_ansible_output": True, "suppress_output_file": True}
    (folder / "env" / "settings").write_text(json.dumps(settings))
    inventory = json.loads(json.dumps(site["inventory"]))
    for order, variables in enumerate(inventory["_meta"]["hostvars"].values(), 1):
        variables |= {"remote_tower_enabled": "true", "remote_tower_id": order}
    script = folder / "inventory" / "hosts"
    script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(inventory)!r})\n")
    script.chmod(0o700)


def playbook(job: Job) -> str:
    """The path of the template's playbook in the project."""
    path: str = data("controller_templates")[job.template]["playbook"]
    return f"{PLAYBOOKS}/{path.rpartition('/')[2]}"


def run(folder: Path, number: int, job: Job, key: str) -> tuple[str, list[dict[str, Any]], str]:
    """The status of a job, its events, and its output without colours."""
    asked = {r"BECOME password.*:\s*?$": job.become_password} if job.become_password else {}
    arguments: dict[str, Any] = {
        "ident": str(number),
        "private_data_dir": str(folder),
        "playbook": playbook(job),
        "inventory": str(folder / "inventory" / "hosts"),
        "envvars": environment(number, folder, job),
        "fact_cache_type": "jsonfile" if job.fact_cache else "",
        "suppress_env_files": True,
        "ssh_key": key,
    }
    if job.terminal:
        ended = ansible_runner.run(passwords=asked, quiet=True, **arguments)
        status, events = ended.status, list(ended.events)
        return status, events, _MARKS.sub("", "".join(event["stdout"] + "\n" for event in events))
    config = RunnerConfig(**arguments)
    config.prepare()
    said = subprocess.run(
        config.command,
        env=config.env,
        cwd=config.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    status = "failed" if said.returncode else "successful"
    found = sorted((folder / "artifacts" / str(number) / "job_events").glob("*.json"))
    return (
        status,
        [json.loads(path.read_text()) for path in found],
        _MARKS.sub("", said.stdout + said.stderr),
    )


def complaints(
    job: Job, status: str, events: list[dict[str, Any]], output: str, secrets: list[str]
) -> list[str]:
    """What is not as the job says, and where a secret stands."""
    wrong = [] if status == job.status else [f"the status is {status}"]
    wrong += [f"does not say: {one}" for one in job.says if not re.search(one, output)]
    wrong += [f"says: {one}" for one in job.omits if re.search(one, output)]
    told = {event.get("event_data", {}).get("host") for event in events} - {None, "localhost"}
    if job.hosts and told != set(job.hosts):
        wrong.append(f"tells of {sorted(told)}")
    if job.changed is not None:
        counts = [
            event["event_data"].get("changed", {})
            for event in events
            if event["event"] == "playbook_on_stats"
        ]
        if not counts or any(counts[-1].values()) != job.changed:
            wrong.append(f"changed {counts[-1] if counts else 'nothing that is known of'}")
    for event in events:
        text = json.dumps(event, ensure_ascii=False)
        for secret in secrets:
            if secret in text:
                where = event.get("event_data", {}).get("task") or event["event"]
                wrong.append(f"the secret {secret[:6]}… stands in {event['event']} of: {where}")
    wrong += [f"the secret {one[:6]}… stands in the output" for one in secrets if one in output]
    return wrong


def left_behind(folder: Path, secrets: list[str]) -> list[str]:
    """Files of the job's artifacts that hold a secret."""
    found = []
    for path in (folder / "artifacts").rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            found += [f"{path}: holds {one[:6]}…" for one in secrets if one in text]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave what the jobs left")
    given = parser.parse_args()
    site = yaml.safe_load(given.site.read_text())
    common = yaml.safe_load(given.jobs.read_text())
    jobs = [Job(**job) for job in common["jobs"]]
    key = Path(site["key"]).read_text()
    place = Path(tempfile.mkdtemp(prefix="onehop-awx-", dir="/tmp"))
    place.chmod(0o755)
    try:
        child = os.fork()
        if not child:
            os._exit(_as_user(place, jobs, site, common, key))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        if not given.keep:
            shutil.rmtree(place, ignore_errors=True)


def _as_user(
    place: Path, jobs: list[Job], site: dict[str, Any], common: dict[str, Any], key: str
) -> int:
    home = Path(site["home"])
    user = awx_jail.User("runner", 64321, home)
    (home / ".ssh").mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / ".ssh" / "known_hosts").write_text(site["known_hosts"])
    folders = [place / str(number) for number in range(1, len(jobs) + 1)]
    for number, (folder, job) in enumerate(zip(folders, jobs, strict=True), 1):
        lay_out(folder, number, job, site, common.get("credentials", {}))
    user.owns(home, *folders)
    readable = [Path(sys.base_prefix), Path(sys.prefix), ROOT, home]
    awx_jail.enter(user, readable, [folder / "project" for folder in folders])
    kept = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    os.environ.clear()
    os.environ.update(kept, PATH=path, HOME=str(home), LANG="C.UTF-8", PYTHONDONTWRITEBYTECODE="1")
    failed = 0
    for number, (folder, job) in enumerate(zip(folders, jobs, strict=True), 1):
        start = time.monotonic()
        status, events, output = run(folder, number, job, key)
        wrong = complaints(job, status, events, output, common.get("secrets", []))
        wrong += left_behind(folder, common.get("secrets", []))
        seconds = f"{time.monotonic() - start:.0f} s, {len(events)} events"
        print(f"{'FAILED' if wrong else 'ok'}: {job.template} {job.about}: {status}, {seconds}")
        if wrong:
            failed += 1
            print("\n".join(f"  {one}" for one in wrong), output[-12000:], sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
