"""1,008 stored responses of many kinds to two benchmarks, and what the harness scores for them."""

from collections.abc import Iterator
from pathlib import Path

import harness
from harness.export.rows import Row, rows
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Score
from harness.seeds import rng
from harness.variants import VARIANTS


def all_rows(benchmark: Benchmark) -> list[Row]:
    return [row for variant in VARIANTS for row in rows(benchmark, variant, "test", None)]


def responses(benchmark: Benchmark) -> dict[str, str]:
    """By the id of a row, one of a dozen kinds of responses: right, wrong, odd and cut off."""
    found = all_rows(benchmark)
    return {
        row.id: _response(row, found[(index * 7 + 3) % len(found)], index) for index, row in enumerate(found)
    }


def _response(row: Row, other: Row, index: int) -> str:
    thought, _, answer = row.gold.partition("</think>")
    kinds = (
        row.gold,
        other.gold,
        answer,
        f"{thought}</think>\n\nSo the response is {answer}.",
        f"{thought} Perhaps {other.gold.rpartition('</think>')[2]}, but no.</think>{answer}",
        f"{row.gold}<think>\nLet me check",
        thought,
        f"<think>\n{thought.removeprefix('<think>')}</think>\n**{answer}**\n",
        f"Wait, {thought}</think>{answer} or {other.gold.rpartition('</think>')[2]}",
        f"{thought.removeprefix('<think>')}</think>{answer}",
        r"\boxed{}",
        "I cannot see the image. ümlaut 🙂 <image>",
    )
    return kinds[rng(0, "stored", row.id, index).randrange(len(kinds))]


def scores(benchmark: Benchmark, out: Path) -> dict[tuple[str, str], float | None]:
    """Scores the stored responses with the harness: by variant and instance, the value of each."""
    lines = [{"id": id_, "text": text} for id_, text in responses(benchmark).items()]
    harness.score(benchmark, lines, model="stored", out=out)
    return scores_of(out)


def scores_of(run: Path) -> dict[tuple[str, str], float | None]:
    scored = store.read_lines(run / "scores.jsonl", Score)
    return {(score.variant, score.instance): score.value for score in scored}


def key(row_id: str) -> tuple[str, str]:
    """The variant and the instance of a row's id."""
    variant, _, rest = row_id.split("/", 2)
    return variant, rest.rpartition("/")[0]


def texts(run: Path) -> Iterator[str]:
    for line in store.read_lines(run / "responses.jsonl", dict):
        yield line["text"]
