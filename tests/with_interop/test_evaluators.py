"""Inspect, lmms-eval and lm-eval give the scores of the harness for the same stored responses."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import stored_responses
from stored_responses import key, scores_of

import harness
from harness.export.write import export
from harness.files.benchmark import Benchmark
from harness.import_log.logs import import_logs
from harness.request import ExportRequest, FormatName, ImportRequest
from harness.variants import VARIANTS

# Without them, no fixture is made.
pytestmark = pytest.mark.skipif(
    find_spec("inspect_ai") is None, reason="make test-interop creates an environment with the evaluators"
)


@pytest.fixture
def expected(benchmark_: Benchmark, tmp_path: Path) -> dict[tuple[str, str], float | None]:
    return stored_responses.scores(benchmark_, tmp_path / "ours")


def exported(benchmark: Benchmark, tool: FormatName, out: Path) -> Path:
    export(benchmark, ExportRequest(for_=tool, splits="test"), out)
    return out


def check_import(benchmark: Benchmark, logs: list[Path], expected: dict, out: Path) -> None:
    """The logs become a run with the same texts and scores."""
    request = ImportRequest(max_new_tokens=1024, temperature=0)
    import_logs(benchmark, logs, request, out)
    assert scores_of(out) == expected
    # Whether lmms-eval and Inspect keep spaces at the ends is their own affair.
    stored = sorted(text.strip() for text in stored_responses.responses(benchmark).values())
    assert sorted(text.strip() for text in stored_responses.texts(out)) == stored


@pytest.mark.parametrize("source", ["export", "benchmark"])
def test_inspect(
    source: str, benchmark_: Benchmark, expected: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect_ai
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    answers = stored_responses.responses(benchmark_)
    # Inspect wants the path of a task file relative to the current folder.
    monkeypatch.chdir(tmp_path)
    if source == "export":
        exported(benchmark_, "inspect", Path("export"))
        task, arguments = "export/policy.py", {}
    else:
        task = f"policy_internalization/{benchmark_.manifest.family}"
        arguments = {"bench": str(benchmark_.folder)}
    found, logs = {}, []
    for variant in VARIANTS:
        by_prompt = prompts(benchmark_, variant)

        def respond(messages, *_, by_prompt=by_prompt):
            output = ModelOutput.from_content("mockllm/model", answers[by_prompt[shown(messages[0])]])
            # Otherwise the mock model downloads a tokenizer to count them.
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return output

        (log,) = inspect_ai.eval(
            task,
            model=get_model("mockllm/model", custom_outputs=respond),
            task_args={**arguments, "variant": variant},
            log_dir=str(tmp_path / "logs"),
            display="none",
        )
        assert log.status == "success", log.error
        logs.append(Path(log.location.removeprefix("file://")))
        for sample in log.samples:
            (score,) = sample.scores.values()
            found[key(sample.id)] = score.value
    assert found == expected
    check_import(benchmark_, logs, expected, tmp_path / "imported")


def prompts(benchmark: Benchmark, variant: str) -> dict[tuple[str, ...], str]:
    """The id of each prompt, by its texts and images."""
    lines = harness.prompts(benchmark, variants=variant)
    return {
        tuple(
            p["text"] if p["type"] == "text" else p["image_url"]["url"]
            for p in line["messages"][0]["content"]
        ): line["id"]
        for line in lines
    }


def shown(message) -> tuple[str, ...]:
    if isinstance(message.content, str):
        return (message.content,)
    return tuple(part.text if part.type == "text" else part.image for part in message.content)


def test_lm_eval(benchmark_: Benchmark, expected: dict, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    answers = stored_responses.responses(benchmark_)

    class Stored(LM):
        MULTIMODAL = True

        def generate_until(self, requests: list[Any]) -> list[str]:
            for request in requests:
                check_prompt(benchmark_, request.doc["id"], request.args[0], visuals(request.args))
            return [answers[request.doc["id"]] for request in requests]

        loglikelihood = loglikelihood_rolling = generate_until

    folder = exported(benchmark_, "lm-eval", tmp_path / "export")
    names = sorted(path.stem for path in folder.glob("tasks/*.yaml"))
    tracker = EvaluationTracker(output_path=str(tmp_path / "logs"))
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    results = lm_eval.simple_evaluate(
        Stored(),
        tasks=names,
        task_manager=manager,
        log_samples=True,
        evaluation_tracker=tracker,
        bootstrap_iters=0,
    )
    check_results(results, names, expected)
    tracker.save_results_aggregated(results, samples=results["samples"])
    for name in names:
        tracker.save_results_samples(name, results["samples"][name])
    check_import(benchmark_, [tmp_path / "logs"], expected, tmp_path / "imported")


def test_lmms_eval(benchmark_: Benchmark, expected: dict, tmp_path: Path) -> None:
    from lmms_eval.api.model import lmms
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.loggers import EvaluationTracker
    from lmms_eval.tasks import TaskManager

    answers = stored_responses.responses(benchmark_)

    class Stored(lmms):
        is_simple = False

        def generate_until(self, requests: list[Any]) -> list[str]:
            found = []
            for request in requests:
                _, doc_to_messages, _, doc_id, task, split = request.args
                doc = self.task_dict[task][split][doc_id]
                ((message),) = doc_to_messages(doc)
                text = "".join(p["text"] if p["type"] == "text" else "<image>" for p in message["content"])
                images = [part["url"] for part in message["content"] if part["type"] == "image"]
                check_prompt(benchmark_, doc["id"], text, images)
                found.append(answers[doc["id"]])
            return found

        loglikelihood = generate_until_multi_round = generate_until

    folder = exported(benchmark_, "lmms-eval", tmp_path / "export")
    names = sorted(path.stem for path in folder.glob("tasks/*.yaml"))
    tracker = EvaluationTracker(output_path=str(tmp_path / "logs"))
    manager = TaskManager("ERROR", include_path=str(folder / "tasks"), include_defaults=False)
    results = simple_evaluate(
        Stored(), tasks=names, task_manager=manager, evaluation_tracker=tracker, bootstrap_iters=0
    )
    check_results(results, names, expected)
    tracker.save_results_aggregated(results, results["samples"], datetime_str=results["date"])
    for name in names:
        tracker.save_results_samples(name, results["samples"][name])
    check_import(benchmark_, [tmp_path / "logs"], expected, tmp_path / "imported")


def visuals(arguments: tuple[Any, ...]) -> list[Any]:
    return [image for a in arguments if isinstance(a, dict) for image in a.get("visual", [])]


def check_prompt(benchmark: Benchmark, row_id: str, text: str, images: list[Any]) -> None:
    """A tool shows a model the texts and the pixels of the harness."""
    if benchmark.folder not in PARTS:
        PARTS[benchmark.folder] = {row.id: row.prompt for row in stored_responses.all_rows(benchmark)}
    parts = PARTS[benchmark.folder][row_id]
    assert text == "".join("<image>" if part.kind == "image" else part.value for part in parts)
    wanted = [benchmark.image(part.value).tobytes() for part in parts if part.kind == "image"]
    assert [image.tobytes() for image in images] == wanted


PARTS: dict[Path, Any] = {}


def check_results(results: Any, names: list[str], expected: dict) -> None:
    """The scores of all samples, and their means, are those of the harness."""
    samples = [sample for name in names for sample in results["samples"][name]]
    assert {key(sample["doc"]["id"]): sample["accuracy"] for sample in samples} == expected
    for name in names:
        variant = key(results["samples"][name][0]["doc"]["id"])[0]
        values = [value for (of, _), value in expected.items() if of == variant]
        assert results["results"][name]["accuracy,none"] == pytest.approx(
            sum(values) / len(values), abs=1e-12
        )
