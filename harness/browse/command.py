"""The command `harness browse`."""

from pathlib import Path

from tyro.conf import Positional

from harness.browse.page import render
from harness.browse.selection import Source, read_runs, sample
from harness.browse.serve import HOST, make_server
from harness.errors import UserError
from harness.files import store
from harness.general import published


def browse(
    benchmark: Positional[str],
    /,
    *,
    run: tuple[Path, ...] = (),
    out: Path | None = None,
    limit: int = 48,
    port: int = 8766,
) -> None:
    """Show the instances of a benchmark in a browser: policy, images, and what runs responded.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
        run: Folders of runs on it, whose responses are shown.
        out: Write a random sample to this .html file instead of serving all instances.
        limit: The most instances of the sample.
        port: Port to listen on, for this machine only; 0 picks a free one.
    """
    if out is not None and out.suffix != ".html":
        raise UserError(f"out: expected a file name that ends in .html, got {out}")
    if limit < 1:
        raise UserError(f"limit: expected 1 or more, got {limit}")
    opened = published.open(benchmark)
    source = Source(opened, read_runs(opened, run))
    if out is not None:
        page = render(source, [(position, instance) for _, position, instance in sample(source, limit)])
        with store.writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        store.write(out, page.encode(errors="replace"))
        print(out)
        return
    with make_server(source, port) as server:
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C stops it)", flush=True)
        server.serve_forever()
