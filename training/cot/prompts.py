"""Chains of thought: which instances to use, the prompt for the model, and which of its responses to keep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.parsing import boxed, in_box
from harness.records import Instance, Part, Prompt, Response
from harness.seeds import rng
from harness.thoughts import as_think_block
from harness.variants import IN_CONTEXT, INTERNALIZED
from training.cot.config import CotMethod

# The reason when a request failed. The response is not known to be wrong, so the same command retries it.
ERROR = "error"
# Our wording; the paper does not give its own.
REVERSE = (
    "The right response to this is known: {response}. Write the reasoning that leads to it from the policy: "
    "what is to be seen and read here, and each rule that applies, by the name that the policy gives it, in "
    "the order in which the rules apply. Write as if you were finding the response yourself, without a word "
    "about having been given it, and end with the response, both in the form that is asked for above."
)


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The text of a response to learn from, or None and the reason why it is rejected."""

    text: str | None
    reason: str = ""


def select_instances(benchmark: Benchmark, limit: int | None, cover: float = 1.0) -> list[Instance]:
    """The first `limit` training instances in an order that is the same for every method and model.

    The policies alternate, and so do the answers within each policy. Any prefix is therefore balanced, and a
    smaller limit gives a prefix of a larger one. Recall items are in another split and are never selected.
    With `cover`, only this share of each policy's answers occurs.
    """
    # Policy -> target -> instances. Sorting by a random key first makes the order inside each group random.
    groups: dict[str, dict[str, list[Instance]]] = {}
    for instance in sorted(benchmark.instances("train"), key=lambda i: rng(0, "cot", i.id).random()):
        if instance.policy_id is not None:
            groups.setdefault(instance.policy_id, {}).setdefault(instance.target, []).append(instance)
    if not groups:
        raise UserError(
            f"{benchmark.folder}: expected training instances with a policy, got none; "
            "chains of thought are for benchmarks with policies"
        )
    if cover < 1:
        groups = {policy: _covered(benchmark, policy, of, cover) for policy, of in groups.items()}
    return _alternate(_alternate(targets.values()) for targets in groups.values())[:limit]


def _covered(
    benchmark: Benchmark, policy: str, targets: dict[str, list[Instance]], cover: float
) -> dict[str, list[Instance]]:
    """The answers of a policy that chains are made for: a smaller share is part of a larger one.

    Answers of the same branch are next to each other in the order of their rules, so whole branches are left
    out, and with them the rules that only these need.
    """

    def rules(target: str) -> tuple[str, ...]:
        return tuple(benchmark.family.gold_rules(targets[target][0], INTERNALIZED))

    ordered = sorted(targets, key=lambda target: (rules(target), target))
    first = rng(0, "cover", policy).randrange(len(ordered))
    chosen = {ordered[(first + i) % len(ordered)] for i in range(max(1, round(cover * len(ordered))))}
    return {target: of_target for target, of_target in targets.items() if target in chosen}


def _alternate(groups: Iterable[Sequence[Instance]]) -> list[Instance]:
    """The first of each group, then the second of each, and so on."""
    return [i for round_ in zip_longest(*groups) for i in round_ if i is not None]


def make_prompt(benchmark: Benchmark, method: CotMethod, instance: Instance, sample: int) -> Prompt:
    """The prompt (P, Q, I), followed by the right answer for the method `reverse`.

    A Prompt has no field for the answer, so a model that is scored cannot see it. Here the model is meant to
    see it, so the last part of the prompt states it in words.
    """
    prompt = variants.prompt(instance, IN_CONTEXT, benchmark.policies, sample)
    if prompt is None:
        raise UserError(f"{instance.id}: expected an instance with a policy, got one without")
    if method != "reverse":
        return prompt
    answer = Part("text", REVERSE.format(response=benchmark.family.respond(instance.target)))
    return Prompt(instance.id, method, (*prompt.parts, answer), sample)


def filter_response(
    benchmark: Benchmark, method: CotMethod, instance: Instance, response: Response
) -> FilterResult:
    """Keeps a response with the right format and the full score. A teacher's response needs no score."""
    if response.text is None:
        return FilterResult(None, ERROR)
    if response.finish_reason in ("length", "refusal"):
        return FilterResult(None, "truncated" if response.finish_reason == "length" else "refused")
    result = normalize(response.text)
    if result.text is None or method == "teacher":
        return result
    correct = benchmark.grade(instance, instance.target, result.text).value == 1
    return result if correct else FilterResult(None, "wrong")


def normalize(text: str) -> FilterResult:
    """Reduces a response to one think block and one box, on separate lines; drops words around the box.

    The thought may stand between the marks of any known model, or end with a mark alone.
    """
    before, _, thought = as_think_block(text).partition("<think>")
    reasoning, end, answer = thought.partition("</think>")
    one_block = end and "<think>" not in thought and "</think>" not in answer
    if not one_block or before.strip() or not reasoning.strip():
        return FilterResult(None, "no think block")
    contents = _box_contents(answer.strip())
    if not contents:
        return FilterResult(None, "no box")
    return FilterResult(f"<think>\n{reasoning.strip()}\n</think>\n{in_box(contents)}")


def _box_contents(answer: str) -> str | None:
    # A tool call may contain an unbalanced brace in a string, so a single box is read up to the last brace.
    start = in_box("").removesuffix("}")
    if answer.startswith(start) and answer.endswith("}") and answer.count(start) == 1:
        return answer.removeprefix(start).removesuffix("}").strip()
    return boxed(answer)


def best_sample(results: Mapping[int, FilterResult]) -> FilterResult:
    """The first kept sample; else a failed request, because a retry may succeed; else the last sample."""
    in_order = [results[sample] for sample in sorted(results)]
    kept = [result for result in in_order if result.text is not None]
    failed = [result for result in in_order if result.reason == ERROR]
    return [*kept, *failed, *in_order[-1:], FilterResult(None, ERROR)][0]
