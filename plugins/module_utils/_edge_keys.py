# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of an edge and the certificate made for it, on its own host, readable by root alone.

This module util is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile

from ansible_collections.onehop.llm.plugins.module_utils._files import File, read
from ansible_collections.onehop.llm.plugins.module_utils._owned import Owned

HOME = "/etc/onehop/edge"
OWNER = "edge"

_DAYS = 3650
_SOON = 30 * 24 * 3600
"""Seconds before its end at which a certificate is spoken of."""
_KEY_BYTES = 32
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


class EdgeKeyError(Exception):
    """What cannot be brought about, in words for the operator."""


def new_key():
    """A key that nobody can guess."""
    return "onehop-" + secrets.token_urlsafe(_KEY_BYTES)


def hashed(key):
    """A key as a router's configuration has it. Of a random key it tells nothing."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8")).hexdigest()


class EdgeKeys(object):
    """``keys`` are those of each front, newest first; two at most, the second one on its way out.

    The certificate in use has a successor as long as a rotation is under way.
    """

    def __init__(self, run, check_mode):
        self.run = run
        self.check_mode = check_mode
        self.keys_path = HOME + "/keys.json"
        self.certificate = HOME + "/tls.pem"
        self.successor = HOME + "/next.pem"
        text = read(self.keys_path)
        try:
            self.keys = json.loads(text.decode("utf-8")) if text else {}
        except ValueError:
            raise EdgeKeyError(
                "%s is damaged. Remove it: the next run makes new keys for every router."
                % self.keys_path
            ) from None

    def hashes(self):
        """The hashes of each front's keys."""
        return {front: [hashed(key) for key in self.keys[front]] for front in sorted(self.keys)}

    def make(self, fronts, name):
        """A key for each front that has none, and a certificate for ``name`` unless that is ``None``.

        Keys of others go. Returns the diffs of what changes.
        """
        if not fronts:
            return self._remove()
        self.keys = {front: self.keys.get(front) or [new_key()] for front in fronts}
        return self._save_keys() + self._have_certificate(self.certificate, name)

    def add(self, fronts, name):
        """A new key for each front, beside the one that it uses, and a successor of the certificate.

        Where there are two already, an earlier rotation was cut off: then this one finishes it.
        """
        for front in fronts:
            keys = self.keys.get(front) or []
            self.keys[front] = keys if len(keys) > 1 else [new_key()] + keys
        # In this order: a successor beside single keys would be taken for one that all fronts know.
        return self._save_keys() + self._have_certificate(self.successor, name)

    def drop(self, fronts):
        """Leave each front, which uses its newest key by now, that one alone.

        Once all of them do, they know the certificate's successor too, and it is put into use.
        """
        for front in set(fronts) & set(self.keys):
            self.keys[front] = self.keys[front][:1]
        diffs = self._save_keys()
        if os.path.exists(self.successor) and all(len(keys) == 1 for keys in self.keys.values()):
            content = read(self.successor)
            diffs.append(File(self.certificate, content, mode=0o600, secret=True).diff())
            if not self.check_mode:
                os.rename(self.successor, self.certificate)
        return diffs

    def given(self, front):
        """What a front gets: its newest key, and the certificates to know the edge by.

        Empty texts stand for what is not there.
        """
        texts = [(read(path) or b"").decode("utf-8") for path in (self.certificate, self.successor)]
        return {
            "key": (self.keys.get(front) or [""])[0],
            "certificate": "".join(_CERTIFICATE.findall("".join(texts))),
        }

    def ends_soon(self):
        """Whether the certificate in use has less than a month left."""
        if not os.path.exists(self.certificate) or shutil.which("openssl") is None:
            return False
        command = ["openssl", "x509", "-in", self.certificate, "-noout", "-checkend", str(_SOON)]
        return self.run(command)[0] != 0

    def _save_keys(self):
        return self._save(self.keys_path, json.dumps(self.keys, indent=1, sort_keys=True) + "\n")

    def _save(self, path, text):
        file = File(path, text, mode=0o600, secret=True)
        if not file.differs():
            return []
        diff = file.diff()
        if not self.check_mode:
            owned = Owned(OWNER)
            owned.add("directories", [HOME])
            owned.save()
            file.write()
        return [diff]

    def _have_certificate(self, path, name):
        if not name:
            return []
        present = read(path)
        return self._save(path, present.decode("utf-8") if present else self._new_certificate(name))

    def _remove(self):
        self.keys = {}
        if not os.path.isdir(HOME):
            return []
        if not self.check_mode:
            shutil.rmtree(HOME)
            owned = Owned(OWNER)
            owned.drop("directories", [HOME])
            owned.save()
        return [{"before_header": HOME, "after_header": HOME, "before": "(secrets)\n", "after": ""}]

    def _new_certificate(self, name):
        """A certificate for ``name`` that signs itself, behind its key, in one text."""
        if self.check_mode:
            return ""
        if shutil.which("openssl") is None:
            raise EdgeKeyError(
                "openssl is not on the host. Install it, or give router_edge_certificate."
            )
        directory = tempfile.mkdtemp(prefix="onehop-edge-")
        key, certificate = os.path.join(directory, "key"), os.path.join(directory, "certificate")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-days", str(_DAYS)]
        command += ["-keyout", key, "-out", certificate, "-subj", "/CN=" + name]
        command += ["-addext", "subjectAltName=DNS:" + name]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-addext", "keyUsage=critical,digitalSignature"]
        command += ["-addext", "extendedKeyUsage=serverAuth"]
        try:
            status, out, err = self.run(command)
            if status != 0:
                raise EdgeKeyError("openssl req: %s" % (err.strip() or out.strip()))
            return (read(key) or b"").decode("utf-8") + (read(certificate) or b"").decode("utf-8")
        finally:
            shutil.rmtree(directory)
