"""A dataset for the Hugging Face Hub, with `eval.yaml` for its leaderboards."""

import base64
from collections.abc import Mapping
from typing import ClassVar

from harness.export.format import Column, Export, Pictures, Questions, images_count
from harness.export.parquet import IMAGES, TEXT, Values
from harness.export.rows import Row, marked

# The last box, without LaTeX around its answer.
PATTERN = r"(?s).*\\boxed\{\s*(?:\\text\{)?([^{}]*?)\s*\}"


class Hub(Questions):
    title = "Hugging Face Hub and `datasets`"
    usage = """\
```python
import datasets

data = datasets.load_dataset("{out}", "internalized", split="test")    # or the id of the uploaded dataset
```

Upload the folder with `hf upload ORGANIZATION/{name} {out} --repo-type dataset`. If the prompts have at
most one image and the answers are short texts, `eval.yaml` describes the evaluation for the Hub. It finds
the answer with a regular expression, because an evaluation on the Hub runs no code of ours. `harness.grade`
also reads answers in Markdown and LaTeX."""
    columns: ClassVar[Mapping[str, Column]] = {
        **Questions.columns,
        "teacher_question": Column(
            TEXT, "the prompt with the policy, for a teacher; empty if `question` has the policy"
        ),
        "teacher_images": Column(
            IMAGES, "the images of the teacher's prompt; empty if they are those of `images`"
        ),
        "input": Column(
            TEXT,
            "the prompt without placeholders, for `eval.yaml`; empty in the training split, if the prompt "
            "has several images, and if the answers are not short",
        ),
        "input_image": Column(
            TEXT, "the only image as a data URI, for `eval.yaml`; empty if there is none or `input` is empty"
        ),
    }

    def values(self, row: Row, number: int, pictures: Pictures) -> Values:
        values = {
            **super().values(row, number, pictures),
            **teacher_values(row, pictures, "teacher_question"),
        }
        is_scored = row.split != "train" and row.is_closed and images_count(row) <= 1
        text = "".join(part.value for part in row.prompt if part.kind == "text")
        (image,) = pictures(row.prompt) if is_scored and images_count(row) else (None,)
        values["input"] = text if is_scored else None
        values["input_image"] = image and data_uri(image["bytes"], image["path"])
        return values

    def files(self, export: Export) -> Mapping[str, str]:
        tables = [t for t in export.tables if t.split != "train" and t.is_closed and t.images <= 1]
        if not tables:
            return {}
        lines = [
            f"name: {export.name}",
            "description: Does a model follow a policy that is not in the prompt, in it, or replaced there?",
            "evaluation_framework: inspect-ai",
            "tasks:",
        ]
        for table in tables:
            lines += [
                f"  - id: {table.variant}_{table.split}",
                f"    config: {table.variant}",
                f"    split: {table.split}",
                "    field_spec: {input: input, input_image: input_image, target: answer}",
                "    solvers: [{name: generate}]",
                "    scorers:",
                "      - name: pattern",
                f"        args: {{pattern: '{PATTERN}'}}",
            ]
        return {"eval.yaml": "\n".join(lines) + "\n"}


def teacher_values(row: Row, pictures: Pictures, text: str) -> Values:
    """The prompt and the images of a teacher. Images that the question has already are not repeated."""
    if row.teacher is None:
        return {text: None, "teacher_images": None}
    images = pictures(row.teacher)
    return {text: marked(row.teacher), "teacher_images": images if images != pictures(row.prompt) else None}


def data_uri(data: bytes, path: str) -> str:
    """An image with the format that the suffix of its path names, as an address."""
    return f"data:image/{path.rpartition('.')[2]};base64,{base64.b64encode(data).decode()}"
