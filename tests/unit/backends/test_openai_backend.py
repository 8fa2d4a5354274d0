"""The openai backend: its requests, and the answers of a real server compared with the hf backend's."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Reply, completion, serving

from harness import backends, variants
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Part, Prompt, Response
from harness.variants import VARIANTS

pytest.importorskip("openai")

ONE = [Prompt("i", "internalized", (Part("text", "one"),))]


def request_for(prompts: list[Prompt] = ONE, schema: Any = None, **sampling: Any) -> list[dict[str, Any]]:
    """The bodies that are sent for these prompts."""
    with serving(lambda _: completion("{}")) as server:
        backend: Any = backends.make("openai:m", None, Sampling(**sampling), Endpoint(server.url))
        list(backend.structured(prompts, schema) if schema else backend.generate(prompts))
        return [request.body for request in server.requests]


def response_to(reply: Reply) -> Response:
    """The response that the backend makes of a server's reply."""
    with serving(lambda _: reply) as server:
        (response,) = backends.make("openai:m", None, Sampling(), Endpoint(server.url)).generate(ONE)
        return response


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random LLaVA, because this version cannot load its Idefics3 without torchvision."""
    pytest.importorskip("transformers")
    from small_models import random_model

    folder = tmp_path_factory.mktemp("checkpoint") / "llava"
    for saved in random_model("llava"):
        saved.save_pretrained(folder)
    return folder


@pytest.fixture
def transformers_server(llava: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of `transformers serve`; the command itself would import more than serving needs."""
    for module in ("fastapi", "uvicorn"):
        pytest.importorskip(module)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"Serve({str(llava)!r}, host='127.0.0.1', port={port}, device='cpu')"
    process = subprocess.Popen(
        [sys.executable, "-c", f"from transformers.cli.serve import Serve; {code}"],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "the server did not come up"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", process
    finally:
        process.kill()
        process.wait()


def test_a_real_server_answers_like_the_hf_backend_and_may_be_killed(
    transformers_server: tuple[str, subprocess.Popen[bytes]],
    llava: Path,
    visual_folder: Path,
) -> None:
    """With images in the policy and in the question."""
    url, process = transformers_server
    benchmark, sampling = Benchmark(visual_folder), Sampling(max_new_tokens=12)
    instances = benchmark.instances("test")[:4]
    by_variant = [variants.prompt(i, v, benchmark.policies) for v in VARIANTS.values() for i in instances]
    prompts = [p for p in by_variant if p is not None]
    backend = backends.make(f"openai:{llava}", benchmark, sampling, Endpoint(url, concurrency=3))
    served = {r.key: r for r in backend.generate(prompts)}
    local = {r.key: r for r in backends.make(f"hf:{llava}", benchmark, sampling).generate(prompts)}

    def facts(response: Response) -> tuple[object, ...]:
        counts = response.prompt_tokens, response.completion_tokens
        return response.text, response.error, response.finish_reason, *counts

    assert {key: facts(r) for key, r in served.items()} == {key: facts(r) for key, r in local.items()}
    assert len({r.text for r in served.values()}) > 3

    backend = backends.make(f"openai:{llava}", benchmark, sampling, Endpoint(url, 2, retries=0))
    responses = []
    for response in backend.generate(prompts):
        responses.append(response)
        if len(responses) == 2:
            process.kill()
            process.wait()
    assert sorted(r.key for r in responses) == sorted(p.key for p in prompts)
    answered = [r for r in responses if r.error is None]
    assert 2 <= len(answered) <= 4
    assert all(facts(r) == facts(served[r.key]) for r in answered)


def test_greedy_requests_have_temperature_0_and_each_sample_has_its_own_seed() -> None:
    (greedy,) = request_for(max_new_tokens=9)
    assert greedy == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "one"}]}],
        "max_tokens": 9,
        "temperature": 0,
    }
    samples = [Prompt("i", "internalized", ONE[0].parts, n) for n in range(5)]
    sampled, again = (request_for(samples, temperature=0.7, top_p=0.9, seed=3) for _ in range(2))
    assert {(r["temperature"], r["top_p"]) for r in sampled} == {(0.7, 0.9)}
    seeds = {r["seed"] for r in sampled}
    assert len(seeds) == 5
    assert seeds == {r["seed"] for r in again}
    assert seeds.isdisjoint({r["seed"] for r in request_for(samples, temperature=0.7, seed=4)})


def test_structured_requests_json_of_the_schema() -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    (body,) = request_for(schema=schema)
    requested = body["response_format"]
    assert (requested["type"], requested["json_schema"]["schema"]) == ("json_schema", schema)


def test_separate_reasoning_becomes_a_think_block() -> None:
    for name in ("reasoning_content", "reasoning"):
        response = response_to(completion("\\boxed{b}", message={name: "since a"}))
        assert response.text == "<think>since a</think>\\boxed{b}"


def test_a_filtered_answer_is_a_refusal_and_token_counts_may_be_missing() -> None:
    response = response_to(completion("I must", finish_reason="content_filter"))
    assert (response.text, response.finish_reason) == ("I must", "refusal")
    bare = completion("a")
    bare.body.pop("usage")
    response = response_to(bare)
    assert (response.text, response.prompt_tokens, response.completion_tokens) == ("a", None, None)


def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert response_to(completion("none at hand")).text == "none at hand"


def test_a_missing_name_and_batches_are_errors() -> None:
    with pytest.raises(UserError, match="expected openai:NAME"):
        backends.make("openai", None, Sampling())
    with pytest.raises(UserError, match="batch: expected only with anthropic"):
        backends.make("openai:m", None, Sampling(), Endpoint(batch=True))


def test_only_openai_gets_the_new_name_of_the_token_limit() -> None:
    local, openai = (
        backends.make("openai:m", None, Sampling(), Endpoint(url))
        for url in ("http://127.0.0.1:1/v1", "https://api.openai.com/v1")
    )
    assert (local.limit_field, openai.limit_field) == ("max_tokens", "max_completion_tokens")


PLAIN = "openai:m?endpoint=completions"


def test_the_completions_endpoint_gets_a_plain_text() -> None:
    reply = {"model": "m", "choices": [{"text": " 3.\n\nQuestion: And", "finish_reason": "length"}]}
    with serving(lambda _: Reply(reply)) as server:
        backend: Any = backends.make(PLAIN, None, Sampling(max_new_tokens=9), Endpoint(server.url))
        parts = Part("text", "What is "), Part("text", "1 + 2?")
        (response,) = backend.generate([Prompt("i", "internalized", parts)])
    (request,) = server.requests
    assert request.path == "/completions"
    assert request.body == {
        "model": "m",
        "prompt": "Question:\nWhat is 1 + 2?\nAnswer:",
        "stop": ["Question:"],
        "max_tokens": 9,
        "temperature": 0,
    }
    assert (response.text, response.error) == (" 3.", None)
    assert backend.description["endpoint"] == "/completions"


def test_the_completions_endpoint_refuses_images_before_the_first_request() -> None:
    with serving(lambda _: completion("none")) as server:
        backend = backends.make(PLAIN, None, Sampling(), Endpoint(server.url))
        with pytest.raises(UserError, match=r"^openai:m\?endpoint=completions: expected prompts without"):
            list(backend.generate([*ONE, Prompt("j", "internalized", (Part("image", "a.png"),))]))
    assert not server.requests


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UserError, match=r"got the option 'endpoint=other'"):
        backends.make("openai:m?endpoint=other", None, Sampling())
