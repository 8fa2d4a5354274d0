"""A whole recipe, stage after stage: what is finished is not done again, what was begun goes on."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve
from harness.records import Json
from training.config import Recipe, Stage, merge
from training.cot import generate
from training.curves import history
from training.curves.history import Values
from training.dataset import KINDS, SPLIT, Mixture

ASKED, LOCK = "recipe.json", ".lock"
RECORD = "training.json"
"""Beside every checkpoint that is finished: written last."""
Told = tuple[Json, ...]
"""What is said of the data: for each benchmark its folder, digest, split and chains."""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@dataclass(frozen=True, slots=True)
class StageRecord:
    """How one stage went."""

    stage: Stage
    parent: str
    settings: Json
    steps: int
    stopped: str | None
    """Why it ended before its time, where it did."""
    wall_seconds: float
    device_seconds: float
    processes: int
    means: Mapping[str, float]
    """Of what was logged, over the stage's updates."""


Stages = tuple[StageRecord, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """training.json: where a checkpoint comes from, back to the base."""

    recipe: str
    scale: str
    base: str
    """As the harness names a model, so that a board finds the base's own runs."""
    data: Told
    seed: int
    stages: Stages
    versions: Mapping[str, str] = field(default_factory=_versions)
    planned: tuple[Stage, ...] = ()
    """All stages of the recipe: more than `stages` where the checkpoint is not its last one."""


def train(recipe: Recipe, run: Path, only: Stage | None = None) -> Path:
    """Trains what is missing of a recipe, or one stage of it; the folder of the last checkpoint made.

    Raises UserError where the run's folder holds another recipe or another state of its data, where another
    process is at work in it, and where the parent of the only stage is missing.
    """
    if only is not None and only not in recipe.stages:
        raise UserError(f"stage: expected one of {', '.join(recipe.stages)} with {recipe.name}, got {only}")
    # Only here, because torch takes some seconds to load.
    from training.devices import processes

    state, data = processes(), tuple(provenance(recipe))
    check(recipe)
    with store.writing(run):
        run.mkdir(parents=True, exist_ok=True)
    with store.locked(run / LOCK) if state.is_main_process else nullcontext():
        # One process begins the run's folder; the others find it begun.
        with state.main_process_first():
            begin(run, recipe, data)
        return _train(recipe, run, data, only)


def _train(recipe: Recipe, run: Path, data: Told, only: Stage | None) -> Path:
    parent = recipe.base
    done: Stages = ()
    for stage in recipe.stages:
        folder = run / stage
        if (folder / RECORD).exists():
            done = store.read_json(folder / RECORD, Record).stages
        elif only is not None and stage != only:
            raise UserError(
                f"{folder}: expected the checkpoint that {only} starts from, got none; "
                f"train --stage {stage} first, or leave --stage out"
            )
        else:
            done = _run(recipe, stage, parent, run, data, done)
        parent = str(folder)
        if stage == only:
            break
    return Path(parent)


def _run(recipe: Recipe, stage: Stage, parent: str, run: Path, data: Told, done: Stages) -> Stages:
    """Trains a stage; the main process writes its record, with which it is finished."""
    from training.curves.page import write_curves
    from training.devices import processes
    from training.stages import train_stage

    steps, stopped = train_stage(recipe, stage, parent, run)
    state = processes()
    if state.is_main_process:
        logged = history.read(run)[stage]
        settings = recipe.rl if stage == "rl" else recipe.sft[stage]
        record = StageRecord(
            stage=stage,
            parent=parent,
            settings=msgspec.to_builtins(settings),
            steps=steps,
            stopped=stopped,
            wall_seconds=logged.seconds,
            device_seconds=logged.seconds * state.num_processes,
            processes=state.num_processes,
            means=_means(logged.steps.values()),
        )
        whole = Record(
            recipe.name,
            recipe.scale,
            f"hf:{recipe.base}",
            data,
            recipe.seed,
            (*done, record),
            planned=recipe.stages,
        )
        store.write_json(run / RECORD, whole)
        write_curves(run)
        store.write_json(run / stage / RECORD, whole)
        shutil.rmtree(run / f".{stage}")
    state.wait_for_everyone()
    return store.read_json(run / stage / RECORD, Record).stages


def _means(steps: Iterable[Values]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in step.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: fmean(found) for name, found in values.items()}


def provenance(recipe: Recipe) -> list[dict[str, Any]]:
    """What is trained on, by content: a benchmark that was made anew is another."""
    told = []
    for data in recipe.data:
        benchmark = Benchmark(data.benchmark)
        entry = {
            "benchmark": str(data.benchmark),
            "digest": benchmark.manifest.digest,
            "split": SPLIT,
            "weight": data.weight,
        }
        if data.cot is not None:
            entry["chains"] = len(generate.read(data.cot, benchmark))
            entry |= {"cot": str(data.cot), "cot_sha256": store.sha256(data.cot / generate.CHAINS)}
        told.append(entry)
    return told


def check(recipe: Recipe) -> None:
    """Raises UserError for what a stage would find only when its turn comes, after hours of another."""
    mixture = Mixture(recipe.data, reasoned=any(s != "rl" and KINDS[s].reasoned for s in recipe.stages))
    prompts = recipe.rl.prompts if recipe.rl is not None and "rl" in recipe.stages else 0
    # TRL would train for no step at all and say nothing.
    if prompts > (most := len(mixture.rollouts())):
        raise UserError(
            f"rl.prompts: expected at most as many a batch as there are training instances, {most}, got "
            f"{prompts}"
        )


def begin(run: Path, recipe: Recipe, data: Told) -> None:
    """Begins a run in a folder, or goes on with one of the same recipe and data.

    Settings of a stage may be others than before, as long as nothing of it is trained.
    """
    asked = msgspec.json.decode(msgspec.json.encode({"recipe": recipe, "data": data}, enc_hook=str))
    told = asked["recipe"]
    begun = told
    if (run / ASKED).is_file():
        begun = store.read_json(run / ASKED, dict[str, Any]).get("recipe", told)
    untrained = [stage for stage in recipe.stages if not (run / stage / RECORD).exists()]
    changed = [stage for stage in untrained if _settings(begun, stage) != _settings(told, stage)]
    for stage in changed:
        told = merge(told, _settings(begun, stage))
    reserve(run, ASKED, asked | {"recipe": told}, "a training run")
    for stage in changed:
        if any((run / f".{stage}").glob("*")):
            raise UserError(
                f"{run}: {stage} is half trained with other settings; delete {run / f'.{stage}'} to train it "
                "anew with these, or ask for it as before"
            )
    if changed:
        store.write_json(run / ASKED, asked)


def _settings(recipe: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """The part of a recipe that one stage is trained by."""
    own = {"rl": recipe["rl"]} if stage == "rl" else {"sft": {stage: recipe["sft"].get(stage)}}
    return own | {name: recipe[name] for name in ("save_steps", "gradient_checkpointing")}
