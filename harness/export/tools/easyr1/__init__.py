"""EasyR1: `RLHFDataset` and a reward file. Only the column `answer` reaches the reward."""

from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Column, Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, TEXT, Values
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
    columns: ClassVar[Mapping[str, Column]] = {
        "id": Column(TEXT, "identifies prompt and benchmark"),
        "problem": Column(TEXT, "the prompt; each `<image>` stands for the next image"),
        "images": Column(IMAGES, "the images of the prompt"),
        "answer": Column(TEXT, "the answer key, which `reward.py` passes to `harness.reward`"),
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
