"""What k samples of an instance come to: all right (pass^k), any right (pass@k), and their majority's answer.

Only for runs with several samples. The interval's unit is the instance. Where samples are missing because
their requests failed, pass^k is known only if another is wrong, and pass@k only if another is right. Votes
are taken where the benchmark's own answers are boxed, as policies ask for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.metrics import looked_up, mean_row
from harness.parsing import boxed, plain
from harness.records import ReportRow
from harness.results import Result, Results


def samples(results: Results) -> list[ReportRow]:
    rows = []
    for variant, members in results.by_variant():
        drawn: dict[str, list[Result]] = {}
        for result in members:
            drawn.setdefault(result.instance.id, []).append(result)
        k = max(map(len, drawn.values()))
        if k == 1:
            continue
        measures = {f"pass^{k}": every, f"pass@{k}": some}
        if boxed(results.benchmark.family.respond(members[0].instance.target)) is not None:
            measures[f"majority of {k}"] = majority
        for name, measure in measures.items():
            values = {found[0].score.key: measure(found) for found in drawn.values()}
            row = mean_row(variant, name, [found[0] for found in drawn.values()], looked_up(values))
            rows.append(replace(row, unparsed=0, truncated=0, errors=len(drawn) - row.n))
    return rows


def every(found: Sequence[Result]) -> float | None:
    """Whether all samples of an instance are wholly right."""
    values = [r.score.value for r in found]
    if any(value is not None and value < 1 for value in values):
        return 0.0
    return None if None in values else 1.0


def some(found: Sequence[Result]) -> float | None:
    """Whether any of them is."""
    values = [r.score.value for r in found]
    return 1.0 if 1.0 in values else None if None in values else 0.0


def majority(found: Sequence[Result]) -> float | None:
    """The score of the answer that most samples give, of the earliest among equals; 0 where none is read."""
    answered = [r for r in found if r.response.text is not None]
    votes = Counter(answer for r in answered if (answer := _answer(r)))
    if not votes:
        return 0.0 if answered else None
    chosen, _ = votes.most_common(1)[0]
    return next(r.score.value for r in answered if _answer(r) == chosen)


def _answer(result: Result) -> str:
    return plain(boxed(result.response.text or "") or "")
