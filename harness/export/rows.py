"""The rows of an export: one for each prompt, with its answer, its gold reasoning and its answer key."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import variants
from harness.answer_key import answer_key
from harness.errors import UserError
from harness.external import prompt_id, requested_prompts
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.request import PromptRequest
from harness.variants import IN_CONTEXT, VARIANTS

# Stands for an image in the texts of a row. verl, EasyR1 and ms-swift read the others as well.
IMAGE = "<image>"
_PLACEHOLDERS = re.compile("<(image|video|audio)>")


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt with all that evaluators and trainers need of it."""

    # As in `harness prompts`, so that `harness score` accepts a response under this id.
    id: str
    split: str
    variant: str
    policy: str | None
    prompt: Sequence[Part]
    # The prompt with the policy, for a teacher; None if the prompt shows it or if there is no policy.
    teacher: Sequence[Part] | None
    answer: str
    # A complete correct response with its reasoning.
    gold: str
    answer_key: str
    # Whether all answers that the policy can give are known and short, such as "Case 1".
    is_closed: bool


def rows(benchmark: Benchmark, variant: str, split: str, limit: int | None) -> Iterator[Row]:
    """The rows of a variant and a split, in the order of `harness prompts`."""
    request = PromptRequest(variants=variant, split=split, limit=limit)
    instances = {instance.id: instance for instance in benchmark.instances(split)}
    shown = VARIANTS[variant]
    for prompt in requested_prompts(benchmark, request):
        instance = instances[prompt.instance]
        with_policy = variants.prompt(instance, IN_CONTEXT, benchmark.policies)
        family = benchmark.family_of(instance)
        yield Row(
            id=prompt_id(benchmark, prompt),
            split=split,
            variant=variant,
            policy=variants.policy_id(instance, shown),
            prompt=prompt.parts,
            teacher=with_policy.parts if with_policy and not shown.shown else None,
            answer=variants.target(instance, shown) or instance.target,
            gold=family.gold(instance, shown),
            answer_key=answer_key(benchmark, instance, shown),
            is_closed=bool(family.answers(instance, shown)),
        )


def images_in(parts: Sequence[Part]) -> list[str]:
    """The paths of the images."""
    return [part.value for part in parts if part.kind == "image"]


def marked(parts: Sequence[Part]) -> str:
    """The texts with IMAGE in place of each image. Raises UserError if a text contains a placeholder."""
    for part in parts:
        if part.kind == "text" and (found := _PLACEHOLDERS.search(part.value)):
            raise UserError(
                f"benchmark: expected texts without {found[0]}, which other tools read as an image; found it "
                f"in {part.value[:60]!r}"
            )
    return "".join(IMAGE if part.kind == "image" else part.value for part in parts)
