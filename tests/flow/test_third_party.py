"""A third-party package that adds a family, a backend and a metric, used only through the commands."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "third_party"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Installs the package; the returned function runs a Python module and returns its output."""
    site = tmp_path_factory.mktemp("site")
    copy = tmp_path_factory.mktemp("source") / "package"
    # Building writes into the source folder.
    subprocess.run(["cp", "-r", SOURCE, copy], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--target", site, copy], check=True, capture_output=True)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))

    def command(module: str, *arguments: object) -> str:
        code = f"from {module} import main; main()" if module.endswith("cli") else ""
        start = [sys.executable, "-c", code] if code else [sys.executable, "-m", module]
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(
            [*start, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


@pytest.fixture(scope="module")
def bench(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("third") / "bench"
    assert "10 instances.test" in run("third_party.family", out)
    return out


@pytest.fixture(scope="module")
def runs(run: Run, bench: Path) -> Path:
    """Runs of two models. Only the first knows the policy."""
    for step in (3, 5):
        run("harness.cli", "eval", bench, "--model", f"adder:{step}", "--out", bench.parent / f"adder-{step}")
    return bench.parent


def test_the_package_is_listed_and_its_benchmark_verifies(run: Run, bench: Path, tmp_path: Path) -> None:
    listed = run("harness.cli", "list")
    assert re.search(r"families: .*\bshift\b", listed) and re.search(r"backends: .*\badder\b", listed)
    assert re.search(r"words per response \(words\) +lower +The mean number of words", listed)
    assert "adder" in run("harness.cli", "eval", "--help")
    assert "60 gold responses score 1" in run("harness.cli", "verify", bench)
    assert "add 3 to every number" in run("harness.cli", "show", bench, "test-100")
    run("harness.cli", "show", bench, "test-100", "--png", tmp_path / "shown.png")
    assert (tmp_path / "shown.png").exists()


def test_tables_show_the_metric_with_its_unit(run: Run, runs: Path) -> None:
    table = run("harness.cli", "report", runs / "adder-3")
    assert re.search(r"adder-3 +internalized +accuracy \(%\) +100\.0", table)
    assert re.search(r"adder-3 +override +accuracy \(%\) +0\.0", table)
    assert re.search(r"adder-3 +words per response \(words\) +6\.0 +6\.0 +6\.0", table)
    page = (runs / "adder-3" / "report.html").read_text()
    assert "words per response (words)" in page and "600.0" not in page
    assert "The mean number of words in a response. Lower is better." in page
    assert "Accuracy by parity" in page


def test_comparisons_include_the_metric(run: Run, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "comparison"
    table = run("harness.cli", "compare", runs / "adder-3", runs / "adder-5", "--out", out)
    assert re.search(r"bench +internalized +accuracy \(%\) .* 100\.0 +0\.0 +-100\.0", table)
    assert re.search(r"bench +internalized +words per response \(words\) .* 6\.0 +6\.0 +0\.0", table)
    assert "words per response (words)" in (out / "compare.html").read_text()
    differences = json.loads((out / "compare.json").read_text())["differences"]
    assert {d["metric"] for d in differences} == {"accuracy", "words per response"}


def test_boards_show_the_metric(run: Run, bench: Path, runs: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    run("leaderboards.cli", "submit", runs / "adder-3", "--board", board, "--benchmark", bench)
    shown = run("leaderboards.cli", "show", "--board", board)
    assert "words per response" in shown and "6.0" in shown and "600.0" not in shown
    run("leaderboards.cli", "export", tmp_path / "site", "--board", board)
    pages = [page.read_text() for page in (tmp_path / "site").glob("board-*.html")]
    assert any("words per response" in page and "The mean number of words" in page for page in pages)
