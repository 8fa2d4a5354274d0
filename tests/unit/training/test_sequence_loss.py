"""The supervised loss is a mean over the update, however it is divided into passes and processes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from forked import run_two_processes
from sft_gradients import LOSSES, Gradients, main, make, train
from transformers import Qwen2_5_VLForConditionalGeneration

from harness.files.benchmark import Benchmark
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.sequences.collate import IGNORED
from training.trainers.sequence_loss import token_weights


@pytest.fixture(scope="module")
def data(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    chains = tmp_path_factory.mktemp("cot") / "gold"
    make_chains(Benchmark(text_folder), chains, CotRequest(limit=4))
    return {"benchmark": text_folder, "cot": chains}


@pytest.fixture(scope="module")
def references(
    checkpoint: Path, data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Gradients, float]]:
    """Gradients and loss of each loss, from the definition, one row at a time."""
    trainer = make(checkpoint, data, tmp_path_factory.mktemp("work"), micro_batch=4)
    model, collate = trainer.model.train(), trainer.data_collator
    sums, counts = [], []
    for row in trainer.train_dataset:
        batch = collate([row])
        labels = batch.pop("labels")[0, 1:]
        logits = model(**batch).logits[0, :-1]
        sums.append(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))
        counts.append(int((labels != IGNORED).sum()))
    assert len(set(counts)) > 1
    losses = {
        "sequence": torch.stack([nll / count for nll, count in zip(sums, counts, strict=True)]).mean(),
        "token": torch.stack(sums).sum() / sum(counts),
    }
    weights = dict(model.named_parameters())
    return {
        name: (
            dict(
                zip(
                    weights, torch.autograd.grad(loss, list(weights.values()), retain_graph=True), strict=True
                )
            ),
            loss.item(),
        )
        for name, loss in losses.items()
    }


def assert_equal(result: tuple[Gradients, float], reference: tuple[Gradients, float]) -> None:
    (gradients, loss), (expected, expected_loss) = result, reference
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("micro_batch", "divides_itself"), [(4, False), (2, False), (2, True), (1, False)])
@pytest.mark.parametrize("loss", LOSSES)
def test_passes_do_not_change_the_gradient(
    loss: str,
    micro_batch: int,
    divides_itself: bool,
    checkpoint: Path,
    data: dict[str, Path],
    references: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor whether an architecture says that its loss is divided by the tokens of an update."""
    monkeypatch.setattr(Qwen2_5_VLForConditionalGeneration, "accepts_loss_kwargs", divides_itself)
    result = train(make(checkpoint, data, tmp_path, loss=loss, micro_batch=micro_batch))
    assert_equal(result, references[loss])


def test_processes_do_not_change_the_gradient(
    checkpoint: Path, data: dict[str, Path], references: dict[str, Any], tmp_path: Path
) -> None:
    run_two_processes(main, checkpoint, *data.values(), tmp_path, output=tmp_path / "output")
    for rank in range(2):
        for (loss, _), result in torch.load(tmp_path / f"{rank}.pt").items():
            assert_equal(result, references[loss])


def test_a_sequence_without_learned_tokens_has_no_weight() -> None:
    labels = torch.tensor([[5, 6, 7, IGNORED], [5, IGNORED, IGNORED, IGNORED]])
    assert token_weights(labels, "sequence").tolist() == [[0.5, 0.5, 0], [0, 0, 0]]
    assert token_weights(labels, "token").tolist() == [[1, 1, 0], [0, 0, 0]]
