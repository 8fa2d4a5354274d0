"""Asks for the value of a condition in the middle of a chain of thought: on its path, or off it.

    on the path     caption, the conditions before this one with their answers, "Condition 1.2:"
    off the path    caption, "Condition 1.2:"

The model continues this beginning of a response, and the first value that it names is compared with that of
the condition. Both beginnings have the form of the chains that a model is trained on. So the difference
shows how far the knowledge can be reached only along the path. The first condition is left out, because
nothing comes before it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from clevrpolicy.policy import reasoning
from clevrpolicy.policy.tree import Tree
from clevrpolicy.policy.wording import noun_phrase
from clevrpolicy.scene.ontology import ATTRIBUTES, Kind
from harness.family import Family
from harness.files.benchmark import CLOZE
from harness.records import Grade, Instance, Part
from harness.variants import Variant

ON, OFF = "on the path", "off the path"
# How many scenes each condition is asked about, as far as the test split has them.
SCENES = 2
ATTRIBUTE = {value: attribute for attribute, values in ATTRIBUTES.items() for value in values}


def questions(
    test: Iterable[Instance], tree: Callable[[str], Tree], kinds: Callable[[Instance], Sequence[Kind]]
) -> Iterator[Instance]:
    """Two instances, on and off the path, for each condition but the first and each of some scenes."""
    asked: Counter[tuple[str, str]] = Counter()
    for instance in test:
        policy, (first, *others) = str(instance.policy_id), instance.facts["path"]
        values = {condition: node.value for condition, node, _ in tree(policy).sections()}
        chain = reasoning.gold(tree(policy), kinds(instance))
        caption, _, _ = chain.partition(f"\nCondition {first}:")
        for condition in others:
            asked[policy, condition] += 1
            if asked[policy, condition] > SCENES:
                continue
            name = f"\nCondition {condition}:"
            before, _, after = chain.partition(name)
            for where, begun in ((ON, before), (OFF, caption)):
                yield replace(
                    instance,
                    id=f"{instance.id}-cloze-{condition}-{where.partition(' ')[0]}",
                    split=CLOZE,
                    query=(*instance.query, Part("response", begun + name)),
                    facts={
                        **instance.facts,
                        "condition": condition,
                        "asked": where,
                        "continuation": after,
                    },
                    target=values[condition],
                    override=None,
                )


class ClevrCloze(Family):
    """Grades these questions. Its answers are all values of all attributes."""

    scorer = "first-value/1"

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 if the first value that is named before the end of the line is right."""
        line = text.lstrip("\n").partition("\n")[0]
        named = next((word for word in re.findall(r"[a-z]+", line.lower()) if word in ATTRIBUTE), None)
        value = float(named == target)
        return Grade(value, None if named else "unparsed", {instance.facts["asked"]: value})

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return list(ATTRIBUTE)

    def respond(self, answer: str) -> str:
        return f" Is there {noun_phrase(ATTRIBUTE[answer], answer)}"

    def gold(self, instance: Instance, variant: Variant) -> str:
        return str(instance.facts["continuation"])
