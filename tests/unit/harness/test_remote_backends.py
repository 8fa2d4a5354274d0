"""What both API backends promise, with the providers' own clients and a server on the loopback interface."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import KEY, Reply, Request, Server, completion, message, serving

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import read_json
from harness.records import Part, Prompt, Report
from harness.run import EvalRequest, evaluate

pytest.importorskip("openai")
pytest.importorskip("anthropic")

BIN = Path(sys.executable).parent
PICTURE = b"\x89PNG\r\n\x1a\n not looked at"


class Pictures:
    """A benchmark with one picture."""

    def check(self, path: str) -> bytes:
        if path != "images/a.png":
            raise UserError(f"{path}: not named")
        return PICTURE


@dataclass(frozen=True)
class Api:
    """One of the two, and how its server says things."""

    name: str
    good: Callable[[str], Reply]
    long: Reply
    refusal: Reply
    data_of: Callable[[dict[str, Any]], str]
    """The base64 in an image block."""

    def backend(self, server: Server, concurrency: int = 4, **sampling: Any) -> Any:
        endpoint = Endpoint(base_url=server.url, concurrency=concurrency)
        return backends.make(f"{self.name}:served", Pictures(), Sampling(**sampling), endpoint)


APIS = {
    "openai": Api(
        "openai",
        good=completion,
        long=completion("I thi", finish_reason="length"),
        refusal=completion(None, message={"refusal": "I would rather not"}),
        data_of=lambda block: block["image_url"]["url"].removeprefix("data:image/png;base64,"),
    ),
    "anthropic": Api(
        "anthropic",
        good=lambda text: Reply(message(text)),
        long=Reply(message("I thi", "max_tokens")),
        refusal=Reply(message("", "refusal", content=[])),
        data_of=lambda block: block["source"]["data"],
    ),
}


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Api:
    """With a key in the environment, and clients that lose no time between attempts."""
    wait(monkeypatch, seconds=0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return APIS[request.param]


def wait(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for sdk in APIS:
        monkeypatch.setattr(f"{sdk}._base_client.INITIAL_RETRY_DELAY", seconds)
        monkeypatch.setattr(f"{sdk}._base_client.MAX_RETRY_DELAY", seconds)


def asked(*names: str) -> list[Prompt]:
    return [Prompt(name, "internalized", (Part("text", name),)) for name in names]


def echo(api: Api) -> Callable[[Request], Reply]:
    return lambda request: api.good(request.content[-1]["text"])


def failing_first(replies: list[Reply], then: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    waiting = iter(replies)
    return lambda request: next(waiting, None) or then(request)


def test_parts_go_in_their_order_and_come_back_with_what_they_took(api: Api) -> None:
    parts = (Part("text", "one"), Part("image", "images/a.png"), Part("text", "two"))
    with serving(echo(api)) as server:
        (response,) = api.backend(server).generate([Prompt("i", "in_context", parts, 3)])
    assert response.key == ("i", "in_context", 3)
    assert (response.text, response.finish_reason, response.error) == ("two", "stop", None)
    assert (response.prompt_tokens, response.cached_tokens, response.completion_tokens) == (100, 60, 7)
    assert response.seconds is not None
    first, picture, last = server.requests[0].content
    assert (first["text"], last["text"]) == ("one", "two")
    assert base64.b64decode(api.data_of(picture)) == PICTURE


def test_a_bad_picture_fails_its_prompt_alone_and_is_not_sent(api: Api) -> None:
    bad = [Prompt(n, "internalized", (Part("image", n),)) for n in ("images/other.png", "images/a.tiff")]
    with serving(echo(api)) as server:
        responses = {r.instance: r for r in api.backend(server).generate([*bad, *asked("fine")])}
        assert len(server.requests) == 1
    assert responses["fine"].text == "fine"
    assert "not named" in responses["images/other.png"].error
    assert "expected an image file" in responses["images/a.tiff"].error


def test_never_more_under_way_than_asked_for_and_each_asked_once(api: Api) -> None:
    meeting = threading.Barrier(3)

    def answer(request: Request) -> Reply:
        # Passed only when three are under way together.
        meeting.wait(timeout=20)
        return echo(api)(request)

    names = [f"p{n}" for n in range(12)]
    with serving(answer) as server:
        responses = list(api.backend(server, concurrency=3).generate(asked(*names)))
        assert server.most_under_way == 3
        assert sorted(r.content[0]["text"] for r in server.requests) == sorted(names)
    assert sorted(r.text for r in responses if r.text) == sorted(names)


def test_leaving_early_leaves_nothing_under_way(api: Api) -> None:
    with serving(echo(api)) as server:
        answers = api.backend(server, concurrency=2).generate(asked(*"abcdefgh"))
        assert next(answers).text in set("abcdefgh")
        answers.close()
        assert len(server.requests) <= 4


@pytest.mark.parametrize(
    "trouble",
    [Reply({}, 429), Reply({}, 500), Reply({}, 529), Reply({"choices": [], "content": []}, cut=True)],
    ids=["rate limit", "failure", "overloaded", "cut connection"],
)
def test_trouble_that_passes_costs_nothing(api: Api, trouble: Reply) -> None:
    with serving(failing_first([trouble] * 3, echo(api))) as server:
        (response,) = api.backend(server).generate(asked("a"))
        assert len(server.requests) == 4
    assert response.text == "a"


def test_the_server_says_how_long_to_wait(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wait(monkeypatch, seconds=3600)  # Its own wait would outlast the test.
    limit = Reply({"error": {"message": "slow down"}}, 429, {"retry-after": "0.01"})
    with serving(failing_first([limit] * 2, echo(api))) as server:
        assert [r.text for r in api.backend(server).generate(asked("a"))] == ["a"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Reply({"error": {"message": f"slow down {KEY}"}}, 429), "HTTP 429"),
        (Reply({"error": {"message": f"broken {KEY}"}}, 500), "HTTP 500"),
        (Reply({"choices": [], "content": []}, cut=True), "onnection"),
        (Reply({"error": f"{KEY}"}, 400), "HTTP 400"),
        (Reply({"error": f"{KEY}"}, 200), "not an answer of this API"),
        (Reply("<html>", 200), "not an answer of this API"),
    ],
)
def test_what_fails_is_an_error_and_never_a_text(
    api: Api, trouble: Reply, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.remote.RETRIES", 1)

    def answer(request: Request) -> Reply:
        return trouble if request.content[0]["text"] == "bad" else echo(api)(request)

    with serving(answer) as server:
        responses = {r.instance: r for r in api.backend(server).generate(asked("a", "bad", "b"))}
    assert (responses["a"].text, responses["b"].text) == ("a", "b")
    assert responses["bad"].text is None
    assert said in responses["bad"].error
    assert KEY not in responses["bad"].error


def test_refusals_and_cut_answers_are_told_apart(api: Api) -> None:
    replies = {"long": api.long, "refused": api.refusal}
    with serving(lambda request: replies[request.content[0]["text"]]) as server:
        responses = {r.instance: r for r in api.backend(server).generate(asked("long", "refused"))}
    assert (responses["long"].text, responses["long"].finish_reason) == ("I thi", "length")
    assert responses["refused"].finish_reason == "refusal"
    assert responses["refused"].text in ("", "I would rather not")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_ends_the_run_with_a_sentence(api: Api, status: int) -> None:
    body = {"error": {"message": f"no such key: {KEY}"}}
    with serving(lambda _: Reply(body, status)) as server:
        with pytest.raises(UserError, match=f"rejected .HTTP {status}") as caught:
            list(api.backend(server).generate(asked(*"abcdefgh")))
        assert len(server.requests) <= 4
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_in_the_address_is_refused_and_not_repeated(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (f"http://me:{KEY}@127.0.0.1/v1", f"http://127.0.0.1/v1?key={KEY}"):
        with pytest.raises(UserError, match="no user, password or query") as caught:
            Endpoint(base_url=address)
        assert KEY not in str(caught.value)
        monkeypatch.setenv(f"{api.name.upper()}_BASE_URL", address)
        with pytest.raises(UserError, match="no user, password or query"):
            backends.make(f"{api.name}:served", Pictures(), Sampling())


def test_a_server_that_is_gone_is_left_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.backends.remote.RETRIES", 1)
    names = [f"p{n:03}" for n in range(100)]
    served = failing_first([], echo(api))
    count = iter(range(20))
    with serving(lambda r: served(r) if next(count, None) is not None else Reply({}, 503)) as server:
        responses = list(api.backend(server).generate(asked(*names)))
        assert len(server.requests) < 20 + 2 * (8 + 4)
    assert sorted(r.instance for r in responses) == names
    assert sum(r.text is not None for r in responses) == 20
    assert all(r.error for r in responses if r.text is None)
    assert "8 requests in a row failed" in capsys.readouterr().err


def test_a_run_goes_on_when_its_server_is_back(
    api: Api, text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.remote.RETRIES", 0)
    benchmark, out = Benchmark(text_folder), tmp_path / "run"
    count = iter(range(7))

    def evaluation(server: Server) -> Report:
        asked = EvalRequest(f"{api.name}:served", endpoint=Endpoint(server.url, concurrency=2))
        return evaluate(benchmark, asked, out)

    with serving(lambda r: echo(api)(r) if next(count, None) is not None else Reply({}, 503)) as server:
        report = evaluation(server)
    assert sum(row.errors for row in report.rows if not row.group and row.metric == "accuracy") == 36 - 7
    # Another address is no other run.
    with serving(echo(api)) as server:
        report = evaluation(server)
        assert len(server.requests) == 36 - 7
    assert sum(row.errors for row in report.rows) == 0
    assert report.backend["base_url"].startswith(server.url)


def test_no_secret_in_what_runs_leave_behind(api: Api, text_folder: Path, tmp_path: Path) -> None:
    """The key goes to the server, and the server repeats it in each of its errors."""
    refused = Reply({"error": {"message": f"bad {KEY}"}}, 400)
    environment = {**os.environ, "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug"}
    for name, answer in {"working": echo(api), "failing": lambda _: refused}.items():
        with serving(answer) as server:
            line = [BIN / "harness", "eval", text_folder, "--model", f"{api.name}:served", "--limit", "2"]
            line += ["--base-url", server.url, "--out", tmp_path / name]
            done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
            assert any(KEY in value for value in server.requests[0].headers.values())
        assert done.returncode == 0, done.stderr
        assert KEY not in done.stdout
        assert KEY not in done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "responses.jsonl", "report.html"} <= {path.name for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert "bad [key]" in (tmp_path / "failing" / "responses.jsonl").read_text()
    assert read_json(tmp_path / "working" / "report.json", Report).backend["model"] == "served"


def test_a_killed_run_asks_only_for_what_was_under_way_again(
    api: Api, text_folder: Path, tmp_path: Path
) -> None:
    stuck, over, count = threading.Event(), threading.Event(), iter(range(10))

    def answer(request: Request) -> Reply:
        if next(count, None) is None and not over.is_set():
            stuck.set()
            over.wait(60)
        return echo(api)(request)

    with serving(answer) as server:
        line = [BIN / "harness", "eval", text_folder, "--model", f"{api.name}:served", "--concurrency", "3"]
        line += ["--base-url", server.url, "--out", tmp_path / "run"]
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        assert stuck.wait(60)
        process.kill()
        process.wait()
        over.set()
        asked = EvalRequest(f"{api.name}:served", endpoint=Endpoint(server.url))
        report = evaluate(Benchmark(text_folder), asked, tmp_path / "run")
        assert 36 < len(server.requests) <= 36 + 3
    assert sum(row.errors for row in report.rows) == 0


def test_ctrl_c_ends_a_run_that_waits(api: Api, text_folder: Path, tmp_path: Path) -> None:
    waiting, over = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        waiting.set()
        over.wait(60)
        return echo(api)(request)

    with serving(answer) as server:
        line = [BIN / "harness", "eval", text_folder, "--model", f"{api.name}:served"]
        line += ["--base-url", server.url, "--out", tmp_path / "run"]
        process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        assert waiting.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        over.set()
    assert process.returncode == 130
    assert "goes on from here" in said
    assert "Traceback" not in said


def test_a_shared_prefix_is_sent_ahead_once_and_then_together(api: Api) -> None:
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


def test_settings_of_an_endpoint_go_only_where_there_is_one(text_folder: Path) -> None:
    with pytest.raises(UserError, match="only with a remote model, got oracle"):
        backends.make("oracle", Benchmark(text_folder), Sampling(), Endpoint(concurrency=2))
    with pytest.raises(UserError, match="concurrency: expected 1 or more, got 0"):
        Endpoint(concurrency=0)
    with pytest.raises(UserError, match="expected an address such as"):
        Endpoint(base_url="127.0.0.1:8000")
