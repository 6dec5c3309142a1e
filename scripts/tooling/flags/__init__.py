# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the engines' command-line flags, read from published packages: scripts/flags."""
