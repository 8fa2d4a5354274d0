"""How truly a response cites its policy: what the deterministic judge `rules` measures (paper, Referral).

A claim is true when the rule exists and all that is said of it is right.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import Claim


def precision(claims: Sequence[Claim]) -> float | None:
    """The share of the claims that are true; None where nothing is claimed, which is not a falsehood."""
    return sum(map(_true, claims)) / len(claims) if claims else None


def recall(claims: Sequence[Claim], path: Sequence[str]) -> float | None:
    """The share of the rules to the right answer that are cited truly; None where there are none."""
    cited = {claim.rule for claim in claims if _true(claim)}
    return sum(rule in cited for rule in path) / len(path) if path else None


def _true(claim: Claim) -> bool:
    return claim.exists and all(claim.parts.values())
