"""PA3's reward: which rules a response cites."""

from pathlib import Path

import pytest

from harness.files.benchmark import Benchmark
from harness.records import CitedRule
from harness.variants import INTERNALIZED
from training.config import load
from training.rl.citations import citation_reward, score
from training.rl.rewards import reward_weights


def cited(*names: str) -> list[CitedRule]:
    return [CitedRule(name.removeprefix("no "), exists=not name.startswith("no ")) for name in names]


@pytest.mark.parametrize(
    ("names", "applicable", "expected"),
    [
        (["1", "2"], ["1", "2"], 1.0),
        (["1"], ["1", "2"], 1 / 2),
        (["1", "2", "3"], ["1", "2"], 2 / 3),
        (["1", "2", "no 9"], ["1", "2"], 1 - 1 / 3),
        (["no 9"], ["1"], -1.0),
        ([], ["1"], 0.0),
        ([], [], 0.0),
    ],
)
def test_jaccard_less_rules_that_do_not_exist(
    names: list[str], applicable: list[str], expected: float
) -> None:
    assert score(cited(*names), applicable) == pytest.approx(expected)


def test_gold_reasoning_earns_all_of_it(benchmark_folder: Path) -> None:
    """In every family that has policies; another instance's reasoning earns less on average."""
    benchmark = Benchmark(benchmark_folder)
    instances = [i for i in benchmark.instances("train") if i.policy_id is not None][:12]
    gold = [benchmark.family.gold(instance, INTERNALIZED) for instance in instances]
    reward = citation_reward([benchmark], "train")
    columns = {"benchmark": [0] * len(gold), "instance": [instance.id for instance in instances]}

    def rewards(texts: list[str]) -> list[float | None]:
        return reward([[{"role": "assistant", "content": text}] for text in texts], **columns)

    assert rewards(gold) == [1.0] * len(gold)
    others = rewards(gold[1:] + gold[:1])
    assert sum(value or 0.0 for value in others) < len(gold)
    assert rewards(["\\boxed{Case 1}"] * len(gold)) == [0.0] * len(gold)


def test_a_check_that_fails_gives_no_reward(text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = Benchmark(text_folder)
    monkeypatch.setattr(type(benchmark.family), "cited_rules", lambda *_: 1 / 0)
    instance = next(iter(benchmark.instances("train"))).id
    completions = [[{"role": "assistant", "content": "Condition 1"}]]
    assert citation_reward([benchmark], "train")(completions, benchmark=[0], instance=[instance]) == [None]


def test_the_three_parts_of_the_reward() -> None:
    assert reward_weights(0.1, 0.3) == pytest.approx([0.6, 0.1, 0.3])
    data = [{"benchmark": "bench", "cot": "chains"}]
    rl = load("pa3", "tiny", base="base", data=data).rl
    assert rl is not None and sum(reward_weights(rl.format_weight, rl.citation_weight)) == pytest.approx(1)
