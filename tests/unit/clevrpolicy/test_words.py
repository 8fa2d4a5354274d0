"""Scenes in words: the benchmark is the same as with pictures, except for how it shows a scene."""

from pathlib import Path

import pytest

from clevrpolicy.dataset import workers
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from clevrpolicy.dataset.instances import SCENES
from harness.files.benchmark import Benchmark
from harness.variants import INTERNALIZED, OVERRIDE
from harness.verify import verify


@pytest.fixture
def pairs(text_folder: Path, words_folder: Path) -> tuple[Benchmark, Benchmark]:
    return Benchmark(text_folder), Benchmark(words_folder)


def test_policies_scenes_questions_and_answers_are_the_same(pairs: tuple[Benchmark, Benchmark]) -> None:
    pictures, words = pairs
    assert words.policies == pictures.policies
    assert words.check(SCENES) == pictures.check(SCENES)
    assert words.manifest.digest != pictures.manifest.digest
    for split in pictures.splits:
        for shown, described in zip(pictures.instances(split), words.instances(split), strict=True):
            assert described.query[1:] == shown.query[1:]
            for variant in (INTERNALIZED, OVERRIDE):
                gold = pictures.family_of(shown).gold(shown, variant)
                assert words.family_of(described).gold(described, variant) == gold
            same = ("id", "split", "facts", "policy_id", "target", "override")
            assert [getattr(described, name) for name in same] == [getattr(shown, name) for name in same]


def test_the_words_name_what_the_gold_reasoning_lists(words_folder: Path) -> None:
    benchmark = Benchmark(words_folder)
    assert "gold responses score 1" in verify(benchmark)
    for instance in benchmark.instances("test"):
        scene = instance.query[0]
        assert scene.kind == "text" and scene.value.startswith(
            "The objects in the scene, from left to right: a "
        )
        objects = scene.value.partition(": ")[2].strip()
        assert f"The scene holds {objects}" in benchmark.family.gold(instance, INTERNALIZED)


def test_nothing_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a picture is rendered")

    monkeypatch.setattr(workers, "Renderer", fail)
    config = SceneConfig(depth=1, policies=1, train=2, test=2, scenes="words")
    manifest = generate(tmp_path / "bench", config, workers=1)
    assert all(path.endswith(".jsonl") for path in manifest.files)
    assert generate(tmp_path / "bench", config, workers=1) == manifest


def test_no_object_is_hidden_in_words(pairs: tuple[Benchmark, Benchmark]) -> None:
    """Only a picture can hide objects, so the label of an error never says so."""
    pictures, words = pairs
    assert pictures.family._scene(pictures.instances("test")[0]) is not None
    assert words.family._scene(words.instances("test")[0]) is None
