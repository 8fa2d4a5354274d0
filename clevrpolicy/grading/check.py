"""Checks what a response states about conditions against the tree that governs its instance.

A part of a rule is true only if everything that the response states about this part is true. A repeated
statement can therefore never raise a score, and nor can words that are not statements about conditions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clevrpolicy.grading.parse import CitedCondition
from clevrpolicy.policy.tree import Node, Tree, child
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
        before, _, answer = condition.rpartition(".")
        singled_out: frozenset[tuple[str, str]] = frozenset()
        if before and tree.accumulate:
            parent = by_number[before]
            added = {(parent.node.attribute, parent.node.value)} if answer == "1" else set()
            singled_out = parent.singled_out | added
        routes = {
            True: destination(node.yes, child(condition, True)),
            False: destination(node.no, child(condition, False)),
        }
        by_number[condition] = Rule(node, routes, singled_out)
    return by_number


def check_citations(citations: Sequence[CitedCondition], rules: Rules) -> list[CitedRule]:
    """One CitedRule for each condition that is cited or quoted as the target of a branch."""
    parts: dict[str, dict[str, bool]] = {}
    for cited in citations:
        own_parts = parts.setdefault(cited.number, {})
        for _, target in cited.routes:
            if target.startswith("Condition "):
                parts.setdefault(target.removeprefix("Condition "), {})
        if cited.number in rules:
            for part, true in statements(cited, rules[cited.number]):
                own_parts[part] = own_parts.get(part, True) and true
    return [CitedRule(f"Condition {number}", number in rules, own) for number, own in parts.items()]


def statements(cited: CitedCondition, rule: Rule) -> Iterator[tuple[str, bool]]:
    """Each part of the rule about which something is stated, and whether the statement is true."""
    test = states_correct_test(cited, rule)
    if test is not None:
        yield "test", test
    for holds, target in cited.routes:
        yield BRANCHES[holds], target == rule.targets[holds]
    if cited.target is not None:
        if cited.verdict is None:
            yield "leads to", cited.target in rule.targets.values()
        else:
            yield BRANCHES[cited.verdict], cited.target == rule.targets[cited.verdict]


def states_correct_test(cited: CitedCondition, rule: Rule) -> bool | None:
    """Whether the rule tests what the citation states; None if it states no test.

    In addition to the rule's own value, the values that its path has singled out may be named, as in
    "a small cyan object".
    """
    own = rule.node.attribute, rule.node.value
    if cited.same_attribute is not None:  # "the same color as in its picture"
        shown = {value for value in cited.values if value[0] == cited.same_attribute}
        return cited.same_attribute == own[0] and shown <= {own}
    if cited.values:
        return own in cited.values and set(cited.values) <= {own} | rule.singled_out
    return own[0] in cited.attributes if cited.attributes else None
