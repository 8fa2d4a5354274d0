"""verl: `RLHFDataset` and a custom reward function."""

from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Export, Format, Pictures, copied
from harness.export.parquet import IMAGES, NUMBER, TEXT, Feature, Values
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
    features: ClassVar[Mapping[str, Feature]] = {
        "data_source": TEXT,
        "prompt": [{"role": TEXT, "content": TEXT}],
        "images": IMAGES,
        "ability": TEXT,
        "reward_model": {"style": TEXT, "ground_truth": TEXT},
        "extra_info": {"index": NUMBER, **dict.fromkeys(_EXTRA, TEXT)},
    }
    columns: ClassVar[Mapping[str, str]] = {
        "data_source": "the variant",
        "prompt": "one message; each `<image>` stands for the next image",
        "images": "the images of the prompt",
        "ability": "always `policy`",
        "reward_model": "`ground_truth` is the answer key, which `reward.py` passes to `harness.reward`",
        "extra_info": "id, split, variant, answer and gold response; verl passes them to the reward function",
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
