"""The responses of a run on disk. In memory is only where each of them starts: 8 bytes per response."""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.files.store import Log
from harness.records import Response

# The place of a missing response. That of a failed request that starts at x is -2 - x.
NONE = -1


class StoredResponses:
    """The response to each prompt in a log: the last successful one, or the last failed one.

    It can be read while it is appended to.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError if a line cannot be read."""
        self.log = Log(path, Response)
        # How many prompts have a response, and how many lines are successful responses.
        self.prompts = self.successes = 0
        self._numbers: dict[str, int] = {}
        # By variant and sample, then by the number of the instance.
        self._starts: dict[tuple[str, int], array[int]] = {}
        for start, response in self.log.scan():
            self._add(start, response)

    def __iter__(self) -> Iterator[Response]:
        """Every line."""
        return (response for _, response in self.log.scan())

    def append(self, responses: Iterable[Response]) -> None:
        for response in responses:
            self._add(self.log.append([response]), response)

    def _add(self, start: int, response: Response) -> None:
        number = self._numbers.setdefault(response.instance, len(self._numbers))
        starts = self._starts.setdefault((response.variant, response.sample), array("q"))
        if number >= len(starts):
            starts.extend([NONE] * (number + 1 - len(starts)))
        self.prompts += starts[number] == NONE
        self.successes += response.error is None
        if response.error is None:
            starts[number] = start
        elif starts[number] < 0:
            starts[number] = -2 - start

    def _start(self, key: tuple[str, str, int]) -> int:
        instance, variant, sample = key
        number, starts = self._numbers.get(instance), self._starts.get((variant, sample), ())
        return NONE if number is None or number >= len(starts) else starts[number]

    def answered(self, key: tuple[str, str, int]) -> bool:
        """Whether a request was successful."""
        return self._start(key) >= 0

    def get(self, key: tuple[str, str, int]) -> Response | None:
        start = self._start(key)
        if start == NONE:
            return None
        response: Response = self.log.read_at(start if start >= 0 else -2 - start)
        return response

    def __getitem__(self, key: tuple[str, str, int]) -> Response:
        """Raises KeyError if there is none."""
        response = self.get(key)
        if response is None:
            raise KeyError(key)
        return response
