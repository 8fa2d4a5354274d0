"""Turns prompts into a checkpoint's inputs: one user message each, in the checkpoint's chat format."""

from collections.abc import Sequence
from typing import Any

from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Part, Prompt


class Reader:
    """Reads prompts with a checkpoint's processor. A prompt that is too long is an error, not truncated."""

    def __init__(
        self, processor: Any, config: Any, benchmark: Benchmark, positions: int | None, max_new_tokens: int
    ) -> None:
        self.processor, self.benchmark = processor, benchmark
        self.positions, self.max_new_tokens = positions, max_new_tokens
        self.placeholders = placeholders(config, processor)

    def read(self, prompts: Sequence[Prompt]) -> Any:
        """The model's inputs for B prompts, padded on the left to T tokens: input_ids (B, T), pixels, ...

        Raises UserError if a prompt is too long, contains an image placeholder or has an unreadable image.
        """
        return self.tensors([self.content(prompt.parts) for prompt in prompts])

    def content(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """The parts in transformers' chat format, with the images loaded."""
        content: list[dict[str, Any]] = []
        for part in parts:
            if part.kind == "image":
                content.append({"type": "image", "image": self.benchmark.image(part.value)})
                continue
            # The processor would replace the placeholder by an image, perhaps by one of another prompt.
            if found := [token for token in self.placeholders.values() if token in part.value]:
                raise UserError(f"expected a text without the checkpoint's token {found[0]}, got one with it")
            content.append({"type": "text", "text": part.value})
        return content

    def tensors(self, contents: Sequence[list[dict[str, Any]]]) -> Any:
        """The model's inputs for one user message per content."""
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
            raise UserError(f"the checkpoint's processor rejected the prompt: {error}") from error
        longest, new = int(inputs["attention_mask"].sum(1).max()), self.max_new_tokens
        if self.positions is not None and longest + new > self.positions:
            raise UserError(
                f"expected prompt and response within the checkpoint's {self.positions} positions, got a "
                f"prompt of {longest} tokens and --max-new-tokens {new}; lower it, or shorten the prompt"
            )
        return inputs


def approximate_tokens(parts: Sequence[Part]) -> float:
    """An estimate without a tokenizer: 4 characters per token, 300 tokens per image."""
    return sum(len(part.value) / 4 if part.kind == "text" else 300 for part in parts)


def placeholders(config: Any, processor: Any) -> dict[int, str]:
    """The tokens that mark images and videos in a prompt, by id. No response may contain them."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {getattr(source, name, None) for source in (config, processor) for name in names}
    tokens = {i: processor.tokenizer.convert_ids_to_tokens(i) for i in ids if isinstance(i, int)}
    return {i: token for i, token in tokens.items() if token}
