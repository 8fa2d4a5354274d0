"""The reward of a response: (1 - w) x accuracy by the harness's own scoring + w x format.

Accuracy and format are two reward functions as TRL expects them, and 1 - w and w are their weights.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from harness.backends.local.tokens import decode, opening
from harness.files.benchmark import Benchmark
from harness.parsing import has_format
from harness.records import Instance, Json
from harness.thoughts import as_think_block

log = logging.getLogger(__name__)
RewardFunction = Callable[..., list[float | None]]


def reward_functions(benchmarks: Sequence[Benchmark], split: str) -> list[RewardFunction]:
    """Accuracy and format, in the order of `reward_weights`. TRL logs each under the name of its function.

    Accuracy is the family's grade under the instance's own policy: 1 or 0 on ClevrPolicy; on GTAPolicy half
    for the tool and half for its arguments (paper, GTAPolicy). It is None if the grading fails.
    TRL passes the columns of the dataset's rows.
    """
    instances: list[dict[str, Instance]] = [{i.id: i for i in b.instances(split)} for b in benchmarks]

    def accuracy(
        completions: Sequence[Any], benchmark: Sequence[int], instance: Sequence[str], **_: Any
    ) -> list[float | None]:
        grades = []
        for completion, index, instance_id in zip(completions, benchmark, instance, strict=True):
            graded, text = instances[index][instance_id], completion_text(completion)
            grade = benchmarks[index].grade(graded, graded.target, text)
            if grade.value is None:
                log.warning("%s: a response has no reward: %s", instance_id, grade.reason)
            grades.append(grade.value)
        return grades

    def format(completions: Sequence[Any], **_: Any) -> list[float | None]:
        return [float(has_format(completion_text(completion))) for completion in completions]

    return [accuracy, format]


def reward_weights(format_weight: float, citation_weight: float = 0.0) -> list[float]:
    """The weights of accuracy, format and, unless it is 0, of citations."""
    weights = [1 - format_weight - citation_weight, format_weight, citation_weight]
    return weights if citation_weight else weights[:2]


def graded_message(tokenizer: Any, prompt_ids: Sequence[int], completion_ids: Sequence[int]) -> list[Json]:
    """A response as the harness would grade it, as a completion in TRL's form.

    It includes what the prompt opened the thought with. The format asks for <think>, which the marks of
    another model stand for only if the prompt has set them.
    """
    opened = opening(tokenizer, prompt_ids)
    text = opened + decode(tokenizer, completion_ids)
    return [{"role": "assistant", "content": as_think_block(text) if opened else text}]


def completion_text(completion: Sequence[Any]) -> str:
    """The text of a completion in TRL's form: a list of one assistant message."""
    return str(completion[0]["content"])
