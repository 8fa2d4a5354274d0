"""A trained checkpoint differs from its parent in weights only, and lost weights are noticed."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from training.checkpoints.lora import language_layers
from training.checkpoints.trained import export

CPU = torch.device("cpu")


@pytest.fixture
def trained(checkpoint: Path, tmp_path: Path) -> Path:
    """What a Trainer saves: changed weights and changed settings."""
    model, processor = load_checkpoint(str(checkpoint), CPU)
    with torch.no_grad():
        model.get_output_embeddings().weight += 1
    model.generation_config.max_length = 7
    processor.tokenizer.padding_side = "right"
    model.save_pretrained(tmp_path / "trained")
    processor.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


@pytest.fixture
def parent(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint with settings of its own, the record of its training, and a file that is no setting."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "parent"))
    own = {"no_repeat_ngram_size": 3, "eos_token_id": [0], "min_new_tokens": 5}
    (folder / "generation_config.json").write_text(json.dumps(own))
    (folder / "training.json").write_text("{}")
    (folder / "optimizer.pt").write_text("")
    return folder


def test_every_setting_is_that_of_the_parent(trained: Path, parent: Path, tmp_path: Path) -> None:
    export(trained, str(parent), tmp_path / "out")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {file.name for file in parent.iterdir()} - {"training.json", "optimizer.pt"}
    differ = {
        name for name in files if (parent / name).read_bytes() != (tmp_path / "out" / name).read_bytes()
    }
    assert differ == {"model.safetensors"}
    before, after = (
        load_checkpoint(str(f), CPU)[0].get_output_embeddings() for f in (parent, tmp_path / "out")
    )
    assert torch.equal(before.weight + 1, after.weight)


@pytest.mark.parametrize("change", ["are missing", "are unknown"])
def test_lost_weights_are_an_error(trained: Path, parent: Path, tmp_path: Path, change: str) -> None:
    weights = load_file(trained / "model.safetensors")
    name = next(name for name in weights if "mlp" in name)
    weights["other.weight" if change == "are unknown" else name] = weights[name].clone()
    if change == "are missing":
        del weights[name]
    save_file(weights, trained / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=f"trained: expected the weights .* 1 {change}, such as .*train"):
        export(trained, str(parent), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_an_error(trained: Path, parent: Path, tmp_path: Path) -> None:
    """As after a power failure."""
    file = trained / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=r"trained: expected the weights .* cannot be read: Safetensor.*; delete"
    ):
        export(trained, str(parent), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("architecture", ["deepseek_vl", "video_llava", "git", "llama4"])
def test_adapters_stand_in_the_language_model_alone(architecture: str) -> None:
    """Also beside an aligner or a second tower, and with a tower or a head inside the language model."""
    settings = tf.CONFIG_MAPPING[architecture]()
    text = settings.get_text_config()
    text.num_hidden_layers = 2
    for name in ("layer_types", "moe_layers", "no_rope_layers"):
        if getattr(text, name, None):
            setattr(text, name, getattr(text, name)[:2])
    with torch.device("meta"):
        model = tf.AutoModelForImageTextToText.from_config(settings)
    layers = language_layers(model)
    outside = ("vision", "image", "video", "aligner", "projector", "lm_head", "output")
    assert layers and all(isinstance(model.get_submodule(name), torch.nn.Linear) for name in layers)
    # GIT calls a part of its text layers "output".
    assert not [n for n in layers if any(word in n for word in outside) and "encoder.layer." not in n]
    assert not [n for n in layers if "image_encoder" in n]
