"""Responses that another program generates: it reads a file of prompts, and its responses are scored.

    harness prompts BENCH --out prompts.jsonl
        {"id": "internalized/0/L2-...-000000/3f2a9c1b5d7e", "prompt_sha256": "3f2a...", "messages": [...]}
    any inference stack
        {"id": "internalized/0/L2-...-000000/3f2a9c1b5d7e", "text": "..."}
    harness score BENCH responses.jsonl --model NAME --out RUN

An id ends with the digest of its prompt. So a response to another prompt, such as one of another version of
the benchmark, has an unknown id. Nothing is guessed: RUN is written only if every prompt has one response.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from harness import backends, images
from harness.backends import EXTERNAL, Backend, Sampling, failure
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.progress import Bar, note
from harness.records import Json, Prompt, Report, Response
from harness.request import EvalRequest, PromptRequest, ScoreRequest, make_run
from harness.run import evaluate, prompts_of
from harness.sampling import scored_instances
from harness.text import printable, reason, short

# From messages in the format of OpenAI's API to the text of a response.
Respond = Callable[[list[dict[str, Any]]], str]
# The digits of the digest in an id.
DIGITS = 12


class ResponseLine(msgspec.Struct):
    """A line of a file of responses. Other fields, such as those of the prompt's line, are not read."""

    id: str
    # Either a text, or why there is none.
    text: str | None = None
    error: str | None = None
    finish_reason: Literal["stop", "length", "refusal"] | None = None
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.error is None):
            raise ValueError("expected either a text or an error")

    def response(self, prompt: Prompt) -> Response:
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "id"}
        return Response(*prompt.key, **values)


class FromFile(Backend):
    """Responses that were generated elsewhere."""

    def __init__(self, responses: Mapping[tuple[str, str, int], Response]) -> None:
        self.responses = responses
        self.description: Json = {"backend": EXTERNAL, "responses": "from a file"}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            yield self.responses[prompt.key]


class FromFunction(Backend):
    """The texts that a function returns. An exception is a failed request."""

    def __init__(self, benchmark: Benchmark, respond: Respond) -> None:
        self.benchmark, self.respond = benchmark, respond
        self.description: Json = {"backend": EXTERNAL, "responses": "from a function"}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        show = _images(self.benchmark, inline=True)
        for prompt in prompts:
            try:
                text = self.respond(_messages(prompt, show))
            # The function is the user's, so any exception may occur.
            except Exception as error:
                yield failure(prompt, reason(error))
                continue
            if isinstance(text, str):
                yield Response(*prompt.key, text=text)
            else:
                yield failure(prompt, f"expected a text from the function, got {type(text).__name__}")


def prompt_lines(benchmark: Benchmark, request: PromptRequest, inline: bool) -> Iterator[dict[str, Any]]:
    """A line for each prompt: id, prompt_sha256, and one message in the format of OpenAI's API.

    Images are file:// addresses in the folder of the benchmark, or with `inline` data URIs. A prompt with an
    image that cannot be read is left out.
    """
    show = _images(benchmark, inline)
    for id_, prompt in Bar(readable_prompts(benchmark, request).items(), desc="prompts", unit="", delay=1):
        digest = benchmark.prompt_sha256(prompt)
        yield {"id": id_, "prompt_sha256": digest, "messages": _messages(prompt, show)}


def score_responses(
    benchmark: Benchmark, request: ScoreRequest, lines: Iterable[ResponseLine], source: str, out: Path
) -> Report:
    """Scores responses as `harness eval` does, and writes the same files.

    `source` names where the lines come from, for errors. Raises UserError if ids are unknown, repeated or
    missing, or if `out` contains other responses.
    """
    model = f"{EXTERNAL}:{request.model}"
    asked = EvalRequest(model, request.sampling, **_shared(request), batch_check=False)
    responses = _by_key(readable_prompts(benchmark, request), lines, source)
    for stored in store.Log(out / RESPONSES, Response).read():
        given = responses.get(stored.key)
        if stored.error is None and given is not None and stored.text != given.text:
            where = f"{stored.instance} under {stored.variant}"
            raise UserError(f"{out}: contains a run with another response to {where}; name another folder")
    return evaluate(benchmark, asked, out, FromFile(responses))


def readable_prompts(benchmark: Benchmark, request: PromptRequest) -> dict[str, Prompt]:
    """By id, in order, the prompts of a request whose images can be read."""
    # They do not depend on the model and on its sampling.
    run = make_run(benchmark, EvalRequest(EXTERNAL, Sampling(temperature=1), **_shared(request)))
    instances = scored_instances(benchmark, run)
    prompts, broken = backends.readable(benchmark, list(prompts_of(benchmark, run, instances)))
    for response in broken[:1]:
        share = f"{len(broken)} of {len(broken) + len(prompts)} prompts left out"
        note(f"{share}, because an image cannot be read: {response.error}")
    return {_id(prompt, benchmark.prompt_sha256(prompt)): prompt for prompt in prompts}


def _shared(request: PromptRequest) -> dict[str, Any]:
    return {f.name: getattr(request, f.name) for f in fields(PromptRequest)}


def _by_key(
    prompts: Mapping[str, Prompt], lines: Iterable[ResponseLine], source: str
) -> dict[tuple[str, str, int], Response]:
    """Exactly one response for each prompt. UserError names all ids that are unknown, repeated or missing."""
    counts: Counter[str] = Counter()
    responses = {}
    for line in Bar(lines, desc="reading responses", unit="", delay=1):
        counts[line.id] += 1
        if line.id in prompts:
            prompt = prompts[line.id]
            responses[prompt.key] = line.response(prompt)
    if not counts:
        raise UserError(f"{source}: expected one response to each of {len(prompts)} prompts, but it is empty")
    repeated = [i for i, count in counts.items() if count > 1]
    unknown = [i for i in counts if i not in prompts]
    missing = [i for i in prompts if i not in counts]
    found = []
    if unknown:
        found.append(f"ids of no prompt that was requested ({len(unknown)}): {_first(unknown)}")
    if missing:
        found.append(f"missing ids ({len(missing)} of {len(prompts)}): {_first(missing)}")
    if found:
        found.append("use the same benchmark and flags as in `harness prompts`")
    if repeated:
        found.append(f"repeated ids ({len(repeated)}): {_first(repeated)}; keep one line for each id")
    if found:
        raise UserError(f"{source}: {'; '.join(found)}")
    return responses


def _first(ids: Sequence[str]) -> str:
    return ", ".join(short(printable(i), 90) for i in ids[:3]) + (" and more" if len(ids) > 3 else "")


def _id(prompt: Prompt, digest: str) -> str:
    return f"{prompt.variant}/{prompt.sample}/{prompt.instance}/{digest[:DIGITS]}"


def _messages(prompt: Prompt, show: Callable[[str], str]) -> list[dict[str, Any]]:
    content = [
        {"type": "text", "text": part.value}
        if part.kind == "text"
        else {"type": "image_url", "image_url": {"url": show(part.value)}}
        for part in prompt.parts
    ]
    return [{"role": "user", "content": content}]


def _images(benchmark: Benchmark, inline: bool) -> Callable[[str], str]:
    """A function from the path of an image to its address."""
    if not inline:
        return lambda path: (benchmark.folder / path).resolve().as_uri()

    # The pictures of a policy occur in many prompts.
    @lru_cache(maxsize=64)
    def data_uri(path: str) -> str:
        media_type, data = images.encoded(benchmark.check(path), path)
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

    return data_uri
