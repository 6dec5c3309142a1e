# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings. What it reads is put together by tooling.site.source."""

from __future__ import annotations

from typing import Any

import yaml
from docutils import nodes

from tooling.steps import ROOT

_GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))

project = "OneHop"
author = "The OneHop authors"
copyright = author  # Sphinx calls it so
release = version = str(_GALAXY["version"])
html_title = f"OneHop {release}"
language = "en"

extensions = ["myst_parser", "sphinx_antsibull_ext", "sphinx_copybutton"]
exclude_patterns = ["_build"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline", "deflist"]
antsibull_ext_color_scheme = "default-autodark"
# Prompts and what a program prints are not copied.
copybutton_prompt_text = r"\$ |# "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
highlight_language = "text"
pygments_style = "xcode"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["onehop.css"]
html_favicon = "static/onehop.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None

_ANSIBLE = "https://docs.ansible.com/ansible-core/devel/"
_ANSIBLES_PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
"""What antsibull-docs refers to and lies in Ansible's own documentation; no inventory of it is fetched."""


def _of_ansible(
    app: Any, env: Any, node: nodes.Element, shown: nodes.TextElement
) -> nodes.reference | None:
    label = node.get("reftarget", "")
    page = _ANSIBLES_PAGES.get(label)
    if label.startswith("ansible_collections.ansible.builtin."):
        name = label.removeprefix("ansible_collections.")
        page = f"collections/{name.replace('.', '/')}.html"
    if page is None:
        return None
    return nodes.reference("", "", shown, refuri=_ANSIBLE + page, internal=False)


def setup(app: Any) -> None:
    app.connect("missing-reference", _of_ansible)
