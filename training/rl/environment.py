"""Dialogs as environments for TRL's GRPOTrainer: the model calls tools until it answers.

    dialogs = DialogEnvironments(Benchmark(Path("bench")))
    trainer = GRPOTrainer(
        model=model,
        args=GRPOConfig(...),
        train_dataset=dialogs.dataset(),
        environment_factory=dialogs.environment,
    )

A dialog proceeds as in `harness eval --multi-turn` (`harness/dialogs`), with two differences that follow from
TRL. The model calls the tool `call`, in the form of its chat template, instead of writing JSON into a box.
And the dialog also ends when a response calls no tool.
"""

import json
from collections.abc import Mapping
from typing import Any

from harness import variants
from harness.dialogs.dialog import Rollout
from harness.files.benchmark import Benchmark
from harness.records import MULTI_TURN
from harness.variants import INTERNALIZED, Variant
from training.sequences.dataset import SPLIT, AsText, prompt_messages

# In place of the sentence of a question that asks for JSON.
FORM = "Make it with the tool `call`, and answer the query once no call is missing."
OVER = "error: the dialog is over"


class DialogEnvironments:
    """The dialogs of a benchmark's split under a variant, as a dataset and an environment for it.

    `as_text` is applied to all texts of the benchmark (harness.backends.local.tokens.as_text). Raises
    UserError if the benchmark has no dialogs.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        variant: Variant = INTERNALIZED,
        split: str = SPLIT,
        as_text: AsText = str,
    ) -> None:
        self.benchmark, self.variant, self.as_text = benchmark, variant, as_text
        dialogs = {i.id: i for i in benchmark.instances(split + MULTI_TURN)}
        self.dialogs = {id_: i for id_, i in dialogs.items() if variants.target(i, variant) is not None}

    def dataset(self) -> Any:
        """A datasets.Dataset with a row per dialog: prompt, images and dialog. Images are read on access."""
        from datasets import Dataset

        def load(columns: Mapping[str, list[str]]) -> dict[str, list[Any]]:
            # All rollouts of a group share one row, so load each row once.
            rows = {id_: self._row(id_) for id_ in dict.fromkeys(columns["dialog"])}
            names = next(iter(rows.values()))
            return {name: [rows[id_][name] for id_ in columns["dialog"]] for name in names}

        dataset = Dataset.from_dict({"dialog": list(self.dialogs)})
        dataset.set_transform(load)
        return dataset

    def _row(self, id_: str) -> dict[str, Any]:
        prompt = variants.prompt(self.dialogs[id_], self.variant, self.benchmark.policies)
        parts = prompt.parts if prompt is not None else ()
        messages, images = prompt_messages(self.benchmark, parts, self.text)
        if not images:  # templates of language models expect a text
            messages[0]["content"] = "".join(part["text"] for part in messages[0]["content"])
        return {"dialog": id_, "prompt": messages, "images": images}

    def text(self, text: str) -> str:
        """A text of the benchmark as the model reads it here."""
        return self.as_text(text.replace(self.benchmark.dialogs.family.answer_form, FORM))

    def rollout(self, id_: str) -> Rollout:
        dialog = self.dialogs[id_]
        target = variants.target(dialog, self.variant) or dialog.target
        return self.benchmark.dialogs.rollout(dialog, target)

    def environment(self) -> "DialogEnvironment":
        """TRL's environment_factory."""
        return DialogEnvironment(self)


class DialogEnvironment:
    """One dialog at a time. To TRL, all public methods except reset and get_reward are tools of the model."""

    def __init__(self, dialogs: DialogEnvironments) -> None:
        self._dialogs = dialogs
        self._rollout: Rollout | None = None

    def reset(self, dialog: str, **row: Any) -> None:
        """Begins a dialog, given a row of the dataset. The row's prompt is the first question."""
        self._rollout = self._dialogs.rollout(dialog)

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool and get its result.

        Args:
            name: Name of the tool, with its version if it has versions.
            arguments: The value of each argument, by name.
        """
        rollout = self._rollout
        if rollout is None or rollout.is_over:
            return OVER
        answer = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
        return self._dialogs.text(rollout.converse(rollout.family.respond(answer)))

    def get_reward(self) -> float:
        """Half for the solved dialog, half the mean score of the calls under the rules, from 0 to 1.

        Calls that are missing count as 0, so that ending early does not pay.
        """
        if self._rollout is None:
            return 0.0
        grades, steps = self._rollout.grades, self._rollout.steps
        calls = sum(grade.value or 0.0 for grade in grades) / max(len(grades), len(steps))
        return (self._rollout.solved + calls) / 2
