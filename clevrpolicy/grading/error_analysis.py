"""Finds the first error of a wrong response from its reasoning, the tree and the scene.

The analysis follows the conditions that the response cites, in order, until the response leaves the correct
path (paper, error analysis). It checks for each one: does it exist, is it due (the next one on the path),
what does it test, does it hold, and where does it lead? A condition with neither a verdict nor a target is
only mentioned and need not be due. A condition that was already followed is ignored. The labels:

- "unparsed": the response has no readable answer.
- "no condition cited": the reasoning cites no condition.
- "invented condition": it cites, or continues with, a condition that the policy does not have.
- "skipped condition": it cites another condition than the one that is due, or answers before reaching a case.
- "misquoted rule": it states that a condition tests something else or leads elsewhere. In ClevrPolicy-M
  this includes misreading the picture that shows the value.
- "ruled-out object counted": it says yes because of an object that is in the scene and has the tested
  value, but that an earlier condition has ruled out.
- "perception: size" (or color, material, shape): it states a verdict that is wrong for the scene. If the
  object that it names differs from the most similar object of the scene in exactly one attribute, the label
  contains this attribute, otherwise the attribute that the condition tests. "(half hidden)" is added if other
  objects hide more than half of the misread object, or more than half of each object that was missed.
- "wrong answer after correct reasoning": the reasoning has none of these errors, but the answer is wrong.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from clevrpolicy.grading.check import Rule, Rules, statements, states_correct_test
from clevrpolicy.grading.parse import CitedCondition, parse_citations
from clevrpolicy.policy import tree
from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import ATTRIBUTES, Kind, Scene
from clevrpolicy.scene.visibility import Solid, visible
from harness.parsing import boxed

UNPARSED = "unparsed"
NO_CONDITION = "no condition cited"
INVENTED = "invented condition"
SKIPPED = "skipped condition"
MISQUOTED = "misquoted rule"
RULED_OUT = "ruled-out object counted"
WRONG_ANSWER = "wrong answer after correct reasoning"
PERCEPTION = {attribute: f"perception: {attribute}" for attribute in ATTRIBUTES}
HALF_HIDDEN = " (half hidden)"

# Returns the scene with its camera, or None if the camera is unknown, as in CLEVR's own scenes.
SceneLoader = Callable[[], Scene | None]


class FirstError(NamedTuple):
    """The first error of a wrong response."""

    label: str
    # The number of the condition at which it occurs; None if it is in the answer.
    condition: str | None = None


def first_error(
    text: str, path: Sequence[tree.Visit], rules: Rules, kinds: Sequence[Kind], load_scene: SceneLoader
) -> FirstError:
    """The first error of a wrong response, given the correct path and the objects of the scene."""
    if boxed(text) is None:
        return FirstError(UNPARSED)
    citations = parse_citations(text)
    if not citations:
        return FirstError(NO_CONDITION)
    correct_steps = {step.condition: step for step in path}
    followed: set[str] = set()
    due = "Condition 1"
    for cited in citations:
        if any(number not in rules for number in _numbers(cited)):
            return FirstError(INVENTED, cited.number)
        rule = rules[cited.number]
        verdict = _verdict(cited, rule)
        only_mentioned = verdict is None and cited.target is None
        if not only_mentioned and cited.number in followed:
            continue
        if not only_mentioned and due != f"Condition {cited.number}":
            return FirstError(SKIPPED, cited.number)
        routes_true = all(target == rule.targets[holds] for holds, target in cited.routes)
        if states_correct_test(cited, rule) is False or not routes_true:
            return FirstError(MISQUOTED, cited.number)
        if only_mentioned:
            continue
        # All verdicts so far are correct, so the condition that is due is on the correct path.
        step = correct_steps[cited.number]
        if verdict is not None and verdict != step.holds:
            return FirstError(_wrong_verdict(cited, step, kinds, load_scene), cited.number)
        if not all(true for _, true in statements(cited, rule)):
            return FirstError(MISQUOTED, cited.number)
        followed.add(cited.number)
        due = rule.targets[step.holds]
    return FirstError(WRONG_ANSWER if due.startswith("Case ") else SKIPPED)


def _numbers(cited: CitedCondition) -> list[str]:
    """The number of the cited condition, and of each condition to which the response says that it leads."""
    targets = [target for _, target in cited.routes] + ([cited.target] if cited.target else [])
    return [cited.number, *(t.removeprefix("Condition ") for t in targets if t.startswith("Condition "))]


def _verdict(cited: CitedCondition, rule: Rule) -> bool | None:
    """The stated verdict. If none is stated, the verdict that leads to the stated target."""
    if cited.verdict is not None:
        return cited.verdict
    return next((holds for holds, target in rule.targets.items() if target == cited.target), None)


def _wrong_verdict(
    cited: CitedCondition, step: tree.Visit, kinds: Sequence[Kind], load_scene: SceneLoader
) -> str:
    tested = step.node.attribute
    if step.holds:  # the objects that meet the condition were missed
        missed = [index for index, kind in enumerate(kinds) if step.met & tree.mask([kind])]
        return _perception(tested, missed, load_scene)
    if not cited.evidence:
        return _perception(tested, [], load_scene)
    # The response names an object, but no object of the scene meets the condition. Find the most similar one
    # and the attributes that differ. On a tie, prefer an object that differs in the tested attribute.
    named = cited.evidence[0]
    differing = [[a for a, value in named.items() if getattr(kind, a) != value] for kind in kinds]
    nearest = min(range(len(kinds)), key=lambda i: (len(differing[i]), tested not in differing[i]))
    if not differing[nearest] and getattr(kinds[nearest], tested) == step.node.value:
        return RULED_OUT
    if len(differing[nearest]) > 1:  # similar to no object of the scene
        return _perception(tested, [], load_scene)
    return _perception(next(iter(differing[nearest]), tested), [nearest], load_scene)


def _perception(attribute: str, objects: Sequence[int], load_scene: SceneLoader) -> str:
    """The label. `objects` are the indices of the objects that were misread or missed."""
    scene = load_scene() if objects else None
    hidden = scene is not None and all(_half_hidden(scene, index) for index in objects)
    return PERCEPTION[attribute] + (HALF_HIDDEN if hidden else "")


def _half_hidden(scene: Scene, index: int) -> bool:
    """Whether other objects hide more than half of the pixels that the object would have alone."""
    item = scene.objects[index]
    camera = Camera(scene.camera, scene.width, scene.height)
    alone = visible([Solid(item.kind, item.coords, item.rotation)], camera)[0].pixels
    return item.visible_pixels < 0.5 * alone
