# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tiny models have in common: their size, their words, and how they prefer those."""

from __future__ import annotations

WIDTH = 64
LAYERS = 2
INNER = 128
CONTEXT = 4096

WORDS = tuple(
    word
    for line in (
        "one hop host model router worker token stream unit answer request prompt layer cache",
        "a an and as at by for from in is it of on or the this to with fast small warm near open",
    )
    for word in line.split()
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TOOL_TEMPLATE = r"""
{%- if tools %}
{{- '<|im_start|>system\nFunctions that you may call:\n' }}
{%- for tool in tools %}
{{- tool | tojson + '\n' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role }}
{%- if message.content %}
{{- '\n' + message.content }}
{%- endif %}
{%- for call in message.tool_calls or [] %}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- (call.function.arguments | tojson) + '}\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if tools and messages[-1].role == 'user' %}
{{- '<|act|>' }}
{%- endif %}
{%- endif %}"""
"""Lets a model call functions, in the form that many open models are trained on."""

WORD_BIAS = 1.0
END_BIAS = 1.05
SILENT_BIAS = -8.0
"""How likely words, the end and everything else are, whatever was read.

A Llama has no output bias. But when the first number of every embedding is large and the layers add
only a little, it is large after the last norm too, and the first column of the output weights acts
as one. The other columns make what comes next depend on what was read.
"""
