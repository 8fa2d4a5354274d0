"""One sequence type for every stage: what is shown, what is answered, and which of its tokens are learned.

Rows name a benchmark and an instance; texts and pictures are looked up when a batch is made, so that 20,000
instances with their policies take no memory to speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance, Part, Prompt
from harness.variants import IN_CONTEXT, INTERNALIZED, Variant
from training.config import Data, SftStage
from training.cot import generate

SPLIT = "train"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a supervised stage makes of an instance (paper, TriMPI, stages 1 and 2)."""

    variant: Variant
    reasoned: bool
    """The response is a chain of thought and the answer, not the answer alone."""
    whole: bool = False
    """Every token that is not visual is learned, not the response alone (visually masked pretraining)."""


KINDS: Mapping[SftStage, Kind] = {
    "vm-cpt": Kind(IN_CONTEXT, reasoned=True, whole=True),
    "direct-sft": Kind(INTERNALIZED, reasoned=False),
    "cot-sft": Kind(INTERNALIZED, reasoned=True),
    "prompt-sft": Kind(IN_CONTEXT, reasoned=True),
}


class Mixture:
    """The benchmarks of one run, their training instances and chains of thought."""

    def __init__(self, data: Sequence[Data], *, reasoned: bool) -> None:
        self.benchmarks = [Benchmark(d.benchmark) for d in data]
        self.weights = [d.weight for d in data]
        self.instances = [{i.id: i for i in b.instances(SPLIT)} for b in self.benchmarks]
        self.chains = [_chains(d, b) if reasoned else {} for d, b in zip(data, self.benchmarks, strict=True)]
        for d, instances in zip(data, self.instances, strict=True):
            if not instances:
                raise UserError(f"{d.benchmark}: expected training instances, its split {SPLIT} has none")

    def supervised(self, stage: SftStage) -> Any:
        """Rows of prompt, completion, images and id, as TRL's SFTTrainer takes them."""
        kind = KINDS[stage]
        return self._dataset(
            self.chains if kind.reasoned else self.instances, lambda row: self._pair(row, kind)
        )

    def rollouts(self) -> Any:
        """Rows of (Q, I) and of (Q, I, P), and whose answer they want, for the PolicyRolloutTrainer."""
        return self._dataset(self.instances, self._question)

    def _dataset(self, ids: Sequence[Mapping[str, object]], make: Any) -> Any:
        from datasets import Dataset

        chosen = shares([len(of) for of in ids], self.weights)
        rows = [
            {"benchmark": index, "instance": instance}
            for index, (of, count) in enumerate(zip(ids, chosen, strict=True))
            for instance in islice(cycle(of), count)
        ]

        def look_up(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            asked = list(zip(columns["benchmark"], columns["instance"], strict=True))
            # A group of rollouts asks for the same row many times over.
            made = {row: make(row) for row in dict.fromkeys(asked)}
            return {name: [made[row][name] for row in asked] for name in made[asked[0]]}

        dataset = Dataset.from_list(rows)
        dataset.set_transform(look_up)
        return dataset

    def _pair(self, row: tuple[int, str], kind: Kind) -> dict[str, Any]:
        index, instance = row[0], self.instances[row[0]][row[1]]
        benchmark = self.benchmarks[index]
        if kind.reasoned:
            response = self.chains[index][instance.id]
        else:
            response = benchmark.family.respond(instance.target)
        prompt, images = _message(_prompt(benchmark, instance, kind.variant), benchmark)
        answer = [{"role": "assistant", "content": [{"type": "text", "text": response}]}]
        return {"prompt": prompt, "completion": answer, "images": images, "id": instance.id}

    def _question(self, row: tuple[int, str]) -> dict[str, Any]:
        index, instance = row[0], self.instances[row[0]][row[1]]
        benchmark = self.benchmarks[index]
        prompt, images = _message(_prompt(benchmark, instance, INTERNALIZED), benchmark)
        policy_prompt, policy_images = _message(_prompt(benchmark, instance, IN_CONTEXT), benchmark)
        return {
            "prompt": prompt,
            "images": images,
            "policy_prompt": policy_prompt,
            "policy_images": policy_images,
            "instance": instance.id,
            "benchmark": index,
            "family": benchmark.manifest.family,
        }


def shares(counts: Sequence[int], weights: Sequence[float | None]) -> list[int]:
    """How many sequences an epoch takes of each benchmark: all of them, or as many in all by weight."""
    given = [weight for weight in weights if weight is not None]
    if not given:
        return list(counts)
    return [max(1, round(sum(counts) * weight / sum(given))) for weight in given]


def _chains(data: Data, benchmark: Benchmark) -> dict[str, str]:
    if data.cot is None:
        raise UserError(
            f"{data.benchmark}: expected chains of thought for this recipe, got none; "
            f"make them with `trimpi cot {data.benchmark} OUT` and give --cot OUT"
        )
    return generate.read(data.cot, benchmark)


def _prompt(benchmark: Benchmark, instance: Instance, variant: Variant) -> Prompt:
    prompt = variants.prompt(instance, variant, benchmark.policies)
    if prompt is None:
        raise UserError(f"{instance.id}: expected an instance that a policy governs, got one without")
    return prompt


def _message(prompt: Prompt, benchmark: Benchmark) -> tuple[list[dict[str, Any]], list[Any]]:
    """One user message with a place for each image, and the images in order, apart: as TRL wants them."""
    images = [benchmark.image(part.value) for part in prompt.parts if part.kind == "image"]
    return [{"role": "user", "content": [_content(part) for part in prompt.parts]}], images


def _content(part: Part) -> dict[str, str]:
    return {"type": "image"} if part.kind == "image" else {"type": "text", "text": part.value}
