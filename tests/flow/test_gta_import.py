"""Importing the real GTA, from a folder that the test writes, like the published file."""

import json
import shutil
from pathlib import Path

import pytest
from odd_images import readable, unreadable
from PIL import Image

from gtapolicy import cli
from gtapolicy.dataset import importer
from gtapolicy.dataset.config import PolicyConfig
from gtapolicy.dataset.generate import import_gta
from gtapolicy.grading.calls import Call
from gtapolicy.policy import rules
from harness.errors import UserError
from harness.files.benchmark import Benchmark

TABLE = rules.load()


def call(name: str, arguments: object, returned: object) -> list[dict[str, object]]:
    function = {"name": name, "arguments": arguments}
    return [
        {"role": "assistant", "tool_calls": [{"type": "function", "function": function}], "thought": "hm"},
        {"role": "tool", "name": name, "content": {"type": "text", "content": returned}},
    ]


def twice(name: str, arguments: dict[str, object]) -> list[dict[str, object]]:
    """One turn with two calls."""
    request, reply = call(name, arguments, "1")
    return [{**request, "tool_calls": 2 * request["tool_calls"]}, reply]  # type: ignore[operator]


def entry(images: list[int], *calls: list[dict[str, object]], answer: object = None) -> dict[str, object]:
    files = [{"type": "image", "path": f"image/image_{n}.jpg", "url": None} for n in images]
    dialog = [{"role": "user", "content": "What does it say?"}, *(turn for c in calls for turn in c)]
    dialog.append({"role": "assistant", "content": "That is all."})
    return {"tools": [], "files": files, "dialogs": dialog, "gt_answer": answer}


def write(folder: Path) -> None:
    image, other, generated = "image/image_3.jpg", "image/image_77.jpg", "image/dummy_generated_image.jpg"
    boxed, listed = "(1, 2, 30, 40)", "1, 2, 30, 40"
    comic = {"image": image, "instruction": "as a comic"}
    entries = [
        entry(
            [3], call("OCR", {"image": image}, "12 + 3"), call("Calculator", {"expression": "12 + 3"}, "15")
        ),
        entry(
            [3], call("DrawBox", {"image": image, "bbox": boxed}, generated), answer={"whitelist": [["a"]]}
        ),
        entry([77], call("DrawBox", {"image": other, "bbox": listed, "annotation": None}, generated)),
        entry(
            [3, 77],
            call("ImageStylization", comic, generated),
            call("AddText", {"image": generated, "text": "hi", "position": "top"}, generated),
        ),
        entry([3], call("CountGivenObject", {"image": image, "text": "cats", "bbox": boxed}, "2")),
        entry([77], call("MathOCR", {"image": other}, "x+1=2"), call("Solver", {"command": "solve(x)"}, "1")),
        entry([3], call("TextToBbox", {"image": image, "text": "cat", "top1": False}, "(1, 1, 2, 2)")),
    ]
    data = {str(number): item for number, item in enumerate(entries)}
    (folder / "image").mkdir()
    for number in (3, 77):
        Image.new("RGB", (60, 50), (number, 90, 30)).save(folder / f"image/image_{number}.jpg")
    (folder / "dataset.json").write_text(json.dumps(data))


@pytest.fixture
def gta(tmp_path: Path) -> Path:
    folder = tmp_path / "gta"
    folder.mkdir()
    write(folder)
    return folder


def test_irregular_entries_are_imported(gta: Path, tmp_path: Path) -> None:
    dialogs, _, skipped = importer.read(gta, TABLE)
    assert skipped == []
    by_id = {dialog.id: dialog for dialog in dialogs}
    assert by_id["gta-0001"].steps[0].arguments["bbox"] == "(1, 2, 30, 40)"
    assert by_id["gta-0002"].steps[0].arguments == {"image": "image/image_77.jpg", "bbox": "(1, 2, 30, 40)"}
    assert by_id["gta-0003"].steps[1].arguments["image"] == "image/dummy_generated_image.jpg"
    assert "bbox" not in by_id["gta-0004"].steps[0].arguments
    assert by_id["gta-0005"].steps[0].tool == "MathOCR"
    assert by_id["gta-0006"].steps[0].arguments["top1"] is False
    assert by_id["gta-0001"].open is False
    assert by_id["gta-0000"].open is True

    manifest, _ = import_gta(gta, tmp_path / "bench", PolicyConfig())
    benchmark = Benchmark(tmp_path / "bench")
    names = [name for tool in TABLE.tools for name in tool.callable_names]
    calls = [i for split in ("train", "test") for i in benchmark.instances(split)]
    assert len(calls) == sum(len(dialog.steps) for dialog in dialogs) == 10
    assert all(Call.from_json(i.target).name in names for i in calls)
    assert benchmark.image("image/image_3.jpg").size == (60, 50)
    assert import_gta(gta, tmp_path / "bench", PolicyConfig())[0] == manifest

    own = tmp_path / "own.toml"
    own.write_text("# Mine.\n" + (Path(rules.__file__).parent / "rules.toml").read_text())
    with_rules, _ = import_gta(gta, tmp_path / "own", PolicyConfig(rules=own))
    assert with_rules.digest == manifest.digest, "a comment changes no rule"


def change(folder: Path, key: str, **fields: object) -> None:
    path = folder / "dataset.json"
    data = json.loads(path.read_text())
    data[key] = {**data[key], **fields}
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no tool call"),
        (call("Teleport", {}, ""), "got 'Teleport'"),
        (call("DrawBox", {"image": "image/image_3.jpg", "bbox": "(1, 2, 3)"}, ""), "four numbers"),
        (call("OCR", {}, ""), "argument image is missing"),
        (call("OCR", {"image": ["a"]}, ""), "expected a text"),
        (call("OCR", '{"image": ', ""), "DecodeError"),
        (call("OCR", r'{"image": "\ud800"}', ""), "DecodeError"),
        (call("GoogleSearch", {"query": "a", "k": 10**20 + 1}, ""), "k 100000000000000000001 has no value"),
        (call("Calculator", {"expression": "x + 1"}, ""), "expression 'x + 1' has no value"),
        (call("DrawBox", {"image": "image/image_3.jpg", "bbox": "(1, 2, 1, 2)"}, ""), "has no value"),
        (twice("Calculator", {"expression": "1"}), "expected one tool call in a turn, got 2"),
    ],
)
def test_an_unusable_entry_is_skipped_and_named(gta: Path, turns, reason: str) -> None:
    change(gta, "0", dialogs=[{"role": "user", "content": "?"}, *turns])
    dialogs, _, skipped = importer.read(gta, TABLE)
    assert len(dialogs) == 6
    (message,) = skipped
    assert message.startswith("dataset.json, entry 0: skipped")
    assert reason in message


def test_an_entry_with_a_photo_outside_of_the_folder_is_skipped_and_named(gta: Path) -> None:
    change(gta, "0", files=[{"type": "image", "path": "../secret.jpg"}])
    _, files, (message,) = importer.read(gta, TABLE)
    assert message.startswith("dataset.json, entry 0: skipped, path: expected a path inside")
    assert set(files) == {"image/image_3.jpg", "image/image_77.jpg"}


def test_an_entry_without_a_user_or_a_number_of_its_own_is_skipped_and_named(gta: Path) -> None:
    path = gta / "dataset.json"
    data = json.loads(path.read_text())
    data["abc"] = data["\x1b" * 999] = data["02"] = data["0"]
    data["1"]["dialogs"] = data["1"]["dialogs"][1:]
    path.write_text(json.dumps(data))
    dialogs, _, skipped = importer.read(gta, TABLE)
    assert len(dialogs) == 6
    assert [message.split(":")[0] for message in skipped] == [
        f"dataset.json, entry {key}" for key in ("1", "abc", "\ufffd" * 27 + "…", "02")
    ]
    assert "expected a text as the user's query" in skipped[0]
    assert "'abc'" in skipped[1]
    assert "another entry has its number, 2" in skipped[3]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: shutil.rmtree(f / "image"),
            "entry 0: skipped, image/image_3.jpg: cannot be read: No such",
        ),
        (lambda f: (f / "dataset.json").unlink(), "dataset.json: cannot be read: No such file"),
        (lambda f: (f / "dataset.json").write_text("{}"), "expected dialogs"),
        (lambda f: (f / "dataset.json").write_text("[1"), "dataset.json"),
    ],
)
def test_a_folder_that_is_not_gta_is_rejected(gta: Path, tmp_path: Path, damage, message: str) -> None:
    damage(gta)
    with pytest.raises(UserError, match=message):
        import_gta(gta, tmp_path / "bench", PolicyConfig())
    assert not (tmp_path / "bench" / "manifest.json").exists()


def two_turns() -> list[dict[str, object]]:
    """A dialog in which the user asks again after the first answer."""
    image, other = "./image/image_3.jpg", "image/image_77.jpg"
    first = [{"role": "user", "content": "What does it say?"}, *call("OCR", {"image": image}, "12 + 3")]
    again = [{"role": "user", "content": "And the second one?"}, *call("OCR", {"image": other}, image)]
    return [*first, {"role": "assistant", "content": "12 + 3"}, *again]


def test_the_calls_of_a_later_turn_are_asked_under_its_own_query(gta: Path, tmp_path: Path) -> None:
    files = [{"type": "image", "path": f"./image/image_{n}.jpg"} for n in (3, 77)]
    change(gta, "0", files=files, dialogs=two_turns())
    import_gta(gta, tmp_path / "bench", PolicyConfig())
    benchmark = Benchmark(tmp_path / "bench")
    instances = {i.id: i for split in ("train", "test") for i in benchmark.instances(split)}
    first, second = (next(i for name, i in instances.items() if name.endswith(f"gta-0000-{n}")) for n in "01")
    assert [part.value for part in first.query[:-1]] == ["image/image_3.jpg", "image/image_77.jpg"]
    assert benchmark.image("image/image_3.jpg").size == (60, 50)
    assert "\nQuery: What does it say?\nInteraction history: none" in first.query[-1].value
    assert "Earlier query" not in first.query[-1].value
    assert "\nEarlier query: What does it say?\nQuery: And the second one?\n" in second.query[-1].value
    assert "returned: 12 + 3\n" in second.query[-1].value
    assert first.facts["step"]["arguments"]["image"] == "image/image_3.jpg"
    assert second.facts["step"]["returned"] == "image/image_3.jpg"


def test_photos_are_copied_or_converted_and_renamed(
    gta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = readable()
    photo = (gta / "image/image_3.jpg").read_bytes()
    (gta / "image/image_77.jpg").write_bytes(odd["exif6.jpg"].data)
    (gta / "image/image_5.jpg").write_bytes(odd["plain.png"].data)
    # The name that image_5.jpg would get.
    (gta / "image/image_5.png").write_bytes(odd["palette.png"].data)
    # Both would get one name.
    (gta / "image/image_6.bmp").write_bytes(odd["plain.bmp"].data)
    (gta / "image/image_6.tif").write_bytes(odd["gray12.tif"].data)
    paths = ["image/image_5.jpg", "image/image_5.png", "image/image_6.bmp", "image/image_6.tif"]
    turns = [{"role": "user", "content": "?"}, *call("OCR", {"image": paths[3]}, "7")]
    change(gta, "0", files=[{"type": "image", "path": path} for path in paths], dialogs=turns)
    out = tmp_path / "bench"
    cli.import_(gta, out, PolicyConfig())
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if "stored as" in line] == [
        "image/image_5.jpg: stored as image/image_5.jpg.png",
        "image/image_6.bmp: converted and stored as image/image_6.png",
        "image/image_6.tif: converted and stored as image/image_6.tif.png",
        "image/image_77.jpg: converted and stored as image/image_77.png",
    ]
    assert said.out.startswith("0 entries skipped")
    assert (out / "image/image_3.jpg").read_bytes() == photo
    assert (out / "image/image_5.jpg.png").read_bytes() == odd["plain.png"].data
    assert (out / "image/image_5.png").read_bytes() == odd["palette.png"].data
    benchmark = Benchmark(out)
    assert benchmark.image("image/image_77.png").size == (32, 64)
    instances = [i for split in ("train", "test") for i in benchmark.instances(split)]
    (asked,) = (i for i in instances if i.id.endswith("gta-0000-0"))
    names = ["image/image_5.jpg.png", "image/image_5.png", "image/image_6.png", "image/image_6.tif.png"]
    assert [part.value for part in asked.query[:-1]] == names
    assert f"Images, in this order: {', '.join(names)}\n" in asked.query[-1].value
    assert '"image/image_6.tif.png"' in asked.target
    assert "image_77.jpg" not in "".join(i.target + i.query[-1].value for i in instances)


@pytest.mark.parametrize("name", [None, *unreadable()])
def test_a_photo_that_is_missing_or_broken_costs_its_entries(
    gta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str | None
) -> None:
    path = gta / "image/image_77.jpg"
    path.unlink()
    if name is not None:
        path.write_bytes(unreadable()[name][0])
    cli.import_(gta, tmp_path / "bench", PolicyConfig())
    said = capsys.readouterr()
    assert said.out.startswith("3 entries skipped")
    for entry_number in (2, 3, 5):
        assert f"dataset.json, entry {entry_number}: skipped, image/image_77.jpg: " in said.err
    benchmark = Benchmark(tmp_path / "bench")
    dialogs = {i.id.split("-gta-")[1][:4] for s in ("train", "test") for i in benchmark.instances(s)}
    assert dialogs == {"0000", "0001", "0004", "0006"}


def test_a_failed_import_leaves_no_folder(gta: Path, tmp_path: Path) -> None:
    shutil.rmtree(gta / "image")
    with pytest.raises(UserError):
        import_gta(gta, tmp_path / "bench", PolicyConfig())
    assert not (tmp_path / "bench").exists()
