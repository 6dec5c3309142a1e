# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripts/lint and scripts/test are made of. Standard library only; run by .venv's Python."""
