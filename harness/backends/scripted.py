"""Backends that need no model: the floor, the ceiling, and an earlier run played again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import variants
from harness.backends import Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log
from harness.records import Instance, Prompt, Response
from harness.results import majorities, majority
from harness.seeds import rng
from harness.variants import VARIANTS, Variant


class _Scripted(ABC):
    """Answers from the benchmark itself, which no real backend is given to see."""

    batched = False

    def __init__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> None:
        if argument:
            raise UserError(f"model: expected {type(self).__name__.lower()} alone, got :{argument} behind it")
        self.benchmark, self.seed = benchmark, sampling.seed
        self.description: Mapping[str, Any] = {"backend": type(self).__name__.lower()}
        self.instances = {i.id: i for split in benchmark.splits for i in benchmark.instances(split)}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            text = self.answer(prompt, self.instances[prompt.instance], VARIANTS[prompt.variant])
            yield Response(*prompt.key, text=text, finish_reason="stop")

    @abstractmethod
    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        """The text that comes back for this prompt."""


class Oracle(_Scripted):
    """The gold reasoning and answer: whatever is right scores 1."""

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        return self.benchmark.family_of(instance).gold(instance, variant)


class Random(_Scripted):
    """One of the policy's answers, each as likely; repeatable by seed."""

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        answers = self.benchmark.family_of(instance).answers(instance, variant)
        if not answers:
            return ""
        return self.benchmark.family.respond(rng(self.seed, "random", *prompt.key).choice(answers))


class Majority(_Scripted):
    """Always the answer that is most frequent in the training split."""

    def __init__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> None:
        super().__init__(argument, benchmark, sampling)
        self.ranked = majorities(benchmark)

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        answers = self.benchmark.family_of(instance).answers(instance, variant)
        if not answers:
            return ""
        policy = variants.policy_id(instance, variant)
        constant = majority(answers, self.ranked.get(policy, ()))
        return self.benchmark.family.respond(constant or answers[0])


class Replay:
    """The responses of an earlier run, graded again: replay:RUN."""

    batched = False

    def __init__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> None:
        path = Path(argument) / "responses.jsonl"
        if not argument or not path.is_file():
            raise UserError(f"model: expected replay:RUN with a run's folder, got replay:{argument}")
        self.responses: dict[tuple[str, str, int], Response] = {r.key: r for r in Log(path, Response).read()}
        self.description: Mapping[str, Any] = {"backend": "replay", "run": argument}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            missing = Response(*prompt.key, text=None, error="the replayed run has no such response")
            yield self.responses.get(prompt.key, missing)
