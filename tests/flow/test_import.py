"""Importing CLEVR's scenes and pictures, from a small folder in CLEVR's format."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from clevrpolicy import cli
from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.importer import import_clevr
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import KINDS
from clevrpolicy.scene.placement import place
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.seeds import rng

# Fields that CLEVR's own files do not have.
OUR_FIELDS = ("camera", "lights", "width", "height")


def write_split(folder: Path, split: str, count: int) -> None:
    scenes = []
    (folder / "images" / split).mkdir(parents=True)
    for index in range(count):
        draw = rng(index, "clevr")  # the same contents in both splits
        kinds = [draw.choice(KINDS) for _ in range(draw.randint(3, 6))]
        name = f"CLEVR_{split}_{index:06d}"
        data = clevr_json.encode(place(kinds, draw, name, split, 96, 64), index)
        scene = {k: v for k, v in data.items() if k not in OUR_FIELDS}
        scene["objects"] = [
            {k: v for k, v in o.items() if k not in ("bbox", "visible_pixels")} for o in data["objects"]
        ]
        scenes.append(scene)
        Image.new("RGB", (96, 64), (index % 256, 0, 0)).save(folder / "images" / split / f"{name}.png")
    (folder / "scenes").mkdir(exist_ok=True)
    collected = clevr_json.collection(scenes, split)
    (folder / "scenes" / f"CLEVR_{split}_scenes.json").write_text(json.dumps(collected))


@pytest.fixture(scope="module")
def clevr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clevr")
    write_split(folder, "train", 250)
    write_split(folder, "val", 500)
    return folder


@pytest.mark.parametrize("balance", ["leaf", "natural"])
def test_import(clevr: Path, tmp_path: Path, balance) -> None:
    config = Config(depth=2, policies=2, train=8, test=8, balance=balance, visual=balance == "leaf")
    import_clevr(clevr, tmp_path / "bench", config, workers=1)
    benchmark = Benchmark(tmp_path / "bench")
    train, test = (benchmark.instances(split) for split in ("train", "test"))
    assert len(train) == len(test) == 16
    for instance in test:
        assert instance.facts["scene"].startswith("CLEVR_val_")
        source = clevr / "images" / "val" / f"{instance.facts['scene']}.png"
        assert (tmp_path / "bench" / instance.query[0].value).read_bytes() == source.read_bytes()
    contents = {
        name: tuple(sorted(kinds))
        for name, kinds in map(clevr_json.kinds, benchmark.records("scenes.jsonl", dict))
    }
    assert not {contents[i.facts["scene"]] for i in train} & {contents[i.facts["scene"]] for i in test}
    if balance == "leaf":
        targets = [i.target for i in test if i.policy_id == test[0].policy_id]
        assert {t: targets.count(t) for t in targets} == {f"Case {k}": 2 for k in range(4)}
    assert import_clevr(clevr, tmp_path / "bench", config, workers=1) == benchmark.manifest
    for split, instances in (("train", train), ("test", test)):
        path = tmp_path / "new" / f"{split}.json"
        cli.scenes(tmp_path / "bench", split, path)
        scene_ids = {clevr_json.kinds(scene)[0] for scene in json.loads(path.read_text())["scenes"]}
        assert scene_ids == {instance.facts["scene"] for instance in instances}


def test_a_policy_without_enough_scenes_is_named(clevr: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--train: .* for policy L4-\w+, but CLEVR lacks \d+ \(for Case"):
        import_clevr(clevr, tmp_path / "bench", Config(depth=4, policies=1, train=60), workers=1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "scenes/CLEVR_val_scenes.json").unlink(),
            "CLEVR_val_scenes.json: cannot be read: No such file",
        ),
        (lambda f: (f / "scenes/CLEVR_val_scenes.json").write_text('{"scenes": 1}'), r"\$.scenes"),
        (lambda f: shutil.rmtree(f / "images"), r"\.png: no such file"),
        (
            lambda f: (f / "scenes/CLEVR_val_scenes.json").write_text('{"scenes": [{"objects": [{}]}]}'),
            "expected scenes in CLEVR's format",
        ),
    ],
)
def test_a_damaged_clevr_is_rejected(clevr: Path, tmp_path: Path, damage, message: str) -> None:
    copy = Path(shutil.copytree(clevr, tmp_path / "clevr"))
    damage(copy)
    with pytest.raises(UserError, match=message):
        import_clevr(copy, tmp_path / "bench", Config(policies=1, train=4, test=4), workers=1)
    assert not (tmp_path / "bench" / "manifest.json").exists()
