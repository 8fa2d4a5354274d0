"""The teacher: a model that reads a response of the student after (Q, I, P), with the policy in its prompt.

    student    Q I      y_1 y_2 ... y_T
    teacher    P Q I    y_1 y_2 ... y_T       P is encoded once for all its responses (shared_prefix.py)

The ids of the response are appended as they were sampled. Its text is never encoded again, because that often
gives other tokens. The teacher reads prompt and images with its own processor, so it has its own positions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from trl.data_utils import prepare_multimodal_messages

from harness.backends.local.checkpoint import check_location, load_checkpoint, read_processor
from harness.backends.local.tokens import as_text
from harness.errors import UserError
from training.rl.shared_prefix import completion_states, policy_parts
from training.rl.teacher.methods import TeacherSettings

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

    def states(
        self, rows: Sequence[dict[str, Any]], response_ids_BT: torch.Tensor, response_mask_BT: torch.Tensor
    ) -> torch.Tensor:
        """The hidden states from which the teacher predicts each token of the responses; shape (B, T, D)."""
        prompts = [
            prepare_multimodal_messages(row["policy_prompt"], images=row.get("policy_images") or [])
            for row in rows
        ]
        lengths = response_mask_BT.sum(1).tolist()
        responses = [ids[:length] for ids, length in zip(response_ids_BT.tolist(), lengths, strict=True)]
        parts = [policy_parts(row) for row in rows]
        states_BTD = pad_sequence(
            completion_states(self.model, self.processor, prompts, parts, responses), batch_first=True
        )
        return pad(states_BTD, (0, 0, 0, response_ids_BT.shape[1] - states_BTD.shape[1]))

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
