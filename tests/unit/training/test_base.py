"""The tiny base model: what it is taught is right, and is shown exactly as a benchmark shows it."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clevrpolicy.policy import reasoning, wording
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from clevrpolicy.scene.placement import split_of
from harness.errors import UserError
from harness.parsing import boxed
from harness.records import Part, Prompt
from harness.seeds import rng

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from harness.backends.chat import Reader  # noqa: E402
from harness.backends.checkpoint import load_checkpoint  # noqa: E402
from training.base import curriculum, evaluation, loop, vision_pretraining  # noqa: E402
from training.base.data import image_pool, pixels  # noqa: E402
from training.base.data.batches import Lessons, batch  # noqa: E402
from training.base.data.examples import Encoder, Example, Picture, prompt  # noqa: E402
from training.base.data.image_pool import HEIGHT, SIDE, WIDTH, Pool  # noqa: E402
from training.base.data.samplers import Material, policy  # noqa: E402
from training.base.data.tasks import TASKS  # noqa: E402
from training.base.model import attention, init_heads  # noqa: E402
from training.base.model.checkpoint import SMALLEST, SPREAD, processor, random_model  # noqa: E402
from training.base.model.tokenizer import train_tokenizer  # noqa: E402
from training.base.optimizer import Optimizer  # noqa: E402

SCENES = 300


@pytest.fixture(scope="module")
def painted() -> Pool:
    """A pool of noise whose scenes are told to hold random objects."""
    draw, noise = random.Random(1), np.random.default_rng(1)
    kinds = np.full((SCENES, image_pool.MOST), -1)
    spots = np.full((SCENES, image_pool.MOST, 2), -1.0, dtype=np.float32)
    for row in range(SCENES):
        count = draw.randint(image_pool.FEWEST, image_pool.MOST)
        kinds[row, :count] = draw.choices(range(len(KINDS)), k=count)
        spots[row, :count, 0] = sorted(draw.uniform(0, WIDTH - 1) for _ in range(count))
        spots[row, :count, 1] = [draw.uniform(0, HEIGHT - 1) for _ in range(count)]
    return Pool(
        noise.integers(0, 256, (SCENES, HEIGHT, WIDTH, 3), dtype=np.uint8),
        kinds,
        spots,
        noise.integers(0, 256, (len(KINDS), SIDE, SIDE, 3), dtype=np.uint8),
        np.arange(len(KINDS)),
    )


@pytest.fixture(scope="module")
def material(painted: Pool) -> Material:
    return Material(painted, 0, SCENES)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return random_model(tokenizer, SMALLEST, SPREAD, seed=0).eval()


@pytest.fixture(scope="module")
def gallery(painted: Pool) -> pixels.Gallery:
    return pixels.Gallery(painted, torch.device("cpu"))


# Words


@given(text=st.text() | st.from_regex(r"( ?(Case|Condition) [12](\.[12]){0,6}[.;:]? ?a?mong){1,3}"))
@settings(max_examples=50, deadline=None)
def test_any_text_comes_back(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_what_policies_repeat_is_one_token(tokenizer: Any) -> None:
    for text in (" 1.2.1", " cylinder", "\nCondition 1.2.1:", wording.HEAD.partition("{name}")[2]):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == 1
    split = [tokenizer.decode(i) for i in tokenizer.encode(" a as 1.1.5", add_special_tokens=False)]
    assert split == [" a", " a", "s", " 1", ".", "1", ".", "5"]  # whole words and numbers only


# Tasks


@pytest.mark.parametrize("name", TASKS)
def test_an_example_is_drawn_from_its_generator_alone(material: Material, name: str) -> None:
    first, again, other = (TASKS[name](rng(seed, name), material) for seed in (0, 0, 1))
    assert first == again != other


def shown_kinds(answer: str) -> list[str]:
    """The objects that an answer's caption tells."""
    caption = answer.split("The scene holds ")[1].split(".\n")[0]
    return [words.removeprefix("a ") for part in caption.split(", ") for words in part.split(" and ")]


@pytest.mark.parametrize("name", ["follow-2", "visual-2", "follow-3"])
def test_the_answer_is_that_of_the_policy_as_shown(material: Material, name: str) -> None:
    """The policy is read back from the question's own words and pictures."""
    draw, answers = rng(3, name), []
    for _ in range(60):
        example = TASKS[name](draw, material)
        *content, picture, _ = example.question
        parts, shown = [], {}
        for part in content:
            parts.append(Part("image", str(part.index)) if isinstance(part, Picture) else Part("text", part))
            if isinstance(part, Picture):
                attribute = str(parts[-2].value).rpartition("same ")[2].partition(" as")[0]
                kind = KINDS[int(material.pool.crop_kinds[part.index])]
                shown[str(part.index)] = getattr(kind, attribute)
        _, tree = wording.parse(parts, shown)
        assert isinstance(picture, Picture)
        kinds = material.pool.content(picture.index)
        told = [str(kind) for kind in (kinds[::-1] if picture.mirrored else kinds)]
        assert shown_kinds(example.answer) == told
        steps, leaf = tree.walk(mask(kinds))
        assert boxed(example.answer) == f"Case {leaf.case}"
        answers += [step.holds for step in steps]
    assert 0.4 < sum(answers) / len(answers) < 0.6  # balanced, or guessing would do


def test_scenes_in_words_belong_to_the_training_split(material: Material) -> None:
    draw = random.Random(0)
    assert {split_of(material.sentence(draw).kinds) for _ in range(200)} == {"train"}


def test_questions_are_about_the_picture(material: Material) -> None:
    draw = rng(0, "counted")
    counts = []
    for _ in range(200):
        example = TASKS["count"](draw, material)
        (picture,) = example.pictures
        asked = str(example.question[1]).removeprefix("How many ").partition(" are in")[0].split()
        wanted = {word.removesuffix("s") for word in asked} - {"object"}
        met = sum(wanted <= set(kind) for kind in material.pool.content(picture.index))
        assert boxed(example.answer) == str(met)
        counts.append(met)
    assert {0, 1, 2} <= set(counts) and counts.count(0) < 100


def test_the_curriculum_names_tasks_that_exist() -> None:
    for stage in curriculum.CURRICULUM:
        assert stage.mix.keys() | set(stage.watched) <= TASKS.keys()
        assert stage.gates.keys() <= (TASKS.keys() if stage.mix else {*ATTRIBUTES, "turn"})


# As a benchmark shows it


def test_a_question_is_what_the_harness_asks(
    material: Material, tokenizer: Any, model: Any, gallery: pixels.Gallery
) -> None:
    """Tokens and pixels are those that harness.backends.chat makes of the same prompt."""
    example = TASKS["visual-2"](random.Random(2), material)

    class Pictures:
        def image(self, path: str) -> Image.Image:
            kind, index, mirrored = path.split("-")
            source = material.pool.scenes if kind == "scene" else material.pool.crops
            array = source[int(index)]
            return Image.fromarray(np.ascontiguousarray(array[:, ::-1] if mirrored == "True" else array))

    def named(part: str | Picture) -> Part:
        if isinstance(part, str):
            return Part("text", part)
        return Part("image", f"{part.kind}-{part.index}-{part.mirrored}")

    asked = Prompt("x", "in_context", tuple(map(named, example.question)))
    reader = Reader(processor(tokenizer), model.config, Pictures(), None, 1)
    inputs = reader.read([asked])
    mine = batch([Encoder(tokenizer).question(example)], tokenizer.pad_token_id)
    assert mine.ids.tolist() == inputs["input_ids"].tolist()
    assert mine.shots is not None and len(example.pictures) > 1
    patches, grids = gallery.patches(mine.shots)
    assert grids.tolist() == inputs["image_grid_thw"].tolist()
    assert torch.allclose(patches, inputs["pixel_values"], atol=1e-5)


def test_loss_is_on_answers_and_most_where_it_matters(material: Material, tokenizer: Any) -> None:
    encoder = Encoder(tokenizer)
    example = TASKS["follow-1"](random.Random(4), material)
    row = encoder(example)
    asked = len(encoder.question(example).ids)
    assert not any(row.weights[:asked]) and all(row.weights[asked:])
    assert tokenizer.decode(row.ids) == prompt(example) + example.answer + "<|im_end|>"
    heavy = [tokenizer.decode(i) for i, w in zip(row.ids, row.weights, strict=True) if w == 4]
    assert len(heavy) == 2 and heavy[1] in (" Yes,", " No, none")


def test_what_nobody_could_know_is_not_learned(material: Material, tokenizer: Any) -> None:
    example = TASKS["match"](random.Random(0), material)
    row = Encoder(tokenizer)(example)
    learned = "".join(tokenizer.decode(i) for i, w in zip(row.ids, row.weights, strict=True) if w)
    lines = [line.partition("?")[2] for line in example.answer.splitlines()]
    assert learned == "\n".join(lines) + "<|im_end|>" and " Yes," in learned and " No, none" in learned


def test_conditions_are_recited_in_the_order_asked(material: Material) -> None:
    example = TASKS["recite-2"](random.Random(1), material)
    *content, question = example.question
    asked = str(question).removeprefix("List the conditions ").removesuffix(".").split(", ")
    _, tree = wording.parse([Part("text", str(part)) for part in content], {})
    known = {number: "; ".join(reasoning.fields(number, node)) for number, node, _ in tree.sections()}
    assert example.answer.strip().splitlines() == [f"Condition {n}: {known[n]}." for n in asked]


def test_rows_of_a_step_are_cut_by_length(material: Material, tokenizer: Any) -> None:
    lessons = Lessons((0, "x"), {"list": 1.0, "follow-3": 1.0}, material, Encoder(tokenizer), 40)
    batches = lessons[7]
    assert sum(len(b.ids) for b in batches) == 40 and len(batches) > 1
    used = sum(int((b.ids != tokenizer.pad_token_id).sum()) for b in batches)
    assert used > 0.75 * sum(b.ids.numel() for b in batches)
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(batches, lessons[7], strict=True))
    assert not torch.equal(lessons[8][0].ids, batches[0].ids)


# Seeing


def test_a_picture_is_mirrored_and_then_moved(painted: Pool, gallery: pixels.Gallery) -> None:
    shown = pixels.shots([Picture("scene", 3, mirrored=True)], None)
    (still,) = gallery._changed(gallery.scenes, shown, shown.scene)
    assert np.array_equal(still.numpy(), painted.scenes[3][:, ::-1])
    moved = gallery._changed(gallery.scenes, replace(shown, moves=torch.tensor([[5, -3]])), shown.scene)[0]
    assert torch.equal(moved[:-3, 5:], still[3:, :-5])
    assert torch.equal(moved[:, 0], moved[:, 4])  # its edge, repeated


@pytest.mark.parametrize("mirrored", [False, True])
def test_cells_hold_what_stands_in_them_and_its_turn(painted: Pool, mirrored: bool) -> None:
    index = 5
    found = vision_pretraining.cells(painted, Picture("scene", index, mirrored), columns=2, rows=-1)
    kinds, spots = painted.kinds[index].tolist(), painted.spots[index].tolist()
    count = sum(kind >= 0 for kind in kinds)
    for turn, (kind, (x, y)) in enumerate(zip(kinds[:count], spots, strict=False)):
        column = ((WIDTH - 1 - x if mirrored else x) + 2) // vision_pretraining.CELL
        place = int(max(y - 1, 0) // vision_pretraining.CELL) * vision_pretraining.COLUMNS + min(
            int(column), vision_pretraining.COLUMNS - 1
        )
        assert (kind, count - 1 - turn if mirrored else turn) in found[place]
    assert sum(kind >= 0 for places in found for kind, _ in places) == count


def test_a_sure_head_loses_nothing() -> None:
    objects = ((4, 1), (90, 0))
    found = torch.tensor([[objects, (vision_pretraining.NOTHING, vision_pretraining.NOTHING)]])
    logits = [torch.full((2, 2, 1), -50.0)]
    logits[0][0] = 50.0
    for column, size in enumerate(vision_pretraining.SIZES):
        scores = torch.zeros(2, 2, size)
        for place, (kind, turn) in enumerate(objects):
            scores[0, place, [*vision_pretraining.VALUES[kind], turn][column]] = 50.0
        logits.append(scores)
    loss, right = vision_pretraining.loss(tuple(logits), found)
    assert float(loss) < 1e-6 and set(right.values()) == {1.0}
    logits[-1] = -logits[-1]
    loss, right = vision_pretraining.loss(tuple(logits), found)
    assert float(loss) > 10 and right["turn"] == 0.0


# Training


def test_plain_attention_gives_what_the_stock_one_gives(
    model: Any, material: Material, tokenizer: Any
) -> None:
    rows = [Encoder(tokenizer)(TASKS[name](random.Random(0), material)) for name in ("list", "recite-2")]
    ids = batch(rows, tokenizer.pad_token_id).ids
    with torch.no_grad():
        stock = model.model(input_ids=ids).last_hidden_state
        attention.use(model)
        plain = model.model(input_ids=ids).last_hidden_state
        model.set_attn_implementation("sdpa")
    assert torch.allclose(stock, plain, atol=1e-4)


def test_heads_look_where_they_should_from_the_start(tokenizer: Any) -> None:
    fresh = random_model(tokenizer, SMALLEST, init_heads.SPREAD, seed=0).eval()
    init_heads.look_back(fresh)
    fresh.set_attn_implementation("eager")
    ids = torch.randint(300, 700, (4, 80), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layers = fresh.model(input_ids=ids, output_attentions=True).attentions
    for layer in layers[: init_heads.LAYERS]:
        seen = layer[:, :, 60:].mean(0)  # (heads, 20, 80), of tokens that have many before them
        for head, look in enumerate(init_heads.HEADS[: len(seen)]):
            at = torch.stack([row[60 + i - look.lag] for i, row in enumerate(seen[head])]).mean()
            near = torch.stack([row[60 + i - 20 : 60 + i + 1].sum() for i, row in enumerate(seen[head])])
            assert near.mean() > 0.9
            assert at > 0.5 if look.lag else at < 0.3, "one token, or all that are near"


def test_steps_too_small_for_bfloat16_add_up() -> None:
    layer = torch.nn.Linear(8, 8).bfloat16()
    with torch.no_grad():
        layer.bias.fill_(1.0)
    optimizer = Optimizer([layer], sight=torch.nn.Linear(1, 1))
    for _ in range(100):
        layer.bias.grad = torch.ones(8, dtype=torch.bfloat16)
        optimizer.step(0.05, sight_rate=0.0)  # 1e-4 a step, where bfloat16 has steps of 4e-3 below 1
    assert float(layer.bias.detach().mean()) == pytest.approx(0.99, abs=0.003)


def test_answers_of_a_padded_batch_are_those_of_single_ones(
    model: Any, material: Material, tokenizer: Any, gallery: pixels.Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "NEW_TOKENS", 8)
    encoder = Encoder(tokenizer)
    rows = [
        encoder.question(TASKS[name](random.Random(0), material)) for name in ("list", "visual-2", "read-1")
    ]
    together = evaluation.generate(model, batch(rows, encoder.pad), gallery, tokenizer)
    alone = [evaluation.generate(model, batch([row], encoder.pad), gallery, tokenizer)[0] for row in rows]
    assert together == alone and len(set(alone)) > 1


def test_an_answer_is_right_by_its_box_or_as_a_whole() -> None:
    assert evaluation._same(r"<think>no</think>\boxed{Case 1}", r"<think>yes</think>\boxed{Case 1}")
    assert not evaluation._same("Yes.", "No.") and evaluation._same("Yes.", "Yes.")
    assert not evaluation._same("", r"\boxed{Case 1}")


def test_the_vision_tower_learns_at_its_own_rate() -> None:
    sight, other = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
    before = [layer.weight.detach().clone() for layer in (sight, other)]
    optimizer = Optimizer([torch.nn.Sequential(sight, other)], sight)
    for layer in (sight, other):
        layer.weight.grad = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    optimizer.step(rate=1.0, sight_rate=0.1)
    moved = [
        float((layer.weight.detach() - w).norm()) for layer, w in zip((sight, other), before, strict=True)
    ]
    assert moved[1] > 0 and moved[0] == pytest.approx(0.1 * moved[1], rel=0.05)


STAGES = (
    curriculum.Stage("sight", 0.2, sight_rate=1.0),
    curriculum.Stage("words", 0.4, {"list": 1.0, "follow-1": 1.0}, {"list": 0.0}),  # its gate always holds
    curriculum.Stage("last", 1.0, {"read-1": 1.0}, watched=("read-1",), sight_rate=0.1),
)


@pytest.fixture
def small_run(painted: Pool, monkeypatch: pytest.MonkeyPatch) -> curriculum.BaseConfig:
    """A run on noise, by a clock that counts half a second a step: 12 steps, and a look every second."""
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=itertools.count(0, 0.5).__next__))
    monkeypatch.setattr(image_pool, "load", lambda *_: painted)
    monkeypatch.setattr(loop, "HELD", 20)
    monkeypatch.setattr(loop, "BASE", SMALLEST)
    monkeypatch.setattr(loop, "ASKED", 2)
    monkeypatch.setattr(loop, "CHECK", 1.0)
    monkeypatch.setattr(loop, "LOGGED", 1)
    monkeypatch.setattr(loop, "CURRICULUM", STAGES)
    monkeypatch.setattr(evaluation, "NEW_TOKENS", 2)
    monkeypatch.setattr(curriculum.BaseConfig, "rows", 4)
    monkeypatch.setattr(curriculum, "FEWEST_SCENES", SCENES)
    return curriculum.BaseConfig(minutes=0.1, scenes=SCENES)


def trained(out: Path) -> tuple[list[Any], list[torch.Tensor]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return lines, torch.load(out / "state.pt")["optimizer"]["kept"]


def test_a_killed_run_ends_like_one_that_was_not(
    small_run: curriculum.BaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.train_base(tmp_path / "whole", small_run)
    learn, steps = loop._Run._learn, itertools.count()

    def killed(run: Any, lesson: Any) -> None:
        if next(steps) == 7:
            raise KeyboardInterrupt
        learn(run, lesson)

    monkeypatch.setattr(loop._Run, "_learn", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train_base(tmp_path / "killed", small_run)
    monkeypatch.setattr(loop._Run, "_learn", learn)
    loop.train_base(tmp_path / "killed", small_run)
    (whole, weights), (_, again) = trained(tmp_path / "whole"), trained(tmp_path / "killed")
    assert all(torch.equal(a, b) for a, b in zip(weights, again, strict=True))
    # The gate of "words" held at its first look, and what it left over the last stage had.
    counted = Counter(line["stage"] for line in whole if line["loss"] is not None)
    assert counted == {"sight": 3, "words": 2, "last": 7}
    assert whole[-1]["skills"].keys() == {"read-1"}


def test_a_run_leaves_a_checkpoint_that_the_harness_loads(
    small_run: curriculum.BaseConfig, tmp_path: Path
) -> None:
    loop.train_base(tmp_path / "run", small_run)
    _, weights = trained(tmp_path / "run")
    model, _ = load_checkpoint(str(tmp_path / "run" / "latest"), torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=False))
    with pytest.raises(UserError, match="name another folder"):
        loop.train_base(tmp_path / "run", replace(small_run, seed=1))


def test_a_gpu_that_is_missing_is_said_before_pictures_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="preset: expected cpu"):
        loop.train_base(tmp_path / "run", curriculum.BaseConfig(preset="gpu"))
    assert not (tmp_path / "run").exists()


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scenes: expected 600 or more"):
        curriculum.BaseConfig(scenes=10)
    with pytest.raises(UserError, match="minutes"):
        curriculum.BaseConfig(minutes=0)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="expected a new or"):
        loop.train_base(tmp_path, curriculum.BaseConfig())


# Pictures


def test_pictures_are_drawn_once_and_of_the_training_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_pool, "KINDS", KINDS[::24])  # so many crops less
    drawn = image_pool.load(tmp_path, 0, 6, 1, workers=1)
    assert drawn.scenes.shape == (6, HEIGHT, WIDTH, 3) and drawn.crops.shape == (4, SIDE, SIDE, 3)
    for row in range(6):
        kinds = [KINDS[kind] for kind in drawn.kinds[row] if kind >= 0]
        assert split_of(kinds) == "train" and image_pool.FEWEST <= len(kinds) <= image_pool.MOST
        columns = drawn.spots[row, : len(kinds), 0]
        assert sorted(columns) == list(columns) and (columns >= 0).all() and (columns < WIDTH).all()
    monkeypatch.setattr(image_pool, "_draw", None)  # would be called to draw again
    assert np.array_equal(image_pool.load(tmp_path, 0, 6, 1, workers=1).scenes, drawn.scenes)
    with pytest.raises(UserError, match="name another folder"):
        image_pool.load(tmp_path, 1, 6, 1, workers=1)


def test_a_policy_in_pictures_shows_every_value(material: Material) -> None:
    drawn = policy(random.Random(0), material, 3, visual=True)
    shown = [part for part in drawn.content if isinstance(part, Picture)]
    crops = [node for _, node, _ in drawn.tree.sections() if node.crop]
    assert shown and len(shown) == len(crops)


SHIPPED = Path(curriculum.__file__).parents[1] / "tiny"


def test_the_shipped_checkpoint_is_whole_and_small(tokenizer: Any) -> None:
    model, shipped = load_checkpoint(str(SHIPPED), torch.device("cpu"))
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 16_000_000
    assert model.dtype == torch.float32 and (SHIPPED / "README.md").exists()
    # A tokenizer made today reads what it was trained on.
    assert shipped.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert shipped.chat_template == tokenizer.chat_template


def test_an_example_knows_its_pictures() -> None:
    scene, crop = Picture("scene", 1), Picture("crop", 2)
    assert Example((crop, "and", scene), "x").pictures == [crop, scene]
    assert (scene.tokens, crop.tokens) == (24, 9)
