"""What prompts begin with in common is encoded once, and no response is another for it."""

from __future__ import annotations

import gc
import json
import random
import shutil
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.backends import Sampling
from harness.backends.prefix_groups import MIN_SHARED_TOKENS, group_by_prefix
from harness.records import Part, Prompt, Response

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


from small_models import OTHERS, random_model  # noqa: E402

from harness.backends.hf import HuggingFace  # noqa: E402
from harness.backends.prefix import ARCHITECTURES, Prefix  # noqa: E402


class Pictures:
    """Paints each picture from its name, and remembers which were asked for; one is broken."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def image(self, path: str) -> Image.Image:
        self.asked.append(path)
        if path == "broken.png":
            raise OSError("image file is truncated")
        colors = random.Random(path).randbytes(3 * 6)
        return Image.frombytes("RGB", (3, 2), colors).resize((480, 320), Image.Resampling.NEAREST)


RULES = (
    "Condition 1: Is there a cube in the scene? If so, go to Condition 1.1; otherwise, respond with Case 0. "
)


def parts(*values: str) -> tuple[Part, ...]:
    """Those ending in .png are images."""
    return tuple(Part("image" if value.endswith(".png") else "text", value) for value in values)


def policy(number: int, images: int = 0, end: str = "") -> tuple[Part, ...]:
    """Some 130 tokens and the images, the last of them at the end for odd numbers."""
    shown = [f"policy{number}-{k}.png" for k in range(images)]
    head = [f"Policy {number}.", *shown[: images // 2], RULES * 3, *shown[images // 2 :]]
    return parts(*head, *([] if number % 2 and images else [f"So much for Policy {number}. {end}"]))


def queries(number: int, count: int) -> list[tuple[Part, ...]]:
    """Of different lengths, with 0 or 1 images, in front of the words or behind them."""
    made = []
    for i in range(count):
        words, image = "object scene " * (i % 5) + f"What is it? {i}", f"query{number}-{i}.png"
        made.append(parts(*((words,), (words, image), (image, words))[i % 3]))
    return made


def prompts(policies: Sequence[tuple[Part, ...]], count: int) -> list[Prompt]:
    """So many of each policy, the policies in turn."""
    return [
        Prompt(f"p{n}-{i}", "in_context", shown + query)
        for i in range(count)
        for n, shown in enumerate(policies)
        for query in [queries(n, count)[i]]
    ]


MIXED = [policy(0), policy(1, images=1), policy(2, images=2), policy(3, images=3), policy(4, end="Con")]


def backend(folder: Path | str, **sampling: float) -> HuggingFace:
    return HuggingFace(str(folder), Pictures(), Sampling(**{"max_new_tokens": 16, **sampling}))  # type: ignore[arg-type]


def answers(model: HuggingFace, asked: Sequence[Prompt]) -> dict[str, Response]:
    return {response.instance: response for response in model.generate(asked)}


def plain(model: HuggingFace, asked: Sequence[Prompt]) -> dict[str, Response]:
    """The responses without the reuse of prefixes."""
    model.prefix_reuse, before = False, model.prefix_reuse
    responses = answers(model, asked)
    model.prefix_reuse = before
    return responses


def texts(responses: dict[str, Response]) -> dict[str, str | None]:
    return {name: response.text for name, response in responses.items()}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is many times slower on two threads that share a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Nothing changes


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_responses_are_those_of_the_plain_path(checkpoint: Path, size: int, temperature: float) -> None:
    asked = prompts(MIXED, 8)
    model = backend(checkpoint, batch_size=size, temperature=temperature, top_p=0.9)
    reused, whole = answers(model, asked), plain(model, asked)
    assert texts(reused) == texts(whole)
    assert len(set(texts(whole).values())) > 30
    for name, response in whole.items():
        assert response.prompt_tokens == reused[name].prompt_tokens
        assert response.cached_tokens == 0
    # In each batch, and in all but the first response of a group.
    assert sum(bool(r.cached_tokens) for r in reused.values()) == len(asked) - len(MIXED)


@pytest.mark.parametrize("architecture", OTHERS)
def test_other_architectures_too(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.backends.hf.load_checkpoint", lambda *_: random_model(architecture))
    model = backend(architecture, batch_size=6)
    assert model.description["prefix_reuse"] is True
    asked = prompts(MIXED[:4], 6)
    reused, whole = answers(model, asked), plain(model, asked)
    assert None not in texts(whole).values()
    assert texts(reused) == texts(whole)
    assert len(set(texts(whole).values())) > 12
    assert any(r.cached_tokens for r in reused.values()) == (architecture != "llava")


def test_each_architecture_that_is_said_to_work_is_tested() -> None:
    assert {*OTHERS, "qwen2_5_vl"} == ARCHITECTURES


def test_logits_are_those_of_the_plain_path_and_the_cache_stays_as_it_is(checkpoint: Path) -> None:
    model = backend(checkpoint)
    shown = policy(3, images=3)
    asked = prompts([shown], 6)
    prefix = Prefix(model.model, model.reader, shown)
    kept: list[Any] = []
    with torch.inference_mode():
        for batch in (asked[:3], asked[3:], asked[:3]):
            inputs, shared = prefix.read(batch)
            assert shared > MIN_SHARED_TOKENS
            logits = model.model(**prefix.rest(inputs, shared)).logits[:, -1]
            expected = model.model(**model.reader.read(batch)).logits[:, -1]
            assert (logits - expected).abs().max() < 1e-4
            assert prefix.computed is not None
            kept.append([states.clone() for layer in prefix.computed.cache for states in layer[:2]])
    for later in kept[1:]:
        assert all(map(torch.equal, kept[0], later))


# What is saved


@pytest.mark.parametrize("images", [0, 1, 3])
def test_cached_tokens_are_those_in_front_of_the_querys_image(checkpoint: Path, images: int) -> None:
    shown = policy(1, images)
    asked = [Prompt(f"p{i}", "in_context", shown + parts(f"{i}.png", "Hm? " * i)) for i in range(8)]
    model = backend(checkpoint, batch_size=3, max_new_tokens=1)
    # One message with the policy alone ends in 7 tokens of the chat, which begins the same; each image of a
    # query is announced by one token.
    shared = model.reader.read([Prompt("policy", "in_context", shown)])["input_ids"].shape[1]
    end = len(model.processor.tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"])
    responses = list(model.generate(asked))
    assert [r.cached_tokens for r in responses] == [0, *[shared - end + 1] * 7]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_computed_tokens_are_prompt_tokens_less_cached_ones(checkpoint: Path, size: int) -> None:
    model = backend(checkpoint, batch_size=size, max_new_tokens=1)
    computed: list[int] = []
    model.model.model.language_model.layers[0].register_forward_pre_hook(
        lambda _module, inputs: computed.append(inputs[0].shape[0] * inputs[0].shape[1])
    )
    # All as long, so that nothing is padding.
    asked = [Prompt(f"p{i}", "in_context", policy(2, images=2) + parts(f"What {5 + i}")) for i in range(4)]
    responses = list(model.generate(asked))
    assert len({r.prompt_tokens for r in responses}) == 1
    assert sum(computed) == sum((r.prompt_tokens or 0) - (r.cached_tokens or 0) for r in responses)
    assert sum(computed) < (responses[0].prompt_tokens or 0) * 1.2


@pytest.mark.parametrize("size", [1, 3, 16])
def test_a_policys_images_are_read_and_encoded_once(
    checkpoint: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend(checkpoint, batch_size=size, max_new_tokens=1)
    prepared, encoded = [], []
    kind = type(model.processor.image_processor)
    preprocess = kind.preprocess

    def counting(self: Any, images: Any, *more: Any, **settings: Any) -> Any:
        inputs = preprocess(self, images, *more, **settings)
        prepared.append(len(inputs["image_grid_thw"]))
        return inputs

    monkeypatch.setattr(kind, "preprocess", counting)
    model.model.model.visual.register_forward_pre_hook(
        lambda _module, _args, named: encoded.append(len(named["grid_thw"])), with_kwargs=True
    )
    asked = prompts([policy(2, images=2), policy(3, images=3)], 9)
    answers(model, asked)
    once = [part.value for part in dict.fromkeys(p for a in asked for p in a.parts) if part.kind == "image"]
    assert sorted(model.reader.benchmark.asked) == sorted(once)  # type: ignore[attr-defined]
    assert sum(prepared) == sum(encoded) == len(once) == 5 + 2 * 6


def test_the_memory_of_a_group_goes_before_the_next_one_begins(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Prefix]] = []

    class Seen(Prefix):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(weakref.ref(self))

    monkeypatch.setattr("harness.backends.hf.Prefix", Seen)
    responses = backend(checkpoint, batch_size=4, max_new_tokens=1).generate(prompts(MIXED[2:4], 4))
    alive = []
    for _ in responses:
        gc.collect()
        alive.append([one() is not None for one in made])
    assert alive == [[True]] * 4 + [[False, True]] * 4
    assert made[1]() is None


# What can go wrong


def test_a_batch_that_does_not_fit_is_halved(checkpoint: Path) -> None:
    asked = prompts(MIXED[2:4], 8)
    model = backend(checkpoint, batch_size=8)
    expected = texts(plain(model, asked))
    generate, tried = model.model.generate, []

    def limited(**inputs: Any) -> Any:
        tried.append(len(inputs["input_ids"]))
        if tried[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**inputs)

    model.model.generate = limited
    responses = answers(model, asked)
    assert texts(responses) == expected
    assert tried == [8, 4, *[2] * 8]
    assert sum(r.cached_tokens == 0 for r in responses.values()) == 2


def test_no_memory_for_the_prefix_is_an_error_of_each_prompt(checkpoint: Path) -> None:
    model = backend(checkpoint, batch_size=4)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.model.visual.register_forward_pre_hook(full)
    responses = answers(model, prompts([policy(0), policy(1, images=1)], 3))
    assert {name for name, r in responses.items() if r.text is not None} == {"p0-0"}
    assert {r.error for r in responses.values() if r.error} == {"cpu: not enough memory for this prompt"}


def test_a_broken_image_fails_its_own_prompt_or_those_of_its_policy(checkpoint: Path) -> None:
    asked = prompts(MIXED[2:4], 4)
    good = texts(answers(backend(checkpoint), asked))
    lame = policy(5) + parts("broken.png")
    bad = [Prompt("bad", "in_context", policy(2, images=2) + parts("broken.png", "Hm?"))]
    bad += [Prompt(f"lame{i}", "in_context", lame + query) for i, query in enumerate(queries(5, 8))]
    responses = texts(answers(backend(checkpoint, batch_size=8), [*bad, *asked]))
    assert {name for name, text in responses.items() if text is None} == {p.instance for p in bad}
    assert good.items() <= responses.items()


def test_a_model_that_forgets_takes_the_plain_path(checkpoint: Path, tmp_path: Path) -> None:
    """A sliding window drops keys that a longer remainder would need again."""
    folder = tmp_path / "sliding"
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1}
    config["text_config"]["layer_types"] = ["full_attention", "sliding_attention"]
    (folder / "config.json").write_text(json.dumps(config))
    model = backend(folder)
    assert model.description["prefix_reuse"] is False
    assert {r.cached_tokens for r in model.generate(prompts(MIXED[:1], 3))} == {0}


def test_a_template_that_moves_the_images_first_shares_what_it_can(checkpoint: Path) -> None:
    """The query's image then stands in front of the policy's text."""
    model = backend(checkpoint, batch_size=4)
    model.processor.chat_template = (
        "{% for part in messages[0].content if part.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% endfor %}"
        "{% for part in messages[0].content if part.type == 'text' %}{{ part.text }}{% endfor %}"
    )
    asked = [Prompt(f"p{i}", "in_context", policy(3, images=3) + parts(f"{i}.png", "Hm?")) for i in range(4)]
    few = [Prompt(f"q{i}", "in_context", policy(2, images=1) + parts(f"{i}.png", "Hm?")) for i in range(4)]
    responses = answers(model, [*asked, *few])
    assert texts(responses) == texts(plain(model, [*asked, *few]))
    assert [r.cached_tokens for name, r in responses.items() if name[0] == "p"] == [0, 79, 79, 79]
    assert {r.cached_tokens for name, r in responses.items() if name[0] == "q"} == {0}


def test_a_prefix_may_end_in_an_image(checkpoint: Path) -> None:
    """With no text behind it, positions go on after the image's longer side."""
    model = backend(checkpoint, batch_size=4)
    model.processor.chat_template = (
        "{% for part in messages[0].content %}{% if part.type == 'image' %}<|image_pad|>"
        "{% else %}{{ part.text }}{% endif %}{% endfor %}"
    )
    shown = policy(1, images=1)
    asked = [Prompt(word, "in_context", shown + parts(f"{word} it?")) for word in ("is", "at", "of", "What")]
    responses = answers(model, asked)
    whole = model.reader.read([Prompt("policy", "in_context", shown)])["input_ids"].shape[1]
    assert [r.cached_tokens for r in responses.values()] == [0, whole, whole, whole]
    assert texts(responses) == texts(plain(model, asked))


# Which prompts go together


def grouped(asked: Sequence[Prompt], least: int = 2) -> list[tuple[int, list[str]]]:
    return [(one.shared, [p.instance for p in one.prompts]) for one in group_by_prefix(asked, least)]


def test_policies_are_groups_and_what_shows_none_stays_together() -> None:
    shown = prompts([policy(0), policy(1, images=2)], 3)
    hidden = [Prompt(f"q{i}", "internalized", query) for i, query in enumerate(queries(0, 3))]
    assert grouped([*shown, *hidden]) == [
        (0, ["q0", "q1", "q2"]),
        (3, ["p0-0", "p0-1", "p0-2"]),
        (4, ["p1-0", "p1-1", "p1-2"]),
    ]


def test_several_samples_do_not_break_a_policys_group_apart() -> None:
    asked = [
        Prompt(p.instance, p.variant, p.parts, k) for p in prompts([parts(RULES * 20)], 4) for k in range(3)
    ]
    [(shared, names)] = grouped(asked)
    assert (shared, len(names)) == (1, 12)


def test_a_common_introduction_does_not_hide_the_policies_behind_it() -> None:
    asked = prompts([parts("Obey. " * 50) + policy(n) for n in range(3)], 4)
    assert [shared for shared, _ in grouped(asked)] == [4, 4, 4]


def test_few_prompts_or_few_tokens_are_no_group() -> None:
    short = [Prompt(f"s{i}", "internalized", parts("What now?", f"{i}.png")) for i in range(8)]
    asked = [*prompts([policy(0), policy(1)], 3), *short]
    assert grouped(asked, least=4) == [(0, [p.instance for p in asked])]


def test_no_prompts_are_no_groups() -> None:
    assert grouped([]) == []
