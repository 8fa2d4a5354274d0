"""`clevrpolicy import`: a benchmark on the scenes and pictures of the original CLEVR (the paper's setting).

Expects CLEVR's own folders: scenes/CLEVR_{train,val}_scenes.json and images/{train,val}/*.png. The training
split uses CLEVR's training scenes. The test split uses CLEVR's validation scenes, except those with the same
objects as a selected training scene.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.instances import BenchmarkBuilder
from clevrpolicy.dataset.quotas import Content, Quotas, SceneSpec
from clevrpolicy.dataset.workers import render_all
from clevrpolicy.policy.policies import FAMILY, TreePolicy, sample_policies
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import VERSION
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.seeds import rng

# CLEVR's name of each of our splits.
SPLITS = {"train": "train", "test": "val"}


class _Collection(msgspec.Struct):
    """CLEVR's file of one split. Each scene is decoded only when it is needed."""

    scenes: list[msgspec.Raw]


def import_clevr(clevr: Path, out: Path, config: Config, workers: int) -> Manifest:
    """Generates a benchmark in out from a local copy of CLEVR, or resumes an interrupted one."""
    spec = BenchmarkSpec(FAMILY, {"scenes": "CLEVR", **msgspec.to_builtins(config)}, {"renderer": VERSION})
    finished = benchmark.begin(out, spec)
    if finished is not None:
        return finished
    policies = sample_policies(config)
    train = list(_select(clevr, "train", policies, config, config.train, excluded=set()))
    train_contents = {tuple(sorted(scene.kinds)) for scene, _ in train}
    test = list(_select(clevr, "test", policies, config, config.test, train_contents))
    scenes = [scene for scene, _ in train + test]
    builder = BenchmarkBuilder(config, policies, scenes)
    for scene in tqdm(scenes, desc="copying", unit=""):
        _copy(clevr / "images" / SPLITS[scene.split] / f"{scene.scene_id}.png", out / scene.image)
    render_all(out, list(builder.crop_jobs()), workers)
    return builder.write(out, spec, (record for _, record in train + test))


def _select(
    clevr: Path, split: str, policies: list[TreePolicy], config: Config, count: int, excluded: set[Content]
) -> Iterator[tuple[SceneSpec, dict[str, Any]]]:
    """Random scenes of a split with their JSON, until every policy has count instances."""
    trees = {policy.policy.id: policy.tree for policy in policies}
    draw = rng(config.seed, "plan", FAMILY, config.depth, split)
    quotas = Quotas(trees, count, draw, balance=config.balance == "leaf")
    for kinds, scene_id, record in _read_scenes(clevr, split, config.seed):
        if quotas.complete:
            return
        if tuple(sorted(kinds)) not in excluded and (policy_ids := quotas.take(kinds)):
            yield SceneSpec(scene_id, split, kinds, policy_ids), record
    if not quotas.complete:
        policy_id, missing = max(quotas.by_policy.items(), key=lambda item: item[1])
        cases = [f"Case {case}" for case, needed in quotas.by_leaf[policy_id].items() if needed]
        raise UserError(
            f"--{split}: expected {count} scenes for policy {policy_id}, but CLEVR lacks {missing} "
            f"(for {', '.join(cases)}); request fewer, or use --balance natural"
        )


def _read_scenes(clevr: Path, split: str, seed: int) -> Iterator[tuple[Content, str, dict[str, Any]]]:
    """All scenes of a split in random order: the kinds of their objects, their ids and their JSON."""
    path = clevr / "scenes" / f"CLEVR_{SPLITS[split]}_scenes.json"
    scenes = store.read_json(path, _Collection).scenes
    rng(seed, "import", split).shuffle(scenes)
    for raw in scenes:
        record = msgspec.json.decode(raw, type=dict[str, Any])
        try:
            scene_id, kinds = clevr_json.kinds(record)
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: expected scenes in CLEVR's format, got {error!r}") from error
        benchmark.refuse_outside(scene_id)
        yield kinds, scene_id, record


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; expected CLEVR's picture of this scene") from None
    store.write(target, data)
