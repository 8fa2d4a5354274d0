"""Dialogs for any tool that a table has and GTA has not: plain requests that name the values to use.

They carry tables of a user's own, and invented ones of any size; what they test is the rules, not the eyes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gtapolicy.dataset.dialogs import Argument, Dialog, Step
from gtapolicy.policy.rules import Argument as Parameter
from gtapolicy.policy.rules import Tool

WORDS = "amber birch cobalt delta ember falcon garnet harbor indigo juniper kelp lumen maple nectar".split()
OPENINGS = ("Please do the following.", "I need your help.", "Could you do this for me?", "Next on my list:")
LONGEST = 3
"""Calls in a dialog."""


def dialogs(tools: Sequence[Tool], count: int, rng: random.Random) -> Iterator[Dialog]:
    """count dialogs of one to LONGEST calls; every tool begins one before any begins another."""
    for number in range(count):
        first = tools[number % len(tools)]
        chosen = [first, *(rng.choice(tools) for _ in range(rng.randint(0, LONGEST - 1)))]
        steps = tuple(_step(tool, rng) for tool in chosen)
        asks = [
            f"{n}. {_request(tool, step)}"
            for n, (tool, step) in enumerate(zip(chosen, steps, strict=True), 1)
        ]
        yield Dialog(f"plain-{number:04d}", "plain", " ".join([rng.choice(OPENINGS), *asks]), (), steps)


def _step(tool: Tool, rng: random.Random) -> Step:
    arguments = {p.name: _value(p, rng) for p in tool.arguments if p.required or rng.random() < 0.7}
    arguments = {name: v for name, v in arguments.items() if v != _default(tool, name)}
    return Step(tool.name, arguments, "Done.", origins=dict.fromkeys(arguments, "the query"))


def _value(parameter: Parameter, rng: random.Random) -> Argument:
    if parameter.type == "int":
        return rng.randint(2, 30)
    if parameter.type == "bool":
        return not parameter.default
    if parameter.name == "bbox":
        left, top = rng.randint(0, 200), rng.randint(0, 200)
        return f"({left}, {top}, {left + rng.randint(20, 200)}, {top + rng.randint(20, 200)})"
    if parameter.name == "expression":
        return f"{rng.randint(2, 99)} * {rng.randint(2, 99)}"
    return " ".join(rng.sample(WORDS, 2))


def _default(tool: Tool, name: str) -> Argument | None:
    return next(p.default for p in tool.arguments if p.name == name)


def _request(tool: Tool, step: Step) -> str:
    values = " and ".join(f"{name} {value!r}" for name, value in step.arguments.items())
    return f"{tool.description.rstrip('.')}: {values or 'with no values given'}."
