# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as a site: docs/*.md, the roles' READMEs, and a page for each module, filter and role."""
