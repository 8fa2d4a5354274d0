"""How faithfully a response cites its policy: the deterministic judge `rules` (paper, Policy Referral; ours).

Each stated part of a rule (what it tests, where it leads) counts as one claim, and citing a rule that does
not exist counts as one false claim. Only naming a rule is not a claim, so listing names earns nothing.
"""

from collections.abc import Callable, Sequence

from harness.metrics.metric import Metric
from harness.records import CitedRule
from harness.results import Result, Results

# A value computed from the cited rules and the rules that lead to the correct answer.
Measure = Callable[[Sequence[CitedRule], Sequence[str]], float | None]


def precision(cited: Sequence[CitedRule], _gold: Sequence[str] = ()) -> float | None:
    claims = [true for rule in cited for true in (rule.parts.values() if rule.exists else [False])]
    return sum(claims) / len(claims) if claims else None


def recall(cited: Sequence[CitedRule], gold: Sequence[str]) -> float | None:
    correct = {rule.rule for rule in cited if rule.exists and rule.parts and all(rule.parts.values())}
    return sum(rule in correct for rule in gold) / len(gold) if gold else None


def nonexistent(cited: Sequence[CitedRule], _gold: Sequence[str] = ()) -> float | None:
    return sum(not rule.exists for rule in cited) / len(cited) if cited else None


def _has_rules(results: Results, result: Result) -> bool:
    return bool(results.gold_rules(result))


def _of_response(measure: Measure) -> Callable[[Results, Result], float | None]:
    def value(results: Results, result: Result) -> float | None:
        gold = results.gold_rules(result)
        cited = results.cited_rules(result) if gold else None
        return None if cited is None else measure(cited, gold)

    return value


REFERRAL_PRECISION = Metric(
    name="referral precision",
    explanation="The share of a response's claims about rules that are true; no value without claims.",
    value=_of_response(precision),
    applies=_has_rules,
)
REFERRAL_RECALL = Metric(
    name="referral recall",
    explanation="Of the rules that lead to the correct answer, the share about which a response makes a "
    "claim and no false claim.",
    value=_of_response(recall),
    applies=_has_rules,
)
NONEXISTENT_RULES = Metric(
    name="nonexistent rules",
    explanation="The share of the cited rules that do not exist in the policy; no value if none is cited.",
    direction="lower",
    value=_of_response(nonexistent),
    applies=_has_rules,
)
