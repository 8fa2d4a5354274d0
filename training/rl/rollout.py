"""PolicyRollout on TRL's GRPOTrainer: half of each group is sampled with the policy in context, all of it is
learned without (paper, TriMPI, stage 3).

TRL makes a batch in one method: it samples, scores under the current and the reference model, and rewards.
Here sampling and rewards come first, on their own, so that the batch can be mixed (PolicyRollout) and filled
up (dynamic sampling); then TRL's method runs on what was drawn, and scores nothing but policy-free prompts
with their responses. tests/unit/training/test_trl_hooks.py names every private method of TRL that this
rests on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback
from trl.data_utils import prepare_multimodal_messages

from harness.backends.chat import placeholders
from harness.errors import UserError
from training.resume import EpochOrder, Resumes
from training.rl.dynamic_sampling import fresh_prompts, groups_to_sample, varied
from training.rl.kl import BoundedKl

LOSSES: Mapping[str, Mapping[str, Any]] = {
    "grpo": {
        "loss_type": "grpo",
        "epsilon": 0.2,
        "epsilon_high": 0.3,
        "beta": 0.01,
        "use_bias_correction_kl": False,
    },
    "dapo": {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0},
}
"""What GRPOConfig is told of each algorithm (paper, TriMPI, RL). GRPO takes the mean over a response and then
over responses, with the classic k3 estimate of the KL; DAPO the mean over all tokens, without KL."""

PATIENCE = 20
"""Batches in a row in which no group varies before training ends; as many as dynamic sampling tries."""

Row = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass
class Drawn:
    """What was sampled: lists with an entry for each row of this process, rewards of all processes."""

    rows: list[Row]
    prompt_ids: list[list[int]]
    """Of the policy-free prompt, whatever the response was sampled from."""
    completion_ids: list[list[int]]
    completions: list[Any]
    logprobs: list[list[float | None]] | None
    """Of the sampler, where vLLM is; None for tokens that were sampled from another prompt than is scored."""
    rewards: torch.Tensor
    """(rows of all processes, reward functions)"""

    def generated(self) -> tuple[Any, ...]:
        """As TRL's _generate returns it: no tools, no fields of its own, the policy-free images."""
        images = [row.get("images") or [] for row in self.rows]
        pictured = images if any(images) else None
        return (
            self.prompt_ids, self.completion_ids, None, self.completions, self.logprobs, {}, pictured, []
        )  # fmt: skip


class PolicyRolloutTrainer(Resumes, BoundedKl):
    """GRPO or DAPO on rows of prompt, images, policy_prompt, policy_images and whatever the rewards ask for.

    With policy_rollout, of the 2G = args.num_generations responses to a prompt the second half is sampled
    from (Q, I, P). Advantages are taken over all 2G, and every ratio is pi(o|Q,I) / pi_old(o|Q,I).
    With retries above 0, groups without reward variance are sampled anew from other prompts, so many times;
    when that is not enough the step is made with what there is and training ends: `stopped` says why.
    """

    def __init__(self, *args: Any, policy_rollout: bool, retries: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy_rollout, self.retries = policy_rollout, retries
        self.stopped: str | None = None
        self._drawn: Drawn | None = None
        self._barren, self._ever_varied = 0, False
        visual = placeholders(self.model.config, self.processing_class)
        self._forbid({*visual, self._tokenizer.pad_token_id})
        self.add_callback(_Bounds(self))

    def _forbid(self, tokens: set[int]) -> None:
        """Of the tokens that no response has any business with, TRL itself forbids only the image's."""
        banned = sorted(tokens - set(self.eos_token_ids))
        if self.use_vllm:
            self.vllm_generation.generation_kwargs["logit_bias"] = dict.fromkeys(banned, -100.0)
        else:
            self.generation_kwargs["suppress_tokens"] = banned
            self.generation_config.suppress_tokens = banned

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(dataset)
        return EpochOrder(sampler, lambda: int(self.state.epoch or 0)) if self.shuffle_dataset else sampler

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)  # type: ignore[no-any-return]
        self._drawn = self._draw(inputs)
        try:
            return super()._generate_and_score_completions(self._drawn.rows)  # type: ignore[no-any-return]
        finally:
            self._drawn = None

    def _generate(self, prompts: list[Any]) -> Any:
        return super()._generate(prompts) if self._drawn is None else self._drawn.generated()

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> Any:
        if self._drawn is None:
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return self._drawn.rewards

    def _generate_single_turn(
        self,
        prompt_ids: Any,
        images: Any,
        multimodal_fields: Any,
        num_generations: int,
        *rest: Any,
        **named: Any,
    ) -> Any:
        """Two ways in which vLLM needs other prompts than TRL hands it.

        In the same process it expands image placeholders itself, and TRL's are expanded already (trl#6294). A
        server is asked for n responses to each n-th prompt, and a group here has two prompts.
        """
        if self.use_vllm and self.vllm_mode == "colocate" and images is not None:
            token = self.model.config.image_token_id
            prompt_ids = [collapsed(ids, token) for ids in prompt_ids]
        elif self.use_vllm and self.policy_rollout and self.model.training:
            num_generations //= 2
        return super()._generate_single_turn(
            prompt_ids, images, multimodal_fields, num_generations, *rest, **named
        )

    def _draw(self, rows: list[Row]) -> Drawn:
        """A batch for one update or several, filled up by dynamic sampling."""
        drawn = self._sample(rows)
        useful = self._varied(drawn)
        self._report(drawn, useful)
        fresh = fresh_prompts(self.args.seed, self.state.global_step, len(self.train_dataset))
        tries = 0
        while tries < self.retries and not useful.all():
            tries += 1
            self._refill(drawn, useful, fresh)
        if self.retries:
            self._metrics["train"]["dynamic_sampling/retries"].append(float(tries))
        self._judge(drawn, useful, tries)
        return drawn

    def _sample(self, rows: list[Row]) -> Drawn:
        """A response for each row of this process; in each group the second half has seen the policy."""
        questions = [_messages(row, "prompt", "images") for row in rows]
        aware = self._aware(len(rows))
        shown = [
            _messages(row, "policy_prompt", "policy_images") if place in aware else question
            for place, (row, question) in enumerate(zip(rows, questions, strict=True))
        ]
        prompt_ids, completion_ids, _, completions, logprobs, _, _, _ = super()._generate(shown)
        if aware:
            # Those of one group have one prompt, and to make its tokens takes its images.
            prompts = {group: questions[place] for place, group in aware.items()}
            tokens = dict(zip(prompts, self._tokenize_prompts(list(prompts.values()))[0], strict=True))
            for place, group in aware.items():
                prompt_ids[place] = tokens[group]
                if logprobs is not None:
                    # Theirs are of (Q, I, P): held against (Q, I) they would undo what PolicyRollout is for.
                    logprobs[place] = [None] * len(logprobs[place])
        rewards = super()._calculate_rewards(rows, questions, completions, completion_ids)
        return Drawn(list(rows), prompt_ids, completion_ids, completions, logprobs, rewards)

    def _aware(self, rows: int) -> dict[int, int]:
        """The rows of this process in the second half of a group, and that group; it may span processes."""
        if not self.policy_rollout:
            return {}
        first, size = self.accelerator.process_index * rows, self.num_generations
        return {row: (first + row) // size for row in range(rows) if (first + row) % size >= size // 2}

    def _varied(self, drawn: Drawn) -> torch.Tensor:
        return varied(self._totals(drawn), self.num_generations)

    def _totals(self, drawn: Drawn) -> torch.Tensor:
        totals: torch.Tensor = (drawn.rewards * self.reward_weights.to(drawn.rewards.device)).sum(1)
        return totals

    def _refill(self, drawn: Drawn, useful: torch.Tensor, fresh: Iterator[int]) -> None:
        """Samples a group for each useless one, and puts those that vary in their places."""
        size, here = self.num_generations, self.accelerator.process_index
        slots = (~useful).nonzero().flatten().tolist()
        prompts = list(islice(fresh, groups_to_sample(len(slots), size, self.accelerator.num_processes)))
        share = len(prompts) * size // self.accelerator.num_processes
        looked_up: dict[int, Row] = {}

        def row(index: int) -> Row:
            if index not in looked_up:
                looked_up[index] = self.train_dataset[index]
            return looked_up[index]

        more = self._sample(
            [row(prompts[place // size]) for place in range(here * share, (here + 1) * share)]
        )
        logprobs: Sequence[Any] = more.logprobs or [None] * share
        everywhere = gather_object(
            list(zip(more.prompt_ids, more.completion_ids, more.completions, logprobs, strict=True))
        )
        for slot, group in zip(slots, self._varied(more).nonzero().flatten().tolist(), strict=False):
            useful[slot] = True
            for to, of in zip(_places(slot, size), _places(group, size), strict=True):
                drawn.rewards[to] = more.rewards[of]
                place = to - here * len(drawn.rows)
                if 0 <= place < len(drawn.rows):
                    self._put(drawn, place, row(prompts[group]), everywhere[of])

    @staticmethod
    def _put(drawn: Drawn, place: int, row: Row, result: tuple[Any, ...]) -> None:
        drawn.rows[place] = row
        drawn.prompt_ids[place], drawn.completion_ids[place], drawn.completions[place], logprobs = result
        if drawn.logprobs is not None:
            drawn.logprobs[place] = logprobs

    def _report(self, drawn: Drawn, useful: torch.Tensor) -> None:
        """Logs what the batch's own prompts gave, before any was replaced: so GRPO and DAPO compare."""
        metrics, total = self._metrics["train"], self._totals(drawn)
        columns = dict(zip(self.reward_func_names, drawn.rewards.T, strict=True)) | {"reward": total}
        halves = 2 if self.policy_rollout else 1
        for name, values in columns.items():
            means = values.view(-1, halves, self.num_generations // halves).mean((0, 2)).tolist()
            for half, mean in zip(("policy_free", "policy_aware"), means, strict=False):
                metrics[f"{name}/{half}"].append(mean)
        metrics["groups/zero_variance"].append(1 - useful.float().mean().item())
        if "family" not in drawn.rows[0]:
            return
        families = gather_object([row["family"] for row in drawn.rows])
        free = [
            place % self.num_generations < self.num_generations // halves for place in range(len(families))
        ]
        for family in sorted(set(families)):
            rewards = [
                r for r, f, of in zip(total.tolist(), free, families, strict=True) if f and of == family
            ]
            metrics[f"reward/{family}"].append(sum(rewards) / len(rewards))

    def _judge(self, drawn: Drawn, useful: torch.Tensor, tries: int) -> None:
        """Ends training when there is nothing left to learn from; UserError when there never was anything."""
        if useful.any():
            self._barren, self._ever_varied = 0, True
        else:
            self._barren += 1 + tries
        if useful.all() or (not self.retries and self._barren < PATIENCE):
            return
        found = (
            f"after {tries} retries the rewards of {(~useful).sum()} of {len(useful)} groups do not differ"
        )
        if self._barren:
            mean = self._totals(drawn).mean()
            found = f"in {self._barren} batches no group's rewards differed (mean reward {mean:.2f})"
        seen = any(entry.get("groups/zero_variance", 1.0) < 1 for entry in self.state.log_history)
        if not seen and not self._ever_varied:
            raise UserError(
                f"rl: expected responses of which some are better than others, {found}; start from a "
                "checkpoint that is right sometimes (more cot-sft), raise temperature or responses, or check "
                f"the reward; delete {self.args.output_dir} before you train it again with other settings"
            )
        self._stop(found)

    def _stop(self, reason: str) -> None:
        """After this step."""
        self.stopped = f"step {self.state.global_step + 1}: {reason}"
        if self.accelerator.is_main_process:
            log.warning("training ends early, %s", self.stopped)


class _Bounds(TrainerCallback):  # type: ignore[misc]
    """Where training begins and where it ends early."""

    def __init__(self, trainer: PolicyRolloutTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """TRL counts passes from zero when a run goes on, and would sample at other steps than it did."""
        self.trainer._step = state.global_step * args.gradient_accumulation_steps

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop |= self.trainer.stopped is not None


def collapsed(ids: Sequence[int], token: int) -> list[int]:
    """One token for each run of it."""
    return [i for place, i in enumerate(ids) if i != token or place == 0 or ids[place - 1] != token]


def _messages(row: Row, prompt: str, images: str) -> list[dict[str, Any]]:
    return prepare_multimodal_messages(row[prompt], images=row.get(images) or [])  # type: ignore[no-any-return]


def _places(group: int, size: int) -> range:
    return range(group * size, (group + 1) * size)
