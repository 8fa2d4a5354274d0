"""Configuration of a training run: a recipe (which stages) at a scale (hyperparameters), both TOML files.

A recipe file states only what differs from the scale, which has the hyperparameters of every stage. A file of
either kind may name another one as `extends`. Later values win: scale, extended recipe, recipe, command line.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from harness.backends import check_url
from harness.errors import UserError
from harness.files import store
from harness.parsing import FORMAT_WEIGHT
from training.rl.teacher.methods import TeacherSettings
from training.sequences.policy_rows import PolicyRow

SftStage = Literal["vm-cpt", "direct-sft", "cot-sft", "prompt-sft"]
Stage = Literal[SftStage, "rl"]
# Kinds of sequences: those of a supervised stage, or about the policy itself (sequences/policy_rows.py).
RowKind = Literal[SftStage, PolicyRow]
Loss = Literal["sequence", "token"]

HERE = Path(__file__).parent
RECIPES, SCALES = HERE / "recipes", HERE / "scales"
# Keys of a recipe file that say how tables present it. They do not affect training and are not inherited.
PRESENTATION = ("title", "order")


@dataclass(frozen=True, slots=True)
class SftSettings:
    """Hyperparameters of a supervised stage."""

    learning_rate: float
    epochs: float
    # Sequences per update, over all devices.
    batch_size: int
    # Sequences per pass on one device.
    micro_batch: int
    # Number of updates, in place of epochs.
    max_steps: int | None = None
    # Rank of a LoRA adapter, which is merged when the stage ends; 0 trains every weight.
    lora_rank: int = 0
    weight_decay: float = 0.0
    # Share of the updates in which the learning rate rises; after them it falls linearly to 0.
    warmup_ratio: float = 0.0
    # The mean over the tokens of each sequence and then over sequences (paper), or over all learned tokens.
    loss: Loss = "sequence"
    # VM-CPT only: how many sequences of each kind an epoch has per chain of thought. Empty: the paper's,
    # one sequence with policy, question and chain.
    rows: Mapping[RowKind, int] = field(default_factory=dict)
    # More fields of TRL's SFTConfig by their own names, such as trl.neftune_noise_alpha = 5.
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self, "learning_rate", "epochs", "batch_size", "micro_batch")
        if self.max_steps is not None:
            _require(self, "max_steps")
        if self.batch_size % self.micro_batch:
            raise UserError(
                f"batch_size: expected a multiple of micro_batch {self.micro_batch}, got {self.batch_size}"
            )
        _require(self, "lora_rank", "weight_decay", zero=True)
        if not 0 <= self.warmup_ratio < 1:
            raise UserError(f"warmup_ratio: expected 0 or more and below 1, got {self.warmup_ratio}")
        for kind, count in self.rows.items():
            if count < 1:
                raise UserError(f"rows.{kind}: expected 1 or more, got {count}; omit a kind to leave it out")


@dataclass(frozen=True, slots=True)
class RlSettings:
    """Hyperparameters of reinforcement learning (paper, RL: GRPO or DAPO, with or without PolicyRollout)."""

    learning_rate: float
    epochs: float
    # Different prompts per rollout batch.
    prompts: int
    # Responses per prompt, the group for the advantages. With PolicyRollout 2G, half of them policy-aware.
    responses: int
    # Responses per pass on one device.
    micro_batch: int
    algorithm: Literal["grpo", "dapo"] = "grpo"
    policy_rollout: bool = False
    # Updates per rollout batch. From the second one on, the ratio differs from 1, so clipping has an effect.
    updates: int = 1
    max_new_tokens: int = 1024
    temperature: float = 1.0
    # Sample from the most likely tokens that together have this probability (EasyR1: 0.99).
    top_p: float = 1.0
    # Shares of the reward: the format, and citing the rules that apply (PA3, training/rl/citations.py). The
    # rest is the harness's score of the answer.
    format_weight: float = FORMAT_WEIGHT
    citation_weight: float = 0.0
    # Responses cut off at max_new_tokens: keep them, mask them in the loss, or give all that come near this
    # limit DAPO's penalty, which grows from 0 to -1 over their last overlong_buffer tokens before it.
    overlong: Literal["keep", "mask", "penalty"] = "keep"
    overlong_buffer: int = 0
    # A teacher that sees the policy and corrects each token; rl/teacher/methods.py has its fields.
    teacher: TeacherSettings | None = None
    # The loss of CISPO (arXiv 2506.13585), which bounds the weight of a token and never drops its gradient.
    cispo: bool = False
    # Whether responses below the mean of their group are made less likely. If not, their advantage is 0.
    negative_advantages: bool = True
    # DAPO: rollout batches to sample at most until one is full of groups that can be learned from.
    tries: int = 20
    # Upper limit on the number of updates.
    max_steps: int | None = None
    # Updates below the full learning rate: Adam's first updates are several times as large as later ones.
    warmup_steps: int = 0
    # Of AdamW (EasyR1: 0.01).
    weight_decay: float = 0.0
    # Dual clip: the largest ratio that counts for a negative advantage (EasyR1: 3.0). None: no bound.
    dual_clip: float | None = None
    # The KL of a token is at most 10. A token beyond this bound keeps the gradient that it has there; with
    # clamp_kl it has none (EasyR1).
    clamp_kl: bool = False
    # What samples: transformers, vLLM on the same devices, or `trl vllm-serve` at the URL vllm_server.
    vllm: Literal["off", "colocate", "server"] = "off"
    vllm_server: str = "http://127.0.0.1:8000"
    # Other arguments of TRL's GRPOConfig, such as vllm_gpu_memory_utilization.
    trl: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_policy(self) -> bool:
        """Whether some responses are sampled or compared with the policy in context."""
        return self.policy_rollout or self.teacher is not None

    def __post_init__(self) -> None:
        _require(self, "learning_rate", "epochs", "prompts", "micro_batch", "updates", "max_new_tokens")
        _require(self, "temperature", "tries")
        if self.max_steps is not None:
            _require(self, "max_steps")
        _require(self, "warmup_steps", "weight_decay", zero=True)
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
        if not 0 <= self.citation_weight <= 1 - self.format_weight:
            raise UserError(
                f"citation_weight: expected 0..{1 - self.format_weight:g}, what format_weight leaves, "
                f"got {self.citation_weight}"
            )
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: expected above 0 and at most 1, got {self.top_p}")
        if self.dual_clip is not None and self.cispo:
            raise UserError(f"dual_clip: expected no value with cispo, which has none, got {self.dual_clip}")
        # At most 1.3 would also clip positive advantages, whose ratio counts up to 1.3 (GRPO).
        if self.dual_clip is not None and not self.dual_clip > 1.3:
            raise UserError(f"dual_clip: expected above 1.3 or no value, got {self.dual_clip}")
        check_url(self.vllm_server, "vllm_server")
        if self.overlong == "penalty" and not 0 < self.overlong_buffer <= self.max_new_tokens:
            raise UserError(
                f"overlong_buffer: expected 1..{self.max_new_tokens} tokens for overlong = 'penalty', got "
                f"{self.overlong_buffer}; DAPO uses a fifth of max_new_tokens"
            )


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A benchmark to train on; only its training split is read."""

    benchmark: Path
    # Folder of `trimpi cot`, for stages that learn from chains of thought.
    cot: Path | None = None
    # Share of the sequences among all benchmarks. An epoch then has each sequence at least once, and repeats
    # those of some benchmarks. None takes each sequence once.
    weight: float | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not 0 < self.weight < math.inf:
            raise UserError(f"weight: expected a number above 0, got {self.weight}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a training run."""

    name: str
    scale: str
    # Folder of the checkpoint to start from, or its id on the Hugging Face hub.
    base: str
    data: tuple[TrainingData, ...]
    stages: tuple[Stage, ...]
    sft: Mapping[SftStage, SftSettings] = field(default_factory=dict)
    rl: RlSettings | None = None
    seed: int = 0
    # Updates between two checkpoints from which an interrupted run can resume.
    save_steps: int = 50
    # Where transformers logs, beside RUN/log.jsonl: names such as "tensorboard", "wandb" or "trackio".
    report_to: Sequence[str] = ("tensorboard",)
    # Saves memory and costs time; not useful for a tiny model.
    gradient_checkpointing: bool = True
    # Whether every stage leaves all weights outside the language model as they are; LoRA always does.
    freeze_vision: bool = False
    # What computes attention, such as "flash_attention_2"; None is the choice of transformers.
    attention: str | None = None
    # An image is scaled to at least and at most this many pixels; None is the limit of the base.
    min_pixels: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        _require(self, "save_steps")
        _require(self, *(name for name in ("min_pixels", "max_pixels") if getattr(self, name) is not None))
        for name in self.report_to:
            if not name.isidentifier() or find_spec(name) is None:
                raise UserError(
                    "report_to: expected installed packages that transformers logs to, such as tensorboard, "
                    f"wandb or trackio, got {name!r}; write [] to log only to log.jsonl"
                )
        if not self.stages or len(set(self.stages)) < len(self.stages):
            raise UserError(f"stages: expected one or more, each once, got {list(self.stages)}")
        if not self.data:
            raise UserError("data: expected a benchmark to train on, got none")
        for stage in self.stages:
            settings = self.rl if stage == "rl" else self.sft.get(stage)
            if settings is None:
                raise UserError(f"{self.name}: expected settings for the stage {stage}, the scale has none")
        for stage in self.sft.keys() - {"vm-cpt"}:
            if self.sft[stage].rows:
                raise UserError(f"sft.{stage}.rows: expected it only for vm-cpt; use sft.vm-cpt.rows")
        if len({data.weight is None for data in self.data}) > 1:
            raise UserError("data: expected a weight for each benchmark or for none")


def load(recipe: str, scale: str | None = None, **overrides: Any) -> Recipe:
    """Loads a recipe by its name in training/recipes or by the path of a TOML file.

    `scale` is a name in training/scales or a TOML file, and `overrides` are keys of the recipe; None leaves
    the value of the files. Raises UserError with the key that is unknown, missing or wrong.
    """
    settings = _without_presentation(_read(recipe, RECIPES))
    scale = scale or settings.get("scale")
    if scale is None:
        raise UserError(f"scale: expected one of {', '.join(names(SCALES))} or a TOML file, got none")
    settings = merge(_read(scale, SCALES), settings)
    settings = merge(settings, {key: value for key, value in overrides.items() if value is not None})
    settings |= {"name": settings.get("name", Path(recipe).stem), "scale": Path(scale).stem}
    for key in ("base", "data"):
        if key not in settings:
            raise UserError(f"{recipe}: expected {key}, got none; give --{key} or write it into the recipe")
    _check_sft(settings.get("sft", {}), recipe)
    try:
        loaded = msgspec.convert(settings, Recipe, dec_hook=_path)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.rl.prompts`" -> "..., at `rl.prompts`", as the key is in TOML.
        raise UserError(f"{recipe}: {error}".replace(" - at `$.", ", at `")) from error
    _check_keys(settings, msgspec.to_builtins(loaded, enc_hook=str), recipe)
    return loaded


def pair_data(benchmarks: Sequence[Path], chains: Sequence[Path]) -> list[dict[str, Any]] | None:
    """The recipe's `data` for benchmarks and their chains of thought; None if there is no benchmark."""
    if chains and len(chains) != len(benchmarks):
        raise UserError(
            f"cot: expected a folder for each of the {len(benchmarks)} benchmarks, got {len(chains)}"
        )
    return [{"benchmark": b, "cot": c} for b, c in zip_longest(benchmarks, chains)] or None


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def recipe_files() -> dict[str, dict[str, Any]]:
    """Contents of the recipes that come with the project, by name, in the order of the paper's tables."""
    contents = {name: _read(name, RECIPES) for name in names(RECIPES)}
    return dict(sorted(contents.items(), key=lambda item: item[1]["order"]))


def recipe_titles() -> dict[str, str]:
    """Titles of these recipes, by name, in the same order."""
    return {name: contents["title"] for name, contents in recipe_files().items()}


def recipe_title(recipe: str) -> str:
    """Title of a recipe, by name or TOML file; the name of the file if it has no title or is gone."""
    known = recipe in names(RECIPES) or Path(recipe).is_file()
    contents = _read(recipe, RECIPES) if known else {}
    return str(contents.get("title", Path(recipe).stem))


def _read(name: Any, folder: Path, descendants: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Reads a TOML file, by path or by its name in `folder`, merged over the file that it extends.

    `descendants` are the files that extend this one, directly or through others.
    """
    if not isinstance(name, str):
        raise UserError(f"expected one of {', '.join(names(folder))} or a TOML file, got {name!r}")
    path = folder / f"{name}.toml" if name in names(folder) else Path(name)
    if path.resolve() in descendants:
        raise UserError(f"{path}: expected a file that does not extend itself, directly or through others")
    if not path.is_file():
        raise UserError(f"{name}: expected {', '.join(names(folder))} or a TOML file, got neither")
    contents = store.read_toml(path, dict[str, Any])
    parent = contents.pop("extends", None)
    if parent is None:
        return contents
    if isinstance(parent, str) and parent.endswith(".toml"):
        parent = str(path.parent / parent)
    return merge(_without_presentation(_read(parent, folder, (*descendants, path.resolve()))), contents)


def _without_presentation(contents: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in contents.items() if key not in PRESENTATION}


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merges nested tables key by key; any other value of `changes` replaces that of `base`."""
    merged = dict(base)
    for key, value in changes.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_tables else value
    return merged


def _check_sft(sft: Any, where: str) -> None:
    stages = get_args(SftStage)
    wrong = sorted(sft.keys() - set(stages)) if isinstance(sft, dict) else [repr(sft)]
    if wrong:
        raise UserError(
            f"{where}: sft: expected settings by stage, such as sft.{stages[0]}.epochs, for "
            f"{', '.join(stages)}, got {', '.join(wrong)}"
        )


def _check_keys(settings: Any, known: Any, recipe: str, parent: str = "") -> None:
    """Refuses keys of the files that are not in `known`, the loaded recipe as plain JSON.

    msgspec ignores unknown keys of a dataclass, so a typo would silently do nothing.
    """
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key not in known:
                expected = ", ".join(sorted(known))
                raise UserError(f"{recipe}: unknown key {parent + key!r}; expected one of {expected}")
            _check_keys(value, known[key], recipe, f"{parent}{key}.")
    elif isinstance(settings, list):
        for value, known_value in zip(settings, known, strict=True):
            _check_keys(value, known_value, recipe, parent)


def _require(settings: Any, *names: str, zero: bool = False) -> None:
    """Raises UserError for the first of these fields that is negative, or 0 unless `zero` is allowed."""
    for name in names:
        value = getattr(settings, name)
        # Unlike `value <= 0`, this also refuses NaN, for which every comparison is false.
        if not (value > 0 or (zero and value == 0)):
            raise UserError(f"{name}: expected {'0 or more' if zero else 'above 0'}, got {value}")


def _path(type_: type, value: object) -> Path:
    """Converts a TOML string where msgspec needs a Path."""
    if type_ is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError(f"expected {type_.__name__}, got {value!r}")
