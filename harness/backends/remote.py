"""What the backends behind an API share: concurrent requests, retries, giving up, and keeping keys secret.

Up to --concurrency requests are in flight. Each Response is yielded as soon as it arrives.

    a request fails          the provider's client repeats it up to RETRIES times, and waits longer each time,
                             or as long as the server asks for (retry-after)
    it still fails           a Response with an error, which is never scored as a wrong answer
    key or model rejected    UserError, because all other requests would be rejected too
    the server fails         GIVE_UP_AFTER times in a row: the prompts that are left get an error without
                             being sent. Rerunning the command sends every prompt without a response.
"""

import asyncio
import base64
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from harness import images
from harness.backends import Backend, Endpoint, Sampling, check_url, failure
from harness.backends.prefix_groups import group_by_prefix
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Json, Part, Prompt, Response

# With the clients' own waits about 20 seconds, unless the server asks for more.
RETRIES = 6
# Seconds for one answer: a slow server may need minutes for a long one.
TIMEOUT = 1800.0
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
        timeout = self.sdk.Timeout(TIMEOUT, connect=10)
        self.client_options = {"base_url": endpoint.base_url, "max_retries": RETRIES, "timeout": timeout}
        client = self.client()
        self.base_url = str(client.base_url)
        check_url(self.base_url)
        keys = (getattr(client, key, None) for key in ("api_key", "auth_token"))
        self.keys = [key for key in keys if key and key != "none"]
        # The pictures of a policy occur in many prompts.
        self.image = lru_cache(maxsize=64)(lambda path: _read_image(benchmark, path))
        version = f"{name} {self.sdk.__version__}"
        self.description = {"backend": name, "model": argument, "base_url": self.base_url, "client": version}

    @abstractmethod
    def client(self) -> Any:
        """A new asynchronous client. An event loop needs its own."""

    @abstractmethod
    async def request(self, client: Any, prompt: Prompt, shared: int, extra: Json) -> Response:
        """Sends a prompt that shares its first `shared` parts with others; extra fields go into the request.

        Raises the client's errors, ValueError if the answer is not one of this API, and UserError if the
        prompt cannot be sent.
        """

    @abstractmethod
    def schema_fields(self, schema: Json) -> Json:
        """The fields of a request that force its answer to be JSON of this schema."""

    @abstractmethod
    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        """An image in a message; the data is base64."""

    def block(self, part: Part) -> dict[str, Any]:
        if part.kind == "text":
            return {"type": "text", "text": part.value}
        return self.image_block(*self.image(part.value))

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        return self.respond(prompts, {})

    def structured(self, prompts: Sequence[Prompt], schema: Json) -> Iterator[Response]:
        return self.respond(prompts, self.schema_fields(schema))

    def respond(self, prompts: Sequence[Prompt], extra: Json) -> Iterator[Response]:
        """Sends requests concurrently. The event loop runs only while the caller waits for a response."""
        waiting = deque(shared_prefixes(prompts).items())
        in_flight: dict[asyncio.Task[tuple[Response, bool]], Prompt] = {}
        failures = 0
        with asyncio.Runner() as runner:
            client = self.client()
            try:
                while waiting or in_flight:
                    while waiting and len(in_flight) < self.endpoint.concurrency:
                        prompt, shared = waiting.popleft()
                        request = self._attempt(client, prompt, shared, extra)
                        in_flight[runner.get_loop().create_task(request)] = prompt
                    done, _ = runner.run(asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED))
                    for task in done:
                        response, server_failed = task.result()
                        del in_flight[task]
                        failures = failures + 1 if server_failed else 0
                        yield response
                        if failures >= max(GIVE_UP_AFTER, self.endpoint.concurrency):
                            unanswered = [*in_flight.values(), *(prompt for prompt, _ in waiting)]
                            yield from self._give_up(unanswered, failures, response.error)
                            return
            finally:
                # Also after Ctrl-C, a UserError, or if the caller wants no more responses.
                runner.run(_cancel(in_flight, client))

    async def _attempt(self, client: Any, prompt: Prompt, shared: int, extra: Json) -> tuple[Response, bool]:
        """The response, and whether the server is the reason if it failed."""
        try:
            return await self.request(client, prompt, shared, extra), False
        except UserError as error:
            return failure(prompt, str(error)), False
        except self.sdk.APIStatusError as error:
            reason, code = self.describe_error(error), error.status_code
            if code in REJECTED:
                advice = "check the key in the environment, the name of the model and --base-url"
                raise UserError(f"{self.base_url}: request rejected ({reason}); {advice}") from None
            return failure(prompt, reason), code == 429 or code >= 500
        except self.sdk.APIConnectionError as error:
            return failure(prompt, self.describe_error(error)), True
        # The status is 200, but the body is not JSON or has no answer in it.
        except (self.sdk.APIError, ValueError) as error:
            return failure(prompt, f"not an answer of this API: {self.describe_error(error)}"), True

    def _give_up(self, prompts: list[Prompt], failures: int, last: str | None) -> Iterator[Response]:
        reason = f"{self.base_url}: {failures} requests in a row failed ({last})"
        message = f"{reason}; {len(prompts)} prompts not sent, rerun the same command to resume"
        tqdm.write(message, file=sys.stderr)
        for prompt in prompts:
            yield failure(prompt, f"not sent: {reason}")

    def describe_error(self, error: Exception) -> str:
        """The error's message, at most 500 characters, without the key: a server may repeat it."""
        text = str(error)
        if isinstance(error, self.sdk.APIStatusError):
            code = error.status_code
            text = f"HTTP {code}: {text.removeprefix(f'Error code: {code} - ')}"
        elif error.__cause__ is not None:
            text = f"{text} {type(error.__cause__).__name__}: {error.__cause__}"
        for key in self.keys:
            text = text.replace(key, "[key]")
        return text if len(text) <= 500 else text[:500] + "…"


async def _cancel(tasks: Mapping[asyncio.Task[Any], Prompt], client: Any) -> None:
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
