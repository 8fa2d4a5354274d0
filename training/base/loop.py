"""Training the base model: stage after stage, killed at any moment, until the minutes are over.

OUT/pictures/  what it learns from            OUT/state.pt   to go on from, written every few minutes
OUT/latest/    a checkpoint to try meanwhile   OUT/log.jsonl  the loss, and what it can do so far
"""

from __future__ import annotations

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
from tqdm import tqdm

from harness.errors import UserError
from harness.files import store
from harness.files.workdir import reserve
from harness.seeds import rng
from training.base import vision_pretraining
from training.base.curriculum import CURRICULUM, BaseConfig, Stage
from training.base.data import image_pool
from training.base.data.batches import Batch, Lessons
from training.base.data.examples import Encoder
from training.base.data.pixels import Gallery
from training.base.data.samplers import Material
from training.base.evaluation import accuracy
from training.base.model import attention, init_heads
from training.base.model.checkpoint import BASE, random_model, save
from training.base.model.tokenizer import train_tokenizer
from training.base.optimizer import Optimizer
from training.base.vision_pretraining import View, Views

HELD = 500
"""Scenes that only measure (recipe.FEWEST_SCENES)."""
CHECK = 240.0
"""Seconds of training between two looks at what it can do; its state is saved then."""
ASKED = 64
"""Questions a task at each look."""
LOGGED = 20
"""Steps to a line of the log."""
WARMUP = 40
"""Steps of a stage until its full learning rate."""
END = 0.05
"""Of a stage's learning rate, when its time is over."""


@dataclass(frozen=True)
class Line:
    """Of log.jsonl."""

    stage: str
    step: int
    seconds: float
    """Of training, all stages together."""
    loss: float | None = None
    """Mean since the line before."""
    skills: Mapping[str, float] | None = None
    """By task, or while it learns to see by attribute: the share that was right."""


@dataclass
class Position:
    """Where a run stands."""

    stage: int = 0
    step: int = 0
    """Of the stage, as is the next."""
    stage_seconds: float = 0.0
    seconds: float = 0.0


def train_base(out: Path, config: BaseConfig) -> None:
    """Trains the base and leaves a checkpoint in out/latest; goes on where a run of the same config was
    stopped. UserError where out holds anything else, and where the GPU that is asked for is missing."""
    if config.preset == "gpu" and not torch.cuda.is_available():
        raise UserError("preset: expected cpu where PyTorch sees no GPU, got gpu")
    reserve(out, "base.json", config, "a training of the base")
    _Run(out, config).train()


class _Run:
    def __init__(self, out: Path, config: BaseConfig) -> None:
        self.out, self.config = out, config
        pictures = image_pool.load(out / "pictures", config.seed, config.scenes, config.crops, config.workers)
        known = config.scenes - HELD
        self.seen, self.held = Material(pictures, 0, known), Material(pictures, known, config.scenes)
        self.device = torch.device("cuda" if config.preset == "gpu" else "cpu")
        self.gallery = Gallery(pictures, self.device)
        self.tokenizer = train_tokenizer()
        self.encoder = Encoder(self.tokenizer)
        self.model = random_model(self.tokenizer, BASE, init_heads.SPREAD, config.seed)
        init_heads.look_back(self.model)
        self.model.to(self.device, torch.bfloat16)
        if self.device.type == "cpu":
            attention.use(self.model)
        torch.manual_seed(rng(config.seed, "base", "head").getrandbits(63))
        self.head = vision_pretraining.Head(BASE.hidden).to(self.device, torch.bfloat16)
        self.optimizer = Optimizer([self.model, self.head], self.model.model.visual)
        self.log = store.Log(out / "log.jsonl", Line)
        self.at = Position()
        self.losses: list[float] = []

    def train(self) -> None:
        self._resume()
        with tqdm(total=round(self.config.seconds), initial=round(self.at.seconds), unit="s") as bar:
            while self.at.seconds < self.config.seconds:
                self._stage(CURRICULUM[self.at.stage], bar)
                self.at = Position(self.at.stage + 1, seconds=self.at.seconds)

    def _stage(self, stage: Stage, bar: Any) -> None:
        """Until its gates hold or its time is over, which for the last stage is all that is left."""
        bar.set_description(stage.name)
        self.model.model.visual.requires_grad_(stage.sight_rate > 0)
        rest = self.config.seconds - self.at.seconds + self.at.stage_seconds
        most = rest if stage is CURRICULUM[-1] else min(rest, stage.share * self.config.seconds)
        looked, before = self.at.seconds, time.monotonic()
        for lesson in self._lessons(stage):
            faded = 1 - (1 - END) * self.at.stage_seconds / most
            pace = min(1.0, (self.at.step + 1) / WARMUP) * faded
            self._learn(lesson)
            self.optimizer.step(pace * stage.rate, pace * stage.sight_rate)
            self.at.step += 1
            if self.at.step % LOGGED == 0:
                self._note(stage, loss=sum(self.losses) / len(self.losses))
                bar.set_postfix(loss=f"{sum(self.losses) / len(self.losses):.3f}", refresh=False)
                self.losses.clear()
            took = time.monotonic() - before
            before += took
            self.at.seconds += took
            self.at.stage_seconds += took
            bar.update(min(round(self.at.seconds), bar.total) - bar.n)
            over = self.at.stage_seconds >= most
            if over or self.at.seconds - looked >= CHECK:
                looked = self.at.seconds
                skills = self._look(stage)
                if over or (stage.gates and all(skills[n] >= least for n, least in stage.gates.items())):
                    return

    def _lessons(self, stage: Stage) -> Iterator[list[Batch] | View]:
        config, source = self.config, self.seen
        lessons: Any = (
            Lessons((config.seed, stage.name), stage.mix, source, self.encoder, config.rows)
            if stage.mix
            else Views(source, config.seed, 2 * config.rows, varied=True)
        )
        workers = config.workers if self.device.type == "cuda" else 0
        steps = range(self.at.step, 10**9)
        return iter(DataLoader(lessons, batch_size=None, sampler=steps, num_workers=workers))

    def _learn(self, lesson: list[Batch] | View) -> None:
        """Adds up the gradient of a step."""
        if isinstance(lesson, View):
            loss, _ = self._see(lesson)
            loss.backward()  # type: ignore[no-untyped-call]
            self.losses.append(float(loss.detach()))
        else:
            total = sum(float(batch.weights.sum()) for batch in lesson)
            self.losses.append(sum(self._read(batch, total) for batch in lesson))

    def _see(self, view: View) -> tuple[torch.Tensor, dict[str, float]]:
        patches, grids = self.gallery.patches(view.shots)
        tokens = self.model.model.visual(patches.to(self.model.dtype), grid_thw=grids).pooler_output
        return vision_pretraining.loss(self.head(tokens), view.found.to(self.device))

    def _read(self, batch: Batch, total: float) -> float:
        """Adds the gradient of a batch's share of the mean loss over total weight; returns that share."""
        ids, weights = batch.ids.to(self.device), batch.weights.to(self.device)
        shown: dict[str, Any] = {}
        if batch.shots is not None:
            patches, grids = self.gallery.patches(batch.shots)
            image = batch.ids == self.model.config.image_token_id
            # transformers goes through it row by row, which a GPU would be waited for each time.
            places, _ = self.model.model.get_rope_index(batch.ids, image.int(), grids.cpu())
            shown = {"pixel_values": patches.to(self.model.dtype), "image_grid_thw": grids}
            shown["position_ids"] = places.to(self.device)
        hidden = self.model.model(input_ids=ids, use_cache=False, **shown).last_hidden_state
        told = weights[:, 1:] > 0  # the output layer is dear, and only answers need it
        logits = self.model.lm_head(hidden[:, :-1][told]).float()
        each = F.cross_entropy(logits, ids[:, 1:][told], reduction="none")
        loss = (each * weights[:, 1:][told]).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    @torch.no_grad()
    def _look(self, stage: Stage) -> Mapping[str, float]:
        """Measures, notes and saves."""
        if stage.mix:
            skills = {
                name: accuracy(
                    self.model, name, self.tokenizer, self.held, self.gallery, ASKED, self.config.seed
                )
                for name in dict.fromkeys([*stage.gates, *stage.watched])
            }
        else:
            view = Views(self.held, self.config.seed, 4 * ASKED, varied=False)[0]
            _, skills = self._see(view)
        self._note(stage, skills=skills)
        self._save()
        return skills

    def _note(
        self, stage: Stage, loss: float | None = None, skills: Mapping[str, float] | None = None
    ) -> None:
        self.log.append([Line(stage.name, self.at.step, round(self.at.seconds, 1), loss, skills)])

    def _save(self) -> None:
        """The state to go on from, and a checkpoint in float32; each written aside and renamed."""
        aside = self.out / ".state.pt"
        torch.save({"at": asdict(self.at), "optimizer": self.optimizer.state()}, aside)
        aside.replace(self.out / "state.pt")
        whole = copy.deepcopy(self.model).float()
        for parameter, kept in zip(whole.parameters(), self.optimizer.kept, strict=False):
            parameter.data.copy_(kept.data)
        fresh, latest = self.out / f".latest.{os.getpid()}", self.out / "latest"
        shutil.rmtree(fresh, ignore_errors=True)
        save(whole, self.tokenizer, fresh)
        shutil.rmtree(latest, ignore_errors=True)
        fresh.rename(latest)

    def _resume(self) -> None:
        path = self.out / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device)
            self.at = Position(**state["at"])
            self.optimizer.load(state["optimizer"])
