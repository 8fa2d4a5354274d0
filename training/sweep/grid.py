"""The TOML file of a sweep, and its cells. A cell is one training run with its scores.

All paths inside a sweep's folder OUT are relative to it, so it can be moved:

    sweep.toml, plan.json             a copy of the file, and what the report needs to know
    base                              the base checkpoint, or a link to it, unless it is on the hub
    data/BENCH/, data/BENCH-cot48/    a benchmark, and its chains of thought
    runs/BENCH/METHOD-cot48/seed0/    a cell: outcome.json, log.txt, train/, test/, recall/, skills/

If the command of a benchmark contains {seed}, each seed has a separate benchmark: data/BENCH-seed0, ...
With several bases, these are bases/NAME, and a folder that depends on one has a level more, such as
runs/BENCH/METHOD-cot48/NAME/seed0/.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.backends import SCRIPTED, Sampling
from harness.request import EvalRequest
from harness.variants import VARIANTS
from training import config
from training.config import Recipe, Stage
from training.cot.config import CotMethod
from training.sequences.dataset import needs_chains

HERE = Path(__file__).parent
SWEEP = "sweep.toml"
# The base model: its untrained cells, and its folder if there is one.
BASE, BASES = "base", "bases"
# Scored on every benchmark for comparison: the base model, the lowest and the highest possible scores.
UNTRAINED = (BASE, *SCRIPTED)
# Folders in a cell. A benchmark cannot have these names.
RESERVED = ("train", "test", "recall", "cloze")
# Accuracies of a cell that learns from chains of thought (coverage.py).
COVERAGE = "coverage.json"


def slug(text: str) -> str:
    """The letters and digits of a text, joined by hyphens: the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


class TomlTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the TOML file. A misspelled key is an error; otherwise it would silently do nothing."""


class MakeCommand(TomlTable, frozen=True):
    """The command line that generates a folder.

    {out} is replaced by the folder. In the command of a benchmark, {seed} is replaced by the seed of the
    training. Intervals over seeds then include the variation between policies.
    """

    make: str

    def folder(self, name: str, seed: int) -> str:
        """Its name in data/."""
        return f"{name}-seed{seed}" if "{seed}" in self.make else name

    def command(self, out: str, seed: int = 0) -> str:
        return self.make.replace("{out}", out).replace("{seed}", str(seed))


BaseSource = str | MakeCommand


class Method(TomlTable, frozen=True):
    """How to train: a recipe and where its chains of thought come from."""

    # A recipe by name or absolute path. None: the recipe with the name of the method.
    recipe: str | None = None
    # The source of chains of thought. If a model writes them, it is the base model.
    how: CotMethod = "gold"
    # How many there are, with any answer, in place of the grid's chains and coverage.
    chains: int | None = None
    # Changes to the recipe, applied after the changes of the sweep.
    changes: dict[str, Any] = {}


class Scoring(TomlTable, frozen=True):
    """Settings of `harness eval` for every run. The limit applies only to the test split."""

    variants: str = ",".join(VARIANTS)
    limit: int | None = None
    max_new_tokens: int = 1024
    batch_size: int = 16
    temperature: float = 0.0
    samples: int = 1

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.max_new_tokens, self.temperature, batch_size=self.batch_size)

    def test(self, model: str) -> EvalRequest:
        # A scripted model always gives the same response, so one sample is enough.
        samples = 1 if model in SCRIPTED else self.samples
        return EvalRequest(model, self.sampling, variants=self.variants, limit=self.limit, samples=samples)


class Grid(TomlTable, frozen=True):
    """Every method on every benchmark with every number of chains, every coverage and every seed."""

    title: str
    # Names of benchmarks; "a+b" means one training run on both.
    benchmarks: tuple[str, ...]
    methods: tuple[str, ...]
    # Chains of thought per benchmark, over all its policies. A method without chains has one cell for all.
    chains: tuple[int, ...]
    seeds: tuple[int, ...]
    # Names of bases. None: all.
    bases: tuple[str, ...] | None = None
    # Shares of each policy's answers for which there are chains (`trimpi cot --cover`).
    cover: tuple[float, ...] = (1.0,)
    # Comparisons, "these minus those" methods with each base, on which the conclusions depend. Their p-values
    # are corrected together. All other comparisons of the grid are exploratory.
    primary: tuple[tuple[str, str], ...] = ()
    # What the tables and plots of the report compare.
    along: Literal["methods", "chains", "depth"] = "methods"


class Sweep(TomlTable, frozen=True):
    """The contents of the TOML file."""

    benchmarks: dict[str, MakeCommand]
    grids: tuple[Grid, ...]
    # A checkpoint: a folder relative to the file, an id on the hub, or the command that generates it.
    base: BaseSource | None = None
    # Several of them by name, in place of one.
    bases: dict[str, BaseSource] = {}
    # Benchmarks without policies, which show what the model forgets by training.
    general: dict[str, MakeCommand] = {}
    # Only methods that differ from the recipe of their name.
    methods: dict[str, Method] = {}
    # A scale by name or absolute path.
    scale: str = "tiny"
    # Changes to every recipe.
    changes: dict[str, Any] = {}
    scoring: Scoring = Scoring()

    def method(self, name: str) -> Method:
        return self.methods.get(name, Method())

    @property
    def base_sources(self) -> Mapping[str, BaseSource]:
        """The bases by name. A single one is named `base`."""
        return self.bases if self.base is None else {BASE: self.base}


@dataclass(frozen=True, slots=True)
class Cell:
    """One method on one benchmark or mixture, trained and scored. An untrained model has no seed."""

    # Relative to the sweep's folder.
    folder: str
    benchmarks: tuple[str, ...]
    # The folders of the benchmarks in data/.
    data: tuple[str, ...]
    method: str
    recipe: str
    stages: tuple[Stage, ...] = ()
    chains: int | None = None
    how: CotMethod = "gold"
    cover: float = 1.0
    # Number and coverage of the gold chains of the other methods, if those of this one differ.
    gold_chains: tuple[int, float] | None = None
    # The name of the base. None: a scripted model.
    base: str | None = BASE
    seed: int | None = None

    @property
    def base_folder(self) -> str:
        """Relative to the sweep's folder, where it is missing if the base is on the hub."""
        return BASE if self.base == BASE else f"{BASES}/{self.base}"

    @property
    def covered_by(self) -> tuple[int, float] | None:
        """Number and coverage of the chains whose answers count as covered in this cell's scores."""
        own = None if self.chains is None else (self.chains, self.cover)
        return self.gold_chains or own

    @property
    def lane(self) -> str:
        """Cells in the same lane run one after another, because they may share their first stages."""
        name = f"{'+'.join(self.data)}-{self.base}-{self.chains}-{self.how}{cover_suffix(self.cover)}"
        return f"{name}-seed{self.seed}" if self.seed is not None else f"{name}-{self.method}"

    def file(self, data: str, name: str) -> str:
        """The name of a file or folder in the cell's folder that belongs to one of its benchmarks."""
        return f"{self.benchmarks[self.data.index(data)]}-{name}" if len(self.data) > 1 else name

    def chains_folder(self, data: str) -> str:
        how, name = ("", None) if self.how == "gold" else (f"-{self.how}", self.base)
        return f"data/{data}-cot{self.chains}{how}{cover_suffix(self.cover)}{base_suffix(name)}"


def cover_suffix(cover: float) -> str:
    """How folders name a coverage, in percent; empty if chains may have any answer."""
    return "" if cover == 1 else f"-cover{100 * cover:g}"


def base_suffix(base: str | None) -> str:
    """How folders that depend on one of several bases name it; empty for a single base."""
    return "" if base in (BASE, None) else f"/{base}"


def cells(sweep: Sweep) -> list[Cell]:
    """All cells without duplicates, in the order in which they run.

    Within a grid, all cells of a seed come before those of the next, so that a sweep that is stopped has
    complete seeds. The untrained models come before the first cell on the same data. In each lane, cells with
    fewer stages come first, so that the others can use their stages.
    """
    lanes: dict[str, dict[Cell, None]] = {}
    for cell in (cell for grid in sweep.grids for cell in grid_cells(sweep, grid)):
        for each in (*_untrained(cell), cell):
            lanes.setdefault(each.lane, {})[each] = None
    ordered = (sorted(lane, key=lambda cell: len(cell.stages)) for lane in lanes.values())
    return list(itertools.chain.from_iterable(ordered))


def _untrained(cell: Cell) -> Iterator[Cell]:
    """The cells of the untrained models to compare a cell with."""
    for benchmark, data in zip(cell.benchmarks, cell.data, strict=True):
        for name in UNTRAINED:
            base = cell.base if name == BASE else None
            folder = f"runs/{data}/{name}{base_suffix(base)}"
            yield Cell(folder, (benchmark,), (data,), method=name, recipe=name, base=base)


def data_folders(sweep: Sweep) -> dict[str, tuple[str, int]]:
    """For each folder in data/ that a grid needs: the benchmark, and the first seed that needs it."""
    folders: dict[str, tuple[str, int]] = {}
    for grid in sweep.grids:
        for name in dict.fromkeys(name for mixture in grid.benchmarks for name in mixture.split("+")):
            for seed in grid.seeds:
                folders.setdefault(sweep.benchmarks[name].folder(name, seed), (name, seed))
    return folders


def bases_of(grid: Grid, sweep: Sweep) -> tuple[str, ...]:
    return tuple(sweep.base_sources) if grid.bases is None else grid.bases


def grid_cells(sweep: Sweep, grid: Grid) -> Iterator[Cell]:
    bases = bases_of(grid, sweep)
    for seed, mixture, base, name in itertools.product(grid.seeds, grid.benchmarks, bases, grid.methods):
        benchmarks, method = tuple(mixture.split("+")), sweep.method(name)
        data = tuple(sweep.benchmarks[benchmark].folder(benchmark, seed) for benchmark in benchmarks)
        cell = Cell("", benchmarks, data, name, method.recipe or name, how=method.how, base=base, seed=seed)
        cell = replace(cell, stages=recipe(sweep, cell).stages)
        chains: Iterable[tuple[int | None, float]] = [(None, 1.0)]
        if method.chains is not None:
            cell = replace(cell, gold_chains=(grid.chains[0], grid.cover[0]))
            chains = [(method.chains, 1.0)]
        elif needs_chains(cell.stages):
            chains = itertools.product(grid.chains, grid.cover)
        for number, cover in chains:
            size = "" if number is None else f"-cot{number}{cover_suffix(cover)}"
            folder = f"runs/{mixture}/{name}{size}{base_suffix(base)}/seed{seed}"
            yield replace(cell, folder=folder, chains=number, cover=cover)


def recipe(sweep: Sweep, cell: Cell, base: str = BASE) -> Recipe:
    """The training of a cell that starts from `base`, with paths relative to the sweep's folder."""
    data: list[dict[str, str]] = [{"benchmark": f"data/{name}"} for name in cell.data]
    if cell.chains is not None:
        data = [{"benchmark": f"data/{name}", "cot": cell.chains_folder(name)} for name in cell.data]
    fixed = {"name": cell.method, "base": base, "data": data, "seed": cell.seed}
    changes = config.merge(config.merge(sweep.changes, sweep.method(cell.method).changes), fixed)
    return config.load(cell.recipe, sweep.scale, **changes)
