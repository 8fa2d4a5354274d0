"""Answers of unusual servers: what is not known is a failed request, never a traceback or a wrong answer."""

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from loopback import KEY, Reply, Request, Server, completion, message, serving

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import read_json
from harness.records import Part, Prompt, Report, Response
from harness.report.page import warnings
from harness.request import EvalRequest
from harness.run import evaluate

pytest.importorskip("openai")
pytest.importorskip("anthropic")

GREEDY = Sampling()
TEXT = "<think>x</think>\\boxed{Case 0}"
THOUGHT = "<think>hm</think>\\boxed{Case 0}"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    for name in ("FIRST_WAIT", "LONGEST_WAIT"):
        monkeypatch.setattr(f"harness.backends.remote.sender.{name}", 0.01)


def openai(content: Any = TEXT, usage: Any = None, **choice: Any) -> Any:
    """A body of OpenAI's API; `choice` replaces fields of the choice, `message` some of its message."""
    message = {"role": "assistant", "content": content} | choice.pop("message", {})
    counts = {"prompt_tokens": 100, "completion_tokens": 7} if usage is None else usage
    choices = [{"index": 0, "message": message, "finish_reason": "stop"} | choice]
    return {"id": "c", "model": "served", "choices": choices, "usage": counts}


def anthropic(content: Any = None, stop_reason: Any = "end_turn", **fields: Any) -> Any:
    return message(TEXT, stop_reason, content) | fields


def thinking(kind: str, thought: Any) -> list[Any]:
    return [{"type": kind, kind: thought}, {"type": "text", "text": "\\boxed{Case 0}"}]


# The text that counts, or None if the request has failed.
OPENAI: list[tuple[Any, str | None]] = [
    (openai(), TEXT),
    (openai(thinking("thinking", [{"type": "text", "text": "hm"}])), THOUGHT),
    (openai(thinking("thinking", "hm")), THOUGHT),
    (openai(thinking("reasoning", "hm")), THOUGHT),
    (openai("\\boxed{Case 0}", message={"reasoning": "hm"}), THOUGHT),
    (openai("\\boxed{Case 0}", message={"reasoning_content": "hm", "reasoning": "hm"}), THOUGHT),
    (openai(None, message={"reasoning": "hm"}, finish_reason="length"), "<think>hm</think>"),
    (openai(finish_reason=["stop"]), TEXT),
    (openai(message={"refusal": {"code": 1}}), TEXT),
    (openai(usage="unknown"), TEXT),
    (openai(usage={"prompt_tokens": None, "completion_tokens": None}), TEXT),
    (openai(usage={"prompt_tokens": 10.5, "completion_tokens": 7}), TEXT),
    (openai(usage={"prompt_tokens": 10**30, "completion_tokens": -1}), TEXT),
    (openai(usage={"prompt_tokens": True, "completion_tokens": "7"}), TEXT),
    (openai(usage={"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": "none"}), TEXT),
    (openai(usage={"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}}), TEXT),
    (openai("half a character \ud83d"), "half a character ?"),
    (openai(""), ""),
    (openai(None, finish_reason="content_filter"), ""),
    (openai() | {"choices": [{"message": None, "finish_reason": "error"}], "usage": None}, None),
    *((openai() | {"choices": choices}, None) for choices in ([None], [7], [{}], [], "abc", None, {})),
    *((openai(content), None) for content in (5, True, None, {}, [], [7], [{"type": "text", "text": None}])),
    (openai([{"type": "image"}]), None),
    (openai([{"type": "tool_use", "input": {}}]), None),
    (openai("", finish_reason="error"), None),
    (openai("part of an ans", finish_reason="abort"), None),
    (openai(None, finish_reason=None), None),
    (openai(None, finish_reason="length"), None),
    *((openai(finish_reason=reason), None) for reason in (None, 7, {}, [], ["error"], ["stop", 1])),
    (openai(message={"reasoning": 7}), None),
    ({"error": {"message": "upstream is busy", "code": 502}}, None),
    ("<html>busy</html>", None),
    ('{"choices": ' + "[" * 100_000, None),
    ('{"choices": ' + "[" * 980 + "]" * 980 + "}", None),
    *((body, None) for body in ("", "null", "7", "[]", '"text"', "9" * 5000, "NaN", '{"a": "\\ud83d"}')),
]
ANTHROPIC: list[tuple[Any, str | None]] = [
    (anthropic(), TEXT),
    (anthropic(thinking("thinking", "hm")), THOUGHT),
    (anthropic([{"type": "redacted_thinking", "data": "?"}, {"type": "text", "text": "a"}]), "a"),
    (anthropic(usage={"input_tokens": None, "output_tokens": None}), TEXT),
    (anthropic(usage=None), TEXT),
    (anthropic([], "refusal"), ""),
    (anthropic(stop_reason=["max_tokens"]), TEXT),
    *((anthropic(content), None) for content in ("text", {}, [None], [{"type": "text", "text": None}])),
    (anthropic() | {"content": None}, None),
    *((anthropic(stop_reason=reason), None) for reason in ("pause_turn", "something_new", None, 7, {})),
    ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, None),
]
ROWS = {"openai": OPENAI, "anthropic": ANTHROPIC}


def replies(api: str, bodies: list[Any]) -> list[Response]:
    """The backend's response to each body. Their prompts are sent together."""
    prompts = [Prompt(str(n), "internalized", (Part("text", str(n)),)) for n in range(len(bodies))]
    with serving(lambda request: Reply(bodies[int(request.content[-1]["text"])])) as server:
        where = Endpoint(server.url, concurrency=len(bodies), retries=0)
        backend = backends.make(f"{api}:m", Benchmark.__new__(Benchmark), Sampling(), where)
        found = {r.instance: r for r in backend.generate(prompts)}
    return [found[p.instance] for p in prompts]


@pytest.mark.parametrize("api", ROWS)
def test_each_body_is_an_answer_or_a_failed_request(api: str) -> None:
    rows = ROWS[api]
    for (body, text), response in zip(rows, replies(api, [body for body, _ in rows]), strict=True):
        assert response.text == text, body
        assert (response.error is None) == (text is not None), body
        assert msgspec.json.decode(msgspec.json.encode(response), type=Response) == response


def test_the_error_repeats_what_the_server_says_or_sends() -> None:
    cases: list[tuple[Any, str]] = [
        ({"error": {"message": "upstream is busy"}}, "upstream is busy"),
        ("<html>busy</html>", "<html>busy</html>"),
        ("", "an empty body"),
        (openai(finish_reason="abort"), "ended with abort"),
    ]
    for (_, words), response in zip(cases, replies("openai", [body for body, _ in cases]), strict=True):
        assert response.error is not None and words in response.error


def test_a_count_that_is_not_plausible_is_unknown() -> None:
    odd = openai(
        usage={"prompt_tokens": 10, "completion_tokens": 1.5, "prompt_tokens_details": {"cached_tokens": 11}}
    )
    (response,) = replies("openai", [odd])
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (10, None, None)
    usage = {"input_tokens": 3, "cache_read_input_tokens": "many", "output_tokens": 5}
    (response,) = replies("anthropic", [anthropic(usage=usage)])
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (None, None, 5)


ODD = (None, True, 0, -1, 10.5, 1e308, math.nan, 10**30, "", "x", "\ud83d", [], [None], {}, {"type": "text"})


def mutated(body: Any, draws: Random) -> Any:
    """The body with one value somewhere in it replaced, removed or wrapped."""
    if not isinstance(body, dict | list) or not body or draws.random() < 0.15:
        return draws.choice([*ODD, [body], {"text": body}])
    places = list(body) if isinstance(body, dict) else range(len(body))
    place = draws.choice(list(places))
    if isinstance(body, dict) and draws.random() < 0.1:
        return {name: value for name, value in body.items() if name != place}
    changed = body.copy()
    changed[place] = mutated(body[place], draws)
    return changed


@pytest.mark.parametrize("api", ROWS)
def test_no_mutation_of_a_body_raises_or_gives_a_record_that_cannot_be_read(api: str) -> None:
    draws, good = Random(0), [body for body, text in ROWS[api] if text is not None]
    bodies = [mutated(draws.choice(good), draws) for _ in range(200)]
    for response in replies(api, bodies):
        assert msgspec.json.decode(msgspec.json.encode(response), type=Response) == response
        assert (response.text is None) == (response.error is not None)


def test_a_run_with_such_answers_is_completed_by_a_sound_server(text_folder: Path, tmp_path: Path) -> None:
    unusual: Iterator[Any] = iter([body for body, _ in OPENAI])
    with serving(lambda _: Reply(next(unusual, openai()))) as server:
        request = EvalRequest("openai:m", endpoint=Endpoint(server.url, concurrency=40, retries=0))
        first = evaluate(Benchmark(text_folder), request, tmp_path / "run")
        failed = sum(row.errors for row in first.rows if row.metric == "accuracy" and not row.group)
        assert failed > 10
        asked, server.answer = len(server.requests), lambda _: Reply(openai())
        second = evaluate(Benchmark(text_folder), request, tmp_path / "run")
        assert len(server.requests) - asked == failed
    assert sum(row.errors for row in second.rows) == 0
    assert second.served_models == ("served",)
    assert "m was requested, but the server says that served answered." in list(warnings(second))


def test_a_run_without_any_answer_is_an_error_and_leaves_the_folder_to_another_model(
    text_folder: Path, tmp_path: Path
) -> None:
    out, benchmark = tmp_path / "run", Benchmark(text_folder)
    with serving(lambda _: Reply({"error": "no such thing"}, 400)) as server:
        request = EvalRequest("openai:dead", endpoint=Endpoint(server.url))
        with pytest.raises(
            UserError, match=r"every request failed.*no such thing.*run the same command again"
        ):
            evaluate(benchmark, request, out)
        assert read_json(out / "report.json", Report).usage[0].requests == 12
        server.answer = lambda _: completion("a")
        asked = len(server.requests)
        alive = EvalRequest("openai:alive", endpoint=Endpoint(server.url))
        report = evaluate(benchmark, alive, out)
        assert len(server.requests) - asked == 36
        assert report.run.model == "openai:alive"
        with pytest.raises(UserError, match="contains a run with model"):
            evaluate(benchmark, request, out)


def test_a_record_that_could_not_be_read_again_is_a_failed_response() -> None:
    bad: Any = [
        Response("a", "internalized", 0, "text", prompt_tokens=10.5),  # type: ignore[arg-type]
        Response("b", "internalized", 0, "\ud83d"),
        Response("c", "internalized", 0, 7),  # type: ignore[arg-type]
        Response("d", "internalized", 0, "text", seconds=math.nan),
        *(Response("e", "internalized", 0, "text", batch=batch) for batch in (0, 10**400)),
        *(Response("f", "internalized", 0, "text", cached_tokens=tokens) for tokens in (-1, 10**400)),
        *(Response("g", "internalized", 0, "text", prefill_seconds=seconds) for seconds in (-1, 1e308)),
    ]
    checked = list(backends.storable(bad))
    assert [r.text for r in checked] == [None, None, None, "text", *[None] * 6]
    assert all(r.error for r in checked if r.text is None) and checked[3].seconds is None
    for response in checked:
        assert msgspec.json.decode(msgspec.json.encode(response), type=Response) == response


def ask(server: Server, schema: Any = None, sampling: Sampling = GREEDY, **how: Any) -> list[Response]:
    backend = backends.make(
        "openai:m", Benchmark.__new__(Benchmark), sampling, Endpoint(server.url, 1, **how)
    )
    prompts = [Prompt(str(n), "internalized", (Part("text", "?"),)) for n in range(3)]
    return list(backend.structured(prompts, schema) if schema else backend.generate(prompts))


def refusing(*names: str) -> Any:
    """A server that rejects requests with any of these fields, one at a time, as OpenAI's API does."""

    def answer(request: Request) -> Reply:
        for name in names:
            if name in request.body:
                error = {"message": "Unsupported.", "param": name, "code": "unsupported_parameter"}
                return Reply({"error": error}, 400)
        return completion(TEXT)

    return answer


def test_a_rejected_parameter_is_left_out_or_renamed_and_this_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(refusing("max_tokens", "temperature", "seed", "top_p")) as server:
        responses = ask(server, sampling=Sampling(temperature=1))
        assert [r.text for r in responses] == [TEXT] * 3
        # Three rejections once; what the server accepts is remembered.
        assert len(server.requests) == 3 + 3
        assert server.requests[-1].body.keys() == {"model", "messages", "max_completion_tokens"}
    said = capsys.readouterr().err
    for words in ("max_tokens: sent as max_completion_tokens", "temperature: left out", "seed: left out"):
        assert said.count(words) == 1


def test_the_report_records_what_was_left_out(text_folder: Path, tmp_path: Path) -> None:
    with serving(refusing("temperature")) as server:
        request = EvalRequest("openai:m", endpoint=Endpoint(server.url))
        report = evaluate(Benchmark(text_folder), request, tmp_path / "run")
    assert report.backend["rejected by the server"] == ["temperature: left out"]
    assert "The server rejected a part of the requests; temperature: left out." in list(warnings(report))


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.7), Sampling(temperature=1, top_p=0.9)])
def test_sampling_that_was_asked_for_is_never_dropped(sampling: Sampling) -> None:
    name = "temperature" if sampling.top_p == 1 else "top_p"
    error = pytest.raises(UserError, match=rf"^{name}: expected a value that the server accepts.*omit it")
    with serving(refusing(name)) as server, error:
        ask(server, sampling=sampling)


def test_a_limit_that_is_too_long_is_not_renamed_and_the_flag_is_named() -> None:
    long = "max_tokens is too large: 1024. This model supports at most 512 tokens."
    with serving(lambda _: Reply({"error": {"message": long}}, 400)) as server:
        responses = ask(server)
        assert len(server.requests) == 3
    assert all("too large" in r.error and "--max-new-tokens" in r.error for r in responses if r.error)


def test_json_is_asked_for_in_words_if_the_server_takes_no_schema() -> None:
    strict = {"detail": [{"loc": ["body", "response_format", "json_schema", "strict"]}]}
    unknown = {"error": {"message": "response_format is not supported"}}

    def takes(form: Any) -> Any:
        def answer(request: Request) -> Reply:
            schema = request.body.get("response_format", {}).get("json_schema")
            if schema is None or (form == "loose" and not schema["strict"]):
                return completion("{}")
            return Reply(strict if form == "loose" else unknown, 422 if form == "loose" else 400)

        return answer

    for form, rejected in (("loose", 1), ("words", 2)):
        with serving(takes(form)) as server:
            assert [r.text for r in ask(server, {"type": "object"})] == ["{}"] * 3
            assert len(server.requests) == 3 + rejected
    with serving(lambda _: Reply(unknown, 400)) as server:
        assert {r.text for r in ask(server, {"type": "object"})} == {None}


def test_a_request_takes_at_most_the_timeout() -> None:
    for slow in (Reply({}, pause=0.5), Reply(openai(), pause=0.05), Reply({}, 503)):
        with serving(lambda _, slow=slow: slow) as server:
            responses = ask(server, timeout=0.3, retries=1000)
        assert all("no answer within 0.3 s (--timeout)" in str(r.error) for r in responses)


def test_the_wait_that_a_server_asks_for_is_shown_and_bounded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.remote.sender.SHOWN_WAIT", 0.1)
    later = iter([Reply({"error": "slow down"}, 429, {"retry-after": "0.2"})])
    with serving(lambda _: next(later, completion(TEXT))) as server:
        assert [r.text for r in ask(server)] == [TEXT] * 3
    assert "slow down" in (shown := capsys.readouterr().err) and "sent again in" in shown
    for wait in ("90", "Wed, 21 Oct 2065 07:28:00 GMT"):
        with serving(lambda _, wait=wait: Reply({}, 429, {"retry-after": wait})) as server:
            responses = ask(server, timeout=20)
            assert len(server.requests) == 3
        assert all("--timeout" in str(r.error) and "retry after" in str(r.error) for r in responses)


@pytest.mark.parametrize("wait", ["soon", "nan", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}"])
def test_a_wait_that_cannot_be_read_is_none(wait: str) -> None:
    later = iter([Reply({}, 429, {"retry-after": wait})])
    with serving(lambda _: next(later, completion(TEXT))) as server:
        assert [r.text for r in ask(server)] == [TEXT] * 3


def test_a_short_key_masks_no_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with serving(lambda _: Reply({"error": {"message": "max_tokens is too large"}}, 400)) as server:
        assert all("max_tokens" in str(r.error) for r in ask(server))


@pytest.mark.parametrize(
    "setting", [{"timeout": 0}, {"timeout": math.inf}, {"timeout": math.nan}, {"retries": -1}]
)
def test_an_invalid_timeout_or_number_of_retries_is_an_error(setting: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(setting))}: expected"):
        Endpoint(**setting)


def test_a_model_without_a_backend_is_an_error_with_an_example() -> None:
    with pytest.raises(UserError, match=r"^model: expected a backend .* such as openai:gpt-4o, got 'gpt-4o'"):
        backends.make("gpt-4o", Benchmark.__new__(Benchmark), Sampling())
