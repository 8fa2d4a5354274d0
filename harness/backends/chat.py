"""Prompts as a checkpoint's processor reads them: one user message each, tokens and pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from harness.errors import UserError
from harness.records import Part, Prompt


class Images(Protocol):
    """What a model is shown of a benchmark: the RGB pictures that its prompts name."""

    def image(self, path: str) -> Image.Image: ...


class Reader:
    """Prompts to left-padded tensors; nothing is truncated: UserError when one cannot be shown whole."""

    def __init__(
        self, processor: Any, config: Any, benchmark: Images, positions: int | None, max_new_tokens: int
    ) -> None:
        self.processor, self.benchmark = processor, benchmark
        self.positions, self.max_new_tokens = positions, max_new_tokens
        self.placeholders = placeholders(config, processor)

    def read(self, prompts: Sequence[Prompt]) -> Any:
        """The tensors that the model takes, a row a prompt."""
        return self.tensors([self.content(prompt.parts) for prompt in prompts])

    def content(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """The parts of a message in their order, the images loaded."""
        content: list[dict[str, Any]] = []
        for part in parts:
            if part.kind == "image":
                content.append({"type": "image", "image": self._image(part.value)})
                continue
            # It would be taken for an image, perhaps for that of another prompt.
            if found := [token for token in self.placeholders.values() if token in part.value]:
                raise UserError(f"expected a text without the checkpoint's own {found[0]}, got one with it")
            content.append({"type": "text", "text": part.value})
        return content

    def tensors(self, contents: Sequence[list[dict[str, Any]]]) -> Any:
        """The tensors of one user message for each content."""
        try:
            inputs = self.processor.apply_chat_template(
                [[{"role": "user", "content": content}] for content in contents],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        except ValueError as error:
            raise UserError(f"the checkpoint's processor refused the prompt: {error}") from error
        longest, new = int(inputs["attention_mask"].sum(1).max()), self.max_new_tokens
        if self.positions is not None and longest + new > self.positions:
            raise UserError(
                f"expected prompt and response within the checkpoint's {self.positions} positions, got a "
                f"prompt of {longest} tokens and max_new_tokens {new}; nothing is truncated, so lower one"
            )
        return inputs

    def _image(self, path: str) -> Image.Image:
        try:
            return self.benchmark.image(path)
        except UserError:
            raise
        # Pillow reports broken files in all of these ways.
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: not a readable image: {error}") from error


def length(parts: Sequence[Part]) -> int:
    """About its tokens times four: an image counts as 300 tokens, whatever the checkpoint makes of it."""
    return sum(len(part.value) if part.kind == "text" else 1200 for part in parts)


def placeholders(config: Any, processor: Any) -> dict[int, str]:
    """Tokens that stand for images and videos, by id; a response has no business with them."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {getattr(source, name, None) for source in (config, processor) for name in names}
    known = {i: processor.tokenizer.convert_ids_to_tokens(i) for i in ids if isinstance(i, int)}
    return {i: token for i, token in known.items() if token}
