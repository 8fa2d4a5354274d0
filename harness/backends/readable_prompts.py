"""The prompts that can be sent: those whose images can be read."""

from collections.abc import Callable, Iterable, Iterator

from harness.backends import failure
from harness.files.benchmark import Benchmark
from harness.progress import note
from harness.records import Prompt, Response


class ReadablePrompts:
    """The prompts whose images can be read, in order.

    They are made again each time they are iterated, so that they are never all in memory.
    """

    def __init__(self, benchmark: Benchmark, prompts: Callable[[], Iterable[Prompt]]) -> None:
        """Raises UserError if an image is missing or was changed: before the first request, not after it."""
        self._prompts = prompts
        # Whether the last part of a prompt begins its response.
        self.continues = False
        total, images = 0, dict[str, None]()
        for prompt in prompts():
            total += 1
            self.continues |= prompt.parts[-1].kind == "response"
            images.update(dict.fromkeys(prompt.images))
        self._broken = benchmark.broken_images(images)
        # A failure for each of the other prompts.
        self.failures = list(self._failures()) if self._broken else []
        self._count = total - len(self.failures)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Prompt]:
        return (prompt for prompt in self._prompts() if self._broken.keys().isdisjoint(prompt.images))

    def _failures(self) -> Iterator[Response]:
        for prompt in self._prompts():
            if reasons := [self._broken[image] for image in prompt.images if image in self._broken]:
                yield failure(prompt, reasons[0])

    def note_failures(self) -> None:
        """Says how many prompts are left out, and why the first one is."""
        for failed in self.failures[:1]:
            share = f"{len(self.failures)} of {len(self) + len(self.failures)} prompts left out"
            note(f"{share}, because an image cannot be read: {failed.error}")
