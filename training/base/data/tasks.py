"""What the base model is taught, one function a task; each draws an example of its own.

Answers have the form that the project's benchmarks expect. Whatever asks for a verdict is balanced, because
a model that can guess well never learns to look.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import partial

from clevrpolicy import skills
from clevrpolicy.dataset.instances import QUESTION
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.reasoning import listed
from clevrpolicy.policy.wording import BY_PICTURE, TESTS, named, where
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from harness.parsing import FORMAT, in_box
from training.base.data.examples import Example, Picture
from training.base.data.samplers import Material, Shown, policy

TRIES = 20
"""Draws for a balanced example before another answer is asked for."""

Task = Callable[[random.Random, Material], Example]


def caption(kinds: tuple[Kind, ...]) -> str:
    return f"The scene holds {listed(kinds)}."


def thought(*lines: str, answer: str) -> str:
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(answer)}"


def look(draw: random.Random, material: Material) -> Shown:
    shown = material.picture(draw)
    if shown is None:
        raise ValueError("expected a pool with scenes, got an empty one")
    return shown


def list_objects(draw: random.Random, material: Material) -> Example:
    """The scene as text, twice: in a sentence and as a list."""
    shown = look(draw, material)
    answer = skills.SEPARATOR.join(map(str, shown.kinds))
    return Example((shown.part, f"{skills.LIST} {FORMAT}"), thought(caption(shown.kinds), answer=answer))


def exists(draw: random.Random, material: Material) -> Example:
    """Is there such an object? One that is there, or one that differs from one that is there."""
    shown = look(draw, material)
    sought, size, color, shape = "", "", "", ""
    present, wanted = {(k.size, k.color, k.shape) for k in shown.kinds}, draw.random() < 0.5
    while not sought:
        kind = draw.choice(shown.kinds)
        if not wanted:
            attribute = draw.choice(("size", "color", "shape"))
            kind = kind._replace(**{attribute: draw.choice(ATTRIBUTES[attribute])})
        size, color, shape = kind.size, kind.color, kind.shape
        if ((size, color, shape) in present) == wanted:
            sought = f"{size} {color} {shape}"
    met = tuple(k for k in shown.kinds if (k.size, k.color, k.shape) == (size, color, shape))
    question = f"Is there a {sought} in this scene? Answer yes or no. {FORMAT}"
    lines = caption(shown.kinds), f"Is there a {sought} in the scene? {evidence(met)}."
    return Example((shown.part, question), thought(*lines, answer="yes" if met else "no"))


def count(draw: random.Random, material: Material) -> Example:
    """How many objects are there of one or two attributes? As often 0 as 1 or more, where scenes allow."""
    asked = draw.choice(skills.COUNTS)
    for _ in range(TRIES):
        shown = look(draw, material)
        names = draw.sample(sorted(ATTRIBUTES), draw.randint(1, 2))
        like = draw.choice(shown.kinds) if asked != "0" else draw.choice(KINDS)
        wanted = {name: getattr(like, name) for name in ATTRIBUTES if name in names}
        met = tuple(k for k in shown.kinds if all(getattr(k, n) == v for n, v in wanted.items()))
        if len(met) == int(asked):
            break
    noun = f"{wanted['shape']}s" if "shape" in wanted else "objects"
    described = " ".join([*(value for name, value in wanted.items() if name != "shape"), noun])
    question = f"How many {described} are in this scene? Answer with a number. {FORMAT}"
    lines = caption(shown.kinds), f"Are there {described} in the scene? {evidence(met)}."
    return Example((shown.part, question), thought(*lines, answer=str(len(met))))


def crops(draw: random.Random, material: Material) -> Example:
    """What do pictures in a policy show?"""
    asked: list[str | Picture] = []
    said = []
    for _ in range(3):
        attribute = draw.choice(sorted(ATTRIBUTES))
        value = draw.choice(ATTRIBUTES[attribute])
        before, after = f" Look for {BY_PICTURE}.".format(attribute=attribute, crop="…").split("<image:…>")
        asked += [before, material.crop(draw, attribute, value), after]
        said.append(f" Its picture shows the {attribute} {value}.")
    return Example(tuple(asked), "".join(said))


def evidence(met: tuple[Kind, ...]) -> str:
    return f"Yes, {listed(met)}" if met else "No, none"


def questions(draw: random.Random, material: Material, asked: bool) -> Example:
    """Conditions in a row on a scene in words: nothing but the matching of values, one after another.

    asked tells whether the question has the conditions. If not the answer just goes through some, which is
    easier: a value then stands in the caption or nowhere.
    """
    kinds = material.sentence(draw).kinds
    prompts, said = [], []
    focus = kinds
    for _ in range(6 if asked else 10):
        narrowed = focus != kinds and draw.random() < 0.7
        among = focus if narrowed else kinds
        (attribute,) = draw.choices(list(HARDER), list(HARDER.values()))
        present = {getattr(kind, attribute) for kind in among}
        absent = [value for value in ATTRIBUTES[attribute] if value not in present]
        value = draw.choice(sorted(present) if draw.random() < 0.5 or not absent else absent)
        met = tuple(kind for kind in among if getattr(kind, attribute) == value)
        thing, place = named(attribute, value), where(narrowed)
        prompts.append(" " + draw.choice(TESTS).format(thing=thing, where=place))
        said.append(f" Is there {thing} {place}? {evidence(met)}.")
        focus = met or among
    if asked:
        return Example((caption(kinds), *prompts), "\n".join(said))
    return Example((caption(kinds),), "\n".join(said), TEST)


HARDER = {"color": 4, "shape": 4, "size": 1, "material": 1}
"""How often each attribute is asked for: of many values, presence is harder to tell than of two."""

TEST = re.compile(r" Is there [^?]+\?")


def follow(draw: random.Random, material: Material, depth: int, visual: bool, seen: bool) -> Example:
    """A random policy in context: every response is asked for equally often, as in a benchmark.

    seen tells whether the scene is a picture; if not it is a sentence, which trains the same at less cost.
    """
    while True:
        drawn = policy(draw, material, depth, visual)
        leaves = list(drawn.tree.leaves())
        for _ in range(TRIES):
            _, reach = draw.choice(leaves)
            shown = material.picture(draw, reach) if seen else material.sentence(draw, reach)
            if shown is not None:
                part = shown.part or f"{caption(shown.kinds)} "
                question = f"{QUESTION.format(name=drawn.name)} {FORMAT}"
                return Example((*drawn.content, part, question), reasoning.gold(drawn.tree, shown.kinds))


def recall(draw: random.Random, material: Material, depth: int, visual: bool) -> Example:
    """What one condition of a policy in context tests, and where it leads."""
    drawn = policy(draw, material, depth, visual)
    _, question, answer = draw.choice(list(reasoning.recall(drawn.tree, drawn.name)))
    return Example((*drawn.content, question), in_box(answer))


def recite(draw: random.Random, material: Material, depth: int, visual: bool) -> Example:
    """What every condition of a policy tests and where it leads, in an order that is asked for: each word of
    the answer has to be looked up in the one section that it stands in."""
    drawn = policy(draw, material, depth, visual)
    asked = [(number, reasoning.fields(number, node)) for number, node, _ in drawn.tree.sections()]
    draw.shuffle(asked)
    question = f"List the conditions {', '.join(number for number, _ in asked)}."
    lines = [f"Condition {number}: {'; '.join(fields)}." for number, fields in asked]
    return Example((*drawn.content, question), "\n".join(["", *lines]))


TASKS: dict[str, Task] = {
    "list": list_objects,
    "exists": exists,
    "count": count,
    "crops": crops,
    "match": partial(questions, asked=False),
    "questions": partial(questions, asked=True),
    **{f"recite-{n}": partial(recite, depth=n, visual=False) for n in (2, 3, 4)},
    "recite-visual-2": partial(recite, depth=2, visual=True),
    **{f"recall-{n}": partial(recall, depth=n, visual=False) for n in (2, 3, 4)},
    "recall-visual-2": partial(recall, depth=2, visual=True),
    **{f"read-{n}": partial(follow, depth=n, visual=False, seen=False) for n in (1, 2, 3, 4)},
    **{f"follow-{n}": partial(follow, depth=n, visual=False, seen=True) for n in (1, 2, 3, 4)},
    **{f"visual-{n}": partial(follow, depth=n, visual=True, seen=True) for n in (1, 2, 3)},
}
"""By name. read: a scene in words under a policy; follow: a picture; visual: a picture under one of -M."""
