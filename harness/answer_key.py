"""Answer keys: all that grading a response needs, as one text that other programs can store with a prompt.

    harness export            answer_key(...)  ->  a column of the files
    a trainer or evaluator    harness.grade(key, response), harness.reward(key, response)

Both give the same score as a run of the harness, because the same code grades.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from harness import variants
from harness.dialogs.dialog import Rollout
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark, Manifest
from harness.files.manifest import FORMAT
from harness.files.mistakes import mistake
from harness.parsing import FORMAT_WEIGHT
from harness.parsing import has_format as is_formatted
from harness.records import Grade, Instance, Json, Policy
from harness.variants import Variant


@dataclass(frozen=True, slots=True)
class AnswerKey:
    family: str
    # Another version of the family's scorer refuses the key.
    scorer: str
    config: Json
    # Without its query, which grading does not need. The steps of a dialog keep their queries.
    instance: Instance
    # The correct answer under the variant of the prompt.
    target: str
    # Those of the instance, without their content.
    policies: tuple[Policy, ...]


class KeyBenchmark(Benchmark):
    """The benchmark of an answer key: it grades, but it has no files."""

    def __init__(self, family: str, config: Json, policies: Mapping[str, Policy]) -> None:
        self.manifest = Manifest(FORMAT, family, config, {}, {}, "", "", {})
        self.policies = dict(policies)


def answer_key(benchmark: Benchmark, instance: Instance, variant: Variant) -> str:
    """The key of an instance under a variant. The instance must have an answer under it."""
    ids = [variants.policy_id(instance, each) for each in (variants.INTERNALIZED, variants.OVERRIDE)]
    key = AnswerKey(
        family=benchmark.manifest.family,
        scorer=benchmark.family_of(instance).scorer,
        config=benchmark.manifest.config,
        instance=replace(instance, query=()),
        target=variants.target(instance, variant) or "",
        policies=tuple(replace(benchmark.policies[i], content=()) for i in ids if i is not None),
    )
    return msgspec.json.encode(key).decode()


def grade(answer_key: str, response: str) -> Grade:
    """The grade of a response to the prompt of this key: a value from 0 to 1, or None and the reason.

    Raises UserError if the key is damaged, or if it belongs to another version of the scorer.
    """
    for name, text in (("answer_key", answer_key), ("response", response)):
        if not isinstance(text, str):
            raise UserError(f"{name}: expected a text, got {text!r}")
    benchmark, key = _opened(answer_key)
    return benchmark.grade(key.instance, key.target, response)


def rollout(answer_key: str) -> Rollout:
    """The dialog of this key before its first response."""
    benchmark, key = _opened(answer_key)
    return benchmark.dialogs.rollout(key.instance, key.target)


def reward(answer_key: str, response: str, format_weight: float = FORMAT_WEIGHT) -> dict[str, float]:
    """The reward that `trimpi train` gives: score = (1 - format_weight) x accuracy + format_weight x format.

    A trainer needs a number, so the accuracy of a response that cannot be graded is 0.
    """
    accuracy, format_ = grade(answer_key, response).value or 0.0, float(is_formatted(response))
    score = (1 - format_weight) * accuracy + format_weight * format_
    return {"score": score, "accuracy": accuracy, "format": format_}


# The responses of a group have the same key.
@lru_cache(maxsize=512)
def _opened(text: str) -> tuple[KeyBenchmark, AnswerKey]:
    try:
        key = msgspec.json.decode(text, type=AnswerKey)
    except store.DECODE_ERRORS as error:
        problem = mistake(error, AnswerKey)
        raise UserError(
            f"answer_key: expected the text from an export, got another one: {problem}"
        ) from error
    benchmark = _benchmark(key.family, *map(_frozen, (key.config, {p.id: p for p in key.policies})))
    scorer = benchmark.family_of(key.instance).scorer
    if scorer != key.scorer:
        raise UserError(
            f"answer_key: expected the scorer {key.scorer}, {scorer} is installed; export the benchmark again"
        )
    return benchmark, key


# A family parses its policies once.
@lru_cache(maxsize=64)
def _benchmark(family: str, config: bytes, policies: bytes) -> KeyBenchmark:
    decoded = msgspec.json.decode(policies, type=dict[str, Policy])
    return KeyBenchmark(family, msgspec.json.decode(config), decoded)


def _frozen(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
