"""Gold reasoning for a tree and a scene, and questions that ask a model to recite a condition."""

from collections.abc import Iterator, Sequence

from clevrpolicy.policy.tree import Leaf, Node, Tree, Visit, child, mask
from clevrpolicy.policy.wording import destination, noun_phrase, scope
from clevrpolicy.scene.ontology import Kind
from harness import text
from harness.parsing import in_box

RECALL = (
    "What does Condition {condition} of policy {name} test, and where does it lead? Give the response in "
    r"\boxed{{}} as: attribute; value; where to go if it holds; where to go if it does not."
)


def gold(tree: Tree, kinds: Sequence[Kind]) -> str:
    """The correct response to a scene: its objects, each condition on its path with its answer, and the case.

    Objects are listed in the order of `kinds` (clevr_json.kinds: from left to right in the picture).
    """
    visits, leaf = tree.walk(mask(kinds))
    lines = [f"The scene holds {enumeration(kinds)}.", *(_describe(visit, kinds) for visit in visits)]
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(f'Case {leaf.case}')}"


def enumeration(kinds: Sequence[Kind]) -> str:
    """ "a small red metal cube and a large cyan rubber sphere"; repeated kinds are repeated."""
    return text.enumeration([f"a {kind}" for kind in kinds])


def description(kinds: Sequence[Kind]) -> str:
    """A scene in words, in place of its picture. `kinds` is in the same order as in `gold`."""
    return f"The objects in the scene, from left to right: {enumeration(kinds)}."


def _describe(visit: Visit, kinds: Sequence[Kind]) -> str:
    node = visit.node
    picture = f" Its picture shows the {node.attribute} {node.value}." if node.crop else ""
    question = f"Is there {noun_phrase(node.attribute, node.value)} {scope(visit.narrowed)}?"
    met = [kind for kind in kinds if visit.met & mask([kind])]
    answer = f"Yes, {enumeration(met)}" if met else "No, none"
    branch = node.yes if visit.holds else node.no
    verb = "The response is" if isinstance(branch, Leaf) else "Go to"
    target = destination(branch, child(visit.condition, visit.holds))
    return f"Condition {visit.condition}:{picture} {question} {answer}. {verb} {target}."


def recall(tree: Tree, name: str) -> Iterator[tuple[str, str, str]]:
    """For each condition: its number, a question that asks to recite it, and the correct answer."""
    for condition, node, _ in tree.sections():
        yield condition, RECALL.format(condition=condition, name=name), "; ".join(fields(condition, node))


def fields(condition: str, node: Node) -> tuple[str, str, str, str]:
    """The answer to a recall question: attribute, value, and where the two branches lead."""
    yes, no = (destination(branch, number) for branch, number in node.branches(condition))
    return node.attribute, node.value, yes, no
