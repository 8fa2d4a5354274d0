"""GTAPolicy as the harness sees it: how a call is graded, what is right, which fault a wrong one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gtapolicy.dataset.instances import step_of, target_call
from gtapolicy.grading.calls import CallError, parse_call, score_call
from gtapolicy.grading.check import cited
from gtapolicy.grading.error_analysis import first_fault
from gtapolicy.grading.text_similarity import scorer_id
from gtapolicy.policy import reasoning
from gtapolicy.policy.rules import Band, Table, base_name
from gtapolicy.policy.wording import parse_condition
from harness import variants
from harness.errors import UserError
from harness.family import Family
from harness.files.manifest import BenchmarkFiles
from harness.parsing import boxed, plain
from harness.records import CitedRule, Grade, Instance
from harness.variants import Variant


class GtaRecall(Family):
    """Questions that ask for the condition of a version rule."""

    scorer = "gta-calls/2"

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 if all predicates are correct and none is added; `parts` has the grade of each field."""
        answer = boxed(text)
        if answer is None:
            return Grade(0.0, "unparsed")
        given, correct = _predicates(answer), _predicates(target)
        parts = {name: float(given.get(name) == predicate) for name, predicate in correct.items()}
        return Grade(float(given == correct), parts=parts)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"tool": base_name(instance.facts["recall"])}


class GtaPolicy(Family):
    """The family of GTAPolicy: tools whose versions depend on the user."""

    recall = GtaRecall

    def __init__(self, benchmark: BenchmarkFiles) -> None:
        super().__init__(benchmark)
        self.scorer = f"gta-calls/2 with {scorer_id()}"
        self._tables: dict[str, Table] = {}

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Half for the tool with its version, half for the arguments (paper, GTAPolicy)."""
        gold = target_call(target)
        try:
            call = parse_call(text)
        except CallError:
            return score_call(None, gold)
        if instance.policy_id is None:
            raise UserError(f"{instance.id}: expected an instance with a policy, got none")
        return score_call(call, gold, self._table(instance.policy_id))

    def gold(self, instance: Instance, variant: Variant) -> str:
        policy = variants.policy_id(instance, variant)
        if policy is None:
            return super().gold(instance, variant)
        done = len(instance.facts["history"])
        return reasoning.gold(self._table(policy), instance.facts["profile"], step_of(instance.facts), done)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        seen = "in history" if instance.facts["same_tool_in_history"] else "not in history"
        step = str(len(instance.facts["history"]) + 1)
        return {"tool": step_of(instance.facts).tool, "same tool": seen, "step": step}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        policy = variants.policy_id(instance, variant)
        return () if policy is None else cited(self._table(policy), text)

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The version rule that decides the call, if its tool has versions."""
        target = variants.target(instance, variant)
        if target is None:
            return ()
        name = target_call(target).name
        return [name] if base_name(name) != name else ()

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
        if policy is None or target is None:
            return None
        return first_fault(self._table(policy), instance.facts, target_call(target), text)

    def _table(self, policy: str) -> Table:
        if policy not in self._tables:
            self._tables[policy] = msgspec.convert(self.benchmark.policies[policy].rules, Table)
        return self._tables[policy]


def _predicates(condition: str) -> dict[str, Band | frozenset[str]]:
    """By field; the order of values says nothing."""
    found = parse_condition(plain(condition))
    return {name: p if isinstance(p, Band) else frozenset(p) for name, p in found.items()}
