"""The openai backend: what it asks for, and a real server's answers beside the transformers backend's."""

from __future__ import annotations

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
    """What is sent for these prompts."""
    with serving(lambda _: completion("{}")) as server:
        backend: Any = backends.make("openai:m", None, Sampling(**sampling), Endpoint(server.url))
        list(backend.structured(prompts, schema) if schema else backend.generate(prompts))
        return [request.body for request in server.requests]


def answer_of(reply: Reply) -> Response:
    with serving(lambda _: reply) as server:
        (response,) = backends.make("openai:m", None, Sampling(), Endpoint(server.url)).generate(ONE)
        return response


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random LLaVA: without torchvision the Idefics3 of this version cannot be loaded."""
    pytest.importorskip("transformers")
    from small_models import random_model

    folder = tmp_path_factory.mktemp("checkpoint") / "llava"
    for saved in random_model("llava"):
        saved.save_pretrained(folder)
    return folder


@pytest.fixture
def transformers_server(llava: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of `transformers serve`, whose command itself would import more than serving needs."""
    for module in ("fastapi", "uvicorn"):
        pytest.importorskip(module)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"Serve({str(llava)!r}, host='127.0.0.1', port={port}, device='cpu')"
    process = subprocess.Popen(
        [sys.executable, "-c", f"from transformers.cli.serve import Serve; {line}"],
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


def test_a_real_server_answers_as_the_transformers_backend_and_may_go_away(
    transformers_server: tuple[str, subprocess.Popen[bytes]],
    llava: Path,
    visual_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images included: in the policy and in the question."""
    url, process = transformers_server
    benchmark, sampling = Benchmark(visual_folder), Sampling(max_new_tokens=12)
    instances = benchmark.instances("test")[:4]
    made = [variants.prompt(i, v, benchmark.policies) for v in VARIANTS.values() for i in instances]
    prompts = [p for p in made if p is not None]
    backend = backends.make(f"openai:{llava}", benchmark, sampling, Endpoint(url, concurrency=3))
    served = {r.key: r for r in backend.generate(prompts)}
    local = {r.key: r for r in backends.make(f"hf:{llava}", benchmark, sampling).generate(prompts)}

    def told(response: Response) -> tuple[object, ...]:
        counts = response.prompt_tokens, response.completion_tokens
        return response.text, response.error, response.finish_reason, *counts

    assert {key: told(r) for key, r in served.items()} == {key: told(r) for key, r in local.items()}
    assert len({r.text for r in served.values()}) > 3

    monkeypatch.setattr("harness.backends.remote.RETRIES", 0)
    backend = backends.make(f"openai:{llava}", benchmark, sampling, Endpoint(url, concurrency=2))
    responses = []
    for response in backend.generate(prompts):
        responses.append(response)
        if len(responses) == 2:
            process.kill()
            process.wait()
    assert sorted(r.key for r in responses) == sorted(p.key for p in prompts)
    kept = [r for r in responses if r.error is None]
    assert 2 <= len(kept) <= 4
    assert all(told(r) == told(served[r.key]) for r in kept)


def test_greedy_says_so_and_draws_have_a_seed_for_each_sample() -> None:
    (greedy,) = request_for(max_new_tokens=9)
    assert greedy == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "one"}]}],
        "max_tokens": 9,
        "temperature": 0,
    }
    samples = [Prompt("i", "internalized", ONE[0].parts, n) for n in range(5)]
    drawn, again = (request_for(samples, temperature=0.7, top_p=0.9, seed=3) for _ in range(2))
    assert {(r["temperature"], r["top_p"]) for r in drawn} == {(0.7, 0.9)}
    seeds = {r["seed"] for r in drawn}
    assert len(seeds) == 5
    assert seeds == {r["seed"] for r in again}
    assert seeds.isdisjoint({r["seed"] for r in request_for(samples, temperature=0.7, seed=4)})


def test_structured_asks_for_json_of_the_schema() -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    (body,) = request_for(schema=schema)
    wanted = body["response_format"]
    assert (wanted["type"], wanted["json_schema"]["schema"]) == ("json_schema", schema)


def test_reasoning_that_the_server_splits_off_is_put_back() -> None:
    for name in ("reasoning_content", "reasoning"):
        response = answer_of(completion("\\boxed{b}", message={name: "since a"}))
        assert response.text == "<think>since a</think>\\boxed{b}"


def test_filtered_answers_are_refusals_and_counts_may_be_missing() -> None:
    response = answer_of(completion("I must", finish_reason="content_filter"))
    assert (response.text, response.finish_reason) == ("I must", "refusal")
    bare = completion("a")
    bare.body.pop("usage")
    response = answer_of(bare)
    assert (response.text, response.prompt_tokens, response.completion_tokens) == ("a", None, None)


def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert answer_of(completion("none at hand")).text == "none at hand"


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(UserError, match="expected openai:NAME"):
        backends.make("openai", None, Sampling())
    with pytest.raises(UserError, match="--batch: expected only with anthropic"):
        backends.make("openai:m", None, Sampling(), Endpoint(batch=True))


def test_openai_itself_is_asked_by_the_new_name_of_the_limit() -> None:
    local, own = (
        backends.make("openai:m", None, Sampling(), Endpoint(url))
        for url in ("http://127.0.0.1:1/v1", "https://api.openai.com/v1")
    )
    assert (local.limit_field, own.limit_field) == ("max_tokens", "max_completion_tokens")
