"""What a GTAPolicy benchmark is made of: the flags of `gtapolicy generate`, and its manifest's config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError


@dataclass(frozen=True)
class Config:
    """The policy and how it is overridden."""

    rules: Path | None = None
    """Your own table of tools and rules (TOML, like gtapolicy/policy/rules.toml); default: the paper's."""
    override_bands: bool = False
    """Let an override move thresholds too, not versions alone."""
    seed: int = 0
    """Another seed shares nothing with this one."""


@dataclass(frozen=True)
class GeneratedConfig(Config):
    """The same, on dialogs of our own."""

    scale: int = 1
    """Multiples of GTA's size: 229 queries, 557 calls, 252 images."""
    invented_tools: int = 0
    """Instead of the paper's policy, invent one of so many tools, asked for in plain words: for sweeps."""
    invented_rules: int = 0
    """How many version rules the invented policy has in all."""

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= 100:
            raise UserError(f"scale: expected 1..100, got {self.scale}")
        if self.invented_tools and self.rules is not None:
            raise UserError("invented_tools: expected either invented tools or a file of rules, got both")
        if self.invented_rules and not self.invented_tools:
            raise UserError(
                f"invented_rules: expected invented_tools with it, got {self.invented_rules} alone"
            )
