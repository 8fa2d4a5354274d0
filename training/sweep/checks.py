"""Reads the TOML file of a sweep and checks everything that can be checked before it runs."""

import itertools
import re
from pathlib import Path

from harness.errors import UserError
from harness.files import store
from training import config
from training.rl.teacher.methods import NAMED
from training.sweep.grid import (
    BASE,
    HERE,
    RESERVED,
    UNTRAINED,
    Cell,
    Grid,
    MakeCommand,
    Sweep,
    bases_of,
    cells,
    recipe,
    slug,
)


def read(file: Path) -> Sweep:
    """Raises UserError with what is wrong."""
    if not file.is_file():
        raise UserError(f"{file}: expected {', '.join(config.names(HERE))} or a TOML file, got neither")
    sweep = store.read_toml(file, Sweep)
    _check_names(sweep, file)
    _check_paths(sweep, file)
    try:
        sweep.scoring.test(BASE)
    except UserError as error:
        raise UserError(f"{file}: scoring.{error}") from None
    for grid in sweep.grids:
        _check_grid(grid, sweep, f"{file}, {grid.title}")
    if len({slug(grid.title) for grid in sweep.grids}) < len(sweep.grids):
        raise UserError(f"{file}: expected titles of grids that differ in letters and digits, got equal ones")
    for name, method in sweep.methods.items():
        if method.chains is not None and method.chains < 1:
            raise UserError(f"{file}: methods.{name}.chains: expected 1 or more, got {method.chains}")
    if unused := sweep.methods.keys() - {name for grid in sweep.grids for name in grid.methods}:
        raise UserError(
            f"{file}: expected every method in a grid, got {min(unused)} in none; add or remove it"
        )
    folders: dict[str, Cell] = {}
    for cell in cells(sweep):  # loads every recipe and so checks it
        if folders.setdefault(cell.folder, cell) != cell:
            raise UserError(
                f"{file}: methods.{cell.method}: it has chains of its own, and the first chains and cover of "
                "its grid say which answers count as covered. Two of its grids differ in them; give the "
                "method another name in one of them"
            )
        if cell.seed is not None:
            _check_teacher(recipe(sweep, cell), f"{file}: methods.{cell.method}")
    return sweep


def _check_teacher(of_cell: config.Recipe, where: str) -> None:
    """Refuses a teacher that a cell would look for in the sweep's folder."""
    teacher = of_cell.rl.teacher if of_cell.rl else None
    if teacher is None or teacher.model in NAMED:
        return
    if Path(teacher.model).exists() and not Path(teacher.model).is_absolute():
        raise UserError(f"{where}: teacher.model: expected an absolute path, got {teacher.model}")


def _check_names(sweep: Sweep, file: Path) -> None:
    if (sweep.base is None) == (not sweep.bases):
        raise UserError(f"{file}: expected a base, or several by name in [bases], got both or neither")
    for name in sweep.bases:
        if not re.fullmatch(r"(?!seed\d)[a-z0-9][a-z0-9_-]*", name) or name in (BASE, *RESERVED):
            raise UserError(
                f"{file}: bases: expected names in lowercase letters, digits, - and _, other than "
                f"{', '.join((BASE, *RESERVED))} and seed0, got {name!r}"
            )
    for name in [*sweep.benchmarks, *sweep.general]:
        if not re.fullmatch(r"(?!.*-(seed|cot)\d)[a-z0-9][a-z0-9_-]*", name) or name in RESERVED:
            raise UserError(
                f"{file}: expected the name of a benchmark in lowercase letters, digits, - and _, without "
                f"-seed0 or -cot8, and other than {', '.join(RESERVED)}, got {name!r}"
            )
    if both := sweep.benchmarks.keys() & sweep.general.keys():
        raise UserError(f"{file}: {min(both)}: expected a benchmark or a general benchmark, got both")
    for name, source in [*sweep.base_sources.items(), *sweep.general.items()]:
        if isinstance(source, MakeCommand) and "{seed}" in source.make:
            raise UserError(f"{file}: {name}: expected one for all seeds, got {{seed}} in its command")


def _check_paths(sweep: Sweep, file: Path) -> None:
    """Refuses relative paths, which cells would look for in the sweep's folder."""
    recipes = {f"methods.{name}.recipe": method.recipe or "" for name, method in sweep.methods.items()}
    for key, path in {"scale": sweep.scale, **recipes}.items():
        if path.endswith(".toml") and not Path(path).is_absolute():
            raise UserError(f"{file}: {key}: expected a name or an absolute path, got {path}")


def _check_grid(grid: Grid, sweep: Sweep, where: str) -> None:
    for name in (name for mixture in grid.benchmarks for name in mixture.split("+")):
        if name not in sweep.benchmarks:
            raise UserError(f"{where}: expected benchmarks from {', '.join(sweep.benchmarks)}, got {name!r}")
    for name in ("benchmarks", "methods", "chains", "seeds", "cover", "bases"):
        if getattr(grid, name) == ():
            raise UserError(f"{where}: {name}: expected one or more, got none")
    for method in itertools.chain(*grid.primary):
        if method not in grid.methods:
            raise UserError(f"{where}: primary: expected methods of the grid, got {method}")
    names = bases_of(grid, sweep)
    for base in names:
        if base not in sweep.base_sources:
            raise UserError(f"{where}: expected bases from {', '.join(sweep.base_sources)}, got {base!r}")
    if grid.along != "methods" and len(names) > 1:
        raise UserError(f"{where}: bases: expected one along {grid.along!r}, got {len(names)}")
    if grid.along != "methods" and any("+" in mixture for mixture in grid.benchmarks):
        raise UserError(f"{where}: expected no mixtures along {grid.along!r}, got one")
    for chains in grid.chains:
        if chains < 1:
            raise UserError(f"{where}: chains: expected 1 or more, got {chains}")
    for cover in grid.cover:
        if not 0 < cover <= 1:
            raise UserError(f"{where}: cover: expected shares above 0 and at most 1, got {cover:g}")
    if grid.along != "methods" and len(grid.cover) > 1:
        raise UserError(f"{where}: cover: expected one share along {grid.along!r}, got {len(grid.cover)}")
    if grid.along == "depth" and len(grid.chains) > 1:
        raise UserError(f"{where}: chains: expected one number along 'depth', got {len(grid.chains)}")
    if untrained := set(grid.methods) & set(UNTRAINED):
        raise UserError(f"{where}: expected methods to train, got {min(untrained)}, which is always scored")
