"""What a sweep is asked for, in TOML, and the cells that it comes to: each one training run and its scores.

A sweep's folder is OUT; every path in its runs is relative to it, so that it can be moved as a whole:
```
sweep.toml plan.json base -> the checkpoint      data/BENCH  data/BENCH-cot48
runs/BENCH/METHOD-cot48/seed0/  outcome.json log.txt train/ test/ recall/ SKILLS/
```
A benchmark whose command has {seed} in it is another for each seed: data/BENCH-seed0, data/BENCH-seed1.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.backends import Sampling
from harness.errors import UserError
from harness.run import EvalRequest
from harness.variants import VARIANTS
from training import config
from training.config import Recipe
from training.cot.prompts import CotMethod
from training.dataset import needs_chains

HERE = Path(__file__).parent
SWEEP, BASE = "sweep.toml", "base"
SCRIPTED = ("random", "majority", "oracle")
UNTRAINED = (BASE, *SCRIPTED)
"""What every benchmark is scored with besides what is trained: the floor, the start and the ceiling."""
TAKEN = ("train", "test", "recall")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the TOML file; a key that is misspelt would otherwise silently do nothing."""


class Made(Table, frozen=True):
    """A folder that a command line makes; {out} stands for it, and in that of a benchmark {seed} for the seed
    of what is trained on it: so intervals over seeds are over policies too."""

    make: str

    def folder(self, name: str, seed: int) -> str:
        """Its name in data/."""
        return f"{name}-seed{seed}" if "{seed}" in self.make else name

    def command(self, out: str, seed: int = 0) -> str:
        return self.make.replace("{out}", out).replace("{seed}", str(seed))


class Method(Table, frozen=True):
    """How to train."""

    recipe: str | None = None
    """Of `trimpi train`; none: the one that has the method's name."""
    how: CotMethod = "gold"
    """Whose chains of thought; a model that writes them is the base."""
    changes: dict[str, Any] = {}
    """Laid over the recipe, as is what all methods have in common."""


class Scoring(Table, frozen=True):
    """Settings of `harness eval` for every run."""

    variants: str = ",".join(VARIANTS)
    limit: int | None = None
    """Of the test split; the others are scored whole."""
    max_new_tokens: int = 1024
    batch_size: int = 16
    temperature: float = 0.0
    samples: int = 1

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.max_new_tokens, self.temperature, batch_size=self.batch_size)

    def test(self, model: str) -> EvalRequest:
        """Of the test split; the scripted say the same each time."""
        samples = 1 if model in SCRIPTED else self.samples
        return EvalRequest(model, self.variants, "test", self.limit, samples, self.sampling)


class Grid(Table, frozen=True):
    """Every method on every benchmark with every number of chains and every seed."""

    title: str
    benchmarks: tuple[str, ...]
    """By name; "a+b" is one run on both."""
    methods: tuple[str, ...]
    chains: tuple[int, ...]
    """Chains of thought a benchmark, over all its policies; methods that read none have one cell for all."""
    seeds: tuple[int, ...]
    along: Literal["methods", "chains", "depth"] = "methods"
    """What its tables and plots compare."""


class Sweep(Table, frozen=True):
    """A whole sweep."""

    base: str | Made
    """A checkpoint: a folder relative to the file, an id on the hub, or what makes it."""
    benchmarks: dict[str, Made]
    grids: tuple[Grid, ...]
    general: dict[str, Made] = {}
    """Benchmarks without policies, to see what training made the model forget."""
    methods: dict[str, Method] = {}
    """Those that are more than the recipe of their name."""
    scale: str = "tiny"
    changes: dict[str, Any] = {}
    """Laid over every recipe."""
    scoring: Scoring = Scoring()

    def method(self, name: str) -> Method:
        return self.methods.get(name, Method())


@dataclass(frozen=True, slots=True)
class Cell:
    """One method on one benchmark or mixture, trained and scored; what is not trained has no seed."""

    folder: str
    """Relative to the sweep's."""
    benchmarks: tuple[str, ...]
    data: tuple[str, ...]
    """Their folders in data/."""
    method: str
    chains: int | None = None
    how: CotMethod = "gold"
    seed: int | None = None

    @property
    def lane(self) -> str:
        """Cells alike in this may share their first stages, so they run one after another."""
        name = f"{'+'.join(self.data)}-{self.chains}-{self.how}"
        return f"{name}-seed{self.seed}" if self.seed is not None else f"{name}-{self.method}"

    def chains_of(self, data: str) -> str:
        """The folder of its chains of thought."""
        return f"data/{data}-cot{self.chains}" + ("" if self.how == "gold" else f"-{self.how}")


def read(file: Path) -> Sweep:
    """A sweep, checked as far as it can be before anything is run. Raises UserError."""
    try:
        sweep = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Sweep)
    except FileNotFoundError:
        raise UserError(
            f"{file}: expected {', '.join(config.names(HERE))} or a TOML file, got neither"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: expected TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UserError(f"{file}: {error}") from error
    _check(sweep, file)
    for cell in cells(sweep):
        if cell.seed is not None:
            recipe(sweep, cell)
    return sweep


def _check(sweep: Sweep, file: Path) -> None:
    known = sweep.benchmarks.keys()
    for name in [*known, *sweep.general]:
        if not re.fullmatch(r"(?!.*-(seed|cot)\d)[a-z0-9][a-z0-9_-]*", name) or name in TAKEN:
            raise UserError(
                f"{file}: {name!r}: expected a benchmark's name in small letters, digits, - and _, without "
                f"-seed0 or -cot8, and not {', '.join(TAKEN)}, which are names of folders of a sweep"
            )
    if twice := known & sweep.general.keys():
        raise UserError(f"{file}: {min(twice)}: expected a benchmark or a general benchmark, got both")
    for name, made in [("base", sweep.base), *sweep.general.items()]:
        if isinstance(made, Made) and "{seed}" in made.make:
            raise UserError(f"{file}: {name}: expected one for all seeds, got {{seed}} in its command")
    try:
        sweep.scoring.test(BASE)
    except UserError as error:
        raise UserError(f"{file}: scoring: {error}") from None
    for grid in sweep.grids:
        asked = [name for of in grid.benchmarks for name in of.split("+")]
        if unknown := [name for name in asked if name not in known]:
            raise UserError(
                f"{file}, {grid.title}: expected benchmarks out of {', '.join(known)}, got {unknown[0]!r}"
            )
        for name in ("benchmarks", "methods", "chains", "seeds"):
            if not getattr(grid, name):
                raise UserError(f"{file}, {grid.title}: {name}: expected one or more, got none")
        if grid.along != "methods" and any("+" in of for of in grid.benchmarks):
            raise UserError(f"{file}, {grid.title}: expected no mixtures along {grid.along!r}, got one")
        if grid.along == "depth" and len(grid.chains) > 1:
            raise UserError(
                f"{file}, {grid.title}: chains: expected one number along 'depth', got {len(grid.chains)}"
            )
        if taken := set(grid.methods) & set(UNTRAINED):
            raise UserError(f"{file}, {grid.title}: {min(taken)} is scored without being asked for")
    if unused := sweep.methods.keys() - {name for grid in sweep.grids for name in grid.methods}:
        raise UserError(f"{file}: the method {min(unused)} is in no grid; name it in one, or leave it out")


def cells(sweep: Sweep) -> list[Cell]:
    """All different ones: the untrained first; then those that may share stages together, shortest first."""
    untrained = [
        Cell(f"runs/{data}/{name}", (benchmark,), (data,), name)
        for data, (benchmark, _) in folders(sweep).items()
        for name in UNTRAINED
    ]
    lanes: dict[object, list[Cell]] = {}
    for cell in dict.fromkeys(cell for grid in sweep.grids for cell in of_grid(sweep, grid)):
        lanes.setdefault(cell.lane, []).append(cell)
    for lane in lanes.values():
        lane.sort(key=lambda cell: len(recipe(sweep, cell).stages))
    return untrained + [cell for lane in lanes.values() for cell in lane]


def folders(sweep: Sweep) -> dict[str, tuple[str, int]]:
    """Of all folders in data/ that grids need, the benchmark and the first seed that needs it."""
    found: dict[str, tuple[str, int]] = {}
    for grid in sweep.grids:
        for name in dict.fromkeys(name for of in grid.benchmarks for name in of.split("+")):
            for seed in grid.seeds:
                found.setdefault(sweep.benchmarks[name].folder(name, seed), (name, seed))
    return found


def of_grid(sweep: Sweep, grid: Grid) -> Iterator[Cell]:
    for of in grid.benchmarks:
        names = tuple(of.split("+"))
        for seed in grid.seeds:
            data = tuple(sweep.benchmarks[name].folder(name, seed) for name in names)
            for method in grid.methods:
                for chains in grid.chains if reads_chains(sweep, method) else (None,):
                    cot = "" if chains is None else f"-cot{chains}"
                    how = sweep.method(method).how
                    yield Cell(f"runs/{of}/{method}{cot}/seed{seed}", names, data, method, chains, how, seed)


def reads_chains(sweep: Sweep, method: str) -> bool:
    stages = _recipe(sweep, method, base=BASE, data=[{"benchmark": "any"}]).stages
    return needs_chains(stages)


def recipe(sweep: Sweep, cell: Cell, base: str = BASE) -> Recipe:
    """What a cell trains, seen from the sweep's folder."""
    data: list[dict[str, str]] = [{"benchmark": f"data/{name}"} for name in cell.data]
    if cell.chains is not None:
        data = [{"benchmark": f"data/{name}", "cot": cell.chains_of(name)} for name in cell.data]
    return _recipe(sweep, cell.method, base=base, data=data, seed=cell.seed)


def _recipe(sweep: Sweep, name: str, **own: Any) -> Recipe:
    method = sweep.method(name)
    changes = config.merge(config.merge(sweep.changes, method.changes), own | {"name": name})
    return config.load(method.recipe or name, sweep.scale, **changes)
