"""RL on two processes: a group may span both, and both agree on the batch and the weights."""

import json
from pathlib import Path
from typing import Any

import pytest
from forked import run_two_processes
from two_processes import main

from harness.files.benchmark import Benchmark


@pytest.fixture(scope="module")
def ranks(checkpoint: Path, visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    out = tmp_path_factory.mktemp("two")
    run_two_processes(main, checkpoint, visual_folder, out, output=out / "output")
    return [json.loads((out / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


def test_both_end_with_the_same_weights(ranks: list[Any]) -> None:
    assert ranks[0]["weights"] == ranks[1]["weights"]


def test_both_have_the_same_batch(ranks: list[Any], visual_folder: Path) -> None:
    names = [instance.id for instance in Benchmark(visual_folder).instances("train")]
    replaced = 0
    for first, second in zip(ranks[0]["batches"], ranks[1]["batches"], strict=True):
        assert first["rewards"] == second["rewards"] and len(first["rewards"]) == 12
        instances = first["instances"] + second["instances"]
        requested = first["requested"] + second["requested"]
        assert len(instances) == 12 and set(instances) <= set(names[1::2])
        advantages = first["advantages"] + second["advantages"]
        prompts = first["prompts"] + second["prompts"]
        for group in range(0, 12, 4):
            assert len(set(instances[group : group + 4])) == 1
            assert all(prompt == prompts[group] for prompt in prompts[group : group + 4])
            assert abs(sum(advantages[group : group + 4])) < 1e-4
            assert max(advantages[group : group + 4]) > 0.1
            replaced += requested[group] != instances[group]
    assert replaced


def test_the_second_half_of_each_group_is_policy_aware(ranks: list[Any]) -> None:
    for first, second in zip(ranks[0]["batches"], ranks[1]["batches"], strict=True):
        lengths = first["prompt_lengths"] + second["prompt_lengths"]
        for group in range(0, 12, 4):
            free, aware = lengths[group : group + 2], lengths[group + 2 : group + 4]
            assert free[0] == free[1] < aware[0] == aware[1]


def test_logged_metrics_include_both_processes(ranks: list[Any], visual_folder: Path) -> None:
    names = [instance.id for instance in Benchmark(visual_folder).instances("train")]
    first, second = (rank["log"] for rank in ranks)
    for step in range(2):
        requested = [name for rank in ranks for name in rank["batches"][step]["requested"]]
        constant = sum(name in names[::2] for name in requested[::4]) / 3
        assert first[step]["groups/zero_variance"] == pytest.approx(constant)
        for name in (
            "reward/policy_free",
            "reward/policy_aware",
            "reward/clevrpolicy",
            "groups/zero_variance",
        ):
            assert first[step][name] == second[step][name]
