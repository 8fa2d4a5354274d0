"""What a rollout earns: right by the harness's own scoring, and in the format that was asked for.

Two reward functions as TRL takes them, and their weights: reward = (1 - w) accuracy + w format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from harness.files.benchmark import Benchmark
from harness.parsing import boxed
from harness.records import Instance

Reward = Callable[..., list[float | None]]

FORMAT_WEIGHT = 0.1
"""The paper adds a format reward and does not say how much of it; EasyR1, very likely what its authors used,
takes a tenth by default. That keeps the format, and is never worth as much as a right answer."""

FORMATTED = re.compile(r"\s*<think>(?P<thought>.*)</think>\s*(?P<answer>\\boxed\{.*\})\s*", re.DOTALL)
MARKS = ("<think>", "</think>", r"\boxed{")


def functions(benchmarks: Sequence[Benchmark], split: str) -> list[Reward]:
    """Accuracy and format, in the order of `weights`; rows name their benchmark by its index here."""
    return [_accuracy(benchmarks, split), _format]


def weights(format_weight: float) -> list[float]:
    return [1 - format_weight, format_weight]


def formatted(text: str) -> bool:
    """One <think>...</think>, then one \\boxed{...} with balanced braces, and nothing else."""
    match = FORMATTED.fullmatch(text)
    if match is None or any(text.count(mark) != 1 for mark in MARKS):
        return False
    return boxed(text) == match["answer"][len(MARKS[-1]) : -1].strip()


def _accuracy(benchmarks: Sequence[Benchmark], split: str) -> Reward:
    """The family's grade under the instance's own policy.

    1 or 0 on ClevrPolicy; on GTAPolicy half for the tool and half for its arguments (paper, GTAPolicy).
    """
    instances: list[dict[str, Instance]] = [{i.id: i for i in b.instances(split)} for b in benchmarks]

    def accuracy(
        completions: Sequence[Any], benchmark: Sequence[int], instance: Sequence[str], **columns: Any
    ) -> list[float | None]:
        del columns
        rewards = []
        for completion, index, name in zip(completions, benchmark, instance, strict=True):
            asked = instances[index][name]
            rewards.append(
                benchmarks[index].family_of(asked).grade(asked, asked.target, said(completion)).value
            )
        return rewards

    return accuracy


def _format(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    del columns
    return [float(formatted(said(completion))) for completion in completions]


# TRL logs a reward under the name of its function.
_format.__name__ = "format"


def said(completion: Sequence[Any]) -> str:
    """The text of a completion as TRL hands it over: a list of one assistant's message."""
    return str(completion[0]["content"])
