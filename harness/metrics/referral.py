"""How truly a response cites its policy: the deterministic judge `rules` (paper, Policy Referral; ours).

- Referral precision: the share of what a response says of rules that is true. Each part of a rule (what it
  tests, where it leads) counts once, a rule that does not exist is one false claim, and one that is only
  named is no claim, so that a list of names earns nothing. No value where nothing is claimed.
- Referral recall: the share of the rules on the way to the right answer of which something is said, and
  nothing false.
- Nonexistent rules: their share of all rules that are named. No value where none is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.metrics import looked_up, mean_row
from harness.records import CitedRule, ReportRow
from harness.results import Results

Measure = Callable[[Sequence[CitedRule], Sequence[str]], float | None]
"""Of what is claimed and the rules on the way to the right answer."""


def referral(results: Results) -> list[ReportRow]:
    family = results.benchmark.family
    rows = []
    for variant, members in results.by_variant():
        values: dict[str, dict[tuple[str, str, int], float | None]] = {name: {} for name in MEASURES}
        for result in members:
            path, text = family.gold_rules(result.instance, variant), result.response.text
            if not path:
                continue
            claims = None if text is None else family.cited_rules(result.instance, variant, text)
            for name, measure in MEASURES.items():
                value = None if claims is None else measure(claims, path)
                if claims is None or value is not None:
                    values[name][result.score.key] = value
        for name, found in values.items():
            if found:
                having = [r for r in members if r.score.key in found]
                rows.append(mean_row(variant, name, having, looked_up(found)))
    return rows


def precision(claims: Sequence[CitedRule], _: Sequence[str] = ()) -> float | None:
    said = [true for claim in claims for true in (claim.parts.values() if claim.exists else [False])]
    return sum(said) / len(said) if said else None


def recall(claims: Sequence[CitedRule], path: Sequence[str]) -> float | None:
    true = {claim.rule for claim in claims if claim.exists and claim.parts and all(claim.parts.values())}
    return sum(rule in true for rule in path) / len(path) if path else None


def nonexistent(claims: Sequence[CitedRule], _: Sequence[str] = ()) -> float | None:
    return sum(not claim.exists for claim in claims) / len(claims) if claims else None


MEASURES: dict[str, Measure] = {
    "referral precision": precision,
    "referral recall": recall,
    "nonexistent rules": nonexistent,
}
