"""What boards hold: boards, entries with the figures that they show, bundles, and attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.records import Json

BEGUN, ACCEPTED, KNOWN, REFUSED = "begun", "accepted", "known", "refused"
"""How an attempt ended; one that was killed stays begun."""


class Key(NamedTuple):
    """What two entries must have in common to stand on one board."""

    digest: str
    split: str
    variant: str
    scorer: str
    judge: str
    """Empty where scores are recomputed."""

    @property
    def id(self) -> str:
        return hashlib.sha256("\n".join(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Board:
    key: Key
    family: str
    benchmark: str
    """The name of its folder, for people."""
    config: Json
    governed: bool
    """False where no policy governs: a general benchmark, on which forgetting is seen."""
    begun: str = ""
    entries: int = 0
    legacy: bool = False
    """A newer board has the same benchmark made or scored anew."""

    @property
    def id(self) -> str:
        return self.key.id


@dataclass(frozen=True, slots=True)
class Figures:
    """What a board shows of an entry: copied out of its bundle in the same transaction."""

    mean: float
    low: float
    high: float
    n: int
    unparsed: int
    truncated: int
    samples: int
    unscored: int = 0
    """Responses without a value: in no mean."""
    columns: Mapping[str, float | None] = field(default_factory=dict)
    base: str | None = None
    """The model that it was trained from, as its training.json says."""
    method: str = ""
    """How it was trained, as its training.json says."""
    leak: str = ""
    """What the leak check found; empty where nothing is known of the training."""
    leaks: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An entry, and how often its model was tried on this benchmark."""

    bundle: str
    model: str
    name: str
    added: str
    figures: Figures
    attempts: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle that is on a board."""

    sha256: str
    model: str
    name: str
    added: str
    files: Mapping[str, str]
    """sha256 by name."""


@dataclass(frozen=True, slots=True)
class Attempt:
    id: int
    made: str
    run: str
    model: str
    digest: str
    bundle: str
    outcome: str
    reasons: Sequence[str]
