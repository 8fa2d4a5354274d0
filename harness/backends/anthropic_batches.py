"""Message batches: everything sent at once, answered within a day at about half the price.

The id of every batch is kept beside the run's responses as soon as there is one, so that a run that was
killed picks its batches up again rather than paying twice. Without a folder to keep it in, it cannot.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
from tqdm import tqdm

from harness.backends.remote import failure
from harness.errors import UserError
from harness.files.store import Log
from harness.records import Prompt, Response

POLL = 20.0
"""Seconds between two looks at a batch."""

REQUESTS, BYTES = 10_000, 64 * 2**20
"""Of one batch; far below the API's 100,000 and 256 MB, because all of one is in memory while it is sent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch that was created, and later the same again once all its results are kept."""

    batch: str
    asked: str
    """Digest of what its requests have in common, so that another use of the same folder leaves it alone."""
    collected: bool = False


@dataclass(frozen=True)
class Batches:
    """One round of batches. body makes a prompt's request, read turns a message into its response."""

    client: anthropic.Anthropic
    told: Callable[[Exception], str]
    folder: Path | None
    asked: str
    body: Callable[[Prompt], Mapping[str, Any]]
    read: Callable[[Prompt, Any], Response]

    def answers(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """First from batches that an earlier sitting sent, then from new ones."""
        wanted = {self._id(prompt): prompt for prompt in prompts}
        for batch in self._left_open():
            yield from self._collect(batch, wanted)
        requests: dict[str, Mapping[str, Any]] = {}
        sent, size = [], 0
        for custom_id, prompt in list(wanted.items()):
            try:
                request = self.body(prompt)
            except UserError as error:
                yield failure(wanted.pop(custom_id), str(error))
                continue
            requests[custom_id] = request
            size += len(msgspec.json.encode(request))
            if len(requests) == REQUESTS or size >= BYTES:
                sent.append(self._send(requests))
                requests, size = {}, 0
        if requests:
            sent.append(self._send(requests))
        for batch in sent:
            yield from self._collect(batch, wanted)
        for prompt in wanted.values():
            yield failure(prompt, "its batch ended without a result for it")

    def _id(self, prompt: Prompt) -> str:
        """The same for the same prompt in every sitting; it is all that a result says about its request."""
        asked = [self.asked, prompt.key, prompt.parts]
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:32]

    def _log(self) -> Log | None:
        return Log(self.folder / "batches.jsonl", Sent) if self.folder else None

    def _left_open(self) -> list[str]:
        log = self._log()
        sent: list[Sent] = [s for s in log.read() if s.asked == self.asked] if log else []
        collected = {s.batch for s in sent if s.collected}
        return [s.batch for s in sent if s.batch not in collected]

    def _keep(self, sent: Sent) -> None:
        if log := self._log():
            log.append([sent])

    def _send(self, requests: Mapping[str, Mapping[str, Any]]) -> str:
        wire: Any = [{"custom_id": i, "params": params} for i, params in requests.items()]
        with self._explained("the batch was not accepted"):
            batch = self.client.messages.batches.create(requests=wire)
        self._keep(Sent(batch.id, self.asked))
        tqdm.write(f"batch {batch.id}: {len(requests)} requests sent", file=sys.stderr)
        return batch.id

    def _collect(self, batch: str, wanted: dict[str, Prompt]) -> Iterator[Response]:
        """Waits for the batch and yields what is still wanted; the caller keeps each before it asks on."""
        with self._explained(f"batch {batch} goes on there, and the same command picks it up"):
            self._wait(batch)
            for item in self.client.messages.batches.results(batch):
                prompt = wanted.pop(item.custom_id, None)
                if prompt is not None:
                    yield self._response(prompt, item.result)
        self._keep(Sent(batch, self.asked, collected=True))

    def _wait(self, batch: str) -> None:
        under_way = None
        while (state := self.client.messages.batches.retrieve(batch)).processing_status != "ended":
            if state.request_counts.processing != under_way:
                under_way = state.request_counts.processing
                tqdm.write(f"batch {batch}: {under_way} requests under way", file=sys.stderr)
            time.sleep(POLL)

    def _response(self, prompt: Prompt, result: Any) -> Response:
        if result.type == "succeeded":
            return replace(self.read(prompt, result.message), batched=True)
        reason = f"errored: {result.error.error.message}" if result.type == "errored" else result.type
        return failure(prompt, f"in its batch: {reason}")

    @contextmanager
    def _explained(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        # A stream of results that is cut raises the transport's own errors, or ends within a line of JSON.
        except (anthropic.APIError, httpx2.HTTPError, ValueError) as error:
            raise UserError(f"{self.client.base_url}: {self.told(error)}; {consequence}") from None
