"""A policy of a few rules and many codes, and a model that can read it but does not know it.

A rule gives each key one code of many. Shown the table and a key, the model answers with the key's code: that
it learned, on random tables. Asked for a key alone, it answers with any code. A guess is right once in CODES
times, so plain GRPO must find each code by luck; PolicyRollout is shown it.
"""

from __future__ import annotations

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

from harness.seeds import rng
from training.rl.rollout import LOSSES, PolicyRolloutTrainer

KEYS, CODES = 8, 64
LEARNED = 0.9
"""Share of the keys that are answered right without the table, greedily."""
RESPONSES = 8
"""To a key, 2G: with PolicyRollout four of them have seen the table."""
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
    """Trains on random tables and saves; how often it is then right with the table, and without it."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    # One wide head and a short wavelength: the pair "key, code" is found in a few hundred steps.
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
    draw = torch.Generator().manual_seed(seed)
    for step in range(steps):
        # Every eighth batch has no table: any code is as good as any other.
        ids, asked = _examples(batch, shown=step % 8 > 0, draw=draw)
        logits = model(ids).logits[:, asked]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, asked + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return _sampled_accuracy(model, True, draw), _sampled_accuracy(model, False, draw)


MARK, FIRST_KEY, FIRST_CODE = 2, 3, 3 + KEYS
"""Token ids."""


def _examples(batch: int, shown: bool, draw: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids "k2 c7 k0 c9 ... ? k0 c9 k2 c7 ...", or "? k0 c9"; and the places of the keys asked for."""

    def pairs() -> torch.Tensor:
        order = torch.rand((batch, KEYS), generator=draw).argsort(1)
        return torch.stack([order + FIRST_KEY, codes.gather(1, order) + FIRST_CODE], 2).flatten(1)

    codes = torch.rand((batch, CODES), generator=draw).argsort(1)[:, :KEYS]
    mark = torch.full((batch, 1), MARK)
    if not shown:
        return torch.cat([mark, pairs()[:, :2]], 1), torch.tensor([1])
    return torch.cat([pairs(), mark, pairs()], 1), torch.arange(2 * KEYS + 1, 4 * KEYS, 2)


@torch.no_grad()
def _sampled_accuracy(model: Any, shown: bool, draw: torch.Generator) -> float:
    """Of the first key asked for."""
    ids, asked = _examples(512, shown, draw)
    first = asked[0]
    return float(model(ids).logits[:, first].softmax(-1).gather(1, ids[:, first + 1 : first + 2]).mean())


class Learned(TrainerCallback):  # type: ignore[misc]
    """Asks for every key after each step, and ends training when enough are right."""

    def __init__(self, model: Any, codes: list[int]) -> None:
        self.model, self.answers = model, torch.tensor(codes) + FIRST_CODE
        self.questions = torch.stack([torch.full((KEYS,), MARK), torch.arange(KEYS) + FIRST_KEY], 1)
        self.accuracy: list[float] = []

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        said = self.model(self.questions).logits[:, -1].argmax(-1)
        self.accuracy.append((said == self.answers).float().mean().item())
        control.should_training_stop = self.accuracy[-1] >= LEARNED


def steps_to_learn(
    base: Path, out: Path, seed: int, policy_rollout: bool, at_most: int, **settings: Any
) -> int | None:
    """Updates until the policy is known without being shown; None when it is not by then."""
    order = rng(seed, "toy policy")
    codes = order.sample(range(CODES), KEYS)
    rows = []
    for key in range(KEYS):
        shuffled = order.sample(range(KEYS), KEYS)
        asked = f"? k{key}"
        shown = table(codes, shuffled) + asked
        rows.append({"prompt": _user(asked), "policy_prompt": _user(shown), "code": f"c{codes[key]}"})

    def right(completions: Any, code: list[str], **_: Any) -> list[float]:
        return [float(c[0]["content"].strip() == of) for c, of in zip(completions, code, strict=True)]

    model = AutoModelForCausalLM.from_pretrained(base)
    learned = Learned(model, codes)
    own = {
        "num_generations": RESPONSES, "per_device_train_batch_size": KEYS * RESPONSES,
        "gradient_accumulation_steps": 1, "max_completion_length": 1, "max_steps": at_most, "seed": seed,
        "learning_rate": 1e-3, "lr_scheduler_type": "constant", "logging_steps": 10_000,
    }  # fmt: skip
    trainer = PolicyRolloutTrainer(
        model=model,
        reward_funcs=[right],
        args=GRPOConfig(output_dir=str(out), **(SETTINGS | LOSSES["grpo"] | own | settings)),
        train_dataset=Dataset.from_list(rows),
        processing_class=make_tokenizer(),
        callbacks=[learned],
        policy_rollout=policy_rollout,
    )
    trainer.train()
    return len(learned.accuracy) if learned.accuracy[-1] >= LEARNED else None


def _user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]
