r"""Training sequences as a checkpoint's chat template writes them, with the prompts of the harness.

    prompt, as rendered for generation          completion, which is learned
    ... <|im_start|>assistant\n                 <think>\nTwo cubes.\n</think>\n\boxed{Case 1}<|im_end|>\n
    ... <|im_start|>assistant\n<think>\n        Two cubes.\n</think>\n\boxed{Case 1}<|im_end|>\n

In the second line the template has opened the thought, so the completion continues it. Of the template's own
form of an assistant's turn only the end is used, because some templates do not show the turn in the way in
which a model generates it. If a template puts no token there, as those of GLM and LLaVA, the completion ends
with the tokenizer's end token.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from harness.backends.local.chat import render
from harness.backends.local.tokens import JOINER
from harness.errors import UserError
from harness.thoughts import continued, opened_by

# A template that prints a list of parts, instead of what is in it, writes the line break and the backslash in
# another way.
PROBE = "It is\n\\boxed{An answer}"


class SequenceTemplate:
    """Renders prompts and completions. Raises UserError if the template shows no assistant's turn.

    Errors begin with `name`.
    """

    def __init__(self, name: str, processor: Any) -> None:
        self.name, self.processor = name, processor
        question = [{"role": "user", "content": [{"type": "text", "text": "A question."}]}]
        # Whether the template takes an assistant's turn as a list of parts. GLM's takes it as one text.
        self.takes_parts = True
        try:
            shown = self._shown(question, PROBE)
        except UserError:
            shown = ""
        if PROBE not in shown:
            self.takes_parts = False
            shown = self._shown(question, PROBE)
        _, found, self.turn_end = shown.rpartition(PROBE)
        if not found:
            raise UserError(
                f"{name}: its chat template leaves out the assistant's turn, so there would be no token to "
                "learn; correct chat_template.jinja"
            )
        tokens = processor.tokenizer.added_tokens_encoder
        if not any(token in self.turn_end for token in tokens if token.strip()):
            self.turn_end = processor.tokenizer.eos_token or self.turn_end

    def texts(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The prompt and the completion of a row of messages."""
        prompt = render(self.name, self.processor, row["prompt"], add_generation_prompt=True)
        return prompt, continued(opened_by(prompt), response_of(row)) + self.turn_end

    def shows_response(self, row: Mapping[str, Any]) -> bool:
        """Whether the template's own form of the assistant's turn contains all of a row's response."""
        response = response_of(row)
        return without_spaces(response) in without_spaces(self._shown(row["prompt"], response))

    def _shown(self, prompt: Sequence[Any], response: str) -> str:
        """The template's own form of a prompt and a response."""
        content = [{"type": "text", "text": response}] if self.takes_parts else response
        messages = [*prompt, {"role": "assistant", "content": content}]
        return render(self.name, self.processor, messages, add_generation_prompt=False)


def response_of(row: Mapping[str, Any]) -> str:
    return str(row["completion"][0]["content"][0]["text"])


def without_spaces(text: str) -> str:
    """For comparisons, because templates and tokenizers change spaces, and some tokenizers characters."""
    return "".join(unicodedata.normalize("NFKC", text.replace(JOINER, "")).split())
