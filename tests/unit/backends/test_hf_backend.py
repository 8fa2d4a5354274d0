"""The hf backend with a tiny random Qwen2.5-VL: batches, token counts, failures and error messages."""

import json
import math
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import Pictures, parts

from harness import backends
from harness.backends import Sampling
from harness.errors import UserError
from harness.records import Prompt, Response

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import limit_memory  # noqa: E402

from harness.backends.local.hf import HuggingFace, _GumbelNoise  # noqa: E402
from training.base.model.checkpoint import save_random  # noqa: E402
from training.base.model.tokenizer import SPECIAL_TOKENS, train_tokenizer  # noqa: E402

# Of a 480x320 image: 6 x 4 squares of 28 pixels is the largest grid with at most 25.
IMAGE_TOKENS = 24


def prompt(name: str, *values: str) -> Prompt:
    return Prompt(name, "in_context", parts(*values))


def mixed(count: int) -> list[Prompt]:
    """Prompts of 1 to 60 words with 0, 1 or 2 images before or after the words."""
    draw = random.Random(7)
    words = ("if", "there", "is", "a", "purple", "metal", "cylinder", "go", "to", "section", "12", "answer")
    prompts = []
    for i in range(count):
        values = [" ".join(draw.choices(words, k=draw.randint(1, 60)))]
        for k in range(i % 3):
            values.insert(draw.randint(0, len(values)), f"{i}-{k}.png")
        prompts.append(prompt(f"p{i}", *values))
    return prompts


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_random(folder)
    return folder


def backend(folder: Path, **sampling: float) -> HuggingFace:
    return HuggingFace(str(folder), Pictures(), Sampling(**{"max_new_tokens": 24, **sampling}))  # type: ignore[arg-type]


def texts(responses: Iterator[Response]) -> dict[str, str | None]:
    return {r.instance: r.text for r in responses}


def ask(folder: Path, *values: str, **sampling: float) -> Response:
    [response] = backend(folder, **sampling).generate([prompt("p", *values)])
    return response


# Responses


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_the_batch_size_changes_no_response(tiny: Path, temperature: float) -> None:
    prompts = mixed(32)
    settings = {"temperature": temperature, "top_p": 0.9}
    together = texts(backend(tiny, batch_size=16, **settings).generate(prompts))
    one_by_one = texts(backend(tiny, batch_size=1, **settings).generate(prompts))
    assert len(together) == 32
    assert together == one_by_one
    assert len(set(together.values())) > 24


def test_every_prompt_is_answered_once_and_the_shortest_comes_first(tiny: Path) -> None:
    prompts = mixed(10)
    responses = list(backend(tiny, batch_size=1, max_new_tokens=1).generate(prompts))
    assert sorted(r.key for r in responses) == sorted(p.key for p in prompts)
    counts = [r.prompt_tokens or 0 for r in responses]
    assert counts[0] == min(counts)


@pytest.mark.parametrize("images", [0, 1, 2])
def test_prompt_tokens_are_those_of_the_chat_and_24_per_image(tiny: Path, images: int) -> None:
    chat = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nWhat now?"
        + "<|vision_start|><|image_pad|><|vision_end|>"
        * images
        + "<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    expected = len(train_tokenizer()(chat)["input_ids"]) + images * (IMAGE_TOKENS - 1)
    response = ask(tiny, "What now?", *[f"{k}.png" for k in range(images)])
    assert response.prompt_tokens == expected
    assert response.prefill_seconds is not None and response.seconds is not None
    assert 0 < response.prefill_seconds < response.seconds


def test_a_response_is_cut_after_max_new_tokens(tiny: Path) -> None:
    response = ask(tiny, "What now?", max_new_tokens=5)
    assert (response.completion_tokens, response.finish_reason) == (5, "length")


def test_a_response_ends_at_its_end_token_within_a_batch(tiny: Path) -> None:
    prompts = mixed(6)
    model = backend(tiny)
    uncut = texts(model.generate(prompts))
    inputs = model.reader.read(prompts[4:5])
    tokens = model.model.generate(**inputs)[0, inputs["input_ids"].shape[1] :].tolist()
    model.end_tokens = {tokens[3]}
    model.model.generation_config.eos_token_id = [tokens[3]]
    cut = {r.instance: r for r in model.generate(prompts)}
    completion = tokens[: tokens.index(tokens[3]) + 1]
    assert cut["p4"].finish_reason == "stop"
    assert cut["p4"].completion_tokens == len(completion)
    assert cut["p4"].text == model.processor.tokenizer.decode(completion)
    assert any(r.finish_reason == "length" and r.text == uncut[r.instance] for r in cut.values())


def test_the_first_token_is_that_of_a_plain_forward_pass(tiny: Path) -> None:
    model = backend(tiny, max_new_tokens=1)
    example = prompt("p", "Left is", "a.png", "and right is", "b.png")
    inputs = model.reader.read([example])
    with torch.no_grad():
        logits = model.model(**inputs).logits[0, -1]
    [response] = model.generate([example])
    assert response.text == model.processor.tokenizer.decode([int(logits.argmax())])


def test_images_and_their_order_change_the_response(tiny: Path) -> None:
    answers = {
        ask(tiny, *values).text
        for values in (("a.png", "b.png", "Hm?"), ("b.png", "a.png", "Hm?"), ("a.png", "Hm?", "b.png"))
    }
    assert len(answers) == 3


# Sampling


def test_samples_are_the_same_only_with_the_same_seed(tiny: Path) -> None:
    first, again, other = (
        texts(backend(tiny, temperature=1.0, seed=seed).generate(mixed(4))) for seed in (1, 1, 2)
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_gumbel_noise_samples_from_the_softmax() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    rows = 4000
    noise = _GumbelNoise(list(range(rows)), torch.device("cpu"))
    samples = noise(torch.empty(0), chances.log().repeat(rows, 1)).argmax(-1)
    for token, chance in enumerate(chances.tolist()):
        error = math.sqrt(chance * (1 - chance) / rows)
        assert abs((samples == token).float().mean().item() - chance) < 4 * error


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_placeholders_are_never_generated_even_if_most_likely(tiny: Path, temperature: float) -> None:
    model = backend(tiny, temperature=temperature)
    before = texts(model.generate(mixed(3)))
    likely = torch.zeros(model.model.config.text_config.vocab_size)
    likely[[SPECIAL_TOKENS.index(f"<|{name}|>") for name in ("image_pad", "video_pad", "vision_start")]] = 1e4
    model.model.lm_head.register_forward_hook(lambda _module, _inputs, logits: logits + likely)
    assert texts(model.generate(mixed(3))) == before


# Prompts that fail


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("broken.png",), r"broken\.png: not a readable image: image file is truncated"),
        (("word " * 33000,), r"within the checkpoint's 32768 positions, got a prompt of \d{5} tokens"),
    ],
)
def test_a_bad_prompt_does_not_affect_the_others(tiny: Path, values: tuple[str, ...], message: str) -> None:
    good = mixed(5)
    model = backend(tiny)
    responses = {r.instance: r for r in model.generate([*good[:2], prompt("bad", *values), *good[2:]])}
    bad = responses.pop("bad")
    assert bad.text is None and bad.error is not None
    assert re.search(message, bad.error)
    assert {name: r.text for name, r in responses.items()} == texts(model.generate(good))


def test_a_batch_that_does_not_fit_and_all_later_ones_are_halved(tiny: Path) -> None:
    expected = texts(backend(tiny).generate(mixed(12)))
    model = backend(tiny, batch_size=8)
    tried = limit_memory(model, rows=3)
    assert texts(model.generate(mixed(12))) == expected
    assert tried == [8, 4, 2, 2, 2, 2, 2, 2]


def test_a_prompt_that_does_not_fit_alone_is_an_error(tiny: Path) -> None:
    model = backend(tiny)
    limit_memory(model, rows=0)
    responses = list(model.generate(mixed(3)))
    assert [r.error for r in responses] == ["cpu: not enough memory for this prompt"] * 3


def test_other_runtime_errors_are_raised(tiny: Path) -> None:
    model = backend(tiny)

    def fail(**_: object) -> None:
        raise RuntimeError("shapes do not match")

    model.model.generate = fail
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(model.generate(mixed(3)))


# Broken checkpoints


def edit_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def remove_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def leave_only_an_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").touch()


INCOMPLETE = "expected a complete checkpoint, but transformers reports"


def pickle_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")


def add_an_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def ship_code(folder: Path) -> None:
    (folder / "code.py").write_text(
        f"open({str(folder / 'ran')!r}, 'w')\nclass Config: ...\nclass Model: ...\n"
    )
    auto_map = {"AutoConfig": "code.Config", "AutoModelForImageTextToText": "code.Model"}
    edit_config(folder, model_type="unheard_of", auto_map=auto_map)


def make_a_training_run(folder: Path) -> None:
    """Two stages, of which the second is newer."""
    for stage, age in ((".cot-sft", 1), ("vm-cpt", 3), ("cot-sft", 2)):
        (folder / stage).mkdir()
        shutil.copy(folder / "config.json", folder / stage)
        os.utime(folder / stage / "config.json", (10 - age, 10 - age))
    (folder / "config.json").unlink()


def write_template(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "chat_template.jinja").write_text(text)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "expected a checkpoint's folder, or a hub id"),
    "no config": (lambda f: (f / "config.json").unlink(), r"expected config\.json in the folder, found none"),
    "adapter": (leave_only_an_adapter, "merge the LoRA adapter into its base first"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        rf"{INCOMPLETE}: .*no file named model\.safetensors",
    ),
    "truncated weights": (lambda f: (f / "model.safetensors").write_bytes(b"half"), INCOMPLETE),
    "pickled weights": (
        pickle_the_weights,
        r"expected weights in safetensors files, got pytorch_model\.bin, which may contain code",
    ),
    "whole weights and adapter": (add_an_adapter, "contains whole weights and a LoRA adapter"),
    "own code": (ship_code, "needs code that the checkpoint ships, which is not run; .*--trust-remote-code"),
    "unknown architecture": (
        lambda f: edit_config(f, model_type="unheard_of"),
        f"{INCOMPLETE}: .*unheard_of",
    ),
    "not a language model": (
        lambda f: (f / "config.json").write_text('{"model_type": "vit"}'),
        "expected a language model, with or without images, got vit",
    ),
    "a training run": (make_a_training_run, "name one of the checkpoints in it, such as hf:.*copy/cot-sft"),
    "broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), INCOMPLETE),
    "empty tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), INCOMPLETE),
    "broken processor": (lambda f: (f / "processor_config.json").write_text("no"), INCOMPLETE),
    "broken generation config": (lambda f: (f / "generation_config.json").write_text("["), INCOMPLETE),
    "missing weight": (remove_a_weight, r"expected every weight, 1 are missing, such as .*norm\.weight"),
    "truncated config": (lambda f: (f / "config.json").write_text("{"), INCOMPLETE),
    "wrong size": (lambda f: edit_config(f, text_config={"hidden_size": "wide"}), INCOMPLETE),
    "text model": (lambda f: edit_config(f, model_type="qwen2"), INCOMPLETE),
    "no template": (lambda f: (f / "chat_template.jinja").unlink(), "expected a chat template"),
    "template that raises": (
        write_template("{{ raise_exception('only in turn') }}"),
        "its chat template cannot be used: only in turn",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_checkpoint_is_an_error_of_one_sentence(
    tiny: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    apply_damage, message = DAMAGE[damage]
    apply_damage(folder)
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # no one is asked whether to run its code
    with pytest.raises(UserError, match=f"^hf:.*copy: .*{message}") as raised:
        backend(folder)
    assert len(str(raised.value)) < 600 and "\n" not in str(raised.value)
    assert not (folder / "ran").exists()


def test_a_file_is_not_a_checkpoint(tiny: Path) -> None:
    with pytest.raises(UserError, match=r"expected a checkpoint's folder, or a hub id"):
        backend(tiny / "config.json")


def test_an_unknown_hub_id_is_an_error_of_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="expected a local or a hub checkpoint, found no such folder here"):
        backend(Path("nobody/nothing"))


@pytest.mark.parametrize("model", ["hf", "hf:"])
def test_a_model_without_a_path_is_an_error(model: str) -> None:
    with pytest.raises(UserError, match=r"^hf: expected the path of a checkpoint's folder"):
        backends.make(model, Pictures(), Sampling())  # type: ignore[arg-type]


def test_code_is_run_only_on_request(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    ship_code(folder)
    with pytest.raises(UserError, match="trust_remote_code: expected only with hf:PATH"):
        backends.make("oracle", Pictures(), Sampling(), trust_remote_code=True)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=INCOMPLETE):
        HuggingFace(str(folder), Pictures(), Sampling(), trust_remote_code=True)  # type: ignore[arg-type]
    assert (folder / "ran").exists()


def test_without_torch_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "harness.backends.local.hf")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install -e '.*\[hf\]'"):
        backends.make("hf:any", Pictures(), Sampling())  # type: ignore[arg-type]


def test_the_description_is_json_and_identifies_the_model(tiny: Path) -> None:
    facts = json.loads(json.dumps(backend(tiny).description))
    assert facts["checkpoint"] == str(tiny)
    assert facts["architecture"] == "Qwen2_5_VLForConditionalGeneration"
    assert facts["dtype"] in ("float32", "bfloat16")
    assert 0.5e6 < facts["parameters"] < 1.5e6


# The tiny checkpoint


def test_the_same_seed_gives_the_same_files(tiny: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    save_random(same)
    save_random(other, seed=1)
    for path in tiny.iterdir():
        assert path.read_bytes() == (same / path.name).read_bytes(), path.name
    assert (tiny / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_an_existing_folder_is_not_overwritten(tiny: Path) -> None:
    with pytest.raises(UserError, match="expected a new or an empty folder"):
        save_random(tiny)


def test_a_saved_processor_keeps_its_video_configuration(tiny: Path, tmp_path: Path) -> None:
    backend(tiny).processor.save_pretrained(tmp_path)
    saved, original = (json.loads((f / "processor_config.json").read_text()) for f in (tmp_path, tiny))
    assert saved["processor_class"] == original["processor_class"] == "Qwen2_5_VLProcessor"
    assert saved["video_processor"]["video_processor_type"] == "Qwen2VLVideoProcessor"
    assert saved["image_processor"] == original["image_processor"]


TOKENIZER = train_tokenizer()


@given(st.text())
def test_the_tokenizer_decodes_any_text_that_it_encodes(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids, clean_up_tokenization_spaces=False) == text
