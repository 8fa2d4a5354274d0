"""Anthropic's models through the official client: anthropic:NAME, with --batch at about half the price.

The API has no temperature, top_p or seed to set: the same request may give another response.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import anthropic
import msgspec

from harness.backends import Endpoint, Sampling
from harness.backends.anthropic_batches import Batches
from harness.backends.remote import Remote, shared_prefixes, without_surrogates
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Json, Prompt, Response

FINISH_REASONS: dict[str, Literal["stop", "length", "refusal"]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class Anthropic(Remote):
    """Sends one user message per prompt, and marks its shared prefix for the provider's cache."""

    sdk = anthropic
    batches = True

    def __init__(
        self, argument: str, benchmark: Benchmark, sampling: Sampling, endpoint: Endpoint, folder: Path | None
    ) -> None:
        # 0 is the default of every run, and 1 is what the API does.
        if sampling.temperature not in (0, 1) or sampling.top_p != 1:
            raise UserError(
                "temperature, top_p: the Anthropic API takes neither; expected neither, or temperature 1 "
                f"for several samples, got {sampling.temperature} and {sampling.top_p}"
            )
        super().__init__(argument, benchmark, sampling, endpoint, folder)
        if not self.keys:
            raise UserError("anthropic: expected a key in ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN")
        sampled = "the provider's own: no temperature, top_p or seed can be set"
        self.description |= {"batch": endpoint.batch, "sampling": sampled}

    def client(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(**self.client_options)

    def respond(self, prompts: Sequence[Prompt], extra: Json) -> Iterator[Response]:
        if not self.endpoint.batch:
            yield from super().respond(prompts, extra)
            return
        if self.folder is None:
            raise UserError("batch: expected a folder in which to record the batches, got none")
        prefixes = shared_prefixes(prompts)
        common = hashlib.sha256(
            msgspec.json.encode([self.model, self.sampling.max_new_tokens, extra])
        ).hexdigest()[:16]
        with anthropic.Anthropic(**self.client_options) as client:

            def to_request(prompt: Prompt) -> Json:
                return self._fields(prompt, prefixes[prompt], extra)

            batches = Batches(client, self.folder, common, to_request, _response, self.describe_error)
            yield from batches.respond(list(prefixes))

    async def request(self, client: Any, prompt: Prompt, shared: int, extra: Json) -> Response:
        raw = await client.messages.with_raw_response.create(**self._fields(prompt, shared, extra))
        return _response(prompt, await raw.parse(), raw.elapsed.total_seconds())

    def schema_fields(self, schema: Json) -> Json:
        tool = {"name": "answer", "description": "Gives the answer.", "input_schema": dict(schema)}
        return {"tools": [tool | {"strict": True}], "tool_choice": {"type": "tool", "name": "answer"}}

    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}

    def _fields(self, prompt: Prompt, shared: int, extra: Json) -> dict[str, Any]:
        content = [self.block(part) for part in prompt.parts]
        if shared:
            content[shared - 1]["cache_control"] = {"type": "ephemeral"}
        messages, limit = [{"role": "user", "content": content}], self.sampling.max_new_tokens
        return {"model": self.model, "max_tokens": limit, "messages": messages, **extra}


def _response(prompt: Prompt, message: Any, seconds: float | None = None) -> Response:
    """The response in a message: the input of the forced tool as JSON if there is one, else the text."""
    content, usage = getattr(message, "content", None), getattr(message, "usage", None)
    if not isinstance(content, list) or usage is None:
        raise ValueError(f"expected a message, got {message}")
    tool_inputs = [json.dumps(block.input) for block in content if block.type == "tool_use"]
    text = "".join(block.text for block in content if block.type == "text")
    written = usage.cache_creation_input_tokens or 0
    cached = usage.cache_read_input_tokens or 0
    return Response(
        *prompt.key,
        text=without_surrogates(tool_inputs[0] if tool_inputs else text),
        # The provider counts tokens that are read from or written to its cache separately.
        prompt_tokens=usage.input_tokens + cached + written,
        cached_tokens=cached,
        written_tokens=written,
        completion_tokens=usage.output_tokens,
        seconds=seconds,
        finish_reason=FINISH_REASONS.get(message.stop_reason),
    )
