"""The expressions and texts of scenarios: what the cells and labels of a spreadsheet are.

An expression such as `sample(produce, between(2, 4))` is Python's notation for a value. It may use earlier
facts, the word lists in words/*.toml, comprehensions, f-strings and the functions below. A text such as
"I'd like {basket}." contains expressions in braces. simpleeval evaluates them, so a scenario cannot run code.
"""

import ast
import functools
import operator
import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from simpleeval import AttributeDoesNotExist, EvalWithCompoundTypes, FunctionNotDefined, NameNotDefined

from gtapolicy.grading.expression import ERRORS, evaluate
from gtapolicy.pictures.drawing import Box
from gtapolicy.pictures.draws import draws
from gtapolicy.pictures.mistakes import Named, in_words, nearest
from gtapolicy.pictures.surfaces import DESKS, WALLS
from harness.errors import UserError
from harness.files import store
from harness.text import enumeration, short

# Functions that say what is where in the pictures (draft.py).
OF_STEPS = ("image", "lines", "box", "boxes")


def _only_in_steps(*_: object) -> None:
    raise UserError(f"expected {', '.join(OF_STEPS)} only in steps, because users see no paths and boxes")


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
        # The field of each fact, such as facts.rows, also of those that are not drawn yet.
        self.fields: dict[str, str] = {}
        for name, phrase in word_lists()["phrases"].items():
            self.functions[name] = functools.partial(self.text, phrase)

    def value(self, expression: object) -> Any:
        """The value of an expression; a value that is not a string is its own value."""
        if not isinstance(expression, str):
            return expression
        # What is outside of braces can be a text unless it contains brackets.
        is_text = not set(re.sub(r"{.*?}", "", expression)) & set("()[]{}")
        quoted = f"{'f' if '{' in expression else ''}'{expression}'"
        value = self._evaluated(expression, f'for a text, write "{quoted}"' if is_text else "")
        if expression.startswith(("'", '"')) and any(f"{{{name}}}" in str(value) for name in self.fields):
            raise UserError(f"expected an f before a text with values in braces, got {expression}")
        return value

    def _evaluated(self, expression: str, for_text: str = "") -> Any:
        """The value of an expression. `for_text` is what to write instead if a text is meant."""
        try:
            value = self.eval(expression, _parsed(expression))
        except SyntaxError as error:
            advice = for_text or f"the error is: {error.msg}"
            raise UserError(f"expected an expression, got {expression!r}; {advice}") from None
        except (NameNotDefined, FunctionNotDefined) as error:
            name = error.name if isinstance(error, NameNotDefined) else error.func_name
            other = "; define it above, under [facts]" + (f", or {for_text}" if for_text else "")
            advice = nearest(name, [*self.names, *self.functions]) or other
            if name in self.fields:
                advice = " yet; move it above this line"
            raise UserError(
                f"expected an expression, got {expression!r}: {name} is not defined{advice}"
            ) from None
        except ERRORS as error:
            raise UserError(
                f"expected an expression with a value, got {expression!r}: {in_words(error)}"
            ) from None
        if callable(value):
            raise UserError(f"expected a value, got the function {expression}; write {expression}()")
        return value

    def _eval_subscript(self, node: ast.Subscript) -> Any:
        try:
            return super()._eval_subscript(node)
        except LookupError:
            known, key = self._eval(node.value), self._eval(node.slice)
            if isinstance(known, Mapping):
                return Named(known)[key]
            raise UserError(f"expected a position below {len(known)}, got {key!r}") from None

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        try:
            return super()._eval_attribute(node)
        except AttributeDoesNotExist:
            if isinstance(known := self._eval(node.value), Mapping):
                return Named(known)[node.attr]
            raise

    def text(self, template: str) -> str:
        """The text with the values of the expressions in braces."""
        parts = []
        for literal, field, spec, _ in string.Formatter().parse(template):
            value = "" if field is None else self._evaluated(field)
            if not isinstance(value, (str, int, float, Box)):
                as_text = f"{{enumeration({field})}} or {{joined({field})}}"
                got = short(repr(value), 80)
                raise UserError(
                    f"expected a text or a number in {{{field}}}, got {got}; for a list, write {as_text}"
                )
            parts.append(literal + format(value, spec or ""))
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
