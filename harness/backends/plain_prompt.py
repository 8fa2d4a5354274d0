"""Prompts for base models, which have no chat template and continue a text.

    Question:
    The objects in the scene, from left to right: ...
    Answer:

A prompt that ends with the beginning of an answer, after worked examples as in MMLU-Pro, is sent as it is.
A base model does not stop after its answer, but writes the next question. So a response ends before STOP.
"""

from functools import cache
from typing import Any

STOP = "Question:"
# A chat template, whose messages have texts as their contents.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' or 'Answer:' in m.content.split('\\n') | last %}{{ m.content }}"
    "{% else %}{{ 'Question:\\n' + m.content + '\\nAnswer:' }}{% endif %}{% endfor %}"
)


def plain_prompt(text: str) -> str:
    """The text as a base model reads it, without the token that begins a text."""
    return str(_template().render(messages=[{"role": "user", "content": text}]))


def response_before_stop(text: str) -> str | None:
    """The response in a text that continues with the next question; None if it does not."""
    response, stop, _ = text.partition(STOP)
    return response.rstrip() if stop else None


@cache
def _template() -> Any:
    from jinja2 import Template

    return Template(TEMPLATE)
