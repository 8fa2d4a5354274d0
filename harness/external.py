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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from harness import images
from harness.backends import EXTERNAL, FROM_FILE, Backend, Sampling, failure
from harness.backends.readable_prompts import ReadablePrompts
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.progress import Bar
from harness.records import Count, Json, Prompt, Report, Response, Seconds
from harness.request import EvalRequest, PromptRequest, ScoreRequest, make_run
from harness.run import evaluate, prompts_of, require_one
from harness.sampling import scored_instances
from harness.text import printable, reason, short

# From messages in the format of OpenAI's API to the text of a response.
Respond = Callable[[list[dict[str, Any]]], str]
# The digits of the digest in an id.
DIGITS = 12


class PromptLine(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of prompts."""

    id: str
    prompt_sha256: str
    messages: list[Any]


class ResponseLine(msgspec.Struct):
    """A line of a file of responses. Other fields, such as those of the prompt's line, are not read."""

    id: str
    # Either a text, or why there is none.
    text: str | None = None
    error: str | None = None
    finish_reason: Literal["stop", "length", "refusal"] | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    seconds: Seconds | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.error is None):
            got = "neither" if self.text is None else "both"
            raise ValueError(f"expected a text or else an error, got {got}")
        if self.error == "":
            raise ValueError("expected the reason as error, got an empty text")

    def response(self, prompt: Prompt, digest: str) -> Response:
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "id"}
        return Response(*prompt.key, **values, prompt_sha256=digest)


# Those of a file are read one at a time, so that their texts are never all in memory.
Lines = store.Lines[ResponseLine] | Sequence[ResponseLine]


class FromFile(Backend):
    """Responses that were generated elsewhere."""

    instant = True

    def __init__(self, benchmark: Benchmark, lines: Lines, numbers: Mapping[str, int]) -> None:
        """`numbers` are those of the lines, by id."""
        self.benchmark, self.lines, self.numbers = benchmark, lines, numbers
        self.description: Json = {"backend": EXTERNAL, "responses": FROM_FILE}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            digest = self.benchmark.prompt_sha256(prompt)
            id_ = _id(prompt, digest)
            line = self.lines[self.numbers[id_]]
            if line.id != id_:
                raise UserError("responses: changed while they were read; run the same command again")
            yield line.response(prompt, digest)


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


def contains_prompts(file: BinaryIO) -> bool:
    """Whether this is a file of prompts as `harness prompts` writes it: nobody has added a text to a line."""
    try:
        msgspec.json.decode(file.readline(), type=PromptLine)
    except store.DECODE_ERRORS:
        return False
    return True


def requested_prompts(benchmark: Benchmark, request: PromptRequest) -> ReadablePrompts:
    """The prompts of a request, in order. A note says how many have an image that cannot be read.

    Raises UserError if they begin the response, which a user's message cannot do.
    """
    # They do not depend on the model and on its sampling.
    run = make_run(benchmark, EvalRequest(EXTERNAL, Sampling(temperature=1), **_shared(request)))
    instances = scored_instances(benchmark, run)
    prompts = ReadablePrompts(benchmark, lambda: prompts_of(benchmark, run, instances))
    if prompts.continues:
        raise UserError(
            f"split: expected one whose prompts do not begin the response, got {request.split}; use "
            "`harness eval` with hf:PATH, which can continue a response"
        )
    prompts.note_failures()
    return prompts


def prompt_id(benchmark: Benchmark, prompt: Prompt) -> str:
    """The id of a prompt in a file of prompts, under which its response is found."""
    return _id(prompt, benchmark.prompt_sha256(prompt))


def prompt_lines(benchmark: Benchmark, request: PromptRequest, inline: bool) -> Iterator[dict[str, Any]]:
    """A line for each prompt: id, prompt_sha256, and one message in the format of OpenAI's API.

    Images are file:// addresses in the folder of the benchmark, or with `inline` data URIs. A prompt with an
    image that cannot be read is left out.
    """
    show = _images(benchmark, inline)
    for prompt in Bar(_some_prompts(benchmark, request), desc="prompts", unit="", delay=1):
        digest = benchmark.prompt_sha256(prompt)
        yield {"id": _id(prompt, digest), "prompt_sha256": digest, "messages": _messages(prompt, show)}


def _some_prompts(benchmark: Benchmark, request: PromptRequest) -> ReadablePrompts:
    prompts = requested_prompts(benchmark, request)
    require_one(chain(prompts, prompts.failures), request.split, request.variants)
    return prompts


def external_model(name: str) -> str:
    """A model that another program runs, as a report shows it: with one prefix."""
    return f"{EXTERNAL}:{name.removeprefix(f'{EXTERNAL}:')}"


def score_responses(
    benchmark: Benchmark, request: ScoreRequest, lines: Lines, source: str, out: Path
) -> Report:
    """Scores responses as `harness eval` does, and writes the same files.

    `source` names where the lines come from, for errors. Raises UserError if ids are unknown, repeated or
    missing, or if `out` contains other responses.
    """
    model = external_model(request.model)
    asked = EvalRequest(model, Sampling(**asdict(request.sampling)), **_shared(request), batch_check=False)
    numbers = _line_numbers(benchmark, _some_prompts(benchmark, request), lines, source)
    for _, stored in store.Log(out / RESPONSES, Response).scan():
        number = numbers.get(_id(stored, stored.prompt_sha256 or ""))
        if stored.error is None and number is not None and stored.text != lines[number].text:
            where = f"{stored.instance} under {stored.variant}"
            raise UserError(f"{out}: contains a run with another response to {where}; name another folder")
    return evaluate(benchmark, asked, out, FromFile(benchmark, lines, numbers))


def _shared(request: PromptRequest) -> dict[str, Any]:
    return {f.name: getattr(request, f.name) for f in fields(PromptRequest)}


def _line_numbers(
    benchmark: Benchmark, prompts: ReadablePrompts, lines: Lines, source: str
) -> dict[str, int]:
    """By id, the number of the line that responds to its prompt: exactly one for each prompt.

    UserError names all ids that are unknown, repeated or missing.
    """
    numbers: dict[str, int] = {}
    again = set()
    for number, line in enumerate(Bar(lines, desc="reading responses", unit="", delay=1)):
        if numbers.setdefault(line.id, number) != number:
            again.add(line.id)
    if not numbers:
        raise UserError(f"{source}: expected one response to each of {len(prompts)} prompts, but it is empty")
    missing = [id_ for prompt in prompts if (id_ := prompt_id(benchmark, prompt)) not in numbers]
    found = []
    if len(numbers) > len(prompts) - len(missing):
        requested = {prompt_id(benchmark, prompt) for prompt in prompts}
        unknown = [i for i in numbers if i not in requested]
        found.append(f"ids of no prompt that was requested ({len(unknown)}): {_first(unknown)}")
    if missing:
        found.append(f"missing ids ({len(missing)} of {len(prompts)}): {_first(missing)}")
    if found:
        found.append("use the same benchmark and flags as in `harness prompts`")
    if again:
        repeated = [i for i in numbers if i in again]
        found.append(f"repeated ids ({len(repeated)}): {_first(repeated)}; keep one line for each id")
    if found:
        raise UserError(f"{source}: {'; '.join(found)}")
    return numbers


def _first(ids: Sequence[str]) -> str:
    return ", ".join(short(printable(i), 90) for i in ids[:3]) + (" and more" if len(ids) > 3 else "")


def _id(prompt: Prompt | Response, digest: str) -> str:
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
