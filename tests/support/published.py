"""Small files in the form in which MMLU-Pro and MMMU-Pro are published."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def write_mmlu_pro(folder: Path) -> Path:
    """Eight questions of two categories, with a worked example for each category."""
    rows = [
        {
            "question_id": number,
            "question": f"What is {number}?",
            "options": ["odd", "even", "neither"],
            "answer": "AB"[number % 2 == 0],
            "category": category,
            "cot_content": "A: Let's think step by step. It is odd. The answer is (A).",
        }
        for number, category in enumerate(("law", "history") * 4)
    ]
    _write(folder / "test.jsonl", rows)
    _write(folder / "validation.jsonl", rows[:2])
    return folder


def write_mmmu_pro(folder: Path) -> Path:
    """Two questions with two images each; ten options are the same two here."""
    rows = [
        {
            "id": f"test_Art_{number}",
            "question": "Which follows <image 1> and <image 2>?",
            "options": "['this', 'that']",
            "answer": answer,
            "subject": "Art",
            "image": _picture("blue"),
            "image_1": _picture("red"),
            "image_2": _picture("green"),
        }
        for number, answer in enumerate("AB")
    ]
    _write(folder / "test.jsonl", rows)
    return folder


def _picture(color: str) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(file, "PNG")
    return {"bytes": base64.b64encode(file.getvalue()).decode(), "path": None}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
