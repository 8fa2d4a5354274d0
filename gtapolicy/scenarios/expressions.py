"""The expressions and texts of scenarios: what the cells and labels of a spreadsheet are.

An expression such as `sample(produce, between(2, 4))` is Python's notation for a value. It may use earlier
facts, the word lists in words/*.toml, comprehensions, f-strings and the functions below. A text such as
"I'd like {basket}." contains expressions in braces. simpleeval evaluates them, so a scenario cannot run code.
"""

import ast
import functools
import operator
import string
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from simpleeval import EvalWithCompoundTypes, NameNotDefined

from gtapolicy.grading.expression import evaluate
from gtapolicy.pictures.surfaces import DESKS, WALLS
from harness.errors import UserError
from harness.files import store
from harness.text import enumeration

# Functions that say what is where in the pictures (draft.py).
OF_STEPS = ("image", "lines", "box", "boxes")


def _only_in_steps(*_: object) -> None:
    raise UserError(f"expected {', '.join(OF_STEPS)} only in steps, because users see no paths and boxes")


class NothingToChoose(UserError):
    """A random choice among no values. Facts are then drawn again."""


@functools.cache
def word_lists() -> dict[str, Any]:
    """The word lists, price ranges and styles of all files in words/, by their keys, and the surfaces."""
    files = sorted((Path(__file__).parent / "words").glob("*.toml"))
    lists = (store.read_toml(file, dict[str, Any]) for file in files)
    return functools.reduce(operator.or_, lists, {"desks": DESKS, "walls": WALLS})


class Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
    """Evaluates the expressions and texts of one dialog. `names` grows while its facts are drawn."""

    def __init__(self, rng: Random) -> None:
        own = {"fill": self.text, "towns": self.towns, **dict.fromkeys(OF_STEPS, _only_in_steps)}
        super().__init__(functions={**FUNCTIONS, **draws(rng), **own}, names=dict(word_lists()))
        for name, phrase in word_lists()["phrases"].items():
            self.functions[name] = functools.partial(self.text, phrase)

    def value(self, expression: object) -> Any:
        """The value of an expression; a value that is not a string is its own value."""
        if not isinstance(expression, str):
            return expression
        try:
            return self._no_function(expression)
        except (SyntaxError, NameNotDefined):
            if set(expression) & set("()[]{}"):
                raise
            raise UserError(
                f"expected an expression, got {expression!r}; for a text, write \"'{expression}'\""
            ) from None

    def _no_function(self, expression: str) -> Any:
        value = self.eval(expression, _parsed(expression))
        if callable(value):
            raise UserError(f"expected a value, got the function {expression}; write {expression}()")
        return value

    def _eval_subscript(self, node: ast.Subscript) -> Any:
        try:
            return super()._eval_subscript(node)
        except LookupError:
            known, key = self._eval(node.value), self._eval(node.slice)
            names = f"one of {', '.join(known)}" if isinstance(known, Mapping) else f"less than {len(known)}"
            raise UserError(f"expected {names}; got {key!r}") from None

    def text(self, template: str) -> str:
        """The text with the values of the expressions in braces."""
        parts = []
        for literal, field, spec, _ in string.Formatter().parse(template):
            value = "" if field is None else format(self._no_function(field), spec or "")
            parts.append(literal + value)
        return "".join(parts)

    def towns(self, number: int) -> list[str]:
        """Different towns."""
        chosen: dict[str, None] = {}
        while len(chosen) < number:
            chosen[self.functions["town"]()] = None
        return list(chosen)


@functools.lru_cache(maxsize=4096)
def _parsed(expression: str) -> ast.AST:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ast.parse(expression.strip(), mode="eval").body


def draws(rng: Random) -> dict[str, Callable[..., Any]]:
    """The functions that draw something at random."""

    def choice(values: Iterable[Any]) -> Any:
        if not (options := list(values)):
            raise NothingToChoose("choice: expected at least one value, got none")
        return rng.choice(options)

    def priced(goods: Mapping[str, Sequence[float]], number: int) -> list[dict[str, Any]]:
        """Different goods at different prices, given the lowest and the highest price of each."""
        prices: list[float] = []
        for name in (chosen := rng.sample(sorted(goods), number)):
            price = round(rng.uniform(*goods[name]), 2)
            while price in prices:
                price = round(price + 0.1, 2)
            prices.append(price)
        return [{"name": name, "price": price} for name, price in zip(chosen, prices, strict=True)]

    return {
        "choice": choice,
        "sample": lambda values, number: rng.sample(list(values), number),
        "shuffled": lambda values: rng.sample(list(values), len(values)),
        "between": rng.randint,
        "uniform": rng.uniform,
        "chance": lambda share: rng.random() < share,
        "priced": priced,
    }


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "enumerate": enumerate, "int": int, "len": len, "max": max, "min": min, "range": range,
    "round": round, "sorted": sorted, "str": str, "sum": sum, "zip": zip, "joined": "\n".join,
    "count": Counter, "enumeration": enumeration,
    "a": lambda noun: f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}",
    "plural": lambda noun: word_lists()["plurals"].get(noun, f"{noun}s"),
    # A time given in minutes after midnight.
    "clock": lambda minutes: f"{minutes // 60:02d}:{minutes % 60:02d}",
    # The number as a later term of a sum: the sign, a space, the absolute value.
    "signed": lambda number: f"{'-' if number < 0 else '+'} {abs(number)}",
    # The value of an arithmetic expression, with up to six decimals.
    "result": lambda expression: f"{evaluate(expression):.6f}".rstrip("0").rstrip("."),
    # The path of the image that a tool makes from the image at this path.
    "generated": lambda path: path.replace("/image_", "/generated_"),
    # Rows in the order of one of their values.
    "ranked": lambda rows, key: sorted(rows, key=lambda row: row[key]),
}  # fmt: skip
"""The functions that draw nothing."""
