"""The task of this folder for Inspect. It needs this project: pip install PATH/TO/policy-internalization."""

from pathlib import Path

from inspect_ai import Task, task

from harness.export.tools.inspect.scoring import exported_task


@task
def policy(variant: str = "internalized", split: str = "test") -> Task:
    """The questions of a variant: internalized, in_context or override."""
    return exported_task(Path(__file__).parent, variant, split)
