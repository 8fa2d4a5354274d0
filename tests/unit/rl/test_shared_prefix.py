"""A policy is encoded once: responses and log-probabilities are those of whole prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import make_mixture, make_trainer, next_rows
from small_models import random_model
from transformers import GenerationConfig
from trl.data_utils import prepare_multimodal_messages

from harness.backends.local.checkpoint import load_checkpoint
from harness.backends.local.prefix import ARCHITECTURES
from harness.backends.local.tokens import as_text
from training.rl.shared_prefix import (
    completion_states,
    generate,
    policy_parts,
    read_batches,
)

Model = tuple[Any, Any]
# Each other architecture with mrope, and those without.
OTHERS = ["qwen3_vl", "llava", "idefics3"]


@pytest.fixture(scope="module")
def qwen(checkpoint: Path) -> Model:
    return load_checkpoint(str(checkpoint), torch.device("cpu"))


def prompts_of(folder: Path, processor: Any, copies: int = 2) -> tuple[list[Any], list[int]]:
    """Every other prompt without its policy, then all with it, in an order that mixes the policies."""
    dataset = make_mixture(folder).rl_dataset(as_text(processor))
    rows = [dataset[i] for i in range(len(dataset))] * copies
    free = [prepare_multimodal_messages(row["prompt"], images=row["images"]) for row in rows[::2]]
    aware = [prepare_multimodal_messages(r["policy_prompt"], images=r["policy_images"]) for r in rows]
    assert len(rows) == 8 * copies
    return free + aware, [0] * len(free) + [policy_parts(row) for row in rows]


def whole(processor: Any, prompts: Sequence[Any]) -> dict[str, Any]:
    """The inputs without any sharing, padded on the left."""
    return dict(
        processor.apply_chat_template(
            list(prompts),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
    )


def settings(processor: Any, **more: Any) -> Any:
    pad = processor.tokenizer.pad_token_id
    return GenerationConfig(max_new_tokens=12, eos_token_id=[2], pad_token_id=pad, **more)


def full_logits(model: Any, processor: Any, prompt: Any, completion: list[int]) -> torch.Tensor:
    """Logits (tokens, V) of a completion from one forward of the whole sequence."""
    inputs = whole(processor, [prompt])
    ids = torch.cat([inputs["input_ids"], torch.tensor([completion])], 1)
    if "mm_token_type_ids" in inputs:
        zeros = torch.zeros((1, len(completion)), dtype=inputs["mm_token_type_ids"].dtype)
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], zeros], 1)
    inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs).logits[0, -len(completion) - 1 : -1]
    return logits


def check_responses(model: Any, processor: Any, folder: Path, max_rows: int) -> None:
    """Greedy, token by token."""
    prompts, parts = prompts_of(folder, processor, copies=1)
    config = settings(processor, do_sample=False)
    given: dict[int, list[int]] = {}
    with torch.no_grad():
        for batch in read_batches(model, processor, prompts, parts, max_rows):
            assert len(batch.places) <= max_rows
            given |= dict(zip(batch.places, generate(model, batch, config, {2}), strict=True))
        for place in range(len(prompts)):
            inputs = whole(processor, [prompts[place]])
            tokens = model.generate(**inputs, generation_config=config)[0, inputs["input_ids"].shape[1] :]
            assert given[place] == tokens.tolist()
    assert sorted(given) == list(range(len(prompts)))
    assert len({tuple(tokens) for tokens in given.values()}) > 3


@pytest.mark.parametrize(("folder", "max_rows"), [("text_folder", 64), ("visual_folder", 5)])
def test_greedy_responses_are_those_of_plain_generate(
    qwen: Model, folder: str, max_rows: int, request: pytest.FixtureRequest
) -> None:
    check_responses(*qwen, request.getfixturevalue(folder), max_rows)


@pytest.mark.parametrize("architecture", OTHERS)
def test_greedy_responses_of_other_architectures(architecture: str, visual_folder: Path) -> None:
    check_responses(*random_model(architecture), visual_folder, 64)


def test_without_support_the_halves_are_computed_separately(
    qwen: Model, visual_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.local.prefix.ARCHITECTURES", ARCHITECTURES - {"qwen2_5_vl"})
    prompts, parts = prompts_of(visual_folder, qwen[1], copies=1)
    batches = read_batches(*qwen, prompts, parts)
    assert [len(batch.places) for batch in batches] == [4, 8]
    assert not any(batch.prefixes for batch in batches)
    check_responses(*qwen, visual_folder, 64)


def test_samples_with_the_same_seed_are_those_of_plain_generate(qwen: Model, visual_folder: Path) -> None:
    model, processor = qwen
    prompts, parts = prompts_of(visual_folder, processor)
    banned = list(range(100, 150))
    config = settings(processor, do_sample=True, temperature=1.3, top_p=0.9, suppress_tokens=banned)
    batches = read_batches(model, processor, prompts, parts, max_rows=10)
    assert len(batches) == 3
    with torch.no_grad():
        for batch in batches:
            torch.manual_seed(5)
            given = generate(model, batch, config, {2})
            torch.manual_seed(5)
            inputs = whole(processor, [prompts[place] for place in batch.places])
            tokens = model.generate(**inputs, generation_config=config)[:, inputs["input_ids"].shape[1] :]
            assert all(row[: len(own)] == own for own, row in zip(given, tokens.tolist(), strict=True))
            assert not {token for own in given for token in own} & set(banned)
            assert len({tuple(own) for own in given}) == len(given)


@pytest.mark.parametrize("architecture", [None, *OTHERS])
@pytest.mark.parametrize("folder", ["text_folder", "visual_folder"])
def test_log_probabilities_are_those_of_a_full_forward(
    qwen: Model, folder: str, architecture: str | None, request: pytest.FixtureRequest
) -> None:
    """For policies of different lengths, and completions of 1 to 9 tokens."""
    model, processor = random_model(architecture) if architecture else qwen
    prompts, parts = prompts_of(request.getfixturevalue(folder), processor, copies=1)
    completions = [[(7 * place + 3 * i) % 200 + 10 for i in range(1 + place % 9)] for place in range(12)]
    expected = [full_logits(model, processor, *pair) for pair in zip(prompts, completions, strict=True)]
    states = completion_states(model, processor, prompts, parts, completions, max_rows=5)
    for completion, of_row, wanted in zip(completions, states, expected, strict=True):
        assert of_row.shape[0] == len(completion)
        logits = model.get_output_embeddings()(of_row)
        assert torch.allclose(logits, wanted, atol=2e-5)
        assert torch.allclose(logits.log_softmax(-1), wanted.log_softmax(-1), atol=1e-5)


def test_a_step_encodes_each_policy_and_its_images_once(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    """And rows without a policy are not padded to the length of those with one."""
    data = make_mixture(visual_folder)
    trainer = make_trainer(checkpoint, data, tmp_path)
    rows = next_rows(trainer)
    policies = {data.instances[0][row["instance"]].policy_id: row for row in rows}
    images: list[int] = []
    prefilled: list[torch.Size] = []
    model = trainer.model.model
    model.visual.register_forward_pre_hook(
        lambda _module, _args, named: images.append(len(named["grid_thw"])), with_kwargs=True
    )
    model.language_model.layers[0].register_forward_pre_hook(
        lambda _module, inputs: prefilled.append(inputs[0].shape[:2]) if inputs[0].shape[1] > 1 else None
    )
    trainer._sample_rollouts(rows)
    of_policies = [len(row["policy_images"]) - len(row["images"]) for row in policies.values()]
    assert sum(images) == sum(len(row["images"]) for row in rows) + sum(of_policies)
    *prefixes, batch = prefilled
    assert batch[0] == len(rows)
    assert [rows for rows, _ in prefixes] == [1] * len(policies)
    assert batch[1] < min(tokens for _, tokens in prefixes)
