"""Backends that load no model: the baselines random and majority, the oracle, and the replay of a run."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import variants
from harness.backends import Backend, Sampling, failure
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.files.responses import StoredResponses
from harness.records import Instance, Json, Prompt, Response
from harness.results import majorities, majority
from harness.seeds import rng
from harness.text import reason
from harness.variants import VARIANTS, Variant


class Scripted(Backend):
    """Reads the benchmark's gold data, which no other backend does. Listed in harness.backends.SCRIPTED."""

    continues = True
    instant = True

    def __init__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> None:
        name = type(self).__name__.lower()
        if argument:
            raise UserError(f"{name}:{argument}: expected {name} without an argument")
        self.benchmark, self.seed = benchmark, sampling.seed
        self.description: Json = {"backend": name}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        instances = self.benchmark.find({prompt.instance for prompt in prompts})
        for prompt in prompts:
            try:
                text = self.answer(prompt, instances[prompt.instance], VARIANTS[prompt.variant])
            # Families are third-party code, so any exception may occur.
            except Exception as error:
                yield failure(prompt, reason(error))
            else:
                yield Response(*prompt.key, text=text, finish_reason="stop")

    @abstractmethod
    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        """The text of the response to this prompt."""


class Oracle(Scripted):
    """The gold reasoning and answer, which scores 1."""

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        return self.benchmark.family_of(instance).gold(instance, variant)


class Random(Scripted):
    """One of the policy's answers, drawn uniformly; depends only on the seed and the prompt."""

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        family = self.benchmark.family_of(instance)
        answers = family.answers(instance, variant)
        return family.respond(rng(self.seed, "random", *prompt.key).choice(answers)) if answers else ""


class Majority(Scripted):
    """The policy's most frequent answer in the training split."""

    # The instances of all prompts determine which blocks of the training split count.
    instant = False

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        instances = self.benchmark.find({prompt.instance for prompt in prompts})
        self.ranked = majorities(self.benchmark, instances.values())
        yield from super().generate(prompts)

    def answer(self, prompt: Prompt, instance: Instance, variant: Variant) -> str:
        family = self.benchmark.family_of(instance)
        answers = family.answers(instance, variant)
        ranked = self.ranked.get(variants.policy_id(instance, variant), ())
        return family.respond(majority(answers, ranked) or answers[0]) if answers else ""


class Replay(Backend):
    """The responses of an earlier run, to score them again: replay:RUN."""

    continues = True
    instant = True

    def __init__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> None:
        path = Path(argument) / RESPONSES
        if not argument or not path.is_file():
            raise UserError(f"replay:{argument}: expected replay:RUN with the folder of a run")
        self.responses = StoredResponses(path)
        self.description: Json = {"backend": "replay", "run": argument}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            stored = self.responses.get(prompt.key)
            yield stored or failure(prompt, "the replayed run has no such response")
