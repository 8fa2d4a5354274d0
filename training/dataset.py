"""Training sequences for every stage: the prompt, the response, and which tokens the loss counts.

A dataset row only names a benchmark and an instance. Texts and images are loaded when a batch is created,
so 20,000 instances with their policies need almost no memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

from harness import variants
from harness.backends import readable
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance
from harness.variants import IN_CONTEXT, INTERNALIZED, Variant
from training.config import SftStage, Stage, TrainingData
from training.cot.generate import read_chains

SPLIT = "train"
AsText = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class SequenceFormat:
    """How a supervised stage turns an instance into a sequence (paper, TriMPI, stages 1 and 2)."""

    # Whether the prompt contains the policy.
    variant: Variant
    # Whether the response has a chain of thought before the answer.
    chain_of_thought: bool
    # Whether the loss also counts the text tokens of the prompt (visually masked pretraining).
    prompt_loss: bool = False


SEQUENCE_FORMATS: Mapping[SftStage, SequenceFormat] = {
    "vm-cpt": SequenceFormat(IN_CONTEXT, chain_of_thought=True, prompt_loss=True),
    "direct-sft": SequenceFormat(INTERNALIZED, chain_of_thought=False),
    "cot-sft": SequenceFormat(INTERNALIZED, chain_of_thought=True),
    "prompt-sft": SequenceFormat(IN_CONTEXT, chain_of_thought=True),
}


def needs_chains(stages: Iterable[Stage]) -> bool:
    """Whether any of the stages learns from chains of thought."""
    return any(stage != "rl" and SEQUENCE_FORMATS[stage].chain_of_thought for stage in stages)


class Mixture:
    """The benchmarks of one run, with their training instances and chains of thought."""

    def __init__(self, data: Sequence[TrainingData], stages: Iterable[Stage]) -> None:
        self.benchmarks = [Benchmark(entry.benchmark) for entry in data]
        self.weights = [entry.weight for entry in data]
        # One dictionary per benchmark: instance id -> instance, and instance id -> chain of thought.
        self.instances = [{i.id: i for i in b.instances(SPLIT)} for b in self.benchmarks]
        self.chains: list[dict[str, str]] = [{} for _ in data]
        if needs_chains(stages):
            self.chains = [_read_chains(*pair) for pair in zip(data, self.benchmarks, strict=True)]
        for entry, instances in zip(data, self.instances, strict=True):
            if not instances:
                raise UserError(f"{entry.benchmark}: expected training instances, its split {SPLIT} has none")

    def check_images(self) -> None:
        """Raises UserError if an image is missing, was changed or, with the instance, cannot be read."""
        for benchmark, instances in zip(self.benchmarks, self.instances, strict=True):
            of_both = [
                variants.prompt(instance, variant, benchmark.policies)
                for instance in instances.values()
                for variant in (INTERNALIZED, IN_CONTEXT)
            ]
            _, failed = readable(benchmark, [prompt for prompt in of_both if prompt is not None])
            for response in failed:
                raise UserError(f"{benchmark.folder}: {response.instance}: {response.error}")

    def sft_dataset(self, stage: SftStage, as_text: AsText = str) -> Any:
        """Rows of prompt, completion, images and id, as TRL's SFTTrainer expects them.

        `as_text` changes every text such that a tokenizer finds no special tokens in it
        (harness.backends.tokens).
        """
        format_ = SEQUENCE_FORMATS[stage]
        ids = self.chains if format_.chain_of_thought else self.instances
        return self._dataset(ids, partial(self._sft_row, format_, as_text))

    def rl_dataset(self, as_text: AsText = str, with_policy: bool = True) -> Any:
        """Rows with the prompt (Q, I) and the instance, for the PolicyRolloutTrainer.

        Those with_policy also have the prompt (Q, I, P), whose images are decoded only for them.
        """
        return self._dataset(self.instances, partial(self._rl_row, as_text, with_policy))

    def characters(self, stage: Stage, index: int, instance_id: str) -> int:
        """Length of an instance's texts in a stage, in characters: policy, question and chain of thought."""
        variant = IN_CONTEXT if stage == "rl" else SEQUENCE_FORMATS[stage].variant
        instance, policies = self.instances[index][instance_id], self.benchmarks[index].policies
        prompt = variants.prompt(instance, variant, policies)
        texts = [part.value for part in prompt.parts] if prompt else []
        return sum(map(len, texts)) + len(self.chains[index].get(instance_id, ""))

    def _dataset(
        self, ids: Sequence[Mapping[str, object]], make_row: Callable[[int, str], dict[str, Any]]
    ) -> Any:
        """A datasets.Dataset of (index of benchmark, instance id), turned into full rows when accessed."""
        from datasets import Dataset

        counts = sequences_per_epoch([len(benchmark_ids) for benchmark_ids in ids], self.weights)
        rows = [
            {"benchmark": index, "instance": instance}
            for index, (benchmark_ids, count) in enumerate(zip(ids, counts, strict=True))
            for instance in islice(cycle(benchmark_ids), count)
        ]

        def load(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            keys = list(zip(columns["benchmark"], columns["instance"], strict=True))
            # All rollouts of a group share one row, so load each row once.
            loaded = {key: make_row(*key) for key in dict.fromkeys(keys)}
            return {name: [loaded[key][name] for key in keys] for name in loaded[keys[0]]}

        dataset = Dataset.from_list(rows)
        dataset.set_transform(load)
        return dataset

    def _sft_row(
        self, format_: SequenceFormat, as_text: AsText, index: int, instance_id: str
    ) -> dict[str, Any]:
        benchmark, instance = self.benchmarks[index], self.instances[index][instance_id]
        if format_.chain_of_thought:
            response = self.chains[index][instance_id]
        else:
            response = benchmark.family.respond(instance.target)
        prompt, images = _messages(benchmark, instance, format_.variant, as_text)
        completion = [{"role": "assistant", "content": [{"type": "text", "text": as_text(response)}]}]
        return {"prompt": prompt, "completion": completion, "images": images, "id": instance_id}

    def _rl_row(self, as_text: AsText, with_policy: bool, index: int, instance_id: str) -> dict[str, Any]:
        benchmark, instance = self.benchmarks[index], self.instances[index][instance_id]
        row: dict[str, Any] = {"instance": instance_id, "benchmark": index}
        row["family"] = benchmark.manifest.family
        row["prompt"], row["images"] = _messages(benchmark, instance, INTERNALIZED, as_text)
        if with_policy:
            policy = _messages(benchmark, instance, IN_CONTEXT, as_text)
            row["policy_prompt"], row["policy_images"] = policy
        return row


def rows_to_check(dataset: Any, characters: Callable[[int, str], int]) -> list[dict[str, Any]]:
    """The first two rows of each benchmark in the dataset of a stage, and the one with the longest texts."""
    keys = dataset.with_format(None)
    places: dict[int, list[tuple[int, int]]] = {}
    for place, (index, instance) in enumerate(zip(keys["benchmark"], keys["instance"], strict=True)):
        places.setdefault(index, []).append((characters(index, instance), place))
    chosen = {pair for of_one in places.values() for pair in (*of_one[:2], max(of_one))}
    return [dataset[place] for place in sorted(place for _, place in chosen)]


def sequences_per_epoch(counts: Sequence[int], weights: Sequence[float | None]) -> list[int]:
    """How many sequences an epoch takes from each benchmark.

    Without weights it takes all of them. With weights the total stays the same and is divided in proportion.
    """
    given = [weight for weight in weights if weight is not None]
    if not given:
        return list(counts)
    return [max(1, round(sum(counts) * weight / sum(given))) for weight in given]


def _read_chains(data: TrainingData, benchmark: Benchmark) -> dict[str, str]:
    if data.cot is None:
        raise UserError(
            f"{data.benchmark}: expected chains of thought for this recipe, got none; "
            f"generate them with `trimpi cot {data.benchmark} OUT` and give --cot OUT"
        )
    return read_chains(data.cot, benchmark)


def _messages(
    benchmark: Benchmark, instance: Instance, variant: Variant, as_text: AsText
) -> tuple[list[dict[str, Any]], list[Any]]:
    """One user message with a placeholder for each image, and the images in order, as TRL expects them."""
    prompt = variants.prompt(instance, variant, benchmark.policies)
    if prompt is None:
        raise UserError(f"{instance.id}: expected an instance with a policy, got one without")
    images = [benchmark.image(part.value) for part in prompt.parts if part.kind == "image"]
    content = [
        {"type": "image"} if part.kind == "image" else {"type": "text", "text": as_text(part.value)}
        for part in prompt.parts
    ]
    return [{"role": "user", "content": content}], images
