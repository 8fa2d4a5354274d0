"""Importing the real GTA, from a folder that the test writes, like the published file."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

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
    dialogs, skipped = importer.read(gta, TABLE)
    assert skipped == []
    by_id = {dialog.id: dialog for dialog in dialogs}
    assert by_id["gta-0001"].steps[0].arguments["bbox"] == "(1, 2, 30, 40)"
    assert by_id["gta-0002"].steps[0].arguments == {"image": "image/image_77.jpg", "bbox": "(1, 2, 30, 40)"}
    assert by_id["gta-0003"].steps[1].arguments["image"] == "image/dummy_generated_image.jpg"
    assert "bbox" not in by_id["gta-0004"].steps[0].arguments
    assert by_id["gta-0005"].steps[0].math
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
        (call("Teleport", {}, ""), "'Teleport' is not in the table"),
        (call("DrawBox", {"image": "image/image_3.jpg", "bbox": "(1, 2, 3)"}, ""), "four numbers"),
        (call("OCR", {}, ""), "argument image is missing"),
        (call("OCR", {"image": ["a"]}, ""), "expected a text"),
        (call("OCR", '{"image": ', ""), "JSONDecodeError"),
        (call("Calculator", {"expression": "x + 1"}, ""), "expression 'x + 1' has no value"),
        (call("DrawBox", {"image": "image/image_3.jpg", "bbox": "(1, 2, 1, 2)"}, ""), "has no value"),
        (twice("Calculator", {"expression": "1"}), "expected one tool call in a turn, got 2"),
    ],
)
def test_an_unusable_entry_is_skipped_and_named(gta: Path, turns, reason: str) -> None:
    change(gta, "0", dialogs=[{"role": "user", "content": "?"}, *turns])
    dialogs, skipped = importer.read(gta, TABLE)
    assert len(dialogs) == 6
    (message,) = skipped
    assert message.startswith("dataset.json, entry 0: skipped")
    assert reason in message


def test_an_entry_without_a_user_or_a_number_is_skipped_and_named(gta: Path) -> None:
    path = gta / "dataset.json"
    data = json.loads(path.read_text())
    data["abc"] = data["0"]
    data["1"]["dialogs"] = data["1"]["dialogs"][1:]
    path.write_text(json.dumps(data))
    dialogs, skipped = importer.read(gta, TABLE)
    assert len(dialogs) == 6
    assert [message.split(":")[0] for message in skipped] == [
        f"dataset.json, entry {key}" for key in ("1", "abc")
    ]
    assert "expected a text as the user's query" in skipped[0]
    assert "'abc'" in skipped[1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "image/image_3.jpg").write_text("no picture"), "image_3.jpg: not a readable image"),
        (lambda f: shutil.rmtree(f / "image"), "expected the image that entry 0 names"),
        (lambda f: (f / "dataset.json").unlink(), "dataset.json: cannot be read: No such file"),
        (lambda f: (f / "dataset.json").write_text("{}"), "expected dialogs"),
        (lambda f: (f / "dataset.json").write_text("[1"), "dataset.json"),
        (
            lambda f: change(f, "0", files=[{"type": "image", "path": "../secret.jpg"}]),
            "inside the benchmark",
        ),
    ],
)
def test_a_folder_that_is_not_gta_is_rejected(gta: Path, tmp_path: Path, damage, message: str) -> None:
    damage(gta)
    with pytest.raises(UserError, match=message):
        import_gta(gta, tmp_path / "bench", PolicyConfig())
    assert not (tmp_path / "bench" / "manifest.json").exists()
