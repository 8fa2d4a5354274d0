"""Reads logs of Inspect, in the format .eval or .json."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError
from harness.external import ResponseLine
from harness.files import store
from harness.import_log.log import Log, Settings, expecting, response_id
from harness.records import Json

# The reasons to stop that mean something to a run. All others are failures, such as an unfinished tool call.
FINISH_REASONS: Mapping[str, Literal["stop", "length", "refusal"]] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
}
SUFFIXES = (".eval", ".json")
LOG = "a log of Inspect"
_ATTACHMENT = "attachment://"


def read(path: Path) -> Log:
    """The responses of a log. Raises UserError if the log is unfinished or cannot be read."""
    with expecting(LOG, path):
        log, samples = _read_json(path) if path.suffix == ".json" else _read_eval(path)
        if log["status"] != "success":
            raise UserError(f"{path}: expected a finished log, its status is {log['status']}")
        config = log["eval"].get("model_generate_config", {}) | log.get("plan", {}).get("config", {})
        settings = {
            "model": log["eval"]["model"],
            "max_new_tokens": config.get("max_tokens"),
            "temperature": config.get("temperature"),
            "top_p": config.get("top_p"),
            "seed": config.get("seed"),
        }
        return Log(str(path), msgspec.convert(settings, Settings), _responses(path, samples))


def _read_json(path: Path) -> tuple[Json, Iterator[Json]]:
    """All of the log but its samples, and the samples, which are decoded one at a time."""
    log = store.read_json(path, dict[str, msgspec.Raw])
    samples = msgspec.json.decode(log.pop("samples", b"null"), type=list[msgspec.Raw] | None)
    head = {name: msgspec.json.decode(value) for name, value in log.items()}
    return head, map(msgspec.json.decode, samples or ())


def _read_eval(path: Path) -> tuple[Json, Iterator[Json]]:
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_samples
    except ImportError as error:
        convert = f"inspect log convert {path} --to json --output-dir OUT"
        raise UserError(f"{path}: inspect_ai is not installed; run `{convert}` where it is") from error

    def damaged(error: Exception) -> UserError:
        return UserError(f"{path}: expected {LOG}: {error}")

    def samples() -> Iterator[Json]:
        try:
            for sample in read_eval_log_samples(
                str(path), all_samples_required=False, resolve_attachments=True
            ):
                yield sample.model_dump(mode="json", exclude_none=True)
        except Exception as error:
            raise damaged(error) from error

    try:
        head: Json = read_eval_log(str(path), header_only=True).model_dump(mode="json", exclude_none=True)
    # Inspect reads the file, and may raise any exception for a damaged one.
    except Exception as error:
        raise damaged(error) from error
    return head, samples()


def _responses(path: Path, samples: Iterator[Json]) -> Iterator[ResponseLine]:
    for sample in samples:
        with expecting(LOG, path):
            response = _response(sample)
        yield response


def _response(sample: Json) -> ResponseLine:
    id_ = response_id(str(sample["id"]), sample.get("epoch", 1) - 1)
    output = sample.get("output") or {}
    error = (sample.get("error") or {}).get("message") or output.get("error")
    if error or not output.get("choices"):
        return msgspec.convert({"id": id_, "error": error or "no output in the log"}, ResponseLine)
    choice = output["choices"][0]
    usage = output.get("usage") or {}
    response = {
        "id": id_,
        "text": response_text(choice["message"]["content"], sample.get("attachments") or {}),
        "finish_reason": FINISH_REASONS.get(choice.get("stop_reason", "")),
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "seconds": output.get("time"),
    }
    return msgspec.convert(response, ResponseLine)


def response_text(content: str | Sequence[Json], attachments: Mapping[str, str] = {}) -> str:
    """The text of a message as the model wrote it: Inspect keeps reasoning apart from the answer."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = []
    for part in parts:
        text = str(part.get("reasoning" if part["type"] == "reasoning" else "text", ""))
        if text.startswith(_ATTACHMENT):
            text = attachments[text.removeprefix(_ATTACHMENT)]
        texts.append(f"<think>\n{text.strip()}\n</think>\n" if part["type"] == "reasoning" else text)
    return "".join(texts)
