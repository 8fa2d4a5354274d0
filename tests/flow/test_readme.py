"""The README's three jobs, by its own commands, at a small size."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import run_command

ROOT = Path(__file__).parents[2]
# What makes the commands small, in order.
SMALLER = (("--train 480 --test 60", "--train 16 --test 4"), ("--max-new-tokens 192", "--max-new-tokens 16"))


def commands() -> Iterator[str]:
    """The commands of the jobs, without comments and without those for a GPU machine."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    jobs = re.search(r"^## 1\..*?(?=^## [^123])", text, re.DOTALL | re.MULTILINE)
    assert jobs, "expected the sections 1 to 3 in the README"
    for block in re.findall(r"^```\n(.*?)^```", jobs[0], re.DOTALL | re.MULTILINE):
        if "pip install" not in block:
            yield from block.replace("\\\n", " ").splitlines()


def test_the_commands_of_the_three_jobs_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The checkpoint of the repository, under the name that the README uses.
    (tmp_path / "training").symlink_to(ROOT / "training")
    monkeypatch.chdir(tmp_path)
    run = []
    for line in commands():
        for large, small in SMALLER:
            line = line.replace(large, small)
        command = shlex.split(line, comments=True)
        done = run_command(*command)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        run.append(command[0] + " " + command[1])
    assert {"clevrpolicy generate", "harness eval", "trimpi train", "harness compare"} <= set(run)
    for file in ("instance.png", "runs/before/report.html", "run/curves.html", "comparison/compare.html"):
        assert (tmp_path / file).stat().st_size > 1000


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=str)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which does not exist"
