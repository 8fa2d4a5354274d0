"""The TOML file of a sweep, and its cells. A cell is one training run with its scores.

All paths inside a sweep's folder OUT are relative to it, so it can be moved:

    sweep.toml, plan.json             a copy of the file, and what the report needs to know
    base                              the base checkpoint, or a link to it, unless it is on the hub
    data/BENCH/, data/BENCH-cot48/    a benchmark, and its chains of thought
    runs/BENCH/METHOD-cot48/seed0/    a cell: outcome.json, log.txt, train/, test/, recall/, skills/

If the command of a benchmark contains {seed}, each seed has a separate benchmark: data/BENCH-seed0, ...
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.backends import SCRIPTED, Sampling
from harness.errors import UserError
from harness.files import store
from harness.request import EvalRequest
from harness.variants import VARIANTS
from training import config
from training.config import Recipe, Stage
from training.cot.prompts import CotMethod
from training.dataset import needs_chains

HERE = Path(__file__).parent
SWEEP, BASE = "sweep.toml", "base"
# Scored on every benchmark for comparison: the base model, the lowest and the highest possible scores.
UNTRAINED = (BASE, *SCRIPTED)
# Folders in a cell. A benchmark cannot have these names.
RESERVED = ("train", "test", "recall")
# Accuracies of a cell that learns from chains of thought (coverage.py).
COVERAGE = "coverage.json"


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


class Method(TomlTable, frozen=True):
    """How to train: a recipe and where its chains of thought come from."""

    # A recipe by name or absolute path. None: the recipe with the name of the method.
    recipe: str | None = None
    # The source of chains of thought. If a model writes them, it is the base model.
    how: CotMethod = "gold"
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
    # Shares of each policy's answers for which there are chains (`trimpi cot --cover`).
    cover: tuple[float, ...] = (1.0,)
    # What the tables and plots of the report compare.
    along: Literal["methods", "chains", "depth"] = "methods"


class Sweep(TomlTable, frozen=True):
    """The contents of the TOML file."""

    # A checkpoint: a folder relative to the file, an id on the hub, or the command that generates it.
    base: str | MakeCommand
    benchmarks: dict[str, MakeCommand]
    grids: tuple[Grid, ...]
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
    seed: int | None = None

    @property
    def lane(self) -> str:
        """Cells in the same lane run one after another, because they may share their first stages."""
        name = f"{'+'.join(self.data)}-{self.chains}-{self.how}{cover_suffix(self.cover)}"
        return f"{name}-seed{self.seed}" if self.seed is not None else f"{name}-{self.method}"

    def file(self, data: str, name: str) -> str:
        """The name of a file or folder in the cell's folder that belongs to one of its benchmarks."""
        return f"{self.benchmarks[self.data.index(data)]}-{name}" if len(self.data) > 1 else name

    def chains_folder(self, data: str) -> str:
        how = "" if self.how == "gold" else f"-{self.how}"
        return f"data/{data}-cot{self.chains}{how}{cover_suffix(self.cover)}"


def cover_suffix(cover: float) -> str:
    """How folders name a coverage, in percent; empty if chains may have any answer."""
    return "" if cover == 1 else f"-cover{100 * cover:g}"


def read(file: Path) -> Sweep:
    """Reads a sweep and checks everything that can be checked before it runs. Raises UserError."""
    if not file.is_file():
        raise UserError(f"{file}: expected {', '.join(config.names(HERE))} or a TOML file, got neither")
    sweep = store.read_toml(file, Sweep)
    _check_benchmarks(sweep, file)
    _check_paths(sweep, file)
    try:
        sweep.scoring.test(BASE)
    except UserError as error:
        raise UserError(f"{file}: scoring.{error}") from None
    for grid in sweep.grids:
        _check_grid(grid, sweep, f"{file}, {grid.title}")
    if unused := sweep.methods.keys() - {name for grid in sweep.grids for name in grid.methods}:
        raise UserError(
            f"{file}: expected every method in a grid, got {min(unused)} in none; add or remove it"
        )
    cells(sweep)  # loads every recipe and so checks it
    return sweep


def _check_benchmarks(sweep: Sweep, file: Path) -> None:
    for name in [*sweep.benchmarks, *sweep.general]:
        if not re.fullmatch(r"(?!.*-(seed|cot)\d)[a-z0-9][a-z0-9_-]*", name) or name in RESERVED:
            raise UserError(
                f"{file}: expected the name of a benchmark in lowercase letters, digits, - and _, without "
                f"-seed0 or -cot8, and other than {', '.join(RESERVED)}, got {name!r}"
            )
    if both := sweep.benchmarks.keys() & sweep.general.keys():
        raise UserError(f"{file}: {min(both)}: expected a benchmark or a general benchmark, got both")
    for name, source in [("base", sweep.base), *sweep.general.items()]:
        if isinstance(source, MakeCommand) and "{seed}" in source.make:
            raise UserError(f"{file}: {name}: expected one for all seeds, got {{seed}} in its command")


def _check_paths(sweep: Sweep, file: Path) -> None:
    """Refuses relative paths of recipes and scales, which cells would look for in the sweep's folder."""
    recipes = {f"methods.{name}.recipe": method.recipe or "" for name, method in sweep.methods.items()}
    for key, path in {"scale": sweep.scale, **recipes}.items():
        if path.endswith(".toml") and not Path(path).is_absolute():
            raise UserError(f"{file}: {key}: expected a name or an absolute path, got {path}")


def _check_grid(grid: Grid, sweep: Sweep, where: str) -> None:
    for name in (name for mixture in grid.benchmarks for name in mixture.split("+")):
        if name not in sweep.benchmarks:
            raise UserError(f"{where}: expected benchmarks from {', '.join(sweep.benchmarks)}, got {name!r}")
    for name in ("benchmarks", "methods", "chains", "seeds", "cover"):
        if not getattr(grid, name):
            raise UserError(f"{where}: {name}: expected one or more, got none")
    if grid.along != "methods" and any("+" in mixture for mixture in grid.benchmarks):
        raise UserError(f"{where}: expected no mixtures along {grid.along!r}, got one")
    for cover in grid.cover:
        if not 0 < cover <= 1:
            raise UserError(f"{where}: cover: expected shares above 0 and at most 1, got {cover:g}")
    if grid.along != "methods" and len(grid.cover) > 1:
        raise UserError(f"{where}: cover: expected one share along {grid.along!r}, got {len(grid.cover)}")
    if grid.along == "depth" and len(grid.chains) > 1:
        raise UserError(f"{where}: chains: expected one number along 'depth', got {len(grid.chains)}")
    if untrained := set(grid.methods) & set(UNTRAINED):
        raise UserError(f"{where}: expected methods to train, got {min(untrained)}, which is always scored")


def cells(sweep: Sweep) -> list[Cell]:
    """All cells without duplicates, the untrained ones first, then lane by lane.

    In each lane, cells with fewer stages come first, so that the others can use their stages.
    """
    untrained = [
        Cell(f"runs/{folder}/{name}", (benchmark,), (folder,), method=name, recipe=name)
        for folder, (benchmark, _) in data_folders(sweep).items()
        for name in UNTRAINED
    ]
    lanes: dict[str, list[Cell]] = {}
    for cell in dict.fromkeys(cell for grid in sweep.grids for cell in grid_cells(sweep, grid)):
        lanes.setdefault(cell.lane, []).append(cell)
    trained = [sorted(lane, key=lambda cell: len(cell.stages)) for lane in lanes.values()]
    return [*untrained, *itertools.chain.from_iterable(trained)]


def data_folders(sweep: Sweep) -> dict[str, tuple[str, int]]:
    """For each folder in data/ that a grid needs: the benchmark, and the first seed that needs it."""
    folders: dict[str, tuple[str, int]] = {}
    for grid in sweep.grids:
        for name in dict.fromkeys(name for mixture in grid.benchmarks for name in mixture.split("+")):
            for seed in grid.seeds:
                folders.setdefault(sweep.benchmarks[name].folder(name, seed), (name, seed))
    return folders


def grid_cells(sweep: Sweep, grid: Grid) -> Iterator[Cell]:
    for mixture, seed, name in itertools.product(grid.benchmarks, grid.seeds, grid.methods):
        benchmarks, method = tuple(mixture.split("+")), sweep.method(name)
        data = tuple(sweep.benchmarks[benchmark].folder(benchmark, seed) for benchmark in benchmarks)
        folder, source = f"runs/{mixture}/{name}", method.recipe or name
        cell = Cell(f"{folder}/seed{seed}", benchmarks, data, name, source, how=method.how, seed=seed)
        cell = replace(cell, stages=recipe(sweep, cell).stages)
        if needs_chains(cell.stages):
            for chains, cover in itertools.product(grid.chains, grid.cover):
                chosen = f"{folder}-cot{chains}{cover_suffix(cover)}/seed{seed}"
                yield replace(cell, folder=chosen, chains=chains, cover=cover)
        else:
            yield cell


def recipe(sweep: Sweep, cell: Cell, base: str = BASE) -> Recipe:
    """The training of a cell, with paths relative to the sweep's folder."""
    data: list[dict[str, str]] = [{"benchmark": f"data/{name}"} for name in cell.data]
    if cell.chains is not None:
        data = [{"benchmark": f"data/{name}", "cot": cell.chains_folder(name)} for name in cell.data]
    fixed = {"name": cell.method, "base": base, "data": data, "seed": cell.seed}
    changes = config.merge(config.merge(sweep.changes, sweep.method(cell.method).changes), fixed)
    return config.load(cell.recipe, sweep.scale, **changes)
