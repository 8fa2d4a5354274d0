"""TRL: SFTTrainer on gold reasoning and GRPOTrainer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from harness.export.format import Column, Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, TEXT, Feature, Values
from harness.export.rows import Row
from harness.records import Part
from harness.variants import INTERNALIZED

_MESSAGES: Feature = [{"role": TEXT, "content": [{"type": TEXT, "text": TEXT}]}]


class Trl(Format):
    title = "TRL"
    usage = """\
```python
import sys

from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

sys.path.append("{out}")
from reward import accuracy, format

data = load_dataset("{out}", "internalized", split="train")
SFTTrainer(MODEL, SFTConfig(max_length=None), train_dataset=data).train()        # gold reasoning
GRPOTrainer(
    MODEL, [accuracy, format], GRPOConfig(reward_weights=[0.9, 0.1]), train_dataset=data
).train()
```"""
    variants = (INTERNALIZED.name,)
    columns: ClassVar[Mapping[str, Column]] = {
        "id": Column(TEXT, "identifies prompt and benchmark"),
        "prompt": Column(_MESSAGES, "one message of texts and placeholders for images"),
        "completion": Column(_MESSAGES, "the gold response with its reasoning, for SFT"),
        "images": Column(IMAGES, "the images of the prompt"),
        "answer_key": Column(TEXT, "what the functions in `reward.py` pass to `harness.grade`"),
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        return {
            "id": row.id,
            "prompt": [{"role": "user", "content": _content(row.prompt)}],
            "completion": [{"role": "assistant", "content": _content([Part("text", row.gold)])}],
            "images": pictures(row.prompt),
            "answer_key": row.answer_key,
        }

    def files(self, export: Export) -> Mapping[str, str]:
        return {"reward.py": copied("trl", "reward.py")}


def _content(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"type": part.kind, "text": part.value if part.kind == "text" else None} for part in parts]
