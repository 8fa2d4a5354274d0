"""The contract of every registered general benchmark: it is converted offline from published files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from published import write_mmlu_pro, write_mmmu_pro

from harness import registry
from harness.general import published
from harness.verify import verify

# Writes a small published benchmark into a folder.
SOURCES: dict[str, Callable[[Path], Path]] = {
    "mmlu-pro": write_mmlu_pro,
    "mmmu-pro-standard4": write_mmmu_pro,
    "mmmu-pro-standard10": write_mmmu_pro,
    "mmmu-pro-vision": write_mmmu_pro,
}


@pytest.mark.parametrize("name", registry.names(registry.GENERAL))
def test_a_published_benchmark_is_converted_and_verifies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in SOURCES, "write a small source of the new benchmark in tests/support/published.py"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    benchmark = published.open(f"{name}:{SOURCES[name](tmp_path / 'source')}")
    assert benchmark.instances("test")
    assert "gold responses score 1" in verify(benchmark)
    again = published.open(f"{name}:{tmp_path / 'source'}")
    assert again.manifest.digest == benchmark.manifest.digest
