"""Any server of OpenAI's chat completions API, such as vLLM, SGLang or `transformers serve`: openai:NAME."""

import os
from typing import Any, Literal

import openai

from harness.backends.remote import Remote, without_surrogates
from harness.records import Json, Prompt, Response
from harness.seeds import rng

FINISH_REASONS: dict[str, Literal["stop", "length", "refusal"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "refusal",
}


class OpenAI(Remote):
    """Sends one user message per prompt. If the server needs a key, OPENAI_API_KEY contains it.

    Cached tokens are known if the server reports them; vLLM's does with --enable-prompt-tokens-details.
    """

    sdk = openai

    @property
    def limit_field(self) -> str:
        """OpenAI's own models require the new name of the limit; most other servers know only the old one."""
        return "max_completion_tokens" if "api.openai.com" in self.base_url else "max_tokens"

    def client(self) -> openai.AsyncOpenAI:
        # The client refuses to start without a key, even for a server that needs none.
        return openai.AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", **self.client_options)

    async def request(self, client: Any, prompt: Prompt, shared: int, extra: Json) -> Response:
        """The shared parts are not marked, because these servers find shared prefixes themselves."""
        raw = await client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[{"role": "user", "content": [self.block(part) for part in prompt.parts]}],
            **{self.limit_field: self.sampling.max_new_tokens},
            **self._sampling_fields(prompt),
            **extra,
        )
        completion = raw.parse()
        if not getattr(completion, "choices", None):
            raise ValueError(f"expected choices, got {completion}")
        choice, usage = completion.choices[0], completion.usage
        refusal = getattr(choice.message, "refusal", None)
        details = getattr(usage, "prompt_tokens_details", None)
        return Response(
            *prompt.key,
            text=without_surrogates(_text(choice.message) or refusal or ""),
            prompt_tokens=usage and usage.prompt_tokens,
            cached_tokens=details and details.cached_tokens,
            completion_tokens=usage and usage.completion_tokens,
            seconds=raw.elapsed.total_seconds(),
            finish_reason="refusal" if refusal else FINISH_REASONS.get(choice.finish_reason),
        )

    def schema_fields(self, schema: Json) -> Json:
        json_schema = {"name": "answer", "schema": dict(schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": json_schema}}

    def image_block(self, media_type: str, data: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}

    def _sampling_fields(self, prompt: Prompt) -> dict[str, Any]:
        """Each prompt has its own seed, so that its samples differ and can be repeated."""
        temperature, top_p = self.sampling.temperature, self.sampling.top_p
        if temperature == 0:
            return {"temperature": 0}
        seed = rng(self.sampling.seed, "openai", *prompt.key).getrandbits(31)
        return {"temperature": temperature, "top_p": top_p, "seed": seed}


def _text(message: Any) -> str:
    """The text of a message. If the server has split off the reasoning, it is put back as a think block."""
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    content: str = message.content or ""
    return f"<think>{reasoning}</think>{content}" if reasoning else content
