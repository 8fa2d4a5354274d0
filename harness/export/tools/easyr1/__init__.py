"""EasyR1: `RLHFDataset` and a reward file. Only the column `answer` reaches the reward."""

from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, TEXT, Feature, Values
from harness.export.rows import Row, marked
from harness.variants import INTERNALIZED


class EasyR1(Format):
    title = "EasyR1"
    usage = """\
```
python -m verl.trainer.main config=examples/config.yaml \\
    data.train_files={out}/data/internalized@train data.val_files={out}/data/internalized@test \\
    data.prompt_key=problem data.answer_key=answer data.image_key=images data.format_prompt=null \\
    worker.reward.reward_function={out}/reward.py:compute_score ...
```"""
    variants = (INTERNALIZED.name,)
    features: ClassVar[Mapping[str, Feature]] = {
        "id": TEXT,
        "problem": TEXT,
        "images": IMAGES,
        "answer": TEXT,
    }
    columns: ClassVar[Mapping[str, str]] = {
        "id": "identifies prompt and benchmark",
        "problem": "the prompt; each `<image>` stands for the next image",
        "images": "the images of the prompt",
        "answer": "the answer key, which `reward.py` passes to `harness.reward`",
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        return {
            "id": row.id,
            "problem": marked(row.prompt),
            "images": pictures(row.prompt),
            "answer": row.answer_key,
        }

    def files(self, export: Export) -> Mapping[str, str]:
        return {"reward.py": copied("easyr1", "reward.py")}
