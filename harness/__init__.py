"""Scores any checkpoint on any policy family; finds families, backends and metrics by entry point.

`harness.load`, `evaluate`, `score`, `prompts`, `grade` and `reward` are its API for Python (docs/python.md).

Read `records` (the data), `variants`, `family` and `run` (an evaluation from prompts to the report) first.
Then `backends` (models), `metrics`, `report`, `tree` with `drawing` and `browse`, `compare`, `judge` and
`general` can be read in any order.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.answer_key import grade, reward
    from harness.api import evaluate, load, prompts, score

__all__ = ["evaluate", "grade", "load", "prompts", "reward", "score"]


def __getattr__(name: str) -> Any:
    """Imports the functions when they are used, because every command imports this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "harness.answer_key" if name in ("grade", "reward") else "harness.api"
    return getattr(import_module(module), name)
