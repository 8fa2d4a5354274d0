"""Sequences about a policy itself, for a VM-CPT that also trains answers to questions (our extension).

In the paper's VM-CPT a model reads the policy as part of a prompt. It then knows the words of the policy, but
it does not recall them in a response. In these sequences the policy is the response.

    kind        prompt                                  response
    policy      a request, the policy's images          the policy, as the benchmark words it
    rewording   a request, the policy's images          the policy, in a random wording and order
    rules       a question, images of its answer        what a rule says, or what follows from the rules

Images are never learned, so a response refers to the images of its policy by their number.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from harness.errors import UserError
from harness.records import Instance, Part

if TYPE_CHECKING:
    from harness.files.benchmark import Benchmark

PolicyRow = Literal["policy", "rewording", "rules"]
REQUEST = "Write down policy {name}."
IMAGES = " Its images, in this order:"


def policy_sequence(
    kind: PolicyRow, benchmark: Benchmark, instance: Instance, rng: random.Random
) -> tuple[Sequence[Part], str]:
    """The prompt and the response of a sequence about the policy of an instance.

    Raises UserError if the family cannot create sequences of this kind.
    """
    policy = benchmark.policies[instance.policy_id or ""]
    question, answer = REQUEST.format(name=policy.name), None
    if kind == "policy":
        answer = policy.content
    elif kind == "rewording":
        answer = benchmark.family.reworded(policy.id, rng)
    elif (asked := benchmark.family.rule_question(policy.id, rng)) is not None:
        question, answer = asked
    if answer is None:
        raise UserError(
            f"sft.vm-cpt.rows: expected kinds that all benchmarks have, got {kind!r}, which "
            f"{benchmark.manifest.family} cannot create; remove it"
        )
    images = [part for part in answer if part.kind == "image"]
    numbers = iter(range(1, len(images) + 1))
    response = "".join(p.value if p.kind == "text" else f"image {next(numbers)}" for p in answer)
    return (Part("text", question + IMAGES * bool(images)), *images), response.strip()
