"""Trains the base model stage by stage until the time is used up.

    OUT/pictures/   rendered scenes and crops
    OUT/log.jsonl   loss and accuracies
    OUT/history/    a loadable checkpoint of each evaluation, named by stage and step
    OUT/latest      link to the newest of them
    OUT/state.pt    what an interrupted run resumes from, written with the checkpoint

The resume state contains the progress, the float32 master weights and the optimizer's moments. It needs no
random state, because the examples of a step depend only on the seed, the stage and the step. Time means
training time and is part of the progress. A resumed run repeats the steps since the last evaluation. If they
take the same time, it ends with the same weights as a run without interruption.
"""

import copy
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from harness import seeds
from harness.errors import UserError
from harness.files import store
from harness.files.workdir import reserve, using
from harness.progress import Bar
from training.base import vision_pretraining
from training.base.curriculum import HELD_OUT_SCENES, BaseConfig, CurriculumStage
from training.base.data.batches import Batch, TaskMixDataset
from training.base.data.examples import ExampleEncoder
from training.base.data.image_pool import load_pool
from training.base.data.pixels import DevicePool
from training.base.data.samplers import SceneSampler
from training.base.evaluation import accuracy
from training.base.model import attention, branches, init_heads, warm_start
from training.base.model.checkpoint import BASE_SIZE, random_model, save_checkpoint
from training.base.model.tokenizer import train_tokenizer
from training.base.optimizer import Optimizer, compute_dtype
from training.base.vision_pretraining import CellDataset, VisionBatch

REQUEST = "base.json"
# Seconds of training between two evaluations. The state is saved after each. Evaluations count as training:
# eight tasks with policies of up to six layers take about 100 seconds on two cores.
EVAL_INTERVAL = 900.0
# Number of questions for each task in an evaluation.
EVAL_QUESTIONS = 64
# Number of steps between two entries of the log.
LOG_INTERVAL = 20
# Number of steps at the start of a stage during which the learning rate increases.
WARMUP = 40
# Learning rate at the end of a stage, as a share of its rate.
FINAL_RATE = 0.05


@dataclass(frozen=True)
class LogEntry:
    """A line of log.jsonl."""

    stage: str
    step: int
    seconds: float  # of training, in all stages
    loss: float | None = None  # mean since the previous entry with a loss
    skills: Mapping[str, float] | None = None  # accuracy by task or, in vision pretraining, by attribute


@dataclass
class Progress:
    """How far a run has come."""

    stage: int = 0
    step: int = 0  # of the stage
    stage_seconds: float = 0.0
    seconds: float = 0.0  # of training, in all stages


def train_base(out: Path, config: BaseConfig) -> None:
    """Train the base model and leave the checkpoint in out/latest. Resumes a run of the same config.

    Raises UserError if `out` contains anything else, if another process uses it, or if the preset needs a GPU
    and there is none.
    """
    if config.preset == "gpu" and not torch.cuda.is_available():
        raise UserError("preset: expected cpu because PyTorch finds no GPU, got gpu")
    with using(out, REQUEST, "a base training run"):
        reserve(out, REQUEST, config, "a base training run")
        _Trainer(out, config).train()


class _Trainer:
    def __init__(self, out: Path, config: BaseConfig) -> None:
        self.out, self.config = out, config
        pool = load_pool(out / "pictures", config.seed, config.scenes, config.crops, config.workers)
        first_held_out = config.scenes - HELD_OUT_SCENES
        self.train_scenes = SceneSampler(pool, 0, first_held_out)
        self.eval_scenes = SceneSampler(pool, first_held_out, config.scenes)
        self.device = torch.device("cuda" if config.preset == "gpu" else "cpu")
        self.pool = DevicePool(pool, self.device)
        self.tokenizer = train_tokenizer()
        self.encoder = ExampleEncoder(self.tokenizer)
        self.model = random_model(self.tokenizer, BASE_SIZE, init_heads.INIT_STD, config.seed)
        init_heads.set_positional_heads(self.model)
        if config.start:
            warm_start.copy_weights(config.start, self.model, self.tokenizer)
        self.model.to(self.device)
        torch.manual_seed(seeds.rng(config.seed, "base", "head").getrandbits(63))
        self.head = vision_pretraining.make_head(BASE_SIZE.hidden).to(self.device)
        self.optimizer = Optimizer([self.model, self.head], self.model.model.visual)
        # Rounded only now, so that the optimizer keeps what a checkpoint has in float32.
        dtype = compute_dtype(self.device)
        self.model.to(dtype)
        self.head.to(dtype)
        attention.use_training_attention(self.model)
        self.log = store.Log(out / "log.jsonl", LogEntry)
        self.progress = Progress()

    def train(self) -> None:
        path = self.out / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device)
            self.progress = Progress(**state["at"])
            self.optimizer.load(state["optimizer"])
        with Bar(total=round(self.config.seconds), initial=round(self.progress.seconds), unit="s") as bar:
            stages = self.config.selected
            # The last stage may reach its targets before the time is up.
            while self.progress.stage < len(stages) and self.progress.seconds < self.config.seconds:
                self._train_stage(stages[self.progress.stage], bar)

    def _train_stage(self, stage: CurriculumStage, bar: Any) -> None:
        bar.set_description_str(stage.name)
        self.model.model.visual.requires_grad_(stage.vision_rate > 0)
        progress, budget = self.progress, self._time_budget(stage)
        losses: list[float] = []
        last_evaluation, last_time = progress.seconds, time.monotonic()
        for step_data in self._training_steps(stage):
            losses.append(self._accumulate_gradients(step_data))
            warmup = min(1.0, (progress.step + 1) / WARMUP)
            decay = 1 - (1 - FINAL_RATE) * progress.stage_seconds / budget
            self.optimizer.step(warmup * decay * stage.rate, warmup * decay * stage.vision_rate)
            progress.step += 1
            if progress.step % LOG_INTERVAL == 0:
                loss = sum(losses) / len(losses)
                losses.clear()
                self.log.append([LogEntry(stage.name, progress.step, round(progress.seconds, 1), loss)])
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            step_seconds = time.monotonic() - last_time
            last_time += step_seconds
            progress.seconds += step_seconds
            progress.stage_seconds += step_seconds
            bar.update(min(round(progress.seconds), bar.total) - bar.n)
            time_is_up = progress.stage_seconds >= budget
            if time_is_up or progress.seconds - last_evaluation >= EVAL_INTERVAL:
                last_evaluation = progress.seconds
                skills = self._evaluate(stage)
                gates_reached = all(skills[task] >= target for task, target in stage.gates.items())
                stage_ends = time_is_up or (stage.gates and gates_reached)
                name = f"{stage.name}-{progress.step}"
                if stage_ends:
                    # Advance before saving: a run that is interrupted now must not resume in this stage.
                    self.progress = Progress(progress.stage + 1, seconds=progress.seconds)
                self._save(name)
                if stage_ends:
                    return

    def _time_budget(self, stage: CurriculumStage) -> float:
        """Maximum seconds for a stage, including the time before an interruption."""
        remaining = self.config.seconds - self.progress.seconds + self.progress.stage_seconds
        return remaining * stage.share / sum(s.share for s in self.config.selected[self.progress.stage :])

    def _training_steps(self, stage: CurriculumStage) -> Iterator[list[Batch] | VisionBatch]:
        """The data of each step from the current one on, without end."""
        config, scenes = self.config, self.train_scenes
        dataset: Any
        if stage.mix:
            dataset = TaskMixDataset(config.seed, stage.name, stage.mix, scenes, self.encoder, config.rows)
        else:
            dataset = CellDataset(scenes, config.seed, 2 * config.rows, augment=True)
        workers = config.workers if self.device.type == "cuda" else 0
        steps = range(self.progress.step, 10**9)
        return iter(DataLoader(dataset, batch_size=None, sampler=steps, num_workers=workers))

    def _accumulate_gradients(self, step_data: list[Batch] | VisionBatch) -> float:
        """Add the gradients of a step to the parameters; return the step's loss."""
        if isinstance(step_data, VisionBatch):
            loss, _ = self._vision_loss(step_data)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())
        total_weight = sum(float(batch.weights_BT.sum()) for batch in step_data)
        step_loss = 0.0
        for batch in step_data:
            # Dividing by the weight of all batches makes the sum of their losses the mean of the step.
            loss = answer_loss(self.model, self.pool, batch) / total_weight
            loss.backward()  # type: ignore[no-untyped-call]
            step_loss += float(loss.detach())
        return step_loss

    def _vision_loss(self, batch: VisionBatch) -> tuple[torch.Tensor, dict[str, float]]:
        patches, grids = self.pool.patches(batch.pictures)
        tokens = self.model.model.visual(patches.to(self.model.dtype), grid_thw=grids).pooler_output
        return vision_pretraining.cell_loss(self.head(tokens), batch.labels.to(self.device))

    @torch.no_grad()
    def _evaluate(self, stage: CurriculumStage) -> Mapping[str, float]:
        """Measure and log the accuracies of a stage, on held-out scenes."""
        seed, scenes = self.config.seed, self.eval_scenes
        if stage.mix:
            skills = {
                task: accuracy(self.model, self.tokenizer, self.pool, scenes, task, EVAL_QUESTIONS, seed)
                for task in dict.fromkeys([*stage.gates, *stage.watched])
            }
        else:
            _, skills = self._vision_loss(CellDataset(scenes, seed, 4 * EVAL_QUESTIONS, augment=False)[0])
        step, seconds = self.progress.step, round(self.progress.seconds, 1)
        self.log.append([LogEntry(stage.name, step, seconds, skills=skills)])
        return skills

    def _save(self, name: str) -> None:
        """Save a checkpoint in float32, then the resume state. Each is written aside and then renamed."""
        full_precision = copy.deepcopy(self.model).float()
        # The masters of the vision head come last and are not part of the model, hence strict=False.
        for parameter, master in zip(full_precision.parameters(), self.optimizer.masters, strict=False):
            parameter.data.copy_(master.data)
        checkpoint = self.out / "history" / name
        partial_checkpoint = checkpoint.with_name(f".{name}.{os.getpid()}")
        save_checkpoint(full_precision, self.tokenizer, partial_checkpoint)
        # A run that was interrupted before it saved the state can reach the same step again.
        shutil.rmtree(checkpoint, ignore_errors=True)
        partial_checkpoint.rename(checkpoint)
        partial_link = self.out / ".latest"
        partial_link.unlink(missing_ok=True)
        partial_link.symlink_to(Path("history") / name)
        partial_link.replace(self.out / "latest")
        partial_state = self.out / ".state.pt"
        torch.save({"at": asdict(self.progress), "optimizer": self.optimizer.state()}, partial_state)
        partial_state.replace(self.out / "state.pt")


def answer_loss(model: Any, pool: DevicePool, batch: Batch) -> torch.Tensor:
    """The sum of the weighted cross entropies of all tokens."""
    ids_BT, weights_BT = batch.ids_BT.to(model.device), batch.weights_BT.to(model.device)
    inputs: dict[str, Any] = {}
    positions = torch.arange(ids_BT.shape[1]).expand(3, *ids_BT.shape)
    if batch.pictures is not None:
        patches, grids = pool.patches(batch.pictures)
        is_image_BT = batch.ids_BT == model.config.image_token_id
        # Computed on the CPU: transformers loops over the rows, and a GPU would synchronize for each.
        positions, _ = model.model.get_rope_index(batch.ids_BT, is_image_BT.int(), grids.cpu())
        inputs = {"pixel_values": patches.to(model.dtype), "image_grid_thw": grids}
    if batch.questions_BT is not None:
        positions = branches.continue_after_policy(positions, batch.questions_BT)
        mask = branches.attention_mask(batch.questions_BT.to(model.device), model.dtype)
        inputs["attention_mask"] = {"full_attention": mask}
    inputs["position_ids"] = positions.to(model.device)
    hidden_BTD = model.model(input_ids=ids_BT, use_cache=False, **inputs).last_hidden_state
    # The output layer is expensive, so it is only applied where the next token has a loss (N positions).
    has_loss_BT = weights_BT[:, 1:] > 0
    logits_NV = model.lm_head(hidden_BTD[:, :-1][has_loss_BT]).float()
    losses_N = F.cross_entropy(logits_NV, ids_BT[:, 1:][has_loss_BT], reduction="none")
    return (losses_N * weights_BT[:, 1:][has_loss_BT]).sum()
