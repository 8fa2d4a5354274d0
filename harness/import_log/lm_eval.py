"""Reads logs of lm-evaluation-harness and lmms-eval: a file of samples for each task, and one of results.

lm-eval     samples_TASK_DATE.jsonl     results_DATE.json
lmms-eval   DATE_samples_TASK.jsonl     DATE_results.json
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.external import ResponseLine
from harness.files import store
from harness.import_log.log import Log, Settings, expecting, response_id
from harness.records import Json

# The files in which both tools store their samples.
SAMPLES = "*samples_*.jsonl"
LOG = "samples of lm-eval or lmms-eval"
# What each of them calls the limit of a response.
_LIMITS = "max_gen_toks", "max_new_tokens", "max_tokens"


def sample_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(SAMPLES))


def read(path: Path) -> Log:
    """The responses of a file of samples. Raises UserError if its file of results is missing."""
    results = store.read_json(_results_file(path), dict[str, Any])
    with expecting(LOG, path):
        config = results["config"]
        sampling = _sampling(path, results)
        settings = {
            "model": _model(config, results),
            "max_new_tokens": next((sampling[name] for name in _LIMITS if name in sampling), None),
            "temperature": sampling.get("temperature", 0 if sampling.get("do_sample") is False else None),
            "top_p": sampling.get("top_p"),
            "seed": None,
        }
        return Log(str(path), msgspec.convert(settings, Settings), _responses(path))


def _results_file(path: Path) -> Path:
    """The file of results that was written at the same time."""
    for file in sorted(path.parent.glob("*results*.json")):
        date = file.stem.replace("results", "").strip("_")
        if date in path.stem:
            return file
    raise UserError(
        f"{path}: expected a file of results next to it, found none; keep the files of a log together"
    )


def _sampling(path: Path, results: Json) -> Json:
    """How the task of these samples generated; the settings of the command are part of it."""
    # The name of a task may begin with that of another.
    task = max((name for name in results["configs"] if f"samples_{name}" in path.stem), key=len)
    return results["configs"][task].get("generation_kwargs") or {}


def _model(config: Json, results: Json) -> str:
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(pair.partition("=")[::2] for pair in arguments.split(","))
    named = (arguments or {}).get("pretrained") or (arguments or {}).get("model")
    return str(named or results.get("model_name") or config["model"])


def _responses(path: Path) -> Iterator[ResponseLine]:
    for line in store.read_lines(path, dict[str, Any]):
        with expecting(LOG, path):
            id_, texts = _texts(line)
        for sample, text in enumerate(texts):
            yield ResponseLine(response_id(id_, sample), text=text)


def _texts(line: Json) -> tuple[str, list[str]]:
    """The id of a row, and the responses to it."""
    # lmms-eval logs the target instead of the row; our tasks set it to the id. It logs a response once.
    id_ = line["doc"]["id"] if "doc" in line else line["target"]
    texts = line["resps"] if "resps" in line else line["filtered_resps"]
    # A list for each request, and in it one for each repeat.
    while isinstance(texts, list) and isinstance(texts[0], list):
        texts = texts[0]
    return str(id_), msgspec.convert([texts] if isinstance(texts, str) else texts, list[str])
