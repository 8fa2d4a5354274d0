"""The command `harness import-log`: makes a run of the logs of another evaluator.

    harness export BENCH OUT --for inspect      each row has the id that `harness prompts` gives it
    inspect eval OUT/policy.py ...              the log keeps the id with each response
    harness import-log BENCH LOG --out RUN      the responses are scored as by `harness score`

The ids say which variants and which split were asked. Model and sampling are what the log says of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.backends import Decoding
from harness.errors import UserError
from harness.external import ResponseLine, score_responses
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.import_log import inspect, lm_eval
from harness.import_log.log import Log
from harness.records import Report
from harness.request import ImportRequest, ScoreRequest
from harness.variants import VARIANTS


def import_logs(benchmark: Benchmark, paths: Sequence[Path], request: ImportRequest, out: Path) -> Report:
    """Scores the responses of logs, and writes the same files as `harness eval`.

    Each path is a log or a folder of logs, which together have one response for each prompt. Raises UserError
    if they are not of the benchmark, or if they do not agree.
    """
    if not paths:
        raise UserError("logs: expected one or more logs, got none")
    with TemporaryDirectory(prefix="import-log-") as folder:
        # Scoring reads the responses by number. In memory is at most one log at a time.
        copied = Path(folder) / RESPONSES
        logs: list[Log] = []

        def responses() -> Iterator[ResponseLine]:
            for path in paths:
                for log in _read(path):
                    yield from log.responses
                    logs.append(replace(log, responses=iter(())))

        store.write_lines(copied, responses())
        lines = store.Lines(copied, ResponseLine)
        score_request = ScoreRequest(
            model=request.model or _common(logs, "model"),
            sampling=_sampling(logs, request),
            limit=request.limit,
            **_asked(benchmark, lines, ", ".join(log.source for log in logs)),
        )
        return score_responses(benchmark, score_request, lines, ", ".join(map(str, paths)), out)


def _read(path: Path) -> Iterator[Log]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a log of Inspect, lmms-eval or lm-eval")
    if path.is_file() and path.match(lm_eval.SAMPLES):
        yield lm_eval.read(path)
        return
    if path.is_file() and path.suffix in inspect.SUFFIXES:
        yield inspect.read(path)
        return
    files = sorted(path.rglob("*.eval")) or lm_eval.sample_files(path) or sorted(path.glob("*.json"))
    if not files:
        got = "another file" if path.is_file() else "none"
        raise UserError(
            f"{path}: expected logs named *.eval, *.json or {lm_eval.SAMPLES}, got {got}; `harness score` "
            "reads the responses of other programs"
        )
    for file in files:
        yield from _read(file)


def _common(logs: Sequence[Log], name: str) -> Any:
    """What all logs say of this, or None if one does not say it. Raises UserError if they differ."""
    values = {getattr(log.settings, name): log.source for log in logs}
    if len(values) > 1:
        found = " and ".join(f"{value} in {source}" for value, source in values.items())
        raise UserError(f"{name}: expected the same in all logs, got {found}; import them one by one")
    return next(iter(values))


def _sampling(logs: Sequence[Log], request: ImportRequest) -> Decoding:
    values = {name: getattr(request, name) for name in ("max_new_tokens", "temperature", "top_p", "seed")}
    known = {name: _common(logs, name) if given is None else given for name, given in values.items()}
    for name in ("max_new_tokens", "temperature"):
        if known[name] is None:
            raise UserError(f"{name}: {logs[0].source} does not say it; give what the model was run with")
    return Decoding(**{name: value for name, value in known.items() if value is not None})


def _asked(benchmark: Benchmark, lines: Iterable[ResponseLine], source: str) -> Mapping[str, Any]:
    """The variants, the split and the number of samples that the responses are of.

    The split is that of the first response. To score them, all must be of it.
    """
    variants, samples, first = set(), set(), ""
    for line in lines:
        variant, _, rest = line.id.partition("/")
        sample, _, rest = rest.partition("/")
        if not rest:
            raise UserError(f"{source}: expected the ids of `harness export`, got {line.id!r}")
        variants.add(variant)
        samples.add(sample)
        first = first or rest.rpartition("/")[0]
    if not first:
        raise UserError(f"{source}: expected responses, got none")
    instances = benchmark.find([first])
    if not instances:
        raise UserError(f"{source}: expected responses to {benchmark.folder}, got one to {first}")
    return {
        "variants": ",".join(name for name in VARIANTS if name in variants),
        "split": instances[first].split,
        "samples": len(samples),
    }
