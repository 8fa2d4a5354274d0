"""The records of a folder of boards: boards, entries and their figures, stored bundles, and attempts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from harness.records import Json


class Outcome(StrEnum):
    """How an attempt ended. An attempt that was killed remains BEGUN."""

    BEGUN = "begun"
    ACCEPTED = "accepted"
    KNOWN = "known"
    REFUSED = "refused"


class BoardKey(NamedTuple):
    """Identifies a board: all of its entries have these values."""

    digest: str
    split: str
    variant: str
    scorer: str
    # The language model that gives the scores; empty for the family's scorer.
    judge: str

    @property
    def id(self) -> str:
        return hashlib.sha256("\n".join(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Board:
    """One leaderboard, without its entries."""

    key: BoardKey
    family: str
    # The name of the benchmark's folder, for display only.
    benchmark: str
    config: Json
    # False for a general benchmark, which has no policies. Forgetting is measured on general benchmarks.
    governed: bool
    # When the first entry was added, in UTC.
    begun: str = ""
    entries: int = 0
    # Whether a newer board has the same benchmark, but another version of the scorer.
    legacy: bool = False

    @property
    def id(self) -> str:
        return self.key.id


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an entry, computed when it was added."""

    mean: float
    low: float
    high: float
    n: int
    unparsed: int
    truncated: int
    samples: int
    # The number of responses without a value. The mean excludes them.
    unscored: int = 0
    # The other figures of the run by the name of their column; see leaderboards.columns.
    columns: Mapping[str, float | None] = field(default_factory=dict)
    # The model before training, and how it was trained, both from training.json.
    base: str | None = None
    method: str = ""
    # The result of the leak check in words; empty if nothing is known about the training.
    leak: str = ""
    leaks: bool = False
    # Whether each response is known to answer the prompt of this benchmark.
    prompts_known: bool = False
    # The digest of the benchmark's pictures, which the digest of the board does not cover.
    images: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """The figures of a bundle on a board, with the facts about the bundle that a table shows."""

    bundle: str
    model: str
    # The name of the run's folder.
    name: str
    added: str
    figures: Figures
    # How often a model of this name or with these weights was submitted on this benchmark.
    attempts: int


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A bundle that has entries."""

    sha256: str
    model: str
    name: str
    added: str
    # The sha256 of each file by its name.
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of `leaderboard submit`, accepted or not."""

    id: int
    # In UTC.
    time: str
    run: str
    # The model and the digest of the benchmark. Both are empty if the run could not be read.
    model: str
    digest: str
    bundle: str
    outcome: str
    reasons: Sequence[str]
    # The sha256 of the model's weights; empty if they are unknown.
    weights: str = ""
