"""What a path contains, so that a command can say what it got instead of what it expected."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from harness.errors import UserError

BENCHMARK, RUN, RUNS, BOARDS = "a benchmark", "a run", "a folder of runs", "a folder of boards"
# What commands expect that read several runs.
RUN_OR_RUNS = "the folder of a run, or a folder that contains runs"
# The responses of a run, one per line.
RESPONSES = "responses.jsonl"
# How a checkpoint was trained. `trimpi train` writes it, and `harness eval` copies it into the run.
TRAINING = "training.json"
_UNFINISHED = "an unfinished benchmark, which has no manifest.json"
# What to do with each of them instead.
_ADVICE = {
    BENCHMARK: "`harness eval {path} --model MODEL --out RUN` scores a model on it",
    RUN: "`harness report {path}` shows its figures",
    BOARDS: "`leaderboard show --board {path}` shows them",
    RUNS: "`harness report {path}` shows their figures",
    "a file": "name a folder",
    _UNFINISHED: "run the same generate or import command again to complete it",
}


def runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run, otherwise the runs one or two levels below it, in order."""
    if (folder / "run.json").is_file():
        return [folder]
    return sorted(path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/run.json"))


def kind(path: Path) -> str:
    """What is at the path, in words, such as "a benchmark"."""
    if not path.exists():
        return "no such folder"
    if not path.is_dir():
        return "a file"
    if (path / "manifest.json").is_file():
        return BENCHMARK
    if (path / "board.sqlite").is_file():
        return BOARDS
    if runs := runs_in(path):
        return RUN if runs == [path] else RUNS
    if (path / ".begun.json").is_file():
        return _UNFINISHED
    return "a folder with no manifest.json and no run.json" if any(path.iterdir()) else "an empty folder"


def refuse(path: Path, expected: str) -> NoReturn:
    """Raises UserError, which says what is at the path and what to do."""
    found = kind(path)
    if found == "no such folder":
        raise UserError(f"{path}: no such folder; expected {expected}")
    if found == "a file" and kind(path.parent) in (BENCHMARK, RUN):
        raise UserError(f"{path}: expected {expected}, got a file of {kind(path.parent)}; name {path.parent}")
    advice = _ADVICE.get(found, "name another folder").format(path=path)
    if (found, expected) == (RUNS, RUN):
        advice = f"name one of them, such as {runs_in(path)[0]}"
    raise UserError(f"{path}: expected {expected}, got {found}; {advice}")


def require(path: Path, expected: str) -> None:
    """Raises UserError unless the path is what a command expects."""
    if kind(path) != expected:
        refuse(path, expected)


def require_replaceable(path: Path, expected: str, is_expected: Callable[[BinaryIO], bool]) -> None:
    """Raises UserError if writing this file would overwrite one that contains something else."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if not is_expected(file):
                raise UserError(
                    f"{path}: expected a new file, or {expected} to replace, got a file with other content; "
                    "name another file"
                )
