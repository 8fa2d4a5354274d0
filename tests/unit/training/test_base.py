"""The tiny base model: its examples are right and match the benchmarks, and its training can be resumed."""

import itertools
import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import policy_parser
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clevrpolicy.policy import reasoning, wording
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from clevrpolicy.scene.placement import split_of
from harness.backends.local.chat import Reader
from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.parsing import boxed
from harness.records import Part, Prompt
from harness.seeds import rng
from training.base import curriculum, evaluation, loop, muon, vision_pretraining
from training.base.data import image_pool, pixels, tasks
from training.base.data.batches import TaskMixDataset, collate
from training.base.data.examples import Example, ExampleEncoder, Picture, TokenSequence
from training.base.data.image_pool import CROP_SIDE, SCENE_HEIGHT, SCENE_WIDTH, ImagePool
from training.base.data.samplers import SceneSampler, sample_policy
from training.base.data.tasks import TASKS
from training.base.model import attention, branches, init_heads, warm_start
from training.base.model import tokenizer as model_tokenizer
from training.base.model.checkpoint import (
    BASE_SIZE,
    INIT_STD,
    TEST_SIZE,
    TOKEN_SIDE,
    build_processor,
    random_model,
    save_checkpoint,
)
from training.base.model.tokenizer import CONDITIONS, MAX_CASES, train_tokenizer
from training.base.optimizer import Optimizer

SCENES = 300


@pytest.fixture(scope="module")
def noise_pool() -> ImagePool:
    """A pool whose pictures are noise, with random objects as labels."""
    objects, noise = random.Random(1), np.random.default_rng(1)
    kinds = np.full((SCENES, image_pool.MAX_OBJECTS), -1)
    spots = np.full((SCENES, image_pool.MAX_OBJECTS, 2), -1.0, dtype=np.float32)
    for row in range(SCENES):
        count = objects.randint(image_pool.MIN_OBJECTS, image_pool.MAX_OBJECTS)
        kinds[row, :count] = objects.choices(range(len(KINDS)), k=count)
        spots[row, :count, 0] = sorted(objects.uniform(0, SCENE_WIDTH - 1) for _ in range(count))
        spots[row, :count, 1] = [objects.uniform(0, SCENE_HEIGHT - 1) for _ in range(count)]
    return ImagePool(
        noise.integers(0, 256, (SCENES, SCENE_HEIGHT, SCENE_WIDTH, 3), dtype=np.uint8),
        kinds,
        spots,
        noise.integers(0, 256, (len(KINDS), CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8),
        np.arange(len(KINDS)),
    )


@pytest.fixture(scope="module")
def sampler(noise_pool: ImagePool) -> SceneSampler:
    return SceneSampler(noise_pool, 0, SCENES)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return random_model(tokenizer, TEST_SIZE, INIT_STD, seed=0).eval()


@pytest.fixture(scope="module")
def device_pool(noise_pool: ImagePool) -> pixels.DevicePool:
    return pixels.DevicePool(noise_pool, torch.device("cpu"))


@given(text=st.text() | st.from_regex(r"( ?(Case|Condition) [12](\.[12]){0,6}[.;:]? ?a?mong){1,3}"))
@settings(max_examples=50, deadline=None)
def test_any_text_round_trips(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_text_that_policies_repeat_is_one_token(tokenizer: Any) -> None:
    for text in (" 1.2.1", " cylinder", "\nCondition 1.2.1:", wording.HEAD.partition("{name}")[2]):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == 1
    tokens = [tokenizer.decode(i) for i in tokenizer.encode(" a as 1.1.5", add_special_tokens=False)]
    assert tokens == [" a", " a", "s", " 1", ".", "1", ".", "5"]  # no piece ends inside a word or number


@pytest.mark.parametrize("name", TASKS)
def test_an_example_depends_on_its_generator_only(sampler: SceneSampler, name: str) -> None:
    first, again, other = (TASKS[name](rng(seed, name), sampler) for seed in (0, 0, 1))
    assert first == again != other


def caption_objects(answer: str) -> list[str]:
    """The objects in the caption of an answer."""
    caption = answer.split("The scene holds ")[1].split(".\n")[0]
    return [words.removeprefix("a ") for part in caption.split(", ") for words in part.split(" and ")]


@pytest.mark.parametrize("name", ["follow-2", "visual-2", "follow-3", "follow-6"])
def test_the_answer_follows_the_policy_in_the_question(
    sampler: SceneSampler, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy is parsed from the texts and pictures of the question."""
    monkeypatch.setattr(tasks, "RENUMBERED_SHARE", 0)
    generator, decisions = rng(3, name), []
    for _ in range(60):
        example = TASKS[name](generator, sampler)
        *content, picture, _ = example.question
        parts, crop_values = [], {}
        for part in content:
            parts.append(Part("image", str(part.index)) if isinstance(part, Picture) else Part("text", part))
            if isinstance(part, Picture):
                attribute = str(parts[-2].value).rpartition("same ")[2].partition(" as")[0]
                kind = KINDS[int(sampler.pool.crop_kinds[part.index])]
                crop_values[str(part.index)] = getattr(kind, attribute)
        _, tree = policy_parser.parse(parts, crop_values)
        assert isinstance(picture, Picture)
        kinds = sampler.pool.content(picture.index)
        left_to_right = [str(kind) for kind in (kinds[::-1] if picture.mirrored else kinds)]
        assert caption_objects(example.answer) == left_to_right
        steps, leaf = tree.walk(mask(kinds))
        assert boxed(example.answer) == f"Case {leaf.case}"
        decisions += [step.holds for step in steps]
    assert 0.4 < sum(decisions) / len(decisions) < 0.6  # balanced, so guessing does not help


def test_scenes_in_words_belong_to_the_training_split(sampler: SceneSampler) -> None:
    generator = random.Random(0)
    assert {split_of(sampler.sentence(generator).kinds) for _ in range(200)} == {"train"}


def test_counts_are_right_and_varied(sampler: SceneSampler) -> None:
    generator = rng(0, "counted")
    counts = []
    for _ in range(200):
        example = TASKS["count"](generator, sampler)
        (picture,) = example.pictures
        words = str(example.question[1]).removeprefix("How many ").partition(" are in")[0].split()
        values = {word.removesuffix("s") for word in words} - {"object"}
        count = sum(values <= set(kind) for kind in sampler.pool.content(picture.index))
        assert boxed(example.answer) == str(count)
        counts.append(count)
    assert {0, 1, 2} <= set(counts) and counts.count(0) < 100


def test_the_curriculum_names_existing_tasks() -> None:
    for stage in curriculum.CURRICULUM:
        assert stage.mix.keys() | set(stage.watched) <= TASKS.keys()
        assert stage.gates.keys() <= (TASKS.keys() if stage.mix else {*ATTRIBUTES, "turn"})


def test_a_question_equals_the_harness_prompt(
    sampler: SceneSampler, tokenizer: Any, model: Any, device_pool: pixels.DevicePool
) -> None:
    """Tokens and pixels are the same as those of harness.backends.local.chat."""
    example = TASKS["visual-2"](random.Random(2), sampler)

    class Pictures:
        def image(self, path: str) -> Image.Image:
            kind, index, mirrored = path.split("-")
            source = sampler.pool.scenes if kind == "scene" else sampler.pool.crops
            array = source[int(index)]
            return Image.fromarray(np.ascontiguousarray(array[:, ::-1] if mirrored == "True" else array))

    def prompt_part(part: str | Picture) -> Part:
        if isinstance(part, str):
            return Part("text", part)
        return Part("image", f"{part.kind}-{part.index}-{part.mirrored}")

    prompt = Prompt("x", "in_context", tuple(map(prompt_part, example.question)))
    reader = Reader(build_processor(tokenizer), model.config, Pictures(), None, 1)
    expected = reader.read([prompt])
    batch = collate([ExampleEncoder(tokenizer).question(example)], tokenizer.pad_token_id)
    assert batch.ids_BT.tolist() == expected["input_ids"].tolist()
    assert batch.pictures is not None and len(example.pictures) > 1
    patches, grids = device_pool.patches(batch.pictures)
    assert grids.tolist() == expected["image_grid_thw"].tolist()
    assert torch.allclose(patches, expected["pixel_values"], atol=1e-5)


def test_the_loss_is_on_answers_and_highest_on_decisions(sampler: SceneSampler, tokenizer: Any) -> None:
    encoder = ExampleEncoder(tokenizer)
    example = TASKS["follow-1"](random.Random(4), sampler)
    row = encoder(example)
    question_length = len(encoder.question(example).ids)
    assert not any(row.weights[:question_length]) and all(row.weights[question_length:])
    assert tokenizer.decode(row.ids) == encoder.prompt(example) + example.answer + "<|im_end|>"
    heavy = [tokenizer.decode(i) for i, w in zip(row.ids, row.weights, strict=True) if w == 4]
    assert len(heavy) == 2 and heavy[1] in (" Yes,", " No, none")


@pytest.mark.parametrize("task", ["follow-5", "visual-5", "read-5"])
def test_questions_in_one_sequence_have_the_losses_that_each_has_alone(
    task: str, model: Any, sampler: SceneSampler, tokenizer: Any, device_pool: pixels.DevicePool
) -> None:
    encoder = ExampleEncoder(tokenizer)
    example = TASKS[task](random.Random(1), sampler)
    alone = [encoder(replace(each, more=())) for each in (example, *example.more)]
    together = encoder(example)
    assert len(alone) == 4 and len(together.ids) < sum(len(row.ids) for row in alone) / 2
    # A shorter sequence in the same batch, with a question of its own.
    short = encoder(TASKS["follow-1"](random.Random(2), sampler))

    def loss(*rows: TokenSequence) -> float:
        with torch.no_grad():
            return float(loop.answer_loss(model, device_pool, collate(rows, tokenizer.pad_token_id)))

    expected = sum(loss(row) for row in (*alone, short))
    attention.use_training_attention(model)
    try:
        assert loss(together, short) == pytest.approx(expected, rel=1e-5)
    finally:
        model.set_attn_implementation("sdpa")


def test_unpredictable_text_has_no_loss(sampler: SceneSampler, tokenizer: Any) -> None:
    example = TASKS["match"](random.Random(0), sampler)
    row = ExampleEncoder(tokenizer)(example)
    learned = "".join(tokenizer.decode(i) for i, w in zip(row.ids, row.weights, strict=True) if w)
    lines = [line.partition("?")[2] for line in example.answer.splitlines()]
    assert learned == "\n".join(lines) + "<|im_end|>" and " Yes," in learned and " No, none" in learned


def numbers_in(text: str) -> list[str]:
    return re.findall(r"\d(?:\.\d)*", text)


@pytest.mark.parametrize(("name", "shallow"), [("follow-3", True), ("recite-4", True), ("visual-5", False)])
def test_conditions_of_shallow_policies_get_random_numbers(
    sampler: SceneSampler, monkeypatch: pytest.MonkeyPatch, name: str, shallow: bool
) -> None:
    monkeypatch.setattr(tasks, "RENUMBERED_SHARE", 1)
    renumbered = TASKS[name](random.Random(5), sampler)
    monkeypatch.setattr(tasks, "SHALLOW", 0)
    example = TASKS[name](random.Random(5), sampler)
    assert (renumbered != example) == shallow
    new_name: dict[str, str] = {}
    for before, after in zip(
        [*example.question, example.answer], [*renumbered.question, renumbered.answer], strict=True
    ):
        if isinstance(before, Picture) or isinstance(after, Picture):
            assert before == after
            continue
        assert re.sub(r"1(\.\d)+", "#", before) == re.sub(r"1(\.\d)+", "#", after)
        for old, new in zip(numbers_in(before), numbers_in(after), strict=True):
            assert new_name.setdefault(old, new) == new
    assert len(set(new_name.values())) == len(new_name) and new_name["1"] == "1"
    assert set(new_name.values()) - {str(case) for case in range(MAX_CASES)} <= set(CONDITIONS)


@pytest.mark.parametrize(("depth", "lines"), [(2, 3), (6, 8)])
def test_conditions_are_recited_in_the_requested_order(
    sampler: SceneSampler, monkeypatch: pytest.MonkeyPatch, depth: int, lines: int
) -> None:
    monkeypatch.setattr(tasks, "RENUMBERED_SHARE", 0)
    example = TASKS[f"recite-{depth}"](random.Random(1), sampler)
    *content, question = example.question
    requested = str(question).removeprefix("List the conditions ").removesuffix(".").split(", ")
    _, tree = policy_parser.parse([Part("text", str(part)) for part in content], {})
    fields = {number: "; ".join(reasoning.fields(number, node)) for number, node, _ in tree.sections()}
    assert example.answer.strip().splitlines() == [f"Condition {n}: {fields[n]}." for n in requested]
    assert len(requested) == lines


def test_a_step_is_split_into_batches_of_similar_length(sampler: SceneSampler, tokenizer: Any) -> None:
    mix = {"list": 1.0, "follow-3": 1.0}
    steps = TaskMixDataset(0, "x", mix, sampler, ExampleEncoder(tokenizer), rows=40)
    batches = steps[7]
    assert sum(len(b.ids_BT) for b in batches) == 40 and len(batches) > 1
    tokens = sum(int((b.ids_BT != tokenizer.pad_token_id).sum()) for b in batches)
    assert tokens > 0.75 * sum(b.ids_BT.numel() for b in batches)
    assert all(torch.equal(a.ids_BT, b.ids_BT) for a, b in zip(batches, steps[7], strict=True))
    assert not torch.equal(steps[8][0].ids_BT, batches[0].ids_BT)


def test_a_picture_is_mirrored_before_it_is_shifted(
    noise_pool: ImagePool, device_pool: pixels.DevicePool
) -> None:
    batch = pixels.picture_batch([Picture("scene", 3, mirrored=True)], None)
    shifted_batch = replace(batch, shifts=torch.tensor([[5, -3]]))
    (mirrored,) = device_pool._augment(device_pool.scenes, batch, batch.is_scene)
    assert np.array_equal(mirrored.numpy(), noise_pool.scenes[3][:, ::-1])
    (shifted,) = device_pool._augment(device_pool.scenes, shifted_batch, batch.is_scene)
    assert torch.equal(shifted[:-3, 5:], mirrored[3:, :-5])
    assert torch.equal(shifted[:, 0], shifted[:, 4])  # the edge is repeated


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cell_is_labeled_with_its_objects_and_their_turns(noise_pool: ImagePool, mirrored: bool) -> None:
    index = 5
    labels = vision_pretraining.cell_labels(noise_pool, Picture("scene", index, mirrored), 2, -1)
    kinds, spots = noise_pool.kinds[index].tolist(), noise_pool.spots[index].tolist()
    count = sum(kind >= 0 for kind in kinds)
    for turn, (kind, (x, y)) in enumerate(zip(kinds[:count], spots, strict=False)):
        column = int(((SCENE_WIDTH - 1 - x if mirrored else x) + 2) // TOKEN_SIDE)
        row = int(max(y - 1, 0) // TOKEN_SIDE)
        cell = row * vision_pretraining.COLUMNS + min(column, vision_pretraining.COLUMNS - 1)
        assert (kind, count - 1 - turn if mirrored else turn) in labels[cell]
    assert sum(kind >= 0 for slots in labels for kind, _ in slots) == count


def test_confident_right_predictions_have_no_loss() -> None:
    objects, empty = ((4, 1), (90, 0)), vision_pretraining.EMPTY
    labels = torch.tensor([[objects, (empty, empty)]])
    logits = [torch.full((2, 2, 1), -50.0)]
    logits[0][0] = 50.0
    for column, size in enumerate(vision_pretraining.TARGET_SIZES):
        scores = torch.zeros(2, 2, size)
        for slot, (kind, turn) in enumerate(objects):
            scores[0, slot, [*vision_pretraining.KIND_VALUES[kind], turn][column]] = 50.0
        logits.append(scores)
    loss, accuracies = vision_pretraining.cell_loss(torch.cat(logits, -1).flatten(1), labels)
    assert float(loss) < 1e-6 and set(accuracies.values()) == {1.0}
    logits[-1] = -logits[-1]
    loss, accuracies = vision_pretraining.cell_loss(torch.cat(logits, -1).flatten(1), labels)
    assert float(loss) > 10 and accuracies["turn"] == 0.0


def test_attention_for_training_equals_the_built_in_one(
    model: Any, sampler: SceneSampler, tokenizer: Any
) -> None:
    encoder = ExampleEncoder(tokenizer)
    rows = [encoder(TASKS[name](random.Random(0), sampler)) for name in ("list", "recite-2")]
    ids_BT = collate(rows, tokenizer.pad_token_id).ids_BT
    with torch.no_grad():
        built_in = model.model(input_ids=ids_BT).last_hidden_state
        attention.use_training_attention(model)
        ours = model.model(input_ids=ids_BT).last_hidden_state
        model.set_attn_implementation("sdpa")
    assert torch.allclose(built_in, ours, atol=1e-4)


@pytest.mark.parametrize("questions", [None, [0, 0, 0, 1, 1, 2, 2]])
@pytest.mark.parametrize("is_causal", [True, False])
def test_attention_is_the_same_in_bfloat16(questions: list[int] | None, is_causal: bool) -> None:
    query, key, value = torch.randn(3, 1, 2, 7, 4, generator=torch.Generator().manual_seed(0))

    def output(dtype: torch.dtype) -> torch.Tensor:
        mask = branches.attention_mask(torch.tensor([questions]), dtype) if questions else None
        states = (each.to(dtype) for each in (query, key, value))
        module = SimpleNamespace(is_causal=is_causal)
        return attention.training_attention(module, *states, attention_mask=mask, scaling=0.5)[0].float()

    exact = output(torch.float32)
    assert torch.allclose(exact, output(torch.bfloat16), atol=0.03)
    # The first token of a causal sequence sees itself only.
    sees_itself_only = is_causal or questions is not None
    assert torch.allclose(exact[0, 0], value[0, :, 0], atol=1e-6) == sees_itself_only


def test_positional_heads_attend_to_their_lag(tokenizer: Any) -> None:
    untrained = random_model(tokenizer, TEST_SIZE, init_heads.INIT_STD, seed=0).eval()
    init_heads.set_positional_heads(untrained)
    untrained.set_attn_implementation("eager")
    ids = torch.randint(300, 700, (4, 80), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layers = untrained.model(input_ids=ids, output_attentions=True).attentions
    for layer in layers[: init_heads.LAYERS]:
        weights = layer[:, :, 60:].mean(0)  # (heads, 20, 80): tokens with many tokens before them
        for index, head in enumerate(init_heads.HEADS[: len(weights)]):
            at_lag = torch.stack([row[60 + i - head.lag] for i, row in enumerate(weights[index])]).mean()
            near = torch.stack([row[60 + i - 20 : 60 + i + 1].sum() for i, row in enumerate(weights[index])])
            assert near.mean() > 0.9
            assert at_lag > 0.5 if head.lag else at_lag < 0.3, "one token, or all nearby tokens"


def test_updates_too_small_for_bfloat16_accumulate() -> None:
    layer = torch.nn.Linear(8, 8).bfloat16()
    with torch.no_grad():
        layer.bias.fill_(1.0)
    optimizer = Optimizer([layer], vision_tower=torch.nn.Linear(1, 1))
    for _ in range(100):
        layer.bias.grad = torch.ones(8, dtype=torch.bfloat16)
        optimizer.step(0.05, vision_rate=0.0)  # 1e-4 a step; bfloat16 has a spacing of 4e-3 below 1
    assert float(layer.bias.detach().mean()) == pytest.approx(0.99, abs=0.003)


def test_the_vision_tower_has_its_own_learning_rate() -> None:
    vision, other = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
    before = [layer.weight.detach().clone() for layer in (vision, other)]
    optimizer = Optimizer([torch.nn.Sequential(vision, other)], vision)
    for layer in (vision, other):
        layer.weight.grad = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    optimizer.step(rate=1.0, vision_rate=0.1)
    moved_vision, moved_other = (
        float((layer.weight.detach() - weight).norm())
        for layer, weight in zip((vision, other), before, strict=True)
    )
    assert moved_other > 0 and moved_vision == pytest.approx(0.1 * moved_other, rel=0.05)


def test_answers_do_not_depend_on_the_padding(
    model: Any,
    sampler: SceneSampler,
    tokenizer: Any,
    device_pool: pixels.DevicePool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "NEW_TOKENS", 8)
    encoder = ExampleEncoder(tokenizer)
    examples = [TASKS[name](random.Random(0), sampler) for name in ("list", "visual-2", "read-1")]
    rows = [encoder.question(example) for example in examples]
    together = evaluation.generate(model, tokenizer, device_pool, rows)
    alone = [evaluation.generate(model, tokenizer, device_pool, [row])[0] for row in rows]
    assert together == alone and len(set(alone)) > 1


def test_an_answer_is_compared_by_its_box_or_completely() -> None:
    assert evaluation.is_right(r"<think>no</think>\boxed{Case 1}", r"<think>yes</think>\boxed{Case 1}")
    assert not evaluation.is_right("Yes.", "No.") and evaluation.is_right("Yes.", "Yes.")
    assert not evaluation.is_right("", r"\boxed{Case 1}")


# A curriculum of three short stages.
STAGES = (
    curriculum.CurriculumStage("sight", 1, vision_rate=1.0),
    # Its gate is always reached.
    curriculum.CurriculumStage("words", 2, {"list": 1.0, "follow-1": 1.0}, {"list": 0.0}),
    curriculum.CurriculumStage("last", 2, {"read-1": 1.0}, watched=("read-1",), vision_rate=0.1),
)


@pytest.fixture
def small_run(noise_pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> curriculum.BaseConfig:
    """A run of 12 steps on noise. Its clock counts half a second per step; it evaluates every second."""
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=itertools.count(0, 0.5).__next__))
    monkeypatch.setattr(loop, "load_pool", lambda *_: noise_pool)
    monkeypatch.setattr(loop, "HELD_OUT_SCENES", 20)
    monkeypatch.setattr(loop, "BASE_SIZE", TEST_SIZE)
    monkeypatch.setattr(loop, "EVAL_QUESTIONS", 2)
    monkeypatch.setattr(loop, "EVAL_INTERVAL", 1.0)
    monkeypatch.setattr(loop, "LOG_INTERVAL", 1)
    monkeypatch.setattr(curriculum, "CURRICULUM", STAGES)
    monkeypatch.setattr(evaluation, "NEW_TOKENS", 2)
    monkeypatch.setattr(curriculum.BaseConfig, "rows", 4)
    monkeypatch.setattr(curriculum, "MIN_SCENES", SCENES)
    return curriculum.BaseConfig(minutes=0.1, scenes=SCENES)


def log_and_weights(out: Path) -> tuple[list[Any], list[torch.Tensor]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return lines, torch.load(out / "state.pt")["optimizer"]["kept"]


@pytest.mark.parametrize("step", [3, 5, 8], ids=["second stage", "last stage", "later"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(
    small_run: curriculum.BaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    loop.train_base(tmp_path / "uninterrupted", small_run)
    train_step, steps = loop._Trainer._accumulate_gradients, itertools.count()

    def interrupted(trainer: Any, step_data: Any) -> Any:
        if next(steps) == step:
            raise KeyboardInterrupt
        return train_step(trainer, step_data)

    monkeypatch.setattr(loop._Trainer, "_accumulate_gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train_base(tmp_path / "interrupted", small_run)
    monkeypatch.setattr(loop._Trainer, "_accumulate_gradients", train_step)
    loop.train_base(tmp_path / "interrupted", small_run)
    log, weights = log_and_weights(tmp_path / "uninterrupted")
    _, resumed_weights = log_and_weights(tmp_path / "interrupted")
    assert all(torch.equal(a, b) for a, b in zip(weights, resumed_weights, strict=True))
    # "words" ends at its first evaluation, because its gate is reached; the last stage gets the time left.
    counts = Counter(line["stage"] for line in log if line["loss"] is not None)
    assert counts == {"sight": 3, "words": 2, "last": 7}
    assert log[-1]["skills"].keys() == {"read-1"}


def test_a_part_trains_its_stages_from_the_checkpoint_of_the_part_before(
    small_run: curriculum.BaseConfig, tmp_path: Path
) -> None:
    loop.train_base(tmp_path / "first", replace(small_run, stages=("sight",)))
    first, _ = load_checkpoint(str(tmp_path / "first" / "latest"), torch.device("cpu"))
    newest = max((tmp_path / "first" / "history").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    assert newest == (tmp_path / "first" / "latest").resolve()
    second = replace(small_run, start=tmp_path / "first" / "latest", stages=("last",))
    trainer = loop._Trainer(tmp_path / "second", second)
    # On a processor with bfloat16, only the optimizer's copy has the weights in full.
    masters = trainer.optimizer.masters
    assert all(torch.equal(a, b) for a, b in zip(masters, first.parameters(), strict=False))
    loop.train_base(tmp_path / "second", second)
    log, _ = log_and_weights(tmp_path / "second")
    assert {line["stage"] for line in log} == {"last"}
    with pytest.raises(UserError, match="stages: expected some of sight, words, last, got lost"):
        replace(small_run, stages=("lost",))


def test_a_run_ends_if_its_last_stage_reaches_its_targets_early(
    small_run: curriculum.BaseConfig, tmp_path: Path
) -> None:
    for _ in range(2):
        loop.train_base(tmp_path, replace(small_run, stages=("words",)))
        log, _ = log_and_weights(tmp_path)
        assert Counter(line["stage"] for line in log if line["loss"] is not None) == {"words": 2}


def test_the_harness_loads_the_checkpoint_of_a_run(small_run: curriculum.BaseConfig, tmp_path: Path) -> None:
    loop.train_base(tmp_path / "run", small_run)
    _, weights = log_and_weights(tmp_path / "run")
    model, _ = load_checkpoint(str(tmp_path / "run" / "latest"), torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=False))
    with pytest.raises(UserError, match="a base training run"):
        loop.train_base(tmp_path / "run", replace(small_run, seed=1))


def test_two_processes_do_not_share_a_folder(
    small_run: curriculum.BaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(_: Any) -> None:
        with pytest.raises(UserError, match="another process is using this folder"):
            loop.train_base(tmp_path / "run", replace(small_run, seed=1))

    monkeypatch.setattr(loop._Trainer, "train", meanwhile)
    loop.train_base(tmp_path / "run", small_run)
    assert json.loads((tmp_path / "run/base.json").read_text())["seed"] == small_run.seed


def test_a_missing_gpu_is_reported_before_rendering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="preset: expected cpu"):
        loop.train_base(tmp_path / "run", curriculum.BaseConfig(preset="gpu"))
    assert not (tmp_path / "run").exists()


def test_invalid_settings_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scenes: expected 600 or more"):
        curriculum.BaseConfig(scenes=10)
    with pytest.raises(UserError, match="minutes"):
        curriculum.BaseConfig(minutes=0)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="a base training run"):
        loop.train_base(tmp_path, curriculum.BaseConfig())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_pictures_are_rendered_once_and_belong_to_the_training_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_pool, "KINDS", KINDS[::24])  # fewer crops
    pool = image_pool.load_pool(tmp_path, 0, 6, 1, workers=1)
    assert pool.scenes.shape == (6, SCENE_HEIGHT, SCENE_WIDTH, 3)
    assert pool.crops.shape == (4, CROP_SIDE, CROP_SIDE, 3)
    for row in range(6):
        kinds = [KINDS[kind] for kind in pool.kinds[row] if kind >= 0]
        assert split_of(kinds) == "train"
        assert image_pool.MIN_OBJECTS <= len(kinds) <= image_pool.MAX_OBJECTS
        columns = pool.spots[row, : len(kinds), 0]
        assert sorted(columns) == list(columns) and (columns >= 0).all() and (columns < SCENE_WIDTH).all()
    monkeypatch.setattr(image_pool, "_render_pool", None)  # rendering again would fail
    assert np.array_equal(image_pool.load_pool(tmp_path, 0, 6, 1, workers=1).scenes, pool.scenes)
    with pytest.raises(UserError, match="choose another folder"):
        image_pool.load_pool(tmp_path, 1, 6, 1, workers=1)


def test_a_policy_with_pictures_contains_each_of_its_crops(sampler: SceneSampler) -> None:
    policy = sample_policy(random.Random(0), sampler, 3, visual=True)
    pictures = [part for part in policy.content if isinstance(part, Picture)]
    nodes_with_crops = [node for _, node, _ in policy.tree.sections() if node.crop]
    assert pictures and len(pictures) == len(nodes_with_crops)


def test_unknown_numbers_of_conditions_start_near_the_known_ones(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_tokenizer, "CONDITIONS", CONDITIONS[:15])
    older_tokenizer = train_tokenizer()
    older = random_model(older_tokenizer, TEST_SIZE, INIT_STD, seed=1)
    save_checkpoint(older, older_tokenizer, tmp_path)
    newer = random_model(tokenizer, TEST_SIZE, INIT_STD, seed=0)
    warm_start.copy_weights(tmp_path, newer, tokenizer)
    text = "\nCondition 1.2.1: Look for a red object in the scene. If so, answer Case 63."
    with torch.no_grad():
        hidden = [
            model.model(input_ids=vocabulary(text, return_tensors="pt").input_ids).last_hidden_state
            for model, vocabulary in ((older, older_tokenizer), (newer, tokenizer))
        ]
    assert torch.equal(*hidden)
    table, known = newer.get_input_embeddings().weight, len(older_tokenizer)
    headings, references = (
        table[tokenizer.convert_tokens_to_ids([form.format(n) for n in CONDITIONS[1:]])].detach()
        for form in ("ĊConditionĠ{}:", "Ġ{}")
    )
    assert len(tokenizer) == known + 2 * 48 and newer.lm_head.weight is table
    for rows in (headings, references):
        assert float(rows[14:].norm(dim=1).mean()) == pytest.approx(
            float(rows[:14].norm(dim=1).mean()), rel=0.2
        )
        assert len(rows.unique(dim=0)) == 62
    same = torch.cosine_similarity(headings - headings[:14].mean(0), references - references[:14].mean(0))
    assert float(same[14:].min()) > 0.7 and abs(float(same[:14].mean())) < 0.3
    with pytest.raises(UserError, match="start: expected a checkpoint of trimpi base"):
        warm_start.copy_weights(tmp_path, random_model(tokenizer, BASE_SIZE, INIT_STD, 0), tokenizer)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_muon_brings_all_singular_values_close_to_1(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    update = muon.orthogonalized(matrix)
    diagonal = left.T @ update @ right.T
    assert torch.allclose(diagonal, diagonal.diag().diag(), atol=1e-4)
    assert float(diagonal.diag().min()) > 0.5 and float(diagonal.diag().max()) < 1.3
    parameter = torch.nn.Parameter(torch.zeros(shape))
    optimizer = muon.Muon([parameter], 0.1, 0.0, torch.float32)
    parameter.grad = 1e-6 * matrix
    optimizer.step()
    largest = max(1.0, (shape[0] / shape[1]) ** 0.5)
    assert torch.allclose(parameter, -0.1 * largest * update, atol=1e-4)


SHIPPED = Path(curriculum.__file__).parents[1] / "tiny"


def test_the_shipped_checkpoint_loads_and_matches_the_tokenizer(tokenizer: Any) -> None:
    model, shipped = load_checkpoint(str(SHIPPED), torch.device("cpu"))
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 16_000_000
    assert model.dtype == torch.float32 and (SHIPPED / "README.md").exists()
    # The checkpoint was trained with the tokenizer that is created today.
    assert shipped.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert shipped.chat_template == tokenizer.chat_template


def test_an_example_lists_its_pictures() -> None:
    scene, crop = Picture("scene", 1), Picture("crop", 2)
    assert Example((crop, "and", scene), "x").pictures == [crop, scene]
    assert [picture.placeholder.count("<|image_pad|>") for picture in (scene, crop)] == [24, 9]
