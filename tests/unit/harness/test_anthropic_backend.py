"""The anthropic backend: what it asks for, prompt caching, and batches that outlive the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from loopback import KEY, Reply, Request, message, serving

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log
from harness.records import Part, Prompt, Report, Response
from harness.run import EvalRequest, evaluate

pytest.importorskip("anthropic")

BIN = Path(sys.executable).parent
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("harness.backends.anthropic_batches.POLL_SECONDS", 0.01)
    for name in ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY"):
        monkeypatch.setattr(f"anthropic._base_client.{name}", 0.01)


def backend(url: str, folder: Path | None = None, batch: bool = False, **sampling: Any) -> Any:
    endpoint = Endpoint(url, concurrency=2, batch=batch)
    return backends.make("anthropic:m", None, Sampling(**sampling), endpoint, folder)


def asked(count: int) -> list[Prompt]:
    return [Prompt(f"p{n}", "internalized", (Part("text", f"p{n}"),)) for n in range(count)]


class Provider:
    """Message batches of the API: each ends when it is told to, its answers the questions themselves."""

    def __init__(self) -> None:
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.over = threading.Event()
        self.looked = threading.Event()
        self.results: dict[str, dict[str, Any]] = {}
        """By question, where it is not an answer."""
        self.cut_results = 0

    def __call__(self, request: Request) -> Reply:
        _, _, kind, *rest = request.path.split("?")[0].strip("/").split("/")
        assert kind == "batches", request.path
        if request.method == "POST":
            name = f"batch{len(self.batches)}"
            self.batches[name] = request.body["requests"]
            return Reply(self.state(name))
        if rest[1:2] == ["results"]:
            self.cut_results -= 1
            return Reply(self.lines(rest[0]), cut=self.cut_results >= 0)
        self.looked.set()
        return Reply(self.state(rest[0]))

    def state(self, name: str) -> dict[str, Any]:
        over, count = self.over.is_set(), len(self.batches[name])
        zeros = dict.fromkeys(("canceled", "errored", "expired", "succeeded", "processing"), 0)
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if over else "in_progress",
            "request_counts": zeros | ({"succeeded": count} if over else {"processing": count}),
            "results_url": f"/v1/messages/batches/{name}/results" if over else None,
        }

    def lines(self, name: str) -> str:
        return "".join(json.dumps(self.line(request)) + "\n" for request in reversed(self.batches[name]))

    def line(self, request: dict[str, Any]) -> dict[str, Any]:
        question = request["params"]["messages"][0]["content"][-1]["text"]
        good = {"type": "succeeded", "message": message(question)}
        return {"custom_id": request["custom_id"], "result": self.results.get(question, good)}

    @property
    def questions(self) -> list[str]:
        """Of every request that was ever paid for."""
        sent = [request["params"] for batch in self.batches.values() for request in batch]
        return sorted(params["messages"][0]["content"][-1]["text"] for params in sent)


def test_a_policy_is_marked_for_the_cache_where_it_ends() -> None:
    introduction, rules = "Obey. " * 50, " then ".join(["Case 1"] * 50)
    policies = {
        name: (Part("text", introduction), Part("text", f"{name}: {rules}"), Part("text", f"end of {name}"))
        for name in "xy"
    }
    prompts = [
        Prompt(f"{name}{n}", "in_context", (*parts, Part("text", f"question {n}"), Part("text", "Reason.")))
        for name, parts in policies.items()
        for n in range(3)
    ]
    lone = Prompt("z", "in_context", (Part("text", f"z: {rules}"), Part("text", "question")))
    with serving(lambda _: Reply(message("a"))) as server:
        responses = list(backend(server.url).generate([*prompts, lone]))
        bodies = [request.content for request in server.requests]
    for content in bodies:
        marked = [block["text"] for block in content if "cache_control" in block]
        # Behind the policy, not already behind the introduction that both policies have.
        assert marked == ([] if len(content) == 2 else [f"end of {content[1]['text'][0]}"])
    counts = {(r.prompt_tokens, r.cached_tokens, r.written_tokens, r.completion_tokens) for r in responses}
    assert counts == {(100, 60, 10, 7)}


def test_no_temperature_is_sent_and_another_than_its_own_is_refused() -> None:
    with serving(lambda _: Reply(message("a"))) as server:
        for temperature in (0, 1):
            list(backend(server.url, temperature=temperature, max_new_tokens=40_000).generate(asked(1)))
        for request in server.requests:
            assert request.body.keys() == {"model", "max_tokens", "messages"}
            assert request.body["max_tokens"] == 40_000
        for sampling in ({"temperature": 0.7}, {"temperature": 1, "top_p": 0.9}):
            with pytest.raises(UserError, match="takes neither"):
                backend(server.url, **sampling)


def test_without_a_key_or_a_name_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="expected anthropic:NAME"):
        backends.make("anthropic:", None, Sampling())
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    with pytest.raises(UserError, match="expected a key in ANTHROPIC_API_KEY"):
        backend("http://127.0.0.1:1")


def test_a_bearer_token_is_as_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    with serving(lambda _: Reply({"error": {"message": KEY}}, 400)) as server:
        (response,) = backend(server.url).generate(asked(1))
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "HTTP 400" in response.error
    assert KEY not in response.error


def test_structured_is_a_forced_tool_and_a_refusal_stays_one() -> None:
    tool = [{"type": "tool_use", "id": "t", "name": "answer", "input": {"score": 3}}]
    replies = {"p0": message("", "tool_use", tool), "p1": message("No.", "refusal")}
    with serving(lambda request: Reply(replies[request.content[0]["text"]])) as server:
        responses = {r.instance: r for r in backend(server.url).structured(asked(2), SCHEMA)}
        body = server.requests[0].body
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert (body["tools"][0]["input_schema"], body["tools"][0]["strict"]) == (SCHEMA, True)
    assert (json.loads(responses["p0"].text), responses["p0"].finish_reason) == ({"score": 3}, "stop")
    assert (responses["p1"].text, responses["p1"].finish_reason) == ("No.", "refusal")


def test_batches_hold_everything_and_what_fails_in_them_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.anthropic_batches.MAX_REQUESTS", 4)
    provider = Provider()
    provider.over.set()
    error = {"type": "error", "error": {"type": "api_error", "message": "overloaded"}}
    provider.results = {"p1": {"type": "errored", "error": error}, "p7": {"type": "expired"}}
    prompts = asked(10)
    with serving(provider) as server:
        responses = {r.instance: r for r in backend(server.url, tmp_path, batch=True).generate(prompts)}
        assert [len(batch) for batch in provider.batches.values()] == [4, 4, 2]
        assert {i for i, r in responses.items() if r.error} == {"p1", "p7"}
        assert "overloaded" in responses["p1"].error
        assert "expired" in responses["p7"].error
        assert all(r.text == r.instance for r in responses.values() if not r.error)
        provider.results = {}
        failed = [p for p in prompts if responses[p.instance].error]
        again = list(backend(server.url, tmp_path, batch=True).generate(failed))
    assert sorted(r.text for r in again) == ["p1", "p7"]
    assert provider.questions == sorted([*(p.instance for p in prompts), "p1", "p7"])


def test_a_batch_whose_results_were_cut_is_read_again_and_not_paid_again(tmp_path: Path) -> None:
    provider = Provider()
    provider.over.set()
    provider.cut_results = 1
    got: list[Response] = []
    with serving(provider) as server:
        with pytest.raises(UserError, match="batch0 is still there; rerun the same command to resume"):
            got.extend(backend(server.url, tmp_path, batch=True).generate(asked(6)))
        answers = backend(server.url, tmp_path, batch=True).generate(asked(6))
        got = [next(answers), next(answers)]
        answers.close()  # killed while the results come
        left = [p for p in asked(6) if p.instance not in {r.instance for r in got}]
        got += backend(server.url, tmp_path, batch=True).generate(left)
    assert sorted(r.text for r in got if r.text) == [f"p{n}" for n in range(6)]
    assert len(provider.batches) == 1


def test_batches_of_another_use_of_the_folder_are_left_alone(tmp_path: Path) -> None:
    provider = Provider()
    provider.over.set()
    provider.cut_results = 1
    with serving(provider) as server:
        with pytest.raises(UserError, match="batch0 is still there"):
            list(backend(server.url, tmp_path, batch=True).structured(asked(2), SCHEMA))
        answers = list(backend(server.url, tmp_path, batch=True).generate(asked(2)))
        assert [r.text for r in answers] == ["p1", "p0"]
        verdicts = list(backend(server.url, tmp_path, batch=True).structured(asked(2), SCHEMA))
    assert [r.text for r in verdicts] == ["p1", "p0"]
    assert ["tools" in batch[0]["params"] for batch in provider.batches.values()] == [True, False]


def test_a_run_killed_while_it_waits_picks_its_batch_up(text_folder: Path, tmp_path: Path) -> None:
    provider, out = Provider(), tmp_path / "run"
    with serving(provider) as server:
        line = [BIN / "harness", "eval", text_folder, "--model", "anthropic:m", "--batch"]
        line += ["--base-url", server.url, "--out", out]
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL, env=dict(os.environ))
        assert provider.looked.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        provider.over.set()
        asked = EvalRequest("anthropic:m", endpoint=Endpoint(server.url, batch=True))
        report: Report = evaluate(Benchmark(text_folder), asked, out)
    assert len(provider.batches) == 1
    assert sum(row.errors for row in report.rows) == 0
    responses = Log(out / "responses.jsonl", Response).read()
    assert len(responses) == 36
    assert {r.seconds for r in responses} == {None}
    assert report.backend["batch"] is True
    assert KEY.encode() not in (out / "batches.jsonl").read_bytes()


def test_a_batch_that_is_not_accepted_ends_with_a_sentence(tmp_path: Path) -> None:
    refused = Reply({"error": {"message": f"bad key {KEY}"}}, 401)
    said = pytest.raises(UserError, match=r"HTTP 401.*the batch was not accepted")
    with serving(lambda _: refused) as server, said as caught:
        list(backend(server.url, tmp_path, batch=True).generate(asked(2)))
    assert KEY not in str(caught.value)
