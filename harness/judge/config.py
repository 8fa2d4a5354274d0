"""The request of `harness judge`, whose fields are its flags."""

import hashlib
import os
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from harness import variants
from harness.backends import Endpoint, Sampling, is_scripted, location
from harness.errors import UserError
from harness.seeds import rng

SettingName = Literal["paper", "structured"]


@dataclass(frozen=True)
class JudgeRequest:
    """The request of `harness judge`."""

    judge: str
    """The judging model, written like --model of `harness eval`, such as anthropic:NAME."""
    setting: SettingName = "structured"
    """paper: free analysis, then a score. structured: each citation next to the true rule, then a score."""
    variants: str = "internalized"
    """Comma-separated: the variants of the run to judge, some of internalized, in_context and override."""
    limit: int = 100
    """Judge a random sample of this many responses, the same instances for every run of the benchmark."""
    repeats: int = 1
    """Verdicts per response."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=4096))
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        for name in ("limit", "repeats"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if is_scripted(self.judge) or self.judge.partition(":")[0] in ("replay", "rules"):
            raise UserError(
                f"judge: expected a language model, such as openai:gpt-4o or hf:PATH, got {self.judge}"
            )

    @property
    def digest(self) -> str:
        """Identifies the verdicts of this judge: what they depend on besides their prompts."""
        settings = [self.judge, self.setting, self.sampling]
        return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:12]

    @property
    def file(self) -> str:
        """The name of the judgement's file, which also says what is judged and how often."""
        judged = "-".join(variant.name for variant in variants.parse(self.variants))
        return f"judgement.{self.digest}.{judged}.{self.limit}x{self.repeats}.json"

    @property
    def old_file(self) -> str:
        """The name of the judgement's file in old versions, where the next judgement replaced it."""
        return f"judgement.{self.digest}.json"


def same_model(one: str, other: str) -> bool:
    """Whether two models are the same with any backend: hf:PATH and vllm:PATH?option=value are."""
    # A name in a run of others may contain a null character, which no path does.
    first, second = (os.path.realpath(location(model).replace("\0", "")) for model in (one, other))
    return first == second


def sample_order(key: tuple[str, str, int]) -> tuple[int, float, tuple[str, str, int]]:
    """A sort key that puts responses into a random order, the same for every run of a benchmark.

    The first samples of all instances come before any second sample.
    """
    instance, _, sample = key
    return sample, rng(0, "judged", instance).random(), key
