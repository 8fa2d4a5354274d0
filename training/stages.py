"""One stage: a checkpoint in, a checkpoint out, trained by TRL; killed at any moment, it goes on.

While it trains, RUN/.STAGE holds what is needed to go on. RUN/STAGE appears when it is finished, whole: with
adapters merged, so that the harness, vLLM and the next stage load it as it is.
"""

from __future__ import annotations

import gc
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from transformers import TrainerCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from harness.backends.chat import placeholders
from harness.backends.checkpoint import load_checkpoint
from harness.errors import UserError
from training.collate import Collator
from training.config import Recipe, Rl, Sft, SftStage, Stage
from training.curves.log import watch
from training.dataset import KINDS, Mixture
from training.devices import accumulation, gpu, processes
from training.resume import Resumes

logging.disable_progress_bar()  # that of loading weights, which would stand between those of the stages

COMPLETE = ".complete"
"""Marks a step's checkpoint that was written whole."""
TRAINED = "trained"
CPU = torch.device("cpu")


class SupervisedTrainer(Resumes, SFTTrainer):  # type: ignore[misc]
    """TRL's, which goes on with the weights that it saved."""


def train_stage(recipe: Recipe, stage: Stage, parent: str, run: Path) -> tuple[int, str | None]:
    """Trains and writes RUN/STAGE, all but its training.json.

    Returns the number of updates that it took, and why it ended early if it did.

    Raises UserError when the loss is no number or when there is nothing to learn from.
    """
    work = run / f".{stage}"
    mixture = Mixture(recipe.data, reasoned=stage != "rl" and KINDS[stage].reasoned)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(run / "tensorboard" / stage)
    last = _last_whole(work)
    trainer = _trainer(recipe, stage, parent, work, mixture)
    watch(trainer, run, stage)
    trainer.add_callback(Guard(work))
    try:
        trainer.train(resume_from_checkpoint=last)
    except UserError:
        print(file=sys.stderr)  # ends the line of the progress bar
        raise
    trainer.save_model(str(work / TRAINED))
    steps, stopped = int(trainer.state.global_step), getattr(trainer, "stopped", None)
    del trainer
    gc.collect()
    state = processes()
    if state.is_main_process:
        _finish(work, parent, run / stage)
    state.wait_for_everyone()
    return steps, stopped


def _trainer(recipe: Recipe, stage: Stage, parent: str, work: Path, mixture: Mixture) -> Any:
    model, processor = load_checkpoint(parent, CPU)
    # Updates smaller than bfloat16 can hold would be lost; on a GPU the arithmetic is bfloat16 all the same.
    model = model.float()
    if stage == "rl":
        from training.rl.trainer import make_trainer

        # A recipe checks that it has settings for each of its stages.
        return make_trainer(cast(Rl, recipe.rl), model, processor, mixture, common(recipe, work))
    settings = recipe.sft[stage]
    return SupervisedTrainer(
        model=model,
        args=SFTConfig(**common(recipe, work), **_supervised(settings), max_length=None),
        processing_class=processor,
        data_collator=_collator(model, processor, stage),
        train_dataset=mixture.supervised(stage),
        peft_config=_adapter(settings),
    )


def common(recipe: Recipe, work: Path) -> dict[str, Any]:
    """What every stage's trainer is told."""
    return {
        "output_dir": str(work),
        "seed": recipe.seed,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        # transformers would report the last loss that was a number in place of one that is not.
        "logging_nan_inf_filter": False,
        "report_to": ["tensorboard"],
        "disable_tqdm": True,
        # The collator needs the id of each row, and the rewards its instance.
        "remove_unused_columns": False,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": gpu(),
        "use_cpu": not gpu(),
    }


def _supervised(settings: Sft) -> dict[str, Any]:
    return {
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": accumulation(settings.batch_size, settings.micro_batch),
        "weight_decay": settings.weight_decay,
        "warmup_steps": settings.warmup_ratio,
        "lr_scheduler_type": "linear",
    }


def _collator(model: Any, processor: Any, stage: SftStage) -> Collator:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Collator(processor, KINDS[stage].whole, placeholders(model.config, processor), limit)


def _adapter(settings: Sft) -> LoraConfig | None:
    """On every linear layer of the language model; the vision tower and what joins them stay as they are."""
    if not settings.lora_rank:
        return None
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        target_modules="all-linear",
        exclude_modules=r".*(visual|vision|projector|connector|lm_head).*",
        task_type="CAUSAL_LM",
    )


class Guard(TrainerCallback):  # type: ignore[misc]
    """Stops at a loss that is no number, before it is saved, and marks what was saved whole."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(float(value)):
                raise UserError(
                    f"step {state.global_step}: the {name} is {value}; lower learning_rate, delete "
                    f"{self.work}, where lies what was saved before, and train again"
                )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            (self.work / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def _last_whole(work: Path) -> str | None:
    """The latest step that was saved whole; what a kill left half written is deleted."""
    whole = []
    for folder in work.glob("checkpoint-*"):
        if (folder / COMPLETE).exists():
            whole.append(folder)
        elif processes().is_main_process:
            shutil.rmtree(folder)
    processes().wait_for_everyone()
    return str(max(whole, key=_step)) if whole else None


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def _finish(work: Path, parent: str, out: Path) -> None:
    """Writes the trained checkpoint aside, in its parent's precision, and renames it."""
    model, processor = load_checkpoint(parent, CPU)
    precision, generation = model.dtype, model.generation_config
    if (work / TRAINED / "adapter_config.json").exists():
        model = PeftModel.from_pretrained(model.float(), work / TRAINED).merge_and_unload()
    else:
        model = type(model).from_pretrained(work / TRAINED)
    # Training changes what a checkpoint is sampled with (TRL pads and stops its own way); its parent's holds.
    model.generation_config = generation
    aside = out.with_name(f".{out.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    model.to(precision).save_pretrained(aside)
    processor.save_pretrained(aside)
    # A kill before the record was written leaves a checkpoint that counts as unfinished.
    shutil.rmtree(out, ignore_errors=True)
    aside.replace(out)
