"""Marks: what a reader should know about an entry before trusting its score. A board shows them beside it."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from harness.backends import is_scripted
from leaderboards.columns import PROMPT_TOKENS
from leaderboards.storage.records import Entry

LEAK = "leak"
TRAINING_UNKNOWN = "training unknown"
PROMPTS_UNKNOWN = "prompts unknown"
UNUSUAL_TOKENS = "prompt tokens unusual"
OTHER_PICTURES = "other pictures"
# A longer prompt than this many times the usual one is unusual. Tokenizers differ by less on a text.
UNUSUAL = 2

EXPLANATIONS: Mapping[str, str] = {
    LEAK: "Scenes or questions of this test set are in the training data.",
    TRAINING_UNKNOWN: "The run has no training.json, so the training data was not checked for leaks.",
    PROMPTS_UNKNOWN: "The run does not record the digest of each prompt, so its responses may answer other "
    "prompts, such as ones that contain the policy.",
    UNUSUAL_TOKENS: f"The prompts have more than {UNUSUAL} times as many tokens as the median of the other "
    "models: perhaps they contain the policy, or the model counts pictures differently.",
    OTHER_PICTURES: "The pictures of the benchmark have other bytes than those of the first entry: another "
    "graphics driver drew them, or they were changed.",
}
# Explains more columns of every board.
COLUMNS: Mapping[str, str] = {
    "n": "The number of responses with a score. −k: k more responses have no score.",
    "attempts": "How often this model was submitted on this benchmark, by its name or by its weights, "
    "including refused submissions.",
    "bundle": "The files of the submission, named by the sha256 of their contents.",
}


def marks(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The marks of each entry of a board, by its bundle."""
    first = min(entries, key=lambda entry: entry.added, default=None)
    usual = _usual_tokens(entries)
    pictures = first.figures.images if first else ""
    return {e.bundle: _marks(e, usual.get(e.model), pictures) for e in entries}


def _marks(entry: Entry, usual: float | None, pictures: str) -> list[str]:
    f = entry.figures
    tokens = f.columns.get(PROMPT_TOKENS.name)
    applies = {
        LEAK: f.leaks,
        TRAINING_UNKNOWN: not f.leak and not is_scripted(entry.model),
        PROMPTS_UNKNOWN: not f.prompts_known,
        UNUSUAL_TOKENS: tokens is not None and usual is not None and tokens > UNUSUAL * usual,
        OTHER_PICTURES: bool(f.images and pictures) and f.images != pictures,
    }
    return [mark for mark, holds in applies.items() if holds]


def _usual_tokens(entries: Sequence[Entry]) -> dict[str, float]:
    """For each model, the median of the other models' prompt tokens; the lower one of two.

    Of each model, the entry with the fewest tokens counts, so a model that is submitted often counts once.
    """
    fewest: dict[str, float] = {}
    for entry in entries:
        if count := entry.figures.columns.get(PROMPT_TOKENS.name):
            fewest[entry.model] = min(count, fewest.get(entry.model, count))
    counts = sorted(fewest.values())
    middle = (len(counts) - 2) // 2  # of the others; the model itself is skipped
    if len(counts) < 2:
        return {}
    return {
        model: counts[middle if middle < bisect_left(counts, count) else middle + 1]
        for model, count in fewest.items()
    }
