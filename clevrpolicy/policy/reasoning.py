"""Gold reasoning from tree and scene, and the questions that ask a model to recite a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clevrpolicy.policy.tree import Leaf, Node, Step, Tree, mask
from clevrpolicy.policy.wording import leads, named, where
from clevrpolicy.scene.ontology import Kind
from harness.parsing import in_box


def gold(tree: Tree, kinds: Sequence[Kind]) -> str:
    """A right response to a scene: what is in it, every condition visited, what was seen, the case.

    Objects are told in the order of `kinds`: from left to right, as clevr_json gives them.
    """
    steps, leaf = tree.walk(mask(kinds))
    lines = [f"The scene holds {listed(kinds)}.", *(_visit(step, kinds) for step in steps)]
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(f'Case {leaf.case}')}"


def listed(kinds: Sequence[Kind]) -> str:
    """ "a small red metal cube and a large cyan rubber sphere"; the same kind twice is told twice."""
    *others, last = [f"a {kind}" for kind in kinds]
    return f"{', '.join(others)} and {last}" if others else last


def _visit(step: Step, kinds: Sequence[Kind]) -> str:
    node = step.node
    picture = f" Its picture shows the {node.attribute} {node.value}." if node.crop else ""
    met = [kind for kind in kinds if step.met & mask([kind])]
    seen = f"Yes, {listed(met)}" if met else "No, none"
    end, branch = (".1", node.yes) if step.holds else (".2", node.no)
    verb = "The response is" if isinstance(branch, Leaf) else "Go to"
    asks = f"Is there {named(node.attribute, node.value)} {where(step.narrowed)}?"
    return (
        f"Condition {step.condition}:{picture} {asks} {seen}. {verb} {leads(branch, step.condition + end)}."
    )


RECALL = (
    "What does Condition {condition} of policy {name} test, and where does it lead? Give the response in "
    r"\boxed{{}} as: attribute; value; where to go if it holds; where to go if it does not."
)


def recall(tree: Tree, name: str) -> Iterator[tuple[str, str, str]]:
    """For each condition: its number, a question that asks to recite it, and its four fields."""
    for condition, node, _ in tree.sections():
        yield condition, RECALL.format(condition=condition, name=name), "; ".join(fields(condition, node))


def fields(condition: str, node: Node) -> tuple[str, str, str, str]:
    return (
        node.attribute,
        node.value,
        leads(node.yes, f"{condition}.1"),
        leads(node.no, f"{condition}.2"),
    )
