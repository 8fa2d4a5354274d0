"""A run's folder: which requests may use it, one process at a time, and what may change before a resume."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest

from harness import backends
from harness.backends import Backend
from harness.backends.remote.base import without_surrogates
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Prompt, Response, Run
from harness.request import EvalRequest
from harness.run import evaluate


def test_a_checkpoint_that_was_trained_again_is_another_model(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"one")
    before = backends.weights_digest(f"hf:{checkpoint}")
    assert before == backends.weights_digest(f"vllm:{checkpoint}?dtype=float32")
    assert backends.weights_digest("oracle") is backends.weights_digest("hf:someone/model") is None

    monkeypatch.setattr(backends, "weights_digest", lambda _: before)
    benchmark, out = Benchmark(text_folder), tmp_path / "run"
    first = evaluate(benchmark, EvalRequest("oracle"), out)
    assert first.run.weights == before
    monkeypatch.setattr(backends, "weights_digest", lambda _: "another")
    with pytest.raises(UserError, match=r"^model: .* contains a run with another weights \(\w{12}, now"):
        evaluate(benchmark, EvalRequest("oracle"), out)
    # A finished run may be copied to a machine without the checkpoint.
    monkeypatch.setattr(backends, "weights_digest", lambda _: None)
    assert evaluate(benchmark, EvalRequest("oracle"), out).run == first.run


def test_a_run_records_the_new_path_of_a_moved_benchmark(text_folder: Path, tmp_path: Path) -> None:
    here, there, out = tmp_path / "here", tmp_path / "there", tmp_path / "run"
    shutil.copytree(text_folder, here)
    evaluate(Benchmark(here), EvalRequest("oracle"), out)
    here.rename(there)
    report = evaluate(Benchmark(there), EvalRequest("oracle"), out)
    assert store.read_json(out / "run.json", Run) == report.run
    assert report.run.benchmark == str(there)


def test_a_mistaken_command_leaves_the_folder_free(text_folder: Path, tmp_path: Path) -> None:
    out, benchmark = tmp_path / "run", Benchmark(text_folder)
    with pytest.raises(UserError, match=r"expected a backend before the path, such as hf:"):
        evaluate(benchmark, EvalRequest(str(tmp_path)), out)
    assert not out.exists()
    out.mkdir()
    (out / ".run.json.123.tmp").write_text("half")  # left by a process that was killed while writing
    evaluate(benchmark, EvalRequest("oracle"), out)
    with pytest.raises(UserError, match="contains a run with model 'oracle'"):
        evaluate(benchmark, EvalRequest("random"), out)


def test_two_processes_do_not_share_a_run(text_folder: Path, tmp_path: Path) -> None:
    out, benchmark = tmp_path / "run", Benchmark(text_folder)

    class Meanwhile(CutOff):
        """Another command gets the folder before the first response of this one is stored."""

        def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
            with pytest.raises(UserError, match="another process is using this folder"):
                evaluate(benchmark, EvalRequest("random"), out)
            return super().generate(prompts)

    report = evaluate(benchmark, EvalRequest("external:mine"), out, Meanwhile())
    assert store.read_json(out / "run.json", Run) == report.run


def test_a_response_with_half_a_character_can_be_stored(tmp_path: Path) -> None:
    store.write_json(tmp_path / "a.json", {"text": without_surrogates("a \ud83d and é")})
    assert store.read_json(tmp_path / "a.json", dict[str, str]) == {"text": "a ? and é"}


class CutOff(Backend):
    """Every second response is cut off. Counts the calls."""

    batched = True

    def __init__(self) -> None:
        self.description: dict[str, str] = {}
        self.calls = 0

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        self.calls += 1
        for i, prompt in enumerate(prompts):
            reason: Literal["length", "stop"] = "length" if i % 2 else "stop"
            yield Response(*prompt.key, "A", prefill_seconds=1.0, seconds=2.0, batch=8, finish_reason=reason)


@pytest.mark.parametrize("batch_check", [True, False])
def test_cut_off_responses_are_reported_early_and_the_batch_check_is_optional(
    text_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    batch_check: bool,
) -> None:
    model = CutOff()
    monkeypatch.setattr(backends, "make", lambda *_, **__: model)
    request = EvalRequest("hf:x/y", variants="in_context", limit=4, batch_check=batch_check)
    report = evaluate(Benchmark(text_folder), request, tmp_path / "run")
    assert "2 of 4 were cut off" in capsys.readouterr().err
    assert (report.batch_check is not None) is batch_check
    assert model.calls == 1 + 4 * batch_check
    # The time of a batch is not that of a prompt.
    assert report.usage[0].prefill_seconds == (1.0 if batch_check else None)


class Counting(CutOff):
    """Counts the prompts of each call."""

    batched = False

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        self.counts.append(len(prompts))
        return super().generate(prompts)


@pytest.mark.parametrize(("instant", "counts"), [(True, [3, 3, 1]), (False, [7])])
def test_only_a_model_that_needs_time_gets_all_prompts_together(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: bool, counts: list[int]
) -> None:
    model = Counting()
    model.instant = instant
    monkeypatch.setattr(backends, "PORTION", 3)
    request = EvalRequest("external:mine", variants="in_context", limit=8)
    out = tmp_path / "run"
    evaluate(Benchmark(text_folder), request, out, model)
    # Resumed after the first response.
    log = out / "responses.jsonl"
    complete = store.Log(log, Response).read()
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    model.counts.clear()
    evaluate(Benchmark(text_folder), request, out, model)
    assert model.counts == counts
    assert {r.key for r in store.Log(log, Response).read()} == {r.key for r in complete}
