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

MAX_CHARACTERS = 500
# Largest size of an integer, including intermediate results.
MAX_BITS = 4096
# Largest argument of factorial, comb and perm.
MAX_COUNT = 400

Number = int | float


class ExpressionError(ValueError):
    """An expression is not permitted or has no value. The message says why."""


def evaluate(text: str) -> Number:
    """The value of an expression, a finite number. Raises ExpressionError."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        value = _ArithmeticEval().eval(re.sub(r"\bmath\s*\.\s*", "", text.strip()))
    except ExpressionError:
        raise
    except (InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise ExpressionError(f"{type(error).__name__}: {error}") from error
    except (MemoryError, LookupError, AttributeError) as error:
        raise ExpressionError(f"not an expression on numbers: {type(error).__name__}") from error
    return _number(value)


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


_ONE_NUMBER = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh degrees radians floor ceil trunc fabs"
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in _ONE_NUMBER.split()},
    **{name: getattr(math, name) for name in "atan2 hypot fmod gcd dist prod fsum copysign".split()},
    **{name: partial(_bounded, getattr(math, name)) for name in "factorial comb perm".split()},
    "pow": _power,
    "round": _round,
    "int": math.trunc,
    **{function.__name__: function for function in (abs, max, min, sum, float)},
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class _ArithmeticEval(SimpleEval):  # type: ignore[misc]
    """simpleeval with an explicit list of permitted syntax nodes; all others are rejected."""

    def __init__(self) -> None:
        super().__init__(
            operators={}, functions=FUNCTIONS, names={"pi": math.pi, "e": math.e, "tau": math.tau}
        )
        self.nodes = {
            ast.Expr: self._eval_expr,
            ast.Constant: lambda node: _number(node.value),
            ast.Name: self._eval_name,
            ast.UnaryOp: lambda node: _number(OPERATORS[type(node.op)](self._eval(node.operand))),
            ast.BinOp: self._binary,
            ast.Call: self._call,
            ast.List: self._list,
            ast.Tuple: self._list,
        }

    def _binary(self, node: ast.BinOp) -> Number:
        left, right = _number(self._eval(node.left)), _number(self._eval(node.right))
        return _number(OPERATORS[type(node.op)](left, right))

    def _list(self, node: ast.List | ast.Tuple) -> list[Number]:
        return [_number(self._eval(element)) for element in node.elts]

    def _call(self, node: ast.Call) -> Number:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords:
            raise ExpressionError("expected a function of the math module with numbers as arguments")
        return _number(FUNCTIONS[node.func.id](*(self._eval(argument) for argument in node.args)))
