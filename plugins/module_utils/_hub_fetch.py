# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches weights into the hub's cache: ``python -m …_hub_fetch fetch|ask REQUEST.json``.

It runs on the host as the account that owns the cache, in a Python environment of its own that has
huggingface_hub. The request is ``hub`` (a path), ``endpoint`` (or nothing) and ``items``, as
:mod:`_hub_cache` wants them, each with a ``source`` where it is not the hub. A token comes as the
credential ``token``. How far it is goes to systemd as the unit's status.

huggingface_hub asks the hub and transfers; what it downloads to is ours, since its own partial files
are gone with its process (seen with 2.4). A file gets the name of its hash when its hash is right, and
links are made when all files are there, the configuration's last: so a snapshot that counts is whole.

This module util is private to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import io
import json
import os
import re
import shutil
import socket
import sys
import tarfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.onehop.llm.plugins.module_utils import _hub_cache

_BLOCK = 4 << 20
_CHUNK = 1 << 18
_AT_ONCE = 4
"""Files that are transferred at the same time."""
_TRIES = 6
_PAUSE = float(os.environ.get("ONEHOP_HUB_PAUSE", "5"))
"""Seconds before the second try; each further one waits twice as long."""
_SPARE = 1 << 28
"""Bytes of the disk that are left free."""


_NO_ARCHIVE: tuple = (tarfile.TarError, EOFError, KeyError, RecursionError, zlib.error)
"""What tarfile raises of an archive that is cut, damaged, or has links that lead nowhere."""
with contextlib.suppress(ImportError):
    import lzma

    _NO_ARCHIVE += (lzma.LZMAError,)


class FetchFailed(Exception):
    """Why something could not be fetched, in words for the operator."""


class File(object):
    """A file of a repository: its name there, its size, and the hash that names its blob."""

    def __init__(self, name, size, sha256, blob):
        self.name = name
        self.size = size
        self.sha256 = sha256
        self.blob = blob


class _Part(io.FileIO):
    """What there is of a file, to go on with; never more than the hub says that it has."""

    def __init__(self, path, repo, file):
        io.FileIO.__init__(self, path, "ab")
        self.repo = repo
        self.file = file

    def write(self, data):
        """Write what comes next."""
        if self.tell() + len(data) > self.file.size:
            raise FetchFailed(
                "%s: the hub sends more of %s than it says" % (self.repo, self.file.name)
            )
        return io.FileIO.write(self, data)


class Repository(object):
    """What an item needs of the hub's repository, at the commit that its revision is."""

    def __init__(self, request, token, item):
        self.hub = request["hub"]
        self.endpoint = request.get("endpoint") or None
        self.token = token
        self.item = item
        self.place = os.path.join(self.hub, _hub_cache.folder(item["repo"]))
        self.commit = None
        self.files = []

    def ask(self):
        """Ask the hub for the files that the item needs."""
        from huggingface_hub.errors import RevisionNotFoundError

        item = self.item
        # What a branch was when it was fetched first is what it stays, as the cache has it.
        known = _hub_cache.commit_of(self.hub, item["repo"], item["revision"])
        try:
            info = self._info(known or item["revision"])
        except FetchFailed as error:
            made_up = isinstance(error.__cause__, RevisionNotFoundError)
            if known in (None, item["revision"]) or not made_up:
                raise
            # The hub does not know the name that a source's snapshot was given.
            info = self._info(item["revision"])
        self.commit = str(info.sha)
        if not re.match(r"\w[\w.-]*\Z", self.commit):
            raise FetchFailed("%s: the hub names a commit %r" % (item["repo"], self.commit))
        found = {one.rfilename: one for one in info.siblings or []}
        for name in _hub_cache.wanted(list(found), item):
            self.files.append(_file(item, name, found[name]))
        if not self.files and not item["optional"]:
            raise FetchFailed(
                "%s: the repository has no file that fits %s"
                % (item["repo"], " or ".join(item["choose"]) or item["kind"])
            )

    def _info(self, revision):
        import huggingface_hub

        api = huggingface_hub.HfApi(endpoint=self.endpoint, token=self.token or False)
        return _persist(
            self.item,
            lambda: api.model_info(self.item["repo"], revision=revision, files_metadata=True),
        )

    def path(self, file):
        """Where a file's blob lies."""
        return os.path.join(self.place, "blobs", file.blob)

    def done(self, file):
        """Bytes of a file that are on the disk."""
        for path in (self.path(file), self.path(file) + ".incomplete"):
            try:
                return min(os.stat(path).st_size, file.size)
            except OSError:
                continue
        return 0

    def fetch(self, file):
        """Have one file's blob, going on where a transfer ended before."""
        path = self.path(file)
        if os.path.exists(path) and os.stat(path).st_size == file.size:
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = path + ".incomplete"
        for attempt in range(2):
            _persist(self.item, lambda: self._transfer(file, part))
            if _right(part, file):
                os.chmod(part, 0o644)
                os.rename(part, path)
                return
            os.unlink(part)
            if attempt:
                raise FetchFailed(
                    "%s: %s has another hash than the hub says, twice. What lies between the host "
                    "and the hub changes files, or the mirror is damaged"
                    % (self.item["repo"], file.name)
                )

    def _transfer(self, file, part):
        import huggingface_hub
        from huggingface_hub.file_download import http_get

        url = huggingface_hub.hf_hub_url(
            self.item["repo"], file.name, revision=self.commit, endpoint=self.endpoint
        )
        if file.size > huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE:
            raise FetchFailed(
                "%s: %s is larger than the hub gives over HTTP. Bring it by weights_sources"
                % (self.item["repo"], file.name)
            )
        have = os.stat(part).st_size if os.path.exists(part) else 0
        if have > file.size:
            os.unlink(part)
            have = 0
        if file.size == 0:
            open(part, "wb").close()
            return
        # What a cut connection costs at most.
        huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
        # The bytes of the file as they are, for they are counted and hashed.
        headers = {"Accept-Encoding": "identity"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        with _Part(part, self.item["repo"], file) as target:
            http_get(url, target, resume_size=have, headers=headers, expected_size=file.size)

    def link(self):
        """Make the snapshot of what is there, and have the revision lead to it."""
        place = _hub_cache.snapshot(self.hub, self.item["repo"], self.commit)
        for file in sorted(self.files, key=lambda one: _rank(one.name)):
            path = os.path.join(place, file.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            target = os.path.relpath(self.path(file), os.path.dirname(path))
            _replace(path, lambda new, target=target: os.symlink(target, new))
        os.makedirs(place, exist_ok=True)
        if self.item["revision"] != self.commit:
            ref = os.path.join(self.place, "refs", self.item["revision"])
            os.makedirs(os.path.dirname(ref), exist_ok=True)
            _replace(ref, lambda new: _write(new, self.commit))


class Source(Repository):
    """The same from a directory or a tar archive of the host.

    Its commit is the one that its layout names, or else that of the revision: what the cache has
    already, or one made of its files.
    """

    def ask(self):
        """Look what the source has."""
        self.commit, self.files = "0" * 40, []

    def take(self):
        """Copy the files that the item needs; the names of blobs are their SHA-256."""
        path = self.item["source"]
        try:
            if os.path.isdir(path):
                self._take(list(_directory(path)))
            else:
                with tarfile.open(path) as archive:
                    self._take(list(_archive(archive)))
        except _NO_ARCHIVE as error:
            said = str(error).split("\n", 1)[0]
            raise FetchFailed("%s is no tar archive, or damaged: %s" % (path, said)) from error

    def _take(self, entries):
        known = _hub_cache.commit_of(self.hub, self.item["repo"], self.item["revision"])
        prefix, commit = _root(dict(entries), self.item)
        if commit and known == self.item["revision"] != commit:
            raise FetchFailed(
                "%s holds commit %s of %s, and %s is wanted"
                % (self.item["source"], commit, self.item["repo"], known)
            )
        inside = {
            name[len(prefix) :]: opener for name, opener in entries if name.startswith(prefix)
        }
        names = _hub_cache.wanted(sorted(inside), self.item)
        if not names and not self.item["optional"]:
            raise FetchFailed(
                "%s holds no file that fits %s of %s"
                % (self.item["source"], self.item["kind"], self.item["repo"])
            )
        blobs = os.path.join(self.place, "blobs")
        os.makedirs(blobs, exist_ok=True)
        for name in names:
            self.files.append(self._copy(name, inside[name], blobs))
        text = "".join("%s %s\n" % (file.sha256, file.name) for file in self.files)
        made = hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()
        self.commit = commit or known or made

    def _copy(self, name, opener, blobs):
        # The same name each time: what a run that was cut left is written over.
        part = os.path.join(blobs, "source.incomplete")
        digest, size = hashlib.sha256(), 0
        source = opener()
        if source is None:
            raise FetchFailed("%s: %s leads to no file in it" % (self.item["source"], name))
        try:
            with source, open(part, "wb") as target:
                for block in iter(lambda: source.read(_BLOCK), b""):
                    _spare(self.hub, len(block), self.item["source"])
                    digest.update(block)
                    size += len(block)
                    target.write(block)
            os.chmod(part, 0o644)
            os.rename(part, os.path.join(blobs, digest.hexdigest()))
        finally:
            if os.path.exists(part):
                os.unlink(part)
        return File(name, size, digest.hexdigest(), digest.hexdigest())


def _spare(hub, size, source):
    """Look whether the disk has room for what comes next: an archive may claim any size."""
    if shutil.disk_usage(hub).free < size + _SPARE:
        raise FetchFailed(
            "%s: the disk of %s is full before all of it is there. Make room, or put the cache on a "
            "larger disk" % (source, hub)
        )


def _directory(path):
    for name in _hub_cache.files(path):
        whole = os.path.join(path, name)
        if os.path.isfile(whole):
            yield name, functools.partial(open, whole, "rb")


def _archive(archive):
    """An archive's files; links in it lead to what else is in it."""
    for member in archive:
        name = os.path.normpath(member.name)
        if (member.isfile() or member.issym() or member.islnk()) and not name.startswith(".."):
            yield name.lstrip("/"), functools.partial(archive.extractfile, member)


def _root(entries, item):
    """What stands before the names of a source's files, and the commit where it has the layout."""
    names = sorted(entries)
    place = r"((?:.*/)?%s/)" % re.escape(_hub_cache.folder(item["repo"]))
    pattern = re.compile(place + r"snapshots/([^/]+)/")
    found = [match for match in map(pattern.match, names) if match]
    if found:
        commits = {match.group(2): match for match in reversed(found)}
        wanted = commits.get(item["revision"]) or commits.get(
            _ref(entries, found[0].group(1), item["revision"])
        )
        match = wanted or found[0]
        return match.group(0), match.group(2)
    marks = [name for name in names if os.path.basename(name) in _MARKS or name.endswith(".gguf")]
    if not marks:
        return "", None
    directory = os.path.dirname(min(marks, key=lambda name: (name.count("/"), name)))
    return directory + "/" if directory else "", None


def _ref(entries, place, revision):
    """The commit that a source in the hub's layout has for a revision."""
    opener = entries.get("%srefs/%s" % (place, revision))
    source = opener() if opener else None
    if source is None:
        return None
    with source:
        return source.read(100).decode("ascii", "replace").strip()


_MARKS = ("config.json", "adapter_config.json", "tokenizer_config.json", "params.json")


def _file(item, name, sibling):
    """A file as the hub describes it: large ones by SHA-256, small ones by git's hash."""
    if name.startswith("/") or ".." in name.split("/"):
        raise FetchFailed("%s: the hub names a file %s" % (item["repo"], name))
    lfs = sibling.lfs
    sha256 = lfs.sha256 if lfs else None
    blob = sha256 or sibling.blob_id
    size = lfs.size if lfs else sibling.size
    if not blob or not re.match(r"[0-9a-f]{40,64}\Z", blob) or int(size or 0) < 0 or size is None:
        raise FetchFailed("%s: the hub does not say how large %s is" % (item["repo"], name))
    return File(name, int(size), sha256, blob)


def _rank(name):
    """The order of links: the file without which a snapshot is none comes last."""
    if name in _hub_cache.CONFIG.values() or name in _hub_cache.SMALL:
        return 2
    return 1 if name.endswith(_hub_cache.WEIGHTS) else 0


def _right(path, file):
    """Whether a file has the hash that the hub says: SHA-256, or git's of a small file."""
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1()
    if not file.sha256:
        digest.update(b"blob %d\0" % file.size)
    with open(path, "rb") as source:
        for block in iter(lambda: source.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest() == file.blob


def _replace(path, make):
    """Put a new thing in the place of an old one, at once."""
    new = "%s.%d.new" % (path, os.getpid())
    if os.path.lexists(new):
        os.unlink(new)
    make(new)
    os.rename(new, path)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _persist(item, attempt):
    """Try again what may be better in a moment; what will not be is an error in words."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for number in range(_TRIES):
        last = number == _TRIES - 1
        try:
            return attempt()
        except HfHubHTTPError as error:
            status = error.response.status_code
            if last or not (status in (408, 429) or status >= 500):
                raise FetchFailed(_sentence(item, error, status)) from error
            wait = error.response.headers.get("Retry-After", "")
            pause = float(wait) if wait.isdigit() else _PAUSE * 2**number
        except (httpx2.TransportError, TimeoutError, ConnectionError) as error:
            if last:
                raise FetchFailed(
                    "%s: the host cannot reach the hub (%s). Look at its network, name a mirror in "
                    "hub_endpoint, or bring the weights by weights_sources or weights_bundles"
                    % (item["repo"], error)
                ) from error
            pause = _PAUSE * 2**number
        except OSError as error:
            if error.errno is not None or last:
                raise
            # A transfer that ended too early.
            pause = _PAUSE * 2**number
        time.sleep(min(pause, 600))
    raise FetchFailed("%s: given up" % item["repo"])


def _sentence(item, error, status):
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repo = item["repo"]
    if isinstance(error, GatedRepoError):
        return (
            "%s: is gated. Ask for access on its page on the hub, and give the token of who has it "
            "in hub_token" % repo
        )
    if isinstance(error, RevisionNotFoundError):
        return "%s: has no revision %s" % (repo, item["revision"])
    if isinstance(error, RepositoryNotFoundError):
        return (
            "%s: the hub has no such repository, or it is private. Look at the name, or give a token "
            "that may read it in hub_token" % repo
        )
    if status in (401, 403):
        return "%s: the hub refuses the token (%d). Give another in hub_token" % (repo, status)
    if status == 429:
        return "%s: the hub wants fewer questions (429), again and again. Try later" % repo
    return "%s: the hub answers %d" % (repo, status)


class Progress(object):
    """Tells systemd once a second how far all is, as JSON."""

    def __init__(self, repositories):
        self.repositories = repositories
        self.address = os.environ.get("NOTIFY_SOCKET")
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        if self.address:
            self.thread.start()
        return self

    def __exit__(self, *dummy):
        self.over.set()

    def _run(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            while True:
                status = json.dumps(self.state(), sort_keys=True)
                address = str(self.address)
                if address.startswith("@"):
                    address = "\0" + address[1:]
                client.sendto(("STATUS=" + status).encode("utf-8"), address)
                if self.over.wait(1):
                    return

    def state(self):
        """Bytes that are there and bytes in all, and the repository that is under way."""
        total = done = 0
        current = ""
        for repository in self.repositories:
            size = sum(file.size for file in repository.files)
            have = sum(repository.done(file) for file in repository.files)
            total += size
            done += have
            if have < size and not current:
                current = repository.item["repo"]
        return {"done": done, "total": total, "repo": current}


def fetch(request, token):
    """Have all items in the cache."""
    repositories = [
        (Source if item.get("source") else Repository)(request, token, item)
        for item in request["items"]
    ]
    for repository in repositories:
        repository.ask()
    _room(request["hub"], repositories)
    with Progress(repositories):
        for repository in repositories:
            if isinstance(repository, Source):
                repository.take()
                # At once, so that others of the same revision come into the same snapshot.
                repository.link()
                continue
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for dummy in pool.map(repository.fetch, repository.files):
                    pass
        for repository in repositories:
            if not isinstance(repository, Source):
                repository.link()


def _room(hub, repositories):
    """Look whether the disk has room, before it is filled."""
    blobs = {repo.path(file): (repo, file) for repo in repositories for file in repo.files}
    wanted = sum(file.size - repo.done(file) for repo, file in blobs.values())
    os.makedirs(hub, exist_ok=True)
    free = shutil.disk_usage(hub).free
    if wanted and wanted + _SPARE > free:
        raise FetchFailed(
            "%s has %.1f GB free, and %.1f GB are to be fetched. Make room, or put the cache on a "
            "larger disk" % (hub, free / 1e9, wanted / 1e9)
        )


def ask(request, token):
    """What would be fetched, by each item's key: ``commit`` and ``bytes``, or an ``error``."""
    answer: dict = {}
    for item in request["items"]:
        repository = Repository(request, token, item)
        try:
            repository.ask()
        except FetchFailed as error:
            answer[item["key"]] = {"error": str(error)}
            continue
        size = sum(file.size - repository.done(file) for file in repository.files)
        answer[item["key"]] = {"commit": repository.commit, "bytes": size}
    return answer


def token_of(directory):
    """The token, from the directory that systemd keeps a unit's credentials in."""
    try:
        with open(os.path.join(directory, "token")) as file:
            return file.read().strip() or None
    except OSError:
        return None


def main(words):
    """The program; its exit status."""
    os.umask(0o022)
    # The plain way, which goes on where it was cut, and which a mirror has too.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    verb, path = words
    with open(path) as file:
        request = json.load(file)
    token = token_of(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
    try:
        if verb == "ask":
            sys.stdout.write(json.dumps(ask(request, token)))
        else:
            fetch(request, token)
    except FetchFailed as error:
        sys.stderr.write("%s.\n" % error)
        return 1
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        said = "the disk is full" if full else str(error)
        sys.stderr.write("%s: %s.\n" % (error.filename or request["hub"], said))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
