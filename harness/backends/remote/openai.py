"""Any server of OpenAI's API, such as vLLM, SGLang or `transformers serve`.

openai:NAME                         chat completions: a user message with texts and images
openai:NAME?endpoint=completions    completions, for base models: a plain text (plain_prompt.py)
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openai

from harness.backends import Endpoint, Sampling
from harness.backends.plain_prompt import STOP, WorkedExamples, plain_prompt, response_before_stop
from harness.backends.remote import answers
from harness.backends.remote.answers import FinishReason
from harness.backends.remote.base import Remote, without_surrogates
from harness.errors import UserError
from harness.files.benchmark import Benchmark
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
    """Sends one request per prompt. If the server needs a key, OPENAI_API_KEY contains it.

    Cached tokens are known if the server reports them; vLLM's does with --enable-prompt-tokens-details.
    """

    sdk = openai

    def __init__(
        self, argument: str, benchmark: Benchmark, sampling: Sampling, endpoint: Endpoint, folder: Path | None
    ) -> None:
        name, _, option = argument.partition("?")
        if option not in ("", "endpoint=chat", "endpoint=completions"):
            raise UserError(
                f"openai:{argument}: expected openai:NAME or openai:NAME?endpoint=completions, got the "
                f"option {option!r}"
            )
        # Whether prompts are plain texts, for base models.
        self.plain = option == "endpoint=completions"
        self.path = "/completions" if self.plain else "/chat/completions"
        self.examples = WorkedExamples(benchmark)
        super().__init__(name, benchmark, sampling, endpoint, folder)
        self.description["endpoint"] = self.path

    @property
    def limit_field(self) -> str:
        """OpenAI's own models require the new name of the limit; most other servers know only the old one."""
        return "max_completion_tokens" if "api.openai.com" in self.base_url else "max_tokens"

    def client(self) -> openai.AsyncOpenAI:
        # The client refuses to start without a key, even for a server that needs none.
        return openai.AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", **self.client_options)

    def fields(self, prompt: Prompt, shared: int) -> dict[str, Any]:
        """The shared parts are not marked, because these servers find shared prefixes themselves."""
        sampling = self._sampling_fields(prompt)
        if self.plain:
            text = plain_prompt("".join(part.value for part in prompt.parts))
            limit = {"max_tokens": self.sampling.max_new_tokens}
            return {"model": self.model, "prompt": text, "stop": [STOP], **limit, **sampling}
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": [self.block(part) for part in prompt.parts]}],
            self.limit_field: self.sampling.max_new_tokens,
            **sampling,
        }

    def respond(self, prompts: Sequence[Prompt], schemas: Sequence[Json]) -> Iterator[Response]:
        """Raises UserError before the first request if the endpoint cannot show an image."""
        if self.plain and any(part.kind == "image" for prompt in prompts for part in prompt.parts):
            raise UserError(
                f"openai:{self.model}?endpoint=completions: expected prompts without images, which only the "
                "chat endpoint shows; omit ?endpoint=completions"
            )
        if self.plain:
            return super().respond(self.examples.add(prompts), ())
        return super().respond(prompts, schemas)

    def read(self, prompt: Prompt, body: dict[str, Any], seconds: float | None) -> Response:
        match body:
            case {"choices": [{"text": str(text)} as choice, *_]} if self.plain:
                end = answers.finish_reason(choice.get("finish_reason"), FINISH_REASONS)
                response = response_before_stop(text)
                message = {"content": text if response is None else response}
            case {"choices": [{"message": dict() as message} as choice, *_]} if not self.plain:
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
