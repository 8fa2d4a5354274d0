"""Which instances are shown: those of a split that pass the filters, a page at a time.

A benchmark can have millions of instances in blocks. So a page is found by reading instances from a position
on until there are enough, and only the blocks that contain them are read.
"""

import bisect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from harness.errors import UserError
from harness.files import kinds, store
from harness.files.benchmark import Benchmark
from harness.records import Instance, Response, Run, Score
from harness.report.figures import read_report
from harness.report.gallery import OUTCOMES, outcome
from harness.results import Result
from harness.sampling import scored_instances
from harness.seeds import rng
from harness.variants import INTERNALIZED, VARIANTS

# Instances of a page.
PAGE = 12
# The most instances that are read for a page. A filter that few instances pass continues on the next page.
MOST_READ = 50_000
NOT_RIGHT = "not right"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a shown instance must have; empty fields are ignored."""

    policy: str = ""
    leaf: str = ""
    # Of its responses, only those under this variant are considered and shown.
    variant: str = ""
    # In its id, question, target or responses, ignoring case.
    text: str = ""
    # Of the response of each run, one of OUTCOMES or NOT_RIGHT.
    outcome: Sequence[str] = ()

    @property
    def any(self) -> bool:
        """Whether some field is not empty."""
        return any([self.policy, self.leaf, self.variant, self.text, *self.outcome])


class Instances(Sequence[Instance]):
    """The instances of a split, each read when it is needed."""

    def __init__(self, benchmark: Benchmark, split: str) -> None:
        parts = benchmark.parts(split)
        self._benchmark, self._parts = benchmark, list(parts)
        self._ends = list(itertools.accumulate(parts.values()))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Instance]: ...
    def __getitem__(self, index: int | slice) -> Instance | Sequence[Instance]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect.bisect_right(self._ends, index)
        before = self._ends[part - 1] if part else 0
        return self._benchmark.instances_of(self._parts[part])[index - before]


@dataclass(frozen=True, slots=True)
class ShownRun:
    """The responses of a run, by instance."""

    name: str
    run: Run
    results: Mapping[str, Sequence[Result]]


def read_runs(benchmark: Benchmark, folders: Sequence[Path]) -> list[ShownRun]:
    """The finished runs in these folders.

    Raises UserError for one of another benchmark, and for one whose responses are not those that were scored.
    """
    names = [folder.resolve().name for folder in folders]
    distinct = len(set(names)) == len(names)
    return [
        _read_run(benchmark, folder, name if distinct else str(folder))
        for folder, name in zip(folders, names, strict=True)
    ]


def _read_run(benchmark: Benchmark, folder: Path, name: str) -> ShownRun:
    kinds.require(folder, kinds.RUN)
    run = read_report(folder).run
    if run.digest != benchmark.manifest.digest:
        raise UserError(
            f"{folder}: expected a run on the benchmark with digest {benchmark.manifest.digest[:12]}…, "
            f"got one on {run.benchmark} with digest {run.digest[:12]}…; name that benchmark"
        )
    instances = {instance.id: instance for instance in scored_instances(benchmark, run)}
    responses = {response.key: response for response in store.Log(folder / kinds.RESPONSES, Response).read()}
    results: dict[str, list[Result]] = {}
    for score in store.read_lines(folder / "scores.jsonl", Score):
        if score.key not in responses:
            raise UserError(
                f"{folder / kinds.RESPONSES}: expected a response for each score, got none to "
                f"{score.instance}; run the same command again"
            )
        if score.instance in instances and score.variant in VARIANTS:
            result = Result(instances[score.instance], VARIANTS[score.variant], responses[score.key], score)
            results.setdefault(score.instance, []).append(result)
    return ShownRun(name, run, results)


class Source:
    """The instances that can be shown: all of a benchmark, or those to which runs have a response."""

    def __init__(self, benchmark: Benchmark, runs: Sequence[ShownRun]) -> None:
        self.benchmark, self.runs = benchmark, runs
        self.splits: dict[str, Sequence[Instance]]
        if runs:
            by_split: dict[str, dict[str, Instance]] = {}
            for run in runs:
                shown = by_split.setdefault(run.run.split, {})
                shown |= {id_: results[0].instance for id_, results in run.results.items()}
            self.splits = {split: list(shown.values()) for split, shown in by_split.items()}
        else:
            splits = sorted(benchmark.splits, key=lambda split: split != "test")
            self.splits = {split: Instances(benchmark, split) for split in splits}

    def results(self, instance: Instance, variant: str = "") -> list[tuple[ShownRun, Result]]:
        """The responses to an instance: all runs for a variant, then those for the next variant."""
        found = [
            (run, result)
            for run in self.runs
            for result in run.results.get(instance.id, ())
            if variant in ("", result.variant.name)
        ]
        order = list(VARIANTS)
        return sorted(found, key=lambda pair: (order.index(pair[1].variant.name), pair[1].score.sample))

    def leaf(self, instance: Instance) -> str:
        """Its leaf or answer; "" for a question about the words of a policy."""
        family = self.benchmark.family
        if self.benchmark.family_of(instance) is not family:
            return ""
        try:
            return family.leaf(instance, INTERNALIZED)
        # A family is third-party code. An instance that it cannot name is still shown.
        except Exception:
            return ""

    def fits(self, instance: Instance, wanted: Filter) -> bool:
        if wanted.policy and instance.policy_id != wanted.policy:
            return False
        if wanted.leaf and self.leaf(instance) != wanted.leaf:
            return False
        if (wanted.variant or any(wanted.outcome)) and not self._fits_outcomes(instance, wanted):
            return False
        return wanted.text.lower().strip() in self.text(instance) if wanted.text else True

    def _fits_outcomes(self, instance: Instance, wanted: Filter) -> bool:
        results = self.results(instance, wanted.variant)
        for run, chosen in zip(self.runs, wanted.outcome, strict=False):
            if chosen and chosen not in outcome_choices(result for of, result in results if of is run):
                return False
        return bool(results)

    def text(self, instance: Instance) -> str:
        """What the text filter searches. It is in lower case as in JavaScript, which has no casefold."""
        texts = [instance.id, instance.target, *(part.value for part in instance.query)]
        texts += [result.response.text or "" for _, result in self.results(instance)]
        return "\n".join(texts).lower()


def outcome_choices(results: Iterable[Result]) -> list[str]:
    """The outcomes by which some of these results are found."""
    found = {outcome(result) for result in results}
    not_right = [NOT_RIGHT] if found - {OUTCOMES[0]} else []
    return not_right + [name for name in OUTCOMES if name in found]


@dataclass(frozen=True, slots=True)
class Selection:
    """The instances of a page, with their positions in the split."""

    found: Sequence[tuple[int, Instance]]
    # The positions that were read: first, and after the last one.
    start: int
    end: int
    total: int


def select(source: Source, split: str, wanted: Filter, position: int, backward: bool = False) -> Selection:
    """The next instances that pass the filter, from a position on, or the last ones before it."""
    instances = source.splits[split]
    total = len(instances)
    position = min(max(position, 0), total)
    if backward:
        positions = range(position - 1, max(-1, position - 1 - MOST_READ), -1)
    else:
        positions = range(position, min(total, position + MOST_READ))
    found: list[tuple[int, Instance]] = []
    read = position
    for index in positions:
        instance = instances[index]
        read = index if backward else index + 1
        if source.fits(instance, wanted):
            found.append((index, instance))
            if len(found) == PAGE:
                break
    if backward:
        return Selection(found[::-1], read, position, total)
    return Selection(found, position, read, total)


def sample(source: Source, limit: int) -> Iterator[tuple[str, int, Instance]]:
    """Random instances with their splits and positions, about equally many of each split."""
    shares = {split: 0 for split, instances in source.splits.items() if instances}
    for _ in range(limit):
        open_splits = [split for split in shares if shares[split] < len(source.splits[split])]
        if open_splits:
            shares[min(open_splits, key=shares.__getitem__)] += 1
    for split, count in shares.items():
        instances = source.splits[split]
        for index in sorted(rng(0, "browse", split).sample(range(len(instances)), count)):
            yield split, index, instances[index]
