"""The harness in Python, such as in a notebook. Settings have the names of the commands' flags.

    bench = harness.load("bench")
    report = harness.evaluate(bench, model="hf:path/to/checkpoint", out="runs/mine", limit=20)
    print(report.table())

Errors are `harness.errors.UserError`, whose message says what to do.
"""

import inspect
import tempfile
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from harness import external
from harness import run as runs
from harness.errors import UserError
from harness.external import FromFunction, Respond, ResponseLine, external_model
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.mistakes import mistake
from harness.general import published
from harness.metrics.accuracy import ACCURACY
from harness.records import Report
from harness.report.figures import table
from harness.request import EvalRequest, PromptRequest, ScoreRequest

# The fields of a request whose own fields are flags.
PARTS = "sampling", "endpoint", "processes"


@dataclass(frozen=True, repr=False)
class RunReport:
    """The figures of a run. `figures` contains everything that report.json contains."""

    figures: Report

    def table(self) -> str:
        """The same table as `harness report` prints."""
        return table({self.figures.run.model: self.figures})

    @property
    def accuracy(self) -> dict[str, float | None]:
        """The mean score by variant, from 0 to 1; None if no response has one."""
        return {
            row.variant: row.mean for row in self.figures.rows if row.label == ACCURACY.name and not row.group
        }

    def rows(self) -> list[dict[str, Any]]:
        """Every figure as a dictionary with the fields of `harness.records.ReportRow`, for a data frame."""
        return [msgspec.to_builtins(row) for row in self.figures.rows]

    def __repr__(self) -> str:
        return self.table()


def load(benchmark: str | Path | Benchmark) -> Benchmark:
    """A benchmark's folder, or a published benchmark as NAME[:SOURCE]."""
    return benchmark if isinstance(benchmark, Benchmark) else published.open(str(benchmark))


def evaluate(
    benchmark: str | Path | Benchmark,
    model: str | None = None,
    *,
    respond: Respond | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> RunReport:
    """Scores a model as `harness eval` does, or a function.

    `respond` gets the messages of one prompt in the format of OpenAI's API, with images as data URIs, and
    returns the text of the response. An exception in it is a failed request. With `respond`, `model` is the
    name in reports. `out` is the folder of the run, in which the same call resumes; without it, no file
    remains.
    """
    benchmark = load(benchmark)
    if respond is None:
        if model is None:
            raise UserError("model: expected a model such as hf:PATH, or a function as respond, got neither")
        request, backend = _request(EvalRequest, settings, model=model), None
        if out is None and request.endpoint.batch:
            raise UserError("out: expected a folder, in which a batch can be resumed, got none")
    else:
        if inspect.iscoroutinefunction(respond):
            raise UserError(
                "respond: expected a function that returns the text, got one with async; use `def`"
            )
        name = str(model or getattr(respond, "__name__", type(respond).__name__))
        request = _request(EvalRequest, settings, model=external_model(name))
        backend = FromFunction(benchmark, respond)
    with _folder(out) as folder:
        return RunReport(runs.evaluate(benchmark, request, folder, backend))


def score(
    benchmark: str | Path | Benchmark,
    responses: str | Path | Iterable[Mapping[str, Any]],
    *,
    model: str,
    out: str | Path | None = None,
    **settings: Any,
) -> RunReport:
    """Scores responses that were generated elsewhere, as `harness score` does.

    `responses` is the file, or dictionaries with the same fields as its lines.
    """
    request = _request(ScoreRequest, settings, model=model)
    if isinstance(responses, str | Path):
        source = str(responses)
        lines: external.Lines = store.Lines(Path(responses), ResponseLine)
    elif not isinstance(responses, Iterable):
        raise UserError(f"responses: expected the path of a file, or dictionaries, got {responses!r}")
    else:
        source, lines = "responses", list(map(_line, responses))
    with _folder(out) as folder:
        return RunReport(external.score_responses(load(benchmark), request, lines, source, folder))


def prompts(
    benchmark: str | Path | Benchmark, *, inline: bool = True, **settings: Any
) -> Iterator[dict[str, Any]]:
    """The prompts that `harness prompts` writes, as dictionaries with id, prompt_sha256 and messages."""
    return external.prompt_lines(load(benchmark), _request(PromptRequest, settings), inline)


def _line(response: Mapping[str, Any]) -> ResponseLine:
    try:
        return msgspec.convert(response, ResponseLine)
    except msgspec.ValidationError as error:
        name = response.get("id") if isinstance(response, Mapping) else response
        raise UserError(f"responses: {name!r}: {mistake(error, ResponseLine, 'a dictionary')}") from error


def _request(type_: Callable[..., Any], settings: Mapping[str, Any], **values: Any) -> Any:
    """A request with these values and settings. A setting is one of its fields, or of the fields in PARTS."""
    if isinstance(chosen := settings.get("variants"), list | tuple):
        settings = {**settings, "variants": ",".join(map(str, chosen))}
    own = get_type_hints(type_)
    parts = {name: own.pop(name) for name in PARTS if name in own}
    of_parts = {name: get_type_hints(part) for name, part in parts.items()}
    types = ChainMap(own, *of_parts.values())
    known = types.keys() - values.keys()
    if unknown := settings.keys() - known:
        raise UserError(f"{min(unknown)}: expected one of the settings {', '.join(sorted(known))}")
    for name, value in {**values, **settings}.items():
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise UserError(f"{name}: {mistake(error, types[name])}") from error
    for name, fields in of_parts.items():
        values[name] = parts[name](**{field: settings[field] for field in settings.keys() & fields.keys()})
    return type_(**values, **{name: settings[name] for name in settings.keys() & own.keys()})


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        if not isinstance(out, str | Path):
            raise UserError(f"out: expected the path of a folder, got {out!r}")
        yield Path(out)
        return
    with tempfile.TemporaryDirectory() as temporary:
        try:
            yield Path(temporary) / "run"
        except runs.AllFailed as failed:  # nobody can run it again in this folder
            raise UserError(failed.reason) from None
