"""What is read from a log of another evaluator."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.external import ResponseLine


@dataclass(frozen=True)
class Log:
    # The path, for errors.
    source: str
    model: str
    # None if the log does not say it.
    max_new_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    responses: Sequence[ResponseLine]


def response_id(row_id: str, sample: int) -> str:
    """The id of a further response to the prompt of a row, whose own id is that of sample 0."""
    variant, _, rest = row_id.split("/", 2)
    return f"{variant}/{sample}/{rest}"
