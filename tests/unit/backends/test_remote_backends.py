"""Both API backends, with the providers' own clients and a server on the loopback interface."""

import asyncio
import base64
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forked import run_command, start_command
from loopback import KEY, Reply, Request, Server, completion, message, serving
from odd_images import readable, unreadable

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import read_json
from harness.records import Part, Prompt, Report
from harness.request import EvalRequest
from harness.run import evaluate

pytest.importorskip("openai")
pytest.importorskip("anthropic")

GREEDY = Sampling()
IMAGE, CUT = readable()["plain.png"].data, unreadable()["cut.png"][0]


class Images:
    """A benchmark with two images, of which one cannot be read."""

    def check(self, path: str) -> bytes:
        files = {"images/a.png": IMAGE, "images/cut.png": CUT}
        if path not in files:
            raise UserError(f"{path}: not named")
        return files[path]


@dataclass(frozen=True)
class Api:
    """One of the two APIs, and the answers of its server."""

    name: str
    good: Callable[[str], Reply]
    truncated: Reply
    refusal: Reply
    # The base64 data in an image block.
    data_of: Callable[[dict[str, Any]], str]

    def backend(self, server: Server, concurrency: int = 4, sampling: Sampling = GREEDY, **how: Any) -> Any:
        endpoint = Endpoint(base_url=server.url, concurrency=concurrency, **how)
        return backends.make(f"{self.name}:served", Images(), sampling, endpoint)


APIS = {
    "openai": Api(
        "openai",
        good=completion,
        truncated=completion("I thi", finish_reason="length"),
        refusal=completion(None, message={"refusal": "I would rather not"}),
        data_of=lambda block: block["image_url"]["url"].removeprefix("data:image/png;base64,"),
    ),
    "anthropic": Api(
        "anthropic",
        good=lambda text: Reply(message(text)),
        truncated=Reply(message("I thi", "max_tokens")),
        refusal=Reply(message("", "refusal", content=[])),
        data_of=lambda block: block["source"]["data"],
    ),
}


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Api:
    """With a key in the environment, and clients that hardly wait between attempts."""
    set_waits(monkeypatch, seconds=0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return APIS[request.param]


def set_waits(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for name in ("FIRST_WAIT", "LONGEST_WAIT"):
        monkeypatch.setattr(f"harness.backends.remote.sender.{name}", seconds)


def prompts_named(*names: str) -> list[Prompt]:
    return [Prompt(name, "internalized", (Part("text", name),)) for name in names]


def echo(api: Api) -> Callable[[Request], Reply]:
    return lambda request: api.good(request.content[-1]["text"])


def first(replies: list[Reply], then: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Answers the first requests with these replies, and all later ones with `then`."""
    remaining = iter(replies)
    return lambda request: next(remaining, None) or then(request)


def succeed_first(api: Api, count: int) -> Callable[[Request], Reply]:
    """Answers the first `count` requests, then fails with status 503."""
    remaining = iter(range(count))
    return lambda request: echo(api)(request) if next(remaining, None) is not None else Reply({}, 503)


def test_parts_are_sent_in_order_and_the_response_contains_the_usage(api: Api) -> None:
    parts = (Part("text", "one"), Part("image", "images/a.png"), Part("text", "two"))
    with serving(echo(api)) as server:
        (response,) = api.backend(server).generate([Prompt("i", "in_context", parts, 3)])
    assert response.key == ("i", "in_context", 3)
    assert (response.text, response.finish_reason, response.error) == ("two", "stop", None)
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (100, 60, 7)
    assert response.seconds is not None
    one, image, two = server.requests[0].content
    assert (one["text"], two["text"]) == ("one", "two")
    assert base64.b64decode(api.data_of(image)) == IMAGE


def test_a_bad_image_fails_only_its_own_prompt_and_is_not_sent(api: Api) -> None:
    bad = [Prompt(n, "internalized", (Part("image", n),)) for n in ("images/other.png", "images/cut.png")]
    with serving(echo(api)) as server:
        responses = {r.instance: r for r in api.backend(server).generate([*bad, *prompts_named("fine")])}
        assert len(server.requests) == 1
    assert responses["fine"].text == "fine"
    assert "not named" in responses["images/other.png"].error
    assert "truncated" in responses["images/cut.png"].error


def test_the_concurrency_is_used_but_not_exceeded_and_each_prompt_is_sent_once(api: Api) -> None:
    barrier = threading.Barrier(3)

    def answer(request: Request) -> Reply:
        # Passed only when three requests are in flight together.
        barrier.wait(timeout=20)
        return echo(api)(request)

    names = [f"p{n}" for n in range(12)]
    with serving(answer) as server:
        responses = list(api.backend(server, concurrency=3).generate(prompts_named(*names)))
        assert server.max_in_flight == 3
        assert sorted(r.content[0]["text"] for r in server.requests) == sorted(names)
    assert sorted(r.text for r in responses if r.text) == sorted(names)


def test_a_notebook_whose_thread_runs_an_event_loop_gets_responses(api: Api) -> None:
    async def cell() -> list[str]:
        return [response.text for response in api.backend(server).generate(prompts_named(*"abc"))]

    with serving(echo(api)) as server:
        assert sorted(asyncio.run(cell())) == ["a", "b", "c"]


def test_closing_the_generator_stops_all_requests(api: Api) -> None:
    with serving(echo(api)) as server:
        responses = api.backend(server, concurrency=2).generate(prompts_named(*"abcdefgh"))
        assert next(responses).text in set("abcdefgh")
        responses.close()
        assert len(server.requests) <= 4


@pytest.mark.parametrize(
    "error",
    [Reply({}, 429), Reply({}, 500), Reply({}, 529), Reply({"choices": [], "content": []}, cut=True)],
    ids=["rate limit", "failure", "overloaded", "cut connection"],
)
def test_a_temporary_error_costs_no_response(api: Api, error: Reply) -> None:
    with serving(first([error] * 3, echo(api))) as server:
        (response,) = api.backend(server).generate(prompts_named("a"))
        assert len(server.requests) == 4
    assert response.text == "a"


def test_the_server_decides_how_long_to_wait(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    set_waits(monkeypatch, seconds=3600)  # so the test only ends if retry-after is used
    limit = Reply({"error": {"message": "slow down"}}, 429, {"retry-after": "0.01"})
    with serving(first([limit] * 2, echo(api))) as server:
        assert [r.text for r in api.backend(server).generate(prompts_named("a"))] == ["a"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply({"error": {"message": f"slow down {KEY}"}}, 429), "HTTP 429"),
        (Reply({"error": {"message": f"broken {KEY}"}}, 500), "HTTP 500"),
        (Reply({"choices": [], "content": []}, cut=True), "onnection"),
        (Reply({"error": f"{KEY}"}, 400), "HTTP 400"),
        (Reply({"error": f"{KEY}"}, 200), "not an answer of this API"),
        (Reply("<html>", 200), "not an answer of this API"),
    ],
)
def test_a_failed_request_has_an_error_and_no_text(api: Api, reply: Reply, message: str) -> None:
    def answer(request: Request) -> Reply:
        return reply if request.content[0]["text"] == "bad" else echo(api)(request)

    with serving(answer) as server:
        backend = api.backend(server, retries=1)
        responses = {r.instance: r for r in backend.generate(prompts_named("a", "bad", "b"))}
    assert (responses["a"].text, responses["b"].text) == ("a", "b")
    assert responses["bad"].text is None
    assert message in responses["bad"].error
    assert KEY not in responses["bad"].error


def test_refusals_and_truncated_answers_are_distinguished(api: Api) -> None:
    replies = {"truncated": api.truncated, "refused": api.refusal}
    with serving(lambda request: replies[request.content[0]["text"]]) as server:
        responses = {
            r.instance: r for r in api.backend(server).generate(prompts_named("truncated", "refused"))
        }
    assert (responses["truncated"].text, responses["truncated"].finish_reason) == ("I thi", "length")
    assert responses["refused"].finish_reason == "refusal"
    assert responses["refused"].text in ("", "I would rather not")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_rejected_key_ends_the_run_with_one_sentence(api: Api, status: int) -> None:
    body = {"error": {"message": f"no such key: {KEY}"}}
    with serving(lambda _: Reply(body, status)) as server:
        with pytest.raises(UserError, match=f"rejected .HTTP {status}") as caught:
            list(api.backend(server).generate(prompts_named(*"abcdefgh")))
        assert len(server.requests) <= 4
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_in_the_address_is_an_error_that_does_not_repeat_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (f"http://me:{KEY}@127.0.0.1/v1", f"http://127.0.0.1/v1?key={KEY}"):
        with pytest.raises(UserError, match="no user, password or query") as caught:
            Endpoint(base_url=address)
        assert KEY not in str(caught.value)
        monkeypatch.setenv(f"{api.name.upper()}_BASE_URL", address)
        with pytest.raises(UserError, match="no user, password or query"):
            backends.make(f"{api.name}:served", Images(), Sampling())


def test_requests_stop_if_the_server_stays_down(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"p{n:03}" for n in range(100)]
    with serving(succeed_first(api, 20)) as server:
        responses = list(api.backend(server, retries=1).generate(prompts_named(*names)))
        assert len(server.requests) < 20 + 2 * (8 + 4)
    assert sorted(r.instance for r in responses) == names
    assert sum(r.text is not None for r in responses) == 20
    assert all(r.error for r in responses if r.text is None)
    assert "8 requests in a row failed" in capsys.readouterr().err


def test_a_run_resumes_once_its_server_is_back(api: Api, text_folder: Path, tmp_path: Path) -> None:
    benchmark, out = Benchmark(text_folder), tmp_path / "run"

    def evaluation(server: Server) -> Report:
        request = EvalRequest(f"{api.name}:served", endpoint=Endpoint(server.url, 2, retries=0))
        return evaluate(benchmark, request, out)

    with serving(succeed_first(api, 7)) as server:
        report = evaluation(server)
        assert sum(row.errors for row in report.rows if not row.group and row.metric == "accuracy") == 36 - 7
        # Another server might be another model.
        with serving(echo(api)) as other, pytest.raises(UserError, match=r"^base_url: .* with address"):
            evaluation(other)
        server.answer = echo(api)
        server.requests.clear()
        report = evaluation(server)
        assert len(server.requests) == 36 - 7
    assert sum(row.errors for row in report.rows) == 0
    assert report.backend["base_url"].startswith(server.url)


def test_no_file_or_output_of_a_run_contains_the_key(
    api: Api, text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server repeats the key in each of its errors."""
    refused = Reply({"error": {"message": f"bad {KEY}"}}, 400)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    for name, answer in {"working": echo(api), "failing": lambda _: refused}.items():
        with serving(answer) as server:
            command = ["harness", "eval", text_folder, "--model", f"{api.name}:served", "--limit", "2"]
            done = run_command(*command, "--base-url", server.url, "--out", tmp_path / name)
            assert any(KEY in value for value in server.requests[0].headers.values())
        assert done.returncode == (0 if name == "working" else 2), done.stderr
        assert KEY not in done.stdout
        assert KEY not in done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "responses.jsonl", "report.html"} <= {path.name for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert "bad [key]" in (tmp_path / "failing" / "responses.jsonl").read_text()
    assert read_json(tmp_path / "working" / "report.json", Report).backend["model"] == "served"


def test_a_killed_run_repeats_only_the_requests_that_were_in_flight(
    api: Api, text_folder: Path, tmp_path: Path
) -> None:
    stuck, over, count = threading.Event(), threading.Event(), iter(range(10))

    def answer(request: Request) -> Reply:
        if next(count, None) is None and not over.is_set():
            stuck.set()
            over.wait(60)
        return echo(api)(request)

    with serving(answer) as server:
        command = ["harness", "eval", text_folder, "--model", f"{api.name}:served", "--concurrency", "3"]
        process = start_command(*command, "--base-url", server.url, "--out", tmp_path / "run")
        assert stuck.wait(60)
        process.kill()
        process.join()
        over.set()
        request = EvalRequest(f"{api.name}:served", endpoint=Endpoint(server.url))
        report = evaluate(Benchmark(text_folder), request, tmp_path / "run")
        assert 36 < len(server.requests) <= 36 + 3
    assert sum(row.errors for row in report.rows) == 0


def test_ctrl_c_ends_a_run_that_waits_for_the_server(api: Api, text_folder: Path, tmp_path: Path) -> None:
    waiting, over, stderr = threading.Event(), threading.Event(), tmp_path / "stderr.txt"

    def answer(request: Request) -> Reply:
        waiting.set()
        over.wait(60)
        return echo(api)(request)

    with serving(answer) as server:
        command = ["harness", "eval", text_folder, "--model", f"{api.name}:served"]
        process = start_command(*command, "--base-url", server.url, "--out", tmp_path / "run", stderr=stderr)
        assert waiting.wait(60)
        os.kill(process.pid or 0, signal.SIGINT)
        process.join(30)
        over.set()
    assert process.exitcode == 130
    assert "run the same command again to resume" in stderr.read_text()
    assert "Traceback" not in stderr.read_text()


def test_one_prompt_of_each_prefix_is_sent_first_and_then_the_others_together(api: Api) -> None:
    policies = {name: (Part("text", f"policy {name}"), Part("image", "images/a.png")) for name in "xyz"}
    prompts = [
        Prompt(f"{name}{n}", "in_context", (*parts, Part("text", f"{name}{n}")))
        for n in range(3)
        for name, parts in policies.items()
    ]
    with serving(echo(api)) as server:
        list(api.backend(server, concurrency=1).generate(prompts))
        order = [request.content[-1]["text"] for request in server.requests]
    assert order == ["x0", "y0", "z0", "x1", "x2", "y1", "y2", "z1", "z2"]


def test_endpoint_flags_are_errors_for_a_local_model_or_if_invalid(text_folder: Path) -> None:
    with pytest.raises(UserError, match="only with a remote model, got oracle"):
        backends.make("oracle", Benchmark(text_folder), Sampling(), Endpoint(concurrency=2))
    with pytest.raises(UserError, match="concurrency: expected 1 or more, got 0"):
        Endpoint(concurrency=0)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000",
        "http://127.0.0.1:abc/v1",
        "http://127.0.0.1:80000/v1",
        "http://127.0.0.256:8000/v1",
        "http://[::1",
        "http://my server/v1",
        "http://server..org/v1",
        "http://server/v1\n",
    ],
)
def test_a_mistyped_address_is_an_error(address: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^base_url: expected an address such as"):
        Endpoint(base_url=address)
    monkeypatch.setenv(f"{api.name.upper()}_BASE_URL", address)
    with pytest.raises(UserError, match=r"^base_url: expected an address such as"):
        backends.make(f"{api.name}:served", Images(), Sampling())
