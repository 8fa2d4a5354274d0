"""The tasks that the base model learns. Each is a function that samples one example.

Answers have the form that the benchmarks expect. If a task asks for a decision, the possible answers are
balanced, because a model that does well by guessing never learns to look.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from clevrpolicy import skills
from clevrpolicy.dataset.instances import QUESTION
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.reasoning import enumeration
from clevrpolicy.policy.wording import BY_PICTURE, TESTS, noun_phrase, scope
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from harness.parsing import FORMAT, in_box
from training.base.data.examples import Example, Picture
from training.base.data.samplers import SceneSampler, sample_policy
from training.base.model.tokenizer import CONDITIONS, MAX_DEPTH

# Number of attempts to find a scene that gives the chosen answer.
TRIES = 20
# How often each attribute is tested in `questions`. Color and shape have more values than size and material,
# which makes it harder to learn whether a value is present.
ATTRIBUTE_WEIGHTS = {"color": 4, "shape": 4, "size": 1, "material": 1}
# The tests in an answer to `questions`, which are random if the question does not contain them.
TEST = re.compile(r" Is there [^?]+\?")
# The number of a condition other than the first.
NUMBER = re.compile(r"(?<![\d.])1(?:\.[12])+")
# Half of the policies of up to SHALLOW layers number their conditions randomly, with numbers of any layer. So
# the numbers are known before deep policies, where only the length is new.
SHALLOW, RENUMBERED_SHARE = 4, 0.5
# Maximum number of conditions to recite at a time.
RECITED = 8
# Questions about a deep policy in one sequence. Most of the sequence is the policy, which is computed once.
QUESTIONS = 4

Task = Callable[[random.Random, SceneSampler], Example]


def caption(kinds: tuple[Kind, ...]) -> str:
    return f"The scene holds {enumeration(kinds)}."


def evidence(matching: tuple[Kind, ...]) -> str:
    return f"Yes, {enumeration(matching)}" if matching else "No, none"


def with_reasoning(*lines: str, answer: str) -> str:
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(answer)}"


def list_objects(rng: random.Random, sampler: SceneSampler) -> Example:
    """List the objects of a scene. The answer describes them twice: in a sentence and as a list."""
    scene = sampler.picture(rng)
    objects = skills.SEPARATOR.join(map(str, scene.kinds))
    answer = with_reasoning(caption(scene.kinds), answer=objects)
    return Example((scene.part, f"{skills.LIST} {FORMAT}"), answer)


def exists(rng: random.Random, sampler: SceneSampler) -> Example:
    """Does an object with this size, color and shape exist? If not, a similar one does."""
    scene = sampler.picture(rng)
    present = {(kind.size, kind.color, kind.shape) for kind in scene.kinds}
    answer_yes = rng.random() < 0.5
    while True:
        kind = rng.choice(scene.kinds)
        if not answer_yes:
            attribute = rng.choice(("size", "color", "shape"))
            kind = kind._replace(**{attribute: rng.choice(ATTRIBUTES[attribute])})
        target = (kind.size, kind.color, kind.shape)
        if (target in present) == answer_yes:
            break
    matching = tuple(k for k in scene.kinds if (k.size, k.color, k.shape) == target)
    described = " ".join(target)
    question = f"Is there a {described} in this scene? Answer yes or no. {FORMAT}"
    lines = caption(scene.kinds), f"Is there a {described} in the scene? {evidence(matching)}."
    return Example((scene.part, question), with_reasoning(*lines, answer="yes" if answer_yes else "no"))


def count(rng: random.Random, sampler: SceneSampler) -> Example:
    """How many objects have these one or two values? Each count is equally frequent where scenes allow."""
    target = rng.choice(skills.COUNTS)
    for _ in range(TRIES):
        scene = sampler.picture(rng)
        attributes = rng.sample(sorted(ATTRIBUTES), rng.randint(1, 2))
        reference = rng.choice(scene.kinds) if target != "0" else rng.choice(KINDS)
        values = {name: getattr(reference, name) for name in ATTRIBUTES if name in attributes}
        matching = tuple(k for k in scene.kinds if all(getattr(k, n) == v for n, v in values.items()))
        if len(matching) == int(target):
            break
    noun = f"{values['shape']}s" if "shape" in values else "objects"
    described = " ".join([*(value for name, value in values.items() if name != "shape"), noun])
    question = f"How many {described} are in this scene? Answer with a number. {FORMAT}"
    lines = caption(scene.kinds), f"Are there {described} in the scene? {evidence(matching)}."
    return Example((scene.part, question), with_reasoning(*lines, answer=str(len(matching))))


def crops(rng: random.Random, sampler: SceneSampler) -> Example:
    """Which value does each of three pictures in a policy show?"""
    question: list[str | Picture] = []
    answers = []
    for _ in range(3):
        attribute = rng.choice(sorted(ATTRIBUTES))
        value = rng.choice(ATTRIBUTES[attribute])
        before, after = f" Look for {BY_PICTURE}.".format(attribute=attribute, crop="…").split("<image:…>")
        question += [before, sampler.crop(rng, attribute, value), after]
        answers.append(f" Its picture shows the {attribute} {value}.")
    return Example(tuple(question), "".join(answers))


def questions(rng: random.Random, sampler: SceneSampler, in_question: bool) -> Example:
    """A sequence of conditions on a scene in words, to learn to match values and nothing else.

    If not `in_question`, the answer contains conditions that the question does not state. That is easier,
    because a value then occurs either in the caption or nowhere else.
    """
    kinds = sampler.sentence(rng).kinds
    tests, answers = [], []
    # The objects that the last condition singled out.
    focus = kinds
    for _ in range(6 if in_question else 10):
        narrowed = focus != kinds and rng.random() < 0.7
        among = focus if narrowed else kinds
        (attribute,) = rng.choices(list(ATTRIBUTE_WEIGHTS), list(ATTRIBUTE_WEIGHTS.values()))
        present = {getattr(kind, attribute) for kind in among}
        absent = [value for value in ATTRIBUTES[attribute] if value not in present]
        value = rng.choice(sorted(present) if rng.random() < 0.5 or not absent else absent)
        matching = tuple(kind for kind in among if getattr(kind, attribute) == value)
        thing, place = noun_phrase(attribute, value), scope(narrowed)
        tests.append(" " + rng.choice(TESTS).format(thing=thing, where=place))
        answers.append(f" Is there {thing} {place}? {evidence(matching)}.")
        focus = matching or among
    if in_question:
        return Example((caption(kinds), *tests), "\n".join(answers))
    return Example((caption(kinds),), "\n".join(answers), unpredictable=TEST)


def renumbered(rng: random.Random, depth: int, example: Example) -> Example:
    """The example of a policy; if it is shallow, half of the time with random numbers of its conditions.

    The first condition keeps its number, because each policy begins there.
    """
    if depth > SHALLOW or rng.random() >= RENUMBERED_SHARE:
        return example
    numbers = iter(rng.sample(CONDITIONS[1:], len(CONDITIONS) - 1))
    renamed: defaultdict[str, str] = defaultdict(numbers.__next__)

    def replace_in(text: str) -> str:
        return NUMBER.sub(lambda match: renamed[match[0]], text)

    question = tuple(part if isinstance(part, Picture) else replace_in(part) for part in example.question)
    return replace(example, question=question, answer=replace_in(example.answer))


def follow(rng: random.Random, sampler: SceneSampler, depth: int, visual: bool, as_picture: bool) -> Example:
    """Apply a random policy to a picture or, at less cost, to a sentence; all cases are equally frequent."""
    wanted = QUESTIONS if depth > SHALLOW else 1
    while True:
        policy = sample_policy(rng, sampler, depth, visual)
        leaves = list(policy.tree.leaves())
        examples: list[Example] = []
        # Sampling the leaf first, then a scene that reaches it, makes "yes" right for half of the conditions.
        for _ in range(TRIES * wanted):
            _, reach = rng.choice(leaves)
            scene = sampler.picture_reaching(rng, reach) if as_picture else sampler.sentence(rng, reach)
            if scene is not None:
                part = scene.part or f"{caption(scene.kinds)} "
                question = f"{QUESTION.format(name=policy.name)} {FORMAT}"
                answer = reasoning.gold(policy.tree, scene.kinds)
                examples.append(Example((*policy.content, part, question), answer))
            if len(examples) == wanted:
                return renumbered(rng, depth, replace(examples[0], more=tuple(examples[1:])))


def recall(rng: random.Random, sampler: SceneSampler, depth: int, visual: bool) -> Example:
    """What does one condition of a policy in context test, and where does it lead?"""
    policy = sample_policy(rng, sampler, depth, visual)
    _, question, answer = rng.choice(list(reasoning.recall(policy.tree, policy.name)))
    return renumbered(rng, depth, Example((*policy.content, question), in_box(answer)))


def recite(rng: random.Random, sampler: SceneSampler, depth: int, visual: bool) -> Example:
    """Repeat what up to RECITED conditions test and where they lead, in a random order."""
    policy = sample_policy(rng, sampler, depth, visual)
    sections = list(policy.tree.sections())
    chosen = rng.sample(sections, min(RECITED, len(sections)))
    conditions = [(number, reasoning.fields(number, node)) for number, node, _ in chosen]
    question = f"List the conditions {', '.join(number for number, _ in conditions)}."
    lines = [f"Condition {number}: {'; '.join(fields)}." for number, fields in conditions]
    return renumbered(rng, depth, Example((*policy.content, question), "\n".join(["", *lines])))


DEPTHS = range(1, MAX_DEPTH + 1)
# read: a scene in words and a policy; follow: a scene as a picture; visual: also with pictures in the policy.
TASKS: dict[str, Task] = {
    "list": list_objects,
    "exists": exists,
    "count": count,
    "crops": crops,
    "match": partial(questions, in_question=False),
    "questions": partial(questions, in_question=True),
    **{f"recite-{n}": partial(recite, depth=n, visual=False) for n in DEPTHS},
    "recite-visual-2": partial(recite, depth=2, visual=True),
    **{f"recall-{n}": partial(recall, depth=n, visual=False) for n in DEPTHS},
    "recall-visual-2": partial(recall, depth=2, visual=True),
    **{f"read-{n}": partial(follow, depth=n, visual=False, as_picture=False) for n in DEPTHS},
    **{f"follow-{n}": partial(follow, depth=n, visual=False, as_picture=True) for n in DEPTHS},
    **{f"visual-{n}": partial(follow, depth=n, visual=True, as_picture=True) for n in DEPTHS},
}
