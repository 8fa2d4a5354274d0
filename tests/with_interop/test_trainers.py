"""The data classes of verl and ms-swift and TRL's plain trainers open the exports and call the rewards."""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.export.rows import Row, rows
from harness.export.write import export
from harness.files.benchmark import Benchmark
from harness.request import ExportRequest, FormatName

# Without them, no fixture is made.
pytestmark = pytest.mark.skipif(
    find_spec("verl") is None, reason="make test-interop creates an environment with the trainers"
)
LIMIT = 4


def exported(benchmark: Benchmark, tool: FormatName, out: Path) -> tuple[Path, list[Row]]:
    export(benchmark, ExportRequest(for_=tool, splits="train,test", limit=LIMIT), out)
    return out, list(rows(benchmark, "internalized", "train", LIMIT))


def loaded(path: Path) -> Any:
    """The module in a file, as trainers load it."""
    spec = spec_from_file_location(f"reward_{path.parent.name}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_verl_opens_the_data_and_calls_the_reward(benchmark_: Benchmark, tmp_path: Path) -> None:
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    out, wanted = exported(benchmark_, "verl", tmp_path / "out")
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(tmp_path / "cache")})
    # Only its presence is checked; a chat template is not needed to build the messages.
    dataset = RLHFDataset(
        str(out / "data/internalized/train-00000.parquet"), None, config, processor=object()
    )
    settings = {"path": str(out / "reward.py"), "name": "compute_score", "reward_kwargs": {}}
    reward = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": settings}}))
    assert len(dataset) == len(wanted)
    for row, expected in zip(dataset, wanted, strict=True):
        content = row["raw_prompt"][0]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        images = [part["image"] for part in parts if part["type"] == "image"]
        paths = [part.value for part in expected.prompt if part.kind == "image"]
        assert [image.tobytes() for image in images] == [benchmark_.image(p).tobytes() for p in paths]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        assert "".join(texts) == "".join(p.value for p in expected.prompt if p.kind == "text")
        truth = row["reward_model"]["ground_truth"]
        for text in (expected.gold, "nonsense"):
            given = reward(row["data_source"], text, truth, extra_info=row["extra_info"])
            assert given == harness.reward(expected.answer_key, text)
    assert len(collate_fn([dataset[0], dataset[1]])["raw_prompt"]) == 2


def test_ms_swift_opens_the_data_and_calls_the_reward(
    benchmark_: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    from swift.dataset import load_dataset
    from swift.rewards import orms

    out, wanted = exported(benchmark_, "ms-swift", tmp_path / "out")
    path = str(out / "data/internalized/train-00000.parquet")
    data, _ = load_dataset(path, strict=True, remove_unused_columns=False)
    loaded(out / "reward.py")
    reward = orms["policy"]()
    assert len(data) == len(wanted)
    for row, expected in zip(data, wanted, strict=True):
        user, assistant = row["messages"]
        assert (user["role"], assistant["content"]) == ("user", expected.gold)
        assert user["content"].count("<image>") == len(row["images"] or ())
        assert row["teacher_prompt"].endswith(user["content"]) and row["teacher_prompt"] != user["content"]
        for text in (expected.gold, "nonsense"):
            assert reward([text], solution=[row["solution"]]) == [
                harness.reward(row["solution"], text)["score"]
            ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A tiny vision-language model with random weights, and its processor."""
    import torch

    from harness.backends.local.checkpoint import load_checkpoint
    from training.base.model.checkpoint import save_random

    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_random(folder)
    return load_checkpoint(str(folder), torch.device("cpu"))


SETTINGS = {
    "per_device_train_batch_size": 2, "max_steps": 2, "logging_steps": 1, "report_to": [], "use_cpu": True,
    "bf16": False, "disable_tqdm": True, "save_strategy": "no",
}  # fmt: skip


def test_trl_learns_the_gold_reasoning(pictures: Benchmark, model: Any, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    out, _ = exported(pictures, "trl", tmp_path / "out")
    trainer = SFTTrainer(
        model[0],
        SFTConfig(output_dir=str(tmp_path / "sft"), max_length=None, **SETTINGS),
        train_dataset=load_dataset(
            str(out), "internalized", split="train", cache_dir=str(tmp_path / "cache")
        ),
        processing_class=model[1],
    )
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(losses) == 2 and all(loss > 0 for loss in losses)


def test_trl_gets_the_rewards(
    pictures: Benchmark, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset
    from trl import GRPOConfig, GRPOTrainer

    out, _ = exported(pictures, "trl", tmp_path / "out")
    rewards = loaded(out / "reward.py")
    graded = []
    monkeypatch.setattr(rewards.harness, "grade", lambda *a: graded.append(a) or harness.answer_key.grade(*a))
    trainer = GRPOTrainer(
        model[0],
        [rewards.accuracy, rewards.format],
        GRPOConfig(
            output_dir=str(tmp_path / "grpo"),
            num_generations=2,
            max_completion_length=8,
            reward_weights=[0.9, 0.1],
            **SETTINGS,
        ),
        train_dataset=load_dataset(
            str(out), "internalized", split="train", cache_dir=str(tmp_path / "cache")
        ),
        processing_class=model[1],
    )
    trainer.train()
    assert trainer.state.global_step == 2 and len(graded) == 4
    assert {"rewards/accuracy/mean", "rewards/format/mean"} <= trainer.state.log_history[0].keys()
    assert sys.modules["harness"] is rewards.harness
