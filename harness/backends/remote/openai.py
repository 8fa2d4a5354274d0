"""Any server of OpenAI's chat completions API, such as vLLM, SGLang or `transformers serve`: openai:NAME."""

import os
from collections.abc import Mapping
from typing import Any

import openai

from harness.backends.remote import answers
from harness.backends.remote.answers import FinishReason
from harness.backends.remote.base import Remote, without_surrogates
from harness.records import Json, Prompt, Response
from harness.seeds import rng

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "refusal",
    # Of other servers.
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
}
# Where servers put a thought that they split off.
THOUGHT_FIELDS = "reasoning_content", "reasoning", "thinking"


class OpenAI(Remote):
    """Sends one user message per prompt. If the server needs a key, OPENAI_API_KEY contains it.

    Cached tokens are known if the server reports them; vLLM's does with --enable-prompt-tokens-details.
    """

    sdk = openai
    path = "/chat/completions"

    @property
    def limit_field(self) -> str:
        """OpenAI's own models require the new name of the limit; most other servers know only the old one."""
        return "max_completion_tokens" if "api.openai.com" in self.base_url else "max_tokens"

    def client(self) -> openai.AsyncOpenAI:
        # The client refuses to start without a key, even for a server that needs none.
        return openai.AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", **self.client_options)

    def fields(self, prompt: Prompt, shared: int) -> dict[str, Any]:
        """The shared parts are not marked, because these servers find shared prefixes themselves."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": [self.block(part) for part in prompt.parts]}],
            self.limit_field: self.sampling.max_new_tokens,
            **self._sampling_fields(prompt),
        }

    def read(self, prompt: Prompt, body: dict[str, Any], seconds: float | None) -> Response:
        match body:
            case {"choices": [{"message": dict() as message} as choice, *_]}:
                end = answers.finish_reason(choice.get("finish_reason"), FINISH_REASONS)
            case _:
                raise ValueError(f"expected choices with a message, got {answers.excerpt(body)}")
        text, thought, refusal = _message(message)
        if refusal:
            text, end = text or refusal, "refusal"
        if not (text or thought) and message.get("content") != "" and end != "refusal":
            raise ValueError(f"expected a text, got {answers.excerpt(body)}")
        usage = answers.mapping(body.get("usage"))
        prompt_tokens = answers.count(usage.get("prompt_tokens"))
        cached = answers.count(answers.mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
        return Response(
            *prompt.key,
            text=without_surrogates(answers.with_thought(thought, text)),
            prompt_tokens=prompt_tokens,
            cached_tokens=None if cached is None or cached > (prompt_tokens or 0) else cached,
            completion_tokens=answers.count(usage.get("completion_tokens")),
            seconds=seconds,
            finish_reason=end,
            served_model=answers.served_model(body),
        )

    def schema_fields(self, schema: Json, strict: bool) -> Json:
        json_schema = {"name": "answer", "schema": dict(schema), "strict": strict}
        return {"response_format": {"type": "json_schema", "json_schema": json_schema}}

    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}

    def _sampling_fields(self, prompt: Prompt) -> dict[str, Any]:
        """Each prompt has its own seed, so that its samples differ and can be repeated."""
        temperature, top_p = self.sampling.temperature, self.sampling.top_p
        if temperature == 0:
            return {"temperature": 0}
        seed = rng(self.sampling.seed, "openai", *prompt.key).getrandbits(31)
        # Some servers reject top_p, and 1 is no restriction.
        return {"temperature": temperature, "seed": seed} | ({"top_p": top_p} if top_p < 1 else {})


def _message(message: Mapping[str, Any]) -> tuple[str, str, str]:
    """The text, the thought and the refusal of a message."""
    content = list(answers.parts(message.get("content")))
    apart = next((message[name] for name in THOUGHT_FIELDS if message.get(name)), None)
    thought = answers.joined(answers.parts(apart)) + answers.joined(content, "thought")
    refusal = message.get("refusal")
    if not isinstance(refusal, str):
        refusal = answers.joined(content, "refusal")
    return answers.joined(content), thought, refusal
