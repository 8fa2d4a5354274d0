"""A whole recipe, stage after stage: what is finished is not done again, what was begun goes on."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from harness import store
from harness.benchmark import Benchmark
from harness.claim import claim
from harness.errors import UserError
from harness.records import Json
from training import cot
from training.config import Recipe, Stage
from training.curves import history
from training.curves.history import Values
from training.sequence import SPLIT

ASKED = "recipe.json"
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


def train(recipe: Recipe, run: Path, only: Stage | None = None) -> Path:
    """Trains what is missing of a recipe, or one stage of it; the folder of the last checkpoint made.

    Raises UserError where the run's folder holds another recipe or another state of its data, and where the
    parent of the only stage is missing.
    """
    if only is not None and only not in recipe.stages:
        raise UserError(f"stage: expected one of {', '.join(recipe.stages)} with {recipe.name}, got {only}")
    # Only here, because torch takes some seconds to load.
    from training.devices import processes

    data = tuple(provenance(recipe))
    # One process begins the run's folder; the others find it begun.
    with processes().main_process_first():
        begin(run, recipe, data)
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
        whole = Record(recipe.name, recipe.scale, f"hf:{recipe.base}", data, recipe.seed, (*done, record))
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
        entry = {
            "benchmark": str(data.benchmark),
            "digest": Benchmark(data.benchmark).manifest.digest,
            "split": SPLIT,
            "weight": data.weight,
        }
        if data.cot is not None:
            chains = data.cot / cot.CHAINS
            entry |= {"cot": str(data.cot), "cot_sha256": store.sha256(chains)}
            entry["chains"] = chains.read_bytes().count(b"\n")
        told.append(entry)
    return told


def begin(run: Path, recipe: Recipe, data: Told) -> None:
    """Begins a run in a folder, or goes on with one of the same recipe and data."""
    claim(run, ASKED, {"recipe": recipe, "data": data}, "a training run")
