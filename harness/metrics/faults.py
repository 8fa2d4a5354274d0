"""Where wrong answers went wrong first, as the family tells: each fault's share of all responses."""

from __future__ import annotations

from harness.metrics import looked_up, mean_row
from harness.records import ReportRow
from harness.results import Result, Results


def faults(results: Results) -> list[ReportRow]:
    """A row for each variant and each fault that occurs under any, so that variants stand side by side."""
    found = {r.score.key: _fault(results, r) for r in results.results}
    labels = sorted({fault for fault in found.values() if fault is not None})
    rows = []
    for variant, members in results.by_variant():
        for label in labels:
            values = {
                r.score.key: None if r.score.value is None else float(found[r.score.key] == label)
                for r in members
            }
            rows.append(mean_row(variant, "faults", members, looked_up(values), "fault", label))
    return rows


def _fault(results: Results, result: Result) -> str | None:
    text, value = result.response.text, result.score.value
    if text is None or value is None or value == 1:
        return None
    return results.benchmark.family_of(result.instance).first_error(result.instance, result.variant, text)
