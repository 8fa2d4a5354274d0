"""The commands end to end, as a user runs them: what they print, leave behind and refuse."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from forked import run_command
from PIL import Image

from harness import show
from harness.files import benchmark as benchmarks
from harness.files import store
from harness.files.benchmark import Benchmark, Manifest, seal
from harness.records import Report, Response, Run

TINY = "--policies 1 --train 2 --test 4 --width 96 --height 64 --workers 1".split()


def refused(*words: str | Path) -> str:
    """What a command says that ends with exit code 2 and without a traceback."""
    done = run_command(*words)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stderr + done.stdout).replace("│", " ").split())


def test_generate_eval_report_verify(tmp_path: Path) -> None:
    bench, run = tmp_path / "bench", tmp_path / "run"
    made = run_command("clevrpolicy", "generate", bench, *TINY, "--visual")
    assert made.returncode == 0, made.stderr
    digest = Benchmark(bench).manifest.digest
    assert digest in made.stdout
    assert re.search(r"pictures: (\d+) of \1 ", made.stderr)
    assert run_command("clevrpolicy", "generate", bench, *TINY, "--visual").stdout == made.stdout

    scored = run_command("harness", "eval", bench, "--model", "oracle", "--out", run)
    assert scored.returncode == 0, scored.stderr
    assert scored.stdout.count("100.0") >= 3
    assert str(run / "report.html") in scored.stdout
    report = store.read_json(run / "report.json", Report)
    assert [(r.variant, r.mean, r.n) for r in report.rows if not r.group and r.metric == "accuracy"] == [
        ("internalized", 1, 4),
        ("in_context", 1, 4),
        ("override", 1, 4),
    ]
    assert report.run.digest == digest
    again = run_command("harness", "report", run)
    assert again.stdout.splitlines()[1].split()[:4] == ["run", "internalized", "accuracy", "(%)"]

    replayed = run_command(
        "harness", "eval", bench, "--model", f"replay:{run}", "--out", tmp_path / "replayed"
    )
    assert replayed.returncode == 0, replayed.stderr
    copy = store.read_json(tmp_path / "replayed" / "report.json", Report)
    assert copy.rows == report.rows
    recalled = run_command(
        *("harness", "eval", bench, "--model", "oracle", "--split", "recall"),
        *("--variants", "internalized", "--out", tmp_path / "recall"),
    )
    assert recalled.stdout.splitlines()[1].split()[4] == "100.0"
    assert "gold responses score 1" in run_command("harness", "verify", bench).stdout
    assert "oracle" in run_command("harness", "list").stdout


def test_show_and_scenes(text_folder: Path, tmp_path: Path) -> None:
    instance = Benchmark(text_folder).instances("test")[0]
    shown = run_command("clevrpolicy", "show", text_folder, instance.id)
    assert "Condition 1:" in shown.stdout
    assert f"[{instance.query[0].value}]" in shown.stdout
    assert "▀" in show.terminal(Benchmark(text_folder), instance, colors=True)
    assert instance.target in shown.stdout
    page = tmp_path / "page.png"
    assert run_command("clevrpolicy", "show", text_folder, instance.id, "--png", page).returncode == 0
    assert Image.open(page).width > 800
    collected = tmp_path / "CLEVR_val_scenes.json"
    assert run_command("clevrpolicy", "scenes", text_folder, "test", collected).returncode == 0
    data = json.loads(collected.read_text())
    assert data["info"]["split"] == "test"
    assert all(s["split"] == "test" for s in data["scenes"])
    assert "such as 'L2-" in refused("clevrpolicy", "show", text_folder, "nonsense")


@pytest.mark.parametrize(
    ("emptied", "example"), [(["test"], ", such as 'L2-"), (["recall", "test", "train"], "")]
)
def test_show_gives_an_example_if_there_is_one(spoiled: Path, emptied: list[str], example: str) -> None:
    for split in emptied:
        (spoiled / f"instances.{split}.jsonl").write_bytes(b"")
    reseal(spoiled)
    said = refused("harness", "show", spoiled, "nonsense")
    assert f"expected the id of an instance{example}" in said and said.endswith("got 'nonsense'")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--depth", "0"], "--depth: expected 1..8, got 0"),
        (["--depth", "9"], "depth: expected 1..8, got 9"),
        (["--depth", "six"], "six"),
        (["--test", "0"], "test: expected 1..1000000, got 0"),
        (["--min-objects", "8", "--max-objects", "5"], "--max-objects: expected 8..10, got 5"),
        (["--crop-share", "0"], "--crop-share: expected"),
        (["--workers", "0"], "workers: expected 1"),
        (["--balance", "even"], "leaf"),
        (["--depth", "8", "--train", "0", "--test", "20000", "--max-objects", "4"], "--test"),
    ],
)
def test_bad_flags(tmp_path: Path, flags: list[str], named: str) -> None:
    out = tmp_path / "bench"
    assert named in refused("clevrpolicy", "generate", out, "--policies", "1", *flags)
    assert not (out / "manifest.json").exists()


def test_a_folder_in_use_is_refused(text_folder: Path, tmp_path: Path) -> None:
    assert "contains a benchmark with" in refused("clevrpolicy", "generate", text_folder, *TINY)
    (tmp_path / "thesis.txt").write_text("mine")
    assert "empty folder" in refused("clevrpolicy", "generate", tmp_path, *TINY)
    said = refused("harness", "eval", text_folder, "--model", "oracle", "--out", tmp_path)
    assert "or a run to resume" in said


def test_a_full_disk_stops_generation_which_then_goes_on(tiny_disk: Path) -> None:
    out = tiny_disk / "bench"
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    assert "no space left" in refused("clevrpolicy", "generate", out, *TINY)
    assert not (out / "manifest.json").exists()
    assert "no manifest.json" in refused("harness", "verify", out)
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", tiny_disk], check=True)
    assert run_command("clevrpolicy", "generate", out, *TINY).returncode == 0
    with pytest.raises(OSError, match="space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    ballast.write_bytes(ballast.read_bytes()[: -3 * 4096])
    run = tiny_disk / "run"
    assert "no space left" in refused("harness", "eval", out, "--model", "oracle", "--out", run)
    assert not (run / "report.json").exists()
    ballast.unlink()
    assert run_command("harness", "eval", out, "--model", "oracle", "--out", run).returncode == 0


def reseal(folder: Path) -> None:
    """A manifest that fits the damaged files."""
    manifest = store.read_json(folder / "manifest.json", Manifest)
    seal(folder, benchmarks.BenchmarkSpec(manifest.family, manifest.config, manifest.versions))


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def change_a_byte(folder: Path) -> None:
    path = folder / "instances.test.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Case 0", b"Case 1", 1))


def tear_the_last_line(folder: Path) -> None:
    path = folder / "policies.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def leave_the_folder(folder: Path) -> None:
    shutil.copy(folder / "images/test-000000.png", folder.parent / "outside.png")
    path = folder / "instances.test.jsonl"
    path.write_bytes(path.read_bytes().replace(b"images/test-000000.png", b"../outside.png"))
    reseal(folder)


def truncate_a_picture(folder: Path) -> None:
    path = folder / "images/test-000000.png"
    path.write_bytes(path.read_bytes()[:2000])


def truncate_a_sealed_picture(folder: Path) -> None:
    truncate_a_picture(folder)
    reseal(folder)


def remove_a_picture(folder: Path) -> None:
    (folder / "images/test-000000.png").unlink()


def change_a_type(folder: Path) -> None:
    path = folder / "instances.test.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"target":"Case 0"', b'"target":0', 1))
    reseal(folder)


def claim_another_digest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"digest": "', '"digest": "0', 1))


def repeat_an_id(folder: Path) -> None:
    path = folder / "instances.test.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[0]]))
    reseal(folder)


def claim_more_instances(folder: Path) -> None:
    manifest = store.read_json(folder / "manifest.json", Manifest)
    counts = {**manifest.counts, "instances.test.jsonl": 500}
    store.write_json(folder / "manifest.json", replace(manifest, counts=counts))


def make_the_format_new(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 99'))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (remove_manifest, "no manifest.json"),
        (change_a_byte, "instances.test.jsonl: expected sha256"),
        (tear_the_last_line, "policies.jsonl: expected sha256"),
        (leave_the_folder, "'../outside.png'"),
        (truncate_a_picture, "test-000000.png: expected sha256"),
        (remove_a_picture, "test-000000.png: cannot be read"),
        (change_a_type, "target: expected a text, got a whole number"),
        (make_the_format_new, "expected format 2, got 99"),
        (repeat_an_id, "expected a different id for each instance, got 'L2-"),
        (claim_more_instances, "counts: expected 12 for the lines of instances.test.jsonl, got 500"),
        (claim_another_digest, "for its content, got 0"),
    ],
)
def test_a_damaged_benchmark_is_refused(spoiled: Path, tmp_path: Path, damage, named: str) -> None:
    damage(spoiled)
    out = tmp_path / "run"
    assert named in refused("harness", "eval", spoiled, "--model", "oracle", "--out", out)
    assert not (out / "report.json").exists()
    assert named in refused("harness", "verify", spoiled)


def test_an_id_in_two_splits_is_refused(spoiled: Path) -> None:
    line = (spoiled / "instances.test.jsonl").read_bytes().splitlines(keepends=True)[0]
    with (spoiled / "instances.train.jsonl").open("ab") as file:
        file.write(line)
    reseal(spoiled)
    assert "expected a different id for each instance, got 'L2-" in refused("harness", "verify", spoiled)


def test_a_sealed_picture_that_is_cut_costs_its_own_questions(spoiled: Path, tmp_path: Path) -> None:
    truncate_a_sealed_picture(spoiled)
    named, out = "test-000000.png: not a readable image", tmp_path / "run"
    assert named in refused("harness", "verify", spoiled)
    done = run_command("harness", "eval", spoiled, "--model", "oracle", "--out", out)
    assert done.returncode == 0
    assert named in done.stderr
    assert "responses failed" in done.stdout
    assert named in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--model", "gpt"], "majority, openai, oracle, random, replay"),
        (["--model", "oracle", "--variants", "internalised"], "internalized, in_context, override"),
        (["--model", "oracle", "--split", "dev"], "recall, test, train"),
        (["--model", "oracle:x"], "without an argument"),
        (["--model", "replay:nowhere"], "replay:RUN"),
        (["--model", "hf:nowhere"], "nowhere"),
        (["--model", "oracle", "--limit", "0"], "limit: expected 1"),
        (["--model", "oracle", "--samples", "3"], "temperature"),
        (["--model", "oracle", "--temperature", "-1"], "temperature: expected 0"),
    ],
)
def test_bad_evaluations(text_folder: Path, tmp_path: Path, flags: list[str], named: str) -> None:
    assert named in refused("harness", "eval", text_folder, *flags, "--out", tmp_path / "run")


def test_a_run_goes_on_only_with_the_same_question(text_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert run_command("harness", "eval", text_folder, "--model", "random", "--out", run).returncode == 0
    said = refused("harness", "eval", text_folder, "--model", "oracle", "--out", run)
    assert "model 'random'" in said
    assert "name another folder" in said
    whole = store.read_json(run / "report.json", Report)
    lines = (run / "responses.jsonl").read_bytes().splitlines(keepends=True)
    (run / "responses.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:10])
    assert run_command("harness", "eval", text_folder, "--model", "random", "--out", run).returncode == 0
    assert store.read_json(run / "report.json", Report).rows == whole.rows
    assert (run / "responses.jsonl").read_bytes() == b"".join(lines)


def test_failed_requests_are_counted_and_asked_again(text_folder: Path, tmp_path: Path) -> None:
    recorded, run = tmp_path / "recorded", tmp_path / "run"
    run_command("harness", "eval", text_folder, "--model", "oracle", "--out", recorded)
    log = recorded / "responses.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[3:]))
    words = ("harness", "eval", text_folder, "--model", f"replay:{recorded}", "--out", run)
    assert run_command(*words).returncode == 0
    row = next(r for r in store.read_json(run / "report.json", Report).rows if r.variant == "internalized")
    assert (row.mean, row.errors, row.n) == (1, 3, 9)
    assert row.low is not None
    assert row.low < 9 / 12
    log.write_bytes(b"".join(lines))
    assert run_command(*words).returncode == 0
    row = next(r for r in store.read_json(run / "report.json", Report).rows if r.variant == "internalized")
    assert (row.mean, row.errors, row.n) == (1, 0, 12)
    kept = store.Log(run / "responses.jsonl", Response).read()
    assert len(kept) == len(lines) + 3
    assert store.read_json(run / "run.json", Run).model.startswith("replay")
