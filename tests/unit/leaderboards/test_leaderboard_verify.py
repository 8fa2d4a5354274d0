"""The verification of submissions: what is accepted, and every reason for a refusal."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from submissions import Json, edit, edit_lines

from harness.backends import Sampling
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark, BenchmarkSpec, Manifest, seal
from harness.files.manifest import digests
from harness.metrics import metric
from harness.metrics.metric import Metric, Unit
from harness.records import Report, Response, Run, Score
from harness.request import EvalRequest
from harness.run import evaluate
from leaderboards.checks import submission
from leaderboards.checks.submission import Refusal
from leaderboards.storage.board import Boards
from leaderboards.storage.bundles import SUBMISSIONS
from leaderboards.storage.records import Figures, Outcome
from leaderboards.submit import submit


@pytest.fixture(scope="module")
def finished(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of random answers. Some of its scores are 1 and others are 0."""
    out = tmp_path_factory.mktemp("runs") / "guesses"
    evaluate(Benchmark(text_folder), EvalRequest("random", sampling=Sampling(seed=3)), out)
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "guesses"))


def accepted(run: Path) -> Figures:
    """Submits the run and returns its figures on the internalized board."""
    boards = Boards(run.parent / "board", create=True)
    result = submit(boards, run)
    assert result.stored
    return {b.key.variant: f for b, f in result.entries}["internalized"]


def reasons(run: Path) -> str:
    """The message of the refusal, after verifying that only the attempt was stored."""
    boards = Boards(run.parent / "board", create=True)
    with pytest.raises(Refusal) as refused:
        submit(boards, run)
    assert boards.boards() == []
    assert list(boards.bundles.folder.iterdir()) == []
    attempt = boards.attempts()[0]
    assert (attempt.outcome, tuple(attempt.reasons)) == (Outcome.REFUSED, refused.value.reasons)
    return str(refused.value)


def edit_run(run: Path, change: Callable[[Json], Any]) -> None:
    """Changes the run's settings in run.json and in report.json."""
    edit(run / "run.json", change)
    edit(run / "report.json", lambda report: change(report["run"]))


def test_an_entry_has_the_figures_of_its_bundle(run: Path, text_folder: Path) -> None:
    figures = accepted(run)
    boards = Boards(run.parent / "board")
    own = store.read_json(run / "report.json", Report)
    (attempt,) = boards.attempts()
    assert (attempt.outcome, attempt.model) == (Outcome.ACCEPTED, "random")
    bundle = boards.stored_bundle(attempt.bundle)
    stored = msgspec.json.decode(boards.bundles.read(bundle, "report.json"), type=Report)
    assert stored.rows == own.rows
    row = next(r for r in stored.rows if (r.variant, r.metric, r.group) == ("internalized", "accuracy", ""))
    assert (figures.mean, figures.low, figures.high, figures.n) == (row.mean, row.low, row.high, row.n)
    assert 0 < figures.mean < 1
    assert len(boards.bundles.read(bundle, "responses.jsonl").splitlines()) == 36
    assert str(text_folder).encode() not in b"".join(
        boards.bundles.read(bundle, name) for name in bundle.files
    )
    assert {b.key.variant: b.entries for b in boards.boards()} == {
        "internalized": 1,
        "in_context": 1,
        "override": 1,
    }
    assert figures.leak == ""


def test_the_same_run_in_another_folder_or_order_is_stored_once(run: Path) -> None:
    accepted(run)
    edit_lines(run / "responses.jsonl", lambda lines: lines.reverse())
    edit(run / "run.json", lambda r: r.update(benchmark=r["benchmark"] + "/"))
    edit(run / "report.json", lambda r: r["run"].update(benchmark=r["run"]["benchmark"] + "/"))
    moved = run.rename(run.parent / "moved")
    assert not submit(Boards(run.parent / "board"), moved).stored
    assert len(list((run.parent / "board" / SUBMISSIONS).iterdir())) == 1


def test_every_metric_of_the_report_is_a_column(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This includes a metric of another package."""
    words = Metric(name="words", explanation="", unit=Unit("words"), value=lambda *_: 7.0)
    installed = {**metric.installed(), words.name: words}
    monkeypatch.setattr(metric, "installed", lambda: installed)
    rows = store.read_json(run / "report.json", Report).rows
    own = {
        row.label for row in rows if row.variant == "internalized" and not row.group and row.mean is not None
    }
    columns = accepted(run).columns
    assert columns.keys() == {*own - {"accuracy"}, "internalized", "in_context", "override", "words"}
    assert columns["words"] == 7.0


def test_a_repeated_request_counts_once(run: Path) -> None:
    failed = {"text": None, "error": "TimeoutError"}
    edit_lines(run / "responses.jsonl", lambda lines: lines.insert(0, {**lines[0], **failed}))
    assert accepted(run).n == 12


def test_scores_are_recomputed(run: Path) -> None:
    def lie(lines: list[Json]) -> None:
        for line in lines:
            line["value"] = 1.0

    edit_lines(run / "scores.jsonl", lie)
    message = reasons(run)
    assert "scores are wrong" in message
    assert "is 1.0 in the file, but 0.0 when recomputed" in message


def test_a_wrong_report_is_refused_with_both_figures(run: Path) -> None:
    def improve(report: Json) -> None:
        report["rows"][0]["mean"] = 0.99

    mean = store.read_json(run / "report.json", Report).rows[0].mean
    edit(run / "report.json", improve)
    message = reasons(run)
    assert f"mean of internalized accuracy, is 0.99 in the file, but {mean} when recomputed" in message
    assert "run the command that made the run again" in message


def test_rows_that_differ_only_in_their_detail_are_not_mixed_up(rules_folder: Path, tmp_path: Path) -> None:
    """The rows of the metric "part" differ only in the name of the part."""
    run = tmp_path / "run"
    evaluate(Benchmark(rules_folder), EvalRequest("random", variants="internalized"), run)
    rows = store.read_json(run / "report.json", Report).rows
    assert len({row.detail for row in rows if row.metric == "part"}) > 1
    assert submit(Boards(tmp_path / "board", create=True), run).stored


def test_another_scorer_is_refused(run: Path) -> None:
    ours = store.read_json(run / "report.json", Report).scorer
    edit(run / "report.json", lambda r: r.update(scorer="kind/9"))
    assert f"expected {ours!r}, which is installed here, got 'kind/9'" in reasons(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digest": "0" * 64}, "digest: expected "),
        ({"images_digest": "0" * 64}, "images_digest: expected "),
        ({"family": "other"}, "family: expected clevrpolicy"),
        ({"limit": 5}, "expected a run of all instances, got 5 of them"),
        ({"split": "train"}, "split: expected one of"),
        ({"split": "../test"}, "split: expected one of"),
        ({"variants": ["internalized", "internalized"]}, "variants: expected different ones"),
        ({"variants": ["<script>"]}, "variants: expected different ones"),
        ({"variants": []}, "variants: expected different ones"),
        ({"variants": ["internalized"]}, "24 responses belong to no prompt of this test set"),
        ({"samples": 2}, "expected 1 at temperature 0"),
        ({"samples": 10**15}, "samples: expected 1..1000"),
        ({"samples": 0}, "samples: expected 1..1000"),
        ({"sampling": {"temperature": -1.0}}, "temperature: expected 0 or more"),
        ({"sampling": {"temperature": "hot"}}, "sampling: "),
        ({"sampling": {"max_new_tokens": 1, "seed": 3}}, None),
    ],
)
def test_invalid_settings_are_refused(run: Path, change: Json, message: str | None) -> None:
    edit_run(run, lambda r: r.update(change))
    if message is None:  # the responses have no counts of tokens
        assert accepted(run).n == 12
    else:
        assert message in reasons(run)


def test_a_response_longer_than_max_new_tokens_is_refused(run: Path) -> None:
    edit_lines(run / "responses.jsonl", lambda lines: lines[0].update(completion_tokens=5000))
    assert "1 responses are longer than max_new_tokens, 1024" in reasons(run)


def test_the_report_of_another_run_is_refused(run: Path) -> None:
    edit(run / "run.json", lambda r: r["sampling"].update(seed=4))
    assert "got the report of another run" in reasons(run)


def damage(lines: list[Json], how: str) -> None:
    match how:
        case "missing":
            del lines[3:5]
        case "twice":
            lines.append({**lines[0], "text": "another"})
        case "foreign":
            lines.append({**lines[0], "instance": "not-of-this-set"})
        case "failed":
            lines[0].update(text=None, error="HTTP 500")
        case "another sample":
            lines[0].update(sample=1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "2 of 36 prompts have no response"),
        ("twice", "1 prompts have more than one response"),
        ("foreign", "1 responses belong to no prompt of this test set: not-of-this-set under internalized"),
        ("failed", "1 of 36 requests failed and were not repeated"),
        ("another sample", "1 responses belong to no prompt"),
    ],
)
def test_each_prompt_needs_exactly_one_response(run: Path, how: str, message: str) -> None:
    edit_lines(run / "responses.jsonl", lambda lines: damage(lines, how))
    assert message in reasons(run)


def test_all_reasons_are_given_together(run: Path) -> None:
    edit_run(run, lambda r: r.update(limit=5, digest="0" * 64, family="other"))
    assert reasons(run).count("\n- ") == 3


HOSTILE_LINES = {
    "not JSON": b"{",
    "NaN": b'{"instance":"i","variant":"internalized","sample":0,"value":NaN}',
    "infinite": b'{"instance":"i","variant":"internalized","sample":0,"value":1e999}',
    "another type": b'{"instance":7}',
    "deep": b'{"instance":' + b"[" * 100_000,
    "no UTF-8": b'{"instance":"\xff"}',
    "half a surrogate": b'{"instance":"\\ud800","variant":"internalized","sample":0,"value":1.0}',
}


@pytest.mark.parametrize("file", ["scores.jsonl", "responses.jsonl"])
@pytest.mark.parametrize("name", HOSTILE_LINES)
def test_lines_that_are_not_records_are_refused(run: Path, file: str, name: str) -> None:
    with (run / file).open("ab") as lines:
        lines.write(HOSTILE_LINES[name] + b"\n")
    assert f"{file}, line 37" in reasons(run)


@pytest.mark.parametrize(("value", "limit"), [(7.5, "at most 1"), (-1.0, "at least 0")])
def test_scores_outside_of_0_to_1_are_refused(run: Path, value: float, limit: str) -> None:
    edit_lines(run / "scores.jsonl", lambda lines: lines[0].update(value=value))
    assert f"scores.jsonl, line 1: value: expected a number of {limit}" in reasons(run)


def test_repeated_and_unknown_scores_are_refused(run: Path) -> None:
    edit_lines(run / "scores.jsonl", lambda lines: lines.append(lines[0]))
    assert "1 responses have more than one score" in reasons(run)
    edit_lines(run / "scores.jsonl", lambda lines: lines.pop())
    edit_lines(run / "scores.jsonl", lambda lines: lines[0].update(instance="foreign"))
    assert "expected scores of 36 responses" in reasons(run)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seconds": -1.0}, "line 1: seconds: expected a number of at least 0"),
        ({"prompt_tokens": 10**30}, "line 1: prompt_tokens: expected a whole number of at most 1000000000"),
        ({"batch": 0}, "line 1: batch: expected a whole number of at least 1"),
        ({"sample": -1}, "has a count or a time of -1"),
    ],
)
def test_implausible_counts_are_refused(run: Path, change: Json, reason: str) -> None:
    edit_lines(run / "responses.jsonl", lambda lines: lines[0].update(change))
    assert reason in reasons(run)


def test_a_response_with_a_text_and_an_error_is_refused(run: Path) -> None:
    edit_lines(run / "responses.jsonl", lambda lines: lines[0].update(error="TimeoutError"))
    assert "expected either a text or an error" in reasons(run)


def test_an_incomplete_last_line_is_refused(run: Path) -> None:
    log = run / "responses.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    size = log.stat().st_size
    assert "line 36: incomplete" in reasons(run)
    assert log.stat().st_size == size, "the submitted folder must not change"


def test_a_huge_file_is_not_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (run / "responses.jsonl").open("r+b") as file:
        file.truncate(32 << 30)
    monkeypatch.setattr(msgspec.json, "Decoder", None)
    with pytest.raises(Refusal, match="expected at most 16384 MiB, got 32,768 MiB"):
        list(submission.read_lines(run / "responses.jsonl", Response))


def test_a_huge_line_is_not_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "MAX_LINE_BYTES", 4096)
    edit_lines(run / "responses.jsonl", lambda lines: lines[0].update(text="x" * 5000))
    assert "line 1: incomplete or longer" in reasons(run)


def test_too_many_lines_are_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "MAX_LINES", 36)
    assert len(list(submission.read_lines(run / "scores.jsonl", Score))) == 36
    monkeypatch.setattr(submission, "MAX_LINES", 35)
    assert "expected at most 35 lines" in reasons(run)


def test_a_folder_whose_name_is_no_text_is_accepted(run: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(run.parent / "r") + b"\xe9n"))
    submit(boards := Boards(run.parent / "board", create=True), run.rename(folder))
    (attempt,) = boards.attempts()
    assert (attempt.run, attempt.outcome) == ("r\N{REPLACEMENT CHARACTER}n", Outcome.ACCEPTED)
    with pytest.raises(UserError):
        submit(boards, folder / "responses.jsonl")
    (folder / "run.json").rename(folder / "manifest.json")
    with pytest.raises(UserError):
        submit(boards, folder)
    assert [attempt.outcome for attempt in boards.attempts()][:2] == [Outcome.REFUSED, Outcome.REFUSED]


def test_names_of_files_cannot_control_the_terminal(run: Path) -> None:
    (run / "judgement.\x1b[31m.json").write_text("{}")
    assert "\x1b" not in reasons(run)


@pytest.mark.parametrize("name", ["run.json", "report.json", "scores.jsonl", "responses.jsonl"])
def test_links_and_missing_files_are_refused(run: Path, name: str) -> None:
    secret = run.parent / "secret"
    (run / name).rename(secret)
    assert f"{name}: no such file" in reasons(run)
    (run / name).symlink_to(secret)
    assert f"{name}: expected a regular file" in reasons(run)


def test_archives_are_not_read(run: Path) -> None:
    archive = run.parent / "run.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(run, "run")
    assert "archives are not read" in reasons(archive)
    assert "no such folder" in reasons(run.parent / "none")


@pytest.mark.parametrize("place", ["../../../etc", "/nowhere", "", "\0", "x" * 300])
def test_a_missing_benchmark_is_refused(run: Path, place: str) -> None:
    edit_run(run, lambda r: r.update(benchmark=place))
    assert "specify its folder with --benchmark" in reasons(run)


def test_a_moved_benchmark_can_be_specified(run: Path, text_folder: Path) -> None:
    edit_run(run, lambda r: r.update(benchmark="/nowhere/bench"))
    assert submit(Boards(run.parent / "board", create=True), run, str(text_folder)).stored


@pytest.mark.parametrize("shape", ["deep", "large"])
@pytest.mark.parametrize("name", ["backend", "training.json"])
def test_settings_that_are_too_large_for_a_page_are_refused(run: Path, name: str, shape: str) -> None:
    deep: Json = {}
    for _ in range(200):
        deep = {"a": deep}
    settings = {"deep": deep, "large": {"a": "x" * 100_000}}[shape]
    if name == "backend":
        edit(run / "report.json", lambda report: report.update(backend=settings))
    else:
        (run / name).write_text(json.dumps(settings))
    assert f"{name}: expected at most 64 KiB" in reasons(run)


def test_a_name_that_is_too_long_is_refused(run: Path) -> None:
    edit_run(run, lambda r: r.update(model="x" * 500))
    assert "model: expected at most 400 characters" in reasons(run)


def test_an_easier_benchmark_under_the_same_digest_is_refused(run: Path, spoiled: Path) -> None:
    """The run names a benchmark whose manifest has the expected digest, but whose targets were changed."""

    def ease(lines: list[Json]) -> None:
        for line in lines:
            line["target"] = "Case 0"

    true = store.read_json(spoiled / "manifest.json", Manifest)
    edit_lines(spoiled / "instances.test.jsonl", ease)
    (spoiled / "manifest.json").unlink()
    seal(spoiled, BenchmarkSpec(true.family, true.config, true.versions))
    edit(spoiled / "manifest.json", lambda m: m.update(digest=true.digest, images_digest=true.images_digest))
    edit_run(run, lambda r: r.update(benchmark=str(spoiled)))
    assert "for its content, got" in reasons(run)


@pytest.mark.parametrize("split", ["train", "test"])
def test_leaks_are_found_by_content(run: Path, spoiled: Path, split: str) -> None:
    """The training data is another benchmark, with other ids but the same pictures."""
    true = store.read_json(spoiled / "manifest.json", Manifest)
    edit_lines(spoiled / "instances.test.jsonl", lambda lines: [x.update(id=x["id"] + "b") for x in lines])
    (spoiled / "manifest.json").unlink()
    manifest = seal(spoiled, BenchmarkSpec(true.family, true.config, true.versions))
    assert manifest.digest != true.digest
    data = {"benchmark": str(spoiled), "digest": manifest.digest, "split": split}
    (run / "training.json").write_text(json.dumps({"recipe": "sft", "base": "tiny", "data": [data]}))
    figures = accepted(run)
    assert (figures.leaks, figures.base, figures.method) == (split == "test", "tiny", "sft")
    assert ("of this test set are in its training data" in figures.leak) == (split == "test")


def test_data_that_was_not_compared_is_reported(run: Path, text_folder: Path) -> None:
    digest = Benchmark(text_folder).manifest.digest
    (run / "training.json").write_text(json.dumps({"data": [{"digest": digest}]}))
    assert accepted(run).leak == "its training data shares no scene or question with this test set"
    (run / "training.json").write_text(json.dumps({"data": ["/nowhere"]}))
    result = submit(Boards(run.parent / "other", create=True), run)
    assert "not compared" in result.entries[0][1].leak
    elsewhere = {"benchmark": "/nowhere", "digest": "d" * 64}
    another = {"benchmark": str(text_folder), "digest": "e" * 64, "split": "test"}
    (run / "training.json").write_text(json.dumps({"data": [{"digest": digest}, elsewhere, another]}))
    figures = submit(Boards(run.parent / "partly", create=True), run).entries[0][1]
    assert figures.leak.startswith("the training data found on this machine shares no scene")
    assert "2 of 3 benchmarks were not compared" in figures.leak
    assert not figures.leaks
    (run / "training.json").write_text("[1]")
    with pytest.raises(UserError, match=r"training\.json"):
        submit(Boards(run.parent / "third", create=True), run)


def rename(run: Path, model: str) -> None:
    """Another model's name, also as the backend in the report."""
    edit_run(run, lambda r: r.update(model=model))
    edit(run / "report.json", lambda r: r["backend"].update(backend=model.partition(":")[0]))


def test_training_json_is_read_from_the_run_only(run: Path) -> None:
    """The folder of a checkpoint that a submitter names may be another person's, on the board's machine."""
    checkpoint = run.parent / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "training.json").write_text(json.dumps({"method": "secret"}))
    rename(run, f"hf:{checkpoint}")
    assert accepted(run).method == ""
    (run / "training.json").write_text(json.dumps({"method": "grpo"}))
    assert submit(Boards(run.parent / "other", create=True), run).entries[0][1].method == "grpo"


def test_eval_copies_training_json_of_a_checkpoint(finished: Path, text_folder: Path, tmp_path: Path) -> None:
    recorded = Path(shutil.copytree(finished, tmp_path / "recorded"))
    (recorded / "training.json").write_text(json.dumps({"method": "grpo"}))
    out = tmp_path / "run"
    evaluate(Benchmark(text_folder), EvalRequest(f"replay:{recorded}"), out)
    assert json.loads((out / "training.json").read_text()) == {"method": "grpo"}
    assert accepted(out).method == "grpo"


@pytest.mark.parametrize("model", ["hf:x", "openai:gpt", "majority", "oracle"])
def test_a_renamed_run_is_refused(run: Path, model: str) -> None:
    edit_run(run, lambda r: r.update(model=model))
    assert f"begins with the backend in report.json, 'random', got {model!r}" in reasons(run)
    edit(run / "report.json", lambda r: r["backend"].pop("backend"))
    assert f"begins with the backend in report.json, 'None', got {model!r}" in reasons(run)


@pytest.mark.parametrize("model", ["better", " random", "Random", "", ":x"])
def test_a_model_needs_an_installed_backend(run: Path, model: str) -> None:
    rename(run, model)
    assert "model: expected a name that begins with one of anthropic, hf" in reasons(run)


@pytest.mark.parametrize("model", ["random", "majority", "oracle"])
def test_a_scripted_model_is_asked_again(text_folder: Path, tmp_path: Path, model: str) -> None:
    """The run is that of another scripted model, in all of its files."""
    evaluate(Benchmark(text_folder), EvalRequest(model), tmp_path / "own")
    accepted(tmp_path / "own")
    other = "oracle" if model != "oracle" else "majority"
    evaluate(Benchmark(text_folder), EvalRequest(other), tmp_path / "forged")
    rename(tmp_path / "forged", model)
    with pytest.raises(Refusal, match=f"responses differ from those of the model {model}:"):
        submit(Boards(tmp_path / "board"), tmp_path / "forged")
    rename(tmp_path / "forged", f"{model}:x")
    with pytest.raises(UserError, match=f"expected {model} without an argument"):
        submit(Boards(tmp_path / "board"), tmp_path / "forged")


def test_answers_in_context_do_not_pass_as_internalized(run: Path) -> None:
    """The answers under both variants are exchanged, with everything that a backend reports about them."""
    rename(run, "hf:x")
    exchange = {"internalized": "in_context", "in_context": "internalized"}

    def relabel(lines: list[Json]) -> None:
        for line in lines:
            line["variant"] = exchange.get(line["variant"], line["variant"])

    edit_lines(run / "responses.jsonl", relabel)
    assert "24 responses are to other prompts than those of this benchmark and variant" in reasons(run)


def test_runs_on_every_family_have_digests_of_prompts_and_entries(
    any_benchmark: Benchmark, tmp_path: Path
) -> None:
    evaluate(any_benchmark, EvalRequest("majority", variants="internalized"), tmp_path / "run")
    assert accepted(tmp_path / "run").prompts_known
    responses = list(store.read_lines(tmp_path / "run" / "responses.jsonl", Response))
    assert all(len(response.prompt_sha256 or "") == 64 for response in responses)


@pytest.mark.parametrize("known", [True, False])
def test_runs_without_digests_of_prompts_are_accepted_and_marked(run: Path, known: bool) -> None:
    rename(run, "hf:x")
    if not known:
        edit_lines(run / "responses.jsonl", lambda lines: lines[7].pop("prompt_sha256"))
    assert accepted(run).prompts_known == known


@pytest.mark.parametrize("family", ["mmlu-pro", "mmmu-pro", "gtapolicy", "clevr-skills", "no such family"])
def test_records_of_another_family_are_refused_in_one_sentence(run: Path, spoiled: Path, family: str) -> None:
    true = store.read_json(spoiled / "manifest.json", Manifest)
    (spoiled / "manifest.json").unlink()
    manifest = seal(spoiled, BenchmarkSpec(family, true.config, true.versions))
    rename(run, "hf:x")
    edit_run(run, lambda r: r.update(benchmark=str(spoiled), family=family, digest=manifest.digest))
    boards = Boards(run.parent / "board", create=True)
    with pytest.raises(UserError):
        submit(boards, run)
    (attempt,) = boards.attempts()
    assert attempt.outcome == Outcome.REFUSED
    assert attempt.reasons
    assert boards.boards() == []


def test_an_unexpected_error_refuses_the_attempt(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise KeyError("options")

    monkeypatch.setattr("leaderboards.submit.verify", fails)
    expected = (
        "cannot be scored (KeyError: 'options'); if `harness verify` passes on its benchmark, this is an"
    )
    assert expected in reasons(run)


def test_a_benchmark_with_the_config_of_another_moves_no_board(run: Path, spoiled: Path) -> None:
    """Neither by an edited manifest, nor by one that is sealed again."""
    accepted(run)
    boards = Boards(run.parent / "board")
    before = boards.boards()
    true = store.read_json(spoiled / "manifest.json", Manifest)
    edit_lines(spoiled / "instances.test.jsonl", lambda lines: lines.pop())
    (spoiled / "manifest.json").unlink()
    seal(spoiled, BenchmarkSpec(true.family, {"depth": 6}, true.versions))
    edit(spoiled / "manifest.json", lambda m: m.update(config=true.config))
    with pytest.raises(UserError, match="the manifest was changed later"):
        Benchmark(spoiled)
    (spoiled / "manifest.json").unlink()
    seal(spoiled, BenchmarkSpec(true.family, true.config, true.versions))
    evaluate(Benchmark(spoiled), EvalRequest("oracle"), run.parent / "forged")
    assert submit(boards, run.parent / "forged").stored
    assert boards.boards()[:3] == before
    assert not any(board.legacy for board in boards.boards())


def test_a_benchmark_of_format_1_has_no_board(run: Path, spoiled: Path) -> None:
    manifest = replace(store.read_json(spoiled / "manifest.json", Manifest), format=1)
    manifest = replace(manifest, digest=digests(manifest)[0])
    store.write_json(spoiled / "manifest.json", manifest)
    evaluate(Benchmark(spoiled), EvalRequest("oracle"), run.parent / "older")
    assert "expected format 2, got 1" in reasons(run.parent / "older")


def test_a_benchmark_is_not_a_run(run: Path, text_folder: Path) -> None:
    with pytest.raises(UserError, match=r"expected a run, got a benchmark; `harness eval .* --out RUN`"):
        submit(Boards(run.parent / "board", create=True), text_folder)


@pytest.mark.parametrize(
    ("completed", "method"),
    [(("vm-cpt", "rl"), "mine"), (("vm-cpt",), "vm-cpt, of mine")],
    ids=["all", "some"],
)
def test_the_method_of_an_intermediate_checkpoint_names_its_stages(
    run: Path, completed: tuple[str, ...], method: str
) -> None:
    stages = [{"stage": stage, "steps": 3} for stage in completed]
    training = {"recipe": "mine", "planned": ["vm-cpt", "rl"], "stages": stages}
    (run / "training.json").write_text(json.dumps(training))
    assert accepted(run).method == method


def test_a_stored_bundle_can_be_submitted_again(run: Path) -> None:
    """The folder of a bundle is the folder of a run, and can be submitted to another board."""
    boards = Boards(run.parent / "board", create=True)
    result = submit(boards, run)
    again = submit(
        Boards(run.parent / "copy", create=True),
        boards.bundles.folder / result.bundle,
        store.read_json(run / "run.json", Run).benchmark,
    )
    assert again.bundle == result.bundle
