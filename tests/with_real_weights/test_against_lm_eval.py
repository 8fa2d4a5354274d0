"""MMLU-Pro by the harness and by lm-eval: the same questions, worked examples, server and endpoint.

The server of the first test gives published responses of gemini-1.5-flash to the questions, whatever is
around a question. So accuracy differs only if letters are found differently. The server of the second test is
llama.cpp with SmolLM2, which reads the prompts. They differ in the sentence at the top.
"""

import gzip
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from checkpoints import smollm2_gguf
from llama_server import llama_cpp
from loopback import Reply, Request, serving

import harness
from harness.files import store
from harness.files.kinds import RESPONSES
from harness.general.mmlu_pro import extract_answer
from harness.records import Response
from harness.seeds import rng

if find_spec("lm_eval") is None or find_spec("xllamacpp") is None:
    pytest.skip("make test-real installs lm-eval and llama.cpp", allow_module_level=True)
if "BENCH_DATA" not in os.environ:
    pytest.skip("BENCH_DATA, a folder with MMLU-Pro and responses to it, is not set", allow_module_level=True)

DATA = Path(os.environ["BENCH_DATA"]) / "mmlu_pro"
# For SmolLM2. Most of the time is reading the prompts.
QUESTIONS, SHOTS, TOKENS = int(os.environ.get("MMLU_PRO_QUESTIONS", "40")), 1, 128
LETTERS = "ABCDEFGHIJ"
COLUMNS = ("question_id", "question", "options", "answer", "category", "cot_content")


def rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


def published_responses(count: int) -> dict[int, str]:
    """By question, published responses to a random sample of this size."""
    found = [row for row in rows("responses") if row["model"] == "gemini-1.5-flash-002"]
    return {row["id"]: row["response"] for row in rng(0, "mmlu-pro").sample(found, count)}


def write_source(folder: Path, count: int) -> list[dict[str, Any]]:
    """Files like the hub's, with the questions that `published_responses` answers, category by category."""
    chosen = published_responses(count)
    questions = [row for row in rows("test") if row["question_id"] in chosen]
    questions.sort(key=lambda row: row["category"])
    examples = [as_published(number, row) for number, row in enumerate(rows("validation"))]
    folder.mkdir()
    for split, lines in (("test", questions), ("validation", examples)):
        lines = [json.dumps({key: line[key] for key in COLUMNS}) for line in lines]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return questions


def as_published(number: int, example: dict[str, Any]) -> dict[str, Any]:
    """A worked example as in the hub's files. In these ones it repeats the options and boxes its answer."""
    pairs = zip(LETTERS, example["options"], strict=False)
    options = "\n".join(f"{letter}. {text}" for letter, text in pairs)
    worked = example["cot_content"].replace(rf"\boxed{{{example['answer']}}}", f"({example['answer']})")
    return example | {
        "question_id": number,
        "question": example["question"].removesuffix(options),
        "cot_content": f"A: Let's think step by step. {worked}",
    }


@dataclass
class Outcome:
    """Of one harness: accuracy, and the response to each question."""

    accuracy: float
    responses: dict[str, str]


def by_the_harness(source: Path, url: str, shots: int, tokens: int, out: Path) -> Outcome:
    report = harness.evaluate(
        harness.load(f"mmlu-pro:{source}?shots={shots}"),
        model="openai:served?endpoint=completions",
        base_url=f"{url}/v1",
        concurrency=1,
        timeout=3600,
        max_new_tokens=tokens,
        batch_check=False,
        out=out,
    )
    print(report.table())
    (accuracy,) = report.accuracy.values()
    assert accuracy is not None
    texts = {r.instance: r.text for r in store.read_lines(out / RESPONSES, Response) if not r.error}
    return Outcome(accuracy, texts)


def by_lm_eval(source: Path, url: str, shots: int, tokens: int, folder: Path) -> tuple[Outcome, str]:
    """And the expression by which it finds the letter. Its task is unmodified but for the data's place."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    shutil.copytree(Path(lm_eval.__file__).parent / "tasks" / "mmlu_pro", folder)
    template, hub = folder / "_default_template_yaml", "dataset_path: TIGER-Lab/MMLU-Pro\n"
    assert hub in template.read_text()
    files = {split: str(source / f"{split}.jsonl") for split in ("test", "validation")}
    local = f"dataset_path: json\ndataset_kwargs: {json.dumps({'data_files': files})}\n"
    template.write_text(template.read_text().replace(hub, local))
    questions = map(json.loads, (source / "test.jsonl").read_text().splitlines())
    # A task without a question fails.
    categories = sorted({question["category"].replace(" ", "_") for question in questions})
    server = {
        "base_url": f"{url}/v1/completions",
        "model": "served",
        "tokenizer_backend": None,
        "tokenized_requests": False,
        "num_concurrent": 1,
        "timeout": 3600,
    }
    found = lm_eval.simple_evaluate(
        "local-completions",
        server,
        tasks=[f"mmlu_pro_{category}" for category in categories],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        num_fewshot=shots,
        gen_kwargs={"max_gen_toks": tokens},
        log_samples=True,
        bootstrap_iters=0,
    )
    samples = [sample for task in found["samples"].values() for sample in task]
    texts = {str(sample["doc"]["question_id"]): sample["resps"][0][0] for sample in samples}
    (regex,) = {task["filter_list"][0]["filter"][0]["regex_pattern"] for task in found["configs"].values()}
    accuracy = sum(sample["exact_match"] for sample in samples) / len(samples)
    print(f"lm-eval: accuracy {accuracy:.1%} of {len(samples)} questions")
    return Outcome(accuracy, texts), regex


def same_letters(texts: Iterable[str], regex: str) -> float:
    """In what share of the responses that have a letter for lm-eval both find the same one."""
    pairs = [(re.search(regex, text), extract_answer(text, len(LETTERS))) for text in texts]
    stated = [(theirs[1], ours) for theirs, ours in pairs if theirs]
    same = sum(theirs == ours for theirs, ours in stated)
    found = sum(ours is not None for theirs, ours in pairs if not theirs)
    print(f"the same letter in {same} of {len(stated)} responses with one for lm-eval;")
    print(f"a letter only for the harness in {found} of the other {len(pairs) - len(stated)}")
    return same / len(stated)


def test_published_responses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    questions, stored = write_source(source, 200), published_responses(200)

    def respond(request: Request) -> Reply:
        """The response to the prompt's last question. lm-eval sends a prompt as a list."""
        prompt = request.body["prompt"]
        asked = (prompt if isinstance(prompt, str) else prompt[0]).rpartition("Question:\n")[2]
        # One question occurs twice.
        row = next(row for row in questions if asked.startswith(f"{row['question']}\nOptions:\n"))
        text = stored[row["question_id"]].partition(request.body["stop"][0])[0]
        return Reply({"model": "served", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]})

    with serving(respond) as server:
        ours = by_the_harness(source, server.url, 5, 2048, tmp_path / "ours")
        theirs, regex = by_lm_eval(source, server.url, 5, 2048, tmp_path / "tasks")
    assert ours.responses == theirs.responses
    assert abs(ours.accuracy - theirs.accuracy) <= 0.02
    assert same_letters(ours.responses.values(), regex) >= 0.99
    # The other published responses too.
    assert same_letters((row["response"] for row in rows("responses")), regex) >= 0.99


def test_smollm2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    write_source(source, QUESTIONS)
    with llama_cpp(smollm2_gguf()) as url:
        ours = by_the_harness(source, url, SHOTS, TOKENS, tmp_path / "ours")
        theirs, regex = by_lm_eval(source, url, SHOTS, TOKENS, tmp_path / "tasks")
    same = sum(ours.responses[question] == text for question, text in theirs.responses.items())
    print(f"{same} of {len(theirs.responses)} responses are the same")
    texts = [*ours.responses.values(), *theirs.responses.values()]
    assert same_letters(texts, regex) >= 0.99
