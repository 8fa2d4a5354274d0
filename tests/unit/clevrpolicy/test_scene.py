"""Scenes: CLEVR's placement rules, splits by content, balanced quotas."""

import json
import math
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clevrpolicy.dataset import quotas
from clevrpolicy.dataset.config import Config
from clevrpolicy.policy import policies
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene import clevr_json, placement
from clevrpolicy.scene.lamps import LAMPS
from clevrpolicy.scene.ontology import KINDS, RADIUS, Scene
from harness.errors import UserError
from harness.seeds import rng


def placed(seed: int, objects: int, width: int = 480, height: int = 320) -> Scene:
    draw = rng(seed, "scene")
    kinds = [draw.choice(KINDS) for _ in range(objects)]
    return placement.place(kinds, draw, "x", "train", width, height)


@given(seed=st.integers(0, 10**6), objects=st.integers(3, 10))
@settings(max_examples=15, deadline=None)
def test_placement_follows_clevr(seed: int, objects: int) -> None:
    scene = placed(seed, objects)
    for index, one in enumerate(scene.objects):
        assert max(abs(one.coords[0]), abs(one.coords[1])) <= 3
        assert one.visible_pixels >= 200
        left, top, right, bottom = one.bbox
        assert 0 <= left < right <= 480
        assert 0 <= top < bottom <= 320
        for other in scene.objects[:index]:
            distance = math.dist(one.coords[:2], other.coords[:2])
            assert distance - RADIUS[one.kind.size] - RADIUS[other.kind.size] >= 0.25
            for direction in placement.DIRECTIONS.values():
                along = sum((a - b) * d for a, b, d in zip(one.coords, other.coords, direction, strict=True))
                assert abs(along) >= 0.4 - 1e-9
    for jittered, original, reach in (
        (scene.camera, placement.CAMERA, 0.5),
        *((scene.lights[name], lamp.position, 1.0) for name, lamp in LAMPS.items()),
    ):
        assert all(abs(a - b) <= reach for a, b in zip(jittered, original, strict=True))


def test_a_scene_depends_on_its_seed_alone() -> None:
    assert placed(1, 6) == placed(1, 6)
    assert placed(1, 6) != placed(2, 6)


def test_objects_that_cannot_be_placed_are_an_error(monkeypatch) -> None:
    monkeypatch.setattr(placement, "LAYOUT_TRIES", 20)
    large = [k for k in KINDS if k.size == "large"] * 2
    with pytest.raises(UserError, match="--max-objects"):
        placement.place(large[:40], rng(0, "x"), "test-000001", "test", 480, 320)


@given(kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=10), seed=st.integers(0, 99))
def test_a_split_depends_on_content_alone(kinds, seed: int) -> None:
    shuffled = kinds[:]
    rng(seed, "x").shuffle(shuffled)
    assert placement.split_of(kinds) == placement.split_of(shuffled)


def test_both_splits_are_common() -> None:
    draw = rng(0, "x")
    counts = Counter(placement.split_of([draw.choice(KINDS) for _ in range(5)]) for _ in range(2000))
    assert 0.65 < counts["train"] / 2000 < 0.75


def test_clevr_json_round_trip() -> None:
    scene = placed(3, 7)
    data = json.loads(msgspec.json.encode(clevr_json.encode(scene, 4)))
    assert clevr_json.decode(data) == scene
    assert data["image_index"] == 4
    fields = {"3d_coords", "pixel_coords", "rotation", "shape", "size", "color", "material"}
    assert fields <= data["objects"][0].keys()
    for one, other in (("left", "right"), ("front", "behind")):
        for i, related in enumerate(data["relationships"][one]):
            assert all(i in data["relationships"][other][j] for j in related)


def test_scenes_that_cannot_be_rendered_are_refused() -> None:
    data = json.loads(msgspec.json.encode(clevr_json.encode(placed(3, 7), 4)))
    published = {name: value for name, value in data.items() if name not in ("camera", "lights")}
    with pytest.raises(UserError, match="scene x: expected the fields camera, lights and bbox"):
        clevr_json.decode(published)
    data["objects"][0]["3d_coords"][2] /= math.sqrt(2)
    with pytest.raises(UserError, match="in which cubes were smaller; generate the benchmark again"):
        clevr_json.decode(data)


def planned(trees, split: str, numbers: range, objects: tuple[int, int] = (3, 10)):
    sampler = quotas.SceneSampler(rng(0, "plan", numbers.start), split, *objects)
    return list(quotas.balanced(trees, numbers, 0, sampler))


def trees_of(config: Config):
    return {policy.policy.id: policy.tree for policy in policies.sample_policies(config)}


@pytest.mark.parametrize(
    ("depth", "policies_", "count"),
    [(1, 3, 7), (2, 1, 30), (4, 3, 40), (6, 3, 50), (3, quotas.GROUP + 2, 20)],
)
def test_balanced_scenes_are_spread_evenly_over_the_leaves(depth: int, policies_: int, count: int) -> None:
    trees = trees_of(Config(depth, policies_))
    parts = [planned(trees, "test", range(count // 3)), planned(trees, "test", range(count // 3, count))]
    for allocations in (*parts, parts[0] + parts[1]):
        for policy_id, tree in trees.items():
            walked = Counter(tree.walk(mask(kinds))[1].case for kinds, ids in allocations if policy_id in ids)
            cases = [walked[leaf.case] for leaf, _ in tree.leaves()]
            assert max(cases) - min(cases) <= 1
    for policy_id in trees:
        assert sum(policy_id in ids for part in parts for _, ids in part) == count
    for allocations in parts:
        assert len({tuple(sorted(kinds)) for kinds, _ in allocations}) == len(allocations)
        assert all(placement.split_of(kinds) == "test" and 3 <= len(kinds) <= 10 for kinds, _ in allocations)


def test_policies_share_scenes() -> None:
    assert len(planned(trees_of(Config(4, 10)), "train", range(100))) < 300


def test_natural_scenes_serve_every_policy() -> None:
    policy_ids = tuple(trees_of(Config(2, 3)))
    allocations = list(quotas.natural(policy_ids, 20, quotas.SceneSampler(rng(0, "plan"), "train", 3, 10)))
    assert [policy_ids for _, policy_ids in allocations] == [policy_ids] * 20


def test_an_error_names_the_leaf_without_enough_scenes() -> None:
    with pytest.raises(UserError, match=r"not enough .* for Case \d+ of policy L8-\w+ with 2\.\.4 objects"):
        planned(trees_of(Config(8, 1)), "test", range(20_000), (2, 4))
