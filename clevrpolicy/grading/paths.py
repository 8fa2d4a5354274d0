"""Trees and paths of ClevrPolicy for drawings (harness/tree.py): the correct path, and that of a response."""

from collections.abc import Iterator, Sequence

from clevrpolicy.grading.error_analysis import FirstError
from clevrpolicy.grading.parse import CitedCondition, parse_citations
from clevrpolicy.policy.tree import Leaf, Node, Tree, Visit, mask
from clevrpolicy.policy.wording import destination, narrows, noun_phrase
from clevrpolicy.scene.ontology import Kind
from harness import tree as drawn
from harness.parsing import boxed, plain
from harness.tree import Mark, Path, Step

WORDS = {True: "yes", False: "no"}


def to_draw(tree: Tree) -> drawn.Node:
    """The tree with its conditions by number. Branches are labeled "yes" and "no"."""
    narrowed = {number: narrows(tree, constraint) for number, _, constraint in tree.sections()}

    def convert(branch: Node | Leaf, number: str) -> drawn.Node:
        if isinstance(branch, Leaf):
            return drawn.Node(number, destination(branch, number))
        branches = tuple(
            (word, convert(*below))
            for word, below in zip(("yes", "no"), branch.branches(number), strict=True)
        )
        text = f"{_thing(branch)}{' among these' if narrowed[number] else ''}?"
        return drawn.Node(number, number, text, branch.crop or "", branches)

    return convert(tree.root, "1")


def _thing(node: Node) -> str:
    """What a condition looks for. A picture is not put into words."""
    return f"an object of this {node.attribute}" if node.crop else noun_phrase(node.attribute, node.value)


def gold_path(tree: Tree, kinds: Sequence[Kind], places: Sequence[tuple[int, ...]]) -> Path:
    """The path of a scene, given its objects and where the question's first part shows each of them."""
    visits, _ = tree.walk(mask(kinds))
    met = [[bool(visit.met & mask([kind])) for kind in kinds] for visit in visits]
    steps = [Step(v.condition, _reason(v, [*_chosen(kinds, m)])) for v, m in zip(visits, met, strict=True)]
    marks = []
    for index, place in enumerate(places):
        nodes = tuple(v.condition for v, m in zip(visits, met, strict=True) if m[index])
        if nodes:
            marks.append(Mark(0, place, nodes))
    return Path((*steps, Step(_leaf_id(visits))), tuple(marks))


def _chosen(kinds: Sequence[Kind], met: Sequence[bool]) -> Iterator[Kind]:
    return (kind for kind, meets in zip(kinds, met, strict=True) if meets)


def _reason(visit: Visit, met: Sequence[Kind]) -> str:
    shown = f"shows {visit.node.value}; " if visit.node.crop else ""
    return f"{shown}yes: {', '.join(map(str, met))}" if met else f"{shown}no"


def _leaf_id(visits: Sequence[Visit]) -> str:
    last = visits[-1]
    return last.node.branches(last.condition)[0 if last.holds else 1][1]


def path_to(condition: str) -> Path:
    """The conditions from the first to this one."""
    numbers = condition.split(".")
    return Path(tuple(Step(".".join(numbers[: length + 1])) for length in range(len(numbers))))


def places_in_text(text: str, kinds: Sequence[Kind]) -> list[tuple[int, ...]]:
    """Where the sentence of `reasoning.description` names each object: its first character, and the next."""
    places: list[tuple[int, ...]] = []
    start = 0
    for kind in kinds:
        start = text.index(f"a {kind}", start)
        places.append((start, start + len(f"a {kind}")))
        start += len(f"a {kind}")
    return places


def claimed_path(text: str, tree: drawn.Node, error: FirstError | None) -> Path:
    """The conditions that a response follows, in order, and the case that it answers."""
    followed: dict[str, Step] = {}
    for cited in parse_citations(text):
        if cited.verdict is not None or cited.target is not None:
            followed.setdefault(cited.number, Step(cited.number, _claim(cited)))
    steps = list(followed.values())
    answer = boxed(text)
    if answer is not None:
        ids = {plain(leaf.name): leaf.id for leaf in tree.leaves()}
        steps.append(Step(ids.get(plain(answer), answer)))
    if error is None:
        return Path(tuple(steps))
    at = error.condition or (steps[-1].node if answer is not None else "")
    return Path(tuple(steps), error=error.label, error_at=at)


def _claim(cited: CitedCondition) -> str:
    """The verdict that a response states, and the objects that it names as the reason."""
    if cited.verdict is None:
        return f"go to {cited.target}"
    named = ", ".join(" ".join(values.values()) for values in cited.evidence)
    return f"{WORDS[cited.verdict]}: {named}" if named else WORDS[cited.verdict]
