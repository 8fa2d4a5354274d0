"""The anthropic backend: its requests, prompt caching, and batches that outlive a killed process."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from forked import start_command
from loopback import KEY, Reply, Request, message, serving

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log
from harness.records import Part, Prompt, Report, Response
from harness.request import EvalRequest
from harness.run import evaluate

pytest.importorskip("anthropic")

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("harness.backends.remote.anthropic_batches.POLL_SECONDS", 0.01)


def backend(url: str, folder: Path | None = None, batch: bool = False, **sampling: Any) -> Any:
    endpoint = Endpoint(url, concurrency=2, batch=batch)
    return backends.make("anthropic:m", None, Sampling(**sampling), endpoint, folder)


def make_prompts(count: int) -> list[Prompt]:
    return [Prompt(f"p{n}", "internalized", (Part("text", f"p{n}"),)) for n in range(count)]


class Provider:
    """A server with message batches. They end when the test says so; each answer repeats its question."""

    def __init__(self) -> None:
        self.batches: dict[str, list[dict[str, Any]]] = {}
        # Set by the test when the batches should end.
        self.ended = threading.Event()
        # Set when a client has asked for the state of a batch.
        self.polled = threading.Event()
        # By question, a result that is not an answer.
        self.results: dict[str, dict[str, Any]] = {}
        # How many streams of results to cut off.
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
        self.polled.set()
        return Reply(self.state(rest[0]))

    def state(self, name: str) -> dict[str, Any]:
        ended, count = self.ended.is_set(), len(self.batches[name])
        zeros = dict.fromkeys(("canceled", "errored", "expired", "succeeded", "processing"), 0)
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": zeros | ({"succeeded": count} if ended else {"processing": count}),
            "results_url": f"/v1/messages/batches/{name}/results" if ended else None,
        }

    def lines(self, name: str) -> str:
        return "".join(json.dumps(self.line(request)) + "\n" for request in reversed(self.batches[name]))

    def line(self, request: dict[str, Any]) -> dict[str, Any]:
        question = request["params"]["messages"][0]["content"][-1]["text"]
        good = {"type": "succeeded", "message": message(question)}
        return {"custom_id": request["custom_id"], "result": self.results.get(question, good)}

    @property
    def questions(self) -> list[str]:
        """The question of every request in any batch: each costs money."""
        sent = [request["params"] for batch in self.batches.values() for request in batch]
        return sorted(params["messages"][0]["content"][-1]["text"] for params in sent)


def test_the_last_part_of_a_policy_is_marked_for_the_cache() -> None:
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
    single = Prompt("z", "in_context", (Part("text", f"z: {rules}"), Part("text", "question")))
    with serving(lambda _: Reply(message("a"))) as server:
        responses = list(backend(server.url).generate([*prompts, single]))
        bodies = [request.content for request in server.requests]
    for content in bodies:
        marked = [block["text"] for block in content if "cache_control" in block]
        # After the policy, not after the introduction that both policies share.
        assert marked == ([] if len(content) == 2 else [f"end of {content[1]['text'][0]}"])
    counts = {(r.prompt_tokens, r.cached_tokens, r.written_tokens, r.completion_tokens) for r in responses}
    assert counts == {(100, 60, 10, 7)}


def test_no_temperature_is_sent_and_only_0_and_1_are_accepted() -> None:
    with serving(lambda _: Reply(message("a"))) as server:
        for temperature in (0, 1):
            list(
                backend(server.url, temperature=temperature, max_new_tokens=40_000).generate(make_prompts(1))
            )
        for request in server.requests:
            assert request.body.keys() == {"model", "max_tokens", "messages"}
            assert request.body["max_tokens"] == 40_000
        for sampling in ({"temperature": 0.7}, {"temperature": 1, "top_p": 0.9}):
            with pytest.raises(UserError, match="takes neither"):
                backend(server.url, **sampling)


def test_a_missing_key_or_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="expected anthropic:NAME"):
        backends.make("anthropic:", None, Sampling())
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    with pytest.raises(UserError, match="expected a key in ANTHROPIC_API_KEY"):
        backend("http://127.0.0.1:1")


def test_a_bearer_token_is_removed_from_errors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    with serving(lambda _: Reply({"error": {"message": KEY}}, 400)) as server:
        (response,) = backend(server.url).generate(make_prompts(1))
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "HTTP 400" in response.error
    assert KEY not in response.error


def test_batches_ask_for_a_schema_that_is_not_strict(tmp_path: Path) -> None:
    """A batch may take a day to reject a strict one."""
    provider = Provider()
    provider.ended.set()
    with serving(provider) as server:
        list(backend(server.url, tmp_path, batch=True).structured(make_prompts(1), SCHEMA))
    (request,) = provider.batches["batch0"]
    assert request["params"]["tools"][0].keys() == {"name", "description", "input_schema"}


def test_structured_forces_a_tool_and_keeps_refusals() -> None:
    tool = [{"type": "tool_use", "id": "t", "name": "answer", "input": {"score": 3}}]
    replies = {"p0": message("", "tool_use", tool), "p1": message("No.", "refusal")}
    with serving(lambda request: Reply(replies[request.content[0]["text"]])) as server:
        responses = {r.instance: r for r in backend(server.url).structured(make_prompts(2), SCHEMA)}
        body = server.requests[0].body
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert (body["tools"][0]["input_schema"], body["tools"][0]["strict"]) == (SCHEMA, True)
    assert (json.loads(responses["p0"].text), responses["p0"].finish_reason) == ({"score": 3}, "stop")
    assert (responses["p1"].text, responses["p1"].finish_reason) == ("No.", "refusal")


def test_batches_contain_all_prompts_and_failed_ones_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.backends.remote.anthropic_batches.MAX_REQUESTS", 4)
    provider = Provider()
    provider.ended.set()
    error = {"type": "error", "error": {"type": "api_error", "message": "overloaded"}}
    provider.results = {"p1": {"type": "errored", "error": error}, "p7": {"type": "expired"}}
    prompts = make_prompts(10)
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


def test_an_unusual_result_fails_only_its_own_prompt(tmp_path: Path) -> None:
    provider = Provider()
    provider.ended.set()
    results: list[Any] = [
        None,
        7,
        {},
        {"type": "succeeded"},
        {"type": "succeeded", "message": None},
        {"type": "succeeded", "message": message("a", "pause_turn")},
        {"type": "succeeded", "message": message("a", content=[None])},
        {"type": "errored", "error": None},
        {"type": "errored", "error": {"error": {"message": KEY}}},
        {"type": "something new"},
    ]
    provider.results = {f"p{n}": result for n, result in enumerate(results)}
    with serving(provider) as server:
        prompts = make_prompts(len(results) + 1)
        responses = {r.instance: r for r in backend(server.url, tmp_path, batch=True).generate(prompts)}
    fine = responses.pop(prompts[-1].instance)
    assert (fine.text, fine.batched, fine.served_model) == (fine.instance, True, "served")
    assert len(responses) == len(results)
    assert all(r.text is None and "in its batch" in r.error for r in responses.values())
    assert not any(KEY in r.error for r in responses.values())


@pytest.mark.parametrize("body", [{}, {"id": 7}, "<html>", [], {"id": "b", "processing_status": "new"}])
def test_an_unusual_state_of_a_batch_ends_with_one_sentence(tmp_path: Path, body: Any) -> None:
    with serving(lambda _: Reply(body)) as server, pytest.raises(UserError, match=r"rerun|not accepted"):
        list(backend(server.url, tmp_path, batch=True).generate(make_prompts(1)))


def test_cut_results_are_read_again_without_a_new_batch(tmp_path: Path) -> None:
    provider = Provider()
    provider.ended.set()
    provider.cut_results = 1
    responses: list[Response] = []
    with serving(provider) as server:
        with pytest.raises(UserError, match="batch0 is still there; rerun the same command to resume"):
            responses.extend(backend(server.url, tmp_path, batch=True).generate(make_prompts(6)))
        session = backend(server.url, tmp_path, batch=True).generate(make_prompts(6))
        responses = [next(session), next(session)]
        session.close()  # as if killed while it reads results
        missing = [p for p in make_prompts(6) if p.instance not in {r.instance for r in responses}]
        responses += backend(server.url, tmp_path, batch=True).generate(missing)
    assert sorted(r.text for r in responses if r.text) == [f"p{n}" for n in range(6)]
    assert len(provider.batches) == 1


def test_batches_of_other_requests_in_the_same_folder_are_ignored(tmp_path: Path) -> None:
    provider = Provider()
    provider.ended.set()
    provider.cut_results = 1
    with serving(provider) as server:
        with pytest.raises(UserError, match="batch0 is still there"):
            list(backend(server.url, tmp_path, batch=True).structured(make_prompts(2), SCHEMA))
        responses = list(backend(server.url, tmp_path, batch=True).generate(make_prompts(2)))
        assert [r.text for r in responses] == ["p1", "p0"]
        verdicts = list(backend(server.url, tmp_path, batch=True).structured(make_prompts(2), SCHEMA))
    assert [r.text for r in verdicts] == ["p1", "p0"]
    assert ["tools" in batch[0]["params"] for batch in provider.batches.values()] == [True, False]


def test_a_run_killed_while_it_waits_resumes_with_its_batch(text_folder: Path, tmp_path: Path) -> None:
    provider, out = Provider(), tmp_path / "run"
    with serving(provider) as server:
        command = ["harness", "eval", text_folder, "--model", "anthropic:m", "--batch"]
        process = start_command(*command, "--base-url", server.url, "--out", out)
        assert provider.polled.wait(60)
        process.kill()
        process.join()
        provider.ended.set()
        request = EvalRequest("anthropic:m", endpoint=Endpoint(server.url, batch=True))
        report: Report = evaluate(Benchmark(text_folder), request, out)
    assert len(provider.batches) == 1
    assert sum(row.errors for row in report.rows) == 0
    responses = Log(out / "responses.jsonl", Response).read()
    assert len(responses) == 36
    assert {r.seconds for r in responses} == {None}
    assert report.backend["batch"] is True
    assert KEY.encode() not in (out / "batches.jsonl").read_bytes()


def test_a_new_run_whose_batch_was_sent_is_kept(text_folder: Path, tmp_path: Path) -> None:
    provider, out = Provider(), tmp_path / "run"
    provider.ended.set()
    with serving(lambda r: provider(r) if r.method == "POST" else Reply({}, 500)) as server:
        endpoint = Endpoint(server.url, batch=True, retries=0)
        request = EvalRequest("anthropic:m", limit=2, endpoint=endpoint)
        with pytest.raises(UserError, match="batch0 is still there; rerun the same command to resume"):
            evaluate(Benchmark(text_folder), request, out)
        with pytest.raises(UserError, match="contains a run with model 'anthropic:m'"):
            evaluate(Benchmark(text_folder), EvalRequest("oracle"), out)
        server.answer = provider
        report = evaluate(Benchmark(text_folder), request, out)
    assert len(provider.batches) == 1
    assert sum(row.errors for row in report.rows) == 0


def test_batches_need_a_folder() -> None:
    with pytest.raises(UserError, match="batch: expected a folder"):
        list(backend("http://127.0.0.1:1", folder=None, batch=True).generate(make_prompts(1)))


def test_a_rejected_batch_ends_with_one_sentence(tmp_path: Path) -> None:
    rejection = Reply({"error": {"message": f"bad key {KEY}"}}, 401)
    expected = pytest.raises(UserError, match=r"HTTP 401.*the batch was not accepted")
    with serving(lambda _: rejection) as server, expected as caught:
        list(backend(server.url, tmp_path, batch=True).generate(make_prompts(2)))
    assert KEY not in str(caught.value)
