"""The cost of responses, according to prices.toml and the user's table in HARNESS_PRICES."""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.records import Response

VARIABLE = "HARNESS_PRICES"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    # The share of the price that a request in a batch costs.
    batch: float = 1.0

    def of(self, response: Response) -> float | None:
        """The cost in US dollars; None if the response does not report its tokens."""
        if response.prompt_tokens is None or response.completion_tokens is None:
            return None
        cached, written = response.cached_tokens or 0, response.written_tokens or 0
        # Some servers report more cached tokens than tokens.
        plain = max(0, response.prompt_tokens - cached - written)
        reading = self.input if self.cached_input is None else self.cached_input
        writing = self.input if self.cache_write is None else self.cache_write
        dollars = (
            plain * self.input
            + cached * reading
            + written * writing
            + response.completion_tokens * self.output
        )
        return dollars / 1e6 * (self.batch if response.batched else 1)


def cost(model: str, responses: Iterable[Response]) -> float | None:
    """The cost in US dollars of all successful responses.

    None if the model has no price, or if a response does not report its tokens. The model is written as for
    `harness eval`, such as anthropic:NAME; options after its name do not change the price. A failed request
    costs nothing here, although a provider may charge for a part of its answer.
    """
    price = table().get(model.partition("?")[0])
    if price is None:
        return None
    each = [price.of(response) for response in responses if response.error is None]
    known = [dollars for dollars in each if dollars is not None]
    return sum(known) if len(known) == len(each) else None


def table() -> dict[str, Price]:
    """Prices by model; the user's entries come first. Raises UserError if the user's table is invalid."""
    ours = _read((resources.files("harness.report") / "prices.toml").read_text(encoding="utf-8"))
    named = os.environ.get(VARIABLE)
    if not named:
        return ours
    try:
        return ours | _read(Path(named).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{VARIABLE}: expected a table like harness/report/prices.toml in {named}: {error}"
        ) from error


def _read(text: str) -> dict[str, Price]:
    """Raises ValueError if the text is not a table of prices."""
    entries = tomllib.loads(text)
    entries.pop("date", None)
    return msgspec.convert(entries, dict[str, Price])
