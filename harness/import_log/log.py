"""What is read from a log of another evaluator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.external import ResponseLine
from harness.text import reason


class Settings(msgspec.Struct, frozen=True):
    """What a log says of the model and its sampling. None if it does not say it."""

    model: str
    max_new_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None


@dataclass(frozen=True)
class Log:
    # The path, for errors.
    source: str
    settings: Settings
    # Read while it is iterated. Raises UserError for a log of another form.
    responses: Iterator[ResponseLine]


@contextmanager
def expecting(what: str, path: Path) -> Iterator[None]:
    """Within the context, what reading a file of another form raises becomes a UserError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, msgspec.ValidationError) as error:
        problem = f"a field is missing: {error}" if isinstance(error, KeyError) else reason(error)
        raise UserError(f"{path}: expected {what}: {problem}") from error


def response_id(row_id: str, sample: int) -> str:
    """The id of a further response to the prompt of a row, whose own id is that of sample 0.

    An id that is not of an export stays as it is.
    """
    parts = row_id.split("/", 2)
    return "/".join([parts[0], str(sample), parts[2]]) if len(parts) == 3 else row_id
