"""PolicyRollout and OPCD learn a policy that plain GRPO must guess; tests/bench measures how much faster."""

from pathlib import Path

import pytest
from toy_policy import CODES, steps_to_learn, warm_up

from training.rl.teacher.methods import TeacherSettings

SEEDS = range(3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that can read a table but does not know one."""
    out = tmp_path_factory.mktemp("toy")
    with_table, without = warm_up(out)
    assert with_table > 0.95
    assert without < 2 / CODES
    return out


def test_it_takes_fewer_updates_than_grpo(base: Path, tmp_path: Path) -> None:
    """With the same number of responses per update and the same settings, in all runs but one at most.

    Processors round differently, and a run that depends on luck may then fail.
    """
    wins = 0
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        updates = steps_to_learn(base, folder, seed, policy_rollout=True, at_most=100)
        if updates is not None:
            wins += steps_to_learn(base, folder, seed, policy_rollout=False, at_most=updates) is None
    assert wins >= len(SEEDS) - 1


def test_a_teacher_with_the_table_takes_fewer_than_grpo(base: Path, tmp_path: Path) -> None:
    """GRPO, with rewards, does not learn it in 100 updates."""
    teacher = TeacherSettings("opcd", divergence="forward", top_k=16)
    assert steps_to_learn(base, tmp_path, 0, policy_rollout=False, at_most=50, teacher=teacher) is not None
