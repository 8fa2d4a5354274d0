"""Scenes: CLEVR's rules of placing, splits by content, plans that are balanced."""

from __future__ import annotations

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
from clevrpolicy.scene.ontology import KINDS, RADIUS, Scene
from harness.errors import UserError
from harness.seeds import rng


def placed(seed: int, objects: int, width: int = 480, height: int = 320) -> Scene:
    draw = rng(seed, "scene")
    kinds = [draw.choice(KINDS) for _ in range(objects)]
    return placement.place(kinds, draw, "x", "train", width, height)


@given(seed=st.integers(0, 10**6), objects=st.integers(3, 10))
@settings(max_examples=15, deadline=None)
def test_placed_as_clevr_places(seed: int, objects: int) -> None:
    made = placed(seed, objects)
    for index, one in enumerate(made.objects):
        assert max(abs(one.coords[0]), abs(one.coords[1])) <= 3
        assert one.visible_pixels >= 200
        left, top, right, bottom = one.bbox
        assert 0 <= left < right <= 480
        assert 0 <= top < bottom <= 320
        for other in made.objects[:index]:
            apart = math.dist(one.coords[:2], other.coords[:2])
            assert apart - RADIUS[one.kind.size] - RADIUS[other.kind.size] >= 0.25
            for direction in placement.DIRECTIONS.values():
                along = sum((a - b) * d for a, b, d in zip(one.coords, other.coords, direction, strict=True))
                assert abs(along) >= 0.4 - 1e-9
    for jittered, fixed, by in (
        (made.camera, placement.CAMERA, 0.5),
        *((made.lights[name], lamp, 1.0) for name, lamp in placement.LAMPS.items()),
    ):
        assert all(abs(a - b) <= by for a, b in zip(jittered, fixed, strict=True))


def test_the_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    assert placed(1, 6) == placed(1, 6)
    assert placed(1, 6) != placed(2, 6)


def test_a_scene_that_cannot_be_placed_is_an_error_and_no_endless_loop(monkeypatch) -> None:
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


def test_clevr_json_goes_there_and_back() -> None:
    made = placed(3, 7)
    data = json.loads(msgspec.json.encode(clevr_json.encode(made, 4)))
    assert clevr_json.decode(data) == made
    assert data["image_index"] == 4
    assert {"3d_coords", "pixel_coords", "rotation", "shape", "size", "color", "material"} <= data["objects"][
        0
    ].keys()
    for one, other in (("left", "right"), ("front", "behind")):
        for i, found in enumerate(data["relationships"][one]):
            assert all(i in data["relationships"][other][j] for j in found)


@pytest.mark.parametrize(("depth", "count"), [(1, 7), (2, 30), (4, 40), (6, 50)])
def test_balanced_plans_give_each_leaf_its_share(depth: int, count: int) -> None:
    trees = {d.policy.id: d.tree for d in policies.policies(Config(depth, 3))}
    made = list(quotas.balanced(trees, count, quotas.Fresh(rng(0, "plan"), "test", 3, 10)))
    for name, policy in trees.items():
        cases = Counter(policy.walk(mask(p.kinds))[1].case for p in made if name in p.policies)
        leaves = sum(1 for _ in policy.leaves())
        assert sum(cases.values()) == count
        assert all(cases[case] in (count // leaves, count // leaves + 1) for case in range(leaves))
    assert len(made) < 3 * count
    contents = {tuple(sorted(p.kinds)) for p in made}
    assert len(contents) == len(made)
    assert all(placement.split_of(p.kinds) == "test" and 3 <= len(p.kinds) <= 10 for p in made)


def test_natural_plans_ask_every_policy_about_every_scene() -> None:
    trees = {d.policy.id: d.tree for d in policies.policies(Config(2, 3))}
    made = list(quotas.natural(trees, 20, quotas.Fresh(rng(0, "plan"), "train", 3, 10)))
    assert [p.policies for p in made] == [tuple(trees)] * 20


def test_more_scenes_than_a_leaf_has_is_an_error_that_names_the_leaf() -> None:
    trees = {d.policy.id: d.tree for d in policies.policies(Config(8, 1))}
    with pytest.raises(UserError, match=r"Case \d+ of policy L8-\w+ than exist with 2\.\.4 objects"):
        list(quotas.balanced(trees, 20_000, quotas.Fresh(rng(0, "plan"), "test", 2, 4)))
