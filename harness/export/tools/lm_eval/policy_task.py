"""What the task files call. This project must be installed in the same environment."""

from pathlib import Path
from typing import Any

import harness
from harness.export.parquet import DATA, all_shards

Doc = dict[str, Any]


def load(variant: str, split: str, **_: Any) -> Any:
    """The data of a variant, in the folder above this one."""
    import datasets

    files = sorted(map(str, (Path(__file__).parents[1] / DATA / variant).glob(all_shards(split))))
    return datasets.load_dataset("parquet", data_files={split: files})


def images(doc: Doc) -> list[Any]:
    return [image.convert("RGB") for image in doc["images"]]


def messages(doc: Doc) -> list[Doc]:
    """The prompt with its images in their places, for lmms-eval."""
    first, *others = doc["question"].split("<image>")
    content = [{"type": "text", "text": first}]
    for image, text in zip(images(doc), others, strict=True):
        content += [{"type": "image", "url": image}, {"type": "text", "text": text}]
    return [{"role": "user", "content": [part for part in content if part.get("text") != ""]}]


def accuracy(doc: Doc, results: list[str]) -> dict[str, float]:
    """The grade of a response. A response that cannot be graded has none, and does not count."""
    value = harness.grade(doc["answer_key"], results[0]).value
    return {} if value is None else {"accuracy": value}
