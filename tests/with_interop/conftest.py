"""Two benchmarks whose questions have 1,008 stored responses: with pictures, and with tool calls."""

import pytest

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.generate import DialogGenerator
from harness.files.benchmark import Benchmark
from harness.generation.blocks import generate_all


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    out = tmp_path_factory.mktemp("benchmarks") / "pictures"
    config = SceneConfig(depth=3, policies=2, train=8, test=115, visual=True, width=96, height=64)
    generate(out, config, workers=2)
    return Benchmark(out)


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    out = tmp_path_factory.mktemp("benchmarks") / "calls"
    generate_all(out, DialogGenerator(GenerateConfig()), workers=2)
    return Benchmark(out)


@pytest.fixture(params=["pictures", "calls"])
def benchmark_(request: pytest.FixtureRequest) -> Benchmark:
    benchmark: Benchmark = request.getfixturevalue(request.param)
    return benchmark
