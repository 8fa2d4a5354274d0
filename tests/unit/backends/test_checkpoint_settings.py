"""What a checkpoint's own files may change in a response: its ends and its thoughts, and nothing else."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pictures import Pictures, parts

from harness import thoughts
from harness.backends import Sampling
from harness.errors import UserError
from harness.records import Prompt, Response

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from small_models import text_model  # noqa: E402

from harness.backends.local.hf import HuggingFace  # noqa: E402
from training.base.model.tokenizer import SPECIAL_TOKENS, train_tokenizer  # noqa: E402

ENDS = {"<|im_end|>", "<|endoftext|>"}
STRING_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "<|im_start|>assistant: "
)
# Members of a generation config that would change greedy responses.
SETTINGS = {
    "no_repeat_ngram_size": 1,
    "repetition_penalty": 5.0,
    "encoder_repetition_penalty": 2.0,
    "min_new_tokens": 20,
    "min_length": 500,
    "max_new_tokens": 3,
    "max_length": 5,
    "bad_words_ids": [[i] for i in range(300)],
    "sequence_bias": [[[300], 50.0]],
    "forced_bos_token_id": 300,
    "forced_eos_token_id": 300,
    "suppress_tokens": list(range(301, 600)),
    "begin_suppress_tokens": list(range(600, 700)),
    "exponential_decay_length_penalty": [2, 4.0],
    "renormalize_logits": True,
    "guidance_scale": 3.0,
    "num_beams": 3,
    "num_return_sequences": 2,
    "do_sample": True,
    "temperature": 5.0,
    "top_k": 2,
    "top_p": 0.1,
    "min_p": 0.9,
    "typical_p": 0.1,
    "stop_strings": ["e"],
    "use_cache": False,
    "return_dict_in_generate": True,
    "output_scores": True,
    "prompt_lookup_num_tokens": 2,
    "cache_implementation": "static",
    "watermarking_config": {"bias": 9.0},
}


def copy(checkpoint: Path, tmp_path: Path, **files: Mapping[str, Any] | str) -> Path:
    """A copy with other values in NAME.json, or with another chat template."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    for name, change in files.items():
        if isinstance(change, str):
            (folder / "chat_template.jinja").write_text(change)
        else:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | dict(change)))
    return folder


def backend(folder: Path, new: int = 24) -> HuggingFace:
    return HuggingFace(str(folder), Pictures(), Sampling(max_new_tokens=new))  # type: ignore[arg-type]


def ask(model: HuggingFace, *values: str) -> Response:
    [response] = model.generate([Prompt("p", "in_context", parts(*values))])
    return response


def end_texts(model: HuggingFace) -> set[str]:
    return set(model.processor.tokenizer.convert_ids_to_tokens(sorted(model.end_tokens)))


def test_no_setting_of_the_checkpoint_reaches_a_response(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path, generation_config=SETTINGS)
    ours, theirs = (ask(backend(f), "What is it?", "a.png") for f in (checkpoint, folder))
    assert (ours.text, ours.completion_tokens) == (theirs.text, theirs.completion_tokens)


def test_old_settings_in_the_config_reach_no_response(checkpoint: Path, tmp_path: Path) -> None:
    old = {name: SETTINGS[name] for name in ("no_repeat_ngram_size", "repetition_penalty", "top_k")}
    folder = copy(checkpoint, tmp_path, config=old)
    (folder / "generation_config.json").unlink()
    ours, theirs = (ask(backend(f), "What is it?") for f in (checkpoint, folder))
    assert ours.text == theirs.text


def test_all_ends_of_the_checkpoint_count(checkpoint: Path, tmp_path: Path) -> None:
    assert end_texts(backend(copy(checkpoint, tmp_path, generation_config={"eos_token_id": [0]}))) == ENDS


def test_padding_is_taken_from_the_generation_config(checkpoint: Path, tmp_path: Path) -> None:
    nothing = {"eos_token": None, "pad_token": None}
    # Some files contain -1 for "none".
    unset = {"pad_token_id": -1, "eos_token_id": [0, -1]}
    folder = copy(checkpoint, tmp_path, tokenizer_config=nothing, generation_config=unset)
    model = backend(folder)
    assert model.processor.tokenizer.pad_token == "<|endoftext|>"
    assert end_texts(model) == ENDS
    prompts = [Prompt(f"p{i}", "in_context", parts("Hm? " * i)) for i in range(1, 4)]
    expected = {r.key: r.text for r in backend(checkpoint).generate(prompts)}
    assert {r.key: r.text for r in model.generate(prompts)} == expected


def test_without_padding_and_end_anywhere_the_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    nothing = {"eos_token": None, "pad_token": None}
    folder = copy(checkpoint, tmp_path, tokenizer_config=nothing)
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(UserError, match="expected a padding or an end token in"):
        backend(folder)


def test_a_thought_that_the_prompt_opens_is_part_of_the_response(checkpoint: Path, tmp_path: Path) -> None:
    template = (checkpoint / "chat_template.jinja").read_text()
    folder = copy(checkpoint, tmp_path, template=template.replace("assistant\n", "assistant\n<think>\n"))
    model = backend(folder)
    prompts = [Prompt(f"p{i}", "in_context", parts("Rule. " * 100, f"Which {i}?")) for i in range(16)]
    responses = list(model.generate(prompts))
    assert all((r.text or "").startswith("<think>\n") for r in responses)
    assert any(r.cached_tokens for r in responses)
    assert thoughts.answer_in("<think>\nPerhaps \\boxed{1}") == ""


def test_special_marks_of_a_thought_reach_the_response(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    tokenizer = train_tokenizer()
    # In place of special tokens that nothing else uses.
    text = (folder / "tokenizer.json").read_text().replace("<|vision_pad|>", "[THINK]")
    (folder / "tokenizer.json").write_text(text.replace("<|video_pad|>", "[/THINK]"))
    config = (folder / "tokenizer_config.json").read_text().replace("<|vision_pad|>", "[THINK]")
    (folder / "tokenizer_config.json").write_text(config.replace("<|video_pad|>", "[/THINK]"))
    opens, closes = (SPECIAL_TOKENS.index(f"<|{name}|>") for name in ("vision_pad", "video_pad"))
    answer = [opens, *tokenizer("two")["input_ids"], closes, *tokenizer(" A")["input_ids"], 2]
    model = backend(folder)

    def generate(input_ids: Any, stopping_criteria: Any, **_: Any) -> Any:
        stopping_criteria[0](input_ids, None)
        return torch.cat([input_ids, torch.tensor([answer])], 1)

    model.model.generate = generate
    assert ask(model, "Which?").text == "[THINK]two[/THINK] A"


# Checkpoints that read no images


@pytest.fixture(scope="module")
def text_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_model(tmp_path_factory.mktemp("checkpoints") / "text", STRING_TEMPLATE)


def test_a_checkpoint_without_images_answers_texts(text_only: Path) -> None:
    model = backend(text_only)
    prompts = [Prompt(f"p{i}", "in_context", parts("Which", f" {i * 'word '}?")) for i in range(5)]
    together = {r.instance: r for r in model.generate(prompts)}
    assert {r.error for r in together.values()} == {None}
    chat = "<|im_start|>user\nWhich ?<|im_end|>\n<|im_start|>assistant: "
    assert together["p0"].prompt_tokens == len(train_tokenizer()(chat)["input_ids"])
    assert {p.instance: ask_again(model, p).text for p in prompts} == {n: r.text for n, r in together.items()}
    assert json.loads(json.dumps(model.description))["image_processor"] is None


def ask_again(model: HuggingFace, prompt: Prompt) -> Response:
    [response] = model.generate([prompt])
    return response


def test_a_checkpoint_without_images_refuses_images(text_only: Path) -> None:
    with pytest.raises(UserError, match=r"^hf:.*text: expected a vision-language checkpoint for prompts"):
        ask(backend(text_only), "What is it?", "a.png")


def base_model(text_only: Path, tmp_path: Path) -> HuggingFace:
    """The checkpoint without its chat template; it gets no worked examples."""
    folder = tmp_path / "base"
    shutil.copytree(text_only, folder, ignore=shutil.ignore_patterns("chat_template*"))
    model = backend(folder)
    model.examples.add = list
    return model


def test_a_base_model_continues_a_plain_text(text_only: Path, tmp_path: Path) -> None:
    model = base_model(text_only, tmp_path)
    assert model.description["prompt"] == "plain"
    plain = model.processor.tokenizer("Question:\nWhich one?\nAnswer:")["input_ids"]
    assert ask(model, "Which one?").prompt_tokens == len(plain)
    # Behind worked examples, the prompt already ends with the beginning of an answer.
    examples = "Question:\n1?\nAnswer: Let's see. 1\n\nQuestion:\n2?\nAnswer: Let's see."
    assert ask(model, examples).prompt_tokens == len(model.processor.tokenizer(examples)["input_ids"])


def test_the_response_of_a_base_model_ends_before_its_next_question(text_only: Path, tmp_path: Path) -> None:
    model = base_model(text_only, tmp_path)
    written = model.processor.tokenizer(" It is 3.\n\nQuestion: And 5? Answer: 7")["input_ids"]
    steps: list[int] = []

    def generate(input_ids: Any, stopping_criteria: Any, **_: Any) -> Any:
        for count in range(1, len(written) + 1):
            ids = torch.cat([input_ids, torch.tensor([written[:count]])], 1)
            steps.append(count)
            if stopping_criteria[0](ids, None).all():
                break
        return ids

    model.model.generate = generate
    response = ask(model, "What is 1 + 2?")
    assert (response.text, response.finish_reason) == (" It is 3.", "stop")
    assert len(steps) < len(written)


def test_a_template_without_images_answers_only_texts(checkpoint: Path, tmp_path: Path) -> None:
    model = backend(copy(checkpoint, tmp_path, template=STRING_TEMPLATE))
    assert ask(model, "What is it?").text is not None
    with pytest.raises(UserError, match=r"^hf:.*copy: its chat template cannot be used"):
        ask(model, "What is it?", "a.png")
