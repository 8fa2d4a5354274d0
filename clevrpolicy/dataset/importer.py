"""`clevrpolicy import`: a benchmark on the scenes and pictures of the original CLEVR (the paper's setting).

Expects CLEVR's own folders: scenes/CLEVR_{train,val}_scenes.json and images/{train,val}/. The training
split uses CLEVR's training scenes. The test split uses CLEVR's validation scenes, except those with the same
objects as a selected training scene.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from clevrpolicy.dataset.blocks import whole
from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.instances import SCENES, crop_jobs, write_instances
from clevrpolicy.dataset.quotas import PLANNER, Content, Quotas, SceneSpec
from clevrpolicy.policy.policies import FAMILY, TreePolicy, sample_policies
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import VERSION
from harness import images
from harness.engine import Local
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.generation.jobs import run_jobs
from harness.progress import Bar, note
from harness.seeds import rng
from harness.text import printable, reason, short

# CLEVR's name of each of our splits.
SPLITS = {"train": "train", "test": "val"}


class _Collection(msgspec.Struct):
    """CLEVR's file of one split. Each scene is decoded only when it is needed."""

    scenes: list[msgspec.Raw]


def import_clevr(clevr: Path, out: Path, config: Config, workers: int) -> Manifest:
    """Generates a benchmark in out from a local copy of CLEVR, or resumes an interrupted one."""
    scenes = "CLEVR" if config.scenes == "pictures" else "CLEVR in words"
    fields = {**config.settings(), "scenes": scenes}
    spec = BenchmarkSpec(FAMILY, fields, {"renderer": VERSION, "planner": PLANNER})
    with benchmark.creating(out, spec) as finished:
        return finished or _import(clevr, out, spec, config, workers)


def _import(clevr: Path, out: Path, spec: BenchmarkSpec, config: Config, workers: int) -> Manifest:
    policies = sample_policies(config)
    train = list(_select(clevr, "train", policies, config, config.train, excluded=set()))
    train_contents = {tuple(sorted(scene.kinds)) for scene, _ in train}
    test = list(_select(clevr, "test", policies, config, config.test, train_contents))
    scenes = list(_copy_all(clevr, out, train + test, config))
    block = whole(config)
    with Local(workers) as engine:
        run_jobs(out, list(crop_jobs(config, block)), engine, "pictures")
    in_words = {scene.scene_id: scene.kinds for scene in scenes} if config.scenes == "words" else {}
    write_instances(out, config, block, scenes, in_words)
    store.write_lines(out / SCENES, (record for _, record in train + test))
    return benchmark.seal(out, spec)


def _select(
    clevr: Path, split: str, policies: list[TreePolicy], config: Config, count: int, excluded: set[Content]
) -> Iterator[tuple[SceneSpec, dict[str, Any]]]:
    """Random scenes of a split with their JSON, until every policy has count instances."""
    trees = {policy.policy.id: policy.tree for policy in policies}
    quotas = Quotas(trees, split, range(count), config.seed, balance=config.balance == "leaf")
    if quotas.complete:
        return
    for kinds, scene_id, record in _read_scenes(clevr, split, config.seed):
        if quotas.complete:
            return
        if tuple(sorted(kinds)) not in excluded and (policy_ids := quotas.take(quotas.cases(kinds))):
            yield SceneSpec(scene_id, split, kinds, policy_ids), record
    if not quotas.complete:
        index, missing = max(enumerate(quotas.by_policy), key=lambda item: item[1])
        cases = [f"Case {case}" for case, needed in enumerate(quotas.by_leaf[index]) if needed]
        policy_id = quotas.policy_ids[index]
        raise UserError(
            f"--{split}: expected {count} scenes for policy {policy_id}, but CLEVR lacks {missing} "
            f"(for {', '.join(cases)}); request fewer, or use --balance natural"
        )


def _read_scenes(clevr: Path, split: str, seed: int) -> Iterator[tuple[Content, str, dict[str, Any]]]:
    """All scenes of a split in random order: the kinds of their objects, their ids and their JSON.

    Scenes without objects are left out. Raises UserError if any scene is not in CLEVR's format.
    """
    path = clevr / "scenes" / f"CLEVR_{SPLITS[split]}_scenes.json"
    scenes = store.read_json(path, _Collection).scenes
    empty = sum(not _decode(path, number, raw)[0] for number, raw in enumerate(scenes))
    if empty:
        note(f"{path}: {empty} scenes without objects are left out")
    rng(seed, "import", split).shuffle(scenes)
    for raw in scenes:
        kinds, scene_id, record = _decode(path, 0, raw)
        if kinds:
            yield kinds, scene_id, record


def _decode(path: Path, number: int, raw: msgspec.Raw) -> tuple[Content, str, dict[str, Any]]:
    name: Any = f"number {number}"
    try:
        record = msgspec.json.decode(raw, type=dict[str, Any])
        name = record.get("image_filename", name)
        scene_id, kinds = clevr_json.kinds(record)
        benchmark.refuse_outside(scene_id)
    except (UserError, msgspec.DecodeError, LookupError, TypeError, AttributeError, ValueError) as error:
        found = f"scene {short(printable(str(name)))}: {reason(error)}"
        raise UserError(f"{path}: expected scenes in CLEVR's format, got {found}") from error
    return kinds, scene_id, record


def _copy_all(
    clevr: Path, out: Path, scenes: Sequence[tuple[SceneSpec, dict[str, Any]]], config: Config
) -> Iterator[SceneSpec]:
    """The scenes, after copying their pictures unless they are in words. UserError if two have the same."""
    copied: set[str] = set()
    for scene, record in Bar(scenes, desc="copying", unit=""):
        new = scene if config.scenes == "words" else _copy(clevr, out, scene, record)
        if new.image in copied:
            raise UserError(f"{clevr}: expected a file name for each picture, got two of {new.image}")
        copied.add(new.image)
        yield new


def _copy(clevr: Path, out: Path, scene: SceneSpec, record: dict[str, Any]) -> SceneSpec:
    """Copies the picture of a scene. If its file gets another name, so does the scene."""
    name = record["image_filename"]
    source, copied = clevr / "images" / SPLITS[scene.split] / name, replace(scene, picture=name)
    if (out / copied.image).exists():
        return copied
    try:
        data = source.read_bytes()
    except OSError as error:
        what = str(error.strerror).lower()
        raise UserError(f"{source}: {what}; expected CLEVR's picture of this scene") from error
    picture, converted = images.stored(data, name, str(source))
    if (picture, converted) != (name, data):
        how = "stored" if converted == data else "converted and stored"
        note(f"{source}: {how} as {picture}")
    record["image_filename"] = picture
    copied = replace(scene, scene_id=clevr_json.scene_id(record), picture=picture)
    with store.writing(out / copied.image):
        (out / copied.image).parent.mkdir(parents=True, exist_ok=True)
    store.write(out / copied.image, converted)
    return copied
