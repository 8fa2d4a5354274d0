"""Runs one stage with TRL: reads a checkpoint, trains it, writes a checkpoint.

    parent checkpoint --load--> TRL trainer --every save_steps--> RUN/.STAGE/checkpoint-N   (to resume)
                                     |
                                     +--at the end--> RUN/.STAGE/trained --export--> RUN/STAGE

RUN/STAGE appears only when it is complete. It is an ordinary checkpoint with adapters merged, so the harness,
vLLM and the next stage can load it. After a kill, the stage resumes from its last complete checkpoint-N.
"""

import gc
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.utils import logging
from trl import SFTConfig

from harness.backends.local.chat import placeholders
from harness.backends.local.tokens import as_text
from harness.errors import UserError
from training.checkpoints.lora import lora_config
from training.checkpoints.parent import load_parent
from training.checkpoints.pixels import write_limits
from training.checkpoints.trained import export
from training.config import Recipe, RlSettings, SftSettings, SftStage, Stage
from training.curves.log import log_to_run
from training.rl.vllm_errors import vllm_errors
from training.sequences.collate import MaskingCollator
from training.sequences.dataset import Mixture
from training.sequences.template import SequenceTemplate
from training.trainers.devices import accumulation_steps, process_state
from training.trainers.resume import ResumeMixin
from training.trainers.sequence_loss import WeightedTrainer
from training.trainers.trl_fields import make_config, named_refusals
from training.trainers.warmup import WarmupMixin

# Otherwise a bar for loading weights would appear between the bars of the stages.
logging.disable_progress_bar()

# Marks a checkpoint-N that was written completely.
COMPLETE = ".complete"
TRAINED = "trained"

# Fields of SFTConfig that a recipe may not set: the collator and the loss replace them. `make_config` refuses
# more, such as those that other settings of the recipe determine.
MANAGED = (
    *("max_length", "truncation_mode", "pad_to_multiple_of", "completion_only_loss", "assistant_only_loss"),
    *("chat_template_path", "eos_token", "pad_token", "dataset_text_field", "dataset_kwargs"),
    *("loss_type", "label_smoothing_factor", "average_tokens_across_devices", "trust_remote_code"),
)


class SupervisedTrainer(WarmupMixin, ResumeMixin, WeightedTrainer):
    """TRL's SFTTrainer, which resumes from the weights that it saved and loses no update to the warm-up."""


def train_stage(recipe: Recipe, stage: Stage, parent: str, run: Path) -> tuple[int, str | None]:
    """Trains a stage and writes RUN/STAGE, except for its training.json.

    Returns the number of updates, and the reason if the stage ended early. Raises UserError if the loss is
    not finite or if there is nothing to learn from.
    """
    work = run / f".{stage}"
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(run / "tensorboard" / stage)
    resume_from = _last_complete_checkpoint(work)
    with explained(recipe, stage):
        trainer = make_trainer(recipe, stage, parent, work, Mixture(recipe.data, [stage]))
    log_to_run(trainer, run, stage)
    trainer.add_callback(CheckpointGuard(work))
    try:
        with explained(recipe, stage):
            trainer.train(resume_from_checkpoint=resume_from)
    except UserError:
        print(file=sys.stderr)  # ends the line of the progress bar
        raise
    trainer.save_model(str(work / TRAINED))
    steps, stop_reason = int(trainer.state.global_step), getattr(trainer, "stop_reason", None)
    # The export loads the model again; two copies might not fit into memory.
    del trainer
    gc.collect()
    state = process_state()
    if state.is_main_process:
        export(work / TRAINED, parent, run / stage)
        write_limits(run / stage, min_pixels=recipe.min_pixels, max_pixels=recipe.max_pixels)
    state.wait_for_everyone()
    return steps, stop_reason


def make_trainer(recipe: Recipe, stage: Stage, parent: str, work: Path, mixture: Mixture) -> Any:
    """A TRL trainer for a stage of a recipe that starts from the checkpoint `parent`."""
    model, processor = load_parent(recipe, parent)
    # bfloat16 weights would lose small updates. On a GPU the passes still run in bfloat16.
    model = model.float()
    if stage == "rl":
        from training.rl.trainer import make_rl_trainer

        # Recipe checks that each of its stages has settings.
        settings = cast(RlSettings, recipe.rl)
        arguments = trainer_arguments(recipe, work)
        return make_rl_trainer(settings, model, processor, mixture, arguments, recipe.base)
    return SupervisedTrainer(
        model=model,
        args=sft_config(recipe, stage, work),
        processing_class=processor,
        data_collator=make_collator(parent, model.config, processor),
        train_dataset=mixture.sft_dataset(stage, as_text(processor), recipe.sft[stage].rows, recipe.seed),
        peft_config=lora_config(recipe.sft[stage], model),
        loss=recipe.sft[stage].loss,
    )


def trl_table(recipe: Recipe, stage: Stage) -> tuple[Mapping[str, Any], str]:
    """A stage's table of TRL's fields, and its key in a recipe file."""
    if stage == "rl":
        return cast(RlSettings, recipe.rl).trl, "rl.trl"
    return recipe.sft[stage].trl, f"sft.{stage}.trl"


@contextmanager
def explained(recipe: Recipe, stage: Stage) -> Iterator[None]:
    """Within the context, turns errors about TRL's fields, and those of vLLM, into a UserError."""
    with vllm_errors(), named_refusals(*trl_table(recipe, stage)):
        yield


def sft_config(recipe: Recipe, stage: SftStage, work: Path) -> SFTConfig:
    """TRL's configuration of a supervised stage. Raises UserError for a wrong field of its table `trl`."""
    fields, where = trl_table(recipe, stage)
    for name in ("packing", "padding_free"):
        if fields.get(name):
            raise UserError(f"{where}.{name}: TRL does not pack sequences that may have images; remove it")
    arguments = trainer_arguments(recipe, work) | sft_arguments(recipe.sft[stage]) | {"max_length": None}
    return make_config(SFTConfig, arguments, fields, {*arguments, *MANAGED}, where)


def make_collator(parent: str, config: Any, processor: Any) -> MaskingCollator:
    """The batches of a supervised stage that starts from the checkpoint `parent`."""
    template, visual = SequenceTemplate(f"hf:{parent}", processor), placeholders(config, processor)
    return MaskingCollator(template, visual, positions(config))


def positions(config: Any) -> int | None:
    """The most tokens that a model's context takes, if its config says so."""
    limit: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    return limit


def trainer_arguments(recipe: Recipe, work: Path) -> dict[str, Any]:
    """Arguments of TrainingArguments that all stages share."""
    return {
        "output_dir": str(work),
        "seed": recipe.seed,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        # The filter would report the last finite loss in place of one that is not finite.
        "logging_nan_inf_filter": False,
        "report_to": _loggers(recipe),
        "run_name": f"{work.parent.name}{work.name}",
        "disable_tqdm": True,
        # The collator needs the id of each row, and the rewards its instance.
        "remove_unused_columns": False,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }


def _loggers(recipe: Recipe) -> list[str]:
    """Where transformers logs. Raises UserError if it does not know one of them."""
    if unknown := [name for name in recipe.report_to if name not in INTEGRATION_TO_CALLBACK]:
        known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
        raise UserError(f"report_to: expected some of {known}, got {unknown[0]!r}")
    return list(recipe.report_to)


def sft_arguments(settings: SftSettings) -> dict[str, Any]:
    return {
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": accumulation_steps(settings.batch_size, settings.micro_batch),
        "weight_decay": settings.weight_decay,
        # transformers reads a value below 1 as a share of all updates.
        "warmup_steps": settings.warmup_ratio,
    }


class CheckpointGuard(TrainerCallback):  # type: ignore[misc]
    """Raises UserError at a loss that is not finite, before it is saved, and marks complete checkpoints."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(float(value)):
                raise UserError(
                    f"step {state.global_step}: expected a finite {name}, got {value}; lower learning_rate, "
                    f"delete {self.work}, which contains the checkpoints saved so far, and train again"
                )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            folder = self.work / f"checkpoint-{state.global_step}"
            sizes = {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
            (folder / COMPLETE).write_text(json.dumps(sizes))


def _last_complete_checkpoint(work: Path) -> str | None:
    """Path of the latest complete checkpoint-N. Deletes those that a kill or a full disk left incomplete."""
    complete = {}
    for folder in work.glob("checkpoint-*"):
        if _is_complete(folder):
            complete[int(folder.name.removeprefix("checkpoint-"))] = folder
        elif process_state().is_main_process:
            shutil.rmtree(folder)
    process_state().wait_for_everyone()
    return str(complete[max(complete)]) if complete else None


def _is_complete(folder: Path) -> bool:
    """Whether a checkpoint was saved to the end, and all of its files still have the sizes they had then."""
    try:
        sizes = json.loads((folder / COMPLETE).read_text())
    except (FileNotFoundError, ValueError):
        return False
    files = [(folder / name, size) for name, size in sizes.items()]
    return all(path.is_file() and path.stat().st_size == size for path, size in files)
