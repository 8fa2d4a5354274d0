"""The digest of a benchmark covers everything that a leaderboard groups by or shows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark, Manifest
from harness.files.manifest import BLOCKS_FORMAT, digests

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CONFIGS = st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=3)
FILES = {"policies.jsonl": "a" * 64, "images/0.png": "b" * 64}


def manifest(config: Mapping[str, Any], family: str = "toy", version: str = "1", format: int = 2) -> Manifest:
    return Manifest(format, family, config, {"generator": version}, {}, "", "", FILES)


@given(CONFIGS, CONFIGS)
def test_other_configs_have_other_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = digests(manifest(one)), digests(manifest(other))
    same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    assert (first[0] == second[0]) == same
    assert first[1] == second[1]


@given(CONFIGS)
def test_the_digest_does_not_depend_on_the_order_or_on_a_round_trip(config: dict[str, Any]) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(dict(reversed(config.items()))))
    assert digests(manifest(config)) == digests(manifest(stored))


def test_family_and_versions_change_the_digest_and_sources_do_not() -> None:
    own = manifest({"depth": 2})
    others = [manifest({"depth": 2}, family="other"), manifest({"depth": 2}, version="2")]
    assert len({digests(m)[0] for m in (own, *others)}) == 3
    assert digests(replace(own, sources={"test.jsonl": "c" * 64})) == digests(own)


@pytest.mark.parametrize(
    "change",
    [{"config": {"depth": 6}}, {"family": "mmlu-pro"}, {"versions": {"renderer": "9"}}, {"format": 1}],
)
def test_an_edited_manifest_is_refused(spoiled: Path, change: dict[str, Any]) -> None:
    path = spoiled / "manifest.json"
    store.write_json(path, replace(store.read_json(path, Manifest), **change))
    with pytest.raises(UserError, match="the manifest was changed later"):
        Benchmark(spoiled)


def test_a_benchmark_of_format_1_can_be_read(spoiled: Path) -> None:
    """Its digest does not depend on its config."""
    path = spoiled / "manifest.json"
    older = replace(store.read_json(path, Manifest), format=1)
    older = replace(older, digest=digests(older)[0])
    assert digests(replace(older, config={})) == (older.digest, older.images_digest)
    store.write_json(path, older)
    assert Benchmark(spoiled).instances("test")
    store.write_json(path, replace(older, format=BLOCKS_FORMAT + 1))
    with pytest.raises(UserError, match="expected format 2, got 4"):
        Benchmark(spoiled)
