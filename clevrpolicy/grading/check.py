"""Checks what a response states about conditions against the policy's decision tree.

A part of a rule counts as true only if every statement of the response about it is true. Therefore a score is
never raised by repeated statements, nor by words that are not statements about conditions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clevrpolicy.grading.parse import CitedCondition
from clevrpolicy.policy.tree import Node, Tree
from clevrpolicy.policy.wording import destination
from harness.records import CitedRule

# The names of the two branches of a condition, as parts of a rule.
BRANCHES = {True: "if it holds", False: "if it does not"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition of the policy."""

    node: Node
    # "Condition 1.2.1" or "Case 4", for the branch on which the condition holds (True) or does not (False).
    targets: Mapping[bool, str]
    # Attributes and values of the objects that the path to this condition has singled out.
    singled_out: frozenset[tuple[str, str]]


# The conditions of a policy by their numbers, such as "1.2".
Rules = Mapping[str, Rule]


def rules_of(tree: Tree) -> Rules:
    by_number: dict[str, Rule] = {}
    for condition, node, _ in tree.sections():
        parent_number, _, answer = condition.rpartition(".")
        singled_out: frozenset[tuple[str, str]] = frozenset()
        if parent_number and tree.accumulate:
            parent = by_number[parent_number]
            added = {(parent.node.attribute, parent.node.value)} if answer == "1" else set()
            singled_out = parent.singled_out | added
        yes, no = (destination(branch, number) for branch, number in node.branches(condition))
        by_number[condition] = Rule(node, {True: yes, False: no}, singled_out)
    return by_number


def check_citations(citations: Sequence[CitedCondition], rules: Rules) -> list[CitedRule]:
    """One CitedRule for each condition that is cited, or that is quoted as the target of a branch."""
    parts: dict[str, dict[str, bool]] = {}
    for cited in citations:
        parts_of_cited = parts.setdefault(cited.number, {})
        for _, target in cited.routes:
            if target.startswith("Condition "):
                parts.setdefault(target.removeprefix("Condition "), {})
        if cited.number in rules:
            for part, true in statements(cited, rules[cited.number]):
                parts_of_cited[part] = parts_of_cited.get(part, True) and true
    return [CitedRule(f"Condition {n}", n in rules, parts_of_rule) for n, parts_of_rule in parts.items()]


def statements(cited: CitedCondition, rule: Rule) -> Iterator[tuple[str, bool]]:
    """For each statement: the part of the rule that it is about, and whether it is true."""
    test_is_true = states_correct_test(cited, rule)
    if test_is_true is not None:
        yield "test", test_is_true
    for holds, target in cited.routes:
        yield BRANCHES[holds], target == rule.targets[holds]
    if cited.target is not None and cited.verdict is not None:
        yield BRANCHES[cited.verdict], cited.target == rule.targets[cited.verdict]
    elif cited.target is not None:
        yield "leads to", cited.target in rule.targets.values()


def states_correct_test(cited: CitedCondition, rule: Rule) -> bool | None:
    """Whether the rule tests what the citation states; None if the citation states no test.

    The citation may also name values that the path has singled out: "a small cyan object" is correct for the
    test "cyan" among small objects.
    """
    tested = rule.node.attribute, rule.node.value
    if cited.same_attribute is not None:  # "the same color as in its picture"
        shown = {value for value in cited.values if value[0] == cited.same_attribute}
        return cited.same_attribute == rule.node.attribute and shown <= {tested}
    if cited.values:
        return tested in cited.values and set(cited.values) <= {tested} | rule.singled_out
    return rule.node.attribute in cited.attributes if cited.attributes else None
