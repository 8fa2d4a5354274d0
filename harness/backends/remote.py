"""What the backends behind an API share: requests under way at a time, retries, failures, and no secret told.

The providers' own clients do the retrying: they wait longer each time, or as long as the server says
(retry-after). What still fails is a Response with an error, never a wrong answer.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Protocol

from tqdm import tqdm

from harness.backends import Endpoint, check_url
from harness.backends.prefix_groups import group_by_prefix
from harness.errors import UserError
from harness.records import Prompt, Response

RETRIES = 6
"""After the first attempt: about 20 seconds with the clients' own waits, unless the server asks for more."""

TIMEOUT = 1800.0
"""Seconds for one answer: a slow server may need minutes for a long one."""

PATIENCE = 8
"""This many requests in a row without an answer, or --concurrency if more, and the server counts as gone."""

REFUSED = (401, 403, 404)
"""Wrong key, no right, no such model: the next request would end the same way."""

MEDIA = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


class Files(Protocol):
    """What is asked of a benchmark: the bytes of the pictures that its prompts name."""

    def check(self, path: str) -> bytes: ...


class Remote(ABC):
    """A model behind an API. A subclass builds requests and reads answers; client is its SDK's async one.

    Not batched: how many requests a server computes together is not ours to choose.
    """

    batched = False
    description: Mapping[str, Any]

    def __init__(self, sdk: Any, client: Callable[[], Any], benchmark: Files, endpoint: Endpoint) -> None:
        """sdk is the module that names the client's errors. The client is made anew for each event loop."""
        self.sdk, self.client, self.concurrency = sdk, client, endpoint.concurrency
        sample = client()
        check_url(str(sample.base_url))
        self.base_url = str(sample.base_url)
        secrets = (getattr(sample, name, None) for name in ("api_key", "auth_token"))
        self.secrets = [secret for secret in secrets if secret and secret != "none"]
        # A policy's pictures are in many prompts.
        self.image = lru_cache(maxsize=64)(lambda path: _encode(benchmark, path))

    @abstractmethod
    async def ask(self, client: Any, prompt: Prompt, prefix: int, forced: Mapping[str, Any]) -> Response:
        """One answer; the first prefix parts are shared with other prompts.

        Raises the SDK's errors, ValueError for an answer that is none, UserError for a prompt that cannot be.
        """

    @abstractmethod
    def forcing(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a request says besides, so that its answer is JSON of this schema."""

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        return self.answers(prompts, {})

    def structured(self, prompts: Sequence[Prompt], schema: Mapping[str, Any]) -> Iterator[Response]:
        """As generate, but each text is JSON that the server made to fit this JSON schema."""
        return self.answers(prompts, self.forcing(schema))

    def answers(self, prompts: Sequence[Prompt], forced: Mapping[str, Any]) -> Iterator[Response]:
        """Responses as they come; the event loop runs only while the next one is waited for."""
        waiting = deque(shared_prefixes(prompts).items())
        under_way: dict[asyncio.Task[tuple[Response, bool]], Prompt] = {}
        failed_in_a_row = 0
        with asyncio.Runner() as runner:
            client = self.client()
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < self.concurrency:
                        prompt, prefix = waiting.popleft()
                        request = self._attempt(client, prompt, prefix, forced)
                        under_way[runner.get_loop().create_task(request)] = prompt
                    for task in runner.run(_first(under_way)):
                        response, server_failed = task.result()
                        del under_way[task]
                        failed_in_a_row = failed_in_a_row + 1 if server_failed else 0
                        yield response
                        if failed_in_a_row >= max(PATIENCE, self.concurrency):
                            left = [*under_way.values(), *(prompt for prompt, _ in waiting)]
                            yield from self._give_up(left, failed_in_a_row, response.error)
                            return
            finally:
                runner.run(_end(under_way, client))

    async def _attempt(self, client: Any, prompt: Prompt, prefix: int, forced: Any) -> tuple[Response, bool]:
        """The response, and whether it is missing because of the server rather than of the prompt."""
        try:
            return await self.ask(client, prompt, prefix, forced), False
        except UserError as error:
            return failure(prompt, str(error)), False
        except self.sdk.APIStatusError as error:
            if error.status_code in REFUSED:
                raise self.refusal(error) from None
            return failure(prompt, self.told(error)), error.status_code == 429 or error.status_code >= 500
        except self.sdk.APIConnectionError as error:
            return failure(prompt, self.told(error)), True
        # With status 200, but not JSON, or not of this API.
        except (self.sdk.APIError, ValueError) as error:
            return failure(prompt, f"not an answer of this API: {self.told(error)}"), True

    def _give_up(self, left: list[Prompt], failures: int, last: str | None) -> Iterator[Response]:
        message = f"{self.base_url}: no answer {failures} times in a row ({last})"
        tqdm.write(f"{message}; {len(left)} prompts are not asked, the same command goes on", file=sys.stderr)
        for prompt in left:
            yield failure(prompt, f"not asked: {message}")

    def refusal(self, error: Exception) -> UserError:
        return UserError(
            f"{self.base_url}: refused ({self.told(error)}); expected a valid key in the environment, "
            "a model that the server knows, and --base-url of its API"
        )

    def told(self, error: Exception) -> str:
        """An error in words, without the key that a server may have repeated."""
        text = str(error)
        if isinstance(error, self.sdk.APIStatusError):
            code = error.status_code
            text = f"HTTP {code}: {text.removeprefix(f'Error code: {code} - ')}"
        elif error.__cause__ is not None:
            text = f"{text} {type(error.__cause__).__name__}: {error.__cause__}"
        for secret in self.secrets:
            text = text.replace(secret, "[key]")
        return text if len(text) <= 500 else text[:500] + "…"


async def _first(tasks: Iterable[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _end(tasks: Iterable[asyncio.Task[Any]], client: Any) -> None:
    """Drops what is under way, so that Ctrl-C and a refusal end at once."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


def writable(text: str) -> str:
    """Without lone halves of characters, which a server may send and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def failure(prompt: Prompt, error: str) -> Response:
    return Response(*prompt.key, text=None, error=error)


def _encode(benchmark: Files, path: str) -> tuple[str, str]:
    """A picture's media type and its bytes in base64, as they are in its file."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in MEDIA:
        raise UserError(f"{path}: expected a picture with one of {', '.join(MEDIA)}, got {suffix or 'none'}")
    return MEDIA[suffix], base64.b64encode(benchmark.check(path)).decode()


def shared_prefixes(prompts: Sequence[Prompt]) -> dict[Prompt, int]:
    """How many first parts each prompt shares with others, in the order in which to send them.

    One prompt of each prefix goes ahead, so that the others, together behind it, find it in the cache.
    """
    groups = group_by_prefix(prompts)
    shared = {group.prompts[0]: group.shared for group in groups}
    return shared | {prompt: group.shared for group in groups for prompt in group.prompts[1:]}
