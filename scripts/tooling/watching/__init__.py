# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched: one table, and the rules, dashboards and pages that are made of it."""
