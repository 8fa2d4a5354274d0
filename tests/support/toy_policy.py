"""A policy that assigns each of a few keys one of many codes, and a model that can read it but does not know
it.

The model has learned, on random tables, to answer a table and a key with the code of the key. Without a table
it answers with a random code, which is right once in CODES times. So plain GRPO must find each code by
chance, while PolicyRollout also samples with the table in context.
"""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from rollouts import SETTINGS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    TrainerCallback,
)
from trl import GRPOConfig

from harness.backends.local.text_processor import TextProcessor
from harness.seeds import rng
from training.rl.teacher.methods import TeacherSettings
from training.rl.teacher.model import Teacher
from training.rl.teacher.per_token import PerTokenTrainer
from training.rl.trainer import LOSSES

KEYS, CODES = 8, 64
# Training ends when the greedy answers to this share of the keys are right without the table.
TARGET_ACCURACY = 0.9
# Responses per key, 2G. With PolicyRollout four of them are sampled with the table.
RESPONSES = 8
TEMPLATE = "{% for part in messages[0].content %}{{ part.text }}{% endfor %}"


def words(kind: str, count: int) -> list[str]:
    return [f"{kind}{i}" for i in range(count)]


def table(codes: list[int], order: list[int]) -> str:
    return "".join(f"k{key} c{codes[key]} " for key in order)


def make_tokenizer() -> Any:
    vocabulary = ["<pad>", "<end>", "?", *words("k", KEYS), *words("c", CODES)]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<end>",
        chat_template=TEMPLATE,
        padding_side="left",
    )


def warm_up(out: Path, seed: int = 0, steps: int = 400, batch: int = 32) -> tuple[float, float]:
    """Trains on random tables, saves the model, and returns its accuracy with and without the table."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    # One wide head and a short wavelength learn the pattern "key, code" in a few hundred steps.
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.05,
            rope_parameters={"rope_type": "default", "rope_theta": 50.0}, tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        # Every eighth batch has no table, so that the model answers with a random code.
        ids, positions = _examples(batch, with_table=step % 8 > 0, generator=generator)
        logits = model(ids).logits[:, positions]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, positions + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return _sampled_accuracy(model, True, generator), _sampled_accuracy(model, False, generator)


# Token ids.
MARK, FIRST_KEY, FIRST_CODE = 2, 3, 3 + KEYS


def _examples(batch: int, with_table: bool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids "k2 c7 k0 c9 ... ? k0 c9 k2 c7 ...", or "? k0 c9", and the positions of the keys after
    "?"."""

    def pairs() -> torch.Tensor:
        order = torch.rand((batch, KEYS), generator=generator).argsort(1)
        return torch.stack([order + FIRST_KEY, codes.gather(1, order) + FIRST_CODE], 2).flatten(1)

    codes = torch.rand((batch, CODES), generator=generator).argsort(1)[:, :KEYS]
    mark = torch.full((batch, 1), MARK)
    if not with_table:
        return torch.cat([mark, pairs()[:, :2]], 1), torch.tensor([1])
    return torch.cat([pairs(), mark, pairs()], 1), torch.arange(2 * KEYS + 1, 4 * KEYS, 2)


@torch.no_grad()
def _sampled_accuracy(model: Any, with_table: bool, generator: torch.Generator) -> float:
    """Mean probability of the right code for the first key after "?"."""
    ids, positions = _examples(512, with_table, generator)
    first = positions[0]
    return float(model(ids).logits[:, first].softmax(-1).gather(1, ids[:, first + 1 : first + 2]).mean())


class AccuracyCallback(TrainerCallback):  # type: ignore[misc]
    """Tests every key after each step, and ends training when the target accuracy is reached."""

    def __init__(self, model: Any, codes: list[int]) -> None:
        self.model, self.expected = model, torch.tensor(codes) + FIRST_CODE
        self.questions = torch.stack([torch.full((KEYS,), MARK), torch.arange(KEYS) + FIRST_KEY], 1)
        self.accuracy: list[float] = []

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        answers = self.model(self.questions).logits[:, -1].argmax(-1)
        self.accuracy.append((answers == self.expected).float().mean().item())
        control.should_training_stop = self.accuracy[-1] >= TARGET_ACCURACY


def steps_to_learn(
    base: Path,
    out: Path,
    seed: int,
    policy_rollout: bool,
    at_most: int,
    teacher: TeacherSettings | None = None,
    **settings: Any,
) -> int | None:
    """Updates until the policy is known without the table; None if `at_most` updates are not enough.

    The teacher is the base, which is shown the table.
    """
    generator = rng(seed, "toy policy")
    codes = generator.sample(range(CODES), KEYS)
    rows = []
    for key in range(KEYS):
        order = generator.sample(range(KEYS), KEYS)
        question = f"? k{key}"
        with_table = table(codes, order) + question
        prompts = {"prompt": _user_message(question), "policy_prompt": _user_message(with_table)}
        rows.append(prompts | {"code": f"c{codes[key]}"})

    def is_right(completions: Any, code: list[str], **_: Any) -> list[float]:
        pairs = zip(completions, code, strict=True)
        return [float(completion[0]["content"].strip() == expected) for completion, expected in pairs]

    model = AutoModelForCausalLM.from_pretrained(base)
    callback = AccuracyCallback(model, codes)
    own = {
        "num_generations": RESPONSES, "per_device_train_batch_size": KEYS * RESPONSES,
        "gradient_accumulation_steps": 1, "max_completion_length": 1, "max_steps": at_most, "seed": seed,
        "learning_rate": 1e-3, "lr_scheduler_type": "constant", "logging_steps": 10_000,
    }  # fmt: skip
    reader, processor = AutoModelForCausalLM.from_pretrained(base), TextProcessor(make_tokenizer())
    trainer = PerTokenTrainer(
        model=model,
        teacher=None if teacher is None else Teacher(reader, processor, teacher),
        reward_funcs=[is_right],
        args=GRPOConfig(output_dir=str(out), **(SETTINGS | LOSSES["grpo"] | own | settings)),
        train_dataset=Dataset.from_list(rows),
        processing_class=processor,
        callbacks=[callback],
        policy_rollout=policy_rollout,
    )
    trainer.train()
    return len(callback.accuracy) if callback.accuracy[-1] >= TARGET_ACCURACY else None


def _user_message(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]
