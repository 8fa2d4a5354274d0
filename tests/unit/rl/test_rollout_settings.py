"""A checkpoint says where a thought begins and where a response ends, and changes no other setting of RL."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import hash_reward, make_mixture, make_trainer, next_rows

from harness.backends.local.checkpoint import load_checkpoint
from harness.parsing import has_format
from training.rl import rewards
from training.rl.dynamic_sampling import groups_with_variance

NAN = float("nan")
OWN = {
    "eos_token_id": [0],
    "no_repeat_ngram_size": 1,
    "min_new_tokens": 12,
    "repetition_penalty": 1.5,
    "forced_eos_token_id": 7,
    "suppress_tokens": [10],
}


def edited(checkpoint: Path, folder: Path, opened: str = "") -> Path:
    base = Path(shutil.copytree(checkpoint, folder))
    (base / "generation_config.json").write_text(json.dumps(OWN))
    template = (base / "chat_template.jinja").read_text()
    head, mark, tail = template.rpartition("<|im_start|>assistant\n")
    (base / "chat_template.jinja").write_text(f"{head}{mark}{opened}{tail}")
    return base


def test_settings_of_the_checkpoint_do_not_reach_rollouts(
    checkpoint: Path, text_folder: Path, tmp_path: Path
) -> None:
    base = edited(checkpoint, tmp_path / "base")
    trainer = make_trainer(base, make_mixture(text_folder), tmp_path / "out")
    used: dict[str, Any] = {}
    generate = trainer.model.generate

    def record(**inputs: Any) -> Any:
        config, _ = trainer.model._prepare_generation_config(inputs["generation_config"])
        used.update(config.to_dict())
        return generate(**inputs)

    trainer.model.generate = record
    rows = next_rows(trainer)
    trainer._generate_and_score_completions(rows)
    tokenizer = trainer._tokenizer
    assert set(used["eos_token_id"]) == {0, tokenizer.eos_token_id}
    assert set(used["suppress_tokens"]) & {10} == set()
    assert used["repetition_penalty"] == 1
    assert not any(
        used.get(name) for name in ("no_repeat_ngram_size", "min_new_tokens", "forced_eos_token_id")
    )


@pytest.mark.parametrize(
    ("opened", "completion", "value"),
    [
        ("<think>\n", "Two cubes.</think>\\boxed{Case 1}<|im_end|>", 1.0),
        ("<think>\n", "Two cubes.</think>So it is \\boxed{Case 1}.<|im_end|>", 1.0),
        ("<think>\n", "<think>Two cubes.</think>\\boxed{Case 1}<|im_end|>", 1.0),
        ("<think>\n", "Perhaps \\boxed{Case 1}", 0.0),
        ("<thinking>\n", "Two cubes.</thinking>\\boxed{Case 1}<|im_end|>", 1.0),
        ("<thinking>\n", "<think>Two cubes.</think>\\boxed{Case 1}<|im_end|>", 0.0),
        ("[THINK]", "Two cubes.[/THINK]\\boxed{Case 1}<|im_end|>", 1.0),
        ("", "<think>Two cubes.</think>\\boxed{Case 1}<|im_end|>", 1.0),
        ("", "Two cubes.</think>\\boxed{Case 1}<|im_end|>", 0.0),
    ],
)
def test_the_format_counts_what_the_prompt_opened(
    opened: str, completion: str, value: float, checkpoint: Path
) -> None:
    tokenizer = load_checkpoint(str(checkpoint), torch.device("cpu"))[1].tokenizer
    prompt = tokenizer(f"A question.<|im_end|>\n<|im_start|>assistant\n{opened}")["input_ids"]
    message = rewards.graded_message(tokenizer, prompt, tokenizer(completion)["input_ids"])
    assert has_format(rewards.completion_text(message)) == value
    assert message[0]["content"].startswith("<think>" if opened and value else "")


def test_a_cut_thought_earns_nothing(text_folder: Path) -> None:
    mixture = make_mixture(text_folder)
    accuracy, format_ = rewards.reward_functions(mixture.benchmarks, "train")
    name, instance = next(iter(mixture.instances[0].items()))
    texts = [
        f"<think>\nPerhaps \\boxed{{{instance.target}}}",
        f"<think>\nSo.</think>\\boxed{{{instance.target}}}",
    ]
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    columns = {"completions": completions, "benchmark": [0, 0], "instance": [name, name]}
    assert (accuracy(**columns), format_(**columns)) == ([0.0, 1.0], [0.0, 1.0])


def test_responses_that_cannot_be_graded_are_left_out_and_counted(
    checkpoint: Path, text_folder: Path, tmp_path: Path
) -> None:
    """The first group has two scored responses, the second none."""

    def some(completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        scores = hash_reward(completion_ids, **columns)
        return [score + place if place in (0, 2) else None for place, score in enumerate(scores)]

    def always(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [1.0] * len(completion_ids)

    trainer = make_trainer(checkpoint, make_mixture(text_folder), tmp_path, reward=some)
    trainer.reward_funcs.append(always)
    trainer.reward_func_names.append("always")
    trainer.reward_processing_classes.append(None)
    trainer.reward_weights = torch.tensor([0.9, 0.1])
    output = trainer._generate_and_score_completions(next_rows(trainer))
    assert output["advantages"].nonzero().flatten().tolist() == [0, 2]
    assert output["advantages"].sum().abs() < 1e-5
    assert trainer._metrics["train"]["responses/unscored"] == [6.0]
    assert trainer._metrics["train"]["groups/zero_variance"] == [0.5]


def test_a_group_varies_only_by_scored_responses() -> None:
    rewards_N = torch.tensor([NAN, 1.0, NAN, 1.0, NAN, NAN, NAN, NAN, NAN, 0.0, 1.0, NAN])
    assert groups_with_variance(rewards_N, 4).tolist() == [False, False, True]
