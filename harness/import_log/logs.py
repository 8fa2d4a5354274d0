"""The command `harness import-log`: makes a run of the logs of another evaluator.

    harness export BENCH OUT --for inspect      each row has the id that `harness prompts` gives it
    inspect eval OUT/policy.py ...              the log keeps the id with each response
    harness import-log BENCH LOG --out RUN      the responses are scored as by `harness score`

The ids say which variants and which split were asked. Model and sampling are what the log says of them.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from harness.backends import Decoding
from harness.errors import UserError
from harness.external import ResponseLine, score_responses
from harness.files.benchmark import Benchmark
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
    logs = [log for path in paths for log in _read(path)]
    lines = list(chain.from_iterable(log.responses for log in logs))
    score_request = ScoreRequest(
        model=request.model or _common(logs, "model"),
        sampling=_sampling(logs, request),
        limit=request.limit,
        **_asked(benchmark, lines, ", ".join(log.source for log in logs)),
    )
    return score_responses(benchmark, score_request, lines, ", ".join(map(str, paths)), out)


def _read(path: Path) -> list[Log]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a log of Inspect, lmms-eval or lm-eval")
    if path.is_file() and path.match(lm_eval.SAMPLES):
        return [lm_eval.read(path)]
    if path.is_file() and path.suffix in inspect.SUFFIXES:
        return [inspect.read(path)]
    files = sorted(path.rglob("*.eval")) or lm_eval.sample_files(path) or sorted(path.glob("*.json"))
    if not files:
        got = "another file" if path.is_file() else "none"
        raise UserError(
            f"{path}: expected logs named *.eval, *.json or {lm_eval.SAMPLES}, got {got}; `harness score` "
            "reads the responses of other programs"
        )
    return [log for file in files for log in _read(file)]


def _common(logs: Sequence[Log], name: str) -> Any:
    """What all logs say of this, or None if one does not say it. Raises UserError if they differ."""
    values = {getattr(log, name): log.source for log in logs}
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


def _asked(benchmark: Benchmark, lines: Sequence[ResponseLine], source: str) -> Mapping[str, Any]:
    """The variants, the split and the number of samples that the responses are of."""
    parts = [line.id.split("/", 2) for line in lines]
    if not parts or any(len(each) != 3 for each in parts):
        raise UserError(
            f"{source}: expected the ids of `harness export`, got {lines[0].id if lines else 'none'!r}"
        )
    variants = dict.fromkeys(variant for variant, _, _ in parts)
    instances = {rest.rpartition("/")[0] for _, _, rest in parts}
    splits = {instance.split for instance in benchmark.find(instances).values()}
    if len(splits) != 1:
        found = f"of the splits {', '.join(sorted(splits))}" if splits else "of another benchmark"
        raise UserError(f"{source}: expected responses to one split of {benchmark.folder}, got some {found}")
    return {
        "variants": ",".join(name for name in VARIANTS if name in variants),
        "split": splits.pop(),
        "samples": len({sample for _, sample, _ in parts}),
    }
