"""Tasks for Inspect: samples with images, and a scorer that grades as the harness does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate

from harness.answer_key import grade
from harness.errors import UserError
from harness.export.parquet import read_rows
from harness.export.rows import IMAGE, Row, rows
from harness.export.tools.hub import data_uri
from harness.export.write import Loader
from harness.files.benchmark import Benchmark
from harness.import_log.inspect import response_text

KEY = "answer_key"


def exported_task(folder: Path, variant: str, split: str) -> Task:
    """The task of an export."""
    return _task(map(_exported_sample, read_rows(folder, variant, split)), folder.name)


def benchmark_task(benchmark: Benchmark, variant: str, split: str, limit: int | None = None) -> Task:
    """The task of a benchmark's folder."""
    pictures = Loader(benchmark)
    samples = (_sample(row, pictures) for row in rows(benchmark, variant, split, limit))
    return _task(samples, benchmark.folder.name)


def _task(samples: Iterable[Sample], name: str) -> Task:
    dataset = MemoryDataset(list(samples), name=name)
    if not len(dataset):
        raise UserError("variant: expected one for which the split has questions")
    return Task(dataset=dataset, solver=generate(), scorer=policy_accuracy())


def _sample(row: Row, pictures: Loader) -> Sample:
    uris = (data_uri(image["bytes"], image["path"]) for image in pictures(row.prompt))
    content = [
        ContentText(text=part.value) if part.kind == "text" else ContentImage(image=next(uris))
        for part in row.prompt
    ]
    return _as_sample(row.id, content, row.answer, row.answer_key)


def _exported_sample(row: dict[str, Any]) -> Sample:
    first, *others = row["question"].split(IMAGE)
    content: list[ContentText | ContentImage] = [ContentText(text=first)]
    for image, text in zip(row["images"], others, strict=True):
        content += [ContentImage(image=data_uri(image["bytes"], image["path"])), ContentText(text=text)]
    shown = [part for part in content if not isinstance(part, ContentText) or part.text]
    return _as_sample(row["id"], shown, row["answer"], row[KEY])


def _as_sample(id_: str, content: Sequence[Any], answer: str, key: str) -> Sample:
    message = ChatMessageUser(content=list(content))
    return Sample(id=id_, input=[message], target=answer, metadata={KEY: key})


@scorer(metrics=[accuracy(), stderr()])
def policy_accuracy() -> Scorer:
    """The grade of a response, from 0 to 1; unscored if it cannot be graded."""

    async def score(state: TaskState, _: Target) -> Score:
        content = state.output.message.content
        text = response_text(content if isinstance(content, str) else [c.model_dump() for c in content])
        graded = grade(state.metadata[KEY], text)
        if graded.value is None:
            return Score.unscored(explanation=graded.reason)
        return Score(value=graded.value, explanation=graded.reason)

    return score
