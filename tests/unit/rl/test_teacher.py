"""A teacher reads the student's responses with the policy in its prompt."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows
from small_models import OTHERS, random_model
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages

from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from training import config, stages
from training.check import check_stages
from training.rl.shared_prefix import completion_states
from training.rl.teacher.divergence import log_probs_of
from training.rl.teacher.methods import TeacherSettings
from training.rl.teacher.model import Teacher, check_tokenizer
from training.rl.teacher.per_token import PerTokenTrainer
from training.rl.trainer import LOSSES, rl_config

CPU = torch.device("cpu")
SAMPLED = TeacherSettings("opsd-rl", weight=0.5)


def perturbed(checkpoint: Path, scale: float = 1.5) -> Any:
    """A model that differs from the student, and its processor."""
    model, processor = load_checkpoint(str(checkpoint), CPU)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    return model, processor


def trainer_with(
    checkpoint: Path, folder: Path, out: Path, settings: TeacherSettings | None, **arguments: Any
) -> Any:
    teacher = None if settings is None else Teacher(*perturbed(checkpoint), settings)
    arguments = {"policy_rollout": False} | arguments
    return make_trainer(
        checkpoint,
        make_mixture(folder),
        out,
        PerTokenTrainer,
        teacher=teacher,
        **arguments,
    )


def alone(model: Any, prompt: Any, response: list[int]) -> torch.Tensor:
    """Log-probabilities of the next token at each token of a response, without padding; (tokens, V)."""
    inputs = dict(prompt)
    inputs["input_ids"] = torch.cat([prompt["input_ids"], torch.tensor([response])], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        text = torch.zeros((1, len(response)), dtype=torch.long)
        inputs["mm_token_type_ids"] = torch.cat([prompt["mm_token_type_ids"], text], 1)
    with torch.no_grad():
        logits = model(**inputs).logits[0, prompt["input_ids"].shape[1] - 1 : -1]
    return torch.as_tensor(logits.log_softmax(-1))


RESPONSES = ([50, 51, 52], [60, 61, 62, 63, 64], [70], [80, 81])


def padded(responses: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask; the padding is a token that could also end a response."""
    longest = max(map(len, responses))
    ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in responses])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in responses])
    return ids, mask


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", *OTHERS])
def test_log_probabilities_are_those_of_each_response_alone(
    architecture: str, checkpoint: Path, visual_folder: Path
) -> None:
    """With prompts and responses of different lengths in one batch, in double precision."""
    pair = (
        load_checkpoint(str(checkpoint), CPU) if architecture == "qwen2_5_vl" else random_model(architecture)
    )
    teacher = Teacher(pair[0].double(), pair[1], SAMPLED)
    teacher.processor.tokenizer.padding_side = "left"
    dataset = make_mixture(visual_folder).rl_dataset()
    rows = [dataset[place] for place in range(len(RESPONSES))]
    ids, mask = padded(RESPONSES)
    states = teacher.states(rows, ids, mask)
    log_probs = log_probs_of(teacher.model, 1.0, teacher.model.get_output_embeddings().weight.shape[0], ())
    lengths = set()
    for row, response, of_row in zip(rows, RESPONSES, states, strict=True):
        messages = prepare_multimodal_messages(row["policy_prompt"], images=row["policy_images"])
        prompt = teacher.processor.apply_chat_template(
            [messages], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        lengths.add(prompt["input_ids"].shape[1])
        expected = alone(teacher.model, prompt, response)
        assert torch.allclose(log_probs(of_row[: len(response)]).double(), expected, atol=1e-6)
    assert len(lengths) > 1


def test_both_prompts_are_those_of_evaluation(checkpoint: Path, visual_folder: Path, tmp_path: Path) -> None:
    """d is the difference of the log-probabilities given (Q, I, P) and (Q, I), at the sampled ids."""
    trainer = trainer_with(checkpoint, visual_folder, tmp_path, SAMPLED, temperature=0.7)
    rows = next_rows(trainer)
    output = trainer._generate_and_score_completions(rows)
    trainer.model.eval()
    trainer._loss_inputs = dict(output)
    mixture, banned = make_mixture(visual_folder), trainer.generation_kwargs["suppress_tokens"]
    with torch.no_grad():
        ids, mask = (
            torch.cat([output[f"{p}_{n}"] for p in ("prompt", "completion")], 1) for n in ("ids", "mask")
        )
        names = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
        trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, output["completion_ids"].shape[1], **{n: output[n] for n in names}
        )
    found = trainer._loss_inputs["advantages"]
    for place, row in enumerate(rows):
        response = output["completion_ids"][place][output["completion_mask"][place].bool()].tolist()
        logps = []
        for model, with_policy in ((trainer.model, False), (trainer.teacher.model, True)):
            all_tokens = alone(model, eval_inputs(trainer, mixture, row, with_policy), response) / 0.7
            all_tokens[:, banned] = -torch.inf
            logps.append(all_tokens.log_softmax(1).gather(1, torch.tensor(response)[:, None])[:, 0])
        expected = output["advantages"][place] + 0.5 * (logps[1] - logps[0])
        assert torch.allclose(found[place][: len(response)], expected, atol=1e-4)
        assert (logps[1] - logps[0]).abs().max() > 1e-2


def trained(
    checkpoint: Path, folder: Path, out: Path, settings: TeacherSettings | None, **arguments: Any
) -> dict[str, torch.Tensor]:
    """The weights after two updates."""
    trainer = trainer_with(checkpoint, folder, out, settings, **LOSSES["grpo"], **arguments)
    torch.manual_seed(0)
    trainer.train()
    weights: dict[str, torch.Tensor] = trainer.model.state_dict()
    return weights


@pytest.fixture(scope="module")
def plain(
    checkpoint: Path, visual_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    return trained(checkpoint, visual_folder, tmp_path_factory.mktemp("plain"), None)


@pytest.mark.parametrize(
    "settings",
    [
        TeacherSettings("opsd-rl", weight=0.0),
        TeacherSettings("opsd-rl", weight=0.0, divergence="forward"),
        TeacherSettings("rlsd", weight=0.0),
        TeacherSettings("sdar", weight=0.0),
    ],
)
def test_without_weight_it_is_plain_grpo(
    settings: TeacherSettings,
    plain: dict[str, torch.Tensor],
    checkpoint: Path,
    visual_folder: Path,
    tmp_path: Path,
) -> None:
    """Bit for bit."""
    weights = trained(checkpoint, visual_folder, tmp_path, settings)
    assert all(torch.equal(weights[name], weight) for name, weight in plain.items())


def test_with_weight_it_is_not(
    plain: dict[str, torch.Tensor], checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    """Also with PolicyRollout, where the teacher reads responses that were sampled with the policy."""
    weights = trained(checkpoint, visual_folder, tmp_path, SAMPLED)
    assert any(not torch.equal(weights[name], weight) for name, weight in plain.items())
    both = trained(checkpoint, visual_folder, tmp_path, SAMPLED, policy_rollout=True)
    assert any(not torch.equal(weights[name], weight) for name, weight in both.items())


@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
@pytest.mark.parametrize("method", ["opcd", "opsd-rl"])
def test_the_divergence_is_averaged_like_the_loss(
    method: Any, algorithm: str, checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    """Over two micro-batches, the loss is GRPO's, without rewards for OPCD, plus the mean divergence."""
    settings = TeacherSettings(method, weight=0.25, divergence="reverse")
    arguments = LOSSES[algorithm] | {"beta": 0.0}
    trainer = trainer_with(checkpoint, visual_folder, tmp_path, settings, **arguments)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 2
    batches = iter(trainer.get_train_dataloader())
    total, plain = torch.zeros(()), torch.zeros(())
    kls, masks = [], []
    for step in range(2):
        trainer._step = step
        inputs = trainer._prepare_inputs(next(batches))
        total += trainer._compute_loss(trainer.model, inputs).detach()
        without = {name: value for name, value in inputs.items() if name != "rows"}
        plain += trainer._compute_loss(trainer.model, without).detach() if method == "opsd-rl" else 0.0
        mask = inputs["completion_mask"]
        sides = []
        for name, model in (("prompt", trainer.model), ("policy_prompt", trainer.teacher.model)):
            rows = [r | {"policy_prompt": r[name], "policy_images": r[name.replace("prompt", "images")]}
                    for r in inputs["rows"]]  # fmt: skip
            side = Teacher.__new__(Teacher)
            side.model, side.processor = model, trainer.processing_class
            states = side.states(rows, inputs["completion_ids"], mask)
            logits = model.get_output_embeddings()(states).detach()
            logits[..., trainer.generation_kwargs["suppress_tokens"]] = -1e9
            sides.append(logits.log_softmax(-1))
        kls += list((sides[0].exp() * (sides[0] - sides[1])).sum(-1) * mask)
        masks += list(mask)
    if algorithm == "grpo":
        mean = torch.stack([kl.sum() / mask.sum() for kl, mask in zip(kls, masks, strict=True)]).mean()
    else:
        mean = sum(kl.sum() for kl in kls) / sum(mask.sum() for mask in masks)
    assert total.item() == pytest.approx((plain + 0.25 * mean).item(), abs=1e-5)
    assert trainer._metrics["train"]["teacher/reverse"][0] > 0.01


def test_responses_below_the_mean_are_not_learned_from(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    trainer = trainer_with(checkpoint, visual_folder, tmp_path, None, negative_advantages=False)
    other = trainer_with(checkpoint, visual_folder, tmp_path, None)
    output = trainer._generate_and_score_completions(next_rows(trainer))
    assert (output["advantages"] < 0).any()
    other.model.train()
    other.current_gradient_accumulation_steps = trainer.current_gradient_accumulation_steps
    expected = other._compute_loss(other.model, output | {"advantages": output["advantages"].clamp(min=0)})
    assert torch.equal(trainer._compute_loss(trainer.model, output), expected)


def test_cispo_bounds_the_weight_of_a_token(
    checkpoint: Path, visual_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.RlSettings(1e-3, 1, 2, 4, 8, algorithm="dapo", cispo=True)
    arguments = rl_config(settings, {"bf16": False})
    chosen = {name: getattr(arguments, name) for name in ("loss_type", "epsilon", "epsilon_high", "beta")}
    trainer = trainer_with(checkpoint, visual_folder, tmp_path, None, **chosen)
    inputs = trainer._generate_and_score_completions(next_rows(trainer))
    mask = inputs["completion_mask"]
    generator = torch.Generator().manual_seed(3)
    now = torch.randn(mask.shape, generator=generator).requires_grad_()
    inputs["old_per_token_logps"] = now.detach() + 2 * torch.randn(mask.shape, generator=generator)
    inputs["num_items_in_batch"] = mask.sum()
    monkeypatch.setattr(
        GRPOTrainer,
        "_get_per_token_logps_and_entropies",
        lambda *_, **__: (now, torch.zeros(mask.shape), None),
    )
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation
    weights = torch.exp(now - inputs["old_per_token_logps"]).detach()
    assert (weights > 5).any()
    expected = -(weights.clamp(max=5) * inputs["advantages"][:, None] * now * mask).sum() / mask.sum()
    assert trainer._compute_loss(trainer.model, inputs).item() == pytest.approx(expected.item(), abs=1e-5)


def test_an_average_of_the_student_is_restored(checkpoint: Path, visual_folder: Path, tmp_path: Path) -> None:
    """It follows its formula, and a resumed run ends with the weights of an uninterrupted one."""
    settings = TeacherSettings("opcd", divergence="jsd", model="ema", ema_decay=0.75)
    saving = {"save_strategy": "steps", "save_steps": 1, "max_steps": 3, "gradient_accumulation_steps": 1}

    def trainer_at(out: Path) -> Any:
        teacher = Teacher(*load_checkpoint(str(checkpoint), CPU), settings)
        data = make_mixture(visual_folder)
        return make_trainer(
            checkpoint, data, out, PerTokenTrainer, teacher=teacher, reward=hash_reward, **saving
        )

    trainer = trainer_at(tmp_path / "whole")
    name = next(name for name, _ in trainer.model.named_parameters())
    students = [trainer.model.state_dict()[name].clone()]
    step_end = trainer.callback_handler.on_step_end
    trainer.callback_handler.on_step_end = lambda *args: (
        students.append(trainer.model.state_dict()[name].clone()),
        step_end(*args),
    )[1]
    trainer.train()
    average = students[0]
    for student in students[1:]:
        average = 0.75 * average + 0.25 * student
    assert torch.allclose(trainer.teacher.model.state_dict()[name], average, atol=1e-6)
    assert not torch.equal(average, students[-1])
    resumed = trainer_at(tmp_path / "again")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for model, whole in ((resumed.model, trainer.model), (resumed.teacher.model, trainer.teacher.model)):
        weights = whole.state_dict()
        assert all(torch.equal(weight, weights[n]) for n, weight in model.state_dict().items())


def test_a_teacher_with_another_tokenizer_is_refused(
    checkpoint: Path, text_folder: Path, tmp_path: Path
) -> None:
    """Before any stage is trained."""
    _, processor = load_checkpoint(str(checkpoint), CPU)
    check_tokenizer(str(checkpoint), processor)
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[100:102]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    message = r"^teacher.model: expected .* the student's tokenizer, got .*other"
    with pytest.raises(UserError, match=message):
        check_tokenizer(str(other), processor)
    rl = {"teacher": {"model": str(other)}}
    recipe = config.load("opcd", "tiny", base=str(checkpoint), data=[{"benchmark": text_folder}], rl=rl)
    with pytest.raises(UserError, match=message):
        check_stages(recipe, recipe.stages, str(checkpoint))


def test_the_ids_of_a_response_are_read_as_they_are(checkpoint: Path) -> None:
    """Also where encoding its text again would give other ids."""
    model, processor = load_checkpoint(str(checkpoint), CPU)
    tokenizer = processor.tokenizer
    merged = tokenizer("the")["input_ids"]
    letters = [i for letter in "the" for i in tokenizer(letter)["input_ids"]]
    assert tokenizer.decode(letters) == tokenizer.decode(merged) and letters != merged
    seen: list[torch.Tensor] = []
    hook = model.base_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    prompt = [{"role": "user", "content": [{"type": "text", "text": "A question."}]}]
    completion_states(model, processor, [prompt], [0], [letters])
    hook.remove()
    assert seen[0][0, -len(letters) :].tolist() == letters


@pytest.mark.parametrize(
    ("name", "method", "rewards", "tries"),
    [("opcd", "opcd", 2, 0), ("rlsd", "rlsd", 2, 0), ("pa3", None, 3, 0), ("trimpi-poro-dapo", None, 2, 20)],
)
def test_the_trainer_of_a_recipe(
    name: str,
    method: str | None,
    rewards: int,
    tries: int,
    checkpoint: Path,
    visual_folder: Path,
    tmp_path: Path,
) -> None:
    """The teacher is the base of the recipe, and the student starts from the checkpoint before the stage."""
    model, _ = perturbed(checkpoint)
    start = Path(shutil.copytree(checkpoint, tmp_path / "start"))
    model.save_pretrained(start)
    rl = {"prompts": 2, "responses": 2, "micro_batch": 4}
    data = [{"benchmark": visual_folder, "cot": visual_folder}]
    recipe = config.load(name, "tiny", base=str(checkpoint), data=data, rl=rl)
    mixture = make_mixture(visual_folder)
    trainer = stages.make_trainer(recipe, "rl", str(start), tmp_path / "work", mixture)
    assert (len(trainer.reward_funcs), trainer.tries) == (rewards, tries)
    assert (trainer.teacher and trainer.teacher.settings.method) == method
    if method is not None:
        base, _ = load_checkpoint(str(checkpoint), CPU)
        for of_student, of_teacher, of_base in zip(
            trainer.model.parameters(), trainer.teacher.model.parameters(), base.parameters(), strict=True
        ):
            assert torch.equal(of_teacher, of_base.float()) and not of_teacher.requires_grad
            assert torch.equal(of_student, of_base.float() * 1.5) and of_student.requires_grad


def test_policies_with_and_without_images_in_one_batch(
    checkpoint: Path, visual_folder: Path, rules_folder: Path
) -> None:
    teacher = Teacher(*load_checkpoint(str(checkpoint), CPU), SAMPLED)
    dataset = make_mixture(visual_folder, rules_folder).rl_dataset()
    rows = [dataset[0], dataset[len(dataset) - 1]]
    assert [bool(row["policy_images"]) for row in rows] == [True, False]
    ids, mask = padded(RESPONSES[:2])
    together = teacher.states(rows, ids, mask)
    for place, row in enumerate(rows):
        one = teacher.states([row], ids[place : place + 1], mask[place : place + 1])[0]
        kept = mask[place].bool()
        assert torch.allclose(together[place][kept], one[kept], atol=1e-4)
