"""The records that flow from policy to leaderboard, frozen and stored as plain JSON.

    Policy, Instance -> Prompt -> Response -> Grade, Score -> ReportRow, Report

A Prompt has no field for the answer, so no backend can see the target.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

Json = Mapping[str, Any]
# What is read from a file is refused outside of these limits. Larger numbers are mistakes.
Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=10**9)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
# The end of the name of a split whose instances are dialogs, such as "test multi-turn".
MULTI_TURN = " multi-turn"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a prompt: a text, or the path of an image relative to the benchmark's folder.

    The last part may be the beginning of the response, which the model continues.
    """

    kind: Literal["text", "image", "response"]
    value: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules P = (P_T, P_I) of one policy, as shown to a model (content) and as data (rules)."""

    id: str
    family: str
    name: str
    content: tuple[Part, ...]
    rules: Json
    # The id of the policy that this one overrides. Both have the same name.
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """The answer if the instance's policy is replaced by another one of the same name."""

    policy_id: str
    target: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A question Q with its images I, the policy that governs it, and its answer A."""

    id: str
    split: str
    query: tuple[Part, ...]
    facts: Json
    # None if no policy governs, as in a general benchmark.
    policy_id: str | None
    target: str
    override: Override | None = None

    @property
    def block(self) -> str:
        """The folder of its block, with "/" at its end; empty in a benchmark without blocks."""
        return str(self.facts.get("block", ""))


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of a backend. It does not contain the target."""

    instance: str
    variant: str
    parts: tuple[Part, ...]
    # The index of the sample, if there are several for the same instance and variant.
    sample: int = 0

    @property
    def images(self) -> list[str]:
        return [part.value for part in self.parts if part.kind == "image"]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class Response:
    """The response to one prompt: a text, or an error."""

    instance: str
    variant: str
    sample: int
    text: str | None
    prompt_tokens: Count | None = None
    # Prompt tokens that were not computed again, thanks to a shared prefix or a provider's cache.
    cached_tokens: Count | None = None
    # Prompt tokens that were written into a provider's cache, which costs more than reading them.
    written_tokens: Count | None = None
    # The end token is included.
    completion_tokens: Count | None = None
    # The time to the first token. Like `seconds`, it is measured for the whole batch.
    prefill_seconds: Seconds | None = None
    seconds: Seconds | None = None
    # The number of prompts that were answered together.
    batch: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1
    # Whether the request was part of a provider's batch, which has a lower price.
    batched: bool = False
    finish_reason: Literal["stop", "length", "refusal"] | None = None
    error: str | None = None
    # The model that a server says it used, which may differ from the requested one.
    served_model: str | None = None
    # The sha256 of the prompt's parts, so that a response cannot pass for one to another prompt.
    prompt_sha256: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class Grade:
    """A family's grade of one text: a value in [0, 1], or no value and the reason."""

    value: float | None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CitedRule:
    """What a response states about one rule: whether the rule exists, and which statements are true."""

    # As the policy names it, such as "Condition 1.2".
    rule: str
    exists: bool
    # Which statements are true, such as {"test": True, "leads to": False}; empty if the rule is only named.
    parts: Mapping[str, bool] = field(default_factory=dict)


class Cluster(NamedTuple):
    """What an instance may share with others, so that their scores are related; empty if it has none."""

    # The paths of the images of its question, one per line; or the id of a scene that is described in words.
    images: str = ""
    # The id of its policy.
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The grade of a response, and its values under other metrics."""

    instance: str
    variant: str
    sample: int
    value: Share | None
    reason: str | None = None
    parts: Mapping[str, Share] = field(default_factory=dict)
    # By metric (harness.metrics).
    values: Mapping[str, float] = field(default_factory=dict)
    # None in the files of old versions.
    cluster: Cluster | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.instance, self.variant, self.sample


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One figure of a report: the mean of a metric over n scored responses, with its 95 % interval."""

    variant: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    unparsed: int = 0
    truncated: int = 0
    # Failed requests. The mean excludes them, but the interval covers every value that they could have had.
    errors: int = 0
    chance: float | None = None
    majority: float | None = None
    # What the rows are split by, such as "leaf depth"; empty for a row over all responses.
    group: str = ""
    member: str = ""
    # Distinguishes several figures of one metric, such as the parts of the score.
    detail: str = ""

    @property
    def label(self) -> str:
        return f"{self.metric}: {self.detail}" if self.detail else self.metric


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many responses of a variant cite each rule, and how many should cite it."""

    variant: str
    # Every rule that a response cites or that leads to a correct answer, in natural order.
    rules: tuple[str, ...]
    gold: tuple[int, ...]
    cited: tuple[int, ...]
    # The mean of |cited - gold| over the rules, in responses (paper, Figure 14).
    difference: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and time of a variant's responses: means over the responses that report them, or None."""

    variant: str
    requests: int
    prompt_tokens: float | None
    cached_tokens: float | None
    completion_tokens: float | None
    # From the batch check, which sends one prompt at a time, or if no batch has two prompts.
    prefill_seconds: float | None
    # Model time per response: the time of its batch divided by the size of the batch.
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a run, from the first prompt sent to the last response stored."""

    requests: Count
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """The check that batching changes no response: some prompts are sent again, one at a time."""

    asked: int
    differ: int
    # By variant: the mean time to the first token, if nothing is cached from other prompts.
    prefill_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The request that a run answers. The same request resumes it, any other is refused."""

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
    # sha256 of a local checkpoint's weights, so that a checkpoint trained again counts as another model.
    weights: str | None = None
    # What else answers (harness.backends.identity): digests of a checkpoint's files, a revision, an address.
    identity: Mapping[str, str | None] | None = None
    # Whether the limit is a random sample. Old versions used the first instances.
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a run, and everything needed to know what they describe."""

    run: Run
    backend: Json
    versions: Mapping[str, str]
    rows: tuple[ReportRow, ...]
    # By variant: prompts that do not exist because their instance has no such policy.
    skipped: Mapping[str, int]
    usage: tuple[Usage, ...]
    # End to end, over all sessions.
    requests_per_second: float | None
    batch_check: BatchCheck | None
    distributions: tuple[Distribution, ...] = ()
    # How the family grades. Figures of two scorers must never be compared.
    scorer: str = ""
    # US dollars for all responses according to the price table; None if the model has no price.
    cost: float | None = None
    # The models that the server says answered.
    served_models: tuple[str, ...] = ()
    # The number of instances in the split, if the run has a limit.
    available: int | None = None
    # What could not be computed, on how many responses, and why.
    failures: tuple[str, ...] = ()
    # Of responses.jsonl when it was scored.
    responses_sha256: str | None = None
