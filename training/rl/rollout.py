"""PolicyRollout on TRL's GRPOTrainer (paper, TriMPI, stage 3).

Half of each group of 2G responses is sampled with the policy P in context. Everything after sampling is
conditioned on (Q, I) alone, so the model learns to give such responses without seeing the policy.

    prompt (Q, I)     policy prompt (Q, I, P)
          | G responses         | G responses      _sample_rollouts, with TRL's _generate; each policy
          +--------- 2G --------+                  is encoded once (shared_prefix.py)
                     | rewards_NF                  TRL's _calculate_rewards
                     | useful groups               _fill_batch (dynamic sampling, DAPO only)
                     v
    RolloutBatch: for every row (Q, I) and a response
                     |                             TRL's _generate_and_score_completions
                     v
    old_logps_BT and ref_logps_BT given (Q, I); advantages_B over all 2G rewards of a group
                     |                             BoundedKl, with TRL's _compute_loss
                     v
    GRPO or DAPO loss on the ratio pi(o | Q, I) / pi_old(o | Q, I)

B: rows of this process; N: rows of all processes, group by group; T: tokens; F: reward functions.
rollout_batch.py has RolloutBatch and what is logged about it.

TRL's _generate_and_score_completions samples, rewards and scores in one method, by calling _generate and
_calculate_rewards. It has no place for a second prompt or for replacing groups. So the class below samples
and rewards first, then calls TRL's method, and overrides the two inner methods to return what was sampled.
tests/unit/rl/test_trl_hooks.py lists every private method of TRL used here, and fails if one changes.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import GenerationConfig, TrainerCallback
from trl.data_utils import prepare_multimodal_messages
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import strip_images_from_messages

from harness.backends.local.chat import end_tokens, placeholders
from harness.errors import UserError
from training.rl.dynamic_sampling import (
    BatchFiller,
    groups_with_variance,
    replacement_prompts,
    useful_groups,
)
from training.rl.kl import BoundedKl
from training.rl.rewards import graded_message
from training.rl.rollout_batch import PromptRow, RolloutBatch, reward_metrics
from training.rl.shared_prefix import PromptBatch, generate, policy_parts, read_batches
from training.trainers.resume import EpochOrderSampler, ResumeMixin
from training.trainers.warmup import WarmupMixin

# GRPO: training ends after so many consecutive batches in which the rewards of no group differ.
PATIENCE = 20

log = logging.getLogger(__name__)


class PolicyRolloutTrainer(WarmupMixin, ResumeMixin, BoundedKl):
    """GRPO or DAPO on rows of prompt, images and the columns that rewards need. The first reward is accuracy.

    With policy_rollout, the second half of each group of 2G = args.num_generations responses is sampled from
    (Q, I, P), which is policy_prompt with policy_images. With `tries`, dynamic sampling fills each batch with
    useful groups. A batch that stays incomplete is still learned from, and training then ends with a
    `stop_reason`.
    """

    def __init__(
        self, *, model: Any, policy_rollout: bool, tries: int = 0, clamp_kl: bool = False, **kwargs: Any
    ) -> None:
        with _image_token(model.config):
            super().__init__(model=model, **kwargs)
        self.policy_rollout, self.tries, self.clamp_kl = policy_rollout, tries, clamp_kl
        self.stop_reason: str | None = None
        # The sampled batch while TRL's _generate_and_score_completions runs on it.
        self._rollouts: RolloutBatch | None = None
        # While TRL's _generate samples a batch: for each prompt how many of its first parts are a policy, and
        # the prompts as they were read.
        self._policy_parts: list[int] = []
        self._prompt_batches: list[PromptBatch] = []
        self._batches_without_variance, self._ever_varied = 0, False
        self._set_generation()
        self.add_callback(_ResumeAndStop(self))

    def _set_generation(self) -> None:
        """Ends responses as the harness does, and prevents tokens that never belong in a response.

        TRL ends them at fewer tokens, suppresses only one, and takes all other settings of the checkpoint's
        generation config, such as min_new_tokens.
        """
        own, tokenizer = self.model.generation_config, self._tokenizer
        self.eos_token_ids = sorted(end_tokens(f"hf:{self.model.name_or_path}", self.processing_class, own))
        banned = {*placeholders(self.model.config, self.processing_class), tokenizer.pad_token_id}
        suppressed = sorted(banned - set(self.eos_token_ids))
        self.model.generation_config = GenerationConfig(
            eos_token_id=self.eos_token_ids, pad_token_id=tokenizer.pad_token_id
        )
        if self.use_vllm:
            bias = dict.fromkeys(suppressed, -100.0)
            self.vllm_generation.generation_kwargs |= {
                "logit_bias": bias,
                "stop_token_ids": self.eos_token_ids,
            }
            return
        self.generation_kwargs |= {"suppress_tokens": suppressed, "eos_token_id": self.eos_token_ids}
        self.generation_config.update(suppress_tokens=suppressed, eos_token_id=self.eos_token_ids)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        """Wraps TRL's sampler, so that a resumed run has the same order of prompts (trainers/resume.py)."""
        sampler = super()._get_train_sampler(dataset)
        if not self.shuffle_dataset:
            return sampler
        return EpochOrderSampler(sampler, lambda: int(self.state.epoch or 0))

    def _generate_and_score_completions(self, inputs: list[PromptRow]) -> dict[str, Any]:
        """Samples a batch first, then runs TRL's method on its rows, some of which may have been replaced."""
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)  # type: ignore[no-any-return]
        self._rollouts = self._sample_batch(inputs)
        try:
            return super()._generate_and_score_completions(self._rollouts.rows)  # type: ignore[no-any-return]
        finally:
            self._rollouts = None

    def _generate(self, prompts: list[Any]) -> Any:
        """Replaces TRL's sampling from `prompts`: returns the responses that were sampled before."""
        if self._rollouts is None:
            return super()._generate(prompts)
        # Afterwards TRL only needs their texts, but sends all of them to every process for its log.
        prompts[:] = map(strip_images_from_messages, prompts)
        return self._rollouts.as_trl_output()

    def _calculate_rewards(self, *args: Any) -> Any:
        """Replaces TRL's call of the reward functions: returns the rewards that were computed before."""
        return super()._calculate_rewards(*args) if self._rollouts is None else self._rollouts.rewards_NF

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        """Replaces TRL's tokenization if responses to these prompts are sampled here."""
        if not self._policy_parts or not self._samples_itself():
            return super()._tokenize_prompts(prompts)
        self._prompt_batches = read_batches(self.model, self.processing_class, prompts, self._policy_parts)
        prompt_ids: list[list[int]] = [[] for _ in prompts]
        for batch in self._prompt_batches:
            for place, ids in zip(batch.places, batch.prompt_ids(), strict=True):
                prompt_ids[place] = ids
        # The images are in the batches.
        return prompt_ids, None, {}

    def _samples_itself(self) -> bool:
        """Whether each process can sample with several calls of `generate`.

        vLLM shares prefixes itself. With sharded weights every process must make the same calls, but the
        processes have different policies.
        """
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        return not (self.use_vllm or self.use_transformers_continuous_batching or sharded)

    def _generate_batches(self, rows: int) -> list[list[int]]:
        """The responses to the prompts that _tokenize_prompts read, batch by batch."""
        completion_ids: list[list[int]] = [[] for _ in range(rows)]
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            torch.no_grad(),
        ):
            while self._prompt_batches:
                batch = self._prompt_batches.pop(0)
                responses = generate(model, batch, self.generation_config, set(self.eos_token_ids))
                for place, response in zip(batch.places, responses, strict=True):
                    completion_ids[place] = response
        return completion_ids

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, *args: Any
    ) -> Any:
        """Samples from the batches that _tokenize_prompts read, or changes what TRL passes to vLLM.

        In the same process, vLLM expands image placeholders itself, but TRL's are already expanded
        (trl#6294). A server takes every num_generations-th prompt and samples that many responses to it, but
        with PolicyRollout the prompt changes in the middle of a group.
        """
        if self._prompt_batches:
            return self._generate_batches(len(prompt_ids)), None
        if self.use_vllm and self.vllm_mode == "colocate" and images is not None:
            token = self.model.config.image_token_id
            prompt_ids = [collapse_repeats(ids, token) for ids in prompt_ids]
        elif self.use_vllm and self.policy_rollout and self.model.training:
            num_generations //= 2
        return super()._generate_single_turn(prompt_ids, images, multimodal_fields, num_generations, *args)

    def _sample_batch(self, rows: list[PromptRow]) -> RolloutBatch:
        """A batch for one update or several, filled by dynamic sampling."""
        batch = self._sample_rollouts(rows)
        self._log_rewards(batch)
        if self.tries:
            self._fill_batch(batch)
        else:
            self._stop_without_variance(batch)
        return batch

    def _sample_rollouts(self, rows: list[PromptRow]) -> RolloutBatch:
        """One response per row of this process; the second half of each group with the policy in context."""
        questions = [_messages(row, "prompt", "images") for row in rows]
        aware = self._policy_aware_rows(len(rows))
        prompts = [
            _messages(row, "policy_prompt", "policy_images") if place in aware else question
            for place, (row, question) in enumerate(zip(rows, questions, strict=True))
        ]
        self._policy_parts = [policy_parts(row) if place in aware else 0 for place, row in enumerate(rows)]
        prompt_ids, completion_ids, _, _, logps, _, _, _ = super()._generate(prompts)
        self._policy_parts = []
        ids = zip(prompt_ids, completion_ids, strict=True)
        completions = [graded_message(self._tokenizer, *of_row) for of_row in ids]
        if aware:
            # From here on the prompt is (Q, I). Tokenizing processes the images, so do it once per group.
            by_group = {group: questions[place] for place, group in aware.items()}
            tokenized = self._tokenize_prompts(list(by_group.values()))[0]
            ids_of_group = dict(zip(by_group, tokenized, strict=True))
            for place, group in aware.items():
                prompt_ids[place] = ids_of_group[group]
                if logps is not None:
                    # TRL corrects for vLLM's log-probabilities if they differ from its own. These differ
                    # because of P, and the correction would undo PolicyRollout. None disables it.
                    logps[place] = [None] * len(logps[place])
        rewards_NF = super()._calculate_rewards(rows, questions, completions, completion_ids)
        # Otherwise TRL would sum up the other rewards of such a row, as if the missing one were 0.
        rewards_NF[rewards_NF.isnan().any(1)] = torch.nan
        return RolloutBatch(list(rows), prompt_ids, completion_ids, completions, logps, rewards_NF)

    def _policy_aware_rows(self, rows: int) -> dict[int, int]:
        """Rows of this process in the second half of a group -> index of the group, which may span two."""
        if not self.policy_rollout:
            return {}
        first, size = self.accelerator.process_index * rows, self.num_generations
        return {row: (first + row) // size for row in range(rows) if (first + row) % size >= size // 2}

    def _useful_groups(self, batch: RolloutBatch) -> list[bool]:
        # The first reward function is the accuracy.
        accuracy_N, totals_N = batch.rewards_NF[:, 0], self._total_rewards(batch)
        return useful_groups(accuracy_N, totals_N, self.num_generations).tolist()

    def _total_rewards(self, batch: RolloutBatch) -> torch.Tensor:
        """Weighted sum of the reward functions, shape (N,)."""
        totals_N: torch.Tensor = (batch.rewards_NF * self.reward_weights.to(batch.rewards_NF.device)).sum(1)
        return totals_N

    def _fill_batch(self, batch: RolloutBatch) -> None:
        """Dynamic sampling: replaces groups that are not useful by useful ones of further tries."""
        filler = BatchFiller(self._useful_groups(batch), self.tries)
        prompts = replacement_prompts(self.args.seed, self.state.global_step, len(self.train_dataset))
        while filler.needs_another_try():
            self._replace_groups(batch, filler, list(islice(prompts, filler.groups)))
        metrics = self._metrics["train"]
        metrics["dynamic_sampling/tries"].append(float(filler.tries))
        metrics["dynamic_sampling/incomplete"].append(float(len(filler.empty) > 0))
        if filler.empty:
            filled = filler.groups - len(filler.empty)
            reason = f"after {filler.tries} tries the batch has {filled} of {filler.groups} useful groups"
            # Every batch before this one was full.
            self._end_training(reason, filled > 0 or self.state.global_step > 0, batch)

    def _replace_groups(self, batch: RolloutBatch, filler: BatchFiller, indices: list[int]) -> None:
        """Samples a whole batch from the prompts with these indices, and moves useful groups to empty places.

        Changes `filler` in the same way on every process.
        """
        size, rows = self.num_generations, len(batch.rows)
        first = self.accelerator.process_index * rows
        mine = range(first, first + rows)
        # A group shares one lookup, which reads images.
        row = cache(lambda group: self.train_dataset[indices[group]])
        new = self._sample_rollouts([row(place // size) for place in mine])
        filled = filler.fill(self._useful_groups(new))
        moved = {group for _, group in filled}
        # A group may have been sampled by another process than the one whose place it fills. Only its tokens
        # and texts are sent; each process reads the prompt and its images by index.
        logps: Sequence[Any] = new.sampling_logps or [None] * rows
        responses = zip(mine, new.prompt_ids, new.completion_ids, new.completions, logps, strict=True)
        sent = gather_object([response for response in responses if response[0] // size in moved])
        response_at = {place: response for place, *response in sent}
        for place, group in filled:
            for offset in range(size):
                target, source = place * size + offset, group * size + offset
                batch.rewards_NF[target] = new.rewards_NF[source]
                if target in mine:
                    batch.replace_row(target - first, row(group), response_at[source])

    def _log_rewards(self, batch: RolloutBatch) -> None:
        """Logs rewards of the batch before groups are replaced, so that GRPO and DAPO are comparable."""
        rewards = dict(zip(self.reward_func_names, batch.rewards_NF.T, strict=True))
        rewards["reward"] = self._total_rewards(batch)
        known = [row["family"] for row in batch.rows if "family" in row]
        families = gather_object(known) if known else []
        logged = reward_metrics(rewards, self.num_generations, self.policy_rollout, families)
        for name, value in logged.items():
            self._metrics["train"][name].append(value)

    def _stop_without_variance(self, batch: RolloutBatch) -> None:
        """Ends training after PATIENCE consecutive batches in which the rewards of no group differ."""
        if groups_with_variance(self._total_rewards(batch), self.num_generations).any():
            self._batches_without_variance, self._ever_varied = 0, True
            return
        self._batches_without_variance += 1
        if self._batches_without_variance < PATIENCE:
            return
        # A resumed run only knows from the log whether groups varied before.
        logged = any(entry.get("groups/zero_variance", 1.0) < 1 for entry in self.state.log_history)
        reason = f"in {PATIENCE} batches no group's rewards differed"
        self._end_training(reason, logged or self._ever_varied, batch)

    def _end_training(self, reason: str, learned: bool, batch: RolloutBatch) -> None:
        """Ends training after this batch. Raises UserError if nothing could be learned before it either."""
        reason += f" (mean reward {self._total_rewards(batch).nanmean():.2f})"
        if not learned:
            raise UserError(
                f"rl: expected some responses to be better than others, but {reason}; start from a "
                "checkpoint that is sometimes right (more cot-sft), raise temperature or responses, or check "
                f"the reward; delete {self.args.output_dir} before training again with other settings"
            )
        self.stop_reason = f"step {self.state.global_step + 1}: {reason}"
        if self.accelerator.is_main_process:
            log.warning("training ends early, %s", self.stop_reason)

    def batch_is_used(self) -> bool:
        """Whether all updates on the current batch are made, so that TRL would sample the next one."""
        return bool(self._step % (self.args.steps_per_generation * self.num_iterations) == 0)


@contextmanager
def _image_token(config: Any) -> Iterator[None]:
    """Within the context, the config of a language model without images also has an image_token_id.

    TRL suppresses this token for every processor. _set_generation replaces that.
    """
    if hasattr(config, "image_token_id"):
        yield
        return
    config.image_token_id = 0
    try:
        yield
    finally:
        del config.image_token_id


class _ResumeAndStop(TrainerCallback):  # type: ignore[misc]
    """Restores TRL's count of passes in a resumed run, and ends training after a batch with a stop_reason."""

    def __init__(self, trainer: PolicyRolloutTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # TRL samples whenever its count is a multiple; from 0 it would sample at other updates.
        self.trainer._step = state.global_step * args.gradient_accumulation_steps

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop |= self.trainer.stop_reason is not None and self.trainer.batch_is_used()


def collapse_repeats(ids: Sequence[int], token: int) -> list[int]:
    """Replaces each run of `token` by a single one."""
    return [i for place, i in enumerate(ids) if i != token or place == 0 or ids[place - 1] != token]


def _messages(row: PromptRow, prompt: str, images: str) -> list[dict[str, Any]]:
    return prepare_multimodal_messages(row[prompt], images=row.get(images) or [])  # type: ignore[no-any-return]
