# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving from LLMhop on NixOS: its options, what each is here, and the page that joins them."""
