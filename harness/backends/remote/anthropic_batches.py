"""Message batches: requests sent together and answered within a day, at about half the price.

A run may be killed at any time, and no request should be paid twice. So each batch is recorded in the folder
of the run, in batches.jsonl:

    {"batch": "b1", ...}                       written when the provider has accepted the batch
    {"batch": "b1", ..., "collected": true}    written when all its results are in responses.jsonl

A session first looks for batches that are not collected, waits for them and reads all their results. Results
that an earlier session has stored belong to no missing prompt and are skipped. The only link from a result to
its prompt is the request's custom id, which is therefore a hash of the prompt, the same in every session.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec

from harness.backends import failure
from harness.backends.remote.answers import decode, excerpt
from harness.errors import UserError
from harness.files.store import Log
from harness.progress import note
from harness.records import Json, Prompt, Response

POLL_SECONDS = 20.0
# Of one batch. The API allows 100,000 and 256 MB, but a batch is in memory while it is sent.
MAX_REQUESTS, MAX_BYTES = 10_000, 64 * 2**20


class BatchRecord(msgspec.Struct, frozen=True):
    """A line of batches.jsonl."""

    batch: str
    # Digest of what the requests have in common; a folder may have batches of a run and of its judge.
    common: str = msgspec.field(name="asked")
    collected: bool = False


@dataclass(frozen=True)
class Batches:
    """Sends prompts as batches and collects their results. `common` is the digest in BatchRecord."""

    client: anthropic.Anthropic
    folder: Path
    common: str
    to_request: Callable[[Prompt], Json]
    to_response: Callable[[Prompt, dict[str, Any]], Response]
    describe_error: Callable[[Exception], str]

    def respond(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """Responses from batches of earlier sessions, then from new ones."""
        missing = {self._custom_id(prompt): prompt for prompt in prompts}
        for batch in self._uncollected():
            yield from self._collect(batch, missing)
        requests: dict[str, Json] = {}
        sent, size = [], 0
        for custom_id, prompt in list(missing.items()):
            try:
                request = self.to_request(prompt)
            except UserError as error:
                yield failure(missing.pop(custom_id), str(error))
                continue
            requests[custom_id] = request
            size += len(msgspec.json.encode(request))
            if len(requests) == MAX_REQUESTS or size >= MAX_BYTES:
                sent.append(self._send(requests))
                requests, size = {}, 0
        if requests:
            sent.append(self._send(requests))
        for batch in sent:
            yield from self._collect(batch, missing)
        for prompt in missing.values():
            yield failure(prompt, "its batch ended without a result for it")

    def _custom_id(self, prompt: Prompt) -> str:
        identity = [self.common, prompt.key, prompt.parts]
        return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:32]

    @property
    def _log(self) -> Log:
        return Log(self.folder / "batches.jsonl", BatchRecord)

    def _uncollected(self) -> list[str]:
        records: list[BatchRecord] = [r for r in self._log.read() if r.common == self.common]
        collected = {r.batch for r in records if r.collected}
        return [r.batch for r in records if r.batch not in collected]

    def _send(self, requests: Mapping[str, Json]) -> str:
        body: Any = [{"custom_id": i, "params": params} for i, params in requests.items()]
        with self._explain_errors("the batch was not accepted"):
            name = getattr(self.client.messages.batches.create(requests=body), "id", None)
            if not isinstance(name, str):
                raise ValueError("expected the id of a batch")
        self._log.append([BatchRecord(name, self.common)])
        note(f"batch {name}: {len(requests)} requests sent")
        return name

    def _collect(self, batch: str, missing: dict[str, Prompt]) -> Iterator[Response]:
        """Waits for the batch, then yields the responses to missing prompts and removes these from `missing`.

        The caller stores each response before it asks for the next, so at the end all results are stored.
        """
        with self._explain_errors(f"batch {batch} is still there; rerun the same command to resume"):
            reported = None
            while (processing := self._processing(batch)) is not None:
                if processing != reported:
                    reported = processing
                    note(f"batch {batch}: {reported} requests in progress")
                time.sleep(POLL_SECONDS)
            with self.client.messages.batches.with_streaming_response.results(batch) as stream:
                for line in stream.iter_lines():
                    item = decode(line.encode())
                    prompt = missing.pop(str(item.get("custom_id")), None)
                    if prompt is not None:
                        yield self._response(prompt, item.get("result"))
        self._log.append([BatchRecord(batch, self.common, collected=True)])

    def _processing(self, batch: str) -> Any:
        """How many requests of the batch are in progress; None once it has ended."""
        state = self.client.messages.batches.retrieve(batch)
        status = getattr(state, "processing_status", None)
        if status not in ("in_progress", "canceling", "ended"):
            raise ValueError(f"expected the state of a batch, got {excerpt(str(state))}")
        return None if status == "ended" else getattr(state.request_counts, "processing", "some")

    def _response(self, prompt: Prompt, result: Any) -> Response:
        match result:
            case {"type": "succeeded", "message": dict() as message}:
                try:
                    return replace(self.to_response(prompt, message), batched=True)
                except (ValueError, RecursionError) as error:
                    reason = f"not an answer of this API: {error}"
            case {"type": "errored", "error": {"error": {"message": str(message)}}}:
                reason = f"errored: {message}"
            case {"type": "canceled" | "expired" as kind}:
                reason = kind
            case _:
                reason = f"unknown result: {excerpt(result)}"
        return failure(prompt, f"in its batch: {self.describe_error(ValueError(reason))}")

    @contextmanager
    def _explain_errors(self, consequence: str) -> Iterator[None]:
        try:
            yield
        # A stream of results that is cut off raises the transport's errors, or ends within a line of JSON.
        except (anthropic.APIError, httpx2.HTTPError, ValueError, RecursionError) as error:
            message = f"{self.client.base_url}: {self.describe_error(error)}; {consequence}"
            raise UserError(message) from None
