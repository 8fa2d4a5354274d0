"""From results to the report: figures as JSON, a table for the terminal, and the HTML page."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from harness.files import store
from harness.judge.summary import Judgement
from harness.metrics import SCORES, measure
from harness.records import BatchCheck, Distribution, Json, Report, ReportRow, Response, Run, Session, Usage
from harness.report import prices
from harness.report.page import by_metric, percent, render_page
from harness.results import Results


def make_report(
    run: Run,
    backend: Json,
    results: Results,
    possible: int,
    check: BatchCheck | None,
    sessions: Sequence[Session],
) -> Report:
    """All installed metrics over the results; possible is how many prompts each variant could have had."""
    members = dict(results.by_variant())
    seconds = sum(session.seconds for session in sessions)
    figures = list(measure(results))
    return Report(
        run=run,
        backend=backend,
        versions={
            "policy-internalization": version("policy-internalization"),
            "python": platform.python_version(),
        },
        rows=tuple(f for f in figures if isinstance(f, ReportRow)),
        skipped={v.name: possible - len(found) for v, found in members.items() if len(found) < possible},
        usage=tuple(_usage(v.name, [r.response for r in found], check) for v, found in members.items()),
        requests_per_second=sum(s.requests for s in sessions) / seconds if seconds else None,
        batch_check=check,
        distributions=tuple(f for f in figures if isinstance(f, Distribution)),
        scorer=results.benchmark.family.scorer,
        cost=prices.cost(run.model, (r.response for r in results.results)),
    )


def _usage(variant: str, responses: Sequence[Response], check: BatchCheck | None) -> Usage:
    def mean(values: Iterable[float | None]) -> float | None:
        told = [value for value in values if value is not None]
        return sum(told) / len(told) if told else None

    alone = check.prefill_seconds if check is not None else {}
    return Usage(
        variant=variant,
        requests=len(responses),
        prompt_tokens=mean(r.prompt_tokens for r in responses),
        cached_tokens=mean(r.cached_tokens for r in responses),
        completion_tokens=mean(r.completion_tokens for r in responses),
        prefill_seconds=alone.get(variant, mean(r.prefill_seconds for r in responses)),
        seconds=mean(r.seconds / r.batch if r.seconds is not None else None for r in responses),
    )


def write_report(report: Report, results: Results, out: Path) -> None:
    """The page also shows what judges have said of the run so far, in the files beside it."""
    judgements = [store.read_json(file, Judgement) for file in sorted(out.glob("judgement.*.json"))]
    page = render_page(report, results, judgements).encode()
    store.write(out / "report.html", page)
    store.write_json(out / "report.json", report)


def table(reports: Mapping[str, Report]) -> str:
    """The whole-run rows of one or more reports for the terminal: scores, then what else was measured."""
    scores, others = list(_scores(reports)), list(_others(reports))
    return "\n\n".join(
        _aligned(lines, texts) for lines, texts in ((scores, 3), (others, 2)) if len(lines) > 1
    )


def _scores(reports: Mapping[str, Report]) -> Iterator[tuple[str, ...]]:
    head = "run,variant,metric,score,95 % interval,chance,majority,n,unparsed,truncated,failed"
    yield tuple(head.split(","))
    for name, report in reports.items():
        for row in by_metric([row for row in report.rows if not row.group]):
            if row.metric.startswith(SCORES):
                figures = percent(row.mean), f"{percent(row.low)} to {percent(row.high)}"
                counts = map(str, (row.n, row.unparsed, row.truncated, row.errors))
                references = percent(row.chance), percent(row.majority), *counts
                yield name, row.variant, row.metric, *figures, *references


def _others(reports: Mapping[str, Report]) -> Iterator[tuple[str, ...]]:
    """A line for each metric, a column for each variant: there are many."""
    variants = list(dict.fromkeys(v for report in reports.values() for v in report.run.variants))
    yield "run", "metric", *variants
    for name, report in reports.items():
        rows = [r for r in report.rows if not r.group and not r.metric.startswith(SCORES)]
        means = {(row.metric, row.variant): row.mean for row in rows}
        for metric in dict.fromkeys(row.metric for row in rows):
            yield name, metric, *(percent(means.get((metric, variant))) for variant in variants)


def _aligned(lines: Sequence[tuple[str, ...]], texts: int) -> str:
    """Columns as wide as they need, the first few of them left-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    pads = [str.ljust] * texts + [str.rjust] * (len(widths) - texts)
    return "\n".join(
        "  ".join(pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)).rstrip()
        for line in lines
    )
