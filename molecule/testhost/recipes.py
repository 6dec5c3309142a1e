# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a root filesystem is made of, as tables; their hash names the cached tree."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "python3",
    "python3-apt",  # else ansible.builtin.apt would try to fetch it
    "python3-venv",
    "sudo",
    "openssh-server",
    "iproute2",
    "curl",
    "ca-certificates",
    "procps",
    "podman",
    "crun",
    "uidmap",
    "passt",
    "fuse-overlayfs",
)


@dataclass(frozen=True)
class Recipe:
    """One kind of host."""

    suite: str
    """The suite that debootstrap installs."""
    extra: tuple[str, ...] = ()
    """Packages beside PACKAGES."""

    @property
    def packages(self) -> tuple[str, ...]:
        return PACKAGES + self.extra


RECIPES = {
    "trixie": Recipe("trixie"),
    "forky": Recipe("forky", ("llama.cpp",)),
    # Hosts that can themselves run this program: how it is tested where PID 1 is systemd.
    "trixie-nested": Recipe("trixie", ("debootstrap", "systemd-container", "openssh-client")),
    "forky-nested": Recipe("forky", ("debootstrap", "systemd-container", "openssh-client")),
}

UNITS = "etc/systemd/system"
ONLINE = "usr/lib/systemd/system/network-online.target"

FILES = {
    # pasta and fuse-overlayfs open these as the worker's user. The machine's own /dev/fuse does not
    # do: without udev there, it is root's alone.
    "etc/tmpfiles.d/testhost.conf": (
        "c /dev/net/tun 0666 root root - 10:200\nc /dev/fuse 0666 root root - 10:229\n"
    ),
    # A test host has no pids controller, and crun fails for a limit that it cannot set.
    "etc/containers/containers.conf.d/testhost.conf": "[containers]\npids_limit = 0\n",
    "etc/ssh/sshd_config.d/testhost.conf": (
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nUseDNS no\n"
    ),
    "etc/sudoers.d/admin": "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
    # Not systemd-networkd: so the address is there before anything that binds to it, at each boot.
    f"{UNITS}/testhost-network.service": """\
[Unit]
Description=Address of this test host
DefaultDependencies=no
After=systemd-sysctl.service
Before=network-pre.target network.target shutdown.target
Wants=network-pre.target network.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=/etc/testhost.env
ExecStart=ip link set dev host0 up
ExecStart=ip address replace ${TESTHOST_ADDRESS} dev host0

[Install]
WantedBy=sysinit.target
""",
    # Newer than /usr: no update services at every first boot, systemd-update-done.service(8).
    "etc/.updated": "",
    "var/.updated": "",
    # No archive and no name server: what a host needs is in the image or comes with the deployment.
    "etc/apt/sources.list": "# This host is air-gapped: no package archive.\n",
    "etc/resolv.conf": "# This host is air-gapped: no name server.\n",
}

LINKS = {
    f"{UNITS}/sysinit.target.wants/testhost-network.service": f"/{UNITS}/testhost-network.service",
    # Rootless Podman's units wait up to 90 s for this target, and nothing else pulls it in.
    f"{UNITS}/multi-user.target.wants/network-online.target": f"/{ONLINE}",
    # Background work that only adds noise to a test.
    f"{UNITS}/apt-daily.timer": "/dev/null",
    f"{UNITS}/apt-daily-upgrade.timer": "/dev/null",
    f"{UNITS}/dpkg-db-backup.timer": "/dev/null",
    f"{UNITS}/e2scrub_all.timer": "/dev/null",
    f"{UNITS}/fstrim.timer": "/dev/null",
    # A host has its machine's kernel and no modules of its own: this service could only fail.
    f"{UNITS}/systemd-modules-load.service": "/dev/null",
}

MODES = {"etc/sudoers.d/admin": 0o440}

COMMANDS = (
    ("useradd", "--create-home", "--shell", "/bin/bash", "--password", "*", "admin"),
    ("ssh-keygen", "-A"),
)
"""Run in the new tree. The host key is the image's: its only client does not check it."""

EMPTY = ("var/lib/apt/lists", "var/cache/apt", "var/log", "etc/apt/sources.list.d")
"""Folders whose files are removed: package lists would promise what cannot be fetched."""


def fingerprint(recipe: Recipe) -> str:
    """Twelve hexadecimal digits that change when anything in the tree would."""
    everything = [asdict(recipe), PACKAGES, FILES, LINKS, MODES, COMMANDS, EMPTY]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:12]
