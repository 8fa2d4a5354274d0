"""Reads the body of a server's answer strictly, because whatever is not known must not become a wrong answer.

the answer itself     of a known shape and with a known end, otherwise ValueError: the request has failed
counts of tokens      None if they are not plausible; nobody's score depends on them
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from harness.text import printable, short

FinishReason = Literal["stop", "length", "refusal"]
# More tokens than this in one response are a mistake of the server.
MAX_TOKENS = 10**9


def decode(data: bytes) -> dict[str, Any]:
    """The JSON object in a body. ValueError repeats the server's error, or the beginning of another body."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        text = excerpt(data.decode(errors="replace")) or "an empty body"
        raise ValueError(f"expected JSON, got {text}") from None
    match body:
        case {"error": {"message": str(message)}} | {"error": str(message)} if message:
            raise ValueError(f"the server reports: {excerpt(message)}")
        case dict():
            return body
    raise ValueError(f"expected a JSON object, got {excerpt(body)}")


def excerpt(value: Any) -> str:
    """The beginning of a text or of any JSON, for an error."""
    try:
        return short(printable(value if isinstance(value, str) else json.dumps(value)), 200)
    except RecursionError:
        return "deeply nested JSON"


def finish_reason(reason: Any, known: Mapping[str, FinishReason]) -> FinishReason:
    """Why the answer ended; some servers put the reason into a list. ValueError unless the end is known."""
    match reason:
        case str(name) | [str(name)] if name in known:
            return known[name]
    raise ValueError(f"it ended with {excerpt(reason)}, expected one of {', '.join(known)}")


def parts(content: Any) -> Iterator[tuple[str, str]]:
    """The (kind, text) of each part of a message. Kinds: text, thought, refusal, tool (its input as JSON)."""
    match content:
        case None:
            pass
        case str():
            yield "text", content
        case list():
            for part in content:
                yield from _part(part)
        case _:
            raise ValueError(f"expected a text or a list of parts, got {excerpt(content)}")


def _part(part: Any) -> Iterator[tuple[str, str]]:
    match part:
        case {"type": "text" | "output_text", "text": str(text)}:
            yield "text", text
        case {"type": "thinking" | "reasoning" as kind}:
            yield "thought", joined(parts(part.get(kind) or part.get("text") or part.get("content")))
        case {"type": "redacted_thinking"}:
            pass
        case {"type": "refusal", "refusal": str(text)}:
            yield "refusal", text
        case {"type": "tool_use", "input": arguments}:
            yield "tool", json.dumps(arguments)
        case _:
            raise ValueError(f"expected a part with a text, got {excerpt(part)}")


def joined(found: Iterator[tuple[str, str]] | list[tuple[str, str]], kind: str = "text") -> str:
    """The texts of one kind of part."""
    return "".join(text for name, text in found if name == kind)


def with_thought(thought: str, answer: str) -> str:
    """The text of a response. A thought that the server has split off is put back as a think block."""
    return f"<think>{thought}</think>{answer}" if thought else answer


def served_model(body: Mapping[str, Any]) -> str | None:
    """The model that the server says it used."""
    name = body.get("model")
    return short(printable(name), 200) if isinstance(name, str) and name else None


def count(value: Any) -> int | None:
    """A plausible number of tokens."""
    return value if type(value) is int and 0 <= value < MAX_TOKENS else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}
