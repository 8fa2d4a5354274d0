"""Policies that say how much to add to a number. `python -m third_party.family OUT` writes a benchmark."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import variants
from harness.family import Family
from harness.files import benchmark, store
from harness.parsing import boxed
from harness.records import Grade, Instance, Override, Part, Policy
from harness.variants import Variant

OWN, REPLACEMENT = 3, 5


class Shift(Family):
    """The family of these policies."""

    scorer = "shift/1"

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        answer = boxed(text)
        return Grade(0.0, "unparsed") if answer is None else Grade(float(answer == target))

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        number = instance.facts["number"]
        return [str(number + step) for step in (OWN, REPLACEMENT)]

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"parity": "even" if instance.facts["number"] % 2 == 0 else "odd"}

    def gold(self, instance: Instance, variant: Variant) -> str:
        answer = variants.target(instance, variant) or instance.target
        return f"The policy asks for a larger number. {self.respond(answer)}"


def write(out: Path) -> None:
    """A benchmark of one policy and its replacement, with ten numbers in each split."""
    spec = benchmark.BenchmarkSpec("shift", {"numbers": 10}, {"generator": "1"})
    if benchmark.begin(out, spec) is not None:
        return
    own, replacement = (
        Policy(
            id=f"shift-{step}",
            family="shift",
            name="Shift",
            content=(Part("text", f"Policy Shift: add {step} to every number.\n"),),
            rules={"add": step},
            replaces=None if step == OWN else f"shift-{OWN}",
        )
        for step in (OWN, REPLACEMENT)
    )
    store.write_lines(out / benchmark.POLICIES, [own, replacement])
    for split, first in (("train", 0), ("test", 100)):
        instances = [
            Instance(
                id=f"{split}-{number}",
                split=split,
                query=(Part("text", rf"Under policy Shift, what becomes of {number}? Answer in \boxed."),),
                facts={"number": number},
                policy_id=own.id,
                target=str(number + OWN),
                override=Override(replacement.id, str(number + REPLACEMENT)),
            )
            for number in range(first, first + 10)
        ]
        store.write_lines(out / benchmark.instances_file(split), instances)
    print(benchmark.summary(out, benchmark.seal(out, spec)))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
