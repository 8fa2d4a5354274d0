"""The flags of `gtapolicy generate` and `gtapolicy import`, which are also the config in the manifest."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError


@dataclass(frozen=True)
class PolicyConfig:
    """The policy and its override."""

    rules: Path | None = None
    """TOML file with your own tools and rules, like gtapolicy/policy/rules.toml. Default: the paper's."""
    override_bands: bool = False
    """Also change the thresholds of the rules in the override (a rule's band is the range of numbers to which
    it applies). By default only the versions change."""
    seed: int = 0
    """Seed of all random choices. Two seeds share no random choice."""


@dataclass(frozen=True)
class GenerateConfig(PolicyConfig):
    """The policy, and the size of the generated benchmark."""

    train: int = 451
    """Calls in the training split, by default as many as in GTA. A query has two to five."""
    test: int = 106
    """Calls in the test split."""
    scenarios: Path | None = None
    """Folder with your own scenarios (TOML files), whose dialogs are mixed with those like GTA's."""
    invented_tools: int = 0
    """For sweeps: use a random policy with this many invented tools instead of the paper's policy. Its
    queries are plain requests without images. Requires --invented-rules."""
    invented_rules: int = 0
    """With --invented-tools: number of version rules of the random policy, over all tools."""

    def __post_init__(self) -> None:
        for name, least in (("train", 0), ("test", 1)):
            if not least <= getattr(self, name) <= 10**7:
                raise UserError(f"{name}: expected {least}..{10**7}, got {getattr(self, name)}")
        if self.invented_tools and self.rules is not None:
            raise UserError("invented_tools: expected it without --rules, got both; omit one of them")
        if self.invented_rules and not self.invented_tools:
            raise UserError("invented_rules: expected --invented-tools too, got --invented-rules alone")
