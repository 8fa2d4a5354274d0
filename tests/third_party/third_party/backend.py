"""A model that adds the number in its argument, whatever the policy says: `adder:3`."""

import re
from collections.abc import Iterator, Sequence

from harness.backends import Backend, Sampling
from harness.files.benchmark import Benchmark
from harness.records import Prompt, Response


class Adder(Backend):
    def __init__(self, argument: str, _benchmark: Benchmark, _sampling: Sampling) -> None:
        self.step = int(argument)
        self.description = {"backend": "adder", "step": self.step}

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for prompt in prompts:
            number = int(re.findall(r"\d+", prompt.parts[-1].value)[-1])
            text = rf"I think that it is \boxed{{{number + self.step}}}"
            yield Response(*prompt.key, text=text, finish_reason="stop")
