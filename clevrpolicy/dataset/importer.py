"""`clevrpolicy import`: the same benchmark on the original CLEVR's scenes and pictures (the paper's setting).

Expects CLEVR as it is distributed: scenes/CLEVR_{train,val}_scenes.json and images/{train,val}/*.png. Its
training scenes make the training split, its validation scenes the test split; what has the same content as a
training scene is left out there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from clevrpolicy.dataset import quotas
from clevrpolicy.dataset import workers as produce
from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.instances import Asked, Builder
from clevrpolicy.dataset.quotas import Content
from clevrpolicy.policy import policies as draft
from clevrpolicy.policy.policies import Draft
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import VERSION
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.seeds import rng

SPLITS = {"train": "train", "test": "val"}


class _Collection(msgspec.Struct):
    """CLEVR's file of one split; a scene stays as it is written until it is looked at."""

    scenes: list[msgspec.Raw]


def import_clevr(clevr: Path, out: Path, config: Config, workers: int) -> Manifest:
    """Makes a benchmark in out from a local copy of CLEVR, or goes on with an interrupted one."""
    begun = BenchmarkSpec(
        draft.FAMILY, {"scenes": "CLEVR", **msgspec.to_builtins(config)}, {"renderer": VERSION}
    )
    finished = benchmark.begin(out, begun)
    if finished is not None:
        return finished
    policies = draft.policies(config)
    asked: list[Asked] = []
    scenes: list[dict[str, Any]] = []
    trained: set[Content] = set()
    for split in SPLITS:
        pool = _Pool(clevr, split, config.seed, set(trained))
        for planned in _plan(pool, policies, config, split):
            trained.add(tuple(sorted(planned.kinds)))
            asked.append(Asked(pool.last["image_filename"].removesuffix(".png"), split, planned))
            scenes.append(pool.last)
    builder = Builder(config, policies, asked)
    for scene in tqdm(asked, desc="copying", unit=""):
        _copy(clevr / "images" / SPLITS[scene.split] / f"{scene.scene_id}.png", out / scene.image)
    produce.produce(out, list(builder.crops()), workers)
    return builder.write(out, begun, scenes)


class _Pool:
    """The scenes of one of CLEVR's splits in random order, without the contents that are not wanted."""

    def __init__(self, clevr: Path, split: str, seed: int, unwanted: set[Content]) -> None:
        path = clevr / "scenes" / f"CLEVR_{SPLITS[split]}_scenes.json"
        self.path = path
        self.scenes = store.read_json(path, _Collection).scenes
        rng(seed, "import", split).shuffle(self.scenes)
        self.unwanted = unwanted
        self.last: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Content]:
        for raw in self.scenes:
            self.last = msgspec.json.decode(raw, type=dict[str, Any])
            try:
                scene_id, kinds = clevr_json.kinds(self.last)
            except (KeyError, ValueError) as error:
                raise UserError(f"{self.path}: a scene is not as CLEVR writes them: {error}") from error
            benchmark.refuse_outside(scene_id)
            if tuple(sorted(kinds)) not in self.unwanted:
                yield kinds


def _plan(pool: _Pool, policies: list[Draft], config: Config, split: str) -> Iterator[quotas.Planned]:
    trees = {d.policy.id: d.tree for d in policies}
    count = config.train if split == "train" else config.test
    draws = rng(config.seed, "plan", draft.FAMILY, config.depth, split)
    for planned in quotas.chosen(trees, count, pool, draws, config.balance == "leaf"):
        if planned.policies:
            yield planned


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.tmp")
    try:
        with store.writing(target):
            shutil.copyfile(source, aside)
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; expected a picture for each of CLEVR's scenes") from None
    aside.replace(target)
