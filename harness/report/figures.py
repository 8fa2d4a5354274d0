"""From results to the report: figures as JSON, tables for the terminal, and the HTML page."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import kinds, store
from harness.files.kinds import RESPONSES
from harness.judge.summary import Judgement
from harness.metrics import metric
from harness.records import BatchCheck, Distribution, Json, Report, ReportRow, Run, Session, Usage
from harness.report import prices
from harness.report.page import by_metric, is_headline, render_page, unit
from harness.report.text import fitting_table, left_out_note, terminal_table
from harness.results import Results
from harness.stats.usage import UsageSums

# The columns of scores that a terminal shows even if it is too narrow for them.
MAIN = "run", "variant", "metric", "score", "95 % interval"


def make_report(
    run: Run,
    backend: Json,
    results: Results,
    prompts_per_variant: int,
    check: BatchCheck | None,
    sessions: Sequence[Session],
) -> Report:
    """All installed metrics over the results. `prompts_per_variant` includes prompts that were skipped."""
    members = dict(results.by_variant())
    sums = {variant.name: results.sums[variant.name] for variant in members}
    seconds = sum(session.seconds for session in sessions)
    figures = list(metric.measure(results))
    skipped = {v.name: prompts_per_variant - len(found) for v, found in members.items()}
    return Report(
        run=run,
        backend=backend,
        versions={
            "policy-internalization": version("policy-internalization"),
            "python": platform.python_version(),
        },
        rows=tuple(f for f in figures if isinstance(f, ReportRow)),
        skipped={name: count for name, count in skipped.items() if count},
        usage=tuple(_usage(name, of_variant, check) for name, of_variant in sums.items()),
        requests_per_second=sum(s.requests for s in sessions) / seconds if seconds else None,
        batch_check=check,
        distributions=tuple(f for f in figures if isinstance(f, Distribution)),
        scorer=results.benchmark.scorer(run.split),
        available=sum(results.benchmark.parts(run.split).values()) if run.limit is not None else None,
        cost=prices.cost(run.model, (results.response(scored.key) for scored in results.scored)),
        served_models=tuple(sorted(set[str]().union(*(one.served_models for one in sums.values())))),
        failures=tuple(results.failure_messages()),
    )


def _usage(variant: str, sums: UsageSums, check: BatchCheck | None) -> Usage:
    alone = check.prefill_seconds if check is not None else {}
    return Usage(
        variant=variant,
        requests=sums.requests,
        prompt_tokens=sums.mean("prompt_tokens"),
        cached_tokens=sums.mean("cached_tokens"),
        completion_tokens=sums.mean("completion_tokens"),
        prefill_seconds=alone.get(variant, sums.mean("prefill_seconds") if sums.single else None),
        seconds=sums.mean("seconds"),
    )


def write_report(report: Report, results: Results, out: Path) -> None:
    """Writes report.html and report.json. The page includes the judgements that are in the folder so far."""
    judgements = [store.read_json(file, Judgement) for file in sorted(out.glob("judgement.*.json"))]
    page = render_page(report, results, judgements).encode(errors="replace")
    store.write(out / "report.html", page)
    store.write_json(out / "report.json", report)


def read_report(run: Path) -> Report:
    """The report of a finished run. Raises UserError if its responses were changed since they were scored."""
    again = "run the same command again"
    if not (run / "report.json").is_file():
        kinds.require(run, kinds.RUN)
        raise UserError(f"{run}: unfinished: {again} to complete it")
    report = store.read_json(run / "report.json", Report)
    responses = run / RESPONSES
    if report.responses_sha256 and responses.is_file() and store.sha256(responses) != report.responses_sha256:
        raise UserError(f"{responses}: changed since it was scored; {again} to score it")
    return report


def table(reports: Mapping[str, Report], width: int | None = None) -> str:
    """The figures of one or more runs for the terminal: scores first, then all other metrics.

    With a width in characters, it has as many columns as fit, and names the others.
    """
    benchmarks = {
        name: f"{benchmark_name(report.run)} {report.run.split}" for name, report in reports.items()
    }
    if len(set(benchmarks.values())) > 1:
        reports = {f"{name} on {benchmarks[name]}": report for name, report in reports.items()}
    head = (*MAIN, "chance", "majority", "n", "unparsed", "truncated", "failed")
    scores, left_out = fitting_table(head, list(_scores(reports)), 3, width, MAIN, ("n", "failed"))
    variants = list(dict.fromkeys(v for report in reports.values() for v in report.run.variants))
    others = list(_others(reports, variants))
    sections = [scores]
    if others:
        sections.append(terminal_table(("run", "metric", *variants), others, 2, width))
    if left_out:
        sections.append(left_out_note(left_out))
    return "\n\n".join(sections)


def differences(reports: Mapping[str, Report]) -> Iterator[str]:
    """A sentence for each setting in which runs on the same benchmark differ."""
    on: dict[tuple[str, str], dict[str, Report]] = {}
    for name, report in reports.items():
        on.setdefault((benchmark_name(report.run), report.run.split), {})[name] = report
    for (benchmark, _), members in on.items():
        settings = {name: _settings(report) for name, report in members.items()}
        for setting in dict.fromkeys(key for found in settings.values() for key in found):
            names: dict[str, list[str]] = {}
            for name, found in settings.items():
                if setting in found:  # the seed has no effect at temperature 0
                    names.setdefault(str(found[setting]), []).append(name)
            if len(names) > 1:
                listed = (
                    f"{v} ({', '.join(n) if len(n) < 4 else f'{len(n)} runs'})" for v, n in names.items()
                )
                yield f"the runs on {benchmark} differ in {setting}: {', '.join(listed)}"


def _settings(report: Report) -> dict[str, Any]:
    """What determines the questions and the scores, besides model and variants."""
    run = report.run
    everything = run.limit is None or (report.available is not None and run.limit >= report.available)
    without_effect = {"batch_size"} if run.sampling.get("temperature") else {"batch_size", "top_p", "seed"}
    sampling = {k.replace("_", " "): v for k, v in run.sampling.items() if k not in without_effect}
    fixed = {"their questions (digest)": run.digest[:12], "limit": "none" if everything else run.limit}
    return fixed | {"samples": run.samples, "scorer": report.scorer} | sampling


def benchmark_name(run: Run) -> str:
    """The name of the benchmark's folder, without the digest that a converted benchmark has at its end."""
    return re.sub(r"-[0-9a-f]{16}$", "", Path(run.benchmark).name)


def _scores(reports: Mapping[str, Report]) -> Iterator[tuple[str, ...]]:
    for name, report in reports.items():
        for row in by_metric([row for row in report.rows if not row.group and is_headline(row)]):
            shown = unit(row)
            figures = shown.format(row.mean), shown.interval(row.low, row.high)
            references = shown.format(row.chance), shown.format(row.majority)
            counts = map(str, (row.n, row.unparsed, row.truncated, row.errors))
            yield name, row.variant, metric.with_unit(row.label), *figures, *references, *counts


def _others(reports: Mapping[str, Report], variants: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A line for each metric and a column for each variant, because there are many metrics."""
    for name, report in reports.items():
        rows = [row for row in report.rows if not row.group and not is_headline(row)]
        found = {(row.label, row.variant): row for row in rows}
        for label in dict.fromkeys(row.label for row in rows):
            means = [found[label, v].mean if (label, v) in found else None for v in variants]
            if any(mean is not None for mean in means):
                yield name, metric.with_unit(label), *map(metric.find(label).unit.format, means)
