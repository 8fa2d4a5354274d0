"""GTAPolicy: policies that decide which tool a user may call, and in which version, depending on the user.

Start with `policy` (the rules and their text) and `grading` (how a call is scored). `dataset` creates
benchmarks from dialogs. `scenarios` generates dialogs, and `pictures` draws their images.
"""

from typing import Any

# Where verifiers looks for a taskset and its environment.
__all__ = ["DialogEnv", "DialogTaskset"]


def __getattr__(name: str) -> Any:
    """Imports them when they are used, because they need verifiers."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.export.tools.verifiers import dialogs

    return getattr(dialogs, name)
