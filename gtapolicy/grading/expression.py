"""Evaluates arithmetic expressions that a model wrote. They must never be passed to Python's eval.

simpleeval evaluates the syntax tree of an expression. This module restricts it:

- Only numbers, lists of numbers, arithmetic operators and functions of Python's math module are permitted.
  Attributes, comparisons, strings, comprehensions and so on are rejected.
- The length of an expression, the size of every intermediate number and the arguments of fast-growing
  functions are bounded, so that no expression takes noticeable time or memory.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from harness.text import reason, short

MAX_CHARACTERS = 500
# Largest size of an integer, including intermediate results.
MAX_BITS = 4096
# Largest argument of factorial, comb and perm.
MAX_COUNT = 400

Number = int | float
# What a wrong expression raises. Python's parser raises MemoryError for deep brackets.
ERRORS = (InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError,
          RecursionError, MemoryError)  # fmt: skip


class ExpressionError(ValueError):
    """An expression is not permitted or has no value. The message says why."""


def evaluate(text: str) -> Number:
    """The value of an expression, a finite number. Raises ExpressionError."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        return _number(_ArithmeticEval().eval(re.sub(r"\bmath\s*\.\s*", "", text)))
    except SyntaxError as error:
        raise ExpressionError(f"expected arithmetic, got {short(text)!r}: {error.msg}") from error
    except ERRORS as error:
        raise ExpressionError(reason(error)) from error


def equal(one: str, other: str) -> bool:
    """Whether both have the same value, within 1e-6 relative or 1e-9 absolute; False if one has no value."""
    try:
        return math.isclose(evaluate(one), evaluate(other), rel_tol=1e-6, abs_tol=1e-9)
    except (ExpressionError, OverflowError):
        return False


def _number(value: Any) -> Number:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"expected a number, got {type(value).__name__}")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ExpressionError(f"expected integers of at most {MAX_BITS} bits, got a larger one")
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"expected a finite number, got {value}")
    return value


def _power(base: Number, exponent: Number) -> Any:
    # Checked in advance, because the power may be too large to compute.
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise ExpressionError(f"expected powers of at most {MAX_BITS} bits, got the exponent {exponent}")
    return base**exponent


def _bounded(function: Callable[..., int], *numbers: int) -> int:
    if any(abs(number) > MAX_COUNT for number in numbers):
        raise ExpressionError(f"{function.__name__}: expected at most {MAX_COUNT}, got {max(numbers)}")
    return function(*numbers)


def _round(number: Number, digits: int = 0) -> Number:
    if abs(digits) > 20:
        raise ExpressionError(f"round: expected at most 20 digits, got {digits}")
    return round(number, digits) if digits else round(number)


_OF_MATH = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh degrees radians floor ceil trunc fabs atan2 hypot fmod gcd dist prod fsum copysign"
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in _OF_MATH.split()},
    **{name: partial(_bounded, getattr(math, name)) for name in "factorial comb perm".split()},
    "pow": _power,
    "round": _round,
    "int": math.trunc,
    **{function.__name__: function for function in (abs, max, min, sum, float)},
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: lambda one, other: _number(one) * _number(other),  # because Python repeats a list
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
NODES = (ast.Expr, ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.Call)


class _ArithmeticEval(SimpleEval):  # type: ignore[misc]
    """simpleeval with few kinds of syntax nodes. The value of each is a number or a list of numbers."""

    nodes: dict[type[ast.AST], Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__(OPERATORS, FUNCTIONS, {"pi": math.pi, "e": math.e, "tau": math.tau})
        self.nodes = {kind: self.nodes[kind] for kind in NODES}
        self.nodes[ast.List] = self.nodes[ast.Tuple] = self._list

    def _list(self, node: ast.List | ast.Tuple) -> list[Number]:
        return [_number(self._eval(element)) for element in node.elts]

    def _eval(self, node: ast.AST) -> Number | list[Number]:
        value = super()._eval(node)
        return value if isinstance(node, (ast.List, ast.Tuple)) else _number(value)
