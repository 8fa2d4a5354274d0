"""Tasks for verifiers: a prompt with images, and a reward that grades as the harness does."""

from collections.abc import Sequence
from typing import Any

import verifiers.v1 as vf

from harness.answer_key import grade, reward
from harness.export.rows import IMAGE
from harness.export.tools.hub import data_uri


class PolicyData(vf.TaskData):
    answer_key: str
    gold: str


class KeyTask(vf.Task[PolicyData]):
    """A task whose answer key grades."""

    @property
    def key(self) -> str:
        """The id of the question, which does not depend on its place in the taskset."""
        return self.data.id or self.hash

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the gold response scores 1."""
        return grade(self.data.answer_key, self.data.gold).value == 1


class PolicyTask(KeyTask):
    """One question of a policy."""

    @vf.reward
    async def policy(self, trace: vf.Trace) -> float:
        """The reward of `trimpi train`: accuracy and format."""
        return reward(self.data.answer_key, trace.last_reply)["score"]

    @vf.metric
    async def accuracy(self, trace: vf.Trace) -> float:
        return reward(self.data.answer_key, trace.last_reply)["accuracy"]


def exported_data(row: dict[str, Any]) -> PolicyData:
    """The data of a row of an export."""
    first, *others = row["question"].split(IMAGE)
    parts: list[tuple[str, str]] = [("text", first)]
    for image, text in zip(row["images"], others, strict=True):
        parts += [("image", data_uri(image["bytes"], image["path"])), ("text", text)]
    return task_data(row["id"], parts, row["answer_key"], row["gold"])


def task_data(id_: str, parts: Sequence[tuple[str, str]], key: str, gold: str) -> PolicyData:
    """parts: texts, and images as data URIs, in their order."""
    content = [
        {"type": "text", "text": value}
        if kind == "text"
        else {"type": "image_url", "image_url": {"url": value}}
        for kind, value in parts
        if value
    ]
    prompt = [{"role": "user", "content": content}]
    return PolicyData.model_validate({"id": id_, "prompt": prompt, "answer_key": key, "gold": gold})
