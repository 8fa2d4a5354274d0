"""Any server that speaks OpenAI's chat completions, as vLLM, SGLang, transformers serve: openai:NAME."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from harness.backends import Endpoint, Sampling, remote
from harness.backends.remote import Files, Remote
from harness.errors import UserError
from harness.records import Part, Prompt, Response
from harness.seeds import rng

try:
    import openai
except ImportError as error:
    raise UserError(
        "openai: expected the openai client; install it with "
        f'pip install "policy-internalization[openai]" ({error})'
    ) from error

FINISH: dict[str, Literal["stop", "length", "refusal"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "refusal",
}


class OpenAI(Remote):
    """One user message a prompt; the key, if the server wants one, comes from OPENAI_API_KEY.

    Cached tokens are known where the server tells them; vLLM's does with --enable-prompt-tokens-details.
    """

    def __init__(self, argument: str, benchmark: Files, sampling: Sampling, endpoint: Endpoint) -> None:
        if not argument:
            raise UserError("model: expected openai:NAME with the name that the server gives its model")
        if endpoint.batch:
            raise UserError("batch: openai has no batches here; --concurrency sends more at a time")

        def client() -> openai.AsyncOpenAI:
            return openai.AsyncOpenAI(
                api_key=os.environ.get("OPENAI_API_KEY") or "none",
                base_url=endpoint.base_url,
                max_retries=remote.RETRIES,
                timeout=openai.Timeout(remote.TIMEOUT, connect=10),
            )

        super().__init__(openai, client, benchmark, endpoint)
        self.model, self.sampling = argument, sampling
        # OpenAI's own models want the new name of this limit, most other servers know only the old one.
        own = "api.openai.com" in self.base_url
        self.limit = "max_completion_tokens" if own else "max_tokens"
        self.description = {
            "backend": "openai",
            "model": argument,
            "base_url": self.base_url,
            "client": f"openai {openai.__version__}",
        }

    async def ask(self, client: Any, prompt: Prompt, prefix: int, forced: Mapping[str, Any]) -> Response:
        """The prefix needs no word: these servers find shared prefixes themselves."""
        raw = await client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[{"role": "user", "content": [self._block(part) for part in prompt.parts]}],
            **{self.limit: self.sampling.max_new_tokens},
            **self._drawing(prompt),
            **forced,
        )
        completion = raw.parse()
        if not getattr(completion, "choices", None):
            raise ValueError(f"expected choices, got {completion}")
        choice, usage = completion.choices[0], completion.usage
        refusal = getattr(choice.message, "refusal", None)
        details = getattr(usage, "prompt_tokens_details", None)
        return Response(
            *prompt.key,
            text=remote.writable(_text(choice.message) or refusal or ""),
            prompt_tokens=usage and usage.prompt_tokens,
            cached_tokens=details and details.cached_tokens,
            completion_tokens=usage and usage.completion_tokens,
            seconds=raw.elapsed.total_seconds(),
            finish_reason="refusal" if refusal else FINISH.get(choice.finish_reason),
        )

    def forcing(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = {"name": "answer", "schema": dict(schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}

    def _block(self, part: Part) -> dict[str, Any]:
        if part.kind == "text":
            return {"type": "text", "text": part.value}
        media, data = self.image(part.value)
        return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}

    def _drawing(self, prompt: Prompt) -> dict[str, Any]:
        """Greedy, or drawn with a seed of the prompt's own, so that samples differ and can be had again."""
        if self.sampling.temperature == 0:
            return {"temperature": 0}
        return {
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "seed": rng(self.sampling.seed, "openai", *prompt.key).getrandbits(31),
        }


def _text(message: Any) -> str:
    """Servers that split the reasoning off get it put back, so that it can be judged as any model's."""
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    content: str = message.content or ""
    return f"<think>{reasoning}</think>{content}" if reasoning else content
