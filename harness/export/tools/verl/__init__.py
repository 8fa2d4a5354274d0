"""verl: `RLHFDataset` and a custom reward function."""

from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Column, Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, NUMBER, TEXT, Values
from harness.export.rows import Row, marked
from harness.variants import INTERNALIZED

_EXTRA = ("id", "split", "variant", "answer", "gold")


class Verl(Format):
    title = "verl"
    usage = """\
```
python -m verl.trainer.main_ppo \\
    data.train_files={out}/data/internalized/train-00000.parquet \\
    data.val_files={out}/data/internalized/test-00000.parquet \\
    data.image_key=images data.return_raw_chat=True \\
    reward.custom_reward_function.path={out}/reward.py ...
```

`data.train_files` also takes a list, if there are several files."""
    variants = (INTERNALIZED.name,)
    columns: ClassVar[Mapping[str, Column]] = {
        "data_source": Column(TEXT, "the variant"),
        "prompt": Column(
            [{"role": TEXT, "content": TEXT}], "one message; each `<image>` stands for the next image"
        ),
        "images": Column(IMAGES, "the images of the prompt"),
        "ability": Column(TEXT, "always `policy`"),
        "reward_model": Column(
            {"style": TEXT, "ground_truth": TEXT},
            "`ground_truth` is the answer key, which `reward.py` passes to `harness.reward`",
        ),
        "extra_info": Column(
            {"index": NUMBER, **dict.fromkeys(_EXTRA, TEXT)},
            "id, split, variant, answer and gold response; verl passes them to the reward function",
        ),
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        return {
            "data_source": row.variant,
            "prompt": [{"role": "user", "content": marked(row.prompt)}],
            "images": pictures(row.prompt),
            "ability": "policy",
            "reward_model": {"style": "rule", "ground_truth": row.answer_key},
            "extra_info": {"index": number, **{name: getattr(row, name) for name in _EXTRA}},
        }

    def files(self, export: Export) -> Mapping[str, str]:
        return {"reward.py": copied("verl", "reward.py")}
