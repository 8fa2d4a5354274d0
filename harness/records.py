"""The records that travel from policy to leaderboard: frozen, standard library only, all plain JSON on disk.

A Prompt has no field for the answer, so no backend can see the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a prompt: a text, or an image named by its path relative to the benchmark's folder."""

    kind: Literal["text", "image"]
    value: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules P = (P_T, P_I) of one policy: as shown to a model (content) and as data (rules)."""

    id: str
    family: str
    name: str
    content: tuple[Part, ...]
    rules: Json
    replaces: str | None = None
    """The id of the policy that this one overrides; both carry the same name."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the answer becomes once the instance's policy is replaced by another of the same name."""

    policy_id: str
    target: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A question Q with its images I, the policy that governs it, and the answer A."""

    id: str
    split: str
    query: tuple[Part, ...]
    facts: Json
    policy_id: str
    target: str
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a backend is given: nothing here tells the target."""

    instance: str
    variant: str
    parts: tuple[Part, ...]
    sample: int = 0
    """Which of several samples for the same instance and variant."""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one prompt: a text, or the error that kept it from coming."""

    instance: str
    variant: str
    sample: int
    text: str | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prefill_seconds: float | None = None
    """Seconds until the first token; shared by the prompts of a batch."""
    seconds: float | None = None
    finish_reason: Literal["stop", "length"] | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class Grade:
    """A family's verdict on one text: a value in [0, 1], or none and the reason."""

    value: float | None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """A grade and the response that it belongs to."""

    instance: str
    variant: str
    sample: int
    value: float | None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample
