"""The teacher: a model that reads a response of the student after (Q, I, P), with the policy in its prompt.

    student    Q I      y_1 y_2 ... y_T       one row each, prompts padded on the left and
    teacher    P Q I    y_1 y_2 ... y_T       responses on the right, so that the last T columns agree

The ids of the response are appended as they were sampled. Its text is never encoded again, because that often
gives other tokens. The teacher reads prompt and images with its own processor, so it has its own positions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from trl.data_utils import prepare_multimodal_messages

from harness.backends.checkpoint import check_location, load_checkpoint, read_processor
from harness.backends.tokens import as_text
from harness.errors import UserError
from training.rl.methods import TeacherSettings

AVERAGE = "teacher.safetensors"


class Teacher:
    """A model that is not trained, the processor that makes its prompts, and what it is used for."""

    def __init__(self, model: Any, processor: Any, settings: TeacherSettings) -> None:
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.settings = settings

    @property
    def moves(self) -> bool:
        """Whether it is an average of the student's weights."""
        return self.settings.model == "ema"

    @torch.no_grad()
    def states(
        self, rows: Sequence[dict[str, Any]], response_ids_BT: torch.Tensor, response_mask_BT: torch.Tensor
    ) -> torch.Tensor:
        """The hidden states from which the teacher predicts each token of the responses; shape (B, T, D)."""
        prompts = [
            prepare_multimodal_messages(row["policy_prompt"], images=row.get("policy_images") or [])
            for row in rows
        ]
        inputs = self.processor.apply_chat_template(
            prompts,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(response_ids_BT.device)
        return response_states(self.model, inputs, response_ids_BT, response_mask_BT)

    @torch.no_grad()
    def follow(self, student: Any) -> None:
        """Moves the weights toward those of the student: w = decay * w + (1 - decay) * student."""
        for own, of_student in zip(self.model.parameters(), student.parameters(), strict=True):
            own.lerp_(of_student.to(own.dtype), 1 - self.settings.ema_decay)

    def save(self, folder: Path) -> None:
        # Under their names in memory. Tied weights are one parameter, so each is saved once.
        save_file({name: w.contiguous() for name, w in self.model.named_parameters()}, folder / AVERAGE)

    def load(self, folder: Path) -> None:
        self.model.load_state_dict(load_file(folder / AVERAGE), strict=False)


def response_states(
    model: Any, prompts: Any, response_ids_BT: torch.Tensor, response_mask_BT: torch.Tensor
) -> torch.Tensor:
    """Hidden states (B, T, D) from which `model` predicts the T tokens of responses to these prompts.

    `prompts` are the inputs of the model for B prompts, padded on the left.
    """
    inputs = dict(prompts)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], response_ids_BT], 1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], response_mask_BT], 1)
    for name in ("token_type_ids", "mm_token_type_ids"):
        # A response is text.
        if name in inputs:
            text_BT = inputs[name].new_zeros(response_ids_BT.shape)
            inputs[name] = torch.cat([inputs[name], text_BT], 1)
    # The base model has no head, which would compute logits of all tokens.
    states: torch.Tensor = model.base_model(**inputs, use_cache=False).last_hidden_state
    return before_responses(states, response_ids_BT.shape[1])


def before_responses(states: torch.Tensor, length: int) -> torch.Tensor:
    """Of hidden states of whole sequences, those that predict the last `length` tokens."""
    return states[:, -length - 1 : -1]


def load_teacher(settings: TeacherSettings, base: str, start: str, processor: Any, device: Any) -> Teacher:
    """The teacher of a stage that starts from the checkpoint `start`, in a recipe that started from `base`.

    `processor` is the student's. Raises UserError if the tokenizers differ.
    """
    checkpoint = settings.checkpoint(base, start)
    check_tokenizer(checkpoint, processor)
    model, own_processor = load_checkpoint(checkpoint, device)
    # Prepares its tokenizer for the texts of the rows, as that of the student.
    as_text(own_processor)
    # An average in bfloat16 would lose small updates.
    full = settings.model == "ema" or device.type == "cpu"
    return Teacher(model.float() if full else model, own_processor, settings)


def check_tokenizer(checkpoint: str, student_processor: Any) -> None:
    """Raises UserError unless the tokens of this checkpoint have the same ids as the student's."""
    name = f"hf:{checkpoint}"
    _, processor = read_processor(name, checkpoint, check_location(name, checkpoint))
    if processor.tokenizer.get_vocab() != student_processor.tokenizer.get_vocab():
        raise UserError(
            f"teacher.model: expected a checkpoint with the student's tokenizer, got {checkpoint} with "
            "another one, for which the ids of a response mean other tokens; choose one of the same family"
        )
