"""The first fault of a wrong response, from its reasoning, the tree and the scene (paper, error analysis).

A response is followed condition by condition, as citations.read finds them, until it leaves the right way:
does the condition exist, is it the one that is due, what does it test, yes or no, and where does that lead.
One that is only named has neither to be due nor a verdict, and one that was followed before is passed over.

- "unparsed": no answer can be read.
- "no reasoning": no condition is cited.
- "invented condition": it cites, or is led to, a condition that the policy does not have.
- "skipped condition": it is at a condition other than the one that its last step leads to, or it answers
  before a condition leads to a case.
- "misquoted rule": it says that the condition tests something else or leads elsewhere; in -M also where it
  misreads the picture that shows the value.
- "singled-out objects forgotten": yes, because of an object that is in the scene and has the value, but which
  an earlier condition has ruled out.
- "perception: size" and so on: its yes or no is not the scene's. The attribute is the one in which the
  object that it names differs from the one most like it in the scene, where that is one attribute;
  otherwise the one that the condition tests. "(half hidden)": other objects hide more than half of the
  object that is misread, or of every object that is missed.
- "wrong answer after right reasoning": none of these, and yet the answer is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clevrpolicy.grading import parse
from clevrpolicy.grading.check import Rule, said, tests
from clevrpolicy.grading.parse import Step
from clevrpolicy.policy import tree
from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import ATTRIBUTES, Kind, Scene
from clevrpolicy.scene.visibility import Solid, visible
from harness.parsing import boxed

UNPARSED = "unparsed"
NO_REASONING = "no reasoning"
INVENTED = "invented condition"
SKIPPED = "skipped condition"
MISQUOTED = "misquoted rule"
FORGOTTEN = "singled-out objects forgotten"
WRONG_ANSWER = "wrong answer after right reasoning"
PERCEPTION = {attribute: f"perception: {attribute}" for attribute in ATTRIBUTES}
HALF_HIDDEN = " (half hidden)"

Picture = Callable[[], Scene | None]
"""The scene as it was placed; None where that is not known, as of CLEVR's own."""


def first(
    text: str, way: Sequence[tree.Visit], book: Mapping[str, Rule], kinds: Sequence[Kind], picture: Picture
) -> str:
    """The fault of a wrong response to a scene of these kinds, whose right way through the tree is given."""
    if boxed(text) is None:
        return UNPARSED
    steps = parse.read(text)
    if not steps:
        return NO_REASONING
    ahead = {step.condition: step for step in way}
    followed: set[str] = set()
    due = "Condition 1"
    for step in steps:
        if any(number not in book for number in _cited(step)):
            return INVENTED
        rule = book[step.condition]
        verdict = step.verdict
        if verdict is None:
            verdict = next((holds for holds, target in rule.leads.items() if target == step.leads), None)
        visited = verdict is not None or step.leads is not None
        if visited and step.condition in followed:
            continue
        if visited and due != f"Condition {step.condition}":
            return SKIPPED
        if tests(step, rule) is False or not all(t == rule.leads[holds] for holds, t in step.routes):
            return MISQUOTED
        if not visited:
            continue
        right = ahead[step.condition]
        if verdict is not None and verdict != right.holds:
            return _misperceived(step, right, kinds, picture)
        if not all(true for _, true in said(step, rule)):
            return MISQUOTED
        followed.add(step.condition)
        due = rule.leads[right.holds]
    return WRONG_ANSWER if due.startswith("Case ") else SKIPPED


def _cited(step: Step) -> list[str]:
    """The numbers of all conditions that a step speaks of."""
    targets = [target for _, target in step.routes] + ([step.leads] if step.leads else [])
    return [step.condition, *(t.removeprefix("Condition ") for t in targets if t.startswith("Condition "))]


def _misperceived(step: Step, right: tree.Visit, kinds: Sequence[Kind], picture: Picture) -> str:
    asked = right.node.attribute
    if right.holds:
        missed = [index for index, kind in enumerate(kinds) if right.met & tree.mask([kind])]
        return _perception(asked, missed, picture)
    if not step.evidence:
        return _perception(asked, [], picture)
    named = step.evidence[0]
    differing = [[a for a, value in named.items() if getattr(kind, a) != value] for kind in kinds]
    likest = min(range(len(kinds)), key=lambda i: (len(differing[i]), asked not in differing[i]))
    if not differing[likest] and getattr(kinds[likest], asked) == right.node.value:
        return FORGOTTEN
    if len(differing[likest]) > 1:  # like nothing in the scene
        return _perception(asked, [], picture)
    return _perception(next(iter(differing[likest]), asked), [likest], picture)


def _perception(attribute: str, concerned: Sequence[int], picture: Picture) -> str:
    scene = picture() if concerned else None
    hidden = scene is not None and all(_half_hidden(scene, index) for index in concerned)
    return PERCEPTION[attribute] + (HALF_HIDDEN if hidden else "")


def _half_hidden(scene: Scene, index: int) -> bool:
    """Whether other objects take more than half of the pixels that an object would have alone."""
    item = scene.objects[index]
    camera = Camera(scene.camera, scene.width, scene.height)
    alone = visible([Solid(item.kind, item.coords, item.rotation)], camera)[0].pixels
    return item.visible_pixels < 0.5 * alone
