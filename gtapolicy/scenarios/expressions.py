"""The expressions and texts of scenarios: what the cells and labels of a spreadsheet are.

An expression such as `sample(produce, between(2, 4))` is Python's notation for a value. It may use earlier
facts, the word lists in words/*.toml, comprehensions, f-strings and the functions below. A text such as
"I'd like {basket}." contains expressions in braces. simpleeval evaluates them, so a scenario cannot run code.
"""

import ast
import functools
import re
import string
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from gtapolicy.grading.expression import evaluate
from gtapolicy.pictures.surfaces import DESKS, WALLS
from harness.text import enumeration

# What a wrong expression or text raises.
ERRORS = (InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError)


class NothingToChoose(ValueError):
    """A random choice among no values. Facts are then drawn again."""


@functools.cache
def word_lists() -> dict[str, Any]:
    """The word lists, price ranges and styles of all files in words/, by their keys, and the surfaces."""
    files = sorted((Path(__file__).parent / "words").glob("*.toml"))
    lists = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {"desks": DESKS, "walls": WALLS} | {
        name: value for words in lists for name, value in words.items()
    }


class Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
    """Evaluates the expressions and texts of one dialog. `names` grows while its facts are drawn."""

    def __init__(self, rng: Random) -> None:
        super().__init__(functions={**FUNCTIONS, **draws(rng), "fill": self.text}, names=dict(word_lists()))

    def value(self, expression: object) -> Any:
        """The value of an expression; a value that is not a string is its own value."""
        return self.eval(expression, _parsed(expression)) if isinstance(expression, str) else expression

    def text(self, template: str) -> str:
        """The text with the values of the expressions in braces."""
        parts = []
        for literal, field, spec, _ in string.Formatter().parse(template):
            value = "" if field is None else format(self.value(field), spec or "")
            parts.append(literal + value)
        return "".join(parts)


@functools.lru_cache(maxsize=4096)
def _parsed(expression: str) -> ast.AST:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ast.parse(expression.strip(), mode="eval").body


def draws(rng: Random) -> dict[str, Callable[..., Any]]:
    """The functions that draw something at random."""
    words = word_lists()

    def word(kind: str) -> str:
        return str(rng.choice(words[kind]))

    def choice(values: Iterable[Any]) -> Any:
        if not (options := list(values)):
            raise NothingToChoose("choice: expected at least one value, got none")
        return rng.choice(options)

    def sample(values: Sequence[Any], number: int) -> list[Any]:
        return rng.sample(list(values), number)

    def town() -> str:
        return word("town_starts") + word("town_ends")

    def towns(number: int) -> list[str]:
        """Different towns."""
        chosen: dict[str, None] = {}
        while len(chosen) < number:
            chosen[town()] = None
        return list(chosen)

    def priced(goods: Mapping[str, Sequence[float]], number: int) -> list[dict[str, Any]]:
        """Different goods at different prices, given the lowest and the highest price of each."""
        prices: list[float] = []
        for name in (chosen := sample(sorted(goods), number)):
            price = round(rng.uniform(*goods[name]), 2)
            while price in prices:
                price = round(price + 0.1, 2)
            prices.append(price)
        return [{"name": name, "price": price} for name, price in zip(chosen, prices, strict=True)]

    return {
        "choice": choice,
        "sample": sample,
        "shuffled": lambda values: sample(values, len(values)),
        "between": rng.randint,
        "uniform": rng.uniform,
        "chance": lambda share: rng.random() < share,
        "town": town,
        "towns": towns,
        "priced": priced,
        "first_name": lambda: word("first_names"),
        "person": lambda: f"{word('first_names')} {word('last_names')}",
        "shop": lambda: f"The {word('adjectives')} {word('nouns')}",
        "brand": lambda: "".join(rng.sample(words["syllables"], rng.choice((2, 3, 3)))).capitalize(),
        "date": lambda: f"{rng.randint(1, 28)} {word('months')}",
    }


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def plural(noun: str) -> str:
    return str(word_lists()["plurals"].get(noun, f"{noun}s"))


def clock(minutes: int) -> str:
    """A time given in minutes after midnight."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def signed(number: int) -> str:
    """The number as a later term of a sum: the sign, a space, the absolute value."""
    return f"{'-' if number < 0 else '+'} {abs(number)}"


def result(expression: str) -> str:
    """The value of an arithmetic expression, with up to six decimals."""
    return f"{evaluate(expression):.6f}".rstrip("0").rstrip(".")


def generated(path: str) -> str:
    """The path of the image that a tool makes from the image at this path."""
    return re.sub(r"image_(?=\d+\.jpg)", "generated_", path)


def ranked(rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """The rows in the order of one of their values."""
    return sorted(rows, key=lambda row: row[key])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "enumerate": enumerate, "int": int, "len": len, "max": max, "min": min, "range": range,
    "round": round, "sorted": sorted, "str": str, "sum": sum, "zip": zip, "joined": "\n".join,
    "a": with_article, "clock": clock, "count": Counter, "enumeration": enumeration, "generated": generated,
    "plural": plural, "ranked": ranked, "result": result, "signed": signed,
}  # fmt: skip
"""The functions that draw nothing."""
