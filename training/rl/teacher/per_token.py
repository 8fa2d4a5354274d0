"""PolicyRollout's trainer with advantages of each token, from a teacher or without negative ones.

    response y, rewards                   PolicyRolloutTrainer, which samples as before
          |
          v   for each micro-batch, inside TRL's _compute_loss
    log-probabilities and hidden states of y given (Q, I)        the student, one pass
    hidden states of y given (Q, I, P)                           training/rl/teacher/model.py, one pass
          |                                                      training/rl/teacher/divergence.py, in chunks
          +-- d --------------> advantages (B, T)                training/rl/teacher/advantages.py
          +-- a divergence ---> added to the loss, averaged over tokens as TRL averages its own

The student's values come from the pass that TRL makes anyway, so the teacher costs one pass without gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from training.rl.rollout import PolicyRolloutTrainer
from training.rl.rollout_batch import PromptRow, RolloutBatch
from training.rl.teacher.advantages import token_advantages
from training.rl.teacher.divergence import compare, log_probs_of
from training.rl.teacher.model import Teacher

# The key of the rows in the inputs of TRL's loss.
ROWS = "rows"


class PerTokenTrainer(PolicyRolloutTrainer):
    """A PolicyRolloutTrainer whose advantages a teacher changes.

    Without `negative_advantages`, responses below the mean of their group have the advantage 0.
    """

    def __init__(
        self, *args: Any, teacher: Teacher | None = None, negative_advantages: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.teacher, self.negative_advantages = teacher, negative_advantages
        self._sampled_rows: list[PromptRow] = []
        # The divergence of each token of the micro-batch whose loss is computed; None without one.
        self._divergence_BT: torch.Tensor | None = None
        if teacher is not None:
            self._set_distributions(teacher)

    def _set_distributions(self, teacher: Teacher) -> None:
        teacher.model.to(self.accelerator.device)
        models = (self.accelerator.unwrap_model(self.model), teacher.model)
        vocabulary = min(model.get_output_embeddings().weight.shape[0] for model in models)
        if self.use_vllm:
            never = list(self.vllm_generation.generation_kwargs["logit_bias"])
        else:
            never = self.generation_kwargs["suppress_tokens"]
        self._student, self._teacher = (
            log_probs_of(model, self.temperature, vocabulary, never) for model in models
        )
        if teacher.moves:
            self.add_callback(_Average(self, teacher))

    def _sample_batch(self, rows: list[PromptRow]) -> RolloutBatch:
        batch = super()._sample_batch(rows)
        self._sampled_rows = batch.rows
        return batch

    def _stop_without_variance(self, *args: Any) -> None:
        """Rewards that are all equal end training only if nothing else can be learned."""
        if self.teacher is None or self.teacher.settings.needs_rewards or self.tries:
            super()._stop_without_variance(*args)

    def _generate_and_score_completions(self, inputs: list[PromptRow]) -> dict[str, Any]:
        """Adds the rows, which have the prompts of the teacher. TRL splits lists as it splits tensors."""
        output = super()._generate_and_score_completions(inputs)
        if self.teacher is not None and self.model.training:
            output[ROWS] = self._sampled_rows
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        if not self.negative_advantages:
            inputs = inputs | {"advantages": inputs["advantages"].clamp(min=0)}
        loss = super()._compute_loss(model, inputs)
        if self.teacher is not None and self._divergence_BT is not None:
            loss = loss + self.teacher.settings.weight * self._mean_over_tokens(self._divergence_BT, inputs)
            self._divergence_BT = None
        return loss

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Inside a loss, keeps the hidden states of the student and asks the teacher."""
        inputs, teacher = self._loss_inputs, self.teacher
        # Outside of a loss, TRL computes old or reference values.
        if inputs is None or teacher is None or ROWS not in inputs:
            return super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        with last_hidden_states(self.accelerator.unwrap_model(model)) as states:
            result = super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        # The state at each token predicts the next one.
        self._ask(teacher, inputs, states[0][:, -inputs["completion_ids"].shape[1] - 1 : -1])
        return result

    def _ask(self, teacher: Teacher, inputs: dict[str, Any], states_BTD: torch.Tensor) -> None:
        """Replaces the advantages in `inputs`, or computes the divergence that the loss will add."""
        settings, ids_BT = teacher.settings, inputs["completion_ids"]
        kept_BT, sampled = inputs["completion_mask"].bool(), settings.divergence == "sampled"
        with self.accelerator.autocast(), torch.set_grad_enabled(not sampled):
            values_K = compare(
                settings.divergence,
                (self._student, states_BTD[kept_BT]),
                (self._teacher, teacher.states(inputs[ROWS], ids_BT, inputs["completion_mask"])[kept_BT]),
                ids_BT[kept_BT],
                settings.top_k,
            )
        values_BT = values_K.new_zeros(ids_BT.shape).masked_scatter(kept_BT, values_K)
        if sampled:
            inputs["advantages"] = token_advantages(
                settings.method, settings.weight, inputs["advantages"], values_BT
            )
        else:
            self._divergence_BT = values_BT
            if settings.method == "opcd":
                inputs["advantages"] = torch.zeros_like(inputs["advantages"])
        mean = self.accelerator.gather(values_K.detach().mean()).nanmean().item()
        self._metrics["train"][f"teacher/{settings.divergence}"].append(mean)

    def _mean_over_tokens(self, values_BT: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        """As TRL's losses: of each response and then of all with GRPO's, of all tokens with any other."""
        mask_BT: torch.Tensor = inputs["completion_mask"]
        passes: int = self.current_gradient_accumulation_steps
        sums_B = (values_BT * mask_BT).sum(1)
        if self.loss_type == "grpo":
            return (sums_B / mask_BT.sum(1).clamp(min=1)).mean() / passes
        tokens: torch.Tensor = inputs["num_items_in_batch"].clamp(min=1) / self.accelerator.num_processes
        passes_per_batch: int = self.args.steps_per_generation
        return sums_B.sum() / (tokens * passes / passes_per_batch)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.teacher is not None and self.teacher.moves:
            self.teacher.load(Path(resume_from_checkpoint))


class _Average(TrainerCallback):  # type: ignore[misc]
    """Moves the teacher after each update, and saves it where an interrupted run resumes."""

    def __init__(self, trainer: PerTokenTrainer, teacher: Teacher) -> None:
        self.trainer, self.teacher = trainer, teacher

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.teacher.follow(self.trainer.accelerator.unwrap_model(self.trainer.model))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.teacher.save(Path(args.output_dir) / f"checkpoint-{state.global_step}")


@contextmanager
def last_hidden_states(model: Any) -> Iterator[list[torch.Tensor]]:
    """The last hidden states of each pass of `model` within the context, before its head."""
    states: list[torch.Tensor] = []
    hook = model.base_model.register_forward_hook(lambda *call: states.append(call[-1].last_hidden_state))
    try:
        yield states
    finally:
        hook.remove()
