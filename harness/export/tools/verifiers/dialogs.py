"""Dialogs for verifiers: the model calls, receives the recorded result and continues.

    vf-eval gtapolicy --env.taskset.bench path/to/bench -n 20

A dialog proceeds and is scored as in `harness eval --multi-turn` (harness/dialogs). But it is a conversation:
the first message is the first question, and each later one is what the last call returned. So the model also
sees its own reasoning.
"""

from collections.abc import Iterator
from pathlib import Path

import verifiers.v1 as vf

from harness import variants
from harness.answer_key import answer_key, grade, rollout
from harness.export.tools.hub import data_uri
from harness.export.tools.verifiers.tasks import KeyTask, task_data
from harness.export.write import Loader
from harness.files.benchmark import Benchmark
from harness.records import MULTI_TURN

__all__ = ["DialogEnv", "DialogTaskset"]


class DialogTask(KeyTask):
    """One dialog. Its environment grades it."""


class DialogConfig(vf.TasksetConfig):
    bench: str = "bench"
    """Folder of the benchmark."""
    variant: str = "internalized"
    """internalized, in_context or override."""
    split: str = "train"


class DialogTaskset(vf.Taskset[DialogTask, DialogConfig]):
    def load(self) -> Iterator[DialogTask]:
        benchmark = Benchmark(Path(self.config.bench))
        (variant,) = variants.parse(self.config.variant)
        load = Loader(benchmark)
        for dialog in benchmark.instances(self.config.split + MULTI_TURN):
            prompt = variants.prompt(dialog, variant, benchmark.policies)
            if prompt is None:
                continue
            images = (data_uri(image["bytes"], image["path"]) for image in load(prompt.parts))
            parts = [(p.kind, next(images) if p.kind == "image" else p.value) for p in prompt.parts]
            key, gold = answer_key(benchmark, dialog, variant), benchmark.dialogs.gold(dialog, variant)
            yield DialogTask(task_data(f"{variant.name}/{dialog.id}", parts, key, gold), self.config.task)


class DialogEnvConfig(vf.EnvConfig):
    # A conversation needs neither tools nor a sandbox.
    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime={"type": "subprocess"})


class DialogEnv(vf.Env[DialogEnvConfig]):
    """Answers each call of the model as the user's next message, and grades the finished dialog.

    The reward `solved` is the accuracy of `--multi-turn`, and the metrics are its parts.
    """

    async def run(self, task: DialogTask, agents: vf.Agents) -> None:
        dialog = rollout(task.data.answer_key)
        async with agents.agent.interaction(task) as model:
            reply = await model.turn()
            while not reply.terminated:
                returned = dialog.converse(reply.last_reply)
                if dialog.is_over:
                    break
                reply = await model.turn(f"{returned}\n{dialog.family.answer_form}")
        result = grade(task.data.answer_key, dialog.transcript())
        model.trace.record_reward("solved", result.value or 0.0)
        model.trace.record_metrics(dict(result.parts))
