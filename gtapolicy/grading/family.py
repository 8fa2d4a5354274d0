"""The families of GTAPolicy: how tool calls and recited conditions are graded."""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from gtapolicy.dataset.dialogs import Step
from gtapolicy.dataset.instances import FORMAT, query_after
from gtapolicy.grading.calls import Call, argument_scores, parse_call, score_call
from gtapolicy.grading.check import check_citations
from gtapolicy.grading.error_analysis import first_error
from gtapolicy.grading.paths import claimed_path, gold_path, path_to, to_draw
from gtapolicy.grading.text_similarity import scorer_id
from gtapolicy.policy import reasoning
from gtapolicy.policy.conditions import comparable
from gtapolicy.policy.rules import RuleTable, base_name
from harness import variants
from harness.family import DialogFamily, Family, Outcome
from harness.files.manifest import BenchmarkFiles
from harness.parsing import boxed
from harness.records import CitedRule, Grade, Instance, Part
from harness.tree import Node, Path
from harness.variants import Variant

SCORER = "gta-calls/4"
# In a dialog, the least score of each argument of a call that gets the recorded result (docs/gtapolicy.md).
SAME = 0.95
WRONG = "error: another call is correct here: check the tool, its version and the arguments"


class GtaRecall(Family):
    """Grades questions that ask for the condition of a version rule."""

    scorer = SCORER

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 if all predicates are correct and there are no others; `parts` has the grade of each field."""
        answer, correct = boxed(text), comparable(target)
        if answer is None:
            return Grade(0.0, "unparsed", dict.fromkeys(correct, 0.0))
        given = comparable(answer)
        parts = {name: float(given.get(name) == predicate) for name, predicate in correct.items()}
        return Grade(float(given == correct), parts=parts)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"tool": base_name(instance.facts["recall"])}

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        """The path to the version that the question asks for."""
        return path_to(instance.facts["recall"])


class GtaPolicy(DialogFamily):
    """Tools whose version depends on the user."""

    recall = GtaRecall
    answer_form = FORMAT

    def __init__(self, benchmark: BenchmarkFiles) -> None:
        super().__init__(benchmark)
        self.scorer = f"{SCORER} with {scorer_id()}"
        self._table = cache(lambda policy: msgspec.convert(benchmark.policies[policy].rules, RuleTable))
        self._drawn = cache(lambda policy: to_draw(self._table(policy)))

    def _rules(self, instance: Instance, variant: Variant = variants.INTERNALIZED) -> RuleTable:
        """The rules that govern the answer; those of the instance if nothing overrides them."""
        return self._table(variants.policy_id(instance, variant) or instance.policy_id)

    def _call(self, instance: Instance, variant: Variant) -> Call:
        return Call.from_json(variants.target(instance, variant) or instance.target)

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Half the tool with its version, half the arguments (paper, GTAPolicy)."""
        return score_call(parse_call(text), Call.from_json(target), self._rules(instance))

    def dialog(self, instance: Instance) -> str:
        return instance.id.rpartition("-")[0]

    def query_after(self, instance: Instance, history: Sequence[Outcome]) -> tuple[Part, ...]:
        return query_after(instance.query, [(outcome.call, outcome.returned) for outcome in history])

    def outcome(self, instance: Instance, target: str, text: str) -> Outcome:
        """A call is right if its tool and version are, and each argument scores at least SAME."""
        if (call := parse_call(text)) is None:
            return Outcome("A response without a call", "error: expected one call as JSON", right=False)
        gold = Call.from_json(target)
        scores = argument_scores(call, gold, self._rules(instance)).values()
        right = call.name == gold.name and min(scores, default=1.0) >= SAME
        return Outcome(call.to_json(), instance.facts["step"]["returned"] if right else WRONG, right)

    def gold(self, instance: Instance, variant: Variant) -> str:
        facts, step = instance.facts, msgspec.convert(instance.facts["step"], Step)
        return reasoning.gold(self._rules(instance, variant), facts["profile"], step, len(facts["history"]))

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        same_tool = "in history" if instance.facts["same_tool_in_history"] else "not in history"
        number = str(len(instance.facts["history"]) + 1)
        return {"tool": instance.facts["step"]["tool"], "same tool": same_tool, "step": number}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        return check_citations(text, self._rules(instance, variant))

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The version rule that decides the call, if its tool has versions."""
        name = self.leaf(instance, variant)
        return [name] if base_name(name) != name else ()

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        """One of the labels that error_analysis.py explains."""
        gold, table = self._call(instance, variant), self._rules(instance, variant)
        return first_error(text, gold, instance.facts, table)

    def tree(self, policy: str) -> Node:
        return self._drawn(policy)

    def leaf(self, instance: Instance, variant: Variant) -> str:
        return self._call(instance, variant).name

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        step = msgspec.convert(instance.facts["step"], Step)
        return gold_path(self._rules(instance, variant), instance.facts["profile"], step)

    def claimed_path(self, instance: Instance, variant: Variant, text: str) -> Path:
        error = self.first_error(instance, variant, text)
        return claimed_path(text, self.gold_path(instance, variant), error)
