"""What a judge is asked for: the flags of `harness judge`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec

from harness import variants
from harness.backends import Endpoint, Sampling, is_scripted
from harness.errors import UserError
from harness.judge.prompt import SettingName
from harness.seeds import rng


@dataclass(frozen=True)
class JudgeRequest:
    """What `harness judge` is asked for."""

    judge: str
    """Who judges, as in --model of eval, such as anthropic:NAME; never the run's own model."""
    setting: SettingName = "structured"
    """paper: free analysis, then a score. structured: each citation beside the true rule, then a score."""
    variants: str = "internalized"
    """Comma-separated: which of the run's variants to judge."""
    limit: int = 100
    """How many responses, chosen by a lot that is the same for every run of the benchmark."""
    repeats: int = 1
    """How many times each response is judged."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=4096))
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        for name in ("limit", "repeats"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if is_scripted(self.judge):
            raise UserError(f"judge: expected a model that can read, such as hf:PATH, got {self.judge}")

    @property
    def digest(self) -> str:
        """Names the files: what verdicts depend on besides their prompts."""
        asked = [self.judge, self.setting, self.sampling]
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:12]


def lot(key: tuple[str, str, int]) -> tuple[int, float, tuple[str, str, int]]:
    """A response's place in the order in which a run's are judged, the same for every run of a benchmark.

    All instances come once, in an order of their own, before any has a second sample judged.
    """
    instance, _, sample = key
    return sample, rng(0, "judged", instance).random(), key
