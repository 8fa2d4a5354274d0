"""Decision-tree policies over CLEVR-like scenes, as text (-T) or as text with image crops (-M).

Read in this order: policy (trees and their texts), scene (placement and rendering), dataset (generation),
grading, and skills (a benchmark of the same scenes without policies).
"""

from typing import Any

# Where verifiers looks for a taskset.
__all__ = ["ClevrPolicyTaskset"]


def __getattr__(name: str) -> Any:
    """Imports the taskset when it is used, because it needs verifiers."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clevrpolicy.taskset import ClevrPolicyTaskset

    return ClevrPolicyTaskset
