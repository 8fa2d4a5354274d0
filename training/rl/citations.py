"""The reward of PA3 for citing the rules that apply (arXiv 2603.14602), read by the family's own check.

applicable    Condition 1, Condition 1.2, Condition 1.2.1        Family.gold_rules
cited         Condition 1, Condition 1.2, Condition 9            Family.cited_rules
reward        2 in both / 3 in either, of existing rules, less 1 of 3 that does not exist = 0.33
"""

import logging
from collections.abc import Sequence
from typing import Any

from harness.files.benchmark import Benchmark
from harness.metrics.referral import nonexistent
from harness.records import CitedRule, Instance
from harness.text import reason
from harness.variants import INTERNALIZED
from training.rl.rewards import RewardFunction, completion_text

log = logging.getLogger(__name__)


def citation_reward(benchmarks: Sequence[Benchmark], split: str) -> RewardFunction:
    """A reward function as TRL expects it. Its value is None if the family's check fails."""
    instances: list[dict[str, Instance]] = [{i.id: i for i in b.instances(split)} for b in benchmarks]

    def citations(
        completions: Sequence[Any], benchmark: Sequence[int], instance: Sequence[str], **_: Any
    ) -> list[float | None]:
        values: list[float | None] = []
        for completion, index, instance_id in zip(completions, benchmark, instance, strict=True):
            of_response = instances[index][instance_id]
            family = benchmarks[index].family_of(of_response)
            try:
                cited = family.cited_rules(of_response, INTERNALIZED, completion_text(completion))
                values.append(score(cited, family.gold_rules(of_response, INTERNALIZED)))
            # Families are third-party code, and a response is any text, so any exception may occur.
            except Exception as error:
                log.warning("%s: citations have no reward: %s", instance_id, reason(error))
                values.append(None)
        return values

    return citations


def score(cited: Sequence[CitedRule], applicable: Sequence[str]) -> float:
    """The Jaccard index of the cited rules that exist and those that apply, less the share of cited rules
    that do not exist; from -1 to 1. Without any rule that applies or is cited it is 0.
    """
    existing = {rule.rule for rule in cited if rule.exists}
    either = existing | set(applicable)
    jaccard = len(existing & set(applicable)) / len(either) if either else 0.0
    return jaccard - (nonexistent(cited) or 0.0)
