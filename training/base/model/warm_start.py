"""Copies the weights of an earlier checkpoint, which may lack tokens of today's vocabulary.

A new token must be the number of a deeper condition, as a heading or as a reference. Its embedding is the
mean of the known tokens of its form plus a random offset of the size of theirs. The heading and the reference
of a number get the same offset: a model finds one by the other, and in trained models the two are similar.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.seeds import rng

NUMBER = re.compile(r"\d(?:\.\d)+")


@torch.no_grad()
def copy_weights(checkpoint: Path, model: Any, tokenizer: Any) -> None:
    """Copy all weights to a model of the same size that is used with this tokenizer.

    Raises UserError if the sizes differ, or for a new token that is not the number of a condition.
    """
    source, processor = load_checkpoint(str(checkpoint), torch.device("cpu"))
    source.float().resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table_VD = source.get_input_embeddings().weight
    known, wanted = processor.tokenizer.get_vocab(), tokenizer.get_vocab()
    table_VD.copy_(_embeddings(table_VD, known, wanted))
    weights = source.state_dict()
    for name, weight in model.state_dict().items():
        if name not in weights or weights[name].shape != weight.shape:
            raise UserError(
                f"start: expected a checkpoint of trimpi base, got another {name} in {checkpoint}"
            )
    model.load_state_dict(weights)


def _embeddings(table_VD: torch.Tensor, known: dict[str, int], wanted: dict[str, int]) -> torch.Tensor:
    """The rows of the table in the order of the wanted tokens, with rows for those that are not known."""
    forms: defaultdict[str, list[int]] = defaultdict(list)
    for token, index in known.items():
        if NUMBER.search(token):
            forms[NUMBER.sub("", token)].append(index)
    rows_VD = torch.empty(len(wanted), table_VD.shape[1])
    for token, index in wanted.items():
        if token in known:
            rows_VD[index] = table_VD[known[token]]
            continue
        number, form = NUMBER.search(token), NUMBER.sub("", token)
        if number is None or form not in forms:
            raise UserError(
                f"start: expected a checkpoint of trimpi base, got one without the token {token!r}"
            )
        generator = torch.Generator().manual_seed(rng(0, "base", "token", number[0]).getrandbits(63))
        offset_D = torch.randn(table_VD.shape[1], generator=generator)
        rows_VD[index] = table_VD[forms[form]].mean(0) + offset_D * table_VD[forms[form]].std(0)
    return rows_VD
