"""Divides a large benchmark into blocks, which are generated and stored independently.

    for all missing blocks                  plan them
    for all of them together                run the jobs that are missing in worker processes (jobs.py)
    for each block that is complete         write its records and its manifest
    if all blocks are complete              write the benchmark's manifest

What a block contains depends only on the configuration and its number, so blocks can be generated in any
order and on any machine. An interrupted command, when it is rerun, skips complete blocks, and continues with
the missing jobs of the others. Several commands may generate different blocks of one benchmark at the same
time. A small benchmark is one block without a folder of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from harness.engine import BlocksConfig, Engine, Local
from harness.errors import UserError
from harness.files import benchmark
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.generation.jobs import Job, JobBlock, JobResult, run_blocks

# The most instances of a block, unless a family cannot divide them further.
BLOCK = 25_000


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a benchmark."""

    number: int
    # Relative to the benchmark's folder and ending in "/"; empty for the only block of a benchmark.
    folder: str
    # By split: which instances it contains.
    numbers: Mapping[str, range]

    @property
    def facts(self) -> dict[str, str]:
        """What the facts of the block's instances contain (harness.records.Instance.block)."""
        return {"block": self.folder} if self.folder else {}


B = TypeVar("B", bound=Block)


def block_folder(number: int, count: int) -> str:
    """The folder of a block of a benchmark with this number of blocks."""
    return f"blocks/{number:06d}/" if count > 1 else ""


def share(sizes: Mapping[str, int], part: int, parts: int) -> dict[str, range]:
    """The instances of one of several equal parts, by split, given the size of each split."""
    return {split: range(n * part // parts, n * (part + 1) // parts) for split, n in sizes.items()}


class Generator(ABC, Generic[B]):
    """What a family defines to generate a benchmark in blocks."""

    spec: BenchmarkSpec
    # The number of blocks.
    count: int
    # What the jobs generate, in plural.
    unit: str

    @abstractmethod
    def block(self, number: int) -> B:
        """The block with this number, from 0 to count - 1."""

    def plan(self, out: Path, blocks: Sequence[B], engine: Engine) -> int:
        """Prepares blocks in the benchmark's folder. Returns the number of their jobs."""
        return sum(len(self.jobs(out, block)) for block in blocks)

    @abstractmethod
    def jobs(self, out: Path, block: B) -> Sequence[Job]:
        """The jobs of a planned block."""

    @abstractmethod
    def write(self, out: Path, block: B, results: Sequence[JobResult]) -> None:
        """Writes the records of a block, given the results of its jobs in their order."""


def generate(out: Path, generator: Generator[B], engine: Engine, chosen: range) -> Manifest | None:
    """Generates the blocks of a benchmark with these numbers. Returns None if others are not complete."""
    spec = generator.spec
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        blocks = {block.folder: block for block in map(generator.block, range(generator.count))}
        missing = [b for b in blocks.values() if b.number in chosen]
        missing = [b for b in missing if not benchmark.block_manifest(out, spec, b.folder)]
        total = generator.plan(out, missing, engine)
        waiting = (JobBlock(block.folder, generator.jobs(out, block)) for block in missing)
        for folder, results in run_blocks(out, waiting, total, engine, generator.unit):
            generator.write(out, blocks[folder], results)
            known = {path: sha256 for result in results for path, sha256 in result.files.items()}
            manifest = benchmark.seal(out, spec, block=folder, known=known)
        return benchmark.join(out, spec, blocks) if generator.count > 1 else manifest


def generate_all(out: Path, generator: Generator[B], workers: int) -> Manifest:
    """Generates a benchmark in processes of this machine, or resumes it."""
    with Local(workers) as engine:
        manifest = generate(out, generator, engine, range(generator.count))
    assert manifest is not None
    return manifest


def generate_chosen(out: Path, generator: Generator[B], config: BlocksConfig) -> str:
    """Generates the blocks that a command names. Returns what it prints."""
    chosen = parse_blocks(config.blocks, generator.count)
    with config.open(config.workers) as engine:
        manifest = generate(out.resolve(), generator, engine, chosen)
    if manifest is None:
        return f"{out}: blocks {chosen.start}:{chosen.stop} of {generator.count} are complete"
    return benchmark.summary(out, manifest)


def parse_blocks(text: str | None, count: int) -> range:
    """The numbers of the blocks FIRST:END; all for None. Raises UserError unless some of count blocks."""
    try:
        first, end = (0, count) if text is None else map(int, text.split(":"))
    except ValueError:
        first = end = -1
    if not 0 <= first < end <= count:
        raise UserError(
            f"blocks: expected FIRST:END, such as 0:1, within 0:{count} for this configuration, got {text}"
        )
    return range(first, end)
