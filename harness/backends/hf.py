"""Any AutoModelForImageTextToText checkpoint with a chat template: hf:PATH or hf:HUB_ID.

Of a checkpoint's generation config only the end tokens are used, so that what is sampled is what the run
says, and no repetition penalty or top-k hides in a score.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.backends import Sampling
from harness.backends.prefix_groups import Group, group_by_prefix
from harness.errors import UserError
from harness.records import Prompt, Response
from harness.seeds import rng

try:
    import torch
    import transformers
    from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper

    from harness.backends.chat import Images, Reader, length
    from harness.backends.checkpoint import load_checkpoint
    from harness.backends.prefix import Prefix, reusable
except ImportError as error:
    raise UserError(
        "hf: expected torch and transformers; install them with "
        f'pip install "policy-internalization[hf]" ({error})'
    ) from error


class HuggingFace:
    """Generates in left-padded batches of prompts of about the same length.

    What prompts begin with in common, such as their policy, is encoded once where the checkpoint allows it;
    the description says whether it does (prefix_reuse).

    Batches differ from single prompts only by the rounding of float arithmetic, which can turn a near tie.
    With temperature > 0 each prompt draws from a generator of its own, seeded by (seed, prompt key), so a
    response does not depend on what else is in its batch or on an interrupted run; another kind of device or
    version of torch may draw otherwise.
    """

    batched = True

    def __init__(self, argument: str, benchmark: Images, sampling: Sampling) -> None:
        self.sampling = sampling
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.processor = load_checkpoint(argument, self.device)
        config = self.model.config.get_text_config()
        self.positions: int | None = getattr(config, "max_position_embeddings", None)
        self.end = _end_tokens(self.model, self.processor.tokenizer)
        self.reader = Reader(
            self.processor, self.model.config, benchmark, self.positions, sampling.max_new_tokens
        )
        self.prefix_reuse = reusable(self.model)
        self.model.generation_config = self._generation_config()
        self.description: Mapping[str, Any] = self._describe(argument)

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """Responses from the shortest prompt to the longest of each group, yielded after each batch.

        A batch that does not fit into memory is halved, and so are all after it. A prompt that cannot be
        answered comes back with its error; the others are answered.
        """
        size = self.sampling.batch_size
        for group in self._groups(prompts):
            prefix = Prefix(self.model, self.reader, group.parts) if group.shared else None
            waiting = sorted(group.prompts, key=lambda prompt: length(prompt.parts))
            while waiting:
                batch = waiting[:size]
                responses = self._attempt(batch, prefix)
                if responses is None and len(batch) > 1:
                    size = len(batch) // 2
                    continue
                waiting = waiting[len(batch) :]
                yield from responses or [
                    _failure(batch[0], f"{self.device}: no memory for this prompt alone")
                ]

    def _groups(self, prompts: Sequence[Prompt]) -> list[Group]:
        if self.prefix_reuse:
            return group_by_prefix(prompts, self.sampling.batch_size // 2)
        return [Group(0, list(prompts))]

    def _attempt(self, batch: list[Prompt], prefix: Prefix | None) -> list[Response] | None:
        """The batch's responses, or None when memory ran out."""
        try:
            return self._answer(batch, prefix)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Only here, past the except block, is the failed attempt's memory no longer held by its traceback.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _answer(self, batch: list[Prompt], prefix: Prefix | None) -> list[Response]:
        try:
            inputs, shared = prefix.read(batch) if prefix else (None, 0)
            if not shared:
                inputs = self.reader.read(batch)
        except UserError as error:
            if len(batch) == 1:
                return [_failure(batch[0], str(error))]
            half = len(batch) // 2
            return self._answer(batch[:half], prefix) + self._answer(batch[half:], prefix)
        return self._run(batch, inputs, prefix if shared else None, shared)

    def _run(self, batch: list[Prompt], inputs: Any, prefix: Prefix | None, shared: int) -> list[Response]:
        """Generates and decodes; the seconds count neither reading images nor tokenizing.

        Those of a prefix's encoding belong to the first batch of its group, and its tokens to the first
        response: so the tokens computed in a run are the sum of prompt_tokens - cached_tokens.
        """
        start = self._now()
        inputs = inputs.to(self.device, dtype=self.model.dtype)
        first: list[float] = []

        def note_first_token(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
            if not first:
                first.append(self._now() - start)
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        with torch.inference_mode():
            if prefix:
                inputs = prefix.rest(inputs, shared)
            ids = self.model.generate(
                **inputs,
                logits_processor=self._sampler(batch),
                stopping_criteria=[note_first_token],
            )
        seconds = self._now() - start
        lengths = inputs["attention_mask"].sum(1).tolist()
        cached = prefix.account(shared, len(batch)) if prefix else [0] * len(batch)
        new_tokens = ids[:, inputs["input_ids"].shape[1] :].tolist()
        return [
            Response(
                *prompt.key,
                **self._decode(row),
                prompt_tokens=n,
                cached_tokens=reused,
                prefill_seconds=first[0],
                seconds=seconds,
                batch=len(batch),
            )
            for prompt, row, n, reused in zip(batch, new_tokens, lengths, cached, strict=True)
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
        banned = {*self.reader.placeholders, tokenizer.pad_token_id} - self.end
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
            "prefix_reuse": self.prefix_reuse,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }


class _GumbelNoise:
    """Adds Gumbel noise, one generator a row, so that the likeliest token becomes a sample of the softmax."""

    def __init__(self, seeds: list[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
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


def _failure(prompt: Prompt, error: str) -> Response:
    return Response(*prompt.key, text=None, error=error)


def _out_of_memory(error: Exception) -> bool:
    """A GPU's error has a class of its own, that of torch on a CPU only its words."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
