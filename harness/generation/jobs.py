"""Runs jobs that write files, in worker processes; can resume after a kill at any moment.

    command                                            workers
    read .progress.jsonl of a block, keep each result
    whose files still have their sha256
    submit batches of jobs without a result  ------->  run each job, write its files
    append the results to .progress.jsonl  <---------  JobResult: the sha256 of its files, its record

A kill loses only the batches that are running; the next command runs them again. What a job writes depends
only on the job, so the results depend neither on the number of workers nor on the order of the jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from harness.engine import Engine
from harness.files import store
from harness.files.benchmark import PROGRESS, require_begun
from harness.progress import Bar

# Jobs of a task: it takes long compared with sending it, and a kill loses little.
BATCH = 8
# Of a job that adds no record to the benchmark.
NO_RECORD = msgspec.Raw(b"null")


class Job(Protocol):
    """A part of a benchmark that can be generated without the others. It can be pickled."""

    @property
    def name(self) -> str:
        """Unique within its block."""

    def run(self, alone: bool) -> tuple[Mapping[str, bytes], msgspec.Raw]:
        """The content of its files, by path within the benchmark, and its record as JSON.

        `alone` says whether no other worker runs at the same time.
        """


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job that was run."""

    job: str
    # The sha256 of its files, by path within the benchmark.
    files: Mapping[str, str]
    record: msgspec.Raw

    @property
    def has_record(self) -> bool:
        return bytes(self.record) != bytes(NO_RECORD)


@dataclass(frozen=True, slots=True)
class JobBlock:
    """The jobs of one block, which have a log of their own."""

    # Relative to the benchmark's folder and ending in "/", or empty.
    folder: str
    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A task of a worker."""

    out: Path
    folder: str
    jobs: Sequence[Job]
    alone: bool


def run_jobs(out: Path, jobs: Sequence[Job], engine: Engine, unit: str) -> list[JobResult]:
    """Runs the jobs of a benchmark without blocks. Returns their results in the order of the jobs."""
    ((_, results),) = run_blocks(out, [JobBlock("", jobs)], len(jobs), engine, unit)
    return results


def run_blocks(
    out: Path, blocks: Iterable[JobBlock], total: int, engine: Engine, unit: str
) -> Iterator[tuple[str, list[JobResult]]]:
    """Runs the jobs that have no result yet.

    Yields the folder of each block as soon as it is complete, with the results of all its jobs in the order
    of the jobs. `total` is the number of all jobs, and `unit` says what they generate, in plural.
    """
    # The blocks of which a batch is waiting or running.
    started: dict[str, _Progress] = {}
    with Bar(total=total, desc=unit, unit="") as bar:

        def batches() -> Iterator[_Batch]:
            submitted = 0
            for block in blocks:
                progress = started[block.folder] = _Progress(out, block)
                missing = progress.missing()
                bar.update(len(block.jobs) - len(missing))
                # Smaller batches if there would be fewer than two for each worker.
                largest = min(BATCH, len(missing) // (2 * engine.workers) + 1)
                while missing:
                    # The first batches are small, so that the bar soon knows the time left.
                    size = min(largest, submitted // engine.workers + 1)
                    yield _Batch(out, block.folder, missing[:size], alone=engine.workers == 1)
                    missing, submitted = missing[size:], submitted + 1

        def complete() -> Iterator[tuple[str, list[JobResult]]]:
            for folder in [folder for folder, progress in started.items() if progress.is_complete]:
                yield folder, started.pop(folder).results()

        for folder, results in engine.map(_run_batch, batches()):
            started[folder].add(results)
            bar.update(len(results))
            yield from complete()
        yield from complete()  # those of which nothing was missing


class _Progress:
    """The results of a block so far."""

    def __init__(self, out: Path, block: JobBlock) -> None:
        """Reads the results of an interrupted command whose files are intact."""
        self.out, self.block = out, block
        self._log = store.Log(out / block.folder / PROGRESS, JobResult)
        names = {job.name for job in block.jobs}
        results: list[JobResult] = self._log.read()
        self._results = {r.job: r for r in results if r.job in names and self._is_intact(r)}

    @property
    def is_complete(self) -> bool:
        return len(self._results) == len(self.block.jobs)

    def missing(self) -> list[Job]:
        return [job for job in self.block.jobs if job.name not in self._results]

    def add(self, results: Sequence[JobResult]) -> None:
        self._log.append(results)
        self._results |= {result.job: result for result in results}

    def results(self) -> list[JobResult]:
        return [self._results[job.name] for job in self.block.jobs]

    def _is_intact(self, result: JobResult) -> bool:
        return all(
            (path := self.out / name).is_file() and store.sha256(path) == sha256
            for name, sha256 in result.files.items()
        )


def _run_batch(batch: _Batch) -> tuple[str, list[JobResult]]:
    require_begun(batch.out)
    results = []
    for job in batch.jobs:
        files, record = job.run(batch.alone)
        for name, data in files.items():
            path = batch.out / name
            with store.writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            store.write(path, data)
        sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        results.append(JobResult(job.name, sha256, record))
    return batch.folder, results
