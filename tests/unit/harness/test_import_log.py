"""Logs of other evaluators become runs: formats, what they say of the model, and what is refused."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.export.rows import rows
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.import_log.inspect import response_text
from harness.import_log.logs import ImportRequest, import_logs
from harness.records import Report, Response

Texts = Mapping[str, str]


def gold(benchmark: Benchmark, variants: str = "internalized,override") -> dict[str, str]:
    return {row.id: row.gold for v in variants.split(",") for row in rows(benchmark, v, "test", None)}


def inspect_log(texts: Texts, folder: Path, **config: Any) -> Path:
    """As Inspect writes it with `--log-format json`; it keeps reasoning apart and long texts elsewhere."""

    def sample(id_: str, text: str) -> dict[str, Any]:
        thought, _, answer = text.removeprefix("<think>").partition("</think>")
        content = [{"type": "reasoning", "reasoning": "attachment://1"}, {"type": "text", "text": answer}]
        choice = {"message": {"role": "assistant", "content": content}, "stop_reason": "max_tokens"}
        usage = {"input_tokens": 7, "output_tokens": 9}
        output = {"model": "m", "choices": [choice], "usage": usage, "time": 0.5}
        return {"id": id_, "epoch": 1, "output": output, "attachments": {"1": thought}}

    config = {"max_tokens": 64, "temperature": 0.0, "seed": 3, **config}
    samples = [sample(*item) for item in texts.items()]
    log = {"status": "success", "eval": {"model": "openai/m"}, "plan": {"config": config}, "samples": samples}
    folder.mkdir(parents=True)
    (folder / "log.json").write_text(json.dumps(log))
    return folder / "log.json"


def lm_eval_log(texts: Texts, folder: Path, named: str = "samples_{}_D.jsonl results_D.json") -> Path:
    """As lm-eval writes it with `--log_samples`: a file for each task."""
    samples, results = named.split()
    folder.mkdir(parents=True)
    by_task: dict[str, list[str]] = {}
    for number, (id_, text) in enumerate(texts.items()):
        line = {"doc_id": number, "doc": {"id": id_}, "resps": [[text]], "filtered_resps": [text]}
        by_task.setdefault(f"bench_{id_.partition('/')[0]}", []).append(json.dumps(line))
    for task, lines in by_task.items():
        (folder / samples.format(task)).write_text("\n".join(lines) + "\n")
    arguments = {"until": [], "do_sample": False, "max_gen_toks": 64}
    configs = {task: {"generation_kwargs": arguments} for task in by_task}
    config = {"model": "hf", "model_args": "pretrained=org/m,dtype=float16"}
    (folder / results).write_text(json.dumps({"config": config, "configs": configs}))
    return folder


def lmms_eval_log(texts: Texts, folder: Path) -> Path:
    """As lmms-eval writes it: without the row, and without the raw response if it was not changed."""
    lm_eval_log(texts, folder, "D_samples_{}.jsonl D_results.json")
    for file in folder.glob("*.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        short = [{"target": line["doc"]["id"], "filtered_resps": line["filtered_resps"][0]} for line in lines]
        file.write_text("".join(json.dumps(line) + "\n" for line in short))
    return folder


LOGS: Mapping[str, tuple[Callable[..., Path], str]] = {
    "inspect": (inspect_log, "openai/m"),
    "lm-eval": (lm_eval_log, "org/m"),
    "lmms-eval": (lmms_eval_log, "org/m"),
}


@pytest.mark.parametrize("tool", LOGS)
def test_a_log_is_a_run_that_says_what_the_log_says(tool: str, text_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    write, model = LOGS[tool]
    log = write(gold(benchmark), tmp_path / "logs")
    for path in (log, tmp_path / "logs"):
        report = import_logs(benchmark, [path], ImportRequest(), tmp_path / "run")
    assert (report.run.model, report.run.variants) == (f"external:{model}", ("internalized", "override"))
    assert (report.run.split, report.run.sampling["max_new_tokens"]) == ("test", 64)
    accuracies = [row for row in report.rows if row.label == "accuracy" and not row.group]
    assert [(row.mean, row.n) for row in accuracies] == [(1, 12), (1, 12)]
    responses = list(store.read_lines(tmp_path / "run/responses.jsonl", Response))
    assert all(response.text.startswith("<think>") for response in responses if response.text)
    if tool == "inspect":
        assert {(r.finish_reason, r.prompt_tokens, r.seconds) for r in responses} == {("length", 7, 0.5)}
        assert store.read_json(tmp_path / "run/report.json", Report).run.sampling["seed"] == 3


def test_several_logs_are_one_run_and_epochs_are_samples(text_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    logs = [inspect_log(gold(benchmark, v), tmp_path / v) for v in ("internalized", "in_context")]
    for log in logs:
        data = json.loads(log.read_text())
        data["samples"] += [{**sample, "epoch": 2} for sample in data["samples"]]
        data["samples"][0] |= {"error": {"message": "out of memory"}}
        log.write_text(json.dumps(data))
    request = ImportRequest(temperature=0.7, model="mine")
    report = import_logs(benchmark, logs, request, tmp_path / "run")
    assert (report.run.samples, report.run.model) == (2, "external:mine")
    accuracies = [row for row in report.rows if row.label == "accuracy" and not row.group]
    assert [(row.mean, row.errors) for row in accuracies] == [(1, 1), (1, 1)]


def test_what_a_log_lacks_or_contradicts_is_named(
    text_folder: Path, words_folder: Path, tmp_path: Path
) -> None:
    benchmark = Benchmark(text_folder)
    texts = gold(benchmark, "internalized")

    def refused(log: Path, message: str, of: Path = text_folder) -> None:
        with pytest.raises(UserError, match=message):
            import_logs(Benchmark(of), [log], ImportRequest(), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused(tmp_path / "none.eval", "no such file or folder; expected a log of Inspect")
    refused(inspect_log(texts, tmp_path / "a", temperature=None), r"^temperature: .* does not say it")
    refused(inspect_log(dict(list(texts.items())[1:]), tmp_path / "b"), r"missing ids \(1 of 12\)")
    refused(inspect_log({"1": r"\boxed{A}"}, tmp_path / "c"), "expected the ids of `harness export`, got '1'")
    refused(inspect_log(texts, tmp_path / "d"), r"ids of no prompt that was requested \(12\)", words_folder)
    unfinished = inspect_log(texts, tmp_path / "e")
    unfinished.write_text(unfinished.read_text().replace('"success"', '"cancelled"'))
    refused(unfinished, "expected a finished log, its status is cancelled")
    (tmp_path / "f").mkdir()
    refused(tmp_path / "f", "expected logs named .*, got none; `harness score`")
    for name in ("responses.jsonl", "model.safetensors"):
        (tmp_path / name).write_text("{}")
        refused(tmp_path / name, f"{name}: expected logs named .*, got another file; `harness score`")
    (tmp_path / "f/log.json").write_text('{"status": "success"}')
    refused(tmp_path / "f/log.json", "a field is missing: 'eval'")
    (tmp_path / "f/log.json").write_text('{"samples": 3}')
    refused(tmp_path / "f/log.json", "expected a log of Inspect: ValidationError: Expected `array")
    alone = lm_eval_log(texts, tmp_path / "g")
    (alone / "results_D.json").unlink()
    refused(alone, "expected a file of results next to it")


@pytest.mark.parametrize("write", [inspect_log, lm_eval_log])
def test_the_texts_of_several_logs_are_never_all_in_memory(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    # The page needs more memory than these texts.
    monkeypatch.setattr("harness.report.figures.render_page", lambda *_: "")
    benchmark, length = Benchmark(text_folder), 500_000
    texts = list(gold(benchmark, "internalized,in_context,override").items())

    def logs(name: str, length: int) -> list[Path]:
        return [
            write({id_: f"<think>{'x' * length}</think>{text}"}, tmp_path / name / str(number))
            for number, (id_, text) in enumerate(texts)
        ]

    import_logs(benchmark, logs("short", 1), ImportRequest(), tmp_path / "first")  # modules and caches
    paths = logs("long", length)
    tracemalloc.start()
    import_logs(benchmark, paths, ImportRequest(), tmp_path / "run")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(texts) * length / 3


def test_a_damaged_sample_is_refused_with_the_name_of_its_log(text_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    texts = gold(benchmark, "internalized")
    log = inspect_log(texts, tmp_path / "a")
    log.write_text(
        log.read_text().replace('"output_tokens": 9', '"output_tokens": -9').replace('"id"', '"no"')
    )
    with pytest.raises(UserError, match=r"log.json: expected a log of Inspect: a field is missing: 'id'"):
        import_logs(benchmark, [log], ImportRequest(), tmp_path / "run")
    for field, wrong in (('"doc"', '"no"'), ('"resps": [["', '"resps": [[3], ["')):
        (file,) = lm_eval_log(texts, tmp_path / wrong[-3]).glob("*.jsonl")
        file.write_text(file.read_text().replace(field, wrong))
        with pytest.raises(UserError, match=r"jsonl: expected samples of lm-eval or lmms-eval: "):
            import_logs(benchmark, [file], ImportRequest(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("write", "old", "new"),
    [
        (inspect_log, '"max_tokens": 64', '"max_tokens": "64"'),
        (inspect_log, '"temperature": 0.0', '"temperature": [0.5]'),
        (inspect_log, '"temperature": 0.0', '"temperature": 0.0, "top_p": true'),
        (inspect_log, '"seed": 3', '"seed": "a"'),
        (inspect_log, '"model": "openai/m"', '"model": null'),
        (inspect_log, '"output_tokens": 9', '"output_tokens": -9'),
        (inspect_log, '"time": 0.5', '"time": "long"'),
        (inspect_log, '"samples": [{', '"samples": [{"error": {"message": 3}, '),
        (lm_eval_log, '"max_gen_toks": 64', '"max_gen_toks": "64"'),
        (lm_eval_log, '"do_sample": false', '"temperature": "0"'),
    ],
)
def test_values_of_a_wrong_type_are_refused_with_the_name_of_the_log(
    text_folder: Path, tmp_path: Path, write: Callable[..., Path], old: str, new: str
) -> None:
    write(gold(Benchmark(text_folder), "internalized"), tmp_path / "logs")
    (path,) = [path for path in (tmp_path / "logs").iterdir() if old in path.read_text()]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(
        UserError, match=r"^\S+(log.json|\.jsonl): expected (a log|samples) of .+: Expected `"
    ):
        import_logs(Benchmark(text_folder), [tmp_path / "logs"], ImportRequest(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_reasoning_is_put_back_between_its_marks() -> None:
    content = [{"type": "reasoning", "reasoning": " I see. "}, {"type": "text", "text": r"\boxed{A}"}]
    assert response_text(content) == "<think>\nI see.\n</think>\n\\boxed{A}"
    assert response_text("plain <think>") == "plain <think>"
