"""Small real benchmarks, generated once for all tests, and copies that a test may spoil."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Threads of tiny models fight over two cores; set before torch is loaded anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from family_fixtures import FAMILY_FIXTURES
from published import write_mmlu_pro, write_mmmu_pro

from clevrpolicy.dataset.config import SceneConfig, SkillsConfig
from clevrpolicy.dataset.generate import generate
from clevrpolicy.skills import generate as generate_skills
from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.generate import DialogGenerator
from harness.files.benchmark import Benchmark
from harness.general import published
from harness.generation.blocks import generate_all

# A shell that starts the suite in the background has it ignore Ctrl-C, and all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first example of a test may load a model; no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SMALL = {"policies": 2, "train": 4, "test": 6, "width": 160, "height": 112}


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClevrPolicy-T at N=2."""
    out = tmp_path_factory.mktemp("benchmarks") / "text"
    generate(out, SceneConfig(depth=2, **SMALL), workers=1)
    return out


@pytest.fixture(scope="session")
def visual_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClevrPolicy-M at N=3, on natural scenes."""
    out = tmp_path_factory.mktemp("benchmarks") / "visual"
    generate(out, SceneConfig(depth=3, visual=True, balance="natural", **SMALL), workers=1)
    return out


@pytest.fixture(scope="session")
def words_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClevrPolicy-T at N=2 on the scenes of text_folder, which are described in words."""
    out = tmp_path_factory.mktemp("benchmarks") / "words"
    generate(out, SceneConfig(depth=2, scenes="words", **SMALL), workers=1)
    return out


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny vision-language model with random weights."""
    from training.base.model.checkpoint import save_random

    out = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_random(out)
    return out


@pytest.fixture(scope="session")
def rules_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GTAPolicy with an invented policy, in plain words without pictures."""
    out = tmp_path_factory.mktemp("benchmarks") / "rules"
    generate_all(out, DialogGenerator(GenerateConfig(invented_tools=5, invented_rules=20)), workers=1)
    return out


@pytest.fixture(scope="session")
def skills_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clevr-skills: questions about scenes, without policies."""
    out = tmp_path_factory.mktemp("benchmarks") / "skills"
    generate_skills(out, SkillsConfig(scenes=4, train=2, width=160, height=112), workers=1)
    return out


@pytest.fixture(scope="session")
def mmlu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _converted("mmlu-pro", write_mmlu_pro(tmp_path_factory.mktemp("published") / "mmlu"))


@pytest.fixture(scope="session")
def mmmu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _converted("mmmu-pro-standard10", write_mmmu_pro(tmp_path_factory.mktemp("published") / "mmmu"))


def _converted(name: str, source: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(source.parent / "cache"))
        return published.open(f"{name}:{source}").folder


@pytest.fixture(params=[name for names in FAMILY_FIXTURES.values() for name in names])
def any_benchmark(request: pytest.FixtureRequest) -> Benchmark:
    """A benchmark of each family, with policies or without."""
    return Benchmark(request.getfixturevalue(request.param))


@pytest.fixture(params=["text_folder", "visual_folder", "rules_folder"])
def benchmark_folder(request: pytest.FixtureRequest) -> Path:
    """A benchmark of each family that has policies."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture
def benchmark_(benchmark_folder: Path) -> Benchmark:
    return Benchmark(benchmark_folder)


@pytest.fixture
def spoiled(text_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(text_folder, tmp_path / "spoiled"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs here")
    yield disk
    subprocess.run(["umount", disk], check=True)
