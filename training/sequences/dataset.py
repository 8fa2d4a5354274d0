"""Training sequences for every stage: the prompt, the response, and which tokens the loss counts.

A dataset row only names a benchmark, an instance and a kind of sequence. Texts and images are loaded when a
batch is created, so 20,000 instances with their policies need almost no memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

from harness import variants
from harness.backends.readable_prompts import ReadablePrompts
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance, Part
from harness.seeds import rng
from harness.variants import IN_CONTEXT, INTERNALIZED, Variant
from training.config import RowKind, SftStage, Stage, TrainingData
from training.cot.generate import read_chains
from training.sequences.policy_rows import policy_sequence

SPLIT = "train"
# What a dataset stores of a row; `number` distinguishes rows of the same kind.
KEYS = ("benchmark", "instance", "kind", "number")
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
            prompts = [
                prompt
                for instance in instances.values()
                for variant in (INTERNALIZED, IN_CONTEXT)
                if (prompt := variants.prompt(instance, variant, benchmark.policies)) is not None
            ]
            for response in ReadablePrompts(benchmark, partial(iter, prompts)).failures:
                raise UserError(f"{benchmark.folder}: {response.instance}: {response.error}")

    def sft_dataset(
        self, stage: SftStage, as_text: AsText = str, rows: Mapping[RowKind, int] | None = None, seed: int = 0
    ) -> Any:
        """Rows of prompt, completion, images, id and prompt_loss, as TRL and the collator expect them.

        `as_text` changes every text such that a tokenizer finds no special tokens in it
        (backends/local/tokens.py). `rows` says how many sequences of which kinds each instance gives, if not
        one of the stage's own format; `seed` determines their wordings.
        """
        ids = self.chains if SEQUENCE_FORMATS[stage].chain_of_thought else self.instances
        return self._dataset(ids, partial(self._sft_row, as_text, seed), rows or {stage: 1})

    def rl_dataset(self, as_text: AsText = str, with_policy: bool = True) -> Any:
        """Rows with the prompt (Q, I) and the instance, for the PolicyRolloutTrainer.

        Those with_policy also have the prompt (Q, I, P), whose images are decoded only for them.
        """
        return self._dataset(self.instances, partial(self._rl_row, as_text, with_policy), {"rl": 1})

    def characters(self, stage: Stage, index: int, instance_id: str) -> int:
        """Length of an instance's texts in a stage, in characters: policy, question and chain of thought."""
        variant = IN_CONTEXT if stage == "rl" else SEQUENCE_FORMATS[stage].variant
        instance, policies = self.instances[index][instance_id], self.benchmarks[index].policies
        prompt = variants.prompt(instance, variant, policies)
        texts = [part.value for part in prompt.parts] if prompt else []
        return sum(map(len, texts)) + len(self.chains[index].get(instance_id, ""))

    def _dataset(
        self,
        ids: Sequence[Mapping[str, object]],
        make_row: Callable[..., dict[str, Any]],
        kinds: Mapping[Any, int],
    ) -> Any:
        """A datasets.Dataset of KEYS, turned into full rows when accessed.

        `kinds` is the number of rows of each kind that an instance gives.
        """
        from datasets import Dataset

        of_each = [
            [(index, instance, kind, n) for instance in some for kind in kinds for n in range(kinds[kind])]
            for index, some in enumerate(ids)
        ]
        counts = sequences_per_epoch([len(some) for some in of_each], self.weights)
        rows = [
            dict(zip(KEYS, key, strict=True))
            for some, count in zip(of_each, counts, strict=True)
            for key in islice(cycle(some), count)
        ]

        def load(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            keys = list(zip(*(columns[name] for name in KEYS), strict=True))
            # All rollouts of a group share one row, so load each row once.
            loaded = {key: make_row(*key) for key in dict.fromkeys(keys)}
            return {name: [loaded[key][name] for key in keys] for name in loaded[keys[0]]}

        dataset = Dataset.from_list(rows)
        dataset.set_transform(load)
        return dataset

    def _sft_row(
        self, as_text: AsText, seed: int, index: int, instance_id: str, kind: RowKind, number: int
    ) -> dict[str, Any]:
        benchmark, instance = self.benchmarks[index], self.instances[index][instance_id]
        prompt_loss = False
        if kind == "policy" or kind == "rewording" or kind == "rules":
            draw = rng(seed, "rows", instance_id, kind, number)
            parts, response = policy_sequence(kind, benchmark, instance, draw)
        else:
            format_ = SEQUENCE_FORMATS[kind]
            prompt_loss, parts = format_.prompt_loss, _parts(benchmark, instance, format_.variant)
            if format_.chain_of_thought:
                response = self.chains[index][instance_id]
            else:
                response = benchmark.family.respond(instance.target)
        prompt, images = prompt_messages(benchmark, parts, as_text)
        completion = [{"role": "assistant", "content": [{"type": "text", "text": as_text(response)}]}]
        row = {"prompt": prompt, "completion": completion, "images": images, "id": instance_id}
        return row | {"prompt_loss": prompt_loss}

    def _rl_row(
        self, as_text: AsText, with_policy: bool, index: int, instance_id: str, kind: str, number: int
    ) -> dict[str, Any]:
        benchmark, instance = self.benchmarks[index], self.instances[index][instance_id]
        row: dict[str, Any] = {"instance": instance_id, "benchmark": index}
        row["family"] = benchmark.manifest.family
        parts = _parts(benchmark, instance, INTERNALIZED)
        row["prompt"], row["images"] = prompt_messages(benchmark, parts, as_text)
        if with_policy:
            parts = _parts(benchmark, instance, IN_CONTEXT)
            row["policy_prompt"], row["policy_images"] = prompt_messages(benchmark, parts, as_text)
        return row


def rows_to_check(dataset: Any, characters: Callable[[int, str], int]) -> list[dict[str, Any]]:
    """For each benchmark and kind of sequence: the first two rows, and one with the longest texts."""
    keys = dataset.with_format(None)
    places: dict[tuple[int, str], list[tuple[int, int]]] = {}
    columns = zip(keys["benchmark"], keys["instance"], keys["kind"], strict=True)
    for place, (index, instance, kind) in enumerate(columns):
        places.setdefault((index, kind), []).append((characters(index, instance), place))
    chosen = {pair for of_one in places.values() for pair in (*of_one[:2], max(of_one))}
    return [dataset[place] for place in sorted(place for _, place in chosen)]


def sequences_per_epoch(counts: Sequence[int], weights: Sequence[float | None]) -> list[int]:
    """How many sequences an epoch takes from each benchmark.

    Without weights it takes each once. With weights it takes each at least once, and as often as the weights
    of the benchmarks require.
    """
    given = [weight for weight in weights if weight is not None]
    if not given:
        return list(counts)
    unit = max(count / weight for count, weight in zip(counts, given, strict=True))
    return [round(unit * weight) for weight in given]


def _read_chains(data: TrainingData, benchmark: Benchmark) -> dict[str, str]:
    if data.cot is None:
        raise UserError(
            f"{data.benchmark}: expected chains of thought for this recipe, got none; "
            f"generate them with `trimpi cot {data.benchmark} OUT` and give --cot OUT"
        )
    return read_chains(data.cot, benchmark)


def _parts(benchmark: Benchmark, instance: Instance, variant: Variant) -> Sequence[Part]:
    """The parts of an instance's prompt."""
    prompt = variants.prompt(instance, variant, benchmark.policies)
    if prompt is None:
        raise UserError(f"{instance.id}: expected an instance with a policy, got one without")
    return prompt.parts


def prompt_messages(
    benchmark: Benchmark, parts: Sequence[Part], as_text: AsText
) -> tuple[list[dict[str, Any]], list[Any]]:
    """One user message with a placeholder for each image, and the images in order, as TRL expects them."""
    images = [benchmark.image(part.value) for part in parts if part.kind == "image"]
    content = [
        {"type": "image"} if part.kind == "image" else {"type": "text", "text": as_text(part.value)}
        for part in parts
    ]
    return [{"role": "user", "content": content}], images
