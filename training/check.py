"""Checks a recipe's stages before the first one trains: what each of them learns, and what it needs.

A template that drops a part of the response, or images that TRL cannot pass on, would otherwise be noticed
after hours, or never.
"""

import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from trl import GRPOTrainer

from harness.backends.local.chat import check_template, end_tokens, render
from harness.backends.local.tokens import as_text
from harness.errors import UserError
from harness.text import reason
from training.checkpoints.parent import load_parent
from training.config import Recipe, RlSettings, Stage
from training.rl.teacher.model import check_tokenizer
from training.rl.trainer import rl_config
from training.rl.vllm_errors import check_installed
from training.sequences.collate import IGNORED, MaskingCollator
from training.sequences.dataset import Mixture, rows_to_check
from training.sequences.template import without_spaces
from training.stages import make_collator, positions, sft_config, trainer_arguments


def check_stages(recipe: Recipe, stages: Sequence[Stage], parent: str) -> None:
    """Makes a batch of each stage with the checkpoint `parent`, from which the first of them starts.

    Raises UserError if the checkpoint cannot be trained with one of them, if vLLM is missing, or if a table
    trl has a wrong key or value.
    """
    for stage in stages:
        if stage != "rl":
            sft_config(recipe, stage, Path())
        elif recipe.rl is not None:
            check_installed(recipe.rl)
            rl_config(recipe.rl, trainer_arguments(recipe, Path()))
    model, processor = load_parent(recipe, parent)
    mixture, name, plain = Mixture(recipe.data, stages), f"hf:{parent}", as_text(processor)
    for stage in stages:
        if stage == "rl":
            dataset = mixture.rl_dataset(plain, with_policy=cast(RlSettings, recipe.rl).reads_policy)
        else:
            dataset = mixture.sft_dataset(stage, plain, recipe.sft[stage].rows, recipe.seed)
        rows = rows_to_check(dataset, partial(mixture.characters, stage))
        if not check_template(name, processor, images=any(row["images"] for row in rows)):
            raise UserError(
                f"{name}: its chat template takes a message as one text only; use a chat_template.jinja that "
                "takes a list of texts and images"
            )
        try:
            if stage == "rl":
                check_images_of_rl(name, model, processor, rows)
                settings = cast(RlSettings, recipe.rl)
                check_lengths_of_rl(name, model, processor, rows, settings)
                if settings.teacher is not None:
                    check_tokenizer(settings.teacher.checkpoint(recipe.base, parent), processor)
            else:
                ends = end_tokens(name, processor, model.generation_config)
                check_learned(name, make_collator(parent, model.config, processor), rows, ends)
        except UserError:
            raise
        # A processor is code of its author, so any exception may occur.
        except Exception as error:
            raise UserError(
                f"{name}: TRL cannot train this architecture in the stage {stage}: {reason(error)}; "
                "omit the stage or use another base"
            ) from error


def check_learned(
    name: str, collator: MaskingCollator, rows: Sequence[Mapping[str, Any]], ends: Collection[int]
) -> None:
    """Raises UserError unless the tokens that these rows learn contain whole completions and an end token."""
    template = collator.template
    tokenizer = template.processor.tokenizer
    if not set(ends).intersection(tokenizer(template.turn_end, add_special_tokens=False)["input_ids"]):
        raise UserError(
            f"{name}: its chat template puts no end token behind the response, so the model would not learn "
            "to end; add the end token to chat_template.jinja"
        )
    batch = collator([dict(row) for row in rows])
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = tokenizer.decode(labels[labels != IGNORED])
        _, completion = template.texts(row)
        if not template.shows_response(row) or without_spaces(completion) not in without_spaces(learned):
            raise UserError(
                f"{name}: its chat template leaves out a part of the response to {row['id']}, such as the "
                "thought, which would not be learned; use a chat_template.jinja that shows the assistant's "
                "turn as it is"
            )


def check_images_of_rl(name: str, model: Any, processor: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises UserError if TRL's RL step cannot pass the images of these rows to the model."""
    if any(row["images"] for row in rows) and not hasattr(model.config, "image_token_id"):
        raise UserError(
            f"{name}: TRL's RL step expects a config with image_token_id, got none for "
            f"{type(model).__name__}; omit the stage rl or use another base"
        )
    accepted = inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters
    for row in (row for row in rows if row["images"]):
        prompt = render(name, processor, row["prompt"], add_generation_prompt=True)
        inputs = processor(text=[prompt], images=[row["images"]], return_tensors="pt")
        if unknown := sorted(inputs.keys() - accepted.keys()):
            raise UserError(
                f"{name}: TRL's RL step cannot pass on {', '.join(unknown)}, which {type(model).__name__} "
                "needs for its images; omit the stage rl or use another base"
            )


def check_lengths_of_rl(
    name: str, model: Any, processor: Any, rows: Sequence[Mapping[str, Any]], settings: RlSettings
) -> None:
    """Raises UserError if a prompt and a response do not fit into the model's context or vLLM's."""
    limits = {f"the positions of {name}": positions(model.config)}
    if settings.vllm == "colocate":
        limits["rl.trl.vllm_max_model_length"] = settings.trl.get("vllm_max_model_length")
    limit, of_what = min((limit or math.inf, of_what) for of_what, limit in limits.items())
    prefix = "policy_" if settings.reads_policy else ""
    for row in rows:
        prompt = render(name, processor, row[f"{prefix}prompt"], add_generation_prompt=True)
        images = [row[f"{prefix}images"]] if row[f"{prefix}images"] else None
        length = len(processor(text=[prompt], images=images)["input_ids"][0])
        if length + settings.max_new_tokens > limit:
            raise UserError(
                f"{row['instance']}: expected prompt and response to fit into {limit} tokens, {of_what}, "
                f"got {length} and rl.max_new_tokens {settings.max_new_tokens}; lower rl.max_new_tokens, or "
                "use a shorter policy, smaller images or a longer context"
            )
