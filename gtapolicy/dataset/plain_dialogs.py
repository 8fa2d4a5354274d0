"""Plain dialogs: requests without images that state every value, for tools that GTA does not have.

They are used for your own tables and for random tables. They test whether a model knows the rules, but do not
test vision.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from gtapolicy.dataset.dialogs import Argument, Dialog, Step
from gtapolicy.policy import rules
from gtapolicy.policy.rules import Tool

WORDS = "amber birch cobalt delta ember falcon garnet harbor indigo juniper kelp lumen maple nectar".split()
OPENINGS = ("Please do the following.", "I need your help.", "Could you do this for me?", "Next on my list:")
MAX_CALLS = 3


class PlainScenario(NamedTuple):
    """Requests to call a tool, then random ones."""

    first: Tool
    calls: int
    tools: Sequence[Tool]

    def drawn(self, rng: random.Random, dialog: Dialog) -> Dialog:
        """The dialog with a query and steps."""
        chosen = [self.first, *(rng.choice(self.tools) for _ in range(self.calls - 1))]
        steps = tuple(_step(tool, rng) for tool in chosen)
        requests = []
        for number, (tool, step) in enumerate(zip(chosen, steps, strict=True), 1):
            values = " and ".join(f"{name} {value!r}" for name, value in step.arguments.items())
            given = values or "with no values given"
            requests.append(f"{number}. {tool.description.rstrip('.')}: {given}.")
        return replace(dialog, query=" ".join([rng.choice(OPENINGS), *requests]), steps=steps)


def _step(tool: Tool, rng: random.Random) -> Step:
    sampled = {a: _value(a, rng) for a in tool.arguments if a.required or rng.random() < 0.7}
    arguments = {a.name: value for a, value in sampled.items() if value != a.default}
    return Step(tool.name, arguments, "Done.", origins=dict.fromkeys(arguments, "the query"))


def _value(argument: rules.Argument, rng: random.Random) -> Argument:
    if argument.type == "int":
        return rng.randint(2, 30)
    if argument.type == "bool":
        return not argument.default
    if argument.name == "bbox":
        left, top = rng.randint(0, 200), rng.randint(0, 200)
        return f"({left}, {top}, {left + rng.randint(20, 200)}, {top + rng.randint(20, 200)})"
    if argument.name == "expression":
        return f"{rng.randint(2, 99)} * {rng.randint(2, 99)}"
    return " ".join(rng.sample(WORDS, 2))
