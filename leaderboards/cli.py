"""The `leaderboard` command: submit, show, serve, export."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from harness.console import command_line
from harness.page import percent
from leaderboards.board import Boards


def submit(run: Positional[Path], /, *, board: Path, benchmark: str | None = None) -> None:
    """Put a finished run on its boards: checked against its benchmark and scored again first.

    Args:
        run: Folder of a run.
        board: Folder of the boards; made where there is none.
        benchmark: Folder of the run's benchmark, or a published one as NAME[:SOURCE]; where the run says by
            default.
    """
    from leaderboards.submit import submit as submit_run

    outcome = submit_run(Boards(board, create=True), run, benchmark)
    for on, f in outcome.entries:
        judge = f", judged by {on.key.judge}" if on.key.judge else ""
        figures = f"{percent(f.mean)} ({percent(f.low)} to {percent(f.high)}), n {f.n}"
        print(f"{on.benchmark} {on.key.split} {on.key.variant}{judge}: {figures}")
        if f.leaks:
            print(f"warning: {f.leak}")
    print(f"{'stored' if outcome.stored else 'on the board already, not stored twice'}: {outcome.bundle}")


def show(*, board: Path, legacy: bool = False) -> None:
    """Print every board.

    Args:
        board: Folder of the boards.
        legacy: Boards of older versions too.
    """
    from leaderboards.export import terminal

    print(terminal(Boards(board), legacy))


def main() -> None:
    command_line(
        {"submit": submit, "show": show},
        prog="leaderboard",
        description="Local leaderboards that recompute what they show.",
    )
