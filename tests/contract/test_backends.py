"""What every registered backend promises: one response a prompt, an honest description, repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loopback import Reply, completion, message, serving

from harness import backends, registry, variants
from harness.backends import Sampling
from harness.files.benchmark import Benchmark
from harness.records import Prompt
from harness.run import EvalRequest, evaluate
from harness.variants import VARIANTS

SAMPLING = Sampling(max_new_tokens=4)


@pytest.fixture(scope="session")
def recorded(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "oracle"
    evaluate(Benchmark(text_folder), EvalRequest("oracle"), out)
    return out


@pytest.fixture
def openai_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name that a server on the loopback interface gives its model, which answers with the question."""
    with serving(lambda request: completion(request.content[-1]["text"])) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield "served"


@pytest.fixture
def anthropic_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(lambda request: Reply(message(request.content[-1]["text"]))) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        yield "served"


@pytest.fixture
def vllm_model(checkpoint: Path) -> str:
    pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm tests it")
    return f"{checkpoint}?enforce_eager=true&dtype=float32"


@pytest.fixture(params=registry.names(registry.BACKENDS))
def model(request: pytest.FixtureRequest) -> str:
    """Every registered backend; one without an argument here is one without a contract."""
    arguments = {"oracle": "", "random": "", "majority": "", "replay": "recorded", "hf": "checkpoint"}
    arguments |= {"openai": "openai_model", "anthropic": "anthropic_model", "vllm": "vllm_model"}
    assert request.param in arguments, "give the new backend an argument above, so that it is tested"
    fixture = arguments[request.param]
    return f"{request.param}:{request.getfixturevalue(fixture)}" if fixture else request.param


def prompts(benchmark: Benchmark) -> list[Prompt]:
    instances = benchmark.instances("test")[:3]
    made = [variants.prompt(i, v, benchmark.policies) for v in VARIANTS.values() for i in instances]
    return [p for p in made if p is not None]


def test_one_response_a_prompt_and_the_same_again(model: str, text_folder: Path) -> None:
    benchmark = Benchmark(text_folder)
    asked = prompts(benchmark)
    first, second = (
        {r.key: r.text for r in backends.make(model, benchmark, SAMPLING).generate(asked)} for _ in range(2)
    )
    assert first.keys() == {p.key for p in asked}
    assert all(isinstance(text, str) for text in first.values())
    assert first == second


def test_description_is_json_and_batched_is_said(model: str, text_folder: Path) -> None:
    backend = backends.make(model, Benchmark(text_folder), SAMPLING)
    assert msgspec.json.decode(msgspec.json.encode(backend.description)) == backend.description
    assert backend.batched in (True, False)


def test_no_prompts_give_no_responses(model: str, text_folder: Path) -> None:
    assert list(backends.make(model, Benchmark(text_folder), SAMPLING).generate([])) == []
