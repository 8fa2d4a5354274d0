"""The `leaderboard` command: submit, show, serve, export."""

from pathlib import Path

from tyro.conf import Positional

from harness.console import command_line


def submit(run: Positional[Path], /, *, board: Path, benchmark: str | None = None) -> None:
    """Verify a finished run against its benchmark, score it again, and add it to the boards.

    Args:
        run: Folder of a run.
        board: Folder of the boards; created if it does not exist.
        benchmark: Folder of the benchmark, or a published one as NAME[:SOURCE]. Default: that in run.json.
    """
    from harness.files.kinds import RUN, require
    from harness.metrics.metric import SHARE
    from leaderboards.storage.board import Boards
    from leaderboards.submit import submit as submit_run

    require(run, RUN)
    result = submit_run(Boards(board, create=True), run, benchmark)
    for on_board, f in result.entries:
        key = on_board.key
        judge = f", judged by {key.judge}" if key.judge else ""
        figures = f"{SHARE.format(f.mean)} ({SHARE.interval(f.low, f.high)}), n {f.n}"
        print(f"{on_board.benchmark} {key.split} {key.variant}{judge}: {figures}")
        if f.leaks:
            print(f"warning: {f.leak}")
    for reason in result.left_out:
        print(f"warning: {reason}")
    state = "stored" if result.stored else "already on the boards, not stored again"
    print(f"{state}: {result.bundle} (sha256 of the bundle, the files in {board / 'submissions'})")


def show(*, board: Path, legacy: bool = False) -> None:
    """Print every board: in a terminal, as many columns as fit; into a pipe or a file, all of them.

    Args:
        board: Folder of the boards.
        legacy: Include boards of older versions of a benchmark or its scorer.
    """
    from harness.report.text import terminal_width
    from leaderboards.pages.export import terminal
    from leaderboards.storage.board import Boards

    print(terminal(Boards(board), legacy, terminal_width()))


def serve(*, board: Path, host: str = "127.0.0.1", port: int = 8765) -> None:
    """Show the boards in a browser, read-only.

    Args:
        board: Folder of the boards.
        host: Address to listen on. By default only this machine can connect.
        port: Port to listen on; 0 picks a free one.
    """
    from leaderboards.pages.serve import make_server

    with make_server(board, host, port) as server:
        print(f"http://{host}:{server.server_port}/ (Ctrl-C stops it)", flush=True)
        server.serve_forever()


def export(out: Positional[Path], /, *, board: Path, hub_organization: str | None = None) -> None:
    """Write every board as static HTML, CSV, Markdown and JSON.

    Args:
        out: Folder for the files.
        board: Folder of the boards.
        hub_organization: Also write .eval_results for models on the Hugging Face Hub; who published the
            datasets that `harness export --for hub` wrote. Upload only scores on tasks in their eval.yaml.
    """
    from leaderboards.pages.export import export as export_boards
    from leaderboards.storage.board import Boards

    files = export_boards(Boards(board), out, hub_organization)
    print(f"{len(files)} files; start with {files[0]}")


def main() -> None:
    command_line(
        {"submit": submit, "show": show, "serve": serve, "export": export},
        prog="leaderboard",
        description="Local leaderboards that recompute every figure that they show.",
    )
