"""The contract of every registered backend: one response per prompt, a JSON description, repeatable texts."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loopback import Reply, completion, message, serving

from harness import backends, registry, variants
from harness.backends import Backend, Sampling
from harness.backends.scripted import Scripted
from harness.files.benchmark import Benchmark
from harness.records import Prompt
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import VARIANTS

SAMPLING = Sampling(max_new_tokens=4)


@pytest.fixture(scope="session")
def recorded(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "oracle"
    evaluate(Benchmark(text_folder), EvalRequest("oracle"), out)
    return out


@pytest.fixture
def openai_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a model on the loopback interface whose answer is the question."""
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
    """Every registered backend. A backend without an argument here fails."""
    arguments = {"oracle": "", "random": "", "majority": "", "replay": "recorded", "hf": "checkpoint"}
    arguments |= {"openai": "openai_model", "anthropic": "anthropic_model", "vllm": "vllm_model"}
    assert request.param in arguments, "add an argument for the new backend above, so that it is tested"
    fixture = arguments[request.param]
    return f"{request.param}:{request.getfixturevalue(fixture)}" if fixture else request.param


def make_prompts(benchmark: Benchmark) -> list[Prompt]:
    instances = benchmark.instances("test")[:3]
    by_variant = [variants.prompt(i, v, benchmark.policies) for v in VARIANTS.values() for i in instances]
    return [p for p in by_variant if p is not None]


def test_each_prompt_gets_one_response_and_the_same_again(model: str, text_folder: Path) -> None:
    benchmark = Benchmark(text_folder)
    prompts = make_prompts(benchmark)
    first, second = (
        {r.key: r.text for r in backends.make(model, benchmark, SAMPLING).generate(prompts)} for _ in range(2)
    )
    assert first.keys() == {p.key for p in prompts}
    assert all(isinstance(text, str) for text in first.values())
    assert first == second


def test_a_backend_is_described_in_json(model: str, text_folder: Path) -> None:
    backend = backends.make(model, Benchmark(text_folder), SAMPLING)
    assert isinstance(backend, Backend)
    assert msgspec.json.decode(msgspec.json.encode(backend.description)) == backend.description
    assert backend.batched in (True, False)


def test_no_prompts_give_no_responses(model: str, text_folder: Path) -> None:
    assert list(backends.make(model, Benchmark(text_folder), SAMPLING).generate([])) == []


def test_the_list_of_scripted_backends_is_complete() -> None:
    assert sorted(backends.SCRIPTED) == sorted(kind.__name__.lower() for kind in Scripted.__subclasses__())
    assert backends.is_scripted("oracle") and not backends.is_scripted("hf:oracle")
