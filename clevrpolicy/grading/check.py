"""What a text says of conditions, checked against the tree that governs.

A part of a rule is true when all that the text says of that part, anywhere, is true: saying it again
can only lower a judgement. Nothing but statements about conditions is read: no other words can raise one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clevrpolicy.grading.parse import Step
from clevrpolicy.policy.tree import Node, Tree, child
from clevrpolicy.policy.wording import destination
from harness.records import CitedRule

HOLDS = {True: "if it holds", False: "if it does not"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition of the policy, and the values that the path to it has singled out."""

    node: Node
    leads: Mapping[bool, str]
    singled_out: frozenset[tuple[str, str]]


def rules(tree: Tree) -> dict[str, Rule]:
    """By its number, such as "1.2": every condition of the tree."""
    found: dict[str, Rule] = {}
    for condition, node, _ in tree.sections():
        before, _, answer = condition.rpartition(".")
        singled_out: frozenset[tuple[str, str]] = frozenset()
        if before and tree.accumulate:
            asked = found[before]
            held = {(asked.node.attribute, asked.node.value)} if answer == "1" else set()
            singled_out = asked.singled_out | held
        routes = {
            True: destination(node.yes, child(condition, True)),
            False: destination(node.no, child(condition, False)),
        }
        found[condition] = Rule(node, routes, singled_out)
    return found


def check(steps: Sequence[Step], book: Mapping[str, Rule]) -> list[CitedRule]:
    """A claim for each condition that is named, as a step or as where one leads."""
    parts: dict[str, dict[str, bool]] = {}
    for step in steps:
        of = parts.setdefault(step.condition, {})
        for _, target in step.routes:
            if target.startswith("Condition "):
                parts.setdefault(target.removeprefix("Condition "), {})
        if step.condition in book:
            for part, true in said(step, book[step.condition]):
                of[part] = of.get(part, True) and true
    return [CitedRule(f"Condition {number}", number in book, of) for number, of in parts.items()]


def said(step: Step, rule: Rule) -> Iterator[tuple[str, bool]]:
    """Each thing that a step says of its rule, and whether it is true, in the order of reading a rule."""
    test = tests(step, rule)
    if test is not None:
        yield "test", test
    for holds, target in step.routes:
        yield HOLDS[holds], target == rule.leads[holds]
    if step.leads is not None:
        if step.verdict is None:
            yield "leads to", step.leads in rule.leads.values()
        else:
            yield HOLDS[step.verdict], step.leads == rule.leads[step.verdict]


def tests(step: Step, rule: Rule) -> bool | None:
    """Whether the rule tests what the step says it does; None where it does not say.

    Beside its own value a rule may be quoted with those that its path has singled out: "a small cyan object".
    """
    own = rule.node.attribute, rule.node.value
    if step.like is not None:
        shown = {value for value in step.values if value[0] == step.like}
        return step.like == own[0] and shown <= {own}
    if step.values:
        return own in step.values and set(step.values) <= {own} | rule.singled_out
    return own[0] in step.attributes if step.attributes else None
