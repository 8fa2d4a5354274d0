"""Scores any checkpoint on any policy family; finds families, backends and metrics by entry point.

`harness.load`, `evaluate`, `score`, `prompts`, `grade` and `reward` are its API for Python (docs/python.md).

Read `records` (the data), `variants`, `family` and `run` (an evaluation from prompts to the report) first.
The files in this folder:

    data          records, variants, family, registry (what is installed), tree (a policy that can be drawn)
    a run         request, sampling (which instances), run, results; external (responses of other programs)
    a response    thoughts (where its answer begins), parsing (the answer), answer_key (to grade it elsewhere)
    commands      cli, console (what all commands share), show, verify; api (the functions for Python)
    used by all   errors, text, images, progress, seeds, server

Then the folders can be read in any order: `files` (benchmarks and runs on disk), `backends` (models) with
`engine` (several processes), `metrics` with `stats`, `report`, `drawing`, `browse`, `compare`, `judge`,
`dialogs`, `general` benchmarks, the `paper`'s tables, `generation` in blocks, `export` and `import_log`.
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
