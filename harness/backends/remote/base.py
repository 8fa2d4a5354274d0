"""What the backends behind an API share: concurrent requests, retries, giving up, and keeping keys secret.

Up to --concurrency requests are in flight. Each Response is yielded as soon as it arrives.

    a request fails          it is sent up to --retries times more, after growing waits, or when the server
                             asks for it (retry-after); with all of this it takes at most --timeout seconds
    it still fails           a Response with an error, which is never scored as a wrong answer
                             (sender.py)
    a field is rejected      the request is sent in another form (request_form.py)
    an unknown answer        a Response with an error (answers.py)
    key or model rejected    UserError, because all other requests would be rejected too
    the server fails         GIVE_UP_AFTER times in a row: the prompts that are left get an error without
                             being sent. Rerunning the command sends every prompt without a response.
"""

import asyncio
import base64
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from threading import Thread
from typing import Any

from harness import images
from harness.backends import CHANGED, Backend, Endpoint, Sampling, failure, server_address
from harness.backends.prefix_groups import group_by_prefix
from harness.backends.remote.answers import decode, excerpt
from harness.backends.remote.request_form import flag_of, rejected_field
from harness.backends.remote.sender import FORM_REJECTED, TEMPORARY, Sender, retry_after, words
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.progress import note
from harness.records import Json, Part, Prompt, Response
from harness.text import printable, short

# Shorter keys, such as "none", are no secrets, and would mask parts of words in messages.
SHORTEST_KEY = 8
# Or --concurrency, if that is more: the requests that are in flight when a server goes down fail together.
GIVE_UP_AFTER = 8
# Wrong key, no permission, no such model.
REJECTED = (401, 403, 404)


class Remote(Backend):
    """A model behind an API. A subclass builds requests and reads answers with the provider's client.

    Not `batched`, because the server decides which requests it computes together.
    """

    remote = True
    # The provider's module, with its error classes.
    sdk: Any
    # Where requests are sent, relative to the base URL.
    path: str
    # True if the provider has batches.
    batches = False
    description: dict[str, Any]

    def __init__(
        self, argument: str, benchmark: Benchmark, sampling: Sampling, endpoint: Endpoint, folder: Path | None
    ) -> None:
        name = self.sdk.__name__
        if endpoint.batch and not self.batches:
            raise UserError(f"batch: expected only with anthropic:NAME, got {name}:{argument}")
        if not argument:
            raise UserError(f"{name}: expected {name}:NAME with the name that the server gives the model")
        self.model, self.sampling, self.endpoint, self.folder = argument, sampling, endpoint, folder
        timeout = self.sdk.Timeout(endpoint.timeout, connect=min(10, endpoint.timeout))
        self.client_options = {"base_url": endpoint.base_url, "max_retries": 0, "timeout": timeout}
        server_address(name, endpoint)  # raises UserError for an address that the client cannot read
        client = self.client()
        self.base_url = str(client.base_url)
        keys = (getattr(client, key, None) for key in ("api_key", "auth_token"))
        self.keys = [key for key in keys if key]
        self.sender = Sender(self.sdk, self.path, endpoint, self.base_url, self.describe_error)
        # The pictures of a policy occur in many prompts.
        self.image = lru_cache(maxsize=64)(lambda path: _read_image(benchmark, path))
        version = f"{name} {self.sdk.__version__}"
        self.description = {"backend": name, "model": argument, "base_url": self.base_url, "client": version}

    @abstractmethod
    def client(self) -> Any:
        """A new asynchronous client. An event loop needs its own."""

    @abstractmethod
    def fields(self, prompt: Prompt, shared: int) -> dict[str, Any]:
        """The body of the request for a prompt that shares its first `shared` parts with others.

        Raises UserError if the prompt cannot be sent.
        """

    @abstractmethod
    def read(self, prompt: Prompt, body: dict[str, Any], seconds: float | None) -> Response:
        """The response in the body of an answer. ValueError if it is not an answer of this API."""

    @abstractmethod
    def schema_fields(self, schema: Json, strict: bool) -> Json:
        """The fields of a request that ask for JSON of this schema."""

    @abstractmethod
    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        """An image in a message; the data is base64."""

    def block(self, part: Part) -> dict[str, Any]:
        if part.kind == "text":
            return {"type": "text", "text": part.value}
        return self.image_block(*self.image(part.value))

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        return self.respond(prompts, ())

    def structured(self, prompts: Sequence[Prompt], schema: Json) -> Iterator[Response]:
        return self.respond(prompts, [self.schema_fields(schema, strict) for strict in (True, False)])

    def respond(self, prompts: Sequence[Prompt], schemas: Sequence[Json]) -> Iterator[Response]:
        """Sends requests concurrently, and starts new ones only while the caller waits for a response.

        `schemas`: the fields that ask for JSON of a schema, the strictest first; empty for free text.
        """
        waiting = deque(shared_prefixes(prompts).items())
        in_flight: dict[futures.Future[tuple[Response, bool]], Prompt] = {}
        failures = 0
        with _event_loop() as loop:
            start = partial(asyncio.run_coroutine_threadsafe, loop=loop)
            client = self.client()
            try:
                while waiting or in_flight:
                    while waiting and len(in_flight) < self.endpoint.concurrency:
                        prompt, shared = waiting.popleft()
                        in_flight[start(self._attempt(client, prompt, shared, schemas))] = prompt
                    done, _ = futures.wait(in_flight, return_when=futures.FIRST_COMPLETED)
                    for request in done:
                        response, server_failed = request.result()
                        del in_flight[request]
                        failures = failures + 1 if server_failed else 0
                        yield response
                        if failures >= max(GIVE_UP_AFTER, self.endpoint.concurrency):
                            unanswered = [*in_flight.values(), *(prompt for prompt, _ in waiting)]
                            yield from self._give_up(unanswered, failures, response.error)
                            return
            finally:
                # Also after Ctrl-C, a UserError, or if the caller wants no more responses.
                start(_cancel_all(client)).result()

    async def _attempt(
        self, client: Any, prompt: Prompt, shared: int, schemas: Sequence[Json]
    ) -> tuple[Response, bool]:
        """The response, and whether the server is the reason if it failed."""
        try:
            fields = self.fields(prompt, shared)
        except UserError as error:
            return failure(prompt, str(error)), False
        try:
            data, seconds = await self.sender.send(client, fields, schemas)
            if notes := self.sender.form.notes:
                self.description[CHANGED] = notes
            return self.read(prompt, decode(data), seconds), False
        except TimeoutError as error:
            last = f": {error}" if str(error) else ""
            return failure(prompt, f"no answer within {self.endpoint.timeout:g} s (--timeout){last}"), True
        except self.sdk.APIStatusError as error:
            reason, code = self.describe_error(error), error.status_code
            if code in REJECTED:
                advice = "check the key in the environment, the name of the model and --base-url"
                raise UserError(f"{self.base_url}: request rejected ({reason}); {advice}") from None
            if code in FORM_REJECTED and (name := rejected_field(words(error), fields)):
                reason += f"; change {flag_of(name)}"
            return failure(prompt, reason), code in TEMPORARY or code >= 500
        except self.sdk.APIConnectionError as error:
            return failure(prompt, self.describe_error(error)), True
        # The status is 200, but the body is not JSON or has no answer in it.
        except (self.sdk.APIError, ValueError, RecursionError) as error:
            return failure(prompt, f"not an answer of this API: {self.describe_error(error)}"), True

    def _give_up(self, prompts: list[Prompt], failures: int, last: str | None) -> Iterator[Response]:
        reason = f"{self.base_url}: {failures} requests in a row failed ({last})"
        message = f"{reason}; {len(prompts)} prompts not sent, rerun the same command to resume"
        note(message)
        for prompt in prompts:
            yield failure(prompt, f"not sent: {reason}")

    def describe_error(self, error: Exception) -> str:
        """The error's message in at most 500 characters, without the key, which a server may repeat."""
        text = str(error)
        if isinstance(error, self.sdk.APIStatusError):
            code = error.status_code
            message = text.removeprefix(f"Error code: {code}").removeprefix(" - ")
            text = f"HTTP {code}: {message or excerpt(error.body)}"
            if (wait := retry_after(error)) is not None:
                text += f" (retry after {wait:g} s)"
        elif error.__cause__ is not None:
            text = f"{text} {type(error.__cause__).__name__}: {error.__cause__}"
        for key in self.keys:
            text = text.replace(key, "[key]") if len(key) >= SHORTEST_KEY else text
        return short(printable(" ".join(text.split())), 500)


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own, because that of a notebook already runs one."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all(client: Any) -> None:
    """Ends the other tasks of the event loop, and closes the client that they use."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


def shared_prefixes(prompts: Sequence[Prompt]) -> dict[Prompt, int]:
    """The prompts in sending order, and how many first parts each shares with others."""
    # One prompt of each group is sent first, so that the others find its prefix in the provider's cache.
    groups = group_by_prefix(prompts)
    shared = {group.prompts[0]: group.shared for group in groups}
    return shared | {prompt: group.shared for group in groups for prompt in group.prompts[1:]}


def without_surrogates(text: str) -> str:
    """Replaces lone surrogates, which a server may send but which cannot be written to a file."""
    return text.encode("utf-8", "replace").decode()


def _read_image(benchmark: Benchmark, path: str) -> tuple[str, str]:
    """The media type and the data in base64 of a file with the pixels of `benchmark.image`."""
    media_type, data = images.encoded(benchmark.check(path), path)
    return media_type, base64.b64encode(data).decode()
