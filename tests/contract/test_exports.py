"""The contract of every export format: its files open, contain the prompts, and grade as the harness does."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import harness
from harness import variants
from harness.answer_key import answer_key
from harness.errors import UserError
from harness.export import parquet, write
from harness.export.parquet import read_rows
from harness.export.rows import images_in, marked, rows
from harness.export.tools import FORMATS
from harness.export.write import export
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.request import ExportRequest
from harness.variants import VARIANTS

pytest.importorskip("pyarrow")

# Where each format has the answer key, the prompt and the gold response of a row.
Get = Callable[[Mapping[str, Any]], Any]
QUESTIONS: tuple[Get, Get, Get] = (lambda r: r["answer_key"], lambda r: r["question"], lambda r: r["gold"])
FIELDS: Mapping[str, tuple[Get, Get, Get | None]] = {
    **dict.fromkeys(("hub", "inspect", "lmms-eval", "lm-eval", "verifiers"), QUESTIONS),
    "verl": (
        lambda r: r["reward_model"]["ground_truth"],
        lambda r: r["prompt"][0]["content"],
        lambda r: r["extra_info"]["gold"],
    ),
    "easyr1": (lambda r: r["answer"], lambda r: r["problem"], None),
    "ms-swift": (
        lambda r: r["solution"],
        lambda r: r["messages"][0]["content"],
        lambda r: r["messages"][1]["content"],
    ),
    "trl": (
        lambda r: r["answer_key"],
        lambda r: "".join(part["text"] or "<image>" for part in r["prompt"][0]["content"]),
        lambda r: r["completion"][0]["content"][0]["text"],
    ),
}
ODD = ("", "Case 1", r"\boxed{}", r"<think>a</think>\boxed{Case 1}", "<think>cut", r"\boxed{A}", "{" * 99)


def test_every_registered_format_is_tested() -> None:
    assert FIELDS.keys() == FORMATS.keys(), "add where the new format has its answer key to FIELDS"


@pytest.mark.parametrize("name", FORMATS)
def test_rows_have_the_prompts_and_grade_as_the_harness(
    name: Any, benchmark_folder: Path, tmp_path: Path
) -> None:
    benchmark, out = Benchmark(benchmark_folder), tmp_path / "out"
    done = export(benchmark, ExportRequest(for_=name, splits="test", limit=8), out)
    key, prompt, gold = FIELDS[name]
    for table in done.tables:
        expected = list(rows(benchmark, table.variant, "test", 8))
        found = list(read_rows(out, table.variant, "test"))
        assert len(found) == len(expected) == table.rows
        for row, wanted in zip(found, expected, strict=True):
            assert prompt(row) == marked(wanted.prompt)
            pictures = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in row["images"]]
            paths = images_in(wanted.prompt)
            assert [p.tobytes() for p in pictures] == [benchmark.image(path).tobytes() for path in paths]
            assert harness.grade(key(row), gold(row) if gold else wanted.gold).value == 1
            assert harness.reward(key(row), wanted.gold) == {"score": 1, "accuracy": 1, "format": 1}
    for path in out.rglob("*.py"):
        compile(path.read_text(), path, "exec")


def test_datasets_opens_the_folder_with_decoded_images(visual_folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for name in FORMATS:
        out = tmp_path / name
        export(Benchmark(visual_folder), ExportRequest(for_=name, splits="test,train,test", limit=2), out)
        opened = datasets.load_dataset(str(out), "internalized", cache_dir=str(tmp_path / "cache"))
        assert opened.num_rows == {"test": 2, "train": 2}
        assert opened["test"][0]["images"][0].size == (160, 112)
        assert datasets.get_dataset_default_config_name(str(out)) == "internalized"


def test_datasets_does_not_confuse_folders_of_the_same_name(
    text_folder: Path, words_folder: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    for folder in (text_folder, words_folder):
        out = tmp_path / folder.name / "out"
        export(Benchmark(folder), ExportRequest(for_="trl", splits="test"), out)
        opened = datasets.load_dataset(str(out), "internalized", cache_dir=str(tmp_path / "cache"))
        expected = [row.id for row in rows(Benchmark(folder), "internalized", "test", None)]
        assert opened["test"]["id"][:] == expected


def test_answer_keys_grade_every_family_as_its_benchmark(any_benchmark: Benchmark) -> None:
    for split in any_benchmark.splits:
        for instance in any_benchmark.instances(split)[:6]:
            for variant in VARIANTS.values():
                target = variants.target(instance, variant)
                if target is None:
                    continue
                key = answer_key(any_benchmark, instance, variant)
                for text in (any_benchmark.family_of(instance).gold(instance, variant), *ODD):
                    assert harness.grade(key, text) == any_benchmark.grade(instance, target, text)


def test_a_teacher_sees_the_policy_and_its_images(visual_folder: Path, tmp_path: Path) -> None:
    export(Benchmark(visual_folder), ExportRequest(for_="ms-swift", splits="train"), tmp_path / "out")
    for row in read_rows(tmp_path / "out", "internalized", "train"):
        images = row["teacher_images"] if row["teacher_images"] is not None else row["images"]
        assert row["teacher_prompt"].endswith(row["messages"][0]["content"])
        assert row["teacher_prompt"].startswith("Policy ")
        assert row["teacher_prompt"].count("<image>") == len(images) > len(row["images"]) == 1


def test_a_key_of_another_scorer_and_a_damaged_one_are_refused(text_folder: Path) -> None:
    benchmark = Benchmark(text_folder)
    key = answer_key(benchmark, benchmark.instances("test")[0], variants.INTERNALIZED)
    with pytest.raises(UserError, match=r"^answer_key: expected the scorer exact-match/0, exact-match/\d is"):
        harness.grade(key.replace('"exact-match/3"', '"exact-match/0"'), "")
    with pytest.raises(UserError, match=r"^answer_key: expected the text from an export"):
        harness.grade("Case 1", "")


def test_a_text_that_looks_like_an_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"expected texts without <video>"):
        marked([Part("image", "a.png"), Part("text", "What is <video>?")])


def test_large_tables_have_several_files_in_order(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    monkeypatch.setattr(parquet, "SHARD_BYTES", 1)
    benchmark = Benchmark(text_folder)
    done = export(benchmark, ExportRequest(for_="hub", splits="test"), tmp_path / "out")
    assert [table.shards for table in done.tables] == [6, 6, 6]
    found = [row["id"] for row in read_rows(tmp_path / "out", "internalized", "test")]
    assert found == [row.id for row in rows(benchmark, "internalized", "test", None)]


def test_an_interrupted_export_has_no_card_and_is_completed(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, request = Benchmark(text_folder), ExportRequest(for_="verl")
    export(benchmark, request, tmp_path / "whole")

    def killed(*_: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(write, "card", killed)
        export(benchmark, request, tmp_path / "out")
    assert not (tmp_path / "out/README.md").exists()
    left = tmp_path / "out/data/internalized/.test-00000.parquet.1.tmp"
    left.write_bytes(b"half")
    for _ in range(2):
        export(benchmark, request, tmp_path / "out")
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_two_processes_do_not_export_to_one_folder(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, out, write_table = Benchmark(text_folder), tmp_path / "out", write._write_table

    def meanwhile(*arguments: Any) -> Any:
        with pytest.raises(UserError, match="another process is using this folder"):
            export(benchmark, ExportRequest(for_="trl"), out)
        return write_table(*arguments)

    monkeypatch.setattr(write, "_write_table", meanwhile)
    done = export(benchmark, ExportRequest(for_="hub", limit=1), out)
    assert done.tables and '"hub"' in (out / "export.json").read_text()


def contents(folder: Path) -> dict[str, bytes]:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    # The card names its folder.
    return {name: data for name, data in files.items() if name != "README.md"}


def test_what_cannot_be_exported_is_named(text_folder: Path, mmlu_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    with pytest.raises(UserError, match=r"^splits: expected some of .*test.*, got 'dev'"):
        export(benchmark, ExportRequest(for_="hub", splits="dev"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"^variants: expected one that instances of recall have"):
        export(benchmark, ExportRequest(for_="hub", splits="recall", variants="override"), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    export(benchmark, ExportRequest(for_="trl", limit=1), tmp_path / "b")
    with pytest.raises(
        UserError, match=r"^for: .* contains an export with --for 'trl', but 'verl' was requested"
    ):
        export(benchmark, ExportRequest(for_="verl", limit=1), tmp_path / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="expected a folder, got a file"):
        export(benchmark, ExportRequest(for_="hub"), tmp_path / "file")
    done = export(Benchmark(mmlu_folder), ExportRequest(for_="hub"), tmp_path / "mmlu")
    assert {table.variant for table in done.tables} == {"internalized"}


def test_the_hub_evaluates_only_what_a_pattern_can_grade(
    text_folder: Path, visual_folder: Path, rules_folder: Path, tmp_path: Path
) -> None:
    tasks = {}
    for name, folder in (("text", text_folder), ("visual", visual_folder), ("rules", rules_folder)):
        request = ExportRequest(for_="hub", limit=2)
        export(Benchmark(folder), request, tmp_path / name)
        path = tmp_path / name / "eval.yaml"
        lines = path.read_text().splitlines() if path.exists() else []
        tasks[name] = [line.split()[2] for line in lines if line.startswith("  - id: ")]
    assert tasks["text"] == ["internalized_test", "in_context_test", "override_test"]
    assert tasks["visual"] == ["internalized_test"]
    assert tasks["rules"] == []
