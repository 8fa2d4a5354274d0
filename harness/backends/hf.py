"""Any AutoModelForImageTextToText checkpoint with a chat template: hf:PATH or hf:HUB_ID.

Of a checkpoint's generation config only the end tokens are used, so that what is sampled is what the run
says, and no repetition penalty or top-k hides in a score.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from harness.backends import Sampling
from harness.errors import UserError
from harness.records import Prompt, Response
from harness.seeds import rng

try:
    import torch
    import transformers
    from PIL import Image
    from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper

    from harness.backends.checkpoint import load_checkpoint
except ImportError as error:
    raise UserError(
        "hf: expected torch and transformers; install them with "
        f'pip install "policy-internalization[hf]" ({error})'
    ) from error


class Images(Protocol):
    """What the backend asks of a benchmark: the RGB pictures that its prompts name."""

    def image(self, path: str) -> Image.Image: ...


class HuggingFace:
    """Generates in left-padded batches of prompts of about the same length.

    Batches differ from single prompts only by the rounding of float arithmetic, which can turn a near tie.
    With temperature > 0 each prompt draws from a generator of its own, seeded by (seed, prompt key), so a
    response does not depend on what else is in its batch or on an interrupted run; another kind of device or
    version of torch may draw otherwise.
    """

    batched = True

    def __init__(self, argument: str, benchmark: Images, sampling: Sampling) -> None:
        self.benchmark, self.sampling = benchmark, sampling
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.processor = load_checkpoint(argument, self.device)
        config = self.model.config.get_text_config()
        self.positions: int | None = getattr(config, "max_position_embeddings", None)
        self.end = _end_tokens(self.model, self.processor.tokenizer)
        self.placeholders = _placeholders(self.model.config, self.processor)
        self.model.generation_config = self._generation_config()
        self.description: Mapping[str, Any] = self._describe(argument)

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """Responses from the shortest prompt to the longest, yielded after each batch.

        A batch that does not fit into memory is halved, and so are those after it, which are no shorter. A
        prompt that cannot be answered comes back with its error; the others are answered.
        """
        waiting = sorted(prompts, key=_length)
        size = self.sampling.batch_size
        while waiting:
            batch = waiting[:size]
            responses = self._attempt(batch)
            if responses is None and len(batch) > 1:
                size = len(batch) // 2
                continue
            waiting = waiting[len(batch) :]
            yield from responses or [_failure(batch[0], f"{self.device}: no memory for this prompt alone")]

    def _attempt(self, batch: list[Prompt]) -> list[Response] | None:
        """The batch's responses, or None when memory ran out."""
        try:
            return self._answer(batch)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Only here, past the except block, is the failed attempt's memory no longer held by its traceback.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _answer(self, batch: list[Prompt]) -> list[Response]:
        try:
            inputs = self._inputs(batch)
        except UserError as error:
            if len(batch) == 1:
                return [_failure(batch[0], str(error))]
            half = len(batch) // 2
            return self._answer(batch[:half]) + self._answer(batch[half:])
        return self._run(batch, inputs)

    def _inputs(self, batch: list[Prompt]) -> Any:
        """Left-padded tensors; UserError when a prompt of the batch cannot be shown whole."""
        chats = [self._chat(prompt) for prompt in batch]
        try:
            inputs = self.processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        except ValueError as error:
            raise UserError(f"the checkpoint's processor refused the prompt: {error}") from error
        longest, new = int(inputs["attention_mask"].sum(1).max()), self.sampling.max_new_tokens
        if self.positions is not None and longest + new > self.positions:
            raise UserError(
                f"expected prompt and response within the checkpoint's {self.positions} positions, got a "
                f"prompt of {longest} tokens and max_new_tokens {new}; nothing is truncated, so lower one"
            )
        return inputs

    def _chat(self, prompt: Prompt) -> list[dict[str, Any]]:
        """One user message with the parts in their order; UserError for a part that cannot be shown."""
        content: list[dict[str, Any]] = []
        for part in prompt.parts:
            if part.kind == "image":
                content.append({"type": "image", "image": self._image(part.value)})
                continue
            # It would be taken for an image, perhaps for that of another prompt.
            if found := [token for token in self.placeholders.values() if token in part.value]:
                raise UserError(f"expected a text without the checkpoint's own {found[0]}, got one with it")
            content.append({"type": "text", "text": part.value})
        return [{"role": "user", "content": content}]

    def _image(self, path: str) -> Image.Image:
        try:
            return self.benchmark.image(path)
        except UserError:
            raise
        # Pillow reports broken files in all of these ways.
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: not a readable image: {error}") from error

    def _run(self, batch: list[Prompt], inputs: Any) -> list[Response]:
        """Generates and decodes; the seconds count neither reading images nor tokenizing."""
        start = self._now()
        inputs = inputs.to(self.device, dtype=self.model.dtype)
        first: list[float] = []

        def note_first_token(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
            if not first:
                first.append(self._now() - start)
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        with torch.inference_mode():
            ids = self.model.generate(
                **inputs,
                logits_processor=self._sampler(batch),
                stopping_criteria=[note_first_token],
            )
        seconds = self._now() - start
        lengths = inputs["attention_mask"].sum(1).tolist()
        new_tokens = ids[:, inputs["input_ids"].shape[1] :].tolist()
        return [
            Response(
                *prompt.key,
                **self._decode(row),
                prompt_tokens=n,
                prefill_seconds=first[0],
                seconds=seconds,
                batch=len(batch),
            )
            for prompt, row, n in zip(batch, new_tokens, lengths, strict=True)
        ]

    def _decode(self, tokens: list[int]) -> dict[str, Any]:
        """Up to the end token, which completion_tokens counts; what follows it is the padding of a batch."""
        ends = [i for i, token in enumerate(tokens) if token in self.end]
        kept = tokens[: ends[0] + 1] if ends else tokens
        text = self.processor.tokenizer.decode(
            kept, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return {"text": text, "completion_tokens": len(kept), "finish_reason": "stop" if ends else "length"}

    def _sampler(self, batch: list[Prompt]) -> Any:
        """Nothing when greedy; otherwise temperature, nucleus, and noise that makes the argmax a draw."""
        if self.sampling.temperature == 0:
            return []
        seeds = [rng(self.sampling.seed, "hf", *prompt.key).getrandbits(63) for prompt in batch]
        steps: list[Any] = [TemperatureLogitsWarper(self.sampling.temperature)]
        if self.sampling.top_p < 1:
            steps.append(TopPLogitsWarper(self.sampling.top_p))
        return [*steps, _GumbelNoise(seeds, self.device)]

    def _now(self) -> float:
        """Seconds, after all that the device was given to do is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _generation_config(self) -> Any:
        tokenizer = self.processor.tokenizer
        banned = {*self.placeholders, tokenizer.pad_token_id} - self.end
        return transformers.GenerationConfig(
            max_new_tokens=self.sampling.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(self.end),
            pad_token_id=tokenizer.pad_token_id,
            suppress_tokens=sorted(banned),
        )

    def _describe(self, argument: str) -> dict[str, Any]:
        gpu = self.device.type == "cuda"
        return {
            "backend": "hf",
            "checkpoint": argument,
            "architecture": type(self.model).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": torch.cuda.get_device_name(self.device) if gpu else "cpu",
            "image_processor": type(self.processor.image_processor).__name__,
            "max_positions": self.positions,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }


class _GumbelNoise:
    """Adds Gumbel noise, one generator a row, so that the likeliest token becomes a sample of the softmax."""

    def __init__(self, seeds: list[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        noise = torch.empty_like(scores)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.clamp_min(torch.finfo(noise.dtype).tiny).log()


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """All that the checkpoint's generation config names, or else the tokenizer's one."""
    named = model.generation_config.eos_token_id
    if named is None:
        named = tokenizer.eos_token_id
    return {named} if isinstance(named, int) else set(named or ())


def _placeholders(config: Any, processor: Any) -> dict[int, str]:
    """Tokens that stand for images and videos, by id; a response has no business with them."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {getattr(source, name, None) for source in (config, processor) for name in names}
    known = {i: processor.tokenizer.convert_ids_to_tokens(i) for i in ids if isinstance(i, int)}
    return {i: token for i, token in known.items() if token}


def _length(prompt: Prompt) -> int:
    """About its tokens times four: an image counts as 300 tokens, whatever the checkpoint makes of it."""
    return sum(len(part.value) if part.kind == "text" else 1200 for part in prompt.parts)


def _failure(prompt: Prompt, error: str) -> Response:
    return Response(*prompt.key, text=None, error=error)


def _out_of_memory(error: Exception) -> bool:
    """A GPU's error has a class of its own, that of torch on a CPU only its words."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
