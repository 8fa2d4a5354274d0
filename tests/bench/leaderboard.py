"""Times of a board with 1,000 submissions of 2,000 responses: python tests/bench/leaderboard.py

Entries and bundles are random and added by Boards.add. Two runs of 2,000 responses are submitted as a user
does, with everything recomputed.
"""

import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from harness.files.benchmark import Benchmark
from harness.records import Report, Response, Score
from harness.request import EvalRequest
from harness.run import evaluate
from harness.stats.intervals import wilson
from leaderboards.pages.serve import make_server, respond
from leaderboards.storage.board import Boards
from leaderboards.storage.bundles import Bundle
from leaderboards.storage.records import Board, BoardKey, Figures
from leaderboards.submit import submit

SUBMISSIONS = 1_000
RESPONSES = 2_000
VARIANTS = "internalized", "in_context", "override"
METRICS = "referral precision", "referral recall", "branching"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bench, run = _run(root)
        boards = Boards(root / "board", create=True)
        started = time.perf_counter()
        result = submit(boards, run)
        print(f"submit of {RESPONSES} responses to an empty board: {time.perf_counter() - started:.2f} s")
        started = time.perf_counter()
        _fill(boards, bench, result.entries[0][0])
        print(f"{SUBMISSIONS} random submissions: {time.perf_counter() - started:.0f} s")
        # Another run, because the same one would not be stored again.
        other = root / "other"
        evaluate(bench, EvalRequest("majority", variants="internalized"), other)
        started = time.perf_counter()
        submit(boards, other)
        print(f"submit to a full board: {time.perf_counter() - started:.2f} s")
        _pages(root / "board")


def _run(root: Path) -> tuple[Benchmark, Path]:
    """A benchmark of 2,000 test instances with small pictures, which nothing reads, and a run on it."""
    started = time.perf_counter()
    config = SceneConfig(depth=6, policies=10, train=2, test=RESPONSES // 10, width=96, height=64)
    generate(root / "bench", config, workers=2)
    bench = Benchmark(root / "bench")
    evaluate(bench, EvalRequest("oracle", variants="internalized"), root / "run")
    print(f"a benchmark and a run: {time.perf_counter() - started:.0f} s")
    return bench, root / "run"


def _fill(boards: Boards, bench: Benchmark, like: Board) -> None:
    draws = random.Random(0)
    instances = bench.instances("test")
    stored = boards.stored_bundle(boards.entries(like)[0].bundle)
    report = msgspec.json.decode(boards.bundles.read(stored, "report.json"), type=Report)
    lines = msgspec.json.Encoder().encode_lines
    for number in range(SUBMISSIONS):
        share = draws.random()
        scores = [Score(i.id, v, 0, float(draws.random() < share)) for v in VARIANTS for i in instances]
        run = replace(report.run, model=f"hf:m{number}", variants=VARIANTS)
        responses = [Response(s.instance, s.variant, 0, "\\boxed{Case 0}") for s in scores]
        bundle = Bundle(
            {
                "run.json": msgspec.json.encode(run),
                "responses.jsonl": lines(responses),
                "scores.jsonl": lines(scores),
                "report.json": msgspec.json.encode(report),
                "report.html": b"<p>",
            }
        )
        entries = []
        for variant in VARIANTS:
            right = sum(s.value or 0 for s in scores if s.variant == variant)
            low, high = wilson(right, RESPONSES)
            columns = {name: draws.random() for name in (*VARIANTS, *METRICS)}
            columns |= {"prompt tokens": draws.uniform(100, 5000), "cost": draws.random()}
            figures = Figures(right / RESPONSES, low, high, RESPONSES, 3, 0, 1, columns=columns)
            key = BoardKey(like.key.digest, "test", variant, like.key.scorer, "")
            entries.append((Board(key, like.family, like.benchmark, like.config, True), figures))
        attempt = boards.begin_attempt(f"run {number}")
        boards.name_attempt(attempt, run.model, like.key.digest)
        boards.add(attempt, bundle, f"run {number}", f"run {number}", run.model, entries)


def _pages(folder: Path) -> None:
    # As `leaderboard serve` does, which imports matplotlib before the first request.
    make_server(folder, "127.0.0.1", 0).server_close()
    boards = Boards(folder)
    board = next(b for b in boards.boards() if b.key.variant == "internalized")
    entries = boards.entries(board)
    one, other = entries[10].bundle, entries[500].bundle
    boards.close()
    paths = {
        "index": "/",
        "reported": "/reported",
        "board": f"/board/{board.id}",
        "all entries": f"/board/{board.id}/all",
        "entry": f"/entry/{one}",
        "compare": f"/compare?entry={one}&entry={other}",
    }
    for name, path in paths.items():
        size, times = 0, []
        for _ in range(5):
            started = time.process_time()
            opened = Boards(folder)
            status, _, _, data = respond(opened, path)
            opened.close()
            times.append(1000 * (time.process_time() - started))
            size = len(data)
            if status != 200:
                raise RuntimeError(data.decode()[-500:])
        again = f"{min(times[1:]):.0f} to {max(times[1:]):.0f} ms"
        print(f"{name}: first {times[0]:.0f} CPU-ms, then {again}, {size:,} bytes")


if __name__ == "__main__":
    main()
