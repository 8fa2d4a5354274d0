"""Anthropic's models through the official client: anthropic:NAME, with --batch at about half the price.

The API has no temperature, top_p or seed to set: the same request may give another response.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anthropic
import msgspec

from harness.backends import Endpoint, Sampling
from harness.backends.remote import answers
from harness.backends.remote.answers import FinishReason
from harness.backends.remote.anthropic_batches import Batches
from harness.backends.remote.base import Remote, shared_prefixes, without_surrogates
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Json, Prompt, Response

FINISH_REASONS: Mapping[str, FinishReason] = {
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
    path = "/v1/messages"
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

    def respond(self, prompts: Sequence[Prompt], schemas: Sequence[Json]) -> Iterator[Response]:
        if not self.endpoint.batch:
            yield from super().respond(prompts, schemas)
            return
        if self.folder is None:
            raise UserError("batch: expected a folder in which to record the batches, got none")
        prefixes = shared_prefixes(prompts)
        # The least strict form, because a batch may take a day to reject a strict one.
        extra = schemas[-1] if schemas else {}
        common = hashlib.sha256(
            msgspec.json.encode([self.model, self.sampling.max_new_tokens, extra])
        ).hexdigest()[:16]
        options = self.client_options | {"max_retries": self.endpoint.retries}
        with anthropic.Anthropic(**options) as client:

            def to_request(prompt: Prompt) -> Json:
                return {**self.fields(prompt, prefixes[prompt]), **extra}

            batches = Batches(client, self.folder, common, to_request, self.read, self.describe_error)
            yield from batches.respond(list(prefixes))

    def schema_fields(self, schema: Json, strict: bool) -> Json:
        tool: Json = {"name": "answer", "description": "Gives the answer.", "input_schema": dict(schema)}
        tools = [{**tool, "strict": True} if strict else tool]
        return {"tools": tools, "tool_choice": {"type": "tool", "name": "answer"}}

    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}

    def fields(self, prompt: Prompt, shared: int) -> dict[str, Any]:
        content = [self.block(part) for part in prompt.parts]
        if shared:
            content[shared - 1]["cache_control"] = {"type": "ephemeral"}
        messages = [{"role": "user", "content": content}]
        return {"model": self.model, "max_tokens": self.sampling.max_new_tokens, "messages": messages}

    def read(self, prompt: Prompt, body: dict[str, Any], seconds: float | None = None) -> Response:
        """The response in a message: the input of the forced tool as JSON if there is one, else the text."""
        content = body.get("content")
        if not isinstance(content, list):
            raise ValueError(f"expected a message, got {answers.excerpt(body)}")
        end = answers.finish_reason(body.get("stop_reason"), FINISH_REASONS)
        found = list(answers.parts(content))
        text = next((text for kind, text in found if kind == "tool"), answers.joined(found))
        usage = answers.mapping(body.get("usage"))
        new, cached, written = (
            0 if name != "input_tokens" and usage.get(name) is None else answers.count(usage.get(name))
            for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        )
        known = None not in (new, cached, written)
        return Response(
            *prompt.key,
            text=without_surrogates(answers.with_thought(answers.joined(found, "thought"), text)),
            # The provider counts tokens that are read from or written to its cache separately.
            prompt_tokens=(new or 0) + (cached or 0) + (written or 0) if known else None,
            cached_tokens=cached,
            written_tokens=written,
            completion_tokens=answers.count(usage.get("output_tokens")),
            seconds=seconds,
            finish_reason=end,
            served_model=answers.served_model(body),
        )
