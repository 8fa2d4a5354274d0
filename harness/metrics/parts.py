"""Each named part of a score, such as a recited rule's fields: its mean over the responses that have it."""

from __future__ import annotations

from harness.metrics import looked_up, mean_row
from harness.records import ReportRow
from harness.results import Results


def parts(results: Results) -> list[ReportRow]:
    rows = []
    for variant, members in results.by_variant():
        for name in dict.fromkeys(name for r in members for name in r.score.parts):
            having = [r for r in members if name in r.score.parts or r.response.error is not None]
            values = {r.score.key: r.score.parts.get(name) for r in having}
            rows.append(mean_row(variant, f"part: {name}", having, looked_up(values)))
    return rows
