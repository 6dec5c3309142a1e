# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway test hosts: a booted Debian with systemd in a second, without a container engine.

``PYTHONPATH=molecule python3 -m testhost --help``; the rooms are listed in README.md.
"""
