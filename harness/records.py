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
    policy_id: str | None
    """None where no policy governs, as in a general benchmark."""
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
    cached_tokens: int | None = None
    """Prompt tokens that were not computed again: a shared prefix, or a provider's cache."""
    written_tokens: int | None = None
    """Prompt tokens that were put into a provider's cache, which costs more than to read them."""
    completion_tokens: int | None = None
    """The end token included."""
    prefill_seconds: float | None = None
    """Until the first token; of the whole batch, as is the next."""
    seconds: float | None = None
    batch: int = 1
    """How many prompts were answered together."""
    batched: bool = False
    """In a provider's batch, which has a price of its own."""
    finish_reason: Literal["stop", "length", "refusal"] | None = None
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
class CitedRule:
    """What a response says of one rule: does the rule exist, and is each thing said of it true?"""

    rule: str
    """As the policy names it, such as "Condition 1.2"."""
    exists: bool
    parts: Mapping[str, bool] = field(default_factory=dict)
    """By what is claimed, such as {"test": True, "leads to": False}; empty where it is only named."""


@dataclass(frozen=True, slots=True)
class Score:
    """A grade and the response that it belongs to."""

    instance: str
    variant: str
    sample: int
    value: float | None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    """The values of other metrics for this response, by metric."""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One figure of a report: the mean of a metric over n scored responses, with a 95 % interval."""

    variant: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    unparsed: int = 0
    truncated: int = 0
    errors: int = 0
    """Requests without a response: in no mean, but the interval spans both what they could have been."""
    chance: float | None = None
    majority: float | None = None
    group: str = ""
    """What the rows are split by, such as "leaf depth"; empty for the whole."""
    member: str = ""
    detail: str = ""
    """Which of several figures of the metric this is, such as a part of the score."""

    @property
    def label(self) -> str:
        return f"{self.metric}: {self.detail}" if self.detail else self.metric


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many responses of a variant cite each rule, and how many should."""

    variant: str
    rules: tuple[str, ...]
    """Every rule that a response cites or the policy leads to, in natural order."""
    gold: tuple[int, ...]
    cited: tuple[int, ...]
    difference: float
    """Mean over the rules of |cited - gold|, in responses (paper, Figure 14)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the responses of a variant took; a mean is over those that tell it, None where none does."""

    variant: str
    requests: int
    prompt_tokens: float | None
    cached_tokens: float | None
    completion_tokens: float | None
    prefill_seconds: float | None
    """Of prompts asked one at a time where the batch check did so, else as the responses tell it."""
    seconds: float | None
    """Of model time a response: what its batch took, shared out."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting of a run: from the first prompt sent to the last response kept."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """How many of the responses asked again one at a time came back different, and what each took alone."""

    asked: int
    differ: int
    prefill_seconds: Mapping[str, float] = field(default_factory=dict)
    """By variant: mean until the first token of a prompt that shares its work with no other."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was asked for: the same again goes on with it, anything else is refused."""

    benchmark: str
    digest: str
    images_digest: str
    family: str
    model: str
    split: str
    variants: tuple[str, ...]
    limit: int | None
    samples: int
    sampling: Json
    weights: str | None = None
    """sha256 of a local checkpoint's weights: one that was trained anew is another model; else None."""


@dataclass(frozen=True, slots=True)
class Report:
    """A run's figures and everything needed to know what they are figures of."""

    run: Run
    backend: Json
    versions: Mapping[str, str]
    rows: tuple[ReportRow, ...]
    skipped: Mapping[str, int]
    """By variant: prompts that could not be, because an instance has no policy to put there."""
    usage: tuple[Usage, ...]
    requests_per_second: float | None
    """End to end, over all sittings."""
    batch_check: BatchCheck | None
    distributions: tuple[Distribution, ...] = ()
    scorer: str = ""
    """The family's way of grading; figures of two scorers must never be compared."""
    cost: float | None = None
    """US dollars for all responses by the table of prices; None where the model has no price."""
