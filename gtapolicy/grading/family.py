"""GTAPolicy as the harness sees it: how a call is graded, what is right, which fault a wrong one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
from harness.parsing import boxed, in_box, plain
from harness.records import CitedRule, Grade, Instance
from harness.variants import Variant

if TYPE_CHECKING:
    from harness.files.benchmark import Benchmark


class GtaPolicy:
    """The family of a GTAPolicy benchmark."""

    @property
    def scorer(self) -> str:
        return f"gta-calls/2 with {scorer_id()}"

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self._tables: dict[str | None, Table] = {}

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Half for the versioned tool, half for its arguments (paper, GTAPolicy); also the RL reward."""
        if "recall" in instance.facts:
            return _grade_recall(target, text)
        gold = target_call(target)
        try:
            call = parse_call(text)
        except CallError:
            return score_call(None, gold)
        return score_call(call, gold, self._table(instance.policy_id))

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:  # noqa: ARG002
        """Calls cannot be listed."""
        return ()

    def respond(self, answer: str) -> str:
        return in_box(answer)

    def gold(self, instance: Instance, variant: Variant) -> str:
        policy = variants.policy_id(instance, variant)
        if policy is None or "recall" in instance.facts:
            return in_box(instance.target)
        done = len(instance.facts["history"])
        return reasoning.gold(self._table(policy), instance.facts["profile"], step_of(instance.facts), done)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:  # noqa: ARG002
        if "recall" in instance.facts:
            return {"tool": base_name(instance.facts["recall"])}
        seen = "in history" if instance.facts["same_tool_in_history"] else "not in history"
        step = str(len(instance.facts["history"]) + 1)
        return {"tool": step_of(instance.facts).tool, "same tool": seen, "step": step}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        """Every version rule that a response cites."""
        policy = variants.policy_id(instance, variant)
        return cited(self._table(policy), text) if policy is not None else ()

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The one version rule that decides the call, if its tool has versions."""
        target = variants.target(instance, variant)
        if target is None or "recall" in instance.facts:
            return ()
        name = target_call(target).name
        return [name] if base_name(name) != name else ()

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
        if policy is None or target is None or "recall" in instance.facts:
            return None
        return first_fault(self._table(policy), instance.facts, target_call(target), text)

    def _table(self, policy: str | None) -> Table:
        if policy not in self._tables:
            if policy is None:
                raise UserError("gtapolicy: expected an instance with a policy, got one without")
            self._tables[policy] = msgspec.convert(self.benchmark.policies[policy].rules, Table)
        return self._tables[policy]


def _grade_recall(target: str, text: str) -> Grade:
    """The predicates one by one; the value is 1 when all are right and nothing is added."""
    answer = boxed(text)
    if answer is None:
        return Grade(0.0, "unparsed")
    said, right = _predicates(answer), _predicates(target)
    parts = {name: float(said.get(name) == predicate) for name, predicate in right.items()}
    return Grade(float(said == right), parts=parts)


def _predicates(condition: str) -> dict[str, Band | frozenset[str]]:
    """By field; the order of values says nothing."""
    found = parse_condition(plain(condition))
    return {name: p if isinstance(p, Band) else frozenset(p) for name, p in found.items()}
