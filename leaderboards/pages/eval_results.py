"""Entries in the form in which the Hugging Face Hub shows scores on the page of a model.

The Hub reads `.eval_results/*.yaml` in the repository of a model. Each file lists scores on tasks that the
`eval.yaml` of a dataset defines, which `harness export --for hub` writes. A board does not know these tasks:
there are none for prompts with several images and for answers that are not short, such as those of the recall
split and of GTAPolicy. Upload only scores on tasks that exist.
"""

import json
import re
from collections.abc import Iterator

from harness.errors import UserError
from harness.export.format import dataset_name
from harness.metrics.metric import SHARE
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board, Entry

FOLDER = "eval_results"


def eval_results(boards: Boards, organization: str) -> dict[str, str]:
    """The text of each file by its path: eval_results/MODEL/.eval_results/DATASET.yaml.

    A dataset is called ORGANIZATION/FAMILY_DIGEST, with the name that `harness export` gives it. If a model
    has several entries on a board, the latest one counts.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", organization):
        raise UserError(f"hub_organization: expected a name such as my-team, got {organization!r}")
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for board in boards.boards():
        if not board.legacy and not board.key.judge:
            name = _as_folder(dataset_name(board.family, board.key.digest))
            for entry in _latest(boards, board):
                if entry.model not in folders:
                    folder = _as_folder(entry.model)
                    # Two names may differ only in what a folder's name cannot contain.
                    folders[entry.model] = (
                        f"{folder}_{len(folders)}" if folder in folders.values() else folder
                    )
                path = f"{FOLDER}/{folders[entry.model]}/.eval_results/{name}.yaml"
                files[path] = files.get(path, "") + _item(board, entry, f"{organization}/{name}")
    return files


def _latest(boards: Boards, board: Board) -> Iterator[Entry]:
    latest = {entry.model: entry for entry in sorted(boards.entries(board), key=lambda entry: entry.added)}
    yield from latest.values()


def _as_folder(model: str) -> str:
    return re.sub(r"[^\w.-]+", "_", model).strip("._") or "model"


def _item(board: Board, entry: Entry, dataset: str) -> str:
    """One score. Texts are written as JSON, which is also YAML."""
    figures = entry.figures
    notes = f"percent, 95 % interval {SHARE.interval(figures.low, figures.high)}, n {figures.n}"
    notes += f", scorer {board.key.scorer}, policy {board.key.variant}"
    return f"""\
- dataset:
    id: {json.dumps(dataset)}
    task_id: {json.dumps(f"{board.key.variant}_{board.key.split}")}
  value: {100 * figures.mean:.2f}
  date: {json.dumps(entry.added.partition(" ")[0])}
  notes: {json.dumps(notes)}
"""
