"""Runs transformers checkpoints with a chat template, with or without images: hf:PATH or hf:HUB_ID.

    prompts -> groups           prompts that start with the same policy (prefix_groups.py)
            -> batches          up to --batch-size prompts of one group, the shortest first
            -> inputs           tokens (B, T), padded on the left, and pixels (chat.py)
            -> cached prefix    only the first batch of a group computes what the group shares (prefix.py)
            -> responses        greedy, or sampled with one random generator per prompt
            -> texts            with what the prompt opened a thought with, if it did (tokens.py)

B is the number of prompts in a batch, T the number of tokens of the longest prompt, V the vocabulary size.
Of a checkpoint's generation config only the end tokens are used: no repetition penalty and no top-k.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import transformers
from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper

from harness.backends import Backend, Sampling, failure
from harness.backends.local.chat import Reader, end_tokens
from harness.backends.local.checkpoint import load_checkpoint
from harness.backends.local.prefix import Prefix, after_prefixes, read_prompts, reusable
from harness.backends.local.roomy_cache import roomy_cache
from harness.backends.local.text_processor import TextProcessor
from harness.backends.local.tokens import LONGEST_MARK, decode, opening
from harness.backends.plain_prompt import STOP, WorkedExamples, response_before_stop
from harness.backends.prefix_groups import Group, approximate_tokens, group_by_prefix
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Json, Prompt, Response
from harness.seeds import rng


class HuggingFace(Backend):
    """Generates in batches of prompts of similar length, and computes a shared policy only once.

    A response depends on its batch only through the rounding of floats, which may decide between two almost
    equally likely tokens. Samples depend on the seed, the prompt, the device and the torch version.
    """

    batched = True
    continues = True
    runs_code = True

    def __init__(
        self, argument: str, benchmark: Benchmark, sampling: Sampling, trust_remote_code: bool = False
    ) -> None:
        self.sampling, self.name = sampling, f"hf:{argument}"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.processor = load_checkpoint(argument, self.device, trust_remote_code)
        config = self.model.config
        self.positions: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.reader = Reader(self.processor, config, benchmark, self.positions, sampling.max_new_tokens)
        self.reader.check(self.name, ())
        # Whether it is a base model without a chat template.
        self.plain = isinstance(self.processor, TextProcessor) and self.processor.plain
        self.examples = WorkedExamples(benchmark)
        self.end_tokens = end_tokens(self.name, self.processor, self.model.generation_config)
        # The report says whether the checkpoint allows this.
        self.prefix_reuse = reusable(self.model)
        self.model.generation_config = self._generation_config()
        images = getattr(self.processor, "image_processor", None)
        self.description: Json = {
            "backend": "hf",
            "checkpoint": argument,
            "revision": getattr(config, "_commit_hash", None),
            "architecture": type(self.model).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "prompt": "plain" if self.plain else "chat template",
            "image_processor": images and type(images).__name__,
            "max_positions": self.positions,
            "prefix_reuse": self.prefix_reuse,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """Responses batch by batch. If a batch does not fit into memory, it and all later ones are halved."""
        self.reader.check(self.name, prompts)
        if self.plain:
            prompts = self.examples.add(prompts)
        size = self.sampling.batch_size
        # A prefix is part of the user's message, and a begun response is not.
        reuse = self.prefix_reuse and not any(prompt.parts[-1].kind == "response" for prompt in prompts)
        groups = group_by_prefix(prompts, size // 2) if reuse else [Group(0, list(prompts))]
        for group in groups:
            # Replaces the prefix of the previous group, which frees its memory.
            prefix = Prefix(self.model, self.reader, group.parts) if group.shared else None
            waiting = sorted(group.prompts, key=lambda prompt: approximate_tokens(prompt.parts))
            while waiting:
                batch = waiting[:size]
                responses = self._answer_if_it_fits(batch, prefix)
                if responses is None and len(batch) > 1:
                    size = len(batch) // 2
                    continue
                waiting = waiting[len(batch) :]
                too_large = failure(batch[0], f"{self.device}: not enough memory for this prompt")
                yield from responses or [too_large]

    def _answer_if_it_fits(self, batch: list[Prompt], prefix: Prefix | None) -> list[Response] | None:
        """The batch's responses, or None if memory ran out."""
        try:
            return self._answer(batch, prefix)
        except (RuntimeError, MemoryError) as error:
            # On a CPU torch has no class for this error.
            out_of_memory = isinstance(error, (torch.OutOfMemoryError, MemoryError))
            if not out_of_memory and "DefaultCPUAllocator" not in str(error):
                raise
        # Not in the except block, because there the traceback still refers to the failed batch's tensors.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _answer(self, batch: list[Prompt], prefix: Prefix | None) -> list[Response]:
        """The batch's responses. A prompt that cannot be read is found by halving the batch."""
        try:
            shared = 0
            if prefix:
                rest = [prompt.parts[len(prefix.parts) :] for prompt in batch]
                inputs, (shared, *_) = read_prompts([prefix] * len(batch), rest)
            if not shared:
                inputs = self.reader.read(batch)
        except UserError as error:
            if len(batch) == 1:
                return [failure(batch[0], str(error))]
            half = len(batch) // 2
            return self._answer(batch[:half], prefix) + self._answer(batch[half:], prefix)
        return self._run(batch, inputs, prefix if shared else None, shared)

    def _run(self, batch: list[Prompt], inputs: Any, prefix: Prefix | None, shared: int) -> list[Response]:
        """Generates and decodes. The seconds exclude reading images and tokenizing.

        The prefix counts for the first batch of its group (seconds) and the first response in it (tokens). So
        the number of prompt tokens that a run computes is sum(prompt_tokens - cached_tokens).
        """
        openings = [opening(self.processor.tokenizer, row) for row in inputs["input_ids"].tolist()]
        start = self._now()
        inputs = inputs.to(self.device, dtype=self.model.dtype)
        first_token: list[float] = []

        # A stopping criterion: generate calls it after each token.
        def after_token(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
            if not first_token:
                first_token.append(self._now() - start)
            return self._stopped(ids[:, own_tokens:])

        rows = len(batch)
        after_prefix = (
            after_prefixes(inputs, [prefix] * rows, [shared] * rows) if prefix else nullcontext(inputs)
        )
        with torch.inference_mode(), after_prefix as inputs:
            own_tokens = inputs["input_ids"].shape[1]
            ids = self.model.generate(
                **inputs,
                past_key_values=roomy_cache(self.model.config),
                logits_processor=self._logits_processors(batch),
                stopping_criteria=[after_token],
            )
        seconds = self._now() - start
        lengths = (inputs["attention_mask"].sum(1) + shared).tolist()
        cached = prefix.cached_tokens(shared, rows) if prefix else [0] * rows
        new_tokens = ids[:, own_tokens:].tolist()
        return [
            Response(
                *prompt.key,
                **self._decode(row, begins),
                prompt_tokens=length,
                cached_tokens=reused,
                prefill_seconds=first_token[0],
                seconds=seconds,
                batch=rows,
            )
            for prompt, row, begins, length, reused in zip(
                batch, new_tokens, openings, lengths, cached, strict=True
            )
        ]

    def _decode(self, tokens: list[int], begins: str) -> dict[str, Any]:
        """The text up to the end token, which completion_tokens includes. The rest of the row is padding.

        If the prompt opened a thought, the text begins with what opened it.
        """
        ends = [i for i, token in enumerate(tokens) if token in self.end_tokens]
        completion, finish_reason = (tokens[: ends[0] + 1], "stop") if ends else (tokens, "length")
        text = begins + decode(self.processor.tokenizer, completion)
        if self.plain and (response := response_before_stop(text)) is not None:
            text, finish_reason = response, "stop"
        return {"text": text, "completion_tokens": len(completion), "finish_reason": finish_reason}

    def _stopped(self, new_tokens: torch.Tensor) -> torch.Tensor:
        """(B,) whether a row ends, because a base model has begun the next question."""
        stopped = torch.zeros(len(new_tokens), dtype=torch.bool, device=new_tokens.device)
        if self.plain:
            ends = self.processor.tokenizer.batch_decode(new_tokens[:, -LONGEST_MARK:])
            stopped |= torch.tensor([STOP in end for end in ends], device=new_tokens.device)
        return stopped

    def _logits_processors(self, batch: list[Prompt]) -> list[Any]:
        """Nothing if greedy; else temperature, top_p, and noise that turns the argmax into a sample."""
        if self.sampling.temperature == 0:
            return []
        seeds = [rng(self.sampling.seed, "hf", *prompt.key).getrandbits(63) for prompt in batch]
        processors: list[Any] = [TemperatureLogitsWarper(self.sampling.temperature)]
        if self.sampling.top_p < 1:
            processors.append(TopPLogitsWarper(self.sampling.top_p))
        return [*processors, _GumbelNoise(seeds, self.device)]

    def _now(self) -> float:
        """Seconds, read after the GPU has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _generation_config(self) -> Any:
        tokenizer = self.processor.tokenizer
        banned = {*self.reader.placeholders, tokenizer.pad_token_id} - self.end_tokens
        return transformers.GenerationConfig(
            max_new_tokens=self.sampling.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(self.end_tokens),
            pad_token_id=tokenizer.pad_token_id,
            suppress_tokens=sorted(banned),
        )


class _GumbelNoise:
    """Adds Gumbel noise to logits: the argmax of the sum is a sample of their softmax (Gumbel-max trick).

    Each row has its own generator. With the one that transformers uses, a sample would depend on its batch.
    """

    def __init__(self, seeds: list[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        exponential = torch.empty_like(scores)  # (B, V)
        for row, generator in zip(exponential, self.generators, strict=True):
            row.exponential_(generator=generator)
        # -log(exponential) has a Gumbel distribution. A value can be rounded to 0, whose logarithm is
        # infinite.
        return scores - exponential.clamp_min(torch.finfo(scores.dtype).tiny).log()
