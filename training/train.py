"""Runs a recipe stage by stage. Finished stages are kept, and an interrupted stage resumes.

RUN/recipe.json is written first and contains the request. RUN/STAGE/training.json is written last and marks a
finished stage. The same command can therefore be interrupted and repeated at any time. A different request
is refused.
"""

import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve, using
from harness.records import Json
from training.config import Recipe, Stage, merge
from training.cot.generate import CHAINS, read_chains
from training.curves.history import RECORD_FILE, MetricValues, read_history
from training.sequences.dataset import SPLIT, Mixture

# The flags that set the fields of a request which have other names.
FLAGS = {"recipe.name": "recipe", "benchmark": "data", "digest": "data", "chains": "cot", "cot_sha256": "cot"}
RECIPE_FILE = "recipe.json"
# Settings of a recipe that affect each stage and may change between two stages.
COMMON = ("gradient_checkpointing", "attention", "freeze_vision")
# Tables of a stage whose keys are the user's choice.
TABLES = ("rows", "trl")
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@dataclass(frozen=True, slots=True)
class StageRecord:
    """How one stage was trained."""

    stage: Stage
    parent: str
    settings: Json
    # Number of updates.
    steps: int
    # The reason if the stage ended early.
    stopped: str | None
    wall_seconds: float
    device_seconds: float
    processes: int
    # Mean over the updates of every logged metric.
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """training.json: how a checkpoint was trained, back to the base model."""

    recipe: str
    scale: str
    # As in `harness eval --model`, so that a leaderboard finds the runs of the base model.
    base: str
    # For each benchmark its folder, digest, split and chains.
    data: tuple[Json, ...]
    seed: int
    # The stages up to this checkpoint.
    stages: tuple[StageRecord, ...] = ()
    versions: Mapping[str, str] = field(default_factory=package_versions)
    # All stages of the recipe.
    planned: tuple[Stage, ...] = ()


def train(recipe: Recipe, run: Path, only: Stage | None = None) -> Path:
    """Trains the missing stages of a recipe, or only one, and returns the folder of the last checkpoint.

    Raises UserError if the folder contains a run of another recipe or of other data, if another process uses
    it, or if the checkpoint that the only stage starts from is missing.
    """
    if only is not None and only not in recipe.stages:
        raise UserError(f"stage: expected one of {', '.join(recipe.stages)} for {recipe.name}, got {only}")
    # torch takes some seconds to load, so it is imported late.
    from training.trainers.devices import process_state

    state, data = process_state(), tuple(provenance(recipe))
    record = TrainingRecord(
        recipe=recipe.name,
        scale=recipe.scale,
        base=f"hf:{recipe.base}",
        data=data,
        seed=recipe.seed,
        planned=recipe.stages,
    )
    check_data(recipe)
    with using(run, RECIPE_FILE, "a training run") if state.is_main_process else nullcontext():
        with state.main_process_first():
            reserve_run(run, recipe, data)
        return _train_stages(recipe, run, record, only)


def _train_stages(recipe: Recipe, run: Path, record: TrainingRecord, only: Stage | None) -> Path:
    parent, checked = recipe.base, False
    for index, stage in enumerate(recipe.stages):
        folder = run / stage
        if not (folder / RECORD_FILE).exists():
            if only not in (None, stage):
                raise UserError(
                    f"{folder}: expected the checkpoint that {only} starts from, got none; "
                    f"train --stage {stage} first, or omit --stage"
                )
            if not checked:
                from training.check import check_stages

                check_stages(recipe, recipe.stages[index:] if only is None else (stage,), parent)
                checked = True
            _train_one(recipe, stage, parent, run, record)
        parent = str(folder)
        # Only the stages: a sweep may have linked this folder from a run of another recipe.
        record = replace(record, stages=store.read_json(folder / RECORD_FILE, TrainingRecord).stages)
        if stage == only:
            break
    return Path(parent)


def _train_one(recipe: Recipe, stage: Stage, parent: str, run: Path, earlier: TrainingRecord) -> None:
    """Trains a stage. The main process writes its record, which includes the records of earlier stages."""
    from training.curves.page import write_curves
    from training.stages import train_stage
    from training.trainers.devices import process_state

    steps, stop_reason = train_stage(recipe, stage, parent, run)
    state = process_state()
    if state.is_main_process:
        history = read_history(run)[stage]
        stage_record = StageRecord(
            stage=stage,
            parent=parent,
            settings=msgspec.to_builtins(recipe.rl if stage == "rl" else recipe.sft[stage]),
            steps=steps,
            stopped=stop_reason,
            wall_seconds=history.seconds,
            device_seconds=history.seconds * state.num_processes,
            processes=state.num_processes,
            means=_means(history.steps.values()),
        )
        record = replace(earlier, stages=(*earlier.stages, stage_record))
        # The page shows RUN/training.json. The stage's own record is last: it marks the stage as finished.
        store.write_json(run / RECORD_FILE, record)
        write_curves(run)
        store.write_json(run / stage / RECORD_FILE, record)
        shutil.rmtree(run / f".{stage}")
    state.wait_for_everyone()


def _means(steps: Iterable[MetricValues]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in step.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: fmean(of_metric) for name, of_metric in values.items()}


def provenance(recipe: Recipe) -> list[dict[str, Any]]:
    """Identifies the training data by content, so a benchmark that has changed counts as other data."""
    entries = []
    for data in recipe.data:
        benchmark = Benchmark(data.benchmark)
        entry: dict[str, Any] = {"benchmark": str(data.benchmark), "digest": benchmark.manifest.digest}
        entry |= {"split": SPLIT, "weight": data.weight}
        if data.cot is not None:
            entry["chains"] = len(read_chains(data.cot, benchmark))
            entry |= {"cot": str(data.cot), "cot_sha256": store.sha256(data.cot / CHAINS)}
        entries.append(entry)
    return entries


def check_data(recipe: Recipe) -> None:
    """Raises UserError for problems with the data that a later stage would find only after hours."""
    mixture = Mixture(recipe.data, recipe.stages)
    mixture.check_images()
    if recipe.rl is None or "rl" not in recipe.stages:
        return
    # With more prompts in a batch than there are instances, TRL would train for zero steps without an error.
    instances = len(mixture.rl_dataset())
    if recipe.rl.prompts > instances:
        raise UserError(
            f"rl.prompts: expected at most as many per batch as there are training instances, {instances}, "
            f"got {recipe.rl.prompts}"
        )


def reserve_run(run: Path, recipe: Recipe, data: tuple[Json, ...]) -> None:
    """Writes recipe.json into a new folder, or checks that the folder has a run of the same recipe and data.

    The settings of a stage may change until its training starts. Any other difference raises UserError.
    """
    request = msgspec.json.decode(msgspec.json.encode({"recipe": recipe, "data": data}, enc_hook=str))
    requested = request["recipe"]
    stored = requested
    if (run / RECIPE_FILE).is_file():
        stored = store.read_json(run / RECIPE_FILE, dict[str, Any]).get("recipe", requested)
    changed = [
        stage
        for stage in recipe.stages
        if not (run / stage / RECORD_FILE).exists()
        and _stage_settings(stored, stage) != _stage_settings(requested, stage)
    ]
    for stage in recipe.stages:
        # `reserve` takes a new key for one that an earlier version did not store.
        if stage not in changed and _tables(stored, stage) != _tables(requested, stage):
            raise UserError(
                f"{run}: {stage} is trained with {_tables(stored, stage) or 'no tables'}, but "
                f"{_tables(requested, stage) or 'none'} was requested; name another folder for a new run"
            )
    # `reserve` refuses any difference, so these stages are compared with their stored settings.
    comparable = requested
    for stage in changed:
        comparable = merge(comparable, _stage_settings(stored, stage))
    flags = dict(_keys_as_typed(requested)) | FLAGS
    reserve(run, RECIPE_FILE, request | {"recipe": comparable}, "a training run", flags=flags)
    for stage in changed:
        if any((run / f".{stage}").glob("*")):
            raise UserError(
                f"{run}: {stage} is partly trained with other settings; delete {run / f'.{stage}'} to train "
                "it again with the new settings, or use the previous ones"
            )
    if changed:
        store.write_json(run / RECIPE_FILE, request)


def _tables(recipe: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    settings = (recipe["rl"] if stage == "rl" else recipe["sft"].get(stage)) or {}
    return {name: settings[name] for name in TABLES if settings.get(name)}


def _keys_as_typed(settings: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, str]]:
    """The path of each setting in recipe.json, and its key in a recipe file, such as rl.prompts."""
    for name, value in settings.items():
        key = f"{parent}{name}"
        if isinstance(value, dict):
            yield from _keys_as_typed(value, f"{key}.")
        else:
            yield f"recipe.{key}", key


def _stage_settings(recipe: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """The part of recipe.json that affects one stage."""
    settings = {"rl": recipe["rl"]} if stage == "rl" else {"sft": {stage: recipe["sft"].get(stage)}}
    return settings | {name: recipe.get(name) for name in ("save_steps", *COMMON)}


def common_settings(run: Path) -> dict[str, Any]:
    """The settings of a run that affect the weights after every stage, besides base, data and seed."""
    recipe = store.read_json(run / RECIPE_FILE, dict[str, Any])["recipe"]
    # The recipe.json of an earlier version does not have all of them.
    return {name: recipe.get(name) for name in (*COMMON, "min_pixels", "max_pixels")}
