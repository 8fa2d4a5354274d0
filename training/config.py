"""What a training run is asked for: a method (which stages) at a scale (how large, how long), in TOML.

A recipe states only what differs: the method's file names its stages, the scale's file gives the
hyperparameters of every stage, and a file of your own may `extend` either. Later words win:
scale, then method, then your file, then the command line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from harness.errors import UserError
from training.rl.rewards import FORMAT_WEIGHT

SftStage = Literal["vm-cpt", "direct-sft", "cot-sft", "prompt-sft"]
Stage = Literal[SftStage, "rl"]
STAGES: tuple[str, ...] = get_args(Stage)

HERE = Path(__file__).parent
RECIPES, SCALES = HERE / "recipes", HERE / "scales"
# Keys of a recipe file that only tables use: its name and its place.
PRESENTATION = ("title", "order")


@dataclass(frozen=True, slots=True)
class Sft:
    """Hyperparameters of a supervised stage."""

    learning_rate: float
    epochs: float
    batch_size: int
    """Sequences an update, over all devices."""
    micro_batch: int
    """Sequences on a device at a time."""
    lora_rank: int = 0
    """0 trains every weight; an adapter is merged when the stage ends."""
    weight_decay: float = 0.0
    warmup_ratio: float = 0.0
    """Of the stage's updates; then the rate falls linearly to 0."""

    def __post_init__(self) -> None:
        _positive(self, "learning_rate", "epochs", "batch_size", "micro_batch")
        if self.batch_size % self.micro_batch:
            raise UserError(
                f"batch_size: expected a multiple of micro_batch {self.micro_batch}, got {self.batch_size}"
            )
        _not_negative(self, "lora_rank", "weight_decay")
        if not 0 <= self.warmup_ratio < 1:
            raise UserError(f"warmup_ratio: expected 0 or more and below 1, got {self.warmup_ratio}")


@dataclass(frozen=True, slots=True)
class Rl:
    """Hyperparameters of reinforcement learning (paper, RL: GRPO or DAPO, with or without PolicyRollout)."""

    learning_rate: float
    epochs: float
    prompts: int
    """Different prompts a rollout batch."""
    responses: int
    """Of one prompt: a group for the advantage; 2G with PolicyRollout, half of them policy-aware."""
    micro_batch: int
    """Responses on a device at a time."""
    algorithm: Literal["grpo", "dapo"] = "grpo"
    policy_rollout: bool = False
    updates: int = 1
    """Of the weights a rollout batch; from the second on the ratio leaves 1 and clipping matters."""
    max_new_tokens: int = 1024
    temperature: float = 1.0
    format_weight: float = FORMAT_WEIGHT
    """Share of the format in the reward; the rest is the harness's score of the answer."""
    retries: int = 20
    """DAPO: further batches sampled for groups without reward variance before training stops early."""
    max_steps: int | None = None
    """Updates at most."""
    warmup_steps: int = 0
    """Updates until the full learning rate; Adam's first ones are several times as large as later ones."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Who samples: transformers, vLLM on the same devices, or a `trl vllm-serve` at vllm_server."""
    vllm_server: str = "http://127.0.0.1:8000"

    def __post_init__(self) -> None:
        _positive(self, "learning_rate", "epochs", "prompts", "micro_batch", "updates", "max_new_tokens")
        _positive(self, "temperature")
        _not_negative(self, "warmup_steps", "retries")
        if self.max_steps is not None:
            _positive(self, "max_steps")
        if self.responses < 2:
            raise UserError(f"responses: expected 2 or more to compare with each other, got {self.responses}")
        if self.policy_rollout and self.responses % 2:
            raise UserError(
                "responses: expected an even number with policy_rollout, half of them with the policy in "
                f"context, got {self.responses}"
            )
        if (self.prompts * self.responses) % (self.updates * self.micro_batch):
            raise UserError(
                f"prompts x responses: expected a multiple of updates x micro_batch = "
                f"{self.updates * self.micro_batch}, got {self.prompts * self.responses}"
            )
        if not 0 <= self.format_weight <= 1:
            raise UserError(f"format_weight: expected 0..1, got {self.format_weight}")


@dataclass(frozen=True, slots=True)
class Data:
    """A benchmark to train on; only its training split is read."""

    benchmark: Path
    cot: Path | None = None
    """A folder of `trimpi cot`, for the stages that learn from chains of thought."""
    weight: float | None = None
    """Share of the sequences next to the other benchmarks; none: by their number."""

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight <= 0:
            raise UserError(f"weight: expected above 0, got {self.weight}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training run."""

    name: str
    scale: str
    base: str
    """Folder of the checkpoint to start from, or its id on the Hugging Face hub."""
    data: tuple[Data, ...]
    stages: tuple[Stage, ...]
    sft: Mapping[SftStage, Sft] = field(default_factory=dict)
    rl: Rl | None = None
    seed: int = 0
    save_steps: int = 50
    """Updates between two points from which a killed run goes on."""
    gradient_checkpointing: bool = True
    """Less memory for more time; of no use to a tiny model."""

    def __post_init__(self) -> None:
        _positive(self, "save_steps")
        if not self.stages or len(set(self.stages)) < len(self.stages):
            raise UserError(f"stages: expected one or more, each once, got {list(self.stages)}")
        if not self.data:
            raise UserError("data: expected a benchmark to train on, got none")
        for stage in self.stages:
            if (self.rl is None) if stage == "rl" else (stage not in self.sft):
                raise UserError(f"{self.name}: expected settings for the stage {stage}, the scale has none")
        if len({data.weight is None for data in self.data}) > 1:
            raise UserError("data: expected a weight for each benchmark or for none")


def load(recipe: str, scale: str | None = None, **changes: Any) -> Recipe:
    """The recipe of a name in training/recipes or of a TOML file, at a scale, with changes laid over it.

    A change of None leaves what the files say. UserError names the key that is unknown or wrong.
    """
    table = {key: value for key, value in _read(recipe, RECIPES).items() if key not in PRESENTATION}
    scale = scale or table.get("scale")
    if scale is None:
        raise UserError(f"scale: expected one of {', '.join(names(SCALES))} or a TOML file; give --scale")
    table = merge(_read(scale, SCALES), table)
    table = merge(table, {key: value for key, value in changes.items() if value is not None})
    table |= {"name": table.get("name", Path(recipe).stem), "scale": Path(scale).stem}
    _refuse_unknown(table, Recipe, recipe)
    for key in ("base", "data"):
        if key not in table:
            raise UserError(f"{recipe}: expected {key}, got none; give --{key} or write it into the recipe")
    try:
        return msgspec.convert(table, Recipe, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UserError(f"{recipe}: {_plain(error)}") from error


def pair(benchmarks: Sequence[Path], chains: Sequence[Path]) -> list[dict[str, Path]] | None:
    """The table `data` of benchmarks and their chains of thought; None where no benchmark is given."""
    if chains and len(chains) != len(benchmarks):
        raise UserError(
            f"cot: expected a folder for each of the {len(benchmarks)} benchmarks, got {len(chains)}"
        )
    if not chains:
        return [{"benchmark": benchmark} for benchmark in benchmarks] or None
    return [{"benchmark": b, "cot": c} for b, c in zip(benchmarks, chains, strict=True)]


def recipe_titles() -> dict[str, str]:
    """Titles of the recipes that come with the project, by name, in the order of the paper's tables."""
    tables = {name: _read(name, RECIPES) for name in names(RECIPES)}
    return {name: tables[name]["title"] for name in sorted(tables, key=lambda name: tables[name]["order"])}


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def _read(name: Any, folder: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A TOML file by path, or by its name in a folder of ours; what it extends comes first."""
    if not isinstance(name, str):
        raise UserError(f"expected a name out of {', '.join(names(folder))} or a TOML file, got {name!r}")
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if path.resolve() in below:
        raise UserError(f"{path}: expected a file that does not extend itself, by way of others either")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{name}: expected {', '.join(names(folder))} or a TOML file, got neither") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: expected TOML: {error}") from error
    parent = table.pop("extends", None)
    if parent is None:
        return table
    if isinstance(parent, str) and parent.endswith(".toml"):
        parent = str(path.parent / parent)
    return merge(_read(parent, folder, (*below, path.resolve())), table)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _refuse_unknown(table: Any, type_: Any, where: str) -> None:
    """msgspec lets unknown keys of a dataclass pass; a misspelt one would silently do nothing."""
    if isinstance(table, list | tuple):
        for item in table:
            _refuse_unknown(item, type_, where)
    if not isinstance(table, dict) or not is_dataclass(type_):
        return
    known = {f.name for f in fields(type_)}
    if unknown := sorted(table.keys() - known):
        raise UserError(f"{where}: unknown key {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    for key, inner in (("rl", Rl), ("data", Data)):
        _refuse_unknown(table.get(key), inner, f"{where}, {key}") if key in known else None
    sft, stages = table.get("sft", {}), get_args(SftStage)
    if not isinstance(sft, dict) or not sft.keys() <= set(stages):
        got = ", ".join(sorted(sft.keys() - set(stages))) if isinstance(sft, dict) else repr(sft)
        raise UserError(
            f"{where}: sft: expected settings by stage, such as sft.{stages[0]}.epochs, for "
            f"{', '.join(stages)}, got {got}"
        )
    for stage, settings in sft.items():
        _refuse_unknown(settings, Sft, f"{where}, sft.{stage}")


def _positive(settings: Any, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) > 0:
            raise UserError(f"{name}: expected above 0, got {getattr(settings, name)}")


def _not_negative(settings: Any, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) >= 0:
            raise UserError(f"{name}: expected 0 or more, got {getattr(settings, name)}")


def _path(type_: type, value: object) -> Path:
    if type_ is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError(f"expected {type_.__name__}, got {value!r}")


def _plain(error: Exception) -> str:
    """msgspec's words, with the place as TOML writes it."""
    return str(error).replace(" - at `$.", ", at `")
