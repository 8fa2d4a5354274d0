"""The base class of export formats: how a row becomes the columns of one tool, and which files it needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.export.parquet import DATA, IMAGES, TEXT, Feature, Values, all_shards, shard
from harness.export.rows import Row, images_in, marked
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.variants import VARIANTS

# From the parts of a prompt to its images, in order, as `datasets` stores them.
Pictures = Callable[[Sequence[Part]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Column:
    """The type of a column, and what it contains."""

    feature: Feature
    contents: str


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a variant and a split, after they were written."""

    variant: str
    split: str
    rows: int
    shards: int
    # The most images of a prompt.
    images: int
    # Whether all answers are known and short, such as "Case 1".
    is_closed: bool

    @property
    def pattern(self) -> str:
        """The pattern of the paths of its files in the export."""
        return f"{DATA}/{self.variant}/{all_shards(self.split)}"

    @property
    def files(self) -> list[str]:
        """These paths."""
        return [f"{DATA}/{self.variant}/{shard(self.split, number)}" for number in range(self.shards)]


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, for the files that come with it."""

    benchmark: Benchmark
    out: Path
    tables: Sequence[Table]

    @property
    def name(self) -> str:
        """A name for this benchmark's tasks and packages, in lower case with underscores."""
        return dataset_name(self.benchmark.manifest.family, self.benchmark.manifest.digest)


def dataset_name(family: str, digest: str) -> str:
    return f"{family}_{digest[:8]}".replace("-", "_")


class Format(ABC):
    """What one tool wants."""

    # The tool, with the part of it that opens the files.
    title: ClassVar[str]
    # How to use the export, in Markdown; {out} is its folder and {name} the name of the benchmark.
    usage: ClassVar[str]
    # Trainers need only the prompts without a policy.
    variants: ClassVar[Sequence[str]] = tuple(VARIANTS)
    columns: ClassVar[Mapping[str, Column]]

    @abstractmethod
    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        """The columns of the row with this number in its table."""

    def files(self, export: Export) -> Mapping[str, str]:
        """The text files that the tool needs besides the data and the card, by path."""
        return {}


class Questions(Format):
    """Columns for evaluators: the prompt as text with placeholders for its images."""

    columns: ClassVar[Mapping[str, Column]] = {
        "id": Column(
            TEXT, "identifies prompt and benchmark; `harness score` accepts responses under this id"
        ),
        "policy": Column(TEXT, "the policy that governs the answer"),
        "question": Column(TEXT, "the prompt; each `<image>` stands for the next image"),
        "images": Column(IMAGES, "the images of the prompt"),
        "answer": Column(TEXT, "the correct answer"),
        "gold": Column(TEXT, "a complete correct response with its reasoning"),
        "answer_key": Column(TEXT, "what `harness.grade(answer_key, response)` needs"),
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        return {
            "id": row.id,
            "policy": row.policy,
            "question": marked(row.prompt),
            "images": pictures(row.prompt),
            "answer": row.answer,
            "gold": row.gold,
            "answer_key": row.answer_key,
        }


def copied(package: str, name: str) -> str:
    """The text of a file in the folder of a format."""
    return (Path(__file__).parent / "tools" / package / name).read_text(encoding="utf-8")


def images_count(row: Row) -> int:
    return len(images_in(row.prompt))
