"""The value of an arithmetic expression that a model wrote, which must never reach Python's own eval.

simpleeval walks the expression; this file takes away everything but arithmetic on numbers and bounds what
remains in length, in bits and in depth, so that no expression costs more than a moment.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

LONGEST = 500
"""Characters of an expression."""
BITS = 4096
"""Of a whole number on the way."""
LARGEST_COUNT = 400
"""Argument of factorial, comb and perm."""

Number = int | float


class ExpressionError(ValueError):
    """Names what is wrong with an expression."""


def evaluate(text: str) -> Number:
    """The value, a finite number; Python's operators and the functions of its math module are known.

    Raises ExpressionError for everything else.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"expected at most {LONGEST} characters, got {len(text)}")
    try:
        value = _Arithmetic().eval(re.sub(r"\bmath\s*\.\s*", "", text.strip()))
    except ExpressionError:
        raise
    except (InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise ExpressionError(f"{type(error).__name__}: {error}") from error
    except (MemoryError, KeyError, AttributeError, IndexError) as error:
        raise ExpressionError(f"not an expression on numbers: {type(error).__name__}") from error
    return _number(value)


def equal(said: str, gold: str) -> bool:
    """Whether both have the same value within 1e-6 of it, or 1e-9; what has no value equals nothing."""
    try:
        return math.isclose(evaluate(said), evaluate(gold), rel_tol=1e-6, abs_tol=1e-9)
    except (ExpressionError, OverflowError):
        return False


def _number(value: Any) -> Number:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"expected a number, got {type(value).__name__}")
    if isinstance(value, int) and value.bit_length() > BITS:
        raise ExpressionError(f"expected whole numbers of at most {BITS} bits, got a larger one")
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"expected a finite number, got {value}")
    return value


def _power(base: Number, exponent: Number) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > BITS:
        raise ExpressionError(f"expected whole numbers of at most {BITS} bits, got {exponent} as an exponent")
    return base**exponent


def _counting(function: Callable[..., int]) -> Callable[..., int]:
    def bounded(*numbers: int) -> int:
        if any(abs(number) > LARGEST_COUNT for number in numbers):
            raise ExpressionError(
                f"{function.__name__}: expected at most {LARGEST_COUNT}, got {max(numbers)}"
            )
        return function(*numbers)

    return bounded


def _rounded(number: Number, digits: int = 0) -> Number:
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
    **{name: _counting(getattr(math, name)) for name in "factorial comb perm".split()},
    "pow": _power,
    "round": _rounded,
    "abs": abs,
    "max": max,
    "min": min,
    "sum": sum,
    "int": math.trunc,
    "float": float,
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


class _Arithmetic(SimpleEval):  # type: ignore[misc]
    """Numbers, lists of numbers, operators and functions: what is not named here does not exist."""

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
            ast.List: self._numbers,
            ast.Tuple: self._numbers,
        }

    def _binary(self, node: ast.BinOp) -> Number:
        left, right = _number(self._eval(node.left)), _number(self._eval(node.right))
        return _number(OPERATORS[type(node.op)](left, right))

    def _numbers(self, node: ast.List | ast.Tuple) -> list[Number]:
        return [_number(self._eval(element)) for element in node.elts]

    def _call(self, node: ast.Call) -> Number:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords:
            raise ExpressionError("expected a function of the math module, called with numbers")
        return _number(FUNCTIONS[node.func.id](*(self._eval(argument) for argument in node.args)))
