# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OneHop's router: one HTTP endpoint, one hop to every model."""

__version__ = "0.1.0"
