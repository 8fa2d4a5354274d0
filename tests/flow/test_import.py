"""Importing CLEVR's scenes and pictures, from a small folder in CLEVR's format."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from odd_images import readable, unreadable
from PIL import Image

from clevrpolicy import cli
from clevrpolicy.dataset.config import Config, SceneConfig, SkillsConfig
from clevrpolicy.dataset.importer import import_clevr
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import KINDS
from clevrpolicy.scene.placement import place
from harness.engine import BlocksConfig
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.seeds import rng
from harness.variants import INTERNALIZED
from harness.verify import verify

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


def test_import_in_words_needs_no_pictures(clevr: Path, tmp_path: Path) -> None:
    settings = {"depth": 2, "policies": 2, "train": 8, "test": 8}
    import_clevr(clevr, tmp_path / "pictures", Config(**settings), workers=1)
    copy = Path(shutil.copytree(clevr, tmp_path / "clevr", ignore=shutil.ignore_patterns("images")))
    import_clevr(copy, tmp_path / "words", Config(scenes="words", **settings), workers=1)
    pictures, words = (Benchmark(tmp_path / name) for name in ("pictures", "words"))
    assert not (tmp_path / "words/images").exists()
    assert words.policies == pictures.policies
    for shown, described in zip(pictures.instances("test"), words.instances("test"), strict=True):
        assert (described.id, described.target, described.override) == (
            shown.id,
            shown.target,
            shown.override,
        )
        assert words.family.gold(described, INTERNALIZED) == pictures.family.gold(shown, INTERNALIZED)


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
        (
            lambda f: (f / "scenes/CLEVR_val_scenes.json").write_text('{"scenes": 1}'),
            "scenes: expected a list",
        ),
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


SMALL = Config(depth=1, policies=1, train=2, test=2, balance="natural")


def copy_with(clevr: Path, folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    """A copy of the folder in which the validation scenes are changed."""
    copy = Path(shutil.copytree(clevr, folder / "clevr"))
    path = copy / "scenes/CLEVR_val_scenes.json"
    collected = json.loads(path.read_text())
    change(collected["scenes"])
    path.write_text(json.dumps(collected))
    return copy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"color": "pink"}, "color: expected one of gray, red, .*, got 'pink'"),
        ({"shape": "SmoothCube_v2"}, "shape: expected one of cube, sphere, cylinder, got 'SmoothCube_v2'"),
        ({"size": ["large"]}, r"size: expected one of large, small, got \['large'\]"),
        ({"material": None}, "material: .*, got None"),
        ({"pixel_coords": None}, "TypeError"),
        ({"pixel_coords": ["left"]}, "could not convert string to float: 'left'"),
        ({"pixel_coords": []}, "IndexError"),
    ],
)
def test_an_object_that_clevr_does_not_have_is_named(
    clevr: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    copy = copy_with(clevr, tmp_path, lambda scenes: scenes[7]["objects"][1].update(fields))
    expected = f"CLEVR_val_scenes.json: .*, got scene CLEVR_val_000007.png: .*{message}"
    with pytest.raises(UserError, match=expected):
        import_clevr(copy, tmp_path / "bench", SMALL, workers=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objects": "x"}, "objects: expected a list, got 'x'"),
        ({"objects": ["x"]}, "TypeError"),
        ({"objects": None}, "objects: expected a list, got None"),
        ({"image_filename": 7}, "got scene 7: AttributeError"),
        (
            {"image_filename": "../x.png"},
            r"_val_scenes.json: .* got scene \.\./x.png: .*inside the benchmark's",
        ),
        (
            {"image_filename": "a\0.png"},
            r"_val_scenes.json: .* got scene a\ufffd.png: .*inside the benchmark's",
        ),
    ],
)
def test_a_scene_in_another_format_is_named(
    clevr: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    copy = copy_with(clevr, tmp_path, lambda scenes: scenes[7].update(fields))
    with pytest.raises(UserError, match=message):
        import_clevr(copy, tmp_path / "bench", SMALL, workers=1)


def test_scenes_without_objects_are_left_out(
    clevr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = copy_with(clevr, tmp_path, lambda scenes: [scene.update(objects=[]) for scene in scenes[10:]])
    import_clevr(copy, tmp_path / "bench", SMALL, workers=1)
    assert "CLEVR_val_scenes.json: 490 scenes without objects are left out" in capsys.readouterr().err
    assert "gold responses score 1" in verify(Benchmark(tmp_path / "bench"))


@pytest.mark.parametrize("name", ["page.png", "pointer.png", "cut.png", "bomb.png"])
def test_a_picture_that_cannot_be_read_is_named(clevr: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(clevr, tmp_path / "clevr"))
    for path in (copy / "images/val").iterdir():
        path.write_bytes(unreadable()[name][0])
    with pytest.raises(UserError, match=r"clevr/images/val/CLEVR_val_\d+\.png: not a readable image"):
        import_clevr(copy, tmp_path / "bench", SMALL, workers=1)


def test_no_train_scenes_are_read_for_a_benchmark_without_them(clevr: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(clevr, tmp_path / "clevr"))
    (copy / "scenes/CLEVR_train_scenes.json").unlink()
    import_clevr(copy, tmp_path / "bench", Config(depth=1, policies=1, train=0, test=2), workers=1)
    benchmark = Benchmark(tmp_path / "bench")
    assert (len(benchmark.instances("train")), len(benchmark.instances("test"))) == (0, 2)


@pytest.mark.parametrize(
    ("odd", "suffix", "stored_as"),
    [
        ("plain.jpg", ".jpg", ".jpg"),
        ("plain.jpg", ".JPEG", ".JPEG"),
        ("jpeg_named.png", ".png", ".jpg"),
        ("plain.bmp", ".bmp", ".png"),
        ("rgba_clear.png", ".png", ".png"),
        ("opaque.png", ".png", ".png"),
    ],
)
def test_a_picture_keeps_its_name_unless_its_content_needs_another(
    clevr: Path, tmp_path: Path, odd: str, suffix: str, stored_as: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = readable()[odd]

    def rename(scenes: list[dict[str, Any]]) -> None:
        for scene in scenes:
            scene["image_filename"] = scene["image_filename"].replace(".png", suffix)

    copy = copy_with(clevr, tmp_path, rename)
    for path in list((copy / "images/val").iterdir()):
        path.unlink()
        path.with_suffix(suffix).write_bytes(image.data)
    out = tmp_path / "bench"
    import_clevr(copy, out, SMALL, workers=1)
    benchmark = Benchmark(out)
    instances = benchmark.instances("test")
    assert all(i.query[0].value.endswith(stored_as) for i in instances)
    assert all(benchmark.image(i.query[0].value).getpixel((10, 15)) < (4, 4, 4) for i in instances)
    if image.kept:
        assert all((out / i.query[0].value).read_bytes() == image.data for i in instances)
    assert ("stored as" in capsys.readouterr().err) == (suffix != stored_as or not image.kept)
    assert "gold responses score 1" in verify(benchmark)
    scenes = {clevr_json.kinds(scene)[0] for scene in benchmark.records("scenes.jsonl", dict)}
    assert {i.facts["scene"] for i in instances} <= scenes


def test_two_pictures_of_one_name_are_refused(clevr: Path, tmp_path: Path) -> None:
    def rename(scenes: list[dict[str, Any]]) -> None:
        for scene in scenes:
            scene["image_filename"] = "same.png"

    copy = copy_with(clevr, tmp_path, rename)
    (copy / "images/val/same.png").write_bytes(readable()["plain.png"].data)
    with pytest.raises(UserError, match=r"two of images/same\.png"):
        import_clevr(copy, tmp_path / "bench", SMALL, workers=1)


def test_a_failed_command_leaves_no_empty_folder(tmp_path: Path) -> None:
    failing: list[Callable[[Path], object]] = [
        lambda out: cli.import_(tmp_path / "nope", out, SMALL),
        lambda out: cli.generate(
            out, SceneConfig(depth=1, policies=1, train=0, test=2), BlocksConfig(workers=0)
        ),
        lambda out: cli.skills(out, SkillsConfig(scenes=2, train=0), workers=0),
    ]
    for number, command in enumerate(failing):
        with pytest.raises(UserError):
            command(tmp_path / f"bench{number}")
        assert not (tmp_path / f"bench{number}").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError):
        cli.import_(tmp_path / "nope", tmp_path / "mine", SMALL)
    assert (tmp_path / "mine").exists()
