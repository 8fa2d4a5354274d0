"""Anthropic's models through the official client: anthropic:NAME, with --batch at about half the price.

The API takes no temperature, no top_p and no seed: responses are drawn as it does by itself, and asking again
may give another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from harness.backends import Endpoint, Sampling, remote
from harness.backends.remote import Files, Remote
from harness.errors import UserError
from harness.records import Part, Prompt, Response

try:
    import anthropic

    from harness.backends.anthropic_batches import Batches
except ImportError as error:
    raise UserError(
        "anthropic: expected the anthropic client; install it with "
        f'pip install "policy-internalization[anthropic]" ({error})'
    ) from error

C = TypeVar("C", anthropic.Anthropic, anthropic.AsyncAnthropic)

FINISH: dict[str, Literal["stop", "length", "refusal"]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class Anthropic(Remote):
    """One user message a prompt, the prefix that it shares with others marked for the provider's cache."""

    def __init__(
        self,
        argument: str,
        benchmark: Files,
        sampling: Sampling,
        endpoint: Endpoint,
        folder: Path | None = None,
    ) -> None:
        if not argument:
            raise UserError("model: expected anthropic:NAME with the name of a model")
        # 0 is the default of every run and 1 what the API does; a run that asks for another gets neither.
        if sampling.temperature not in (0, 1) or sampling.top_p != 1:
            raise UserError(
                "temperature, top_p: the Anthropic API takes neither and draws at its own; expected none, or "
                f"temperature 1 for several samples, got {sampling.temperature} and {sampling.top_p}"
            )
        self.model, self.limit = argument, sampling.max_new_tokens
        self.batch, self.folder = endpoint.batch, folder

        def make(client: Callable[..., C]) -> C:
            timeout = anthropic.Timeout(remote.TIMEOUT, connect=10)
            return client(base_url=endpoint.base_url, max_retries=remote.RETRIES, timeout=timeout)

        self.make = make
        super().__init__(anthropic, lambda: make(anthropic.AsyncAnthropic), benchmark, endpoint)
        if not self.secrets:
            raise UserError(
                "anthropic: expected a key in ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN), got none"
            )
        self.description = {
            "backend": "anthropic",
            "model": argument,
            "base_url": self.base_url,
            "batch": endpoint.batch,
            "sampling": "the provider's own: no temperature, top_p or seed can be asked for",
            "client": f"anthropic {anthropic.__version__}",
        }

    def answers(self, prompts: Sequence[Prompt], forced: Mapping[str, Any]) -> Iterator[Response]:
        if not self.batch:
            yield from super().answers(prompts, forced)
            return
        prefixes = remote.shared_prefixes(prompts)
        asked = hashlib.sha256(msgspec.json.encode([self.model, self.limit, forced])).hexdigest()[:16]
        with self.make(anthropic.Anthropic) as client:
            batches = Batches(
                client,
                self.told,
                self.folder,
                asked,
                body=lambda prompt: self._request(prompt, prefixes[prompt], forced),
                read=_read,
            )
            yield from batches.answers(list(prefixes))

    async def ask(self, client: Any, prompt: Prompt, prefix: int, forced: Mapping[str, Any]) -> Response:
        raw = await client.messages.with_raw_response.create(**self._request(prompt, prefix, forced))
        return _read(prompt, await raw.parse(), raw.elapsed.total_seconds())

    def forcing(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        tool = {
            "name": "answer",
            "description": "Gives the answer.",
            "input_schema": dict(schema),
            "strict": True,
        }
        return {"tools": [tool], "tool_choice": {"type": "tool", "name": "answer"}}

    def _request(self, prompt: Prompt, prefix: int, forced: Mapping[str, Any]) -> dict[str, Any]:
        content = [self._block(part) for part in prompt.parts]
        if prefix:
            content[prefix - 1]["cache_control"] = {"type": "ephemeral"}
        messages = [{"role": "user", "content": content}]
        return {"model": self.model, "max_tokens": self.limit, "messages": messages, **forced}

    def _block(self, part: Part) -> dict[str, Any]:
        if part.kind == "text":
            return {"type": "text", "text": part.value}
        media, data = self.image(part.value)
        return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _read(prompt: Prompt, message: Any, seconds: float | None = None) -> Response:
    """A message as a response: the forced tool's input as JSON where there is one, its text otherwise."""
    content, usage = getattr(message, "content", None), getattr(message, "usage", None)
    if not isinstance(content, list) or usage is None:
        raise ValueError(f"expected a message, got {message}")
    given = [json.dumps(block.input) for block in content if block.type == "tool_use"]
    written = usage.cache_creation_input_tokens or 0
    cached = usage.cache_read_input_tokens or 0
    return Response(
        *prompt.key,
        text=remote.writable(
            given[0] if given else "".join(block.text for block in content if block.type == "text")
        ),
        prompt_tokens=usage.input_tokens + cached + written,
        cached_tokens=cached,
        written_tokens=written,
        completion_tokens=usage.output_tokens,
        seconds=seconds,
        finish_reason=FINISH.get(message.stop_reason),
    )
