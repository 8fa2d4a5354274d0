"""Chains of thought: which instances come first, what a model is asked, what of its responses can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.parsing import boxed, in_box
from harness.records import Instance, Part, Prompt, Response
from harness.seeds import rng
from harness.variants import IN_CONTEXT

How = Literal["gold", "forward", "reverse", "teacher"]
ERROR = "error"
"""The reason where a request failed: not known to be wrong, so that the same command asks again."""
REVERSE = (
    "The right response to this is known: {response}. Write the reasoning that leads to it from the policy: "
    "what is to be seen and read here, and each rule that applies, by the name that the policy gives it, in "
    "the order in which the rules apply. Write as if you were finding the response yourself, without a word "
    "about having been given it, and end with the response, both in the form that is asked for above."
)
"""The paper does not give its words."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A response in the form to learn from, or the reason why it is not kept."""

    text: str | None
    reason: str = ""


def choose(benchmark: Benchmark, limit: int | None) -> list[Instance]:
    """The first so many training instances by a lot that is the same for every way and every model.

    The policies take turns, and within each its answers do, so that any beginning is balanced, and a smaller
    limit is the beginning of a larger one. Recall items are a split of their own and never among them.
    """
    # By policy, then by target; sorted by lot first, so that all that follows is in this order.
    groups: dict[str, dict[str, list[Instance]]] = {}
    for instance in sorted(benchmark.instances("train"), key=lambda i: _lot(i.id)):
        if instance.policy_id is not None:
            groups.setdefault(instance.policy_id, {}).setdefault(instance.target, []).append(instance)
    if not groups:
        raise UserError(
            f"{benchmark.folder}: expected training instances that a policy governs, got none; "
            "chains of thought are for benchmarks with policies"
        )
    return _in_turn(_in_turn(targets.values()) for targets in groups.values())[:limit]


def _lot(instance: str) -> float:
    return rng(0, "cot", instance).random()


def _in_turn(groups: Iterable[Sequence[Instance]]) -> list[Instance]:
    """The first of each group, then the second of each, and so on."""
    return [i for turn in zip_longest(*groups) for i in turn if i is not None]


def prompt(benchmark: Benchmark, how: How, instance: Instance, sample: int) -> Prompt:
    """(P, Q, I), and for reverse the right answer behind it.

    A Prompt has no field for the answer, so that no model that is scored can see it. Here the model is meant
    to: the prompt's last part says it in words.
    """
    shown = variants.prompt(instance, IN_CONTEXT, benchmark.policies, sample)
    if shown is None:
        raise UserError(f"{instance.id}: expected an instance that a policy governs, got one without")
    if how != "reverse":
        return shown
    answer = Part("text", REVERSE.format(response=benchmark.family.respond(instance.target)))
    return Prompt(instance.id, how, (*shown.parts, answer), sample)


def examine(benchmark: Benchmark, how: How, instance: Instance, response: Response) -> Reading:
    """Kept is what has the form and the family's full score; a teacher's response for its form alone."""
    if response.text is None:
        return Reading(None, ERROR)
    if response.finish_reason in ("length", "refusal"):
        return Reading(None, "truncated" if response.finish_reason == "length" else "refused")
    reading = in_form(response.text)
    if reading.text is None or how == "teacher":
        return reading
    right = benchmark.family_of(instance).grade(instance, instance.target, reading.text).value == 1
    return reading if right else Reading(None, "wrong")


def in_form(text: str) -> Reading:
    """One think block and the box behind it, on lines of their own; words around the box are dropped."""
    before, _, thought = text.partition("<think>")
    reasoning, closed, answer = thought.partition("</think>")
    once = closed and "<think>" not in thought and "</think>" not in answer
    if not once or before.strip() or not reasoning.strip():
        return Reading(None, "no think block")
    inside = _inside(answer.strip())
    if not inside:
        return Reading(None, "no box")
    return Reading(f"<think>\n{reasoning.strip()}\n</think>\n{in_box(inside)}")


def _inside(answer: str) -> str | None:
    """What a box that stands alone holds to its end: a call's text may hold a brace that closes nothing."""
    box = in_box("").removesuffix("}")
    if answer.startswith(box) and answer.endswith("}") and answer.count(box) == 1:
        return answer.removeprefix(box).removesuffix("}").strip()
    return boxed(answer)


def best(readings: Mapping[int, Reading]) -> Reading:
    """The first sample that can be kept; else a failed request, which may still bring one; else the last."""
    in_order = [readings[sample] for sample in sorted(readings)]
    kept = [reading for reading in in_order if reading.text is not None]
    failed = [reading for reading in in_order if reading.reason == ERROR]
    return [*kept, *failed, *in_order[-1:], Reading(None, ERROR)][0]
