"""The processor of a checkpoint that reads only text: its tokenizer, with the methods of a processor.

A processor's chat template takes a message as a list of parts, but most templates for text take one text.
Then the texts of a message are joined before the template sees it.
"""

from typing import Any

from transformers import ProcessorMixin

from harness.backends import plain_prompt

# Statements of a chat template: the texts of each message become one text.
_JOINED = (
    "{% set joined = namespace(messages=[]) %}{% for m in messages %}"
    "{% set text = m.content if m.content is string else m.content | map(attribute='text') | join %}"
    "{% set joined.messages = joined.messages + [{'role': m.role, 'content': text}] %}"
    "{% endfor %}{% set messages = joined.messages %}"
)


class TextProcessor(ProcessorMixin):  # type: ignore[misc]
    """A tokenizer that is used like a processor. `takes_parts`: its chat template takes a list of parts."""

    def __init__(self, tokenizer: Any, takes_parts: bool = True) -> None:
        # Whether prompts are plain, because the checkpoint has no chat template.
        self.plain = not tokenizer.chat_template
        template = _JOINED + plain_prompt.TEMPLATE if self.plain else tokenizer.chat_template
        # Some tokenizers return more, which not every model takes.
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        super().__init__(tokenizer, chat_template=template if takes_parts else _JOINED + template)
