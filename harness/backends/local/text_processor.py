"""The processor of a checkpoint that reads only text: its tokenizer, with the methods of a processor.

A processor's chat template takes a message as a list of parts, but most templates for text take one text.
Then the texts of a message are joined before the template sees it.

A base model has no chat template, and continues a text. It reads a plain prompt:

    Question:
    The objects in the scene, from left to right: ...
    Answer:

A prompt that ends with the beginning of an answer, after worked examples as in MMLU-Pro, is read as it is.
A base model does not stop after its answer, but writes the next question. So a response ends before STOP.
"""

from typing import Any

from transformers import ProcessorMixin

STOP = "Question:"
# Statements of a chat template: the texts of each message become one text.
_JOINED = (
    "{% set joined = namespace(messages=[]) %}{% for m in messages %}"
    "{% set text = m.content if m.content is string else m.content | map(attribute='text') | join %}"
    "{% set joined.messages = joined.messages + [{'role': m.role, 'content': text}] %}"
    "{% endfor %}{% set messages = joined.messages %}"
)
_PLAIN = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' or 'Answer:' in m.content.split('\\n') | last %}{{ m.content }}"
    "{% else %}{{ 'Question:\\n' + m.content + '\\nAnswer:' }}{% endif %}{% endfor %}"
)


class TextProcessor(ProcessorMixin):  # type: ignore[misc]
    """A tokenizer that is used like a processor. `takes_parts`: its chat template takes a list of parts."""

    def __init__(self, tokenizer: Any, takes_parts: bool = True) -> None:
        # Whether prompts are plain, because the checkpoint has no chat template.
        self.plain = not tokenizer.chat_template
        template = _JOINED + _PLAIN if self.plain else tokenizer.chat_template
        # Some tokenizers return more, which not every model takes.
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        super().__init__(tokenizer, chat_template=template if takes_parts else _JOINED + template)

    def ended(self, text: str) -> str | None:
        """The response in a plain text that continues behind it; None if it does not."""
        response, stop, _ = text.partition(STOP)
        return response.rstrip() if self.plain and stop else None
