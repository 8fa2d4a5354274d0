"""Responses of another program are scored like those of `harness eval`, and nothing is guessed."""

import base64
import json
import os
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from forked import run_command

from harness import api
from harness.backends import Sampling, weights_digest
from harness.compare.differences import compare
from harness.errors import UserError
from harness.external import ResponseLine, prompt_lines, score_responses
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Report, Response, Run
from harness.request import EvalRequest, ScoreRequest
from harness.run import evaluate
from leaderboards.storage.board import Boards
from leaderboards.submit import submit

Lines = list[dict[str, Any]]
harness = partial(run_command, "harness")


def read(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, lines: Lines) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def oracle(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "oracle"
    evaluate(Benchmark(visual_folder), EvalRequest("oracle"), out)
    return out


@pytest.fixture(scope="module")
def prompts(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prompts") / "new" / "prompts.jsonl"
    done = harness("prompts", visual_folder, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def answered(prompts: Path, oracle: Path) -> Lines:
    """What another program might write: the lines of the prompts, with a text."""
    texts = [r.text for r in store.read_lines(oracle / "responses.jsonl", Response)]
    return [line | {"text": text} for line, text in zip(read(prompts), texts, strict=True)]


def test_a_prompt_has_every_text_and_image_of_its_instance(visual_folder: Path, prompts: Path) -> None:
    benchmark, lines = Benchmark(visual_folder), read(prompts)
    assert len({line["id"] for line in lines}) == len(lines) == 3 * len(benchmark.instances("test"))
    (message,) = next(line for line in lines if line["id"].startswith("in_context"))["messages"]
    images = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    assert message["role"] == "user" and len(images) > 1
    assert all(Path(unquote(urlsplit(url).path)).is_file() for url in images)
    assert any("Condition 1" in part.get("text", "") for part in message["content"])


def test_inline_images_are_in_the_file(visual_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "prompts.jsonl"
    flags = "--variants", "internalized", "--limit", "2"
    assert harness("prompts", visual_folder, "--out", out, "--inline", *flags).returncode == 0
    lines = read(out)
    assert len(lines) == 2
    url = lines[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_the_scored_run_is_like_one_of_eval(
    visual_folder: Path, oracle: Path, answered: Lines, tmp_path: Path
) -> None:
    file, out = write(tmp_path / "r.jsonl", answered[::-1]), tmp_path / "scored"
    command = "score", visual_folder, file, "--model", "mine", "--out", out
    done = harness(*command)
    assert done.returncode == 0, done.stderr
    assert "external:mine" in done.stdout
    own, other = (store.read_json(run / "report.json", Report) for run in (oracle, out))
    assert other.rows == own.rows
    assert harness("report", oracle, out).returncode == 0
    assert not compare(oracle, [out]).warnings
    boards = Boards(tmp_path / "boards", create=True)
    figures = {board.key.variant: f for board, f in submit(boards, out).entries}
    assert figures["override"].mean == 1 and figures["override"].prompts_known
    # The same command again scores the same run; other responses need another folder.
    assert harness(*command, "--model", "external:mine").returncode == 0
    write(file, [line | {"text": "other"} for line in answered])
    refused = harness(*command)
    assert refused.returncode == 2 and "another response to" in refused.stderr


WRONG: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "missing": (lambda lines: lines[:-1], "missing ids (1 of 36): override/0/"),
    "repeated": (lambda lines: [*lines, lines[0]], "repeated ids (1): internalized/0/"),
    "unknown": (
        lambda lines: [*lines, lines[0] | {"id": "x"}],
        "ids of no prompt that was requested (1): x",
    ),
    "no text": (
        lambda lines: [{"id": lines[0]["id"]}, *lines],
        "line 1: expected a text or else an error, got neither",
    ),
    "no reason": (
        lambda lines: [{"id": lines[0]["id"], "error": ""}, *lines],
        "line 1: expected the reason as error, got an empty text",
    ),
    "empty": (lambda lines: lines[:0], "expected one response to each of 36 prompts, but it is empty"),
    "a list": (
        lambda lines: [lines],  # type: ignore[list-item]
        "line 1: expected one JSON object per line, got a list; write each object of the list on a line",
    ),
    "a wrong value": (
        lambda lines: [lines[0] | {"finish_reason": "eos"}],
        "line 1: finish_reason: expected stop, length or refusal, got 'eos'",
    ),
    "no id": (lambda lines: [{"text": "a"}, *lines], "line 1: expected the field id, which is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ids_are_named_and_nothing_is_written(
    name: str, visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    change, message = WRONG[name]
    file, out = write(tmp_path / "r.jsonl", change(answered)), tmp_path / "scored"
    done = harness("score", visual_folder, file, "--model", "mine", "--out", out)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not out.exists()


def test_responses_to_prompts_of_another_benchmark_are_unknown(
    text_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    file = write(tmp_path / "r.jsonl", answered)
    done = harness("score", text_folder, file, "--model", "mine", "--out", tmp_path / "scored")
    assert done.returncode == 2 and "ids of no prompt that was requested (36)" in done.stderr


def test_the_folder_of_a_checkpoint_names_its_weights(
    visual_folder: Path, answered: Lines, checkpoint: Path, tmp_path: Path
) -> None:
    file, out = write(tmp_path / "r.jsonl", answered), tmp_path / "scored"
    assert harness("score", visual_folder, file, "--model", checkpoint, "--out", out).returncode == 0
    assert store.read_json(out / "run.json", Run).weights == weights_digest(f"hf:{checkpoint}")


def test_eval_cannot_run_an_external_model(visual_folder: Path, tmp_path: Path) -> None:
    done = harness("eval", visual_folder, "--model", "external:mine", "--out", tmp_path / "run")
    assert done.returncode == 2 and "give its responses to `harness score`" in " ".join(done.stderr.split())


REPAIR = "put responses in place of the errors in the file and run the same command again"


def test_a_file_without_any_response_can_be_repaired(
    visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    file, out = tmp_path / "r.jsonl", tmp_path / "scored"
    write(file, [{"id": line["id"], "error": "out of memory"} for line in answered])
    command = "score", visual_folder, file, "--model", "mine", "--out", out
    refused = harness(*command)
    assert refused.returncode == 2 and REPAIR in refused.stderr
    write(file, answered)
    assert harness(*command).returncode == 0


def test_boards_say_how_a_run_of_a_file_is_completed(
    visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    out = tmp_path / "scored"
    lines = [ResponseLine(line["id"], line["text"]) for line in answered[1:]]
    lines.append(ResponseLine(answered[0]["id"], error="busy"))
    score_responses(Benchmark(visual_folder), ScoreRequest(model="mine"), lines, "here", out)
    with pytest.raises(UserError, match=REPAIR):
        submit(Boards(tmp_path / "boards", create=True), out)


@pytest.mark.parametrize("content", ["my notes\n", "{}", '{"id": "a", "text": "b"}\n', "a line and a text"])
def test_prompts_replace_only_prompts(
    visual_folder: Path, answered: Lines, prompts: Path, tmp_path: Path, content: str
) -> None:
    out = tmp_path / "file.jsonl"
    if content == "a line and a text":  # a program may add its texts to the lines of the prompts
        content = write(out, answered).read_text()
    out.write_text(content)
    done = harness("prompts", visual_folder, "--out", out)
    assert done.returncode == 2 and "expected a new file, or a file of prompts to replace" in done.stderr
    assert out.read_text() == content
    for replaced in (prompts.read_text(), ""):
        out.write_text(replaced)
        assert harness("prompts", visual_folder, "--out", out, "--limit", "1").returncode == 0
        assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--split", "cloze"), "--split: expected one whose prompts do not begin the response, got cloze"),
        (
            ("--split", "recall", "--variants", "override"),
            "--variants: expected one under which an instance of the split recall has a prompt, got override",
        ),
    ],
)
def test_prompts_that_nobody_could_answer_are_refused(
    visual_folder: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    file = write(tmp_path / "r.jsonl", [{"id": "a", "text": ""}])
    for words in (("prompts", visual_folder), ("score", visual_folder, file, "--model", "mine")):
        done = harness(*words, *flags, "--out", tmp_path / "out")
        assert done.returncode == 2 and message in done.stderr, done.stderr
        assert not (tmp_path / "out").exists()


def test_prompts_of_several_samples_say_what_they_need(text_folder: Path, tmp_path: Path) -> None:
    """A temperature is not known before the responses are scored."""
    flags = "--limit", "1", "--variants", "internalized", "--samples", "2"
    out, file = tmp_path / "prompts.jsonl", tmp_path / "r.jsonl"
    done = harness("prompts", text_folder, "--out", out, *flags)
    assert done.returncode == 0 and "give `harness score` --samples 2 --temperature T" in done.stderr
    write(file, [{"id": line["id"], "text": ""} for line in read(out)])
    command = "score", text_folder, file, "--model", "mine", "--out", tmp_path / "scored", *flags
    refused = harness(*command)
    assert refused.returncode == 2 and "--samples: expected 1 with greedy decoding" in refused.stderr
    assert harness(*command, "--temperature", "0.5").returncode == 0


@pytest.mark.parametrize("name", ["", " ", "./typo", "../typo", "/typo"])
def test_a_name_that_names_no_model_is_refused(text_folder: Path, prompts: Path, name: str) -> None:
    done = harness("score", text_folder, prompts, "--model", name, "--out", prompts.parent / "no")
    assert done.returncode == 2 and "--model: expected " in done.stderr


def test_what_generates_nothing_has_no_batch_size(text_folder: Path, prompts: Path) -> None:
    words = "score", text_folder, prompts, "--model", "mine", "--out", prompts.parent / "no"
    assert "--temperature" in harness("score", "--help").stdout
    assert "--batch-size" not in harness("score", "--help").stdout
    assert harness(*words, "--batch-size", "2").returncode == 2
    with pytest.raises(UserError, match="batch_size: expected one of the settings"):
        api.score(text_folder, prompts, model="mine", batch_size=2)


def test_an_error_is_no_wrong_answer_and_can_be_repaired(
    visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    failed = [{"id": answered[0]["id"], "error": "out of memory"}, *answered[1:]]
    out = tmp_path / "scored"
    for lines, errors in ((failed, 1), (answered, 0)):
        file = write(tmp_path / "r.jsonl", lines)
        done = harness("score", visual_folder, file, "--model", "mine", "--out", out)
        assert done.returncode == 0
        # No request can be sent again, so the note says what this test does.
        assert (REPAIR in done.stdout) == bool(errors) and "retry" not in done.stdout
        report = store.read_json(out / "report.json", Report)
        assert report.requests_per_second is None, "reading a file is not the speed of the model"
        (row,) = (
            r for r in report.rows if r.label == "accuracy" and r.variant == "internalized" and not r.group
        )
        assert (row.mean, row.errors) == (1, errors)


def test_a_killed_command_resumes_to_the_same_run(
    visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    file, out = write(tmp_path / "r.jsonl", answered[::-1]), tmp_path / "scored"

    def score() -> dict[str, bytes]:
        lines = store.Lines(file, ResponseLine)
        score_responses(Benchmark(visual_folder), ScoreRequest(model="mine"), lines, "here", out)
        return {n: (out / n).read_bytes() for n in ("run.json", "responses.jsonl", "scores.jsonl")}

    whole = score()
    # Killed before the first response, within a line, and before the responses are scored.
    for share in (0, 0.4, 1):
        for name in ("scores.jsonl", "report.json", "report.html"):
            (out / name).unlink()
        os.truncate(out / "responses.jsonl", int(share * len(whole["responses.jsonl"])))
        assert score() == whole


def test_the_texts_of_a_file_are_never_all_in_memory(
    words_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The page needs more memory than these texts.
    monkeypatch.setattr("harness.report.figures.render_page", lambda *_: "")
    bench, length, count = Benchmark(words_folder), 20_000, 200

    def score(samples: int) -> None:
        request = ScoreRequest(
            variants="internalized", limit=1, samples=samples, model="mine", sampling=Sampling(temperature=1)
        )
        file = tmp_path / f"{samples}.jsonl"
        ids = (line["id"] for line in prompt_lines(bench, request, inline=False))
        store.write_lines(file, ({"id": i, "text": f"{n} {'x' * length}"} for n, i in enumerate(ids)))
        score_responses(bench, request, store.Lines(file, ResponseLine), "here", tmp_path / f"{samples}")

    score(1)  # modules and caches
    tracemalloc.start()
    score(count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < count * length / 4


def test_a_file_that_changes_while_it_is_read_is_refused(
    visual_folder: Path, answered: Lines, tmp_path: Path
) -> None:
    class Reversed(list[ResponseLine]):
        def __getitem__(self, number: Any) -> Any:
            return super().__getitem__(-1 - number)

    lines = Reversed(ResponseLine(line["id"], line["text"]) for line in answered)
    with pytest.raises(UserError, match="changed while they were read"):
        score_responses(
            Benchmark(visual_folder), ScoreRequest(model="mine"), lines, "here", tmp_path / "scored"
        )
    assert not (tmp_path / "scored").exists()
