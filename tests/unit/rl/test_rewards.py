"""Rewards: the harness's own grade, and the format."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.files.benchmark import Benchmark
from harness.parsing import FORMAT_WEIGHT, has_format
from harness.variants import INTERNALIZED
from training.rl import rewards
from training.rl.trainer import LOSSES

GOOD = r"<think>A red cube. Yes.</think>\boxed{Case 1}"


VERL = re.compile(r"<think>.*</think>.*\\boxed\{.*\}.*", re.DOTALL)
PARTS = ["<think>", "</think>", r"\boxed{", "}", "{", "Case 1", "\n", " "]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "  <think>two\nlines</think>\n\n\\boxed{Case 1}\n",
        r'<think></think> \boxed{{"name": "OCR", "arguments": {"image": "a"}}}',
        r"<think>A red cube.</think>It is \boxed{Case 1}, as section 2 says.",
        r"<think>Perhaps \boxed{Case 2}</think>\boxed{Case 1}",
        r"<think>One.</think><think>Two.</think>\boxed{Case 1}",
    ],
)
def test_the_requested_format_is_recognized(text: str) -> None:
    assert has_format(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        r"\boxed{Case 1}",
        "<think>A red cube.</think>Case 1",
        r"<think>A red cube. \boxed{Case 1}",
        r"<think>Perhaps \boxed{Case 1}</think>",
        r"<think>A red cube.</think>\boxed{Case 1",
        r"So: <think>A red cube.</think>\boxed{Case 1}",
        r"\boxed{Case 1}<think>A red cube.</think>",
    ],
)
def test_any_other_format_is_rejected(text: str) -> None:
    assert not has_format(text)


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_the_format_is_that_of_verl(text: str) -> None:
    assert has_format(text) == bool(VERL.fullmatch(text.lstrip()))


def test_gold_responses_get_1_and_empty_ones_0(benchmark_: Benchmark) -> None:
    """In every family, with completions and columns in TRL's form."""
    instances = benchmark_.instances("train")
    columns = {"benchmark": [0] * len(instances), "instance": [i.id for i in instances], "prompts": None}
    functions = rewards.reward_functions([benchmark_], "train")
    assert [f.__name__ for f in functions] == ["accuracy", "format"]
    for reward in functions:
        gold = [[_message(benchmark_.family.gold(i, INTERNALIZED))] for i in instances]
        assert reward(completions=gold, **columns) == [1.0] * len(instances)
        empty = [[_message("")] for _ in instances]
        assert reward(completions=empty, **columns) == [0.0] * len(instances)


def test_accuracy_is_the_grade_by_the_benchmark_of_each_row(text_folder: Path, rules_folder: Path) -> None:
    both = [Benchmark(text_folder), Benchmark(rules_folder)]
    case, call = (b.instances("train")[0] for b in both)
    accuracy = rewards.reward_functions(both, "train")[0]
    right, half = both[0].family.respond(case.target), _tool_alone(both[1].family.respond, call.target)
    texts = [right, half, right]
    values = accuracy(
        completions=[[_message(text)] for text in texts],
        benchmark=[0, 1, 1],
        instance=[case.id, call.id, call.id],
    )
    assert values == [1.0, 0.5, 0.0]


def test_the_weights_sum_to_one() -> None:
    assert rewards.reward_weights(FORMAT_WEIGHT) == [0.9, 0.1]
    assert rewards.reward_weights(0.25) == [0.75, 0.25]


def test_each_algorithm_has_the_clipping_of_the_paper() -> None:
    assert LOSSES["grpo"]["epsilon_high"] == 0.3 and LOSSES["grpo"]["beta"] == 0.01
    assert LOSSES["dapo"]["epsilon_high"] == 0.28 and LOSSES["dapo"]["beta"] == 0.0


def _tool_alone(respond: Callable[[str], str], call: str) -> str:
    """A call with the right tool and other arguments."""
    return respond(json.dumps({"name": json.loads(call)["name"], "arguments": {"wrong": "x"}}))


def _message(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
