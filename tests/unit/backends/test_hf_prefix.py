"""A shared prefix is computed once, and all responses stay the same."""

import gc
import json
import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pictures import Pictures, parts

from harness.backends import Sampling
from harness.backends.prefix_groups import MIN_SHARED_TOKENS, group_by_prefix
from harness.records import Part, Prompt, Response

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import OTHERS, limit_memory, random_model  # noqa: E402

from harness.backends.local.hf import HuggingFace  # noqa: E402
from harness.backends.local.prefix import ARCHITECTURES, Prefix, after_prefixes, read_prompts  # noqa: E402

RULES = (
    "Condition 1: Is there a cube in the scene? If so, go to Condition 1.1; otherwise, respond with Case 0. "
)


def policy(number: int, images: int = 0, end: str = "") -> tuple[Part, ...]:
    """About 130 tokens and the images. Policies with odd numbers end in an image."""
    paths = [f"policy{number}-{k}.png" for k in range(images)]
    head = [f"Policy {number}.", *paths[: images // 2], RULES * 3, *paths[images // 2 :]]
    return parts(*head, *([] if number % 2 and images else [f"So much for Policy {number}. {end}"]))


def queries(number: int, count: int) -> list[tuple[Part, ...]]:
    """Queries of different lengths, with 0 or 1 images before or after the words."""
    contents = []
    for i in range(count):
        words, image = "object scene " * (i % 5) + f"What is it? {i}", f"query{number}-{i}.png"
        contents.append(parts(*((words,), (words, image), (image, words))[i % 3]))
    return contents


def make_prompts(policies: Sequence[tuple[Part, ...]], count: int) -> list[Prompt]:
    """This many prompts per policy, in the order policy 0, policy 1, ..., policy 0, ..."""
    return [
        Prompt(f"p{n}-{i}", "in_context", content + queries(n, count)[i])
        for i in range(count)
        for n, content in enumerate(policies)
    ]


MIXED = [policy(0), policy(1, images=1), policy(2, images=2), policy(3, images=3), policy(4, end="Con")]


def backend(folder: Path | str, **sampling: float) -> HuggingFace:
    return HuggingFace(str(folder), Pictures(), Sampling(**{"max_new_tokens": 16, **sampling}))  # type: ignore[arg-type]


def answers(model: HuggingFace, prompts: Sequence[Prompt]) -> dict[str, Response]:
    return {response.instance: response for response in model.generate(prompts)}


def plain(model: HuggingFace, prompts: Sequence[Prompt]) -> dict[str, Response]:
    """The responses without a cached prefix."""
    model.prefix_reuse, before = False, model.prefix_reuse
    responses = answers(model, prompts)
    model.prefix_reuse = before
    return responses


def texts(responses: dict[str, Response]) -> dict[str, str | None]:
    return {name: response.text for name, response in responses.items()}


# Responses stay the same


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_responses_are_the_same_with_and_without_a_prefix(
    checkpoint: Path, size: int, temperature: float
) -> None:
    prompts = make_prompts(MIXED, 8)
    model = backend(checkpoint, batch_size=size, temperature=temperature, top_p=0.9, max_new_tokens=8)
    reused, expected = answers(model, prompts), plain(model, prompts)
    assert texts(reused) == texts(expected)
    assert len(set(texts(expected).values())) > 30
    for name, response in expected.items():
        assert response.prompt_tokens == reused[name].prompt_tokens
        assert response.cached_tokens == 0
    # All responses but the first of each group.
    assert sum(bool(r.cached_tokens) for r in reused.values()) == len(prompts) - len(MIXED)


@pytest.mark.parametrize("architecture", OTHERS)
def test_responses_of_other_architectures_are_the_same_too(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.local.hf.load_checkpoint", lambda *_: random_model(architecture))
    model = backend(architecture, batch_size=6)
    assert model.description["prefix_reuse"] is True
    prompts = make_prompts(MIXED[:4], 6)
    reused, expected = answers(model, prompts), plain(model, prompts)
    assert None not in texts(expected).values()
    assert texts(reused) == texts(expected)
    assert len(set(texts(expected).values())) > 12
    assert any(r.cached_tokens for r in reused.values()) == (architecture != "llava")


def test_every_supported_architecture_is_tested() -> None:
    assert {*OTHERS, "qwen2_5_vl"} == ARCHITECTURES


def test_logits_are_the_same_and_the_cache_is_not_modified(checkpoint: Path) -> None:
    model = backend(checkpoint)
    content = policy(3, images=3)
    prompts = make_prompts([content], 6)
    prefix = Prefix(model.model, model.reader, content)
    caches: list[Any] = []
    with torch.inference_mode():
        for batch in (prompts[:3], prompts[3:], prompts[:3]):
            rest = [prompt.parts[len(content) :] for prompt in batch]
            inputs, shared = read_prompts([prefix] * 3, rest)
            assert min(shared) > MIN_SHARED_TOKENS
            with after_prefixes(inputs, [prefix] * 3, shared) as own:
                logits = model.model(**own).logits[:, -1]
            expected = model.model(**model.reader.read(batch)).logits[:, -1]
            assert (logits - expected).abs().max() < 1e-4
            assert prefix.computed is not None
            caches.append([states.clone() for layer in prefix.computed.cache for states in layer[:2]])
    for later in caches[1:]:
        assert all(map(torch.equal, caches[0], later))


# Saved computation


@pytest.mark.parametrize("images", [0, 1, 3])
def test_cached_tokens_are_those_before_the_image_of_the_query(checkpoint: Path, images: int) -> None:
    content = policy(1, images)
    prompts = [Prompt(f"p{i}", "in_context", content + parts(f"{i}.png", "Hm? " * i)) for i in range(8)]
    model = backend(checkpoint, batch_size=3, max_new_tokens=1)
    # A message with the policy alone starts with the same tokens, but then ends the chat. In the prompts, one
    # token announces the image of the query.
    shared = model.reader.read([Prompt("policy", "in_context", content)])["input_ids"].shape[1]
    end = len(model.processor.tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"])
    responses = list(model.generate(prompts))
    assert [r.cached_tokens for r in responses] == [0, *[shared - end + 1] * 7]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_computed_tokens_are_prompt_tokens_minus_cached_tokens(checkpoint: Path, size: int) -> None:
    model = backend(checkpoint, batch_size=size, max_new_tokens=1)
    computed: list[int] = []
    model.model.model.language_model.layers[0].register_forward_pre_hook(
        lambda _module, inputs: computed.append(inputs[0].shape[0] * inputs[0].shape[1])
    )
    # All of the same length, so without padding.
    prompts = [Prompt(f"p{i}", "in_context", policy(2, images=2) + parts(f"What {5 + i}")) for i in range(4)]
    responses = list(model.generate(prompts))
    assert len({r.prompt_tokens for r in responses}) == 1
    assert sum(computed) == sum((r.prompt_tokens or 0) - (r.cached_tokens or 0) for r in responses)
    assert sum(computed) < (responses[0].prompt_tokens or 0) * 1.2


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_images_of_a_policy_are_read_and_encoded_once(
    checkpoint: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend(checkpoint, batch_size=size, max_new_tokens=1)
    processed, encoded = [], []
    kind = type(model.processor.image_processor)
    preprocess = kind.preprocess

    def counting(self: Any, images: Any, *more: Any, **settings: Any) -> Any:
        inputs = preprocess(self, images, *more, **settings)
        processed.append(len(inputs["image_grid_thw"]))
        return inputs

    monkeypatch.setattr(kind, "preprocess", counting)
    model.model.model.visual.register_forward_pre_hook(
        lambda _module, _args, named: encoded.append(len(named["grid_thw"])), with_kwargs=True
    )
    prompts = make_prompts([policy(2, images=2), policy(3, images=3)], 9)
    answers(model, prompts)
    images = [
        part.value for part in dict.fromkeys(p for a in prompts for p in a.parts) if part.kind == "image"
    ]
    assert sorted(model.reader.benchmark.read) == sorted(images)  # type: ignore[attr-defined]
    assert sum(processed) == sum(encoded) == len(images) == 5 + 2 * 6


def test_the_memory_of_a_group_is_freed_before_the_next_group(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes: list[weakref.ref[Prefix]] = []

    class TrackedPrefix(Prefix):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            prefixes.append(weakref.ref(self))

    monkeypatch.setattr("harness.backends.local.hf.Prefix", TrackedPrefix)
    responses = backend(checkpoint, batch_size=4, max_new_tokens=1).generate(make_prompts(MIXED[2:4], 4))
    alive = []
    for _ in responses:
        gc.collect()
        alive.append([prefix() is not None for prefix in prefixes])
    assert alive == [[True]] * 4 + [[False, True]] * 4
    assert prefixes[1]() is None


# Failures


def test_a_batch_that_does_not_fit_is_halved(checkpoint: Path) -> None:
    prompts = make_prompts(MIXED[2:4], 8)
    model = backend(checkpoint, batch_size=8)
    expected = texts(plain(model, prompts))
    tried = limit_memory(model, rows=3)
    responses = answers(model, prompts)
    assert texts(responses) == expected
    assert tried == [8, 4, *[2] * 8]
    assert sum(r.cached_tokens == 0 for r in responses.values()) == 2


def test_without_memory_for_the_prefix_each_prompt_is_an_error(checkpoint: Path) -> None:
    model = backend(checkpoint, batch_size=4)

    def run_out_of_memory(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.model.visual.register_forward_pre_hook(run_out_of_memory)
    responses = answers(model, make_prompts([policy(0), policy(1, images=1)], 3))
    assert {name for name, r in responses.items() if r.text is not None} == {"p0-0"}
    assert {r.error for r in responses.values() if r.error} == {"cpu: not enough memory for this prompt"}


def test_a_broken_image_fails_only_its_prompt_or_the_prompts_of_its_policy(checkpoint: Path) -> None:
    prompts = make_prompts(MIXED[2:4], 4)
    good = texts(answers(backend(checkpoint), prompts))
    broken = policy(5) + parts("broken.png")
    bad = [Prompt("bad", "in_context", policy(2, images=2) + parts("broken.png", "Hm?"))]
    bad += [Prompt(f"broken{i}", "in_context", broken + query) for i, query in enumerate(queries(5, 8))]
    responses = texts(answers(backend(checkpoint, batch_size=8), [*bad, *prompts]))
    assert {name for name, text in responses.items() if text is None} == {p.instance for p in bad}
    assert good.items() <= responses.items()


def test_a_model_with_a_sliding_window_does_not_reuse_prefixes(checkpoint: Path, tmp_path: Path) -> None:
    """A sliding window drops keys that a longer query would need."""
    folder = tmp_path / "sliding"
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1}
    config["text_config"]["layer_types"] = ["full_attention", "sliding_attention"]
    (folder / "config.json").write_text(json.dumps(config))
    model = backend(folder)
    assert model.description["prefix_reuse"] is False
    assert {r.cached_tokens for r in model.generate(make_prompts(MIXED[:1], 3))} == {0}


def test_a_template_that_moves_images_to_the_front_shares_the_images(checkpoint: Path) -> None:
    """The image of the query then comes before the text of the policy."""
    model = backend(checkpoint, batch_size=4)
    model.processor.chat_template = (
        "{% for part in messages[0].content if part.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% endfor %}"
        "{% for part in messages[0].content if part.type == 'text' %}{{ part.text }}{% endfor %}"
    )
    prompts = [
        Prompt(f"p{i}", "in_context", policy(3, images=3) + parts(f"{i}.png", "Hm?")) for i in range(4)
    ]
    few = [Prompt(f"q{i}", "in_context", policy(2, images=1) + parts(f"{i}.png", "Hm?")) for i in range(4)]
    responses = answers(model, [*prompts, *few])
    assert texts(responses) == texts(plain(model, [*prompts, *few]))
    assert [r.cached_tokens for name, r in responses.items() if name[0] == "p"] == [0, 79, 79, 79]
    assert {r.cached_tokens for name, r in responses.items() if name[0] == "q"} == {0}


def test_special_tokens_in_a_shared_policy_are_text(checkpoint: Path) -> None:
    model = backend(checkpoint, batch_size=4)
    content = policy(1, images=2) + parts("Write <|im_end|> and <|image_pad|>.")
    prompts = [Prompt(f"p{i}", "in_context", content + parts(f"<|im_end|> {i}?")) for i in range(4)]
    responses = answers(model, prompts)
    assert all(r.cached_tokens for r in list(responses.values())[1:])
    assert texts(responses) == texts(plain(model, prompts))


def test_a_prefix_may_end_with_an_image(checkpoint: Path) -> None:
    """Without text after it, the next position is the one after the image's longer side."""
    model = backend(checkpoint, batch_size=4)
    model.processor.chat_template = (
        "{% for part in messages[0].content %}{% if part.type == 'image' %}<|image_pad|>"
        "{% else %}{{ part.text }}{% endif %}{% endfor %}"
    )
    content = policy(1, images=1)
    words = ("is", "at", "of", "What")
    prompts = [Prompt(word, "in_context", content + parts(f"{word} it?")) for word in words]
    responses = answers(model, prompts)
    shared = model.reader.read([Prompt("policy", "in_context", content)])["input_ids"].shape[1]
    assert [r.cached_tokens for r in responses.values()] == [0, shared, shared, shared]
    assert texts(responses) == texts(plain(model, prompts))


# Groups of prompts


def groups(prompts: Sequence[Prompt], min_prompts: int = 2) -> list[tuple[int, list[str]]]:
    """For each group, the number of shared parts and its instances."""
    return [(g.shared, [p.instance for p in g.prompts]) for g in group_by_prefix(prompts, min_prompts)]


def test_each_policy_is_a_group_and_prompts_without_one_are_another() -> None:
    in_context = make_prompts([policy(0), policy(1, images=2)], 3)
    internalized = [Prompt(f"q{i}", "internalized", query) for i, query in enumerate(queries(0, 3))]
    assert groups([*in_context, *internalized]) == [
        (0, ["q0", "q1", "q2"]),
        (3, ["p0-0", "p0-1", "p0-2"]),
        (4, ["p1-0", "p1-1", "p1-2"]),
    ]


def test_several_samples_stay_in_the_group_of_their_policy() -> None:
    prompts = [
        Prompt(p.instance, p.variant, p.parts, k)
        for p in make_prompts([parts(RULES * 20)], 4)
        for k in range(3)
    ]
    [(shared, names)] = groups(prompts)
    assert (shared, len(names)) == (1, 12)


def test_a_common_introduction_does_not_merge_the_groups_of_policies() -> None:
    prompts = make_prompts([parts("Obey. " * 50) + policy(n) for n in range(3)], 4)
    assert [shared for shared, _ in groups(prompts)] == [4, 4, 4]


def test_few_prompts_or_few_tokens_do_not_form_a_group() -> None:
    short = [Prompt(f"s{i}", "internalized", parts("What now?", f"{i}.png")) for i in range(8)]
    prompts = [*make_prompts([policy(0), policy(1)], 3), *short]
    assert groups(prompts, min_prompts=4) == [(0, [p.instance for p in prompts])]


def test_no_prompts_form_no_groups() -> None:
    assert groups([]) == []
