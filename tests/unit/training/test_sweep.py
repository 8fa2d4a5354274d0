"""Sweeps: the cells of a file, how they run side by side, and the stages that they share."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Report, Score
from training.config import load
from training.curves.history import LOG, RECORD_FILE, LogEntry, read_history
from training.sweep import cell, grid, records
from training.sweep import run as sweep_run
from training.sweep.checks import read
from training.sweep.coverage import Coverage, accuracy_by_coverage
from training.sweep.inputs import make_benchmarks
from training.sweep.records import OUTCOME, CellRecord, Outcome, read_records
from training.train import StageRecord, TrainingRecord, provenance, reserve_run

GRID = """
[[grids]]
title = "All"
benchmarks = ["one", "one+two"]
methods = ["cot-sft-grpo", "direct-sft", "cot-sft"]
chains = [2, 4]
seeds = [0, 1]
"""
RUN = """
[[grids]]
title = "Some"
benchmarks = ["one"]
methods = ["cot-sft-grpo", "cot-sft"]
chains = [2]
seeds = [0, 1]
"""


def write(
    file: Path, grids: str, base: Path | str = "tiny", make: str = "mkdir -p {out}", more: str = ""
) -> Path:
    """Writes a sweep. Its base, a folder without weights, is next to it."""
    if base == "tiny":
        fake_base(file.parent / base)
    head = "" if "[bases]" in more else f'base = "{base}"\n'
    head += f'benchmarks.one.make = "{make}"\nbenchmarks.two.make = "{make}"\n'
    file.write_text(head + more + grids)
    return file


def fake_base(folder: Path, weights: bytes = b"w") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_cells_are_unique_and_in_a_lane_those_with_fewer_stages_come_first(tmp_path: Path) -> None:
    cells = grid.cells(read(write(tmp_path / "s.toml", GRID + GRID.replace("All", "Again"))))
    folders = [c.folder for c in cells]
    assert len(folders) == len(set(folders)) == 2 * 4 + 2 * (2 * 2 * 2 + 2)
    assert folders[:4] == ["runs/one/base", "runs/one/random", "runs/one/majority", "runs/one/oracle"]
    assert "runs/two/oracle" in folders
    lane = [c.folder for c in cells if c.benchmarks == ("one",) and (c.chains, c.seed) == (4, 1)]
    assert lane == ["runs/one/cot-sft-cot4/seed1", "runs/one/cot-sft-grpo-cot4/seed1"]
    assert "runs/one+two/direct-sft/seed0" in folders
    mixed = grid.recipe(read(tmp_path / "s.toml"), cells[-1])
    assert [str(data.benchmark) for data in mixed.data] == ["data/one", "data/two"]


def test_a_grid_has_a_cell_for_each_coverage(tmp_path: Path) -> None:
    grids = RUN.replace('"cot-sft-grpo"', '"direct-sft"').replace("[2]", "[8]").replace("[0, 1]", "[0]")
    file = write(tmp_path / "s.toml", f"{grids}cover = [0.25, 1.0]\n")
    trained = [c for c in grid.cells(read(file)) if c.seed is not None]
    assert {(c.method, c.cover): (c.folder, c.chains) for c in trained} == {
        ("direct-sft", 1.0): ("runs/one/direct-sft/seed0", None),
        ("cot-sft", 0.25): ("runs/one/cot-sft-cot8-cover25/seed0", 8),
        ("cot-sft", 1.0): ("runs/one/cot-sft-cot8/seed0", 8),
    }
    assert len({c.lane for c in trained if c.method == "cot-sft"}) == 2
    assert trained[1].chains_folder("one") != trained[2].chains_folder("one")


def test_accuracy_by_coverage(text_folder: Path, tmp_path: Path) -> None:
    """On a run in which exactly one answer of one policy is right."""
    benchmark = Benchmark(text_folder)
    chain = benchmark.instances("train")[0]
    test = benchmark.instances("test")
    right = {i.id for i in test if (i.policy_id, i.target) == (chain.policy_id, chain.target)}
    assert 0 < len(right) < len(test)
    values = {i.id: float(i.id in right) for i in test}
    scores = [
        Score(i, variant, 0, value) for variant in ("internalized", "override") for i, value in values.items()
    ]
    store.write_lines(tmp_path / "scores.jsonl", [*scores, Score(test[0].id, "internalized", 1, None)])
    n, n_right = len(test), len(right)
    of_chain = accuracy_by_coverage(benchmark, [chain.id], tmp_path)
    assert of_chain["internalized"] == {"covered": (1.0, n_right), "uncovered": (0.0, n - n_right)}
    assert of_chain["override"] == of_chain["internalized"]
    everything = [i.id for i in benchmark.instances("train")]
    assert accuracy_by_coverage(benchmark, everything, tmp_path)["override"] == {"covered": (n_right / n, n)}
    assert accuracy_by_coverage(benchmark, [], tmp_path)["override"] == {"uncovered": (n_right / n, n)}


def test_a_benchmark_with_seed_in_its_command_is_generated_for_every_seed(tmp_path: Path) -> None:
    sweep = read(write(tmp_path / "s.toml", GRID, make="mkdir -p {out} # {seed}"))
    assert grid.data_folders(sweep) == {f"{n}-seed{s}": (n, s) for n in ("one", "two") for s in (0, 1)}
    assert sweep.benchmarks["one"].command("data/one-seed1", 1) == "mkdir -p data/one-seed1 # 1"
    cells = {c.folder: c for c in grid.cells(sweep)}
    assert cells["runs/one-seed1/oracle"].data == ("one-seed1",)
    mixed = cells["runs/one+two/cot-sft-cot4/seed1"]
    assert mixed.benchmarks == ("one", "two")
    learned = grid.recipe(sweep, mixed).data
    assert [str(d.benchmark) for d in learned] == ["data/one-seed1", "data/two-seed1"]
    assert [str(d.cot) for d in learned] == ["data/one-seed1-cot4", "data/two-seed1-cot4"]


def test_changes_of_a_method_override_those_of_the_sweep(tmp_path: Path) -> None:
    more = (
        "changes.sft.cot-sft.epochs = 7\nchanges.sft.cot-sft.learning_rate = 1e-5\n"
        'methods.short = { recipe = "cot-sft", changes = { sft.cot-sft.epochs = 2 } }\n'
    )
    grids = RUN.replace('"cot-sft-grpo"', '"short"')
    sweep = read(write(tmp_path / "s.toml", grids, more=more))
    short, cot = (next(c for c in grid.cells(sweep) if c.method == name) for name in ("short", "cot-sft"))
    settings = [grid.recipe(sweep, c).sft["cot-sft"] for c in (short, cot)]
    assert [(s.epochs, s.learning_rate) for s in settings] == [(2, 1e-5), (7, 1e-5)]


@pytest.mark.parametrize(
    ("grids", "more", "message"),
    [
        (RUN, "jobs = 2\n", "jobs: unknown field; the known fields are"),
        (RUN.replace('"one"', '"three"'), "", "expected benchmarks from one, two, got 'three'"),
        (RUN.replace('"cot-sft"]', '"cot-stf"]'), "", "cot-stf: expected"),
        (RUN.replace('"cot-sft"]', '"oracle"]'), "", "got oracle, which is always scored"),
        (RUN.replace("[0, 1]", "[]"), "", "seeds: expected one or more, got none"),
        (RUN, 'methods.mine.recipe = "cot-sft"\n', "got mine in none"),
        (RUN + 'bases = ["best"]\n', "", "expected bases from base, got 'best'"),
        (RUN + RUN, "", "expected titles of grids that differ"),
        (RUN.replace("[2]", "[2, 0]"), "", "chains: expected 1 or more, got 0"),
        (
            RUN,
            "methods.cot-sft-grpo.chains = -1\n",
            r"methods.cot-sft-grpo.chains: expected 1 or more, got -1",
        ),
        (RUN, "bases.weak = 'w'\n", "expected a base, or several by name in [bases], got both or neither"),
        (RUN + 'along = "chains"\n', "[bases]\na = 'a'\nb = 'b'\n", "bases: expected one along 'chains'"),
        (RUN, "[bases]\nseed1 = 'w'\n", "bases: expected names in lowercase letters"),
        (
            RUN.replace("cot-sft-grpo", "own")
            + RUN.replace("cot-sft-grpo", "own")
            .replace("[2]", "[4]")
            .replace('title = "', 'title = "Other '),
            "methods.own = { recipe = 'cot-sft', chains = 8 }\n",
            "Two of its grids differ in them; give the method another name",
        ),
        (RUN, "changes.rl.max_step = 2\n", "unknown key 'rl.max_step'"),
        (RUN, 'methods.cot-sft.recipe = "my.toml"\n', "cot-sft.recipe: expected a name or an absolute"),
        (
            RUN,
            'methods.cot-sft-grpo.changes.rl.teacher = { method = "opcd", model = "tests" }\n',
            "methods.cot-sft-grpo: teacher.model: expected an absolute path, got tests",
        ),
        (RUN, 'scale = "my.toml"\n', "scale: expected a name or an absolute path, got my.toml"),
        (RUN, 'general.one.make = "true"\n', "one: expected a benchmark or a general benchmark, got both"),
        (RUN, 'general.all.make = "make {seed}"\n', "all: expected one for all seeds"),
        (RUN, 'general."../x".make = "true"\n', "expected the name of a benchmark"),
        (RUN, 'general.one-seed1.make = "true"\n', "without -seed0 or -cot8"),
        (RUN, 'scoring.variants = "shown"\n', "scoring.variants: expected some of"),
        (RUN, "scoring.batch_size = 0\n", "scoring.batch_size: expected 1 or more, got 0"),
        (RUN, "scoring.samples = 3\n", "scoring.samples: expected 1 with greedy"),
        (GRID + 'along = "depth"\n', "", "expected no mixtures along 'depth'"),
        (RUN.replace("[2]", "[2, 4]") + 'along = "depth"\n', "", "chains: expected one number along 'depth'"),
    ],
)
def test_an_invalid_file_is_refused_before_anything_runs(
    tmp_path: Path, grids: str, more: str, message: str
) -> None:
    with pytest.raises(UserError) as raised:
        sweep_run.run_sweep(write(tmp_path / "s.toml", grids, more=more), tmp_path / "out")
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_the_included_sweeps_are_valid() -> None:
    cells = {path.stem: grid.cells(read(path)) for path in grid.HERE.glob("*.toml")}
    table_2 = {"direct-sft", "cot-sft", "vm-cpt-cot-sft", "cot-sft-grpo", "cot-sft-dapo", "trimpi-grpo"}
    table_2 |= {"trimpi-poro-grpo", "trimpi-poro-dapo"}
    for name in ("smoke", "tiny"):
        assert table_2 <= {c.method for c in cells[name]}


def test_the_tuning_policies_occur_in_no_result() -> None:
    cells = {name: grid.cells(read(grid.HERE / f"{name}.toml")) for name in ("tuning", "teachers")}
    tuning, results = ({c.data for c in of if c.seed is not None} for of in cells.values())
    assert not tuning & results
    assert sum(c.seed is not None for c in cells["tuning"]) == 11


def test_every_row_of_the_teachers_makes_equally_many_updates() -> None:
    sweep = read(grid.HERE / "teachers.toml")
    trained = [c for c in grid.cells(sweep) if c.seed is not None]
    assert len(trained) == 5 * 4 * 5
    assert [c.seed for c in trained] == sorted(c.seed for c in trained)
    for c in trained:
        recipe = grid.recipe(sweep, c)
        settings = [recipe.rl if stage == "rl" else recipe.sft[stage] for stage in recipe.stages]
        assert sum(s.max_steps for s in settings) == 48
        assert c.covered_by == (32, 0.5)
        assert recipe.rl.prompts * recipe.rl.responses == 64


def child(tmp_path: Path, body: str) -> tuple[str, ...]:
    """A command that replaces training.sweep.cell. It writes to the file `notes` when it begins and ends."""
    program = tmp_path / "child.py"
    program.write_text(
        "import os, sys, time\n"
        "folder = sys.argv[1]\n"
        "def note(what):\n"
        "    with open('notes', 'a') as file: print(what, folder, file=file)\n"
        f"note('begin')\n{body}\nnote('end')\n"
    )
    return sys.executable, str(program)


@pytest.fixture
def sweep_file(tmp_path: Path, text_folder: Path) -> Path:
    return write(tmp_path / "s.toml", RUN, make=f"cp -r {text_folder} {{out}}")


def test_only_failed_cells_are_run_again(
    tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    fails = (
        "if folder.endswith('grpo-cot2/seed0'):\n"
        "    open(folder + '/error.txt', 'w').write('reward: expected a number'); sys.exit(1)\n"
        "if folder.endswith('grpo-cot2/seed1'): os.kill(os.getpid(), 9)"
    )
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, fails))
    with pytest.raises(UserError, match="2 of 8 cells failed"):
        sweep_run.run_sweep(sweep_file, out, jobs=2)
    outcomes = {p.parent.relative_to(out).as_posix(): store.read_json(p, Outcome) for p in out.rglob(OUTCOME)}
    assert len(outcomes) == 8
    assert {folder: o.error for folder, o in outcomes.items() if o.error} == {
        "runs/one/cot-sft-grpo-cot2/seed0": "reward: expected a number",
        "runs/one/cot-sft-grpo-cot2/seed1": "killed by signal 9",
    }
    (out / "notes").unlink()
    again = out / "runs/one/cot-sft-grpo-cot2/seed0" / OUTCOME
    store.write_json(again, msgspec.structs.replace(store.read_json(again, Outcome), seconds=1000.0))
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    assert sweep_run.run_sweep(sweep_file, out) == 8
    assert store.read_json(again, Outcome).seconds > 1000, "the sum over all attempts"
    started = {line for line in (out / "notes").read_text().splitlines() if line.startswith("begin")}
    assert started == {f"begin {folder}" for folder, o in outcomes.items() if o.error}


def test_two_jobs_never_run_two_cells_of_one_lane(
    tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, "time.sleep(0.1)"))
    sweep_run.run_sweep(sweep_file, tmp_path / "out", jobs=2)
    lanes = {c.folder: c.lane for c in grid.cells(read(sweep_file))}
    running: list[str] = []
    most = 0
    for line in (tmp_path / "out" / "notes").read_text().splitlines():
        what, folder = line.split()
        if what == "begin":
            assert lanes[folder] not in running
            running.append(lanes[folder])
            most = max(most, len(running))
        else:
            running.remove(lanes[folder])
    assert most == 2


def test_a_killed_sweep_resumes(tmp_path: Path, sweep_file: Path) -> None:
    out = tmp_path / "out"
    command = child(tmp_path, "time.sleep(0.3)")
    code = (
        "from pathlib import Path; from training.sweep import run as sweep\n"
        f"sweep.CELL_COMMAND = {command!r}; sweep.run_sweep(Path({str(sweep_file)!r}), Path({str(out)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while len(list(out.rglob(OUTCOME))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = len(list(out.rglob(OUTCOME)))
    assert before < 8
    subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=True)
    assert len(list(out.rglob(OUTCOME))) == 8
    started = (out / "notes").read_text().count("begin")
    assert started <= 8 + 1  # the killed one may have been started twice


def test_a_terminated_sweep_terminates_its_cells(tmp_path: Path, sweep_file: Path) -> None:
    out, command = tmp_path / "out", child(tmp_path, "time.sleep(60)")
    code = (
        "from training import cli; from training.sweep import run; from pathlib import Path; "
        f"run.CELL_COMMAND = {command!r}; cli.sweep(Path({str(sweep_file)!r}), Path({str(out)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not (out / "notes").exists():
        assert process.poll() is None
        time.sleep(0.05)
    (cell_process,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.terminate()
    assert process.wait() != 0
    assert not Path("/proc", cell_process).exists()


def test_a_cell_with_changed_settings_is_run_again(
    tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_run.run_sweep(sweep_file, tmp_path / "out")
    # Top-level keys must come before tables.
    sweep_file.write_text("scoring.limit = 3\n" + sweep_file.read_text())
    (tmp_path / "out" / "notes").unlink()
    sweep_run.run_sweep(sweep_file, tmp_path / "out")
    assert (tmp_path / "out" / "notes").read_text().count("begin") == 8


def test_a_changed_base_with_the_same_name_is_refused(
    tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_run.run_sweep(sweep_file, tmp_path / "out")
    fake_base(tmp_path / "tiny", b"two")
    with pytest.raises(UserError, match="started with another checkpoint as base than tiny"):
        sweep_run.run_sweep(sweep_file, tmp_path / "out")


def test_several_bases_have_cells_of_their_own(tmp_path: Path) -> None:
    """All rows and bases of a seed come before the next seed."""
    grids = RUN.replace('"cot-sft-grpo"', '"distillation"')
    more = "[bases]\nweak = 'w'\ngood = 'g'\n[methods.distillation]\nhow = 'teacher'\nchains = 8\n"
    cells = grid.cells(read(write(tmp_path / "s.toml", grids + "cover = [0.5]\n", more=more)))
    folders = [c.folder.removeprefix("runs/one/") for c in cells]
    assert folders == [
        *("base/weak", "random", "majority", "oracle"),
        *("distillation-cot8/weak/seed0", "cot-sft-cot2-cover50/weak/seed0", "base/good"),
        *("distillation-cot8/good/seed0", "cot-sft-cot2-cover50/good/seed0"),
        *(f"{m}/{b}/seed1" for b in ("weak", "good") for m in ("distillation-cot8", "cot-sft-cot2-cover50")),
    ]
    by_folder = dict(zip(folders, cells, strict=True))
    weak, good = (by_folder[f"distillation-cot8/{name}/seed0"] for name in ("weak", "good"))
    assert (weak.base_folder, weak.chains_folder("one")) == ("bases/weak", "data/one-cot8-teacher/weak")
    assert weak.chains_folder("one") != good.chains_folder("one")
    assert weak.covered_by == by_folder["cot-sft-cot2-cover50/weak/seed0"].covered_by == (2, 0.5)
    assert len({c.lane for c in cells if c.seed == 0}) == 4
    only = grid.cells(read(write(tmp_path / "s.toml", grids + "bases = ['good']\n", more=more)))
    assert {c.base for c in only} == {"good", None}


def test_the_results_of_a_base_depend_on_its_content(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base at another path changes nothing; another base at the same path is refused."""
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    file, out = tmp_path / "s.toml", tmp_path / "out"
    for name in ("one", "two"):
        fake_base(tmp_path / name, name.encode())
    make, more = f"cp -r {text_folder} {{out}}", "[bases]\na = 'one'\nb = 'two'\n"
    write(file, RUN, make=make, more=more)
    assert sweep_run.run_sweep(file, out) == 1 + 1 + 3 + 2 * 2 * 2
    (out / "notes").unlink()
    (tmp_path / "one").rename(tmp_path / "moved")
    write(file, RUN, make=make, more=more.replace("one", "moved"))
    sweep_run.run_sweep(file, out)
    assert not (out / "notes").exists()
    assert (out / "bases" / "a").resolve() == tmp_path / "moved"
    write(file, RUN, make=make, more=more.replace("one", "missing"))
    with pytest.raises(UserError, match=r"bases\.a: expected the folder of a checkpoint .* got missing"):
        sweep_run.run_sweep(file, out)
    write(file, RUN, make=make, more=more.replace("one", "two"))
    with pytest.raises(UserError, match="started with another checkpoint as a than two"):
        sweep_run.run_sweep(file, out)


def test_data_of_another_command_is_refused(tmp_path: Path, sweep_file: Path, text_folder: Path) -> None:
    command, out = f"cp -r {text_folder} {{out}}", tmp_path / "out"
    out.mkdir()
    (out / "data").mkdir()
    make_benchmarks(read(sweep_file), out)
    make_benchmarks(read(write(sweep_file, RUN, make=command.replace("cp ", "cp  "))), out)
    with pytest.raises(UserError, match=r"data/one: expected the result of `cp -rp .* of another command"):
        make_benchmarks(read(write(sweep_file, RUN, make=command.replace("cp -r ", "cp -rp "))), out)


def test_cells_that_were_run_elsewhere_are_not_run_again(
    tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, "if 'seed1' in folder: sys.exit(1)"))
    monkeypatch.setattr(records, "_record", lambda _, *cell_and_outcome: CellRecord(*cell_and_outcome))
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "cells.jsonl"
    with pytest.raises(UserError, match="2 of 8 cells failed"):
        sweep_run.run_sweep(sweep_file, first)
    read_records([first]).write(file)
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_run.run_sweep(sweep_file, second, finished=[file])
    begun = [line for line in (second / "notes").read_text().splitlines() if line.startswith("begin")]
    assert len(begun) == 2
    assert all("seed1" in line for line in begun)
    monkeypatch.undo()
    stored = next(cell for cell in read_records([file]).cells if cell.seed == 0)
    assert (second / stored.folder / records.RECORD).exists()
    # With other settings, the file is of no use.
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_file.write_text("scoring.limit = 3\n" + sweep_file.read_text())
    sweep_run.run_sweep(sweep_file, tmp_path / "third", finished=[file])
    assert (tmp_path / "third" / "notes").read_text().count("begin") == 8


def test_a_benchmark_that_cannot_be_generated_stops_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data/one: `false` failed"):
        sweep_run.run_sweep(write(tmp_path / "s.toml", RUN, make="false"), tmp_path / "out")
    with pytest.raises(UserError, match="a command that is installed, got 'no-such-program data/one'"):
        sweep_run.run_sweep(write(tmp_path / "s.toml", RUN, make="no-such-program {out}"), tmp_path / "out")


def test_a_missing_base_stops_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"base: expected the folder of a checkpoint .* got ./none"):
        sweep_run.run_sweep(write(tmp_path / "s.toml", RUN, base="./none"), tmp_path / "out")


def test_a_base_relative_to_the_working_directory_is_not_mistaken_for_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"relative to this file.*there is no .*/sweeps/models/tiny/config.json"
    ):
        sweep_run.run_sweep(write(tmp_path / "sweeps" / "s.toml", RUN, base="models/tiny"), tmp_path / "out")


@pytest.fixture
def oracle_cell(tmp_path: Path, sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a sweep with trivial cells. Then cell.main() runs one of them in this process."""
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_run.run_sweep(sweep_file, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["cell", "runs/one/oracle"])


@pytest.mark.usefixtures("oracle_cell")
def test_a_cell_waits_for_a_process_that_a_killed_sweep_left_behind(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(cell, "run", lambda *_: order.append("second"))
    (lane,) = (c.lane for c in grid.cells(read(sweep_file)) if c.folder == "runs/one/oracle")
    with store.locked(Path("runs", f".{lane}.lock")):
        thread = threading.Thread(target=cell.main)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_named_like_a_teacher_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell reads the file in the folder of the sweep, in which the base is a folder."""
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    teacher = 'methods.cot-sft-grpo.changes.rl.teacher = { method = "opcd", model = "base" }\n'
    assert read(write(tmp_path / "s.toml", RUN, more=teacher))


@pytest.fixture
def trained(tmp_path: Path, text_folder: Path) -> Callable[..., Path]:
    """Creates the folder of a finished training run. Its weights are one byte."""

    def make(name: str, method: str, frozen: bool = False, seed: int = 0, **settings: float) -> Path:
        data = [{"benchmark": text_folder}]
        recipe = load(method, "tiny", base="base", seed=seed, data=data, freeze_vision=frozen)
        run, records = tmp_path / name, tuple[StageRecord, ...]()
        reserve_run(run, recipe, tuple(provenance(recipe)))
        for stage in recipe.stages:
            stage_settings = asdict(recipe.sft[stage] if stage != "rl" else recipe.rl) | settings
            records = (*records, StageRecord(stage, "base", stage_settings, 3, None, 1.0, 1.0, 1, {}))
            (run / stage).mkdir(parents=True)
            (run / stage / "weights").write_bytes(b"w")
            record = TrainingRecord(method, "tiny", "hf:base", tuple(provenance(recipe)), seed, records, {})
            store.write_json(run / stage / RECORD_FILE, record)
            store.Log(run / LOG, LogEntry).append(
                [LogEntry(stage, resumed=0), LogEntry(stage, 1, 1, 1.0, {"loss": 2.0})]
            )
        return run

    return make


def test_finished_stages_are_linked_from_a_run_with_equal_settings(
    tmp_path: Path, trained: Callable[..., Path], text_folder: Path
) -> None:
    others = [
        trained("seed", "vm-cpt-cot-sft", seed=1),
        trained("settings", "vm-cpt-cot-sft", epochs=9.0),
        trained("stages", "cot-sft"),
        trained("frozen", "vm-cpt-cot-sft", frozen=True),
        trained("same", "vm-cpt-cot-sft"),
    ]
    recipe = load("trimpi-grpo", "tiny", base="base", data=[{"benchmark": text_folder}])
    run = tmp_path / "new"
    cell.link_shared_stages(recipe, run, others)
    assert sorted(path.name for path in run.iterdir() if path.is_dir()) == ["cot-sft", "vm-cpt"]
    for stage in ("cot-sft", "vm-cpt"):
        assert (run / stage / "weights").samefile(others[-1] / stage / "weights")
    logged = {stage: list(history.steps) for stage, history in read_history(run).items()}
    assert logged == {"vm-cpt": [1], "cot-sft": [1]}
    cell.link_shared_stages(recipe, run, others)
    assert len(store.Log(run / LOG, LogEntry).read()) == 4


def test_nothing_is_linked_if_seed_or_settings_differ(
    tmp_path: Path, trained: Callable[..., Path], text_folder: Path
) -> None:
    others = [
        trained("seed", "cot-sft", seed=1),
        trained("settings", "cot-sft", epochs=9.0),
        trained("frozen", "cot-sft", frozen=True),
        tmp_path / "none",
    ]
    recipe = load("cot-sft-grpo", "tiny", base="base", data=[{"benchmark": text_folder}])
    cell.link_shared_stages(recipe, tmp_path / "new", others)
    assert not (tmp_path / "new" / "cot-sft").exists()


def test_cells_are_trained_and_scored(
    tmp_path: Path, text_folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (
        "scoring.max_new_tokens = 4\nchanges.sft.cot-sft.epochs = 1\n"
        'scoring.variants = "internalized,in_context"\n'
        "changes.rl = { max_steps = 1, prompts = 2, responses = 2, micro_batch = 4, max_new_tokens = 4 }\n"
    )
    file = write(tmp_path / "s.toml", RUN, checkpoint, f"cp -r {text_folder} {{out}}", more)
    monkeypatch.setattr(sweep_run, "CELL_COMMAND", child(tmp_path, ""))
    sweep_run.run_sweep(file, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    sweep = read(Path(grid.SWEEP))
    cells = [c for c in grid.cells(sweep) if c.seed in (None, 0) and c.method not in ("random", "majority")]
    for one in cells:
        cell.run(sweep, one)
    for folder, model in (
        ("base", "hf:base"),
        ("oracle", "oracle"),
        ("cot-sft-cot2/seed0", "hf:runs/one/cot-sft-cot2/seed0/train/cot-sft"),
        ("cot-sft-grpo-cot2/seed0", "hf:runs/one/cot-sft-grpo-cot2/seed0/train/rl"),
    ):
        for split, n in (("test", 12), ("recall", len(Benchmark(text_folder).instances("recall")))):
            report = store.read_json(Path("runs/one", folder, split, "report.json"), Report)
            assert (report.run.model, report.run.split, report.rows[0].n) == (model, split, n)
    assert not Path("runs/one/base", grid.COVERAGE).exists()
    for name in ("cot-sft", "cot-sft-grpo"):
        coverage = store.read_json(Path(f"runs/one/{name}-cot2/seed0", grid.COVERAGE), Coverage)
        assert coverage.keys() == {"internalized", "in_context"}
        for kinds in coverage.values():
            assert sum(score.n for score in kinds.values()) == 12
    cot, grpo = (Path(f"runs/one/{n}-cot2/seed0/train/cot-sft") for n in ("cot-sft", "cot-sft-grpo"))
    assert (grpo / "model.safetensors").samefile(cot / "model.safetensors")
    record = store.read_json(grpo.parent / "rl" / RECORD_FILE, TrainingRecord)
    assert [stage.stage for stage in record.stages] == ["cot-sft", "rl"]
    assert record.data[0]["chains"] == 2


@pytest.mark.usefixtures("oracle_cell")
def test_a_failed_cell_writes_its_error() -> None:
    Path("data/one/policies.jsonl").write_text("spoiled")
    with pytest.raises(UserError):
        cell.main()
    assert "the file was changed later" in Path("runs/one/oracle", cell.ERROR).read_text()
