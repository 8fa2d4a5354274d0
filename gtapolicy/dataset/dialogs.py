"""A dialog as in GTA: a query about images, and the tool calls that answer it, with their results.

A dialog is independent of any policy, so its tools have no versions. Dialogs are imported from the real GTA
or generated (gtapolicy/scenarios). Profiles and versions are added later, in the same way for both.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Share of the calls in the test split (paper, GTAPolicy: 451 to train, 106 to test).
TEST_SHARE = 106 / 557
Argument = str | int | bool | float


def sample_test(calls: Sequence[int], rng: random.Random) -> set[int]:
    """The indexes of dialogs that together have about TEST_SHARE of all calls, given the calls of each."""
    remaining = TEST_SHARE * sum(calls)
    chosen: set[int] = set()
    for index in rng.sample(range(len(calls)), len(calls)):
        if remaining < calls[index] / 2:
            break
        chosen.add(index)
        remaining -= calls[index]
    return chosen


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call and its result."""

    # Without version, as in the table of rules.
    tool: str
    # Optional arguments are present only if they differ from their default.
    arguments: Mapping[str, Argument]
    # What the tool returned, as a model reads it in the interaction history.
    returned: str
    # Where the value of each argument comes from, in words, for the gold reasoning.
    origins: Mapping[str, str] = field(default_factory=dict)
    # The name of the policy's tip from which the call follows; "" if it follows from the tool's description.
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Dialog:
    """A query with its images and the calls that answer it."""

    id: str
    # The kind of query, such as ocr_calc.
    family: str
    query: str
    # Paths as the calls name them, such as image/image_12.jpg.
    images: tuple[str, ...]
    steps: tuple[Step, ...]
    # Whether the question is open-ended. A search then returns more results.
    open: bool = False
    # "train" or "test".
    split: str = "train"
    # If the user asks again: by the index of the first call that answers.
    later_queries: Mapping[int, str] = field(default_factory=dict)

    def queries(self, index: int) -> list[str]:
        """The user's queries before the call at this index; the call answers the last one."""
        return [self.query, *(query for first, query in self.later_queries.items() if first <= index)]
