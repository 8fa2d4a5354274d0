"""ms-swift: SFT on gold reasoning, GRPO, and distillation from a teacher that sees the policy."""

from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Column, Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, TEXT, Values
from harness.export.rows import Row, marked
from harness.export.tools.hub import teacher_values
from harness.variants import INTERNALIZED


class MsSwift(Format):
    title = "ms-swift"
    usage = """\
```
swift sft  --dataset {out}/data/internalized/train-00000.parquet ...                          # gold reasoning
swift rlhf --rlhf_type grpo --dataset {out}/data/internalized/train-00000.parquet \\
    --external_plugins {out}/reward.py --reward_funcs policy ...
swift rlhf --rlhf_type gkd --dataset {out}/data/internalized/train-00000.parquet ...   # distillation
```

In distillation, the teacher sees the policy, because ms-swift replaces its prompt by `teacher_prompt` and its
images by `teacher_images`."""
    variants = (INTERNALIZED.name,)
    columns: ClassVar[Mapping[str, Column]] = {
        "messages": Column(
            [{"role": TEXT, "content": TEXT}],
            "the prompt and the gold response, which ms-swift drops in RL; each `<image>` stands for "
            "the next image",
        ),
        "images": Column(IMAGES, "the images of the prompt"),
        "solution": Column(TEXT, "the answer key, which `reward.py` passes to `harness.reward`"),
        "teacher_prompt": Column(TEXT, "the prompt with the policy"),
        "teacher_images": Column(
            IMAGES, "the images of the teacher's prompt; empty if they are those of `images`"
        ),
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        return {
            "messages": [
                {"role": "user", "content": marked(row.prompt)},
                {"role": "assistant", "content": row.gold},
            ],
            "images": pictures(row.prompt),
            "solution": row.answer_key,
            **teacher_values(row, pictures, "teacher_prompt"),
        }

    def files(self, export: Export) -> Mapping[str, str]:
        return {"reward.py": copied("ms_swift", "reward.py")}
