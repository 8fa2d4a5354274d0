"""Settings that reach a stage: fields of TRL, the vision tower, attention, and the pixels of images."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from small_models import OTHERS, random_model

from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from training import config
from training.checkpoints.lora import freeze_vision
from training.checkpoints.parent import load_parent
from training.checkpoints.pixels import limit_pixels
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.sequences.dataset import Mixture
from training.stages import make_trainer, sft_config, trainer_arguments
from training.train import train

CPU = torch.device("cpu")
DATA: dict[str, Any] = {"benchmark": "bench", "cot": "chains"}
SHORT = {"epochs": 1, "batch_size": 4, "micro_batch": 4}


def load(base: object = "base", trl: dict[str, Any] | None = None, **settings: Any) -> config.Recipe:
    settings = {"data": [DATA], "sft": {"cot-sft": SHORT | {"trl": trl or {}}}} | settings
    return config.load("cot-sft", "tiny", base=str(base), **settings)


@pytest.fixture(scope="module")
def data(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    chains = tmp_path_factory.mktemp("cot") / "gold"
    make_chains(Benchmark(visual_folder), chains, CotRequest(limit=4))
    return {"benchmark": visual_folder, "cot": chains}


def test_a_field_of_trl_reaches_trl(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "cot-sft"\nbase = "b"\ndata = [{benchmark = "x"}]\nscale = "tiny"\n'
        "[sft.cot-sft.trl]\nneftune_noise_alpha = 5\nadam_beta2 = 0.95\n"
    )
    arguments = sft_config(config.load(str(mine)), "cot-sft", tmp_path)
    assert (arguments.neftune_noise_alpha, arguments.adam_beta2) == (5, 0.95)
    assert arguments.max_length is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"neftune": 5}, "neftune: expected a field of the installed TRL's SFTConfig"),
        ({"learning_rate": 5.0}, "learning_rate: expected a field that the trainer leaves to you"),
        ({"loss_type": "dft"}, "loss_type: expected a field that the trainer leaves to you"),
        ({"packing": True}, "packing: TRL does not pack sequences that may have images; remove it"),
        (
            {"lr_scheduler_type": "zigzag"},
            "lr_scheduler_type: TRL does not take 'zigzag': ValueError: zigzag is",
        ),
    ],
)
def test_a_field_that_trl_cannot_use_is_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^sft\.cot-sft\.trl[.:] ?{message}"):
        sft_config(load(trl=fields), "cot-sft", tmp_path)


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", *OTHERS, "deepseek_vl", "video_llava"])
def test_only_the_language_model_stays_trainable(architecture: str) -> None:
    if architecture in OTHERS:
        model, _ = random_model(architecture)
    else:
        with torch.device("meta"):
            model = tf.AutoModelForImageTextToText.from_config(tf.CONFIG_MAPPING[architecture]())
    freeze_vision(model)
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    frozen = {name for name, _ in model.named_parameters()} - trainable
    outside = ("vision", "visual", "image", "video", "aligner", "projector", "connector")
    assert all(any(word in name for word in outside) for name in frozen)
    assert not [name for name in trainable if any(word in name for word in outside)]
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    assert all(weight.requires_grad for part in (embeddings, head) for weight in part.parameters())


def test_a_stage_leaves_a_frozen_tower_as_it_is(checkpoint: Path, data: Any, tmp_path: Path) -> None:
    recipe = load(checkpoint, data=[data], freeze_vision=True)
    trainer = make_trainer(recipe, "cot-sft", str(checkpoint), tmp_path, Mixture(recipe.data, ["cot-sft"]))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed and all("language_model" in name or "lm_head" in name for name in changed)


def test_attention_is_that_of_the_recipe(checkpoint: Path) -> None:
    model, _ = load_parent(load(attention="eager"), str(checkpoint))
    parts = (model.config, model.config.text_config, model.config.vision_config)
    assert [part._attn_implementation for part in parts] == ["eager"] * 3
    with pytest.raises(UserError, match=r"^attention: expected one that hf:.* can use here: .*none_such"):
        load_parent(load(attention="none_such"), str(checkpoint))


@pytest.mark.parametrize("layout", ["processor_config.json", "preprocessor_config.json"])
def test_evaluation_sees_the_pixels_of_training(
    layout: str, checkpoint: Path, data: Any, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    if layout == "preprocessor_config.json":
        # As in the checkpoints that the authors of Qwen2.5-VL published.
        contents = json.loads((base / "processor_config.json").read_text())
        images = contents.pop("image_processor")
        size = images.pop("size")
        images |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
        (base / layout).write_text(json.dumps(images))
        (base / "processor_config.json").unlink()
        (base / "video_preprocessor_config.json").write_text(json.dumps(contents["video_processor"]))
    recipe = load(base, data=[data], max_pixels=6272)
    trained = train(recipe, tmp_path / "run")
    row = Mixture(recipe.data, ["cot-sft"]).sft_dataset("cot-sft")[0]
    of_training, of_evaluation, of_base = (
        processor.image_processor(images=row["images"], return_tensors="pt")["image_grid_thw"].prod(1)
        for _, processor in (
            load_parent(recipe, str(base)),
            load_checkpoint(str(trained), CPU),
            load_checkpoint(str(base), CPU),
        )
    )
    assert torch.equal(of_training, of_evaluation)
    assert (of_training * 14 * 14 <= 6272).all() and (of_base > of_training).all()
    changed = {f.name for f in base.iterdir() if f.read_bytes() != (trained / f.name).read_bytes()}
    assert changed == {layout, "model.safetensors"}


def test_limits_that_a_processor_does_not_have_are_refused(checkpoint: Path) -> None:
    _, processor = random_model("llava")
    with pytest.raises(UserError, match="with such limits, got CLIPImageProcessorPil; remove them"):
        limit_pixels("hf:x", processor, None, 1000)
    with pytest.raises(UserError, match="min_pixels: expected at most max_pixels, 1000, got 5000"):
        load_parent(load(min_pixels=5000, max_pixels=1000), str(checkpoint))


def test_a_logger_that_is_not_installed_is_refused(checkpoint: Path) -> None:
    with pytest.raises(
        UserError, match=r"^report_to: expected installed packages .+, got 'none_such'; write \[\]"
    ):
        load(checkpoint, report_to=["tensorboard", "none_such"])
    with pytest.raises(UserError, match=r"^report_to: expected some of .*tensorboard.*, got 'json'"):
        trainer_arguments(load(checkpoint, report_to=["json"]), Path())
